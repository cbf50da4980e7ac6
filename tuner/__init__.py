"""The tuning service: jobs, trials, attempts, and the scheduler that carries them out."""

from importlib import import_module
from typing import Any

from models.hyperparameters import Range as Range
from tuner.reporting import report as report


def __getattr__(name: str) -> Any:
    """``tuner.load_model``: imported when it is asked for, as it needs PyTorch."""
    if name == "load_model":
        return import_module("tuner.takeaway").load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

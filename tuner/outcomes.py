"""How the scheduler's answer to a request is written down, and read again as the error it was."""

import inspect
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tuner import errors
from tuner.errors import Fault, SpecInvalid, TunerError


def refusal(error: TunerError) -> dict[str, Any]:
    """The outcome of a request that was refused: the error's name and its facts."""
    names = inspect.signature(type(error).__init__).parameters
    args = {name: getattr(error, name) for name in names if name != "self"}
    if isinstance(error, SpecInvalid):
        args["faults"] = [asdict(fault) for fault in error.faults]
    return {"ok": False, "error": type(error).__name__, "args": args}


def error_of(outcome: Mapping[str, Any]) -> TunerError | None:
    """The error an outcome stands for; None where the request was carried out."""
    if outcome["ok"]:
        return None
    args = dict(outcome.get("args", {}))
    if "faults" in args:
        args["faults"] = [Fault(**fault) for fault in args["faults"]]
    kind: type[TunerError] = getattr(errors, outcome["error"])
    return kind(**args)

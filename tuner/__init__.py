"""The tuning service: jobs, trials, attempts, and the scheduler that carries them out."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def load_model(job: str, *, url: str | None = None, token: str | None = None) -> "nn.Module":
    """The network of a job's best trial, fetched from the server; see `tuner.takeaway`."""
    from tuner.takeaway import load_model as load

    return load(job, url=url, token=token)

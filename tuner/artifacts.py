"""Where the files of jobs lie below the artifact root, and how they are removed."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from tuner.workers import logs


def job_folder(job: str) -> str:
    """The folder of a job's files, relative to the artifact root."""
    return f"jobs/{job}"


def trial_folder(job: str, number: int) -> str:
    """The folder of a trial's checkpoints, relative to the artifact root."""
    return f"{job_folder(job)}/trials/{number}"


def log_root(root: Path) -> Path:
    """The folder of all attempts' logs."""
    return root / "logs"


def give_up(root: Path, job: str, trials: Iterable[int], only: str | None) -> None:
    """Remove the checkpoints of these trials, and all that lies beside the file `only`.

    What is not there is no fault.
    """
    for number in trials:
        shutil.rmtree(root / trial_folder(job, number), ignore_errors=True)
    if only is not None:
        kept = root / only
        for path in kept.parent.glob("*"):
            if path != kept:
                path.unlink(missing_ok=True)


def converted_folder(cache: Path, job: str) -> Path:
    """The folder of a job's best network in other formats."""
    return cache / "predictors" / job


def remove_job(root: Path, cache: Path, job: str, attempts: Iterable[int]) -> None:
    """Remove all files of a job, and the logs of its attempts."""
    shutil.rmtree(root / job_folder(job), ignore_errors=True)
    shutil.rmtree(converted_folder(cache, job), ignore_errors=True)
    for attempt in attempts:
        logs.remove(logs.path_of(log_root(root), attempt))

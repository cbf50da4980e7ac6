"""Where the files of jobs and trials lie in an artifact store, and on this host."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

#: The folder of all jobs.
JOBS: Final = "jobs"
#: In the cache folder, that of compiled steps, whose files are the compiler's.
COMPILED: Final = "compiled"


def job_folder(job: str) -> str:
    """The folder of a job's files."""
    return f"{JOBS}/{job}"


def trial_folder(job: str, number: int) -> str:
    """The folder of a trial's checkpoints and network."""
    return f"{job_folder(job)}/trials/{number}"


def trial_of(uri: str) -> tuple[str, int] | None:
    """The job and the number of the trial whose file this is; None where it is no trial's."""
    match uri.split("/"):
        case [folder, job, "trials", number, _] if folder == JOBS and number.isdecimal():
            return job, int(number)
    return None


def in_folder(folder: str, uris: Iterable[str]) -> tuple[str, ...]:
    """Those of the files that lie in the folder itself."""
    return tuple(uri for uri in uris if uri.rpartition("/")[0] == folder)


def log_root(root: Path) -> Path:
    """The folder of all attempts' logs, which are always on the host of their workers."""
    return root / "logs"


def converted_folder(cache: Path, job: str) -> Path:
    """The folder of a job's best network in other formats."""
    return cache / "predictors" / job

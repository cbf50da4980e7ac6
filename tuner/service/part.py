"""What every part of the service holds and asks for first."""

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from tuner.artifacts.opening import open_store
from tuner.clock import utc_now
from tuner.db import Database
from tuner.errors import JobNotFound, TrialNotFound
from tuner.settings import Settings
from tuner.store import jobs, trials
from tuner.store.rows import Reader, Row

_JOB_ID: Final = re.compile(r"job_[0-9A-Z]{26}")


class Part:
    """One part of the service. Keeps nothing between calls, so any thread may call it."""

    def __init__(
        self,
        db: Database,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = utc_now,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """`wait(seconds)` passes the time until the scheduler may have applied a request."""
        self._db = db
        self._settings = settings
        self._artifacts = open_store(settings.artifact_root)
        self._clock = clock
        self._wait = wait

    def _facts(self, connection: Reader, job: str) -> Row:
        """`id`, `ulid`, `state`, `metric` and `direction` of the job."""
        return _found(jobs.job_facts(connection, named(job)), job)

    def _detail(self, connection: Reader, job: str) -> Row:
        """The job's whole row, and the parameters of its best trial."""
        return _found(jobs.job_detail(connection, named(job)), job)

    def _trial(self, connection: Reader, job: str, number: int) -> Row:
        row = trials.trial(connection, named(job), number)
        if row is None:
            self._facts(connection, job)  # says so where it is the job that is missing
            raise TrialNotFound(job, number)
        return row


def named(job: str) -> str:
    """`job`, if a job can have this id.

    Raises:
        JobNotFound: none can.
    """
    if not _JOB_ID.fullmatch(job):
        raise JobNotFound(job)
    return job


def _found(row: Row | None, job: str) -> Row:
    if row is None:
        raise JobNotFound(job)
    return row

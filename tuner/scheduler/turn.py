"""One step of the scheduler under construction: the state as it becomes, the commands so far."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from tuner.scheduler.commands import Command, MoveJob, RecordEvent
from tuner.scheduler.state import Attempt, JobRun, State
from tuner.states import JobState


class Turn:
    """Collects what one event changes; the state it began from stays as it was."""

    def __init__(self, state: State, now: datetime) -> None:
        self.state = state
        self.now = now
        self.commands: list[Command] = []

    def emit(self, *commands: Command) -> None:
        """Add commands, in the order in which they are to be carried out."""
        self.commands.extend(commands)

    def event(
        self, job: int, kind: str, trial: int | None = None, data: Mapping[str, Any] | None = None
    ) -> None:
        """Add an event that users see."""
        self.emit(RecordEvent(job=job, kind=kind, now=self.now, trial=trial, data=data or {}))

    def job(self, job: int) -> JobRun | None:
        """The live job, if it is one."""
        return self.state.jobs.get(job)

    def put(self, job: JobRun) -> JobRun:
        """Replace the job."""
        self.state = replace(self.state, jobs={**self.state.jobs, job.id: job})
        return job

    def save(self, job: JobRun, **why: str | None) -> JobRun:
        """Replace the job and bring its row up to date, its state included."""
        self.emit(MoveJob(job=job, target=job.state, now=self.now, **why))
        return self.put(job)

    def drop(self, job: int) -> None:
        """Forget a job that is final."""
        jobs = {key: value for key, value in self.state.jobs.items() if key != job}
        self.state = replace(self.state, jobs=jobs)

    def put_attempt(self, attempt: Attempt) -> None:
        """Replace or add the attempt."""
        attempts = {**self.state.attempts, attempt.id: attempt}
        self.state = replace(self.state, attempts=attempts)

    def drop_attempt(self, attempt: int) -> None:
        """Forget an ended attempt."""
        attempts = {key: value for key, value in self.state.attempts.items() if key != attempt}
        self.state = replace(self.state, attempts=attempts)


def counted(job: JobRun, **changes: int) -> JobRun:
    """The job with its tally changed by these amounts."""
    tally = {name: getattr(job.tally, name) + change for name, change in changes.items()}
    return replace(job, tally=replace(job.tally, **tally))


def entered(job: JobRun, target: JobState, now: datetime) -> JobRun:
    """The job in another state than it is in, its clock running in state running only."""
    seconds = job.elapsed(now)
    since = now if target is JobState.RUNNING else None
    return replace(job, state=target, run_seconds=seconds, running_since=since)

"""What can happen to the scheduler."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from models.hyperparameters import Config
from tuner.protocol import Ended, Progressed, Saved, WorkerEnded
from tuner.scheduler.state import JobRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A job is in the database that the scheduler has not seen yet, or an extended one."""

    job: JobRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """The study has a configuration for the job's next trial."""

    job: int
    number: int
    params: Config
    system_attrs: Mapping[str, Any]
    study_attrs: Mapping[str, Any] = field(default_factory=dict)
    #: How the sampler came by it, where it says so.
    how: str | None = None
    #: See `QueuedTrial.signature`.
    signature: str | None = None
    #: Why it trains alone, where the job's trials share workers.
    alone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhausted:
    """The study has nothing left to propose: a grid is used up."""

    job: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskFailed:
    """The sampler raised; the job cannot go on."""

    job: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The study says what the parameter `name` of a trial at work is to be."""

    job: int
    attempt: int
    name: str
    value: Any = None
    #: Why it can be nothing; then nothing else is said.
    error: str | None = None
    #: All parameters of the trial so far, and from what distributions they are.
    params: Config = field(default_factory=dict)
    distributions: Mapping[str, str] = field(default_factory=dict)
    system_attrs: Mapping[str, Any] = field(default_factory=dict)
    study_attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remarked:
    """An objective noted something of its trial, and the study has taken it in."""

    attempt: int
    #: All that was noted of it so far.
    user_attrs: Mapping[str, Any]
    system_attrs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A worker reported a step, and the pruner has looked at it."""

    attempt: int
    step: int
    metrics: Mapping[str, float]
    #: The job's metric among them; None where the attempt did not report it.
    value: float | None
    prune: bool = False
    why: str = ""
    #: The pruner's notes on the trial, where they changed.
    system_attrs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranged:
    """A probe has ended well, and found ranges that amend its job's plan."""

    ended: Ended
    #: As plain JSON.
    plan: Mapping[str, Any]
    #: Trial 0 by this plan.
    default: Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Somebody wants the job to pause."""

    job: int
    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Somebody wants the job to go on."""

    job: int
    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Somebody wants the job to end without more results."""

    job: int
    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Somebody changes the job's settings, as they were at `revision`."""

    job: int
    request: int
    revision: int
    #: Only what changes; None takes a limit away.
    budget: Mapping[str, Any] | None = None
    parallel: int | None = None
    #: Whether `parallel` is to be changed: None is a value of its own.
    sets_parallel: bool = False
    priority: int | None = None
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueue:
    """Somebody wants these parameters tried."""

    job: int
    request: int
    params: Config


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerLost:
    """These attempts ran under a scheduler that is gone, and so are their workers."""

    attempts: tuple[int, ...]
    #: When it last gave a sign of life.
    last_beat: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """The service shuts down: nothing starts, attempts checkpoint and end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSet:
    """The host's clock was set forward, or back where `by` is negative; no time has passed."""

    by: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskMeasured:
    """How many bytes checkpoints, networks and logs take, and how many they may."""

    used: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time has passed."""


Verb = Pause | Resume | Cancel | Patch | Enqueue
Event = (
    Submitted
    | Proposed
    | Exhausted
    | AskFailed
    | Drawn
    | Remarked
    | Measured
    | Progressed
    | Saved
    | Ended
    | Ranged
    | WorkerEnded
    | Verb
    | SchedulerLost
    | Drain
    | ClockSet
    | DiskMeasured
    | Tick
)

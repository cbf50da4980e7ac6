"""What the scheduler decides: records for the database, orders for the executor and the study."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tuner.protocol import Judged, StopAttempt, Suggested
from tuner.scheduler.state import Attempt, JobRun, Place, Point, QueuedTrial
from tuner.states import AttemptState, JobState, Reason, TrialState

# --- records: all of one tick go into one commit


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveJob:
    """Bring the job's row into `target` (or leave its state), and its figures up to date."""

    job: JobRun
    target: JobState
    now: datetime
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTrial:
    """A new trial, queued."""

    job: int
    trial: QueuedTrial
    source: str
    system_attrs: Mapping[str, Any]
    study_attrs: Mapping[str, Any]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveTrial:
    """A transition of a trial."""

    trial: QueuedTrial
    target: TrialState
    now: datetime
    value: float | None = None
    values: tuple[float, ...] | None = None
    best_step: int | None = None
    reason: Reason | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAttempt:
    """A new attempt, running."""

    attempt: Attempt
    ordinal: int
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndAttempt:
    """The end of an attempt."""

    attempt: int
    state: AttemptState
    now: datetime
    reason: Reason | None = None
    detail: str | None = None
    traceback: str | None = None
    exit_code: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStep:
    """The metrics of one step of a trial."""

    trial: int
    attempt: int
    step: int
    metrics: Mapping[str, float]
    now: datetime
    system_attrs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordParams:
    """The parameters that a trial has asked for so far."""

    job: int
    trial: int
    params: Mapping[str, Any]
    #: By name, as Optuna's JSON.
    distributions: Mapping[str, str]
    system_attrs: Mapping[str, Any]
    study_attrs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRemarks:
    """What an objective noted of its trial, all of it."""

    trial: int
    user_attrs: Mapping[str, Any]
    system_attrs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordProgress:
    """How far a trial is on the way to its next step."""

    trial: int
    place: Place
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCheckpoint:
    """Where a trial can go on from, or its best model; then `superseded` files may go.

    Without a `uri` it starts over.
    """

    #: Its ulid.
    job: str
    trial: int
    number: int
    uri: str | None
    best: bool
    superseded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendPlan:
    """The job's plan with the ranges that its probe found, as plain JSON; no trial exists yet."""

    job: int
    plan: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEvent:
    """Something users see happen."""

    job: int
    kind: str
    now: datetime
    trial: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRequest:
    """What became of a request."""

    request: int
    now: datetime
    outcome: Mapping[str, Any]


Record = (
    MoveJob
    | CreateTrial
    | MoveTrial
    | CreateAttempt
    | EndAttempt
    | RecordStep
    | RecordParams
    | RecordRemarks
    | RecordProgress
    | RecordCheckpoint
    | AmendPlan
    | RecordEvent
    | AnswerRequest
)

# --- orders: carried out once the records are committed, but for `Send`, which never waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Ask the study for the job's next trial; `point` fixes its parameters."""

    job: int
    number: int
    point: Point | None = None
    #: Its workers train several trials each, and so more are under way than have taught anything.
    many_at_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Tell the study how a trial ended."""

    job: int
    number: int
    state: TrialState
    value: float | None = None
    values: tuple[float, ...] | None = None
    #: It failed because there is no room for such a configuration.
    infeasible: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Start an attempt on the executor."""

    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Pass a message to a worker."""

    message: Judged | Suggested | StopAttempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """End an attempt's worker now."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Remove the files of a trial that its job's retention rule does not keep."""

    job: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """The job is final: its study is no longer needed."""

    job: int


Order = Ask | Tell | Start | Send | Kill | Sweep | Forget
Command = Record | Order

"""What the scheduler knows: live jobs, attempts under way, and what is free. Frozen throughout."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from models.hyperparameters import Config
from tuner.slots import Inventory, Request, Slot
from tuner.spec import Budget
from tuner.states import Direction, JobState, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Trials of a job by state; `created` is the sum of the others."""

    created: int = 0
    queued: int = 0
    running: int = 0
    paused: int = 0
    completed: int = 0
    pruned: int = 0
    failed: int = 0
    cancelled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A configuration somebody wants tried, before it is a trial."""

    params: Config
    #: default, start or enqueued.
    source: str
    #: The request that asked for it and awaits the trial's number.
    request: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedTrial:
    """A trial that waits for a slot; after a failure, not before `due`."""

    id: int
    number: int
    params: Config
    attempts: int = 0
    counted: int = 0
    #: Newest checkpoint, to go on from.
    checkpoint: str | None = None
    #: The last step it has reported.
    reported: int = 0
    due: datetime | None = None
    #: What its ended attempts took.
    seconds: float = 0.0
    #: How often its micro-batch was halved, a GPU's memory having run out.
    halvings: int = 0
    #: Trials of a job with equal ones can share a worker; None for one that trains alone.
    signature: str | None = None

    @property
    def joins(self) -> str | None:
        """With whom it may share a worker; after a fault it goes alone, and harms nobody else."""
        return None if self.counted or self.halvings else self.signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a job's probes so far, none of which has passed, mean for the next."""

    attempts: int = 0
    counted: int = 0
    halvings: int = 0
    due: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far an attempt is on its way to the report of `step`: `done` of `total` parts."""

    step: int
    done: int
    total: int
    metrics: Mapping[str, float]

    def __str__(self) -> str:
        return f"{self.done} of {self.total} on the way to step {self.step}"

    def beyond(self, other: "Place | None") -> bool:
        """Whether there is progress from `other` to here."""
        return other is None or (self.step, self.done) > (other.step, other.done)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt under way; `trial` is None for a job's probe."""

    id: int
    job: int
    trial: QueuedTrial | None
    slot: Slot
    started: datetime
    #: When it was last heard to have come further.
    last_progress: datetime
    #: Where it said it is, since its last report.
    place: Place | None = None
    #: When its row, or its trial's, last said how far it is.
    last_record: datetime
    #: How many attempts its worker may serve at once.
    lanes: int = 1
    #: The first attempt of the worker it joined; None for the first of its own.
    beside: int | None = None
    #: Since when it answers for its worker's slot; None while a neighbour does.
    slot_since: datetime | None
    last_value: float | None = None
    #: Set once the attempt was told to end: why, and by when it must have.
    stopping: Reason | None = None
    stop_by: datetime | None = None
    #: What is to be said of its end where a clock ended it.
    detail: str | None = None

    @property
    def worker(self) -> int:
        """Its worker, by the first attempt it was given."""
        return self.id if self.beside is None else self.beside


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """A live job as the scheduler sees it."""

    id: int
    ulid: str
    state: JobState
    priority: int
    parallel: int | None
    budget: Budget
    labels: Mapping[str, str]
    revision: int
    request: Request
    metric: str
    direction: Direction
    trial_seconds: float | None
    no_progress_seconds: float
    #: How many of its trials one worker may train at once.
    lanes: int = 1
    #: How a step of these is carried out.
    graph: str = "eager"
    #: Whether its workers are forked from a process that has imported its code.
    ground: bool = False
    tally: Tally = Tally()
    #: The probe has passed; no trial starts before.
    probed: bool = False
    #: Hyperparameters whose ranges the probe is to find; no trial is asked for before it has.
    unknown: tuple[str, ...] = ()
    probe: Probe = Probe()
    #: Points to try before the sampler is asked, first to last.
    points: tuple[Point, ...] = ()
    #: The sampler is being asked for the trial after the last one created.
    asking: bool = False
    #: The point the sampler was asked to complete, if any.
    asked_point: Point | None = None
    #: The sampler has nothing left to propose.
    exhausted: bool = False
    ready: tuple[QueuedTrial, ...] = ()
    best_value: float | None = None
    best_number: int | None = None
    #: Ended trials since the best one improved.
    stale: int = 0
    #: Failures in a row with the same signature.
    failures_alike: int = 0
    last_failure: str | None = None
    #: Set once the job is to end with what it has: why.
    ending: str | None = None
    #: Reason and detail of a job that ends as failed.
    failed_because: tuple[str, str] | None = None
    started: datetime | None = None
    #: Seconds in state running before `running_since`.
    run_seconds: float = 0.0
    running_since: datetime | None = None
    busy_seconds: float = 0.0
    #: Slot-seconds as fairness counts them: a newcomer starts level with the others.
    virtual_seconds: float = 0.0

    def elapsed(self, now: datetime) -> float:
        """Seconds the job has been running, pauses left out."""
        since = (now - self.running_since).total_seconds() if self.running_since else 0.0
        return self.run_seconds + since

    @property
    def open_for_trials(self) -> bool:
        """Whether a further trial may be created."""
        return (
            self.state in (JobState.RUNNING, JobState.QUEUED)
            and self.ending is None
            and not self.exhausted
            and self.tally.created + self.asking < self.budget.trials
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything the scheduler decides from."""

    inventory: Inventory
    jobs: Mapping[int, JobRun] = field(default_factory=dict)
    attempts: Mapping[int, Attempt] = field(default_factory=dict)
    #: The next free primary keys; the scheduler is the only one who writes these tables.
    next_trial: int = 1
    next_attempt: int = 1
    #: Set while the service shuts down: nothing starts any more.
    draining: bool = False
    #: Set while files take more than they may: nothing starts, what runs goes on.
    disk_full: bool = False

    def attempts_of(self, job: int) -> tuple[Attempt, ...]:
        """The job's attempts under way, its probe included."""
        return tuple(a for a in self.attempts.values() if a.job == job)

    def neighbours(self, attempt: Attempt) -> tuple[Attempt, ...]:
        """The other attempts of its worker, first to last."""
        if attempt.lanes == 1:
            return ()
        others = self.attempts.values()
        return tuple(a for a in others if a.worker == attempt.worker and a.id != attempt.id)

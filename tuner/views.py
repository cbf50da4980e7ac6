"""What the service answers: the same frozen shapes for the API, the client and the notebooks."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tuner.states import AttemptState, Direction, JobState, Reason, TrialState


class View(BaseModel):
    """An answer; unknown fields of a newer server are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Counts(View):
    """Trials of a job by state; `created` is the sum of the others."""

    created: int = 0
    queued: int = 0
    running: int = 0
    paused: int = 0
    completed: int = 0
    pruned: int = 0
    failed: int = 0
    cancelled: int = 0


class BudgetView(View):
    """When the job is done: whichever comes first."""

    trials: int
    epochs: int
    hours: float | None = None
    target: float | None = None
    patience: int | None = None


class Progress(View):
    """How far the job is, with the epochs of trials under way.

    `eta_seconds` is None until something has been trained, and when nothing is left.
    """

    fraction: float
    finished: int
    elapsed_seconds: float
    eta_seconds: float | None = None


class BestView(View):
    """The best completed trial of a job, in short."""

    number: int
    value: float
    params: dict[str, Any]


class JobView(View):
    """A tuning job."""

    id: str
    name: str
    state: JobState
    #: What is tuned, in a few words: ``convnet on digits``, an objective, a command.
    what: str = ""
    #: Where the service trains; null else, as the three that follow.
    model: str | None = None
    data: str | None = None
    loss: str | None = None
    optimizer: str | None = None
    #: The import path of an Optuna objective.
    objective: str | None = None
    #: A program and its arguments.
    command: list[str] | None = None
    metric: str
    direction: Direction
    #: The above and, where several are sought at once, all others.
    metrics: dict[str, Direction] = Field(default_factory=dict)
    counts: Counts
    budget: BudgetView
    parallel: int | None
    priority: int
    labels: dict[str, str]
    revision: int
    progress: Progress
    best: BestView | None = None
    reason: Reason | str | None = None
    detail: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    links: dict[str, str] = Field(default_factory=dict)
    dashboard_url: str | None = None


class JobDetail(JobView):
    """A job with everything known of it."""

    spec: dict[str, Any]
    space: list[dict[str, Any]]
    seed: int
    notes: list[str]
    #: Null where others train.
    data_shape: dict[str, Any] | None = None
    #: Of its checkpoints and networks; None while their store does not answer.
    disk_bytes: int | None = 0


class JobPage(View):
    """Jobs, newest first."""

    jobs: list[JobView]
    next_page_token: str | None = None


class ParameterCounts(View):
    """Parameters of the smallest, the default and the largest configuration of a space."""

    smallest: int
    default: int
    largest: int


class Resolved(View):
    """What a submission would become: the answer of ``validate_only``."""

    spec: dict[str, Any]
    space: list[dict[str, Any]]
    default_config: dict[str, Any]
    metric: str
    direction: Direction
    #: Null where others train, as the two that follow.
    parameters: ParameterCounts | None = None
    #: Weights, gradients, optimizer state and activations of one batch, largest configuration.
    memory_mb: float | None = None
    data_shape: dict[str, Any] | None = None
    #: What the service decided or left out, in sentences.
    notes: list[str]


class TrialProgress(View):
    """How far a running trial is on the way to `step`, as of `at`; told every 10 seconds."""

    step: int
    #: Parts done, of `total`: training steps of the epoch.
    done: int
    total: int
    #: Of the parts done: ``train_loss``; null where it was not finite.
    values: dict[str, float | None] = Field(default_factory=dict)
    at: datetime


class TrialView(View):
    """One configuration of a job and how it went."""

    number: int
    state: TrialState
    source: str
    params: dict[str, Any]
    value: float | None = None
    #: Where the job has several metrics, one value for each; `value` is null then.
    values: list[float] | None = None
    best_step: int | None = None
    last_step: int | None = None
    attempts: int = 0
    reason: Reason | str | None = None
    detail: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    #: Seconds between start and end (or now), waiting between attempts included.
    seconds: float | None = None
    has_model: bool = False
    #: While it runs, within an epoch that lasts longer than 10 seconds.
    progress: TrialProgress | None = None
    #: What an objective noted of it.
    user_attrs: dict[str, Any] | None = None


class TrialPage(View):
    """Trials in the order asked for."""

    trials: list[TrialView]
    next_page_token: str | None = None


class AttemptView(View):
    """One try to run a trial."""

    id: int
    ordinal: int
    state: AttemptState
    reason: Reason | str | None = None
    detail: str | None = None
    traceback: str | None = None
    #: Of its process, where that ended without a word: negative for a signal.
    exit_code: int | None = None
    #: How often its micro-batch was halved, attempts before it having run out of GPU memory.
    halvings: int = 0
    host: str
    device: str
    cpus: float
    #: The first attempt of the worker it joined, in a lane of its own; null where it joined none.
    beside: int | None = None
    started_at: datetime
    finished_at: datetime | None = None
    #: Its trial's, while it runs.
    progress: TrialProgress | None = None


class AttemptList(View):
    """All attempts of a trial, first to last."""

    attempts: list[AttemptView]


class MetricPoint(View):
    """All metrics of one step; a value that was not finite is null."""

    step: int
    at: datetime
    values: dict[str, float | None]


class Curves(View):
    """The learning curves of a trial, by step."""

    number: int
    points: list[MetricPoint]


class BestList(View):
    """The k best completed trials, best first; of several metrics the Pareto front."""

    metric: str
    direction: Direction
    metrics: dict[str, Direction] = Field(default_factory=dict)
    best: list[TrialView]
    #: Where the best trial's weights are, if they are kept.
    model_url: str | None = None


class EventView(View):
    """Something that happened to a job; `seq` counts from 1 without gaps."""

    seq: int
    kind: str
    at: datetime
    trial: int | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class Importances(View):
    """How much each parameter matters (PED-ANOVA), the sum being 1."""

    importances: dict[str, float]
    trials: int


class Accepted(View):
    """A request that stands in the queue; the scheduler has not applied it yet."""

    job: str
    request: str
    detail: str


class FaultView(View):
    """One thing wrong with a document."""

    pointer: str
    code: str
    detail: str


class Problem(View):
    """An error, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[FaultView] = Field(default_factory=list)
    hint: str | None = None

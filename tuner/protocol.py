"""What scheduler and worker say to each other: small frozen messages, each naming its attempt.

How they travel is `tuner.wire`'s to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tuner.errors import TunerError
from tuner.states import AttemptState, Reason


class ProtocolViolated(TunerError):
    """A worker sent something that is no message of ours."""

    def __init__(self, frame: bytes) -> None:
        super().__init__(f"Not a message: {frame[:80]!r}.")
        self.frame = frame


class ChannelClosed(TunerError):
    """The other end of a worker's channel is gone: nothing more can be said or heard."""

    def __init__(self) -> None:
        super().__init__("The channel to the scheduler is closed.")


class Verdict(StrEnum):
    """The scheduler's answer to a report."""

    CONTINUE = "continue"
    PRUNE = "prune"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """Scheduler to worker: run this."""

    attempt: int
    #: ``package.module:function`` called as ``function(payload, context)``; ours, never a user's.
    program: str
    #: What the program needs; plain JSON.
    payload: Mapping[str, Any]
    #: CPU threads the attempt may use.
    threads: int = 1
    #: Indices of the GPUs it may use, none for the CPU.
    gpus: tuple[int, ...] = ()
    #: The steps whose verdict may be to end the trial; None where every step's may.
    decisive: tuple[int, ...] | None = None
    #: Whether code of a user's runs in it: its worker then serves this attempt alone.
    foreign: bool = False
    #: What its worker is forked from has imported this: ``code``, see `tuner.foreign.permission`,
    #: and ``modules`` of it; None for nothing of the job's.
    ground: Mapping[str, Any] | None = None
    #: Attempts its worker may serve at once; all that it is given are of one shape signature.
    lanes: int = 1
    #: The first attempt of the worker that is to serve this one too; None for one of its own.
    beside: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Scheduler to worker: the verdict on the report of `step`."""

    attempt: int
    step: int
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAttempt:
    """Scheduler to worker: end at the next report or word of progress, for `reason`.

    What is saved by then is what the trial goes on from.
    """

    attempt: int
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggested:
    """Scheduler to worker: the answer to a `Suggest` of this name."""

    attempt: int
    name: str
    #: What the parameter is to be: a number, text, truth value or null.
    value: Any = None
    #: Why it can be nothing; then `value` says nothing.
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggest:
    """Worker to scheduler: what shall the parameter `name` of this trial be?"""

    attempt: int
    name: str
    #: Optuna's distribution, as its own JSON.
    distribution: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Worker to scheduler: what an objective notes of its trial. It awaits nothing."""

    attempt: int
    #: Plain JSON.
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    #: By name; the trial is feasible where none is above 0.
    constraints: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """Worker to scheduler: the metrics of one step. A verdict follows."""

    attempt: int
    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """Worker to scheduler: how far it is on its way to the report of `step`. It awaits nothing."""

    attempt: int
    step: int
    #: Parts of the way that are done, of `total` in all.
    done: int
    total: int
    #: What can be said of the parts done, ``train_loss`` for one.
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """Worker to scheduler: a complete, checksummed file lies at `uri`, below the artifact root.

    It is a checkpoint of `step` to go on from or, with `best`, the trained network of the trial's
    best step.
    """

    attempt: int
    step: int
    uri: str
    size_bytes: int
    best: bool
    #: Files of the trial that are needed no longer once this one is on record.
    superseded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Worker to scheduler: the attempt's own last word."""

    attempt: int
    state: AttemptState
    value: float | None = None
    #: Of an objective with several values, all of them; `value` is None then.
    values: tuple[float, ...] | None = None
    reason: Reason | None = None
    detail: str | None = None
    traceback: str | None = None
    #: What the program found out (a probe's figures, say); plain JSON.
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEnded:
    """Executor to scheduler: a worker is gone, and with it the attempts it had not ended.

    `exit_code` is negative for a signal, as `subprocess` has it; None where it is unknown.
    """

    attempts: tuple[int, ...]
    exit_code: int | None
    detail: str
    #: What the executor makes of it; who killed the attempt on purpose knows better.
    reason: Reason = Reason.WORKER_LOST


ToWorker = StartAttempt | Judged | Suggested | StopAttempt
FromWorker = Reported | Progressed | Saved | Suggest | Noted | Ended
ExecutorEvent = FromWorker | WorkerEnded


def keeps_worker(order: StartAttempt, ended: Ended) -> bool:
    """Whether the worker serves another attempt after this one.

    On a GPU only, where a process start costs a CUDA context; after a clean end only; never after
    foreign code, which may have left anything behind; and not where it serves several at once,
    which ends with the last of them.
    """
    clean = ended.state in (AttemptState.SUCCEEDED, AttemptState.PRUNED)
    return len(order.gpus) == 1 and order.lanes == 1 and not order.foreign and clean

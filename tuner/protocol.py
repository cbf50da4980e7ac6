"""What scheduler and worker say to each other: small frozen messages, each naming its attempt.

On the wire a message is one JSON object, ``{"type": "Reported", …}``, framed by a length prefix.
Nothing is pickled, so a worker that runs foreign code can send nothing but data.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import NoneType
from typing import Any, Final

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
    #: Index of the GPU it may use, None for the CPU.
    gpu: int | None = None
    #: The steps whose verdict may be to end the trial; None where every step's may.
    decisive: tuple[int, ...] | None = None
    #: Whether code of a user's runs in it: its worker then serves this attempt alone.
    foreign: bool = False
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


ToWorker = StartAttempt | Judged | StopAttempt
FromWorker = Reported | Progressed | Saved | Ended
ExecutorEvent = FromWorker | WorkerEnded

_TYPES: Final[Mapping[str, type[Any]]] = {
    cls.__name__: cls
    for cls in (StartAttempt, Judged, StopAttempt, Reported, Progressed, Saved, Ended)
}
_ENUMS: Final[Mapping[tuple[str, str], type[StrEnum]]] = {
    ("Judged", "verdict"): Verdict,
    ("StopAttempt", "reason"): Reason,
    ("Ended", "state"): AttemptState,
    ("Ended", "reason"): Reason,
}


#: What the fields may hold: foreign code shares the worker's process, so a frame is not trusted.
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "attempt": (int,),
    "program": (str,),
    "payload": (dict,),
    "threads": (int,),
    "gpu": (int, NoneType),
    "decisive": (tuple, NoneType),
    "foreign": (bool,),
    "lanes": (int,),
    "beside": (int, NoneType),
    "step": (int,),
    "done": (int,),
    "total": (int,),
    "verdict": (Verdict,),
    "reason": (Reason, NoneType),
    "metrics": (dict,),
    "uri": (str,),
    "size_bytes": (int,),
    "best": (bool,),
    "superseded": (tuple,),
    "state": (AttemptState,),
    "value": (float, int, NoneType),
    "detail": (str, NoneType),
    "traceback": (str, NoneType),
    "facts": (dict,),
}


def keeps_worker(order: StartAttempt, ended: Ended) -> bool:
    """Whether the worker serves another attempt after this one.

    On a GPU only, where a process start costs a CUDA context; after a clean end only; never after
    foreign code, which may have left anything behind; and not where it serves several at once,
    which ends with the last of them.
    """
    clean = ended.state in (AttemptState.SUCCEEDED, AttemptState.PRUNED)
    return order.gpu is not None and order.lanes == 1 and not order.foreign and clean


def encode(message: ToWorker | FromWorker) -> bytes:
    """One message as a JSON object; NaN and infinities travel as Python's JSON writes them."""
    values = {field.name: getattr(message, field.name) for field in fields(message)}
    return json.dumps({"type": type(message).__name__, **values}).encode()


def decode(frame: bytes) -> ToWorker | FromWorker:
    """The message in `frame`.

    Raises:
        ProtocolViolated: the frame is not one of our messages.
    """
    try:
        values = json.loads(frame)
        name = values.pop("type")
        for (owner, key), enum in _ENUMS.items():
            if owner == name and values.get(key) is not None:
                values[key] = enum(values[key])
        if "superseded" in values:
            values["superseded"] = tuple(map(str, values["superseded"]))
        if values.get("decisive") is not None:
            values["decisive"] = tuple(map(int, values["decisive"]))
        _check(values)
        message: ToWorker | FromWorker = _TYPES[name](**values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolViolated(frame) from error
    return message


def _check(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if not isinstance(value, _KINDS[name]):
            raise TypeError(name)
    if not all(isinstance(value, int | float) for value in values.get("metrics", {}).values()):
        raise TypeError("metrics")
    if not 0 <= values.get("done", 0) <= values.get("total", 1) or values.get("total") == 0:
        raise ValueError("done")

"""What a program sees of its attempt: a context to speak through, and the outcome it returns."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from tuner.protocol import (
    FromWorker,
    Judged,
    Noted,
    Progressed,
    Reported,
    Saved,
    StartAttempt,
    StopAttempt,
    Suggest,
    Suggested,
    ToWorker,
    Verdict,
)
from tuner.states import AttemptState, Reason

if TYPE_CHECKING:
    from tuner.shared_lanes import SharedLanes

#: Reports that may be ahead of the scheduler where nothing depends on its verdict.
MOST_UNANSWERED: Final = 8
#: In which state an attempt ends that was stopped for this reason; failed for all others.
_STOPPED_STATES: Mapping[Reason, AttemptState] = {
    Reason.PREEMPTED: AttemptState.PREEMPTED,
    Reason.CANCELLED: AttemptState.CANCELLED,
    Reason.PRUNED: AttemptState.PRUNED,
}


class Transport(Protocol):
    """Carries messages between a program and the scheduler, in order."""

    def send(self, message: FromWorker) -> None:
        """Send one message; `ChannelClosed` when nobody listens any more."""

    def receive(self) -> ToWorker | FromWorker:
        """Wait for the next message; `ChannelClosed` when none can come any more."""

    def receive_now(self) -> ToWorker | FromWorker | None:
        """The next message if it is there, without waiting; `ChannelClosed` as in `receive`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended, in its program's own words."""

    state: AttemptState
    #: The objective's value; finite where the attempt succeeded.
    value: float | None = None
    #: The values of an objective with several; `value` is None then.
    values: tuple[float, ...] | None = None
    reason: Reason | None = None
    detail: str | None = None
    #: What the program found out; plain JSON.
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def succeeded(cls, value: float, facts: Mapping[str, Any] | None = None) -> Self:
        """The attempt has its value; one that is NaN or infinite makes it a failure."""
        if not math.isfinite(value):
            return cls.failed(Reason.NAN, f"The value is {value}.", facts)
        return cls(state=AttemptState.SUCCEEDED, value=float(value), facts=facts or {})

    @classmethod
    def succeeded_with(cls, values: Sequence[float]) -> Self:
        """The attempt has its values; one that is NaN or infinite makes it a failure."""
        if not all(map(math.isfinite, values)):
            return cls.failed(Reason.NAN, f"The values are {', '.join(map(str, values))}.")
        return cls(state=AttemptState.SUCCEEDED, values=tuple(map(float, values)))

    @classmethod
    def pruned(cls, value: float | None = None, facts: Mapping[str, Any] | None = None) -> Self:
        """The verdict was to end early; `value` is the last one reported."""
        return cls(state=AttemptState.PRUNED, value=value, reason=Reason.PRUNED, facts=facts or {})

    @classmethod
    def failed(cls, reason: Reason, detail: str, facts: Mapping[str, Any] | None = None) -> Self:
        """The attempt has no value, for a reason the program knows."""
        return cls(state=AttemptState.FAILED, reason=reason, detail=detail, facts=facts or {})

    @classmethod
    def stopped(
        cls,
        reason: Reason,
        value: float | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Self:
        """The scheduler asked to stop, for the reason in `Context.stop_reason`."""
        state = _STOPPED_STATES.get(reason, AttemptState.FAILED)
        return cls(state=state, value=value, reason=reason, facts=facts or {})


class Context:
    """One attempt's line to the scheduler. Not thread-safe: the program's own thread uses it."""

    def __init__(
        self,
        order: StartAttempt,
        transport: Transport,
        *,
        scratch: Path,
        device: str,
        lanes: "SharedLanes | None" = None,
    ) -> None:
        self.attempt = order.attempt
        #: What it shares with the worker's other attempts; None where it has the worker alone.
        self.lanes = lanes
        #: CPU threads the program may use.
        self.threads = order.threads
        #: How many GPUs it may use.
        self.gpus = len(order.gpus)
        #: ``cpu`` or ``cuda:0``, as PyTorch names it in this process.
        self.device = device
        #: A folder of the attempt's own, removed after it.
        self.scratch = scratch
        #: Why the scheduler asked to stop, None while it has not.
        self.stop_reason: Reason | None = None
        self._transport = transport
        self._decisive = order.decisive
        #: What holds from now on.
        self._so_far = Verdict.CONTINUE
        #: Steps reported whose verdict has not come.
        self._unanswered: set[int] = set()

    def report(self, step: int, metrics: Mapping[str, float]) -> None:
        """Send the metrics of `step`, counted upwards, and go on at once; ask `verdict` later."""
        numbers = {str(name): float(value) for name, value in metrics.items()}
        self._unanswered.add(int(step))
        self._transport.send(Reported(attempt=self.attempt, step=int(step), metrics=numbers))

    def verdict(self, step: int) -> Verdict:
        """The answer to the report of `step`, waited for where it may be to end the trial.

        Elsewhere `CONTINUE` at once, unless more was said already, or so much was reported that
        the scheduler is far behind. `PRUNE` and `STOP` hold from then on; to stop is for the
        reason in `stop_reason`.
        """
        decisive = self._decisive is None or step in self._decisive
        most = 0 if decisive else MOST_UNANSWERED
        while self._so_far is Verdict.CONTINUE and len(self._unanswered) > most:
            self._heed(self._transport.receive())
        return self._so_far if decisive else self._heard()

    def suggest(self, name: str, distribution: str) -> Suggested:
        """What the parameter `name` is to be, waited for.

        `distribution` is Optuna's JSON of one. It is answered once the scheduler has asked to stop,
        too; see `stop_reason`.
        """
        question = Suggest(attempt=self.attempt, name=name, distribution=distribution)
        self._transport.send(question)
        while True:
            message = self._transport.receive()
            if isinstance(message, Suggested):
                return message
            self._heed(message)

    def note(
        self,
        *,
        user_attrs: Mapping[str, Any] | None = None,
        constraints: Mapping[str, float] | None = None,
    ) -> None:
        """Have the scheduler keep what is to be known of the trial; plain JSON."""
        self._transport.send(
            Noted(
                attempt=self.attempt,
                user_attrs=dict(user_attrs or {}),
                constraints=dict(constraints or {}),
            )
        )

    def heed(self) -> Verdict:
        """What follows from all that was said by now, without waiting; see `stop_reason`, too."""
        return self._heard()

    def progress(self, step: int, done: int, total: int, metrics: Mapping[str, float]) -> Verdict:
        """Say that `done` of `total` parts of the way to the report of `step` lie behind.

        To be called every second or so while it takes long: the scheduler ends an attempt that it
        hears nothing new of. Waits for nothing. `STOP` once the scheduler has asked to stop.
        """
        numbers = {str(name): float(value) for name, value in metrics.items()}
        self._transport.send(
            Progressed(attempt=self.attempt, step=step, done=done, total=total, metrics=numbers)
        )
        return self._heard()

    def _heard(self) -> Verdict:
        """What follows from all that was said by now."""
        while self._so_far is Verdict.CONTINUE:
            message = self._transport.receive_now()
            if message is None:
                break
            self._heed(message)
        return self._so_far

    def _heed(self, message: ToWorker | FromWorker) -> None:
        match message:
            case StopAttempt(attempt=self.attempt, reason=reason):
                self.stop_reason, self._so_far = reason, Verdict.STOP
            case Judged(attempt=self.attempt, step=step, verdict=verdict):
                if step in self._unanswered:
                    self._unanswered.remove(step)
                    self._so_far = verdict

    def saved(
        self, step: int, uri: str, size_bytes: int, *, best: bool, superseded: Iterable[str] = ()
    ) -> None:
        """Announce a complete file at `uri`, in the artifact store.

        A checkpoint of `step` to go on from or, with `best`, the trained network of the best step.
        Of the trial's files those that are `superseded` are removed once this one is on record.
        """
        self._transport.send(
            Saved(
                attempt=self.attempt,
                step=step,
                uri=uri,
                size_bytes=size_bytes,
                best=best,
                superseded=tuple(superseded),
            )
        )

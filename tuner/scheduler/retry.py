"""Which ended attempts are tried again: the one place that knows."""

from dataclasses import dataclass
from datetime import timedelta

from tuner.states import AttemptState, Reason

MAX_COUNTED_ATTEMPTS = 3

_INFRASTRUCTURE = frozenset(
    {
        Reason.WORKER_LOST,
        Reason.CRASHED,
        Reason.OOM_HOST,
        Reason.DISK_FULL,
        Reason.CHECKPOINT_CORRUPT,
        Reason.CUDA_ERROR,
    }
)
_UNCOUNTED = frozenset({Reason.PREEMPTED, Reason.SCHEDULER_LOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Whether a trial runs again, when, and whether the attempt counts against the limit."""

    again: bool
    counted: bool
    after: timedelta = timedelta(0)


def policy(reason: Reason, counted_so_far: int) -> Retry:
    """What becomes of a trial whose attempt ended for `reason`, after `counted_so_far` before it.

    Infrastructure faults are tried up to three times, waiting 0.5 s, then 1 s; preemption is not
    the trial's fault and does not count; what the training code did itself is final.
    """
    if reason in _UNCOUNTED:
        return Retry(again=True, counted=False)
    if reason in _INFRASTRUCTURE:
        again = counted_so_far + 1 < MAX_COUNTED_ATTEMPTS
        return Retry(again=again, counted=True, after=timedelta(seconds=0.5 * 2**counted_so_far))
    return Retry(again=False, counted=True)


def attempt_state_for(reason: Reason) -> AttemptState:
    """The state in which an attempt that ended for `reason` is recorded."""
    match reason:
        case Reason.PRUNED:
            return AttemptState.PRUNED
        case Reason.PREEMPTED:
            return AttemptState.PREEMPTED
        case Reason.CANCELLED:
            return AttemptState.CANCELLED
        case Reason.WORKER_LOST | Reason.SCHEDULER_LOST:
            return AttemptState.LOST
        case _:
            return AttemptState.FAILED

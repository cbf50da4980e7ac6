"""Which ended attempts are tried again: the one place that knows."""

from dataclasses import dataclass
from datetime import timedelta

from tuner.states import AttemptState, Reason

MAX_COUNTED_ATTEMPTS = 3
#: Micro-batches are halved so often before a configuration counts as too large for the GPU.
MAX_HALVINGS = 1

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
    """Whether a trial runs again, when and how, and whether the attempt counts."""

    again: bool
    #: Against the limit of attempts.
    counted: bool
    after: timedelta = timedelta(0)
    #: From now on it learns from half as many rows at once, in the same batches.
    halved: bool = False
    #: For what the trial ends where it does not run again.
    final: Reason


def policy(reason: Reason, counted_so_far: int, halvings: int = 0) -> Retry:
    """What becomes of a trial whose attempt ended for `reason`, after `counted_so_far` before it.

    Its micro-batch had been halved `halvings` times. Infrastructure faults are tried up to three
    times, waiting 0.5 s, then 1 s; preemption is not the trial's fault and does not count; a GPU
    whose memory ran out gets the trial once more with half the micro-batch, which then is too large
    for it; what the training code did itself is final.
    """
    if reason in _UNCOUNTED:
        return Retry(again=True, counted=False, final=reason)
    one_more = counted_so_far + 1 < MAX_COUNTED_ATTEMPTS
    if reason in _INFRASTRUCTURE:
        after = timedelta(seconds=0.5 * 2**counted_so_far)
        return Retry(again=one_more, counted=True, after=after, final=reason)
    if reason is Reason.OOM_GPU and halvings >= MAX_HALVINGS:
        return Retry(again=False, counted=True, final=Reason.INFEASIBLE)
    if reason is Reason.OOM_GPU:
        return Retry(again=one_more, counted=True, halved=True, final=reason)
    return Retry(again=False, counted=True, final=reason)


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

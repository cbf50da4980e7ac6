"""States of jobs, trials and attempts, and the only table of what may follow what."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

S = TypeVar("S", bound=StrEnum)


class JobState(StrEnum):
    """Where a tuning job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TrialState(StrEnum):
    """Where one configuration of a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AttemptState(StrEnum):
    """Where one try to run a trial stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PRUNED = "pruned"
    FAILED = "failed"
    LOST = "lost"
    PREEMPTED = "preempted"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why an attempt ended without a result of its own."""

    WORKER_LOST = "worker_lost"
    CRASHED = "crashed"
    OOM_HOST = "oom_host"
    DISK_FULL = "disk_full"
    CHECKPOINT_CORRUPT = "checkpoint_corrupt"
    PREEMPTED = "preempted"
    SCHEDULER_LOST = "scheduler_lost"
    OOM_GPU = "oom_gpu"
    CUDA_ERROR = "cuda_error"
    NAN = "nan"
    INFEASIBLE = "infeasible"
    TIMEOUT = "timeout"
    NO_PROGRESS = "no_progress"
    USER_ERROR = "user_error"
    NO_RESULT = "no_result"
    CANCELLED = "cancelled"
    PRUNED = "pruned"


class Direction(StrEnum):
    """Whether larger or smaller values of the metric are better."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"

    def better(self, value: float, than: float | None) -> bool:
        """Whether `value` beats `than`; anything beats nothing."""
        if than is None:
            return True
        return value > than if self is Direction.MAXIMIZE else value < than


JOB_NEXT: Final[Mapping[JobState, frozenset[JobState]]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(
        {JobState.PAUSED, JobState.CANCELLING, JobState.SUCCEEDED, JobState.FAILED}
    ),
    JobState.PAUSED: frozenset(
        {JobState.RUNNING, JobState.CANCELLING, JobState.SUCCEEDED, JobState.FAILED}
    ),
    JobState.CANCELLING: frozenset({JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}

TRIAL_NEXT: Final[Mapping[TrialState, frozenset[TrialState]]] = {
    TrialState.QUEUED: frozenset({TrialState.RUNNING, TrialState.CANCELLED}),
    TrialState.RUNNING: frozenset(
        {
            TrialState.COMPLETED,
            TrialState.PRUNED,
            TrialState.FAILED,
            TrialState.CANCELLED,
            TrialState.QUEUED,
            TrialState.PAUSED,
        }
    ),
    TrialState.PAUSED: frozenset({TrialState.QUEUED, TrialState.PRUNED, TrialState.CANCELLED}),
    TrialState.COMPLETED: frozenset(),
    TrialState.PRUNED: frozenset(),
    TrialState.FAILED: frozenset(),
    TrialState.CANCELLED: frozenset(),
}

ATTEMPT_NEXT: Final[Mapping[AttemptState, frozenset[AttemptState]]] = {
    state: frozenset(AttemptState) - {AttemptState.RUNNING}
    if state is AttemptState.RUNNING
    else frozenset()
    for state in AttemptState
}

#: Final states that a larger budget opens again: the one way out of them.
EXTENDABLE: Final = frozenset({JobState.SUCCEEDED, JobState.FAILED})

LIVE_JOBS: Final = frozenset(s for s, nexts in JOB_NEXT.items() if nexts)
LIVE_TRIALS: Final = frozenset(s for s, nexts in TRIAL_NEXT.items() if nexts)


def sources_of(target: S, table: Mapping[S, frozenset[S]]) -> frozenset[S]:
    """The states from which `target` may be entered."""
    return frozenset(state for state, nexts in table.items() if target in nexts)

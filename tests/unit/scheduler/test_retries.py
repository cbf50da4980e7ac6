"""What becomes of a trial, and of a probe, whose attempt ended: again, differently, or never."""

import pytest

from tests.unit.scheduler.world import World, make_job
from tuner.scheduler import commands as c
from tuner.scheduler.retry import MAX_COUNTED_ATTEMPTS, Retry, policy
from tuner.scheduler.state import Attempt
from tuner.slots import Request
from tuner.states import AttemptState, JobState, Reason, TrialState

#: Architecture's table: (tried again after the first time, counted, for what the trial ends).
TABLE = {
    Reason.WORKER_LOST: (True, True, "worker_lost"),
    Reason.CRASHED: (True, True, "crashed"),
    Reason.OOM_HOST: (True, True, "oom_host"),
    Reason.DISK_FULL: (True, True, "disk_full"),
    Reason.CHECKPOINT_CORRUPT: (True, True, "checkpoint_corrupt"),
    Reason.CUDA_ERROR: (True, True, "cuda_error"),
    Reason.OOM_GPU: (True, True, "infeasible"),
    Reason.PREEMPTED: (True, False, None),
    Reason.SCHEDULER_LOST: (True, False, None),
    Reason.NAN: (False, True, "nan"),
    Reason.INFEASIBLE: (False, True, "infeasible"),
    Reason.TIMEOUT: (False, True, "timeout"),
    Reason.NO_PROGRESS: (False, True, "no_progress"),
    Reason.USER_ERROR: (False, True, "user_error"),
    Reason.NO_RESULT: (False, True, "no_result"),
    Reason.CANCELLED: (False, True, "cancelled"),
    Reason.PRUNED: (False, True, "pruned"),
}


@pytest.fixture
def world() -> World:
    return World(cpus=4, gpus=1)


def fail(world: World, attempt: int, reason: Reason, detail: str = "boom") -> None:
    world.end(attempt, AttemptState.FAILED, reason=reason, detail=detail)


def attempt_on(world: World, number: int) -> Attempt:
    return world.state.attempts[world.attempt_of(number)]


def test_every_reason_stands_in_the_table() -> None:
    assert set(TABLE) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_the_policy_follows_the_table_to_the_last_attempt(reason: Reason) -> None:
    again, counted, final = TABLE[reason]
    retry = policy(reason, 0)
    assert (retry.again, retry.counted) == (again, counted)
    tries = [retry]
    while tries[-1].again and tries[-1].counted:
        before = sum(r.counted for r in tries)
        tries.append(policy(reason, before, sum(r.halved for r in tries)))
    assert len(tries) <= MAX_COUNTED_ATTEMPTS
    assert final is None or tries[-1].final == final


def test_memory_of_a_gpu_that_runs_out_halves_the_micro_batch_once_and_then_never_again() -> None:
    first = policy(Reason.OOM_GPU, 0)
    assert first == Retry(again=True, counted=True, halved=True, final=Reason.OOM_GPU)
    second = policy(Reason.OOM_GPU, 1, 1)
    assert second == Retry(again=False, counted=True, final=Reason.INFEASIBLE)


def test_a_halved_micro_batch_stays_halved_whatever_ends_the_attempts_after_it(
    world: World,
) -> None:
    world.begin(make_job(trials=1))
    fail(world, world.attempt_of(0), Reason.OOM_GPU)
    world.lose(world.attempt_of(0))
    world.pass_time(seconds=5)
    trial = attempt_on(world, 0).trial
    assert trial is not None
    assert (trial.attempts, trial.counted, trial.halvings) == (2, 2, 1)


def test_a_trial_without_room_on_the_gpu_is_infeasible_and_the_sampler_is_told(
    world: World,
) -> None:
    world.begin(make_job(trials=2))
    fail(world, world.attempt_of(0), Reason.OOM_GPU, "no room")
    assert not world.told
    assert ("trial_retried", 0) in {(kind, number) for _, kind, number in world.events}
    fail(world, world.attempt_of(0), Reason.OOM_GPU, "no room, again")
    assert world.trials_in(TrialState.FAILED) == [0]
    assert world.told == [c.Tell(job=1, number=0, state=TrialState.FAILED, infeasible=True)]
    reasons = [end.reason for end in world.ends.values() if end.reason]
    assert reasons == [Reason.OOM_GPU, Reason.OOM_GPU], "of the attempts"


def test_any_other_failure_is_no_constraint(world: World) -> None:
    world.begin(make_job(trials=2))
    fail(world, world.attempt_of(0), Reason.NAN)
    assert world.told == [c.Tell(job=1, number=0, state=TrialState.FAILED)]


def test_configurations_without_room_are_no_poison_as_long_as_others_succeed(world: World) -> None:
    world.begin(make_job(trials=20, parallel=1))
    world.complete(world.attempt_of(0), 0.5)
    for number in range(1, 12):
        world.propose_all()
        for _ in range(2):
            fail(world, world.attempt_of(number), Reason.OOM_GPU, "no room")
    assert world.jobs[1] is JobState.RUNNING
    assert len(world.trials_in(TrialState.FAILED)) == 11


def test_a_job_of_nothing_but_configurations_without_room_is_hopeless(world: World) -> None:
    world.begin(make_job(trials=20, parallel=1))
    for number in range(10):
        world.propose_all()
        for _ in range(2):
            fail(world, world.attempt_of(number), Reason.OOM_GPU, "no room")
    assert world.jobs[1] is JobState.FAILED
    detail = "All of the first 10 trials failed; the last: infeasible: no room"
    assert world.reasons[1] == ("poison", detail)


def test_a_probe_that_always_crashes_fails_its_job_after_three_attempts(world: World) -> None:
    world.submit(make_job())
    ordinals = []
    for _ in range(3):
        (attempt,) = world.running()
        ordinals.append(world.state.jobs[1].probe.attempts + 1)
        world.lose(attempt, Reason.CRASHED)
        assert not world.running(), "it waits before it is tried again"
        world.pass_time(seconds=60)
    assert ordinals == [1, 2, 3]
    assert world.jobs[1] is JobState.FAILED
    assert world.reasons[1] == ("crashed", "The probe failed: gone")


def test_a_probe_that_is_preempted_is_not_counted(world: World) -> None:
    world.submit(make_job())
    for _ in range(5):
        (attempt,) = world.running()
        world.end(attempt, AttemptState.PREEMPTED, reason=Reason.PREEMPTED)
    assert len(world.running()) == 1
    assert world.state.jobs[1].probe.counted == 0


def test_a_probe_without_room_is_tried_with_half_the_micro_batch_and_then_fails_its_job(
    world: World,
) -> None:
    world.submit(make_job(request=Request(cpus=1, gpus=1)))
    fail(world, min(world.running()), Reason.OOM_GPU)
    assert world.state.jobs[1].probe.halvings == 1
    fail(world, min(world.running()), Reason.OOM_GPU, "no room")
    assert world.reasons[1] == ("infeasible", "The probe failed: no room")

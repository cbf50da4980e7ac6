"""A device that errs again and again is out of use for a while; one error is the training's."""

import pytest

from tests.unit.scheduler.world import World, make_job
from tuner.scheduler.quarantine import MOST_CUDA_ERRORS, QUARANTINE
from tuner.slots import Device, Request
from tuner.states import AttemptState, JobState, Reason

ON_GPU = Request(cpus=1, gpus=1)


@pytest.fixture
def world() -> World:
    world = World(cpus=4, gpus=1)
    world.begin(make_job(trials=50, request=ON_GPU, parallel=1))
    return world


def gpu(world: World) -> Device:
    return world.state.inventory.devices[1]


def err(world: World, reason: Reason = Reason.CUDA_ERROR) -> None:
    """The attempt under way ends for `reason`; what comes next has its back-off behind it."""
    world.propose_all()
    world.end(min(world.running()), AttemptState.FAILED, reason=reason, detail="device assert")
    world.pass_time(seconds=5)


def test_three_cuda_errors_in_a_row_take_the_device_out_of_use(world: World) -> None:
    for _ in range(MOST_CUDA_ERRORS - 1):
        err(world)
    assert world.running(), "a fresh process on the same device"
    err(world)
    world.propose_all()
    assert not world.running()
    assert gpu(world).quarantined_until is not None
    assert world.kinds().count("device_quarantined") == 1
    assert world.jobs[1] is JobState.RUNNING, "it waits, as for a device that is taken"


def test_the_device_is_back_after_its_time_and_begins_anew(world: World) -> None:
    for _ in range(MOST_CUDA_ERRORS):
        err(world)
    world.propose_all()
    world.pass_time(seconds=QUARANTINE.total_seconds() - 10)
    assert not world.running()
    world.pass_time(seconds=10)
    assert world.running()
    assert (gpu(world).cuda_errors, gpu(world).quarantined_until) == (0, None)
    assert world.kinds().count("device_back") == 1


def test_an_attempt_that_ends_well_clears_the_device(world: World) -> None:
    for _ in range(2 * MOST_CUDA_ERRORS):
        err(world)
        world.propose_all()
        world.complete(min(world.running()), 0.5)
    assert gpu(world).quarantined_until is None


@pytest.mark.parametrize("reason", [Reason.USER_ERROR, Reason.NAN])
def test_other_failures_say_nothing_about_the_device(world: World, reason: Reason) -> None:
    err(world)
    for count in range(4):
        world.propose_all()
        world.end(min(world.running()), AttemptState.FAILED, reason=reason, detail=str(count))
        world.pass_time(seconds=5)
    assert gpu(world).cuda_errors == 1


def test_another_device_and_trials_without_one_go_on() -> None:
    world = World(cpus=4, gpus=2)
    world.begin(make_job(trials=50, request=ON_GPU, parallel=1))
    for _ in range(MOST_CUDA_ERRORS):
        err(world)
    world.propose_all()
    assert [a.slot.device for a in world.state.attempts.values()] == ["cuda:1"]
    world.submit(make_job(2))
    assert len(world.running()) == 2


def test_a_clock_that_is_set_neither_ends_nor_lengthens_a_quarantine(world: World) -> None:
    for _ in range(MOST_CUDA_ERRORS):
        err(world)
    for hours in (24, -48):
        world.set_clock(hours=hours)
        world.pass_time(seconds=0)
        assert gpu(world).quarantined_until is not None
    world.pass_time(seconds=QUARANTINE.total_seconds())
    assert gpu(world).quarantined_until is None

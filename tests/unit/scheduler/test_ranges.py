"""A job whose ranges nobody knows waits for its probe, and goes on by the plan that amends."""

from tests.unit.scheduler.world import FOUND, World, make_job
from tuner.protocol import Ended
from tuner.scheduler import commands as c
from tuner.scheduler import events as e
from tuner.scheduler.core import step
from tuner.scheduler.state import Point
from tuner.states import AttemptState, JobState, Reason, TrialState

UNKNOWN = ("lr",)
POINTS = (
    Point(params={"lr": 0.1, "depth": 2}, source="default"),
    Point(params={"lr": 7.0}, source="start"),
)


def test_nothing_is_asked_for_before_the_ranges_are_found(world: World) -> None:
    world.submit(make_job(unknown=UNKNOWN))
    world.pass_time(seconds=60)
    assert world.asked == {}
    world.pass_probe()
    assert set(world.asked) == {1}


def test_trial_0_is_the_amended_plans_and_other_points_stay(world: World) -> None:
    world.submit(make_job(unknown=UNKNOWN, points=POINTS, trials=2))
    world.pass_probe()
    assert list(world.plans) == [1]
    assert world.asked[1].point == Point(params=FOUND, source="default")
    world.propose()
    assert world.asked[1].point == POINTS[1]
    assert "probed" in world.kinds()


def test_a_probe_that_is_lost_amends_nothing_and_the_next_one_does(world: World) -> None:
    world.submit(make_job(unknown=UNKNOWN))
    world.lose(next(iter(world.running())))
    world.pass_time(seconds=60)
    assert (world.plans, world.asked) == ({}, {})
    world.pass_probe()
    assert list(world.plans) == [1]


def test_a_probe_that_fails_ends_the_job_with_the_plan_it_had(world: World) -> None:
    world.submit(make_job(unknown=UNKNOWN))
    attempt = next(iter(world.running()))
    world.end(attempt, AttemptState.FAILED, reason=Reason.USER_ERROR, detail="no such module")
    assert world.plans == {}
    assert world.jobs[1] is JobState.FAILED


def test_a_probe_that_passes_without_a_word_on_ranges_keeps_nobody_waiting(world: World) -> None:
    world.submit(make_job(unknown=UNKNOWN))
    attempt = next(iter(world.running()))
    ended = Ended(attempt=attempt, state=AttemptState.SUCCEEDED, value=0.0)
    _state, commands = step(world.state, ended, world.now)
    assert [command.job for command in commands if isinstance(command, c.Ask)] == [1]
    assert not [command for command in commands if isinstance(command, c.AmendPlan)]


def test_ranges_of_a_probe_that_is_over_change_nothing(world: World) -> None:
    world.submit(make_job(unknown=UNKNOWN))
    attempt = next(iter(world.running()))
    world.request(e.Cancel)
    world.bury_killed()
    ended = Ended(attempt=attempt, state=AttemptState.SUCCEEDED, value=0.0)
    world.tell(e.Ranged(ended=ended, plan={"by": attempt}, default=FOUND))
    assert world.plans == {}
    assert world.jobs[1] is JobState.CANCELLED


def test_a_scheduler_that_starts_after_the_probe_goes_by_the_amended_plan(world: World) -> None:
    world.submit(make_job(unknown=UNKNOWN))
    world.restart()
    world.pass_time(seconds=60)
    assert world.asked == {}, "the plan is the old one, and no probe has passed"
    world.pass_probe()
    world.restart()
    ask = world.asked[1]
    assert ask.point is not None
    assert ask.point.params == FOUND
    world.propose_all()
    assert world.trials_in(TrialState.RUNNING) != []

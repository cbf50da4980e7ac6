"""What an objective asks and notes while its trial runs, as the core sees it."""

import math

import pytest

from tests.unit.scheduler.world import World, make_job
from tuner.protocol import Suggested
from tuner.scheduler import events as e
from tuner.states import AttemptState, Reason, TrialState


def test_a_value_goes_to_the_worker_and_into_the_record(world: World) -> None:
    world.begin(make_job(points=(), trials=1))
    attempt = world.attempt_of(0)
    world.draw(attempt, lr=0.1)
    world.draw(attempt, lr=0.1, depth=3)
    assert world.suggested == [
        Suggested(attempt=attempt, name="lr", value=0.1),
        Suggested(attempt=attempt, name="depth", value=3),
    ]
    world.lose(attempt)
    world.pass_time(seconds=60)
    again = world.attempt_of(0)
    trial = world.state.attempts[again].trial
    assert trial is not None
    assert trial.params == {"lr": 0.1, "depth": 3}, "the parameters are the trial's"


def test_an_objective_hears_what_is_wrong_with_its_question(world: World) -> None:
    world.begin(make_job(points=()))
    attempt = world.attempt_of(0)
    world.draw(attempt, error="ValueError: two kinds")
    assert world.suggested[-1].error == "ValueError: two kinds"
    trial = world.state.attempts[attempt].trial
    assert trial is not None
    assert "x" not in trial.params


def test_a_question_is_progress(world: World) -> None:
    world.begin(make_job(points=(), no_progress_seconds=60.0))
    attempt = world.attempt_of(0)
    world.pass_time(seconds=50)
    world.draw(attempt, lr=0.1)
    world.pass_time(seconds=50)
    assert attempt in world.running()
    assert attempt not in world.stops


def test_what_is_noted_is_recorded(world: World) -> None:
    world.begin(make_job(points=()))
    attempt = world.attempt_of(0)
    world.tell(e.Remarked(attempt=attempt, user_attrs={"size": 3}, system_attrs={}))
    assert world.remarks == {0: {"size": 3}}


def test_what_comes_for_an_attempt_that_is_over_changes_nothing(world: World) -> None:
    world.begin(make_job(points=()))
    attempt = world.attempt_of(0)
    world.complete(attempt, 0.5)
    world.draw(attempt, lr=0.1)
    world.tell(e.Remarked(attempt=attempt, user_attrs={"size": 3}, system_attrs={}))
    assert world.suggested == []
    assert world.remarks == {}


def test_several_values_complete_a_trial_that_is_nobodys_best(world: World) -> None:
    world.begin(make_job(points=()))
    attempt = world.attempt_of(0)
    world.end(attempt, AttemptState.SUCCEEDED, values=(1.0, 2.0))
    assert world.trials_in(TrialState.COMPLETED) == [0]
    assert (world.told[-1].value, world.told[-1].values) == (None, (1.0, 2.0))
    assert world.state.jobs[1].best_number is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_value_among_several_that_is_not_finite_is_a_failure(world: World, bad: float) -> None:
    world.begin(make_job(points=()))
    attempt = world.attempt_of(0)
    world.end(attempt, AttemptState.SUCCEEDED, values=(1.0, bad))
    assert world.trials_in(TrialState.FAILED) == [0]
    assert world.ends[attempt].reason is Reason.NAN

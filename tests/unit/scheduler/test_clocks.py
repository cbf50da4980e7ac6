"""The clocks of the scheduler's core: progress, the limits of a trial, and what is said of them."""

from datetime import timedelta

import pytest

from tests.unit.scheduler.world import World, make_job, with_budget
from tuner.scheduler import events as e
from tuner.states import JobState, Reason, TrialState


def test_progress_within_an_epoch_keeps_an_attempt_alive(world: World) -> None:
    world.begin(make_job(no_progress_seconds=300.0))
    attempt = world.attempt_of(0)
    for done in range(1, 10):
        world.pass_time(minutes=4)
        world.progress_to(attempt, 1, done)
    assert attempt in world.workers
    world.pass_time(minutes=6)
    assert attempt not in world.workers


def test_to_say_the_same_again_is_no_progress(world: World) -> None:
    world.begin(make_job(no_progress_seconds=300.0))
    attempt = world.attempt_of(0)
    for _ in range(3):
        world.pass_time(minutes=2)
        world.progress_to(attempt, 1, 50)
    assert attempt in world.workers, "it came to 50 four minutes ago"
    world.pass_time(minutes=2)
    assert attempt not in world.workers


def test_to_go_through_a_step_again_that_was_reported_is_no_progress(world: World) -> None:
    world.begin(make_job(no_progress_seconds=300.0))
    attempt = world.attempt_of(0)
    world.report(attempt, 2, 0.5)
    world.pass_time(minutes=4)
    world.progress_to(attempt, 2, 99)
    world.pass_time(minutes=2)
    assert attempt not in world.workers


def test_an_attempt_without_progress_ends_for_it_and_says_where_it_was(world: World) -> None:
    world.begin(make_job(parallel=1, no_progress_seconds=300.0))
    attempt = world.attempt_of(0)
    world.report(attempt, 2, 0.5)
    world.progress_to(attempt, 3, 42)
    world.pass_time(minutes=6)
    world.bury_killed()
    end = world.ends[attempt]
    assert end.reason is Reason.NO_PROGRESS
    assert end.detail == (
        "It made no progress for limits.no_progress_minutes = 5.\n"
        "The last heard of it: 42 of 100 on the way to step 3."
    )
    assert world.trials_in(TrialState.FAILED) == [0]


@pytest.mark.parametrize(("reported", "heard"), [(0, "nothing"), (4, "step 4")])
def test_an_attempt_that_takes_too_long_says_how_far_it_came(
    world: World, reported: int, heard: str
) -> None:
    world.begin(make_job(trial_seconds=90.0))
    attempt = world.attempt_of(0)
    if reported:
        world.report(attempt, reported, 0.5)
    world.pass_time(seconds=91)
    world.bury_killed()
    end = world.ends[attempt]
    assert end.reason is Reason.TIMEOUT
    assert end.detail == (
        f"It took longer than limits.trial_minutes = 1.5.\nThe last heard of it: {heard}."
    )


def test_progress_is_recorded_every_ten_seconds_and_not_more_often(world: World) -> None:
    world.begin(make_job())
    attempt = world.attempt_of(0)
    for done in range(1, 31):
        world.pass_time(seconds=1)
        world.progress_to(attempt, 1, done)
    assert [place.done for _, place in world.progress] == [10, 20, 30]


def test_of_epochs_shorter_than_that_no_progress_is_recorded(world: World) -> None:
    world.begin(make_job(trials=1))
    attempt = world.attempt_of(0)
    for epoch in range(1, 6):
        for done in (30, 60, 90):
            world.pass_time(seconds=3)
            world.progress_to(attempt, epoch, done)
        world.report(attempt, epoch, 0.5)
    assert world.progress == []


def test_progress_of_an_attempt_that_is_over_changes_nothing(world: World) -> None:
    world.begin(make_job())
    attempt = world.attempt_of(0)
    world.lose(attempt)
    attempts = world.state.attempts
    world.progress_to(attempt, 1, 50)
    assert world.state.attempts == attempts


def test_an_attempt_told_to_stop_has_its_grace_though_it_goes_on(world: World) -> None:
    world.begin(make_job(parallel=1))
    attempt = world.attempt_of(0)
    world.request(e.Pause)
    for done in range(1, 30):
        world.pass_time(seconds=1)
        world.progress_to(attempt, 1, done)
    assert attempt in world.workers
    world.pass_time(seconds=1)
    assert attempt not in world.workers
    world.bury_killed()
    assert world.ends[attempt].reason is Reason.PREEMPTED
    assert 0 in world.trials_in(TrialState.QUEUED)
    assert world.jobs[1] is JobState.PAUSED


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_is_set_ends_nothing_and_makes_nothing_wait(world: World, days: int) -> None:
    world.begin(
        with_budget(make_job(trial_seconds=600.0, no_progress_seconds=300.0, trials=50), hours=1)
    )
    attempt = world.attempt_of(0)
    world.pass_time(minutes=4)
    world.set_clock(days=days)
    world.pass_time(seconds=30)
    assert attempt in world.workers
    assert world.jobs[1] is JobState.RUNNING
    assert world.state.jobs[1].elapsed(world.now) == 270.0
    world.pass_time(seconds=31)
    assert attempt not in world.workers, "five minutes have passed, and no more"


@pytest.mark.parametrize("days", [1, -1])
def test_a_retry_waits_no_longer_where_the_clock_is_set(world: World, days: int) -> None:
    world.begin(make_job(trials=1))
    world.lose(world.attempt_of(0))
    world.set_clock(days=days)
    world.pass_time(seconds=0.4)
    assert not world.running()
    world.pass_time(seconds=0.2)
    assert world.attempt_of(0)


@pytest.mark.parametrize("days", [1, -1])
def test_the_time_to_stop_in_is_as_long_where_the_clock_is_set(world: World, days: int) -> None:
    world.begin(make_job(parallel=1))
    attempt = world.attempt_of(0)
    world.request(e.Pause)
    world.set_clock(days=days)
    world.pass_time(seconds=29)
    assert attempt in world.workers
    world.pass_time(seconds=1)
    assert attempt not in world.workers


def test_the_attempts_of_a_trial_share_its_time_and_waiting_is_not_counted(world: World) -> None:
    world.begin(make_job(trials=1, trial_seconds=600.0))
    world.pass_time(minutes=6)
    world.request(e.Pause)
    world.obey_stops()
    world.pass_time(hours=3)
    world.request(e.Resume)
    second = world.attempt_of(0)
    world.pass_time(minutes=4)
    assert second in world.workers
    world.pass_time(seconds=1)
    assert second not in world.workers
    world.bury_killed()
    assert world.ends[second].reason is Reason.TIMEOUT


def test_an_attempt_of_a_lost_scheduler_ended_with_its_last_beat(world: World) -> None:
    world.begin(make_job(trials=1, trial_seconds=600.0))
    lost, began = world.attempt_of(0), world.now
    busy = world.state.jobs[1].busy_seconds
    world.now += timedelta(hours=8)
    world.workers.clear()
    beat = began + timedelta(minutes=2)
    world.tell(e.SchedulerLost(attempts=(lost,), last_beat=beat))
    assert world.ends[lost].now == beat
    assert world.state.jobs[1].busy_seconds == busy + 120
    assert world.attempt_of(0), "it has eight minutes left"
    world.pass_time(minutes=8)
    assert world.attempt_of(0) in world.workers


def test_an_attempt_begun_after_the_last_beat_took_no_time(world: World) -> None:
    world.begin(make_job(trials=1))
    lost, began = world.attempt_of(0), world.now
    world.now += timedelta(hours=8)
    world.workers.clear()
    beat = began - timedelta(seconds=1)
    world.tell(e.SchedulerLost(attempts=(lost,), last_beat=beat))
    assert world.ends[lost].now == began

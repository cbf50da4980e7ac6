"""The scheduler's core, one behaviour at a time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.scheduler.world import START, World, make_job, with_budget
from tuner.protocol import Saved, Verdict
from tuner.scheduler import events as e
from tuner.scheduler.commands import RecordEvent
from tuner.scheduler.core import step
from tuner.scheduler.retry import policy
from tuner.slots import Request
from tuner.states import AttemptState, JobState, Reason, TrialState


def drive(world: World, job: int = 1, value: float = 0.5) -> None:
    """Let the job run to its end, every trial completing."""
    while world.jobs[job] in (JobState.QUEUED, JobState.RUNNING):
        world.propose_all()
        attempt = next(a for a, owner in world.running().items() if owner[0] == job)
        world.complete(attempt, value)


def test_a_job_is_probed_before_its_first_trial_starts(world: World) -> None:
    world.submit(make_job())
    world.propose_all()
    assert world.running() == {1: (1, None)}
    world.pass_probe()
    assert sorted(world.running().values()) == [(1, 0)]


def test_users_see_how_a_trial_was_proposed(world: World) -> None:
    world.submit(make_job())
    proposed = e.Proposed(job=1, number=0, params={}, system_attrs={})
    queued = []
    for event in (proposed, replace(proposed, how="by a model")):
        _, commands = step(world.state, event, world.now)
        queued += [c.data for c in commands if isinstance(c, RecordEvent)]
    assert queued == [{"params": {}}, {"params": {}, "how": "by a model"}]


def test_trial_0_is_the_default_configuration(world: World) -> None:
    world.submit(make_job())
    assert world.asked[1].point is not None
    assert world.asked[1].point.params == {"lr": 0.1}


def test_a_failed_probe_fails_the_job_and_cancels_what_was_asked_ahead(world: World) -> None:
    world.submit(make_job())
    world.propose_all()
    world.end(1, AttemptState.FAILED, reason=Reason.USER_ERROR, detail="no such file")
    assert world.jobs[1] is JobState.FAILED
    assert world.reasons[1] == ("user_error", "The probe failed: no such file")
    assert world.trials_in(TrialState.CANCELLED) == [0]


def test_a_budget_is_used_exactly(world: World) -> None:
    world.begin(make_job(trials=7))
    drive(world)
    assert world.trials_in(TrialState.COMPLETED) == list(range(7))
    assert world.jobs[1] is JobState.SUCCEEDED


def test_no_more_trials_run_at_once_than_parallel_allows(world: World) -> None:
    world.begin(make_job(parallel=1))
    world.propose_all()
    assert len(world.running()) == 1


def test_a_proposal_is_asked_for_while_all_slots_are_busy(world: World) -> None:
    world.begin(make_job())
    world.propose_all()
    assert len(world.running()) == 2
    assert len(world.trials_in(TrialState.QUEUED)) == 1
    assert not world.asked


def test_a_pruned_trial_is_told_with_its_last_value(world: World) -> None:
    world.begin(make_job())
    attempt = world.attempt_of(0)
    world.report(attempt, 1, 0.3, prune=True)
    assert world.verdicts[-1] == (attempt, 1, Verdict.PRUNE)
    world.end(attempt, AttemptState.PRUNED, reason=Reason.PRUNED)
    assert world.told[-1].value == 0.3
    assert world.trials_in(TrialState.PRUNED) == [0]


def test_a_lost_attempt_returns_its_trial_to_the_front_of_the_queue(world: World) -> None:
    world.begin(make_job())
    world.propose_all()
    world.lose(world.attempt_of(0))
    assert 0 in world.trials_in(TrialState.QUEUED)
    world.pass_time(seconds=1)
    world.complete(world.attempt_of(1), 0.5)
    assert world.attempt_of(0) == max(world.running()), "after its back-off it goes first"


def test_a_trial_that_always_loses_its_worker_fails_after_three_attempts(world: World) -> None:
    world.begin(make_job(trials=1))
    for _ in range(3):
        world.lose(world.attempt_of(0), Reason.CRASHED)
        world.pass_time(seconds=60)
    assert world.trials_in(TrialState.FAILED) == [0]
    assert sum(owner == (1, 0) for owner in world.owners.values()) == 3


def test_a_late_word_of_a_lost_worker_changes_nothing(world: World) -> None:
    world.begin(make_job())
    lost = world.attempt_of(0)
    world.lose(lost)
    before = world.state
    world.complete(lost, 0.99)
    world.report(lost, 2, 0.99)
    assert world.state.jobs == before.jobs


@pytest.mark.parametrize(
    ("value", "reason"), [(float("nan"), "nan"), (float("inf"), "nan"), (None, "no_result")]
)
def test_a_result_that_is_no_finite_number_fails_its_trial(
    world: World, value: float | None, reason: str
) -> None:
    world.begin(make_job())
    world.end(world.attempt_of(0), AttemptState.SUCCEEDED, value=value)
    assert world.trials_in(TrialState.FAILED) == [0]
    assert world.state.jobs[1].last_failure is not None
    assert world.state.jobs[1].last_failure.startswith(reason)


def test_five_failures_alike_fail_the_job_as_poison(world: World) -> None:
    world.begin(make_job(trials=50))
    while world.jobs[1] is JobState.RUNNING and world.running():
        world.propose_all()
        attempt = min(world.running())
        world.end(attempt, AttemptState.FAILED, reason=Reason.USER_ERROR, detail="boom")
        world.obey_stops()
    assert world.jobs[1] is JobState.FAILED
    assert world.reasons[1][0] == "poison"
    assert "5 trials in a row failed alike: user_error: boom" in str(world.reasons[1][1])


def test_failures_that_differ_in_numbers_are_alike(world: World) -> None:
    world.begin(make_job(trials=50))
    for process, rate in enumerate((1.5, 2, 0.03, 1e-05, 4.5e-07)):
        world.propose_all()
        detail = f"lr = {rate} of process {process} is too much"
        world.end(min(world.running()), AttemptState.FAILED, reason=Reason.NAN, detail=detail)
    world.obey_stops()
    assert world.reasons[1][0] == "poison"
    assert str(world.reasons[1][1]).endswith("nan: lr = 4.5e-07 of process 4 is too much")


def test_ten_different_failures_without_a_success_fail_the_job(world: World) -> None:
    world.begin(make_job(trials=50))
    for count in range(10):
        world.propose_all()
        attempt, detail = min(world.running()), f"boom{'!' * count}"
        world.end(attempt, AttemptState.FAILED, reason=Reason.USER_ERROR, detail=detail)
    world.obey_stops()
    assert world.jobs[1] is JobState.FAILED
    assert "All of the first 10 trials failed" in str(world.reasons[1][1])


def test_a_job_without_a_completed_trial_fails_at_the_end_of_its_budget(world: World) -> None:
    world.begin(make_job(trials=1))
    world.end(world.attempt_of(0), AttemptState.FAILED, reason=Reason.NAN, detail="nan")
    assert world.jobs[1] is JobState.FAILED


def test_a_target_reached_ends_the_job_and_stops_what_runs(world: World) -> None:
    world.begin(with_budget(make_job(trials=50), target=0.9))
    world.propose_all()
    world.complete(world.attempt_of(0), 0.95)
    assert world.jobs[1] is JobState.RUNNING, "its other trial is still ending"
    world.obey_stops()
    assert world.jobs[1] is JobState.SUCCEEDED
    assert world.trials_in(TrialState.COMPLETED) == [0]
    assert "target 0.9 reached" in str(world.reasons[1][1])


def test_of_equal_trials_the_lower_number_is_the_best(world: World) -> None:
    world.begin(make_job())
    world.propose_all()
    world.complete(world.attempt_of(1), 0.5)
    world.complete(world.attempt_of(0), 0.5)
    assert world.state.jobs[1].best_number == 0
    assert world.kinds().count("best_improved") == 1


def test_patience_counts_trials_without_a_better_value(world: World) -> None:
    world.begin(with_budget(make_job(trials=50, parallel=1), patience=3))
    for value in (0.5, 0.6, 0.6, 0.4, 0.5):
        world.propose_all()
        world.complete(min(world.running()), value)
    assert world.jobs[1] is JobState.SUCCEEDED
    assert len(world.trials_in(TrialState.COMPLETED)) == 5


def test_hours_count_running_time_only(world: World) -> None:
    world.begin(with_budget(make_job(trials=50, no_progress_seconds=1e9), hours=1))
    world.complete(world.attempt_of(0), 0.5)
    world.pass_time(minutes=50)
    world.request(e.Pause)
    world.obey_stops()
    world.pass_time(hours=5)
    assert world.jobs[1] is JobState.PAUSED
    world.request(e.Resume)
    world.pass_time(minutes=9)
    assert world.jobs[1] is JobState.RUNNING
    world.pass_time(minutes=2)
    world.obey_stops()
    assert world.jobs[1] is JobState.SUCCEEDED


def test_pausing_preempts_and_resuming_continues_the_same_trials(world: World) -> None:
    world.begin(make_job())
    world.propose_all()
    assert world.request(e.Pause) == {"ok": True}
    assert {message.reason for message in world.stops.values()} == {Reason.PREEMPTED}
    world.obey_stops()
    assert not world.running()
    assert world.state.jobs[1].tally.created == 3
    assert world.request(e.Pause) == {"ok": True}, "pausing twice is no error"
    world.request(e.Resume)
    assert sorted(n for _, n in world.running().values() if n is not None) == [0, 1]
    assert all(trial.counted == 0 for trial in world.state.jobs[1].ready)


def test_a_trial_that_ends_while_pausing_keeps_its_result(world: World) -> None:
    world.begin(make_job())
    world.request(e.Pause)
    world.complete(world.attempt_of(0), 0.7)
    assert world.trials_in(TrialState.COMPLETED) == [0]


def test_cancelling_a_queued_job_ends_it_at_once(world: World) -> None:
    world.begin(make_job(1, parallel=None))
    world.propose_all()
    world.submit(make_job(2))
    assert world.request(e.Cancel, job=2) == {"ok": True}
    assert world.jobs[2] is JobState.CANCELLED
    assert world.forgotten == [2], "its study is needed no longer"


def test_a_request_on_a_job_that_is_over_changes_nothing(world: World) -> None:
    world.begin(make_job(1, parallel=None))
    world.submit(make_job(2))
    world.request(e.Cancel, job=2)
    before = world.state
    assert world.request(e.Patch, job=2, revision=1, priority=3) is None
    assert world.state == before


def test_the_files_of_a_trial_that_is_cancelled_while_it_waits_are_not_kept(world: World) -> None:
    world.begin(make_job())
    world.propose_all()
    world.request(e.Pause)
    world.obey_stops()
    assert world.swept == []
    world.request(e.Cancel)
    assert world.jobs[1] is JobState.CANCELLED
    assert sorted(world.swept) == [0, 1], "the others have not begun"


def test_parameters_that_the_sampler_is_asked_about_are_refused_where_their_job_ends(
    world: World,
) -> None:
    world.begin(make_job())
    world.propose_all()
    assert world.request(e.Enqueue, params={"lr": 0.7}) is None
    assert world.asked[1].point is not None
    world.request(e.Cancel)
    assert world.answers[1]["error"] == "TransitionRefused"
    world.propose()
    world.obey_stops()
    assert world.jobs[1] is JobState.CANCELLED


def test_parameters_that_wait_when_a_grid_is_used_up_are_refused(world: World) -> None:
    world.begin(make_job(trials=50))
    world.complete(min(world.running()), 0.5)
    assert world.asked.pop(1).point is None
    assert world.request(e.Enqueue, params={"lr": 0.7}) is None
    world.tell(e.Exhausted(job=1))
    while world.running():
        world.complete(min(world.running()), 0.5)
    assert world.jobs[1] is JobState.SUCCEEDED
    assert world.answers[1]["error"] == "TransitionRefused"


def test_cancelling_waits_for_what_runs_and_kills_what_does_not_end(world: World) -> None:
    world.begin(make_job())
    world.propose_all()
    world.request(e.Cancel)
    assert world.jobs[1] is JobState.CANCELLING
    world.pass_time(seconds=31)
    assert not world.workers, "both were killed after the grace"
    world.bury_killed()
    assert world.jobs[1] is JobState.CANCELLED
    assert world.trials_in(TrialState.CANCELLED) == [0, 1, 2]


def test_a_stale_patch_is_refused_and_changes_nothing(world: World) -> None:
    world.begin(make_job())
    answer = world.request(e.Patch, revision=7, priority=3)
    assert answer["error"] == "StaleRevision"
    assert answer["args"] == {"job": "job_1", "given": 7, "current": 1}
    assert world.state.jobs[1].priority == 0


def test_a_patch_changes_what_it_names_and_counts_the_revision(world: World) -> None:
    world.begin(make_job())
    patch = {"revision": 1, "budget": {"trials": 9}, "parallel": 1, "sets_parallel": True}
    assert world.request(e.Patch, **patch) == {"ok": True, "revision": 2}
    job = world.state.jobs[1]
    assert (job.budget.trials, job.budget.epochs, job.parallel, job.priority) == (9, 3, 1, 0)


def test_fewer_at_once_preempts_the_newest_attempts(world: World) -> None:
    world.begin(make_job())
    world.propose_all()
    newest = max(world.running())
    world.request(e.Patch, revision=1, parallel=1, sets_parallel=True)
    assert set(world.stops) == {newest}
    world.obey_stops()
    assert len(world.running()) == 1


def test_a_budget_below_the_trials_there_are_is_refused(world: World) -> None:
    world.begin(make_job())
    world.propose_all()
    answer = world.request(e.Patch, revision=1, budget={"trials": 2})
    assert answer["error"] == "SpecInvalid"
    assert "below the 3 trials the job has already" in answer["args"]["faults"][0]["detail"]


def test_enqueued_parameters_become_the_next_trial(world: World) -> None:
    world.begin(make_job())
    world.propose_all()
    assert world.request(e.Enqueue, params={"lr": 0.7}) is None, "it has no number yet"
    ask = world.asked[1]
    assert ask.point is not None
    assert ask.point.params == {"lr": 0.7}
    world.propose()
    assert list(world.answers.values())[-1] == {"ok": True, "number": 3}


def test_enqueueing_beyond_the_budget_is_refused(world: World) -> None:
    world.begin(make_job(trials=1))
    answer = world.request(e.Enqueue, params={"lr": 0.7})
    assert answer["error"] == "SpecInvalid"
    assert "PATCH the job with a larger budget.trials" in answer["args"]["faults"][0]["detail"]


def test_a_grid_that_is_used_up_ends_the_job_early(world: World) -> None:
    world.begin(make_job(trials=50))
    world.asked.pop(1, None)
    world.tell(e.Exhausted(job=1))
    while world.running():
        world.complete(min(world.running()), 0.5)
    assert world.jobs[1] is JobState.SUCCEEDED
    assert "points of the space tried" in str(world.reasons[1][1])


def test_a_sampler_that_raises_fails_its_job_alone(world: World) -> None:
    world.submit(make_job(1))
    world.tell(e.AskFailed(job=1, detail="ValueError: no"))
    world.end(1, AttemptState.SUCCEEDED, value=0.0)
    world.bury_killed()
    assert world.jobs[1] is JobState.FAILED
    assert world.reasons[1] == ("sampler_failed", "search.sampler failed: ValueError: no")


def test_a_sampler_that_raises_over_enqueued_parameters_has_them_refused(world: World) -> None:
    world.begin(make_job())
    world.propose_all()
    world.request(e.Enqueue, params={"lr": 0.7})
    world.asked.pop(1)
    world.tell(e.AskFailed(job=1, detail="ValueError: no"))
    assert world.answers[1]["error"] == "TransitionRefused"


def test_a_job_whose_trial_fits_nowhere_fails_and_says_what_there_is(world: World) -> None:
    world.submit(make_job(request=Request(cpus=64)))
    assert world.jobs[1] is JobState.FAILED
    assert "64 CPU cores; host here has cpu (2)" in str(world.reasons[1][1])


def test_a_fraction_of_a_gpu_is_shared_and_never_oversold() -> None:
    world = World(cpus=8, gpus=1)
    world.begin(make_job(request=Request(cpus=1, gpus=0.25)))
    for _ in range(4):
        world.propose_all()
    assert len(world.running()) == 4
    assert {a.slot.device for a in world.state.attempts.values()} == {"cuda:0"}


def test_the_more_important_job_goes_first(world: World) -> None:
    world.begin(make_job(1, trials=20))
    world.propose_all()
    world.submit(make_job(2, priority=5, trials=20))
    world.propose_all()
    world.complete(min(world.running()), 0.5)
    assert (2, None) in world.running().values()
    world.pass_probe(2)
    world.propose_all()
    world.complete(world.attempt_of(1), 0.5)
    assert [job for job, _ in world.running().values()] == [2, 2]


def test_equal_jobs_share_the_slots_by_the_time_they_hold_them() -> None:
    world = World(cpus=2)
    world.begin(make_job(1, trials=1000))
    world.submit(make_job(2, trials=1000))
    held = {1: 0.0, 2: 0.0}
    for turn in range(400):
        world.propose_all()
        world.pass_time(seconds=1)
        for job, _ in world.running().values():
            held[job] += 1
        for attempt, (job, number) in list(world.running().items()):
            if number is None:
                world.pass_probe(job)
            elif turn % (5 if job == 1 else 1) == 0:  # trials of job 1 are five times as long
                world.complete(attempt, 0.5)
    share = held[1] / sum(held.values())
    assert 0.45 < share < 0.55, held


def test_a_newcomer_does_not_starve_those_who_were_there_before() -> None:
    world = World(cpus=1)
    world.begin(make_job(1, trials=1000))
    for _ in range(100):
        world.propose_all()
        world.pass_time(seconds=60)
        world.complete(min(world.running()), 0.5)
    world.submit(make_job(2, trials=1000))
    served = []
    for _ in range(10):
        world.propose_all()
        world.pass_time(seconds=60)
        attempt, (job, number) = next(iter(world.running().items()))
        served.append(job)
        world.pass_probe(job) if number is None else world.complete(attempt, 0.5)
    assert 3 <= served.count(1) <= 7, served


@pytest.mark.parametrize(
    ("limit", "minutes", "reason"),
    [
        ({"trial_seconds": 600.0}, 11, "timeout"),
        ({"no_progress_seconds": 300.0}, 6, "no_progress"),
    ],
)
def test_an_attempt_that_outruns_a_limit_is_killed_for_it(
    world: World, limit: dict[str, float], minutes: int, reason: str
) -> None:
    world.begin(make_job(**limit))
    attempt = world.attempt_of(0)
    world.pass_time(minutes=minutes)
    assert attempt not in world.workers
    world.bury_killed()
    assert world.trials_in(TrialState.FAILED)[0] == 0
    assert str(world.state.jobs[1].last_failure).startswith(reason)


def test_a_report_is_progress(world: World) -> None:
    world.begin(make_job(no_progress_seconds=300.0))
    attempt = world.attempt_of(0)
    for count in range(1, 4):
        world.pass_time(minutes=4)
        world.report(attempt, count, 0.5)
    assert attempt in world.workers


def test_draining_preempts_everything_and_starts_nothing(world: World) -> None:
    world.begin(make_job())
    world.propose_all()
    world.tell(e.Drain())
    world.obey_stops()
    world.pass_time(minutes=5)
    assert not world.running()
    assert world.jobs[1] is JobState.RUNNING
    assert len(world.trials_in(TrialState.QUEUED)) == 3


def test_while_the_disk_is_full_nothing_starts_and_what_runs_goes_on(world: World) -> None:
    world.begin(make_job())
    world.propose_all()
    running = dict(world.running())
    world.tell(e.DiskMeasured(used=11, limit=10))
    world.tell(e.DiskMeasured(used=12, limit=10))
    assert world.running() == running
    world.complete(min(running), 0.5)
    world.propose_all()
    assert len(world.running()) == len(running) - 1
    assert world.kinds().count("disk_full") == 1
    world.tell(e.DiskMeasured(used=9, limit=10))
    assert len(world.running()) == len(running)
    assert world.kinds().count("disk_free") == 1


def test_a_job_that_comes_while_the_disk_is_full_hears_of_it_and_waits(world: World) -> None:
    world.tell(e.DiskMeasured(used=11, limit=10))
    world.submit(make_job())
    assert world.kinds() == ["submitted", "disk_full"]
    assert not world.running()


def test_attempts_of_a_lost_scheduler_are_retried_uncounted(world: World) -> None:
    world.begin(make_job())
    world.propose_all()
    lost = tuple(world.state.attempts)
    world.workers.clear()
    world.tell(e.SchedulerLost(attempts=lost, last_beat=world.now))
    assert {world.attempts[a] for a in lost} == {AttemptState.LOST}
    assert sorted(n for _, n in world.running().values() if n is not None) == [0, 1]
    assert all(a.trial is not None and a.trial.counted == 0 for a in world.state.attempts.values())


def test_step_leaves_the_state_it_is_given_as_it_was(world: World) -> None:
    world.begin(make_job())
    before = world.state
    copy = replace(before)
    world.complete(world.attempt_of(0), 0.5)
    assert before == copy
    assert world.state != before


def test_a_trial_whose_checkpoints_are_all_damaged_starts_over(world: World) -> None:
    world.begin(make_job())
    attempt = world.attempt_of(0)
    world.tell(Saved(attempt=attempt, step=1, uri="a", size_bytes=1, best=False))
    assert world.checkpoints == {0: "a"}
    world.end(attempt, AttemptState.FAILED, reason=Reason.CHECKPOINT_CORRUPT)
    assert world.checkpoints == {0: None}
    assert world.trials_in(TrialState.FAILED) == []


def test_the_third_counted_attempt_is_the_last() -> None:
    assert [policy(Reason.WORKER_LOST, n).again for n in range(4)] == [True, True, False, False]
    assert policy(Reason.WORKER_LOST, 1).after == timedelta(seconds=1)


def test_time_is_what_the_event_says() -> None:
    world = World()
    world.submit(make_job())
    assert world.state.attempts[1].started == START

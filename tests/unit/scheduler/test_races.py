"""The scheduler's core where two things happen at once, or one comes too late, or twice."""

from dataclasses import replace

import pytest

from tests.unit.scheduler.world import World, make_job, with_budget
from tuner.protocol import Ended, Saved, Verdict, WorkerEnded
from tuner.scheduler import commands as c
from tuner.scheduler import events as e
from tuner.scheduler.core import step
from tuner.scheduler.retry import attempt_state_for
from tuner.slots import Request
from tuner.states import AttemptState, JobState, Reason, TrialState


def test_a_proposal_nobody_waits_for_any_more_makes_no_trial(world: World) -> None:
    world.begin(make_job())
    world.request(e.Cancel)
    world.obey_stops()
    assert world.jobs[1] is JobState.CANCELLED
    before = dict(world.trials)
    world.tell(e.Proposed(job=1, number=9, params={}, system_attrs={}))
    world.tell(e.Exhausted(job=1))
    assert world.trials == before


def test_a_proposal_that_comes_while_a_job_is_cancelled_makes_no_trial_and_lets_it_end(
    world: World,
) -> None:
    world.submit(make_job())
    world.request(e.Cancel)
    world.bury_killed()
    assert world.jobs[1] is JobState.CANCELLED
    world.submit(make_job(2))
    world.pass_probe(2)
    world.request(e.Pause, job=2)
    world.request(e.Cancel, job=2)
    assert world.jobs[2] is JobState.CANCELLED
    assert not world.trials


def test_a_proposal_for_a_job_that_is_ending_makes_no_trial(world: World) -> None:
    world.begin(with_budget(make_job(trials=9), target=0.9))
    world.propose_all()
    world.complete(world.attempt_of(0), 0.5)
    assert world.asked, "the trial after those that run is being asked for"
    world.complete(world.attempt_of(1), 0.95)
    created = len(world.trials)
    world.propose()
    assert len(world.trials) == created
    world.obey_stops()
    assert world.jobs[1] is JobState.SUCCEEDED


def test_a_report_of_an_attempt_told_to_stop_is_answered_so(world: World) -> None:
    world.begin(make_job())
    attempt = world.attempt_of(0)
    world.request(e.Pause)
    world.report(attempt, 1, 0.3, prune=True)
    assert world.verdicts[-1] == (attempt, 1, Verdict.STOP)


def test_a_job_that_comes_back_is_not_submitted_again(world: World) -> None:
    world.submit(replace(make_job(), started=world.now))
    assert "submitted" not in world.kinds()


def test_a_trial_goes_on_from_its_newest_checkpoint_and_not_from_its_network(world: World) -> None:
    world.begin(make_job(trials=1))
    attempt = world.attempt_of(0)
    world.save(attempt, 1)
    world.save(attempt, 2)
    world.save(attempt, 9, best=True)
    world.lose(attempt)
    world.save(attempt, 3)
    world.pass_time(seconds=1)
    trial = world.state.attempts[world.attempt_of(0)].trial
    assert trial is not None
    assert trial.checkpoint == "2"


def test_parameters_enqueued_when_a_job_ends_are_refused(world: World) -> None:
    world.begin(make_job(trials=9))
    world.propose_all()
    assert world.request(e.Enqueue, params={"lr": 0.7}) is None
    assert world.request(e.Enqueue, params={"lr": 0.8}) is None
    world.request(e.Cancel)
    refused = [answer for answer in world.answers.values() if not answer["ok"]]
    assert [answer["error"] for answer in refused] == ["TransitionRefused"] * 2
    assert refused[0]["args"]["wanted"] == "enqueued"


def test_a_probe_that_is_to_stop_is_ended_at_once(world: World) -> None:
    world.submit(make_job())
    (probe,) = world.state.attempts
    world.tell(e.Drain())
    assert probe not in world.workers, "it reports nothing, and so would never hear of it"
    world.bury_killed()
    assert world.attempts[probe] is AttemptState.PREEMPTED


def test_an_attempt_is_told_once_to_stop_for_one_reason(world: World) -> None:
    world.begin(make_job())
    world.request(e.Pause)
    world.stops.clear()
    world.tell(e.Drain())
    assert not world.stops


@pytest.mark.parametrize("target", [0.9, None])
def test_patience_runs_out_though_the_target_is_far(world: World, target: float | None) -> None:
    world.begin(with_budget(make_job(trials=9, parallel=1), target=target, patience=1))
    world.complete(world.attempt_of(0), 0.5)
    world.propose_all()
    world.complete(min(world.running()), 0.4)
    assert world.jobs[1] is JobState.SUCCEEDED
    assert "no better value in 1 trials" in str(world.reasons[1][1])


def test_a_trial_that_wants_more_than_there_is_of_a_gpu_is_told_so(world: World) -> None:
    world.submit(make_job(request=Request(cpus=1, gpus=0.5)))
    assert "wants 1 CPU cores and 0.5 of a GPU; host here has cpu (2)" in str(world.reasons[1][1])


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (Reason.PRUNED, AttemptState.PRUNED),
        (Reason.PREEMPTED, AttemptState.PREEMPTED),
        (Reason.CANCELLED, AttemptState.CANCELLED),
        (Reason.WORKER_LOST, AttemptState.LOST),
        (Reason.SCHEDULER_LOST, AttemptState.LOST),
        (Reason.NAN, AttemptState.FAILED),
        (Reason.DISK_FULL, AttemptState.FAILED),
    ],
)
def test_the_state_of_an_ended_attempt_follows_from_its_reason(
    reason: Reason, state: AttemptState
) -> None:
    assert attempt_state_for(reason) is state


def test_a_failure_without_a_reason_is_the_training_codes(world: World) -> None:
    world.begin(make_job())
    attempt = world.attempt_of(0)
    world.end(attempt, AttemptState.FAILED)
    assert world.ends[attempt].reason is Reason.USER_ERROR


def test_a_worker_that_ends_after_its_last_word_changes_nothing(world: World) -> None:
    world.begin(make_job())
    first, second = world.attempt_of(0), max(world.running())
    world.complete(first, 0.5)
    before = world.state.jobs
    world.tell(WorkerEnded(attempts=(first,), exit_code=0, detail="gone"))
    assert world.state.jobs == before
    assert second in world.attempts


def test_an_attempt_of_a_job_that_is_no_more_gives_its_slot_back(world: World) -> None:
    world.begin(make_job(parallel=1))
    attempt = world.attempt_of(0)
    orphaned = replace(world.state, jobs={})
    saved = Saved(attempt=attempt, step=1, uri="1", size_bytes=1, best=True)
    state, _ = step(orphaned, saved, world.now)
    lost = WorkerEnded(attempts=(attempt,), exit_code=-9, detail="gone")
    state, commands = step(state, lost, world.now)
    assert not state.attempts
    assert state.inventory == world.capacity
    assert [type(command) for command in commands] == [c.EndAttempt]


@pytest.mark.parametrize(("said", "best"), [(3, 3), ("third", None)])
def test_the_best_step_of_a_trial_is_a_number_or_none(
    world: World, said: object, best: int | None
) -> None:
    world.begin(make_job())
    facts = {"best_step": said}
    state, value = AttemptState.SUCCEEDED, 0.5
    ended = Ended(attempt=world.attempt_of(0), state=state, value=value, facts=facts)
    _, commands = step(world.state, ended, world.now)
    (moved,) = [m for m in commands if isinstance(m, c.MoveTrial) and m.trial.number == 0]
    assert (moved.value, moved.best_step) == (value, best)


def test_a_job_that_is_extended_though_its_space_is_used_up_ends_again(world: World) -> None:
    world.begin(make_job(trials=1))
    world.complete(world.attempt_of(0), 0.5)
    assert world.jobs[1] is JobState.SUCCEEDED
    world.extend(1, 3)
    assert world.jobs[1] is JobState.QUEUED
    del world.asked[1]
    world.tell(e.Exhausted(job=1))
    assert world.jobs[1] is JobState.SUCCEEDED
    assert "all 1 points of the space tried" in str(world.reasons[1][1])


def test_a_fault_while_a_job_is_ending_cancels_its_trial(world: World) -> None:
    world.begin(with_budget(make_job(trials=50), target=0.9))
    world.propose_all()
    world.complete(world.attempt_of(0), 0.95)
    world.end(world.attempt_of(1), AttemptState.FAILED, reason=Reason.DISK_FULL)
    assert 1 in world.trials_in(TrialState.CANCELLED)
    assert world.jobs[1] is JobState.SUCCEEDED


def test_a_scheduler_lost_while_it_cancelled_leaves_nothing_to_go_on(world: World) -> None:
    world.begin(make_job())
    world.request(e.Cancel)
    world.restart()
    assert world.jobs[1] is JobState.CANCELLED
    assert not world.trials_in(TrialState.QUEUED)


def test_what_a_job_is_already_is_answered_and_what_it_cannot_become_refused(world: World) -> None:
    world.begin(make_job())
    assert world.request(e.Resume) == {"ok": True}
    world.request(e.Cancel)
    assert world.jobs[1] is JobState.CANCELLING
    assert world.request(e.Cancel) == {"ok": True}
    for verb in (e.Pause, e.Resume):
        assert world.request(verb)["error"] == "TransitionRefused"


def test_any_number_at_once_preempts_nobody(world: World) -> None:
    world.begin(make_job(parallel=2))
    world.propose_all()
    assert world.request(e.Patch, revision=1, parallel=None, sets_parallel=True)["ok"]
    assert not world.stops
    assert len(world.running()) == 2

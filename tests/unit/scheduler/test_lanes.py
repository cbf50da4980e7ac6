"""Trials that share a worker: who joins it, what it holds, and what its end means to each."""

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.scheduler.world import World, make_job
from tuner.scheduler import events as e
from tuner.scheduler.placement import served
from tuner.states import AttemptState, JobState, Reason, TrialState


@pytest.fixture
def world() -> World:
    """A host with one core, so that whatever runs at once shares it."""
    return World(cpus=1)


def workers(world: World) -> dict[int, list[int]]:
    """The trials at work, by worker."""
    found: dict[int, list[int]] = {}
    for attempt in world.state.attempts.values():
        if attempt.trial is not None:
            found.setdefault(attempt.worker, []).append(attempt.trial.number)
    return found


def test_trials_of_one_signature_share_a_worker_and_its_slot(world: World) -> None:
    world.begin(make_job(trials=20, lanes=4))
    assert list(workers(world).values()) == [[0, 1, 2, 4]], "trial 3 has another shape"
    assert world.state.inventory.devices[0].free == 0


def test_a_trial_joins_no_worker_of_another_job() -> None:
    world = World(cpus=2)
    world.begin(make_job(1, trials=2, lanes=4))
    assert list(workers(world).values()) == [[0, 1]], "two lanes are free"
    world.begin(make_job(2, trials=2, lanes=4))
    crews = {(attempt.job, attempt.worker) for attempt in world.state.attempts.values()}
    assert sorted(job for job, _ in crews) == [1, 2], "and no worker is in it twice"
    assert len({worker for _, worker in crews}) == 2


def test_a_lane_that_becomes_free_is_filled_while_the_others_go_on(world: World) -> None:
    world.begin(make_job(trials=20, lanes=4))
    first = world.attempt_of(0)
    world.complete(first, 0.5)
    world.propose_all()
    assert workers(world) == {first: [1, 2, 4, 6]}, "and the worker keeps its name"


def test_a_trial_that_shares_with_nobody_says_why_and_waits_for_a_slot(world: World) -> None:
    world.begin(make_job(trials=6, lanes=4))
    for number in (0, 1, 2):
        world.complete(world.attempt_of(number), 0.5)
        world.propose_all()
    assert (1, "trains_alone", 5) in world.events
    assert list(workers(world).values()) == [[4]]
    world.complete(world.attempt_of(4), 0.5)
    assert list(workers(world).values()) == [[3]], "one of another shape has its own worker"
    world.complete(world.attempt_of(3), 0.5)
    assert list(workers(world).values()) == [[5]]
    world.complete(world.attempt_of(5), 0.5)
    assert world.jobs[1] is JobState.SUCCEEDED


def test_no_more_are_asked_for_than_lanes_are_free(world: World) -> None:
    world.begin(make_job(trials=100, lanes=8))
    job = world.state.jobs[1]
    ready = [trial.signature for trial in job.ready]
    assert (job.tally.running, ready) == (8, ["narrow", None, "narrow"])


def test_the_slot_counts_once_however_many_share_it(world: World) -> None:
    world.begin(make_job(trials=20, lanes=4))
    before = served(world.state, world.state.jobs[1], world.now)
    world.now += timedelta(seconds=10)
    assert served(world.state, world.state.jobs[1], world.now) == before + 10
    world.complete(world.attempt_of(0), 0.5)
    world.now += timedelta(seconds=5)
    world.complete(world.attempt_of(1), 0.5)
    assert served(world.state, world.state.jobs[1], world.now) == before + 15
    assert world.state.jobs[1].busy_seconds == before + 10 + 15, "of trials; each had its time"


def test_a_worker_that_is_lost_loses_all_and_each_goes_on_alone(world: World) -> None:
    world.begin(make_job(trials=4, lanes=4))
    world.complete(world.attempt_of(0), 0.1)
    lost = world.crew(world.attempt_of(1))
    world.lose(world.attempt_of(1))
    assert all(world.ends[a].reason is Reason.WORKER_LOST for a in lost)
    world.pass_time(seconds=5)
    for _ in range(3):
        (crew,) = workers(world).values()
        assert len(crew) == 1, "whose fault it was shows itself"
        world.complete(world.attempt_of(crew[0]), 0.5)
    assert world.jobs[1] is JobState.SUCCEEDED


def test_no_progress_of_one_ends_the_worker_and_the_other_goes_on_from_its_checkpoint(
    world: World,
) -> None:
    world.begin(make_job(trials=3, lanes=4, no_progress_seconds=60.0))
    silent, moving = world.attempt_of(0), world.attempt_of(1)
    world.complete(world.attempt_of(2), 0.1)
    world.now += timedelta(seconds=50)
    world.report(moving, 1, 0.2)
    world.save(moving, 1)
    world.pass_time(seconds=20)
    assert not world.workers, "one process"
    world.bury_killed()
    assert world.ends[silent].reason is Reason.NO_PROGRESS
    assert world.ends[moving].reason is Reason.PREEMPTED
    assert f"attempt {silent}" in (world.ends[moving].detail or "")
    (attempt,) = world.state.attempts.values()
    assert attempt.trial is not None
    assert (attempt.trial.number, attempt.trial.counted, attempt.trial.checkpoint) == (1, 0, "1")


def test_nobody_joins_a_worker_that_may_be_about_to_be_killed() -> None:
    world = World(cpus=2)
    world.begin(make_job(trials=9, lanes=3, parallel=3))
    world.request(e.Patch, revision=1, budget=None, parallel=2, sets_parallel=True)
    stopped = next(iter(world.stops))
    world.request(e.Patch, revision=2, budget=None, parallel=3, sets_parallel=True)
    assert len(workers(world)) == 1
    world.end(stopped, AttemptState.PREEMPTED, reason=Reason.PREEMPTED)
    assert [len(crew) for crew in workers(world).values()] == [3], "its trial is back, there"


def test_lanes_that_do_not_fit_into_memory_are_halved_and_nothing_counts(world: World) -> None:
    world.begin(make_job(trials=20, lanes=4))
    for attempt in world.crew(world.attempt_of(0)):
        facts = {"lanes": 2}
        world.end(attempt, AttemptState.PREEMPTED, reason=Reason.PREEMPTED, facts=facts)
    assert world.kinds().count("lanes_reduced") == 1
    assert world.state.jobs[1].lanes == 2
    world.propose_all()
    assert all(len(crew) <= 2 for crew in workers(world).values())
    trials = [a.trial for a in world.state.attempts.values() if a.trial]
    assert all(trial.counted == 0 for trial in trials)


def test_a_job_with_a_better_claim_gets_the_slot_once_the_lanes_are_empty(world: World) -> None:
    world.begin(make_job(1, trials=50, lanes=4))
    world.submit(make_job(2, trials=2, priority=1))
    for number in (0, 1, 2):
        world.complete(world.attempt_of(number), 0.5)
        world.propose_all()
    assert list(workers(world).values()) == [[4]], "nobody was let in meanwhile"
    world.complete(world.attempt_of(4), 0.5)
    assert {a.job for a in world.state.attempts.values()} == {2}


def test_a_drain_stops_every_lane_and_a_new_scheduler_fills_them_again(world: World) -> None:
    world.begin(make_job(trials=20, lanes=4))
    world.tell(e.Drain())
    assert len(world.stops) == 4
    world.obey_stops()
    assert not world.state.attempts
    world.restart()
    assert [sorted(crew) for crew in workers(world).values()] == [[0, 1, 2, 4]]


def test_after_a_scheduler_is_lost_a_worker_is_counted_once(world: World) -> None:
    world.begin(make_job(trials=20, lanes=4))
    world.restart(silent_s=1.0)
    assert [sorted(crew) for crew in workers(world).values()] == [[0, 1, 2, 4]]
    assert len(world.trials_in(TrialState.RUNNING)) == 4


def test_a_job_gets_as_many_lanes_as_its_probe_finds(world: World) -> None:
    world.submit(make_job(trials=20))
    world.lanes[1] = 4  # trials agree, whoever trains them
    world.propose_all()
    world.pass_probe(lanes=4)
    assert world.asked[1].many_at_once, "the sampler keeps away from what is under way"
    world.propose_all()
    assert world.state.jobs[1].lanes == 4
    assert [len(crew) for crew in workers(world).values()] == [4]


@pytest.mark.parametrize(
    ("facts", "graph"),
    [({"graph": "compile"}, "compile"), ({}, "cudagraph"), ({"graph": "origami"}, "cudagraph")],
)
def test_lanes_step_as_the_probe_finds_best(
    facts: dict[str, Any], graph: str, world: World
) -> None:
    world.submit(make_job(trials=20, lanes=4, graph="cudagraph"))
    world.pass_probe(**facts)
    assert world.state.jobs[1].graph == graph


def test_of_lanes_that_a_probe_left_out_nothing_is_said(world: World) -> None:
    world.submit(make_job(trials=6))
    world.lanes[1] = 4
    world.pass_probe(lanes=1)
    for number in range(6):
        world.propose_all()
        world.complete(world.attempt_of(number), 0.5)
    assert "trains_alone" not in world.kinds()
    assert world.jobs[1] is JobState.SUCCEEDED

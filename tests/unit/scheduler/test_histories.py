"""Any history keeps the invariants, and every job comes to its end.

With `--faults`, 10,000 histories. A seed that fails does so again: the test's id names it.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.faults.counting import Counts
from tests.unit.scheduler.world import World, check_invariants, make_job
from tuner.scheduler import events as e
from tuner.slots import Request
from tuner.spec import Budget
from tuner.states import EXTENDABLE, LIVE_JOBS, AttemptState, JobState, Reason

REASONS = st.sampled_from(
    [
        Reason.NAN,
        Reason.USER_ERROR,
        Reason.OOM_HOST,
        Reason.DISK_FULL,
        Reason.OOM_GPU,
        Reason.CUDA_ERROR,
    ]
)
#: Histories of one seed, and seeds: in the ordinary suite, and with `--faults`.
PER_SEED = 100
SEEDS, ALL_SEEDS = 3, 100
VALUES = st.floats(min_value=-10, max_value=10) | st.sampled_from([float("nan"), float("inf")])


class Histories(RuleBasedStateMachine):
    """Whatever people ask, workers do and clocks say, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(cpus=3, gpus=1)
        self.revisions: dict[int, int] = {}
        self.late: list[int] = []

    def pick(self, options: Any, number: int) -> Any:
        ordered = sorted(options)
        return ordered[number % len(ordered)]

    @property
    def live(self) -> list[int]:
        return sorted(self.world.state.jobs)

    @property
    def finished(self) -> list[int]:
        return sorted(job for job, state in self.world.jobs.items() if state in EXTENDABLE)

    @rule(
        trials=st.integers(1, 8),
        parallel=st.none() | st.integers(1, 3),
        priority=st.integers(0, 2),
        goal=st.none() | st.just(9.0),
        patience=st.none() | st.integers(1, 4),
        gpus=st.sampled_from([0.0, 0.5, 1.0]),
        lanes=st.sampled_from([1, 1, 2, 4]),
        unknown=st.sampled_from([(), ("lr",)]),
    )
    @precondition(lambda self: len(self.world.jobs) < 4)
    def submit(
        self,
        trials: int,
        parallel: int | None,
        priority: int,
        goal: float | None,
        patience: int | None,
        gpus: float,
        lanes: int,
        unknown: tuple[str, ...],
    ) -> None:
        budget = Budget(trials=trials, epochs=3, target=goal, patience=patience)
        number = len(self.world.jobs) + 1
        request = Request(cpus=1, gpus=gpus)
        job = make_job(
            number,
            budget=budget,
            parallel=parallel,
            priority=priority,
            request=request,
            lanes=lanes,
            unknown=unknown,
        )
        self.world.submit(job)

    @rule(which=st.integers(0, 99))
    @precondition(lambda self: self.world.asked)
    def propose(self, which: int) -> None:
        self.world.propose(self.pick(self.world.asked, which))

    @rule(which=st.integers(0, 99), value=VALUES)
    @precondition(lambda self: self.world.workers)
    def complete(self, which: int, value: float) -> None:
        attempt = self.pick(self.world.workers, which)
        self.late.append(attempt)
        self.world.complete(attempt, value)

    @rule(which=st.integers(0, 99), step=st.integers(1, 3), prune=st.booleans(), value=VALUES)
    @precondition(lambda self: self.world.workers)
    def report(self, which: int, step: int, prune: bool, value: float) -> None:
        attempt = self.pick(self.world.workers, which)
        self.world.report(attempt, step, value, prune=prune)
        if prune and self.world.verdicts and self.world.verdicts[-1][2] == "prune":
            self.world.end(attempt, AttemptState.PRUNED, reason=Reason.PRUNED)

    @rule(which=st.integers(0, 99), step=st.integers(1, 3), done=st.integers(0, 100))
    @precondition(lambda self: self.world.workers or self.late)
    def progress(self, which: int, step: int, done: int) -> None:
        self.world.progress_to(self.pick([*self.world.workers, *self.late], which), step, done)

    @rule(which=st.integers(0, 99), x=st.floats(0, 1))
    @precondition(lambda self: self.world.workers or self.late)
    def draw(self, which: int, x: float) -> None:
        """The study answers an objective, which may be over by now."""
        self.world.draw(self.pick([*self.world.workers, *self.late], which), x=x)

    @rule(which=st.integers(0, 99), reason=REASONS)
    @precondition(lambda self: self.world.workers)
    def fail(self, which: int, reason: Reason) -> None:
        attempt = self.pick(self.world.workers, which)
        self.world.end(attempt, AttemptState.FAILED, reason=reason, detail="boom")

    @rule(
        which=st.integers(0, 99),
        reason=st.sampled_from([Reason.WORKER_LOST, Reason.CRASHED, Reason.NO_RESULT]),
    )
    @precondition(lambda self: self.world.workers)
    def lose(self, which: int, reason: Reason) -> None:
        attempt = self.pick(self.world.workers, which)
        self.late.append(attempt)
        self.world.lose(attempt, reason)

    @rule(
        which=st.integers(0, 99),
        value=VALUES,
        word=st.sampled_from(["complete", "report", "save", "progress", "lose"]),
    )
    @precondition(lambda self: self.late)
    def speak_late(self, which: int, value: float, word: str) -> None:
        """A word about an attempt that is over; nothing may change."""
        world, attempt = self.world, self.pick(self.late, which)
        before, ends = world.trials.copy(), world.ends.copy()
        match word:
            case "complete":
                world.complete(attempt, value)
            case "report":
                world.report(attempt, 2, value)
            case "save":
                world.save(attempt, 2)
            case "progress":
                world.progress_to(attempt, 2, 50)
            case _:
                world.lose(attempt)
        assert (world.trials, world.ends) == (before, ends)

    @rule(which=st.integers(0, 99), step=st.integers(1, 3), best=st.booleans())
    @precondition(lambda self: self.world.workers)
    def save(self, which: int, step: int, best: bool) -> None:
        attempt = self.pick(self.world.workers, which)
        if self.world.owners[attempt][1] is not None:
            self.world.save(attempt, step, best=best)

    @rule(which=st.integers(0, 99), kind=st.sampled_from([e.Pause, e.Resume, e.Cancel]))
    @precondition(lambda self: self.live)
    def ask_of_a_job(self, which: int, kind: type[Any]) -> None:
        answer = self.world.request(kind, job=self.pick(self.live, which))
        assert answer is not None

    @rule(which=st.integers(0, 99), trials=st.integers(1, 12), parallel=st.integers(1, 3))
    @precondition(lambda self: self.live)
    def patch(self, which: int, trials: int, parallel: int) -> None:
        job = self.pick(self.live, which)
        revision = self.world.state.jobs[job].revision
        fields = {"budget": {"trials": trials}, "parallel": parallel, "sets_parallel": True}
        self.world.request(e.Patch, job=job, revision=revision, **fields)

    @rule(which=st.integers(0, 99))
    @precondition(lambda self: self.live)
    def enqueue(self, which: int) -> None:
        self.world.request(e.Enqueue, job=self.pick(self.live, which), params={"lr": 0.5})

    @rule(which=st.integers(0, 99))
    @precondition(lambda self: self.world.asked)
    def exhaust(self, which: int) -> None:
        job = self.pick(self.world.asked, which)
        point = self.world.asked[job].point
        if point is None:  # a grid is used up only where it is asked, not where a point is given
            del self.world.asked[job]
            self.world.tell(e.Exhausted(job=job))

    @rule(seconds=st.sampled_from([0.1, 5.0, 31.0, 4000.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds=seconds)
        self.world.bury_killed()

    @rule(hours=st.sampled_from([-24.0, 0.001, 24.0]))
    def set_clock(self, hours: float) -> None:
        self.world.set_clock(hours=hours)
        workers = set(self.world.workers)
        self.world.pass_time(seconds=0)
        assert self.world.workers <= workers

    @rule()
    def obey(self) -> None:
        self.world.obey_stops()

    @rule(silent_s=st.sampled_from([0.0, 1.0, 4000.0]))
    def restart(self, silent_s: float) -> None:
        self.late += sorted(self.world.workers)
        self.world.restart(silent_s=silent_s)

    @rule()
    def drain(self) -> None:
        """The scheduler is told to stop; whether everybody obeys or not, another one starts."""
        self.world.tell(e.Drain())
        started = set(self.world.attempts)
        self.world.obey_stops()
        self.world.pass_time(seconds=1)
        assert set(self.world.attempts) == started, "nothing starts any more"
        self.world.restart()

    @rule(used=st.sampled_from([1, 11]))
    def measure_disk(self, used: int) -> None:
        self.world.tell(e.DiskMeasured(used=used, limit=10))

    @rule(which=st.integers(0, 99))
    @precondition(lambda self: self.world.asked)
    def fail_to_propose(self, which: int) -> None:
        job = self.pick(self.world.asked, which)
        del self.world.asked[job]
        self.world.tell(e.AskFailed(job=job, detail="ValueError: no"))

    @rule(which=st.integers(0, 99), trials=st.integers(1, 3))
    @precondition(lambda self: self.finished)
    def extend(self, which: int, trials: int) -> None:
        self.world.extend(self.pick(self.finished, which), trials)

    @invariant()
    def keeps_the_invariants(self) -> None:
        check_invariants(self.world)

    def teardown(self) -> None:
        """From wherever the history has led, every job can be brought to its end."""
        world = self.world
        world.tell(e.DiskMeasured(used=0, limit=10))
        for job in self.live:
            world.request(e.Resume, job=job)
        for _ in range(500):
            if not self.live:
                break
            world.propose_all()
            world.obey_stops()
            world.bury_killed()
            for attempt in sorted(world.workers):
                if attempt in world.workers:
                    world.complete(attempt, 0.5)
            world.pass_time(seconds=60)
        assert not [job for job, state in world.jobs.items() if state in LIVE_JOBS], world.jobs


def run(
    machine: type[RuleBasedStateMachine],
    number: int,
    count: int = PER_SEED,
    phases: Sequence[Phase] = (Phase.generate, Phase.shrink),
) -> None:
    """So many histories, the same ones for the same number."""
    run_state_machine_as_test(
        seed(number)(type(machine.__name__, (machine,), {})),
        settings=settings(
            max_examples=count,
            stateful_step_count=40,
            deadline=None,
            database=None,
            phases=phases,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "number" in metafunc.fixturenames:
        full = metafunc.config.getoption("--faults")
        metafunc.parametrize("number", range(ALL_SEEDS if full else SEEDS))


def test_any_history_keeps_the_invariants(number: int, counted: Counts) -> None:
    core = "the scheduler's core"
    with counted("random histories of the scheduler's core", core) as count:
        run(Histories, number)
        count.add(PER_SEED, invariants_broken=0)


class Forgetful(Histories):
    """Takes a second paused job for an impossibility."""

    @invariant()
    def one_job_at_most_is_paused(self) -> None:
        assert list(self.world.jobs.values()).count(JobState.PAUSED) < 2


def test_a_seed_that_fails_fails_again_with_the_same_history() -> None:
    notes = []
    for _ in range(2):
        with pytest.raises(AssertionError) as failed:
            # Many, since few pause two jobs; to shrink a history takes long.
            run(Forgetful, 7, count=20 * PER_SEED, phases=[Phase.generate])
        notes.append(failed.value.__notes__)
    assert notes[0] == notes[1]
    assert any("ask_of_a_job" in note and "Pause" in note for note in notes[0])

"""Which verdicts a trial waits for, and that it hears of all others in time."""

import random
from collections import deque

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.protocol import (
    FromWorker,
    Judged,
    Reported,
    StartAttempt,
    StopAttempt,
    ToWorker,
    Verdict,
)
from tuner.search.pruners import FACTORIES, decisive_steps, make_pruner
from tuner.states import Reason
from tuner.trial import MOST_UNANSWERED, Context
from tuner.wire import decode, encode


class Line:
    """A transport whose other end answers reports when told to."""

    def __init__(self) -> None:
        self.reports: deque[int] = deque()
        self.inbox: deque[ToWorker] = deque()
        #: How often the trial waited, and what it is told then.
        self.waits = 0
        self.verdict = Verdict.CONTINUE

    def send(self, message: FromWorker) -> None:
        assert isinstance(message, Reported)
        self.reports.append(message.step)

    def receive(self) -> ToWorker:
        self.waits += 1
        if not self.inbox:
            self.answer(self.verdict)
        return self.inbox.popleft()

    def receive_now(self) -> ToWorker | None:
        return self.inbox.popleft() if self.inbox else None

    def answer(self, verdict: Verdict = Verdict.CONTINUE) -> None:
        """Judge the oldest report."""
        self.inbox.append(Judged(attempt=1, step=self.reports.popleft(), verdict=verdict))


def context_on(line: Line, decisive: tuple[int, ...] | None) -> Context:
    order = StartAttempt(attempt=1, program="", payload={}, decisive=decisive)
    decoded = decode(encode(order))
    assert decoded == order
    return Context(order, line, scratch=None, device="cpu")  # type: ignore[arg-type]


def tell(context: Context, step: int) -> Verdict:
    context.report(step, {"val_loss": 1.0})
    return context.verdict(step)


def test_it_waits_where_the_verdict_may_end_it_and_nowhere_else() -> None:
    line = Line()
    context = context_on(line, (3,))
    waits = []
    for step in range(1, 6):
        assert tell(context, step) is Verdict.CONTINUE
        waits.append(line.waits)
    assert waits == [0, 0, 3, 3, 3]


def test_at_a_decisive_step_it_is_told_to_end() -> None:
    line = Line()
    line.verdict = Verdict.PRUNE
    assert tell(context_on(line, (1,)), 1) is Verdict.PRUNE


def test_without_a_word_on_which_steps_decide_it_waits_for_all() -> None:
    line = Line()
    context = context_on(line, None)
    assert [tell(context, step) for step in (1, 2, 3)] == [Verdict.CONTINUE] * 3
    assert line.waits == 3


def test_a_verdict_nobody_waited_for_ends_it_at_the_next_step() -> None:
    line = Line()
    context = context_on(line, ())
    assert tell(context, 1) is Verdict.CONTINUE
    line.answer(Verdict.PRUNE)
    assert tell(context, 2) is Verdict.PRUNE
    assert tell(context, 3) is Verdict.PRUNE
    assert line.waits == 0


def test_a_stop_is_heeded_at_the_next_step() -> None:
    line = Line()
    context = context_on(line, ())
    assert tell(context, 1) is Verdict.CONTINUE
    line.inbox.append(StopAttempt(attempt=1, reason=Reason.PREEMPTED))
    assert tell(context, 2) is Verdict.STOP
    assert context.stop_reason is Reason.PREEMPTED


def test_it_does_not_run_ahead_of_a_scheduler_that_answers_nothing() -> None:
    line = Line()
    context = context_on(line, ())
    for step in range(1, MOST_UNANSWERED + 1):
        tell(context, step)
    assert line.waits == 0
    for step in range(MOST_UNANSWERED + 1, MOST_UNANSWERED + 4):
        tell(context, step)
    assert line.waits == 3


def test_what_is_said_to_another_attempt_is_not_heard() -> None:
    line = Line()
    context = context_on(line, ())
    tell(context, 1)
    line.inbox.append(Judged(attempt=2, step=1, verdict=Verdict.PRUNE))
    assert tell(context, 2) is Verdict.CONTINUE


@pytest.mark.parametrize("name", FACTORIES)
@given(epochs=st.integers(1, 40), seed=st.integers(0, 2**16))
def test_a_pruner_gives_up_trials_at_its_decisive_steps_only(
    name: str, epochs: int, seed: int
) -> None:
    rng = random.Random(seed)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    options = {"lower": 0.2} if name == "threshold" else {}
    study = optuna.create_study(pruner=make_pruner(name, epochs=epochs, options=options))
    decisive = decisive_steps(name, epochs=epochs, options=options)
    for _ in range(12):
        trial = study.ask()
        for step in range(1, epochs + 1):
            trial.report(rng.random(), step)
            if trial.should_prune():
                assert step in decisive
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, rng.random())


def test_the_rungs_of_a_job_of_27_epochs() -> None:
    assert decisive_steps("asha", epochs=27) == (3, 9, 27)
    assert decisive_steps("hyperband", epochs=27) == (1, 3, 9, 27)
    assert decisive_steps("none", epochs=27) == ()
    assert decisive_steps("median", epochs=4) == (1, 2, 3, 4)

"""What every executor must do, whatever its attempts run in."""

import threading
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tuner.executors.base import Executor
from tuner.protocol import (
    Ended,
    ExecutorEvent,
    Judged,
    Progressed,
    Reported,
    Saved,
    StartAttempt,
    StopAttempt,
    Verdict,
    WorkerEnded,
)
from tuner.states import AttemptState, Reason

#: As long as pytest lets a test last: nothing is asserted about time.
PATIENCE_S = 100.0
_numbers = count(1)


def order(program: str, *, gpus: tuple[int, ...] = (), **payload: Any) -> StartAttempt:
    """An order for a program of `tests.programs`, with an attempt id of its own."""
    return StartAttempt(
        attempt=next(_numbers), program=f"tests.programs:{program}", payload=payload, gpus=gpus
    )


def await_event(executor: Executor, attempt: int, kinds: type[Any] | tuple[type[Any], ...]) -> Any:
    """The attempt's next event of these kinds; all events before it are dropped."""
    while True:
        for event in executor.poll(PATIENCE_S):
            ids = event.attempts if isinstance(event, WorkerEnded) else (event.attempt,)
            if attempt in ids and isinstance(event, kinds):
                return event


def finish(executor: Executor, start: StartAttempt) -> Ended:
    """Start the attempt, which needs no verdict, and wait for its last word."""
    executor.start(start)
    event = await_event(executor, start.attempt, (Ended, WorkerEnded))
    assert isinstance(event, Ended), event
    return event


def conduct_all(
    executor: Executor,
    orders: list[StartAttempt],
    verdict: Callable[[Reported], Verdict] = lambda _: Verdict.CONTINUE,
) -> Mapping[int, list[ExecutorEvent]]:
    """Run attempts to their ends, judging every report; the events of each."""
    seen: dict[int, list[ExecutorEvent]] = {start.attempt: [] for start in orders}
    for start in orders:
        executor.start(start)
    working = set(seen)
    while working:
        for event in executor.poll(PATIENCE_S):
            assert not isinstance(event, WorkerEnded), event
            seen[event.attempt].append(event)
            if isinstance(event, Reported):
                answer = verdict(event)
                executor.send(Judged(attempt=event.attempt, step=event.step, verdict=answer))
            elif isinstance(event, Ended):
                working.remove(event.attempt)
    return seen


class ExecutorContract:
    """Inherit it beside a fixture `executor` that has been entered."""

    def test_a_finished_attempt_tells_its_value_and_its_facts(self, executor: Executor) -> None:
        start = order("returns", value=0.25, facts={"parameters": 10**30, "name": "größe"})
        ended = finish(executor, start)
        assert ended.state is AttemptState.SUCCEEDED
        assert ended.value == 0.25
        assert ended.facts == {"parameters": 10**30, "name": "größe"}

    def test_every_report_is_answered_with_its_own_verdict(self, executor: Executor) -> None:
        start = order("reports", steps=3)
        events = conduct_all(executor, [start])[start.attempt]
        reports = [event for event in events if isinstance(event, Reported)]
        assert [(report.step, report.metrics) for report in reports] == [
            (step, {"loss": 1.0 / step}) for step in (1, 2, 3)
        ]
        assert isinstance(events[-1], Ended)
        assert events[-1].facts == {"verdicts": ["continue"] * 3}

    def test_a_pruned_attempt_ends_at_the_step_of_its_verdict(self, executor: Executor) -> None:
        start = order("reports", steps=10)
        events = conduct_all(
            executor,
            [start],
            lambda report: Verdict.PRUNE if report.step == 2 else Verdict.CONTINUE,
        )[start.attempt]
        ended = events[-1]
        assert isinstance(ended, Ended)
        assert (ended.state, ended.reason) == (AttemptState.PRUNED, Reason.PRUNED)
        assert (ended.value, ended.facts) == (0.5, {"verdicts": ["continue", "prune"]})

    def test_a_verdict_on_another_step_is_not_taken_for_this_one(self, executor: Executor) -> None:
        start = order("reports", steps=1)
        executor.start(start)
        await_event(executor, start.attempt, Reported)
        for step, verdict in ((7, Verdict.PRUNE), (1, Verdict.CONTINUE)):
            executor.send(Judged(attempt=start.attempt, step=step, verdict=verdict))
        assert await_event(executor, start.attempt, Ended).state is AttemptState.SUCCEEDED

    @pytest.mark.parametrize(
        ("reason", "state"),
        [
            (Reason.PREEMPTED, AttemptState.PREEMPTED),
            (Reason.CANCELLED, AttemptState.CANCELLED),
            (Reason.TIMEOUT, AttemptState.FAILED),
        ],
    )
    def test_an_attempt_asked_to_stop_ends_for_the_reason_given(
        self, executor: Executor, reason: Reason, state: AttemptState
    ) -> None:
        start = order("reports", steps=10**9)
        executor.start(start)
        executor.send(StopAttempt(attempt=start.attempt, reason=reason))
        ended = await_event(executor, start.attempt, Ended)
        assert (ended.state, ended.reason) == (state, reason)

    def test_progress_is_told_and_waits_for_nothing(self, executor: Executor) -> None:
        start = order("says_how_far", parts=3)
        *words, ended = conduct_all(executor, [start])[start.attempt]
        assert isinstance(ended, Ended)
        assert ended.state is AttemptState.SUCCEEDED
        assert words == [
            Progressed(
                attempt=start.attempt, step=1, done=done, total=3, metrics={"loss": 1.0 / done}
            )
            for done in (1, 2, 3)
        ]

    def test_an_attempt_asked_to_stop_ends_before_its_next_report(self, executor: Executor) -> None:
        start = order("says_how_far", parts=10**9)
        executor.start(start)
        await_event(executor, start.attempt, Progressed)
        executor.send(StopAttempt(attempt=start.attempt, reason=Reason.PREEMPTED))
        ended = await_event(executor, start.attempt, Ended)
        assert (ended.state, ended.reason) == (AttemptState.PREEMPTED, Reason.PREEMPTED)

    def test_a_checkpoint_is_announced_while_the_verdict_is_awaited(
        self, executor: Executor
    ) -> None:
        start = order("saves")
        executor.start(start)
        saved = await_event(executor, start.attempt, Saved)
        assert saved == Saved(
            attempt=start.attempt, step=1, uri="1/2/3.safetensors", size_bytes=1234, best=True
        )
        executor.send(Judged(attempt=start.attempt, step=1, verdict=Verdict.CONTINUE))
        assert await_event(executor, start.attempt, Ended).value == 0.5

    def test_an_exception_fails_the_attempt_with_its_text_and_traceback(
        self, executor: Executor
    ) -> None:
        ended = finish(executor, order("raises", text="no such thing"))
        assert (ended.state, ended.reason) == (AttemptState.FAILED, Reason.USER_ERROR)
        assert ended.detail == "ValueError: no such thing"
        assert ended.traceback is not None
        assert "in raises" in ended.traceback

    @pytest.mark.parametrize("code", [0, 3])
    def test_an_exit_is_no_result(self, executor: Executor, code: int) -> None:
        ended = finish(executor, order("calls_exit", code=code))
        assert (ended.state, ended.reason) == (AttemptState.FAILED, Reason.NO_RESULT)

    def test_a_program_that_returns_nothing_has_no_result(self, executor: Executor) -> None:
        ended = finish(executor, order("returns_nothing"))
        assert (ended.state, ended.reason) == (AttemptState.FAILED, Reason.NO_RESULT)

    def test_a_value_that_is_no_number_fails_the_attempt(self, executor: Executor) -> None:
        ended = finish(executor, order("diverges"))
        assert (ended.state, ended.reason) == (AttemptState.FAILED, Reason.NAN)
        assert ended.value is None

    def test_facts_that_cannot_be_sent_fail_the_attempt(self, executor: Executor) -> None:
        ended = finish(executor, order("finds_unspeakable"))
        assert (ended.state, ended.reason) == (AttemptState.FAILED, Reason.USER_ERROR)
        assert "JSON" in str(ended.detail)

    def test_a_program_that_does_not_exist_fails_the_attempt(self, executor: Executor) -> None:
        ended = finish(executor, order("nowhere_to_be_found"))
        assert (ended.state, ended.reason) == (AttemptState.FAILED, Reason.USER_ERROR)
        assert "nowhere_to_be_found" in str(ended.detail)

    def test_a_killed_attempt_ends_once_and_says_nothing_more(self, executor: Executor) -> None:
        start = order("waits")
        executor.start(start)
        await_event(executor, start.attempt, Reported)
        executor.kill(start.attempt)
        executor.kill(start.attempt)
        lost = await_event(executor, start.attempt, (Ended, WorkerEnded))
        assert isinstance(lost, WorkerEnded)
        assert lost.attempts == (start.attempt,)
        executor.kill(start.attempt)
        executor.send(StopAttempt(attempt=start.attempt, reason=Reason.CANCELLED))
        other = order("returns")
        events = conduct_all(executor, [other])
        assert [type(event) for event in events[other.attempt]] == [Ended]

    def test_attempts_at_once_keep_their_messages_apart(self, executor: Executor) -> None:
        orders = [order("reports", steps=steps) for steps in (1, 2, 3, 4, 5)]
        seen = conduct_all(executor, orders)
        for start in orders:
            *reports, ended = seen[start.attempt]
            assert len(reports) == start.payload["steps"]
            assert isinstance(ended, Ended)
            assert ended.value == 1.0 / start.payload["steps"]

    def test_a_large_payload_arrives_whole(self, executor: Executor) -> None:
        facts = {"text": "x" * 3_000_000}
        assert finish(executor, order("returns", facts=facts)).facts == facts

    def test_the_scratch_folder_is_there_for_the_attempt_only(self, executor: Executor) -> None:
        ended = finish(executor, order("uses_scratch"))
        assert ended.state is AttemptState.SUCCEEDED
        assert not Path(ended.facts["scratch"]).exists()

    def test_a_message_for_an_attempt_that_never_was_is_dropped(self, executor: Executor) -> None:
        executor.send(Judged(attempt=-1, step=1, verdict=Verdict.PRUNE))
        executor.kill(-1)
        assert list(executor.poll(0)) == []

    def test_a_waiting_poll_is_woken_from_another_thread(self, executor: Executor) -> None:
        thread = threading.Thread(target=executor.wake)
        thread.start()
        assert list(executor.poll(PATIENCE_S)) == []
        thread.join()

    def test_the_inventory_offers_this_hosts_cores(self, executor: Executor) -> None:
        cpu = next(device for device in executor.inventory().devices if device.kind == "cpu")
        assert cpu.free == cpu.capacity > 0
        assert cpu.memory_mb > 0

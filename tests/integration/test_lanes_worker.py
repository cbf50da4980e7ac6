"""Several trials in one worker process: each is the trial it would be alone."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from models.data.loading import load
from models.recipe import Recipe
from models.training.train import train
from tests.contracts.executor_contract import PATIENCE_S
from tuner.executors.local import LocalExecutor
from tuner.protocol import (
    Ended,
    ExecutorEvent,
    Judged,
    Reported,
    Saved,
    StartAttempt,
    StopAttempt,
    Verdict,
    WorkerEnded,
)
from tuner.states import AttemptState, Reason
from tuner.workers import logs

_numbers = count(1)
CLOCK = {"seconds", "samples_per_second"}
EPOCHS = 3
NUMBERS = {"batch_size": 128, "width": 16, "dropout": 0.1}


@pytest.fixture(scope="module")
def log_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def executor(log_root: Path) -> Iterator[LocalExecutor]:
    """One for the whole file: its fork server takes seconds to import PyTorch."""
    with LocalExecutor(log_root, modules=["tuner.trainer"]) as executor:
        yield executor


def recipe(seed: int, optimizer: str = "sgd", epochs: int = EPOCHS, **config: Any) -> Recipe:
    document = {
        "model": "mlp",
        "data": {"name": "digits"},
        "loss": "cross_entropy",
        "optimizer": optimizer,
        "epochs": epochs,
        "seed": seed,
        "config": {"batch_size": 128, "width": 16, "dropout": 0.1, "lr": 0.01 * (seed + 1)}
        | config,
    }
    return Recipe.from_json(document)


def order(
    folder: Path, of: Recipe, *, lanes: int = 8, beside: int | None = None, reported: int = 0
) -> StartAttempt:
    payload = {
        "recipe": of.to_json(),
        "metric": "val_loss",
        "direction": "minimize",
        "roots": [],
        "cache": str(folder / "cache"),
        "artifacts": str(folder),
        "folder": f"trial-{of.seed}",
        "reported": reported,
    }
    return StartAttempt(
        attempt=next(_numbers),
        program="tuner.trainer:train_trial",
        payload=payload,
        lanes=lanes,
        beside=beside,
    )


def replaced(order: StartAttempt, **payload: Any) -> StartAttempt:
    return replace(order, payload={**order.payload, **payload})


def start_beside(executor: LocalExecutor, folder: Path, recipes: list[Recipe]) -> list[int]:
    """Start these in lanes of one worker; their attempts."""
    first = order(folder, recipes[0])
    others = [order(folder, of, beside=first.attempt) for of in recipes[1:]]
    for each in (first, *others):
        executor.start(each)
    return [each.attempt for each in (first, *others)]


class Heard:
    """What attempts said, by attempt."""

    def __init__(self) -> None:
        self.curves: dict[int, dict[int, Mapping[str, float]]] = {}
        self.saved: dict[int, int] = {}
        self.ended: dict[int, Ended] = {}
        self.lost: list[WorkerEnded] = []


Answer = Callable[[Reported], Verdict | None]


def hear(
    executor: LocalExecutor,
    attempts: list[int],
    answer: Answer = lambda _: Verdict.CONTINUE,
    look: Callable[[ExecutorEvent], None] = lambda _: None,
) -> Heard:
    """Judge what these attempts report until all have ended; `look` sees every event."""
    heard, left = Heard(), set(attempts)
    while left:
        for event in executor.poll(PATIENCE_S):
            match event:
                case Reported(attempt=attempt, step=step):
                    heard.curves.setdefault(attempt, {})[step] = event.metrics
                    if (verdict := answer(event)) is not None:
                        executor.send(Judged(attempt=attempt, step=step, verdict=verdict))
                case Saved(best=False):
                    heard.saved[event.attempt] = event.step
                case Ended():
                    heard.ended[event.attempt] = event
                    left.discard(event.attempt)
                case WorkerEnded():
                    heard.lost.append(event)
                    left -= set(event.attempts)
            look(event)
    return heard


def alone(folder: Path, of: Recipe) -> dict[int, Mapping[str, float]]:
    """The curve of the recipe, trained in this process and in no lane."""
    data = load(of.data, roots=(), split_seed=0, cache_dir=folder / "cache")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {epoch.index: epoch.metrics for epoch in train(of, data)}
    finally:
        torch.set_num_threads(threads)


def assert_same(found: Mapping[int, Mapping[str, float]], wanted: Any) -> None:
    """Equal up to rounding, which turns the answers on a row or two of 359."""
    assert list(found) == list(wanted)
    for step, metrics in found.items():
        assert metrics.keys() == wanted[step].keys()
        for name in metrics.keys() - CLOCK:
            near = {"rel": 1e-3} if name.endswith("loss") else {"abs": 0.01}
            assert metrics[name] == pytest.approx(wanted[step][name], **near), name


def workers(executor: LocalExecutor, attempts: list[int]) -> frozenset[int]:
    """The workers of those of the attempts that are at work, by number."""
    at_work = executor._at_work
    return frozenset(at_work[attempt].number for attempt in attempts if attempt in at_work)


def test_eight_trials_in_one_process_have_the_curves_they_have_alone(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    recipes = [recipe(seed) for seed in range(8)]
    attempts = start_beside(executor, tmp_path, recipes)
    assert len(workers(executor, attempts)) == 1, "all of them, in one process"
    heard = hear(executor, attempts)
    assert not heard.lost
    for attempt, of in zip(attempts, recipes, strict=True):
        ended = heard.ended[attempt]
        assert ended.state is AttemptState.SUCCEEDED, ended
        assert_same(heard.curves[attempt], alone(tmp_path, of))
        assert ended.value == min(m["val_loss"] for m in heard.curves[attempt].values())
        folder = tmp_path / f"trial-{of.seed}"
        assert (folder / "model.safetensors").exists(), "each its own network"
        assert heard.saved[attempt] == EPOCHS


def test_a_pruned_lane_is_taken_by_another_trial_and_the_others_go_on(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    recipes = [recipe(seed, epochs=5) for seed in range(3)]
    first = order(tmp_path, recipes[0], lanes=2)
    second = order(tmp_path, recipes[1], lanes=2, beside=first.attempt)
    third = order(tmp_path, recipes[2], lanes=2, beside=first.attempt)
    where: list[frozenset[int]] = []

    def answer(report: Reported) -> Verdict:
        pruned = report.attempt == second.attempt and report.step == 2
        return Verdict.PRUNE if pruned else Verdict.CONTINUE

    def refill(event: ExecutorEvent) -> None:
        if isinstance(event, Ended) and event.attempt == second.attempt:
            executor.start(third)
            where.append(workers(executor, [first.attempt, third.attempt]))

    executor.start(first)
    executor.start(second)
    attempts = [first.attempt, second.attempt, third.attempt]
    heard = hear(executor, attempts, answer, refill)
    assert heard.ended[second.attempt].state is AttemptState.PRUNED
    assert len(where) == len(where[0]) == 1
    assert_same(heard.curves[first.attempt], alone(tmp_path, recipes[0]))
    assert_same(heard.curves[third.attempt], alone(tmp_path, recipes[2]))


def test_a_lane_that_diverges_fails_alone(executor: LocalExecutor, tmp_path: Path) -> None:
    recipes = [recipe(0), recipe(1, lr=1e30), recipe(2)]
    attempts = start_beside(executor, tmp_path, recipes)
    heard = hear(executor, attempts)
    ended = heard.ended[attempts[1]]
    assert (ended.state, ended.reason) == (AttemptState.FAILED, Reason.NAN)
    for which in (0, 2):
        assert heard.ended[attempts[which]].state is AttemptState.SUCCEEDED
        assert_same(heard.curves[attempts[which]], alone(tmp_path, recipes[which]))


@pytest.mark.parametrize("reason", [Reason.CANCELLED, Reason.PREEMPTED])
def test_one_lane_is_stopped_with_its_checkpoint_and_the_others_go_on(
    reason: Reason, executor: LocalExecutor, tmp_path: Path
) -> None:
    recipes = [recipe(0, epochs=4), recipe(1, epochs=4)]
    attempts = start_beside(executor, tmp_path, recipes)

    def stop(report: Reported) -> Verdict | None:
        if report.attempt != attempts[1] or report.step != 2:
            return Verdict.CONTINUE
        executor.send(StopAttempt(attempt=attempts[1], reason=reason))
        return None

    heard = hear(executor, attempts, stop)
    assert heard.ended[attempts[1]].reason is reason
    assert heard.saved[attempts[1]] == 2
    assert_same(heard.curves[attempts[0]], alone(tmp_path, recipes[0]))


def test_after_kill_9_each_of_eight_lanes_goes_on_from_its_own_checkpoint(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    recipes = [recipe(seed, epochs=5) for seed in range(8)]
    attempts = start_beside(executor, tmp_path, recipes)

    def kill(event: ExecutorEvent) -> None:
        if isinstance(event, Reported) and event.attempt == attempts[7] and event.step == 3:
            pid = executor._at_work[attempts[7]].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)

    lost = hear(executor, attempts, look=kill)
    assert not lost.ended
    assert [set(end.attempts) for end in lost.lost] == [set(attempts)]
    assert lost.lost[0].exit_code == -signal.SIGKILL
    assert lost.lost[0].reason is Reason.WORKER_LOST
    steps = [max(lost.curves[attempt]) for attempt in attempts]
    first = order(tmp_path, recipes[0], reported=steps[0])
    again = [
        first,
        *(
            order(tmp_path, of, reported=step, beside=first.attempt)
            for of, step in zip(recipes[1:-1], steps[1:-1], strict=True)
        ),
        order(tmp_path, recipes[-1], reported=steps[-1], lanes=1),
    ]
    for each in again:
        executor.start(each)
    resumed = hear(executor, [each.attempt for each in again])
    for attempt, each, of in zip(attempts, again, recipes, strict=True):
        assert max(lost.curves[attempt]) - lost.saved[attempt] <= 1, "at most one epoch is lost"
        curve = lost.curves[attempt] | resumed.curves[each.attempt]
        assert_same(dict(sorted(curve.items())), alone(tmp_path, of))


def test_a_trial_that_goes_in_no_lane_trains_alone_and_its_log_says_why(
    executor: LocalExecutor, tmp_path: Path, log_root: Path
) -> None:
    recipes = [recipe(0), recipe(1, optimizer="muon"), recipe(2, width=24)]
    attempts = start_beside(executor, tmp_path, recipes)
    heard = hear(executor, attempts)
    for attempt, of in zip(attempts, recipes, strict=True):
        assert heard.ended[attempt].state is AttemptState.SUCCEEDED, heard.ended[attempt]
        assert_same(heard.curves[attempt], alone(tmp_path, of))
    said = logs.tail(logs.path_of(log_root, attempts[1]))
    assert "trains alone: The optimizer muon trains alone; lanes know sgd" in said
    assert "trains alone: A mlp with" in logs.tail(logs.path_of(log_root, attempts[2]))


def test_a_forked_worker_compiles_and_the_next_one_loads(
    executor: LocalExecutor, tmp_path: Path, log_root: Path
) -> None:
    folder = tmp_path / "cache" / "compiled"
    kept: list[set[Path]] = []
    for seeds in ((0, 1), (2, 3)):
        recipes = [recipe(seed, depth=1, width=8, dropout=0.0) for seed in seeds]
        first = replaced(order(tmp_path, recipes[0], lanes=2), graph="compile")
        second = order(tmp_path, recipes[1], lanes=2, beside=first.attempt)
        helpers: list[str] = []

        def look(event: ExecutorEvent, helpers: list[str] = helpers) -> None:
            if isinstance(event, Reported):
                for each in psutil.Process().children(recursive=True):
                    with suppress(psutil.Error):  # a spare that ends meanwhile
                        helpers.append(" ".join(each.cmdline()))

        executor.start(first)
        executor.start(second)
        heard = hear(executor, [first.attempt, second.attempt], look=look)
        for each, of in zip((first, second), recipes, strict=True):
            assert_same(heard.curves[each.attempt], alone(tmp_path, of))
            assert "steps are eager" not in logs.tail(logs.path_of(log_root, each.attempt))
        assert helpers
        assert not any("compile_worker" in line for line in helpers), "no pool of the compiler's"
        kept.append({path for path in folder.rglob("*") if path.is_file()})
    assert kept[0]
    assert kept[0] == kept[1], "nothing was compiled again"


def test_more_trials_than_lanes_are_all_trained(executor: LocalExecutor, tmp_path: Path) -> None:
    recipes = [recipe(seed) for seed in range(3)]
    first = order(tmp_path, recipes[0], lanes=2)
    orders = [first, *(order(tmp_path, of, lanes=2, beside=first.attempt) for of in recipes[1:])]
    for each in orders:
        executor.start(each)
    heard = hear(executor, [each.attempt for each in orders])
    for each, of in zip(orders, recipes, strict=True):
        assert_same(heard.curves[each.attempt], alone(tmp_path, of))


def test_a_trial_for_a_worker_that_is_gone_gets_another(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    first = order(tmp_path, recipe(0))
    executor.start(first)
    hear(executor, [first.attempt])
    late = [order(tmp_path, recipe(seed), beside=first.attempt) for seed in (1, 2)]
    for each in late:
        executor.start(each)
    assert len(workers(executor, [each.attempt for each in late])) == 1
    heard = hear(executor, [each.attempt for each in late])
    assert all(end.state is AttemptState.SUCCEEDED for end in heard.ended.values())

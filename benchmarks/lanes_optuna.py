"""A job of the lanes' benchmark as a plain Optuna script has it: warm processes on one file."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import optuna
import torch
from optuna.storages.journal import JournalFileBackend

from benchmarks.lanes_tasks import RATES, Task
from benchmarks.turns import Work
from models.data.loading import Dataset, load
from models.training.train import train
from tuner.search.pruners import REDUCTION, first_rung

WORKERS: Final = 2
#: Of a worker that does not answer.
PATIENCE_S: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A share of a job for one process."""

    task: Task
    folder: str
    journal: str
    trials: int
    seed: int
    pruner: str


@contextmanager
def optuna_pool() -> Iterator[list[Connection]]:
    """Processes that carry out orders; all is imported before they are handed out."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    context = get_context("spawn")
    pipes = [context.Pipe() for _ in range(WORKERS)]
    processes = [context.Process(target=_serve, args=(theirs,)) for _ours, theirs in pipes]
    for process in processes:
        process.start()
    connections = [ours for ours, _theirs in pipes]
    try:
        for connection in connections:
            _answer(connection)
        yield connections
    finally:
        for connection, process in zip(connections, processes, strict=True):
            connection.send(None)
            process.join()


def with_optuna(pool: list[Connection], task: Task, folder: Path, *, pruner: str) -> Work:
    """The job divided among the pool's processes; from the first order to the last answer."""
    with TemporaryDirectory(prefix="tuner-bench-") as place:
        journal = f"{place}/journal.log"
        storage = optuna.storages.JournalStorage(JournalFileBackend(journal))
        optuna.create_study(study_name="s", storage=storage, direction="maximize")
        began = time.perf_counter()
        for seed, connection in enumerate(pool):
            order = Order(task=task, folder=str(folder), journal=journal, seed=seed,
                          trials=task.trials // len(pool), pruner=pruner)  # fmt: skip
            connection.send(order)
        epochs = [_answer(connection) for connection in pool]
        seconds = time.perf_counter() - began
    return Work(sum(epochs), seconds)


def _answer(connection: Connection) -> int:
    if not connection.poll(PATIENCE_S):
        raise TimeoutError(f"Optuna's process says nothing for {PATIENCE_S:.0f} s.")
    answer: int = connection.recv()
    return answer


def _serve(connection: Connection) -> None:
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    connection.send(0)
    while (order := connection.recv()) is not None:
        connection.send(_carry_out(order))


def _carry_out(order: Order) -> int:
    """Trial-epochs done."""
    data = load(order.task.source, roots=(order.folder,), cache_dir=Path(order.folder))
    asha = optuna.pruners.SuccessiveHalvingPruner(
        min_resource=first_rung(order.task.job_epochs), reduction_factor=REDUCTION
    )
    study = optuna.load_study(
        study_name="s",
        storage=optuna.storages.JournalStorage(JournalFileBackend(order.journal)),
        sampler=optuna.samplers.RandomSampler(seed=order.seed),
        pruner=asha if order.pruner == "asha" else optuna.pruners.NopPruner(),
    )
    objective = _Objective(order.task, data)
    study.optimize(objective, n_trials=order.trials)
    assert objective.trials == order.trials, objective.trials
    return objective.epochs


class _Objective:
    """Trains, reports every epoch, and counts."""

    def __init__(self, task: Task, data: Dataset) -> None:
        self._task, self._data = task, data
        self.trials = self.epochs = 0

    def __call__(self, trial: optuna.Trial) -> float:
        self.trials += 1
        lr = trial.suggest_float("lr", *RATES, log=True)
        recipe = self._task.recipe(trial.number, lr=lr, epochs=self._task.job_epochs)
        accuracy = 0.0
        for epoch in train(recipe, self._data):
            self.epochs += 1
            accuracy = epoch.metrics["val_accuracy"]
            trial.report(accuracy, epoch.index)
            if trial.should_prune():
                raise optuna.TrialPruned
        return accuracy

"""What a practitioner writes: Optuna's TPE and Hyperband, two processes, a journal file.

Both processes have imported all and read the data before the clock runs; they are warm from one
search to the next. Network, data in memory, trainer and space are the service's own.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import optuna
import torch
from optuna.storages.journal import JournalFileBackend

from models.data.loading import load
from models.recipe import Recipe
from models.training.train import Diverged, train

WORKERS: Final = 2
#: Low, high, and whether it is log-uniform.
Range = tuple[float, float, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One search for a trial that is as good as the target."""

    #: Its configuration has what is not searched, and its seed is the search's.
    recipe: Recipe
    space: Mapping[str, Range]
    target: float
    trials: int
    seconds: float
    folder: str
    journal: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """The processes: to each a connection, and what tells all of them that a search is over."""

    connections: list[Connection]
    over: Event

    def seconds_to_target(self, search: Search) -> float | None:
        """Until a trial's validation accuracy was the target at the end of an epoch, in seconds.

        None where the trials or the seconds were used up before.
        """
        with TemporaryDirectory(prefix="tuner-bench-") as folder:
            journal = f"{folder}/journal.log"
            optuna.create_study(study_name="s", storage=_storage(journal), direction="maximize")
            self.over.clear()
            began, reached = time.perf_counter(), None
            for index, connection in enumerate(self.connections):
                connection.send((search, journal, index))
            waiting = list(self.connections)
            while waiting:
                for connection in wait(waiting):
                    assert isinstance(connection, Connection)
                    waiting.remove(connection)
                    if connection.recv() and reached is None:
                        reached = time.perf_counter() - began
                        self.over.set()
        return reached


@contextmanager
def practitioner() -> Iterator[Pool]:
    """The processes, once each has imported everything; ended on leaving."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    context = get_context("spawn")
    over = context.Event()
    pipes = [context.Pipe() for _ in range(WORKERS)]
    processes = [context.Process(target=_serve, args=(theirs, over)) for _, theirs in pipes]
    for process in processes:
        process.start()
    connections = [ours for ours, _ in pipes]
    try:
        for connection in connections:
            connection.recv()
        yield Pool(connections, over)
    finally:
        for connection, process in zip(connections, processes, strict=True):
            connection.send(None)
            process.join()


def _storage(journal: str) -> optuna.storages.JournalStorage:
    return optuna.storages.JournalStorage(JournalFileBackend(journal))


def _serve(connection: Connection, over: Event) -> None:
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    connection.send(None)
    while (order := connection.recv()) is not None:
        connection.send(_searched(*order, over))


def _searched(search: Search, journal: str, index: int, over: Event) -> bool:
    """Whether this process found what is as good as the target."""
    study = optuna.load_study(
        study_name="s",
        storage=_storage(journal),
        # Two processes of one seed would propose the same.
        sampler=optuna.samplers.TPESampler(seed=WORKERS * search.recipe.seed + index),
        pruner=optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=search.recipe.epochs, reduction_factor=3
        ),
    )
    objective = Objective(search, over, until=time.monotonic() + search.seconds)
    # Each may have them all: the study is over when both together have had so many.
    limit = optuna.study.MaxTrialsCallback(search.trials, states=None)
    study.optimize(objective, timeout=search.seconds, callbacks=[limit])
    return objective.reached


class Objective:
    """Trains a trial, reports each epoch, and notices when the search is over."""

    def __init__(self, search: Search, over: Event, *, until: float) -> None:
        self._search, self._over, self._until = search, over, until
        folder = Path(search.folder)
        self._data = load(search.recipe.data, roots=(search.folder,), cache_dir=folder)
        self.reached = False

    def __call__(self, trial: optuna.Trial) -> float:
        config: dict[str, Any] = {
            name: trial.suggest_float(name, low, high, log=log)
            for name, (low, high, log) in self._search.space.items()
        }
        recipe = self._search.recipe
        document = recipe.to_json()
        seed = recipe.seed * 100_000 + trial.number
        document |= {"config": {**recipe.config, **config}, "seed": seed}
        best = 0.0
        try:
            for epoch in train(Recipe.from_json(document), self._data):
                best = max(best, epoch.metrics["val_accuracy"])
                self.reached = self.reached or best >= self._search.target
                if self.reached or self._over.is_set() or time.monotonic() > self._until:
                    trial.study.stop()
                    return best
                trial.report(epoch.metrics["val_accuracy"], epoch.index)
                if trial.should_prune():
                    raise optuna.TrialPruned
        except Diverged:
            raise optuna.TrialPruned from None
        return best

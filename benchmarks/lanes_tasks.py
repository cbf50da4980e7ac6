"""What is trained by all ways that the benchmarks of lanes compare: networks, data and numbers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from benchmarks.fixed import FIXED
from models.catalog import DataRefused, DataShape, DataSource
from models.data.loading import Dataset, load
from models.entries import catalog
from models.recipe import Recipe
from tuner.settings import Settings

#: Of Fashion-MNIST: the first of its training images, as divided with seed 0. Of all 60,000
#: one training would fill the minutes.
FASHION_ROWS: Final = 3000
FASHION_FILE: Final = "fashion.npz"
#: Learning rates, whatever samples them, are log-uniform between these: none of them diverges.
RATES: Final = (1e-4, 1e-2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A network on a data set, and how much of it one turn of the engine, or one job, trains."""

    name: str
    model: str
    shape: Mapping[str, Any]
    data: str = "digits"
    #: Of each training in a turn of the engine, and how many trainings the warm loop has in one.
    epochs: int
    loop: int
    #: With more lanes a turn of it takes too long.
    most_lanes: int = 128
    #: Of a whole job.
    trials: int = 0
    job_epochs: int = 0

    @property
    def space(self) -> dict[str, Any]:
        """As a spec has it."""
        return {**FIXED, "normalisation": "none", **self.shape}

    @property
    def source(self) -> DataSource:
        """Where its data is."""
        if self.data == "fashion":
            return DataSource(name="npz", path=FASHION_FILE)
        return DataSource(name=self.data)

    def recipe(self, number: int, *, lr: float | None = None, epochs: int | None = None) -> Recipe:
        """The training of this number: its own seed, and a learning rate of the range."""
        low, high = RATES
        lr = low * (high / low) ** (number * 0.618 % 1) if lr is None else lr
        return Recipe(
            model=self.model,
            loss="cross_entropy",
            optimizer="adamw",
            data=self.source,
            config={**self.space, "lr": lr},
            epochs=epochs or self.epochs,
            seed=number,
        )

    def parameters(self, shape: DataShape) -> int:
        """Of the network."""
        return sum(
            layer.parameters for layer in catalog().models[self.model].layers(self.space, shape)
        )


_SMALL: Final = {"depth": 2, "width": 32, "batch_size": 64}
_CONV: Final = {"depth": 3, "width": 8, "growth": 2.0, "pooling": "stride", "batch_size": 64}
TASKS: Final = (
    Task(name="mlp, small", model="mlp", shape=_SMALL, epochs=5, loop=8, trials=64, job_epochs=9),
    Task(
        name="mlp, large",
        model="mlp",
        shape={"depth": 2, "width": 256, "batch_size": 128},
        epochs=1,
        loop=16,
        trials=32,
        job_epochs=9,
    ),
    Task(
        name="convnet",
        model="convnet",
        shape=_CONV,
        epochs=1,
        loop=8,
        most_lanes=32,
        trials=16,
        job_epochs=9,
    ),
    Task(
        name="mlp, fashion",
        model="mlp",
        data="fashion",
        shape={"depth": 2, "width": 96, "batch_size": 128},
        epochs=1,
        loop=16,
    ),
    Task(
        name="convnet, fashion",
        model="convnet",
        data="fashion",
        shape={**_CONV, "width": 4},
        epochs=1,
        loop=4,
        most_lanes=32,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A task with its data in memory."""

    task: Task
    data: Dataset
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Stock:
    """The data of all tasks, in a folder."""

    folder: Path
    #: Why there is no Fashion-MNIST; empty where there is.
    missing: str = ""

    def bench(self, task: Task, *, device: str = "cpu") -> Bench:
        """The task with its data."""
        data = load(task.source, roots=(str(self.folder),), cache_dir=self.folder, device=device)
        return Bench(task=task, data=data, device=device)


@contextmanager
def stocked(*, rows: int = FASHION_ROWS) -> Iterator[Stock]:
    """A folder with some rows of Fashion-MNIST, where the machine has it; gone on leaving."""
    with TemporaryDirectory(prefix="tuner-bench-") as name:
        folder = Path(name)
        try:
            data = load("fashion_mnist", roots=Settings().roots, cache_dir=folder)
        except DataRefused as error:
            yield Stock(folder, missing=str(error))
            return
        images, labels = data.train.inputs[:rows, 0], data.train.labels[:rows]
        np.savez(folder / FASHION_FILE, x=images.numpy(), y=labels.numpy())
        yield Stock(folder)

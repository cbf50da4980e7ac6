"""What checkpoints cost: training with one after each epoch, against training with none.

Three networks learn the digits: a small one, whose epoch is short, the convnet of the first
example, and one of more than 10 million parameters, whose checkpoint is large. Each is trained in
three ways, one after the other in turns: without checkpoints, with checkpoints that are written
before training goes on, as the service does with small ones, and while it goes on, as it does with
large ones. A ratio is the median over rounds of time with ÷ time without, in the same round; beside
it the same of processor time, writing included.

    python -m benchmarks.checkpoints [--rounds 15] [--networks small convnet large] [--folder DIR]
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import surroundings, table
from tuner.artifacts.opening import open_store
from tuner.artifacts.store import ArtifactStore
from tuner.protocol import ChannelClosed, FromWorker, Saved

#: Name → model, hyperparameters, epochs.
NETWORKS: Final[Mapping[str, tuple[str, Mapping[str, Any], int]]] = {
    "small": ("mlp", {"batch_size": 28, "depth": 2, "width": 64}, 10),
    "convnet": ("convnet", {}, 10),
    "large": ("mlp", {"batch_size": 32, "depth": 4, "width": 2048}, 10),
}
WAYS: Final = ("none", "at once", "meanwhile")


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """Seconds that a training took, on the clock and of the processor."""

    wall: float
    processor: float


class Remover:
    """A scheduler that says nothing, and removes superseded files, on a thread of its own."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(max_workers=1)

    def send(self, message: FromWorker) -> None:
        if isinstance(message, Saved) and message.superseded:
            self._thread.submit(self._store.delete, message.superseded)

    def receive(self) -> Any:
        raise ChannelClosed

    def receive_now(self) -> None:
        return None


def trained(name: str, way: str, folder: Path) -> Took:
    """Train a network from the start, in one of `WAYS`."""
    from models.catalog import DataSource
    from models.data.loading import load
    from models.recipe import Recipe
    from models.training.train import train

    model, config, epochs = NETWORKS[name]
    recipe = Recipe(
        model=model,
        loss="cross_entropy",
        optimizer="adamw",
        data=DataSource(name="digits"),
        config=config,
        epochs=epochs,
        seed=0,
    )
    data = load("digits", cache_dir=folder / "cache")
    wall, processor = time.perf_counter(), time.process_time()
    with_files(way, folder / "artifacts", recipe, lambda: train(recipe, data))
    took = Took(wall=time.perf_counter() - wall, processor=time.process_time() - processor)
    shutil.rmtree(folder / "artifacts", ignore_errors=True)
    return took


def with_files(way: str, artifacts: Path, recipe: Any, epochs: Callable[[], Any]) -> None:
    """Go through the epochs, as a trial does."""
    from tuner.protocol import StartAttempt
    from tuner.trial import Context
    from tuner.trial_files import Best, Files
    from tuner.trial_order import Job

    if way == "none":
        for _ in epochs():
            pass
        return
    payload = {
        "recipe": recipe.to_json(),
        "metric": "val_loss",
        "direction": "minimize",
        "roots": [],
        "cache": "",
        "artifacts": str(artifacts),
        "folder": "jobs/benchmark/trials/0",
    }
    order = StartAttempt(attempt=1, program="", payload=payload)
    context = Context(order, Remover(open_store(str(artifacts))), scratch=artifacts, device="cpu")
    best = Best()
    limit = sys.maxsize if way == "at once" else 0
    with Files(Job.of(payload), context, at_once_bytes=limit) as files:
        for epoch in epochs():
            best = files.save(epoch, best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=tuple(NETWORKS))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    rows = []
    for name in arguments.networks:
        found: dict[str, list[Took]] = {way: [] for way in WAYS}
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            trained(name, "meanwhile", Path(folder))
            for number in range(arguments.rounds):
                turn = number % len(WAYS)
                for way in (*WAYS[turn:], *WAYS[:turn]):
                    found[way].append(trained(name, way, Path(folder)))
        rows += [_row(name, way, found) for way in WAYS[1:]]
    print(surroundings())
    print()
    header = ("network", "checkpoints", "an epoch without", "time ÷ without", "range", "processor")
    print(table(header, rows))


def _row(name: str, way: str, found: Mapping[str, list[Took]]) -> tuple[str, ...]:
    pairs = list(zip(found[way], found["none"], strict=True))
    wall = [one.wall / other.wall for one, other in pairs]
    processor = [one.processor / other.processor for one, other in pairs]
    alone = statistics.median(took.wall for took in found["none"]) / NETWORKS[name][2]
    low, _, high = statistics.quantiles(wall, n=4)
    return (
        name,
        way,
        f"{1000 * alone:.0f} ms",
        f"{statistics.median(wall):.3f}",
        f"{low:.3f} … {high:.3f}",
        f"{statistics.median(processor):.3f}",
    )


if __name__ == "__main__":
    main()

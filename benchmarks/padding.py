"""Whether one padded program could serve trials of different shapes: what it could gain at best.

A padded program is as wide and deep as the widest and deepest trial in its lanes; masks keep the
others what they are, and compute along. So a step of it takes at least as long as one of lanes that
all have the largest shape, which is what is measured here, without masks, beside each of twelve
shapes of the space alone, taking turns in one process. Batches of 64, AdamW, digits.

    python -m benchmarks.padding [--shapes 12] [--blocks 5] [--lanes 8 32]
"""

import argparse
import os
import random
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.figures import surroundings, table

CACHE = Path(tempfile.gettempdir()) / "tuner-bench-cache"
OWN: Mapping[str, Mapping[str, Any]] = {
    "mlp": {"normalisation": "none", "activation": "relu", "residual": False},
    "convnet": {"normalisation": "none", "activation": "relu", "residual": False, "growth": 1.5},
}
#: Model, widths and depths from … to.
SPACES = (
    ("mlp", (16, 64), (1, 3)),
    ("mlp", (16, 128), (1, 4)),
    ("mlp", (16, 256), (1, 4)),
    ("convnet", (4, 16), (1, 3)),
    ("convnet", (8, 32), (1, 4)),
)
STEPS = 10
Span = tuple[int, int]


def drawn(widths: Span, depths: Span, count: int) -> list[tuple[int, int]]:
    """Widths, on a logarithmic scale, and depths."""
    rng, (low, high) = random.Random(0), widths
    return [(round(low * (high / low) ** rng.random()), rng.randint(*depths)) for _ in range(count)]


def compare(
    model: str, widths: Span, depths: Span, lanes: int, given: argparse.Namespace
) -> tuple[float, float]:
    """Seconds of a trial's step alone, in the mean of the shapes, and in lanes of the largest."""
    import torch

    from models.catalog import DataSource
    from models.data.loading import load
    from models.recipe import Recipe
    from models.training.lanes.lanes import Lanes
    from models.training.lanes.throughput import alone_seconds
    from models.training.single import Training

    torch.set_num_threads(1)
    data = load("digits", cache_dir=CACHE)

    def recipe(width: int, depth: int) -> Recipe:
        config = {**OWN[model], "batch_size": 64, "folds": 1, "dropout": 0.0}
        return Recipe(
            model=model,
            loss="cross_entropy",
            optimizer="adamw",
            data=DataSource(name="digits"),
            config={**config, "width": width, "depth": depth},
            epochs=1,
            seed=0,
        )

    shapes = drawn(widths, depths, given.shapes)
    trainings = [Training.begin(recipe(*shape), data, "cpu") for shape in shapes]
    together = Lanes(recipe(widths[1], depths[1]), data, capacity=lanes)
    each, padded = [], []
    for _ in range(given.blocks):
        each.append(statistics.fmean(alone_seconds(training, STEPS) for training in trainings))
        padded.append(together.step_seconds(STEPS) / lanes)
    return statistics.median(each), statistics.median(padded)


def rows(given: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """A row for each space and number of lanes."""
    for model, widths, depths in SPACES:
        for lanes in given.lanes:
            each, padded = compare(model, widths, depths, lanes, given)
            shape = ("{}…{}".format(*widths), "{}…{}".format(*depths), str(lanes))
            figures = (f"{1000 * each:.3f}", f"{1000 * padded:.3f}", f"{each / padded:.2f}×")
            yield (model, *shape, *figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", type=int, default=12)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--lanes", type=int, nargs="+", default=[8, 32])
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    found = list(rows(given))
    print(surroundings(), end="\n\n")
    header = ("model", "widths", "depths", "lanes", "alone, ms", "padded, ms", "gain at most")
    print(table(header, found))


if __name__ == "__main__":
    main()

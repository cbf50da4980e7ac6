"""What a module in front of the network is worth: the same training with and without it.

Real data, the `mlp` with its defaults, the same seeds on both sides; the value is the best epoch's
on validation rows, averaged. `digits lit` are the digits as under a lamp of changing strength: each
image's contrast and brightness are drawn. The difference has its 95 % interval over seeds.

    python -m benchmarks.preparing [--seeds 8] [--epochs 8]
"""

import argparse
import math
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from benchmarks.figures import surroundings, table
from models.catalog import DataSource
from models.data.loading import Dataset, Split, load
from models.recipe import Recipe
from models.training.train import train

#: Data, loss, metric, and what stands in front.
PAIRS: Final = (
    ("digits", "cross_entropy", "val_accuracy", "instance_norm"),
    ("digits lit", "cross_entropy", "val_accuracy", "instance_norm"),
    ("breast_cancer", "cross_entropy", "val_loss", "clip"),
    ("diabetes", "mse", "val_rmse", "clip"),
)
_T: Final = {4: 3.18, 8: 2.36, 16: 2.13}


def lit(data: Dataset, seed: int) -> Dataset:
    """Digits (0 to 16) as bytes of drawn contrast and brightness."""
    generator = torch.Generator().manual_seed(seed)

    def under_a_lamp(split: Split) -> Split:
        contrast = 2 + 7 * torch.rand(split.rows, 1, 1, 1, generator=generator)
        brightness = 100 * torch.rand(split.rows, 1, 1, 1, generator=generator)
        return replace(split, inputs=(split.inputs * contrast + brightness).clamp(0, 255).byte())

    train_rows = under_a_lamp(data.train)
    pixels = train_rows.inputs.float()
    mean, std = pixels.mean().view(1, 1, 1), pixels.std().view(1, 1, 1)
    preparation = replace(data.preparation, mean=mean, std=std)  # type: ignore[type-var]
    return replace(data, train=train_rows, val=under_a_lamp(data.val), preparation=preparation)


def best(name: str, loss: str, metric: str, prepare: tuple[str, ...], seed: int, epochs: int,
         cache: Path) -> float:  # fmt: skip
    """The best epoch's value."""
    source = DataSource(name=name.split()[0])
    data = load(source, cache_dir=cache, split_seed=seed)
    recipe = Recipe(
        model="mlp", loss=loss, optimizer="adamw", data=source, config={"folds": 1},
        epochs=epochs, seed=seed, prepare=prepare,
    )  # fmt: skip
    values = [
        epoch.metrics[metric]
        for epoch in train(recipe, lit(data, seed) if name == "digits lit" else data)
    ]
    return max(values) if metric == "val_accuracy" else min(values)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, choices=sorted(_T), default=8)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, loss, metric, part in PAIRS:
            without, behind = (
                [best(name, loss, metric, parts, seed, options.epochs, Path(folder))
                 for seed in range(options.seeds)]
                for parts in ((), (part,))
            )  # fmt: skip
            gains = [b - a for a, b in zip(without, behind, strict=True)]
            half = _T[options.seeds] * statistics.stdev(gains) / math.sqrt(len(gains))
            rows.append((
                name, metric, part, f"{statistics.mean(without):.4f}",
                f"{statistics.mean(behind):.4f}", f"{statistics.mean(gains):+.4f} ± {half:.4f}",
            ))  # fmt: skip
    print(surroundings(), end="\n\n")
    print(table(("data", "metric", "`prepare`", "without", "with", "difference"), rows))


if __name__ == "__main__":
    main()

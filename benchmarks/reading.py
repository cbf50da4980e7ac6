"""How long until there is a first batch, and how many rows a second then: against what one writes.

A table of 100,000 rows with 14 numbers, 6 categories and a class, one value in fifty missing:
`pandas.read_csv`, a `TensorDataset` and a `DataLoader`. A folder of JPEG and PNG images of mixed
sizes: a `Dataset` over Pillow and a `DataLoader`, in one process and with two workers. An epoch is
a pass over the training rows in a new order, in batches as a network wants them, and no network.
First use here reads, divides and packs; later uses map the packed file. Times without imports; the
files are in the file system's cache. pandas is measured where it is installed (`pip install
pandas`).

    python -m benchmarks.reading [--rows 100000] [--images 3000] [--repeats 3]
"""

import argparse
import importlib.util
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from benchmarks.figures import surroundings, table
from models.catalog import DataSource
from models.data.loading import load

BATCH = 256
SIDE = 96
NUMBERS, CATEGORIES = 14, 6

#: Batches of inputs, epoch by epoch.
Epochs = Callable[[], Iterable[Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Of one use: what it took to have a batch, and how fast rows come after that."""

    first_batch_s: float
    rows_per_s: float


def timed(prepare: Callable[[], Epochs]) -> Timing:
    """From nothing to the first batch; and of one whole epoch more."""
    began = time.perf_counter()
    epoch = prepare()
    next(iter(epoch()))
    first = time.perf_counter() - began
    began = time.perf_counter()
    rows = sum(len(batch) for batch in epoch())
    return Timing(first_batch_s=first, rows_per_s=rows / (time.perf_counter() - began))


def write_table(path: Path, rows: int) -> None:
    """A CSV file, always the same."""
    random = np.random.default_rng(0)
    columns = [random.normal(size=rows).round(4).astype(str) for _ in range(NUMBERS)]
    kinds = np.array([f"kind {index}" for index in range(20)])
    columns += [kinds[random.integers(0, 20, rows)] for _ in range(CATEGORIES)]
    for column in columns:
        column[random.random(rows) < 0.02] = ""
    columns.append(np.array(["no", "yes"])[random.integers(0, 2, rows)])
    names = [f"x{i}" for i in range(NUMBERS)] + [f"c{i}" for i in range(CATEGORIES)] + ["y"]
    lines = (",".join(row) for row in zip(*columns, strict=True))
    path.write_text("\n".join([",".join(names), *lines]) + "\n")


def write_images(folder: Path, count: int) -> None:
    """Smooth noise of 100 to 500 pixels a side, half JPEG, half PNG, of four classes."""
    random = np.random.default_rng(0)
    for index in range(count):
        width, height = (int(side) for side in random.integers(100, 500, 2))
        coarse = random.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        path = folder / f"class{index % 4}" / f"{index}.{'jpg' if index % 8 < 4 else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)


def ours(source: DataSource, root: Path, cache: Path) -> Epochs:
    """As a worker reads and as the training loop takes its batches."""
    data = load(source, roots=(str(root),), cache_dir=cache)

    def epoch() -> Iterator[Tensor]:
        for batch in torch.randperm(data.train.rows).split(BATCH):
            yield data.prepared(data.train.inputs.index_select(0, batch))

    return epoch


def with_pandas(path: Path) -> Epochs:
    """What one writes: codes, medians and standardised numbers, from 64 of 100 rows."""
    import pandas as pd

    frame = pd.read_csv(path)
    labels = torch.from_numpy(pd.Categorical(frame.pop("y")).codes.astype(np.int64))
    chosen = np.random.default_rng(0).permutation(len(frame))[: len(frame) * 64 // 100]
    numbers = frame.select_dtypes("number").iloc[chosen]
    numbers = numbers.fillna(numbers.median())
    numbers = (numbers - numbers.mean()) / numbers.std()
    texts = frame.select_dtypes(exclude="number").iloc[chosen]
    codes = [pd.Categorical(texts[name]).codes + 1 for name in texts]
    inputs = np.column_stack([numbers.to_numpy(), *codes]).astype(np.float32)
    rows = TensorDataset(torch.from_numpy(inputs), labels[torch.from_numpy(chosen)])
    loader = DataLoader(rows, batch_size=BATCH, shuffle=True)
    return lambda: (inputs for inputs, _labels in loader)


class Pictures(Dataset[tuple[Tensor, int]]):
    """What one writes: an image is opened when it is asked for."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(folder.rglob("*.*"))
        chosen = np.random.default_rng(0).permutation(len(paths))[: len(paths) * 64 // 100]
        self.paths = [paths[index] for index in chosen]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path = self.paths[index]
        with Image.open(path) as image:
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1)
        return pixels.float().div_(255), int(path.parent.name[-1])


def with_pillow(folder: Path, workers: int) -> Epochs:
    loader = DataLoader(Pictures(folder), batch_size=BATCH, shuffle=True, num_workers=workers)
    return lambda: (inputs for inputs, _labels in loader)


def ways_of_ours(source: DataSource, root: Path) -> dict[str, Callable[[], Epochs]]:
    """The first use, which packs, and a later one."""
    cache = root / "cache"

    def first() -> Epochs:
        shutil.rmtree(cache, ignore_errors=True)
        return ours(source, root, cache)

    return {"first use": first, "later uses": lambda: ours(source, root, cache)}


def report(title: str, ways: dict[str, Callable[[], Epochs]], repeats: int, base: str) -> None:
    """A table of medians; ratios are to `base`."""
    found: dict[str, list[Timing]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            found[name].append(timed(way))
    firsts = {n: statistics.median(t.first_batch_s for t in ts) for n, ts in found.items()}
    rates = {n: statistics.median(t.rows_per_s for t in ts) for n, ts in found.items()}
    rows: list[tuple[Any, ...]] = [
        (
            name,
            f"{firsts[name]:.3f} s",
            f"{firsts[name] / firsts[base]:.3f}×",
            f"{rates[name]:,.0f}",
            f"{rates[name] / rates[base]:.1f}×",
        )
        for name in ways
    ]
    print(f"\n{title}\n{surroundings()}\n")
    print(table(("way", "first batch", "÷ base", "rows a second", "÷ base"), rows))


def tables(root: Path, rows: int, repeats: int) -> None:
    """The table's rows, with pandas as the base where it is there."""
    source = DataSource(name="csv", path="rows.csv", options={"target": "y"})
    ways = ways_of_ours(source, root)
    if importlib.util.find_spec("pandas") is not None:
        ways = {"pandas, TensorDataset": lambda: with_pandas(root / "rows.csv")} | ways
    write_table(root / "rows.csv", 1000)
    for way in ways.values():
        timed(way)  # imports
    write_table(root / "rows.csv", rows)
    report(f"Table of {rows:,} rows x {NUMBERS + CATEGORIES}", ways, repeats, next(iter(ways)))


def images(root: Path, count: int, repeats: int) -> None:
    """The images' rows, with a plain loader as the base."""
    write_images(root / "pictures", count)
    source = DataSource(name="images", path="pictures", options={"size": SIDE})
    ways = {
        "Pillow, DataLoader": lambda: with_pillow(root / "pictures", 0),
        "Pillow, DataLoader, 2 workers": lambda: with_pillow(root / "pictures", 2),
    } | ways_of_ours(source, root)
    timed(ways["first use"])  # imports
    report(f"{count:,} images, to {SIDE}x{SIDE}", ways, repeats, "Pillow, DataLoader")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # as the service's workers have
    with tempfile.TemporaryDirectory(prefix="tuner-bench-") as folder:
        tables(Path(folder), arguments.rows, arguments.repeats)
        images(Path(folder), arguments.images, arguments.repeats)


if __name__ == "__main__":
    main()

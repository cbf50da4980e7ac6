"""What tuning gains on images it has never seen: Fashion-MNIST's test split, against trial 0.

A network is tuned through the service on two cores, by its validation accuracy alone. Then the
best trial's model, as downloaded, and trial 0's, the default configuration, are evaluated on the
10,000 test images; with 95 % intervals, that of the gain from the images on which they differ.

    python -m benchmarks.fashion_mnist [--model convnet] [--hours 0.2] [--trials 60] [--epochs 4]
                                     [--home FOLDER]

The data: `apt-get install dataset-fashion-mnist`, or the four files in DATA_ROOT/fashion-mnist.
"""

import argparse
import math
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.figures import surroundings, table
from benchmarks.service import serving
from models.catalog import DataRefused
from models.data.loading import Dataset, load
from models.exported.export import describe_model, load_model, save_model
from models.recipe import Recipe
from models.training.train import train
from tuner.client import Client, Job
from tuner.settings import Settings

CORES = 2


def spec(arguments: argparse.Namespace) -> dict[str, object]:
    """The job: nothing but the essentials and a budget."""
    return {
        "model": arguments.model,
        "data": "fashion_mnist",
        "loss": "cross_entropy",
        "optimizer": "adamw",
        "budget": {
            "trials": arguments.trials,
            "epochs": arguments.epochs,
            "hours": arguments.hours,
        },
        "search": {"seed": arguments.seed},
        "parallel": CORES,
    }


def default_model(client: Client, job: Job, best: Path, data: Dataset, path: Path) -> None:
    """Train trial 0 as the service did: its parameters, its seed, its best epoch kept."""
    zero, seed = client.trial(job, 0), client.detail(job).seed
    of_best = describe_model(best)["recipe"]
    recipe = Recipe.from_json({**of_best, "config": zero.params, "seed": seed})
    top = -1.0
    for epoch in train(recipe, data):
        if epoch.metrics["val_accuracy"] > top:
            top = epoch.metrics["val_accuracy"]
            save_model(path, epoch.checkpoint())
    if zero.state == "completed":
        assert abs(top - (zero.value or 0.0)) < 0.002, f"{top} is not trial 0's {zero.value}"


@torch.inference_mode()
def correct(module: nn.Module, data: Dataset) -> Tensor:
    """Which of the test images are classified right (N,)."""
    test = data.split("test")
    chunks = zip(test.inputs.split(500), test.labels.split(500), strict=True)
    return torch.cat([module(data.prepared(images)).argmax(1) == y for images, y in chunks])


def binomial(right: Tensor) -> tuple[float, float]:
    """Share and half its 95 % interval."""
    share = right.double().mean().item()
    return share, 1.96 * math.sqrt(share * (1 - share) / len(right))


def gained(after: Tensor, before: Tensor) -> tuple[float, float]:
    """Gain and half its 95 % interval, both of the same images."""
    difference = after.double() - before.double()
    return difference.mean().item(), 1.96 * difference.std().item() / math.sqrt(len(after))


def report(job: Job, right: dict[str, Tensor], values: dict[str, float]) -> None:
    """The table."""
    view = job.refresh().view
    print(surroundings())
    print(f"{view.counts.completed} trials completed, {view.counts.pruned} pruned\n")
    rows = []
    for name, found in right.items():
        share, half = binomial(found)
        rows.append((name, f"{values[name]:.4f}", f"{share:.4f}", f"± {half:.4f}"))
    gain, half = gained(*right.values())
    rows.append(("gain", "", f"{gain:+.4f}", f"± {half:.4f}"))
    print(table(("model", "validation accuracy", "test accuracy", "95 %"), rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("convnet", "resnet", "vit", "mlp"), default="convnet")
    parser.add_argument("--hours", type=float, default=0.2)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--home", type=Path, help="the service's home, which stays")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # as the service's workers have, so that trial 0 is the same
    with tempfile.TemporaryDirectory(prefix="tuner-bench-") as folder:
        best, default = Path(folder) / "best.safetensors", Path(folder) / "default.safetensors"
        try:
            data = load("fashion_mnist", roots=Settings().roots, cache_dir=Path(folder))
        except DataRefused as error:
            raise SystemExit(f"{error}\n`apt-get install dataset-fashion-mnist`") from None
        with serving(arguments.home) as (client, _, _):
            job = client.submit(spec(arguments)).wait()
            job.download_model(best)
            default_model(client, job, best, data, default)
            paths = {"the best trial's": best, "trial 0's": default}
            values = {k: describe_model(p)["metrics"]["val_accuracy"] for k, p in paths.items()}
            right = {name: correct(load_model(path), data) for name, path in paths.items()}
            report(job, right, values)


if __name__ == "__main__":
    main()

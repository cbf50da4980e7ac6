"""A training to no avail, so that processes forked after it find everything loaded and warm."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import torch

from models.catalog import DataShape, DataSource
from models.data.loading import Dataset, Split
from models.data.preparation import ImagePreparation
from models.exported.export import save_model
from models.recipe import Recipe
from models.training.checkpoint import save_checkpoint
from models.training.train import train

#: Model and optimizer: the kernels of both kinds of layer, a fused optimizer and one with momentum.
_PIECES: Final = (("mlp", "adamw"), ("convnet", "sgd"))
_ROWS: Final = 16


def rehearse() -> None:
    """Train, validate, save and export small networks on made-up data, on the CPU."""
    data = _made_up()
    with TemporaryDirectory(prefix="tuner-rehearsal-") as folder:
        for model, optimizer in _PIECES:
            recipe = Recipe(
                model=model,
                loss="cross_entropy",
                optimizer=optimizer,
                data=DataSource(name=data.name),
                config={"batch_size": _ROWS // 2},
                epochs=1,
                seed=0,
            )
            for epoch in train(recipe, data):
                checkpoint = epoch.checkpoint()
                save_checkpoint(Path(folder) / "checkpoint", checkpoint)
                save_model(Path(folder) / "model", checkpoint)


def _made_up() -> Dataset:
    rows = Split(
        inputs=torch.zeros(_ROWS, 1, 8, 8, dtype=torch.uint8),
        labels=torch.arange(_ROWS) % 2,
    )
    shape = DataShape(
        input_shape=(1, 8, 8),
        classes=2,
        train_rows=_ROWS,
        val_rows=_ROWS,
        test_rows=0,
        labels=(0, 1),
    )
    return Dataset(
        name="made up",
        shape=shape,
        train=rows,
        val=rows,
        test=None,
        preparation=ImagePreparation(mean=torch.zeros(1, 1, 1), std=torch.ones(1, 1, 1)),
        fingerprint="",
    )

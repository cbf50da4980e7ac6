"""A PyTorch Lightning module tuned through an Optuna objective.

A callback tells each epoch's accuracy and asks whether to go on; the rest is Lightning's. It wants
``pip install lightning``.
"""

import logging
import warnings
from typing import Any

import lightning
import optuna
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 6


class Classifier(lightning.LightningModule):
    """Two layers, and Lightning's three methods."""

    def __init__(self, width: int, dropout: float, lr: float) -> None:
        super().__init__()
        self.lr = lr
        self.network = nn.Sequential(
            nn.Linear(64, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 10)
        )

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        rows, classes = batch
        return nn.functional.cross_entropy(self.network(rows), classes)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        rows, classes = batch
        right = self.network(rows).argmax(dim=1) == classes
        self.log("val_accuracy", right.float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


class Reporting(lightning.Callback):
    """Reports after each epoch's validation, and ends the trial if it is hopeless."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial

    def on_validation_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if trainer.sanity_checking:
            return
        self.trial.report(trainer.callback_metrics["val_accuracy"].item(), trainer.current_epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned


def objective(trial: optuna.Trial) -> float:
    """The accuracy on rows the network was not trained on."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    lightning.seed_everything(trial.number, verbose=False)
    images, labels = load_digits(return_X_y=True)
    rows = torch.tensor(images, dtype=torch.float32) / 16
    digits = TensorDataset(rows, torch.tensor(labels))
    train, rest = torch.utils.data.random_split(
        digits, [0.8, 0.2], torch.Generator().manual_seed(0)
    )
    network = Classifier(
        width=trial.suggest_int("width", 16, 256, log=True),
        dropout=trial.suggest_float("dropout", 0.0, 0.5),
        lr=trial.suggest_float("lr", 1e-4, 1e-1, log=True),
    )
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="auto",
        devices=1,
        callbacks=[Reporting(trial)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    batch_size = trial.suggest_categorical("batch_size", [32, 64, 128])
    trainer.fit(network, DataLoader(train, batch_size, shuffle=True), DataLoader(rest, 512))
    return trainer.callback_metrics["val_accuracy"].item()

"""A Hugging Face transformer, made small, tuned through an Optuna objective.

It tells sequences of digits that rise from those that fall. The `Trainer` is Hugging Face's; a
callback tells each epoch's accuracy and asks whether to go on. It wants
``pip install transformers accelerate``; nothing is downloaded.
"""

from typing import Any

import numpy as np
import optuna
import torch
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    EvalPrediction,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

LENGTH = 12
EPOCHS = 4


class Sequences(Dataset[dict[str, torch.Tensor]]):
    """Numbers with noise that rise, or fall."""

    def __init__(self, rows: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.labels = random.integers(0, 2, rows)
        slopes = np.where(self.labels == 1, 0.6, -0.6)[:, None]
        values = (
            10 + slopes * (np.arange(LENGTH) - LENGTH / 2) + random.normal(0, 3, (rows, LENGTH))
        )
        self.tokens = values.round().clip(0, 19).astype(int)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        tokens = torch.tensor(self.tokens[index])
        return {
            "input_ids": tokens,
            "attention_mask": torch.ones_like(tokens),
            "labels": torch.tensor(self.labels[index]),
        }


class Reporting(TrainerCallback):
    """Reports after each evaluation, and ends the trial if it is hopeless."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial

    def on_evaluate(self, arguments: Any, state: Any, control: Any, **rest: Any) -> None:
        self.trial.report(rest["metrics"]["eval_accuracy"], round(state.epoch))
        if self.trial.should_prune():
            raise optuna.TrialPruned


def accuracy_of(guessed: EvalPrediction) -> dict[str, float]:
    """The share of sequences that were told right."""
    right = np.argmax(guessed.predictions, axis=1) == guessed.label_ids
    return {"accuracy": float(right.mean())}


def objective(trial: optuna.Trial) -> float:
    """The accuracy on sequences the network was not trained on."""
    width = trial.suggest_categorical("width", [16, 32, 64])
    config = BertConfig(
        vocab_size=20,
        hidden_size=width,
        num_hidden_layers=trial.suggest_int("layers", 1, 2),
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=LENGTH,
    )
    arguments = TrainingArguments(
        output_dir=str(getattr(trial, "checkpoint_dir", "checkpoints")),
        num_train_epochs=EPOCHS,
        learning_rate=trial.suggest_float("lr", 1e-4, 1e-2, log=True),
        per_device_train_batch_size=trial.suggest_categorical("batch_size", [32, 64]),
        eval_strategy="epoch",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=trial.number,
    )
    trainer = Trainer(
        model=BertForSequenceClassification(config),
        args=arguments,
        train_dataset=Sequences(800, seed=0),
        eval_dataset=Sequences(200, seed=1),
        compute_metrics=accuracy_of,
        callbacks=[Reporting(trial)],
    )
    trainer.train()
    return float(trainer.evaluate()["eval_accuracy"])

"""One step of a training, to learn in a second whether it can be carried out."""

import time
from typing import Any

import torch

from models.data.loading import Dataset
from models.recipe import Recipe
from models.training.committee import fold, folds_in
from models.training.single import Training


def probe(recipe: Recipe, data: Dataset, *, device: str = "cpu") -> dict[str, Any]:
    """Build everything and take one step: the facts, as plain JSON.

    ``parameters``, ``step_seconds`` (of the second step; the first warms up), ``steps_per_epoch``,
    ``data`` (its fingerprint), ``train_rows``, ``val_rows``, ``test_rows``, ``device``, ``torch``.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
        DataRefused: the loss does not take such labels.
        Diverged: the loss is infinite at the very first step.
        PartRefused: a part by import path is not there, or not what it should be.
    """
    folds = folds_in(recipe, data)
    training = Training.begin(recipe, fold(data, 0, of=folds) if folds > 1 else data, device)
    return {
        "parameters": folds * sum(p.numel() for p in training.learner.model.parameters()),
        "step_seconds": time_step(training),
        "steps_per_epoch": folds * training.steps_per_epoch,
        "data": data.fingerprint,
        "train_rows": data.train.rows,
        "val_rows": data.val.rows,
        "test_rows": data.test.rows if data.test else 0,
        "device": device,
        "torch": torch.__version__,
    }


def time_step(training: Training) -> float:
    """Seconds a step takes, after one that warms up; the training is changed by both.

    Raises:
        Diverged: a loss is NaN or infinite.
    """
    training.learner.model.train()
    batch = torch.arange(training.batch_size, device=training.data.train.labels.device)
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        with training.random.in_place():
            loss, _right = training.take_step(batch)
        # Reading the loss waits for a GPU to have done the step.
        training.refuse_infinite(loss.reshape(1), first_step=training.step - 1)
        seconds = time.perf_counter() - began
    return seconds

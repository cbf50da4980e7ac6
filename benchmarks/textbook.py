"""What a careful person writes with plain Optuna: a search space by hand, and `study.optimize`.

Network, data, loss, optimizer and trainer are the service's own, so that only the space and the
search differ. The spaces are those of Optuna's published PyTorch example and of its kin: few
hyperparameters, wide ranges; what they leave out is what PyTorch does by itself (a constant
learning rate, no smoothing).
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.trial import Trial

from models.data.loading import Dataset
from models.exported.export import save_model
from models.recipe import Recipe
from models.training.train import Diverged, train

_UNSEARCHED: Final = {"schedule": "constant", "warmup": 0.0, "label_smoothing": 0.0}


def _usual(trial: Trial) -> dict[str, Any]:
    return {
        "lr": trial.suggest_float("lr", 1e-5, 1e-1, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [32, 64, 128]),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
    }


def _mlp(trial: Trial) -> dict[str, Any]:
    return _usual(trial) | {
        "depth": trial.suggest_int("depth", 1, 3),
        "width": trial.suggest_int("width", 16, 256, log=True),
    }


def _convnet(trial: Trial) -> dict[str, Any]:
    return _usual(trial) | {
        "depth": trial.suggest_int("depth", 2, 4),
        "width": trial.suggest_int("width", 4, 32, log=True),
    }


def _tcn(trial: Trial) -> dict[str, Any]:
    return _usual(trial) | {
        "depth": trial.suggest_int("depth", 1, 5),
        "width": trial.suggest_int("width", 8, 64, log=True),
    }


SPACES: Final[dict[str, Callable[[Trial], dict[str, Any]]]] = {
    "mlp": _mlp,
    "convnet": _convnet,
    "tcn": _tcn,
}


def tune(
    base: Recipe, data: Dataset, *, metric: str, direction: str, trials: int, model: Path
) -> None:
    """The study's best network, of its best epoch, written to `model` as the service exports."""
    best: list[float] = []
    sign = 1 if direction == "maximize" else -1

    def objective(trial: Trial) -> float:
        config = _UNSEARCHED | SPACES[base.model](trial)
        recipe = Recipe.from_json(base.to_json() | {"config": config})
        top = -float("inf")
        try:
            for epoch in train(recipe, data):
                value = epoch.metrics[metric]
                if sign * value > top:
                    top = sign * value
                    if not best or top > best[0]:
                        best[:] = [top]
                        save_model(model, epoch.checkpoint())
                trial.report(value, epoch.index)
                if trial.should_prune():
                    raise optuna.TrialPruned
        except Diverged:
            raise optuna.TrialPruned from None
        return sign * top

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=base.seed)
    study = optuna.create_study(sampler=sampler, direction=direction)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.optimize(objective, n_trials=trials)

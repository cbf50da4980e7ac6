"""Objectives as people write them for Optuna, and what is wrong with some."""

import json
import math
from collections.abc import Mapping
from typing import Any

import optuna


def conditional(trial: optuna.Trial) -> float:
    """A network of so many layers, each of a width and rate of its own; it reports like one."""
    layers = trial.suggest_int("n_layers", 1, 3)
    widths = [trial.suggest_int(f"n_units_l{i}", 4, 128) for i in range(layers)]
    rates = [trial.suggest_float(f"dropout_l{i}", 0.2, 0.5) for i in range(layers)]
    kind = trial.suggest_categorical("optimizer", ["Adam", "RMSprop", "SGD"])
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    trial.suggest_float("only", 0.5, 0.5)
    trial.set_user_attr("widths", widths)
    best = 1 / (1 + abs(math.log10(lr) + 3) + sum(rates) / 3 + (kind == "SGD") + 1 / sum(widths))
    for epoch in range(10):
        trial.report(best * (1 - 0.5 ** (epoch + 1)), epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return best


def declared(config: Mapping[str, Any], trial: Any) -> float:
    """Counts on from what it finds in its folder."""
    file = trial.checkpoint_dir / "step.json"
    done = json.loads(file.read_text()) if file.exists() else 0
    for step in range(done + 1, 4):
        trial.report(config["x"] / step, step)
        file.write_text(json.dumps(step))
    return float(config["x"] + config["y"])


def several(trial: optuna.Trial) -> tuple[float, float]:
    x = trial.suggest_float("x", 0, 2)
    return x**2, (x - 1) ** 2


def nothing(trial: optuna.Trial) -> None:
    trial.suggest_float("x", 0, 1)


def text(trial: optuna.Trial) -> str:
    return "0.5"


def too_many(trial: optuna.Trial) -> tuple[float, float, float]:
    return 1.0, 2.0, 3.0


def infinite(trial: optuna.Trial) -> float:
    return math.nan


def two_kinds(trial: optuna.Trial) -> float:
    trial.suggest_float("x", 0, 1)
    return trial.suggest_categorical("x", [1.0, 2.0])


def two_ranges(trial: optuna.Trial) -> float:
    first = trial.suggest_float("x", 0, 1)
    assert trial.suggest_float("x", 5, 6) == first
    return first


def twice(trial: optuna.Trial) -> float:
    """Reports a step twice: the first value stays."""
    trial.report(1.0, 3)
    trial.report(2.0, 3)
    return 3.0


def no_room(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", 0, 1)
    trial.set_constraint("memory", x - 0.5)
    return x


def unjsonable(trial: optuna.Trial) -> float:
    trial.set_user_attr("what", {1, 2})
    return 1.0


def catches_all(trial: optuna.Trial) -> float:
    """Goes on whatever is raised, as some training loops do; reports until it is told to stop."""
    step = 0
    while True:
        try:
            trial.report(0.5, step)
            step += 1
        except Exception:
            continue


def lost_at_first(trial: optuna.Trial) -> float:
    """Reports for ever in its first attempt; in the next it returns what it was suggested."""
    x = trial.suggest_float("x", 0, 1)
    kind = trial.suggest_categorical("kind", ["a", None, True])
    trial.set_user_attr("kind", kind)
    file = trial.checkpoint_dir / "begun"  # type: ignore[attr-defined]
    if file.exists():
        return x
    file.write_text(json.dumps([x, kind]))
    step = 0
    while True:
        trial.report(x, step)
        step += 1


NOT_CALLABLE = 3

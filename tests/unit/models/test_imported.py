"""Losses, optimizers and augmentations of others: built, trained with, and refused in words."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from models.build import build_loss
from models.catalog import ConfigRefused
from models.data.loading import Dataset
from models.importing import PartRefused
from models.recipe import Recipe
from models.training.probe import probe
from models.training.train import Training, train

MakeRecipe = Callable[..., Recipe]

CODE = '''
import torch
from torch import nn
from torch.nn import functional
from models.augment.base import Augmentation


class Scaled(nn.Module):
    """Cross-entropy times a factor."""

    def __init__(self, factor: float = 1.0, width: int = 3) -> None:
        super().__init__()
        self.factor, self.width = factor, width

    def forward(self, outputs, targets):
        return self.factor * functional.cross_entropy(outputs, targets)


def either(outputs, targets, *, power: float = 2.0):
    """Of a number: outputs (B,) and targets (B,)."""
    assert outputs.shape == targets.shape
    return (outputs - targets).abs().pow(power).mean()


def by_row(outputs, targets):
    return functional.cross_entropy(outputs, targets, reduction="none")


class Plain(torch.optim.Optimizer):
    """Gradient descent, with a push."""

    def __init__(self, params, lr=1e-3, push=1.0, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "push": push, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(group["push"] * group["lr"] * p.grad)


class WithoutLr(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3):
        super().__init__(params, {})


class Dim(Augmentation):
    """All inputs lose some of their contrast."""

    def __init__(self, strength, *, blank, floor: float = 0.0):
        super().__init__(strength, blank=blank)
        self.floor = floor

    def __call__(self, inputs, labels):
        return inputs * (1 - self.strength) + self.floor, labels


LR = 0.1
'''


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package ``theirs`` with good parts, and modules that cannot be imported."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "parts.py").write_text(CODE)
    (folder / "broken.py").write_text("raise RuntimeError('no licence')\n")
    (folder / "needy.py").write_text("import a_module_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "theirs"]:
        del sys.modules[name]


def test_a_loss_an_optimizer_and_an_augmentation_of_others_learn_together(
    make_recipe: MakeRecipe, digits: Dataset
) -> None:
    config = {
        "factor": 2.0,
        "push": 3.0,
        "lr": 0.1,
        "weight_decay": 0.01,
        "theirs.parts:Dim": 0.1,
        "floor": 0.2,
    }
    recipe = make_recipe(
        loss="theirs.parts:Scaled", optimizer="theirs.parts:Plain", config=config, epochs=4
    )
    epochs = list(train(recipe, digits))
    assert epochs[-1].metrics["val_accuracy"] > 0.8
    # Trials are compared by the loss with its defaults.
    accurate = epochs[-1].metrics
    assert accurate["val_loss"] < accurate["train_loss"]


def test_arguments_go_to_the_parts_that_have_them_and_the_catalogues_stay_its_own(
    make_recipe: MakeRecipe, digits: Dataset
) -> None:
    recipe = make_recipe(
        loss="theirs.parts:Scaled",
        optimizer="theirs.parts:Plain",
        config={"factor": 2.5, "push": 0.5, "weight_decay": 0.1, "width": 32},
    )
    training = Training.begin(recipe, digits, "cpu")
    loss: Any = training.learner.loss
    assert (loss.loss.factor, loss.loss.width) == (2.5, 3)
    decays = [group["weight_decay"] for group in training.learner.optimizer.param_groups]
    assert (training.learner.optimizer.defaults["push"], decays) == (0.5, [0.1, 0.0])
    assert training.learner.optimizer.defaults["lr"] == 1e-3


def test_same_seed_same_curve_interrupted_or_not(make_recipe: MakeRecipe, digits: Dataset) -> None:
    recipe = make_recipe(loss="theirs.parts:Scaled", config={"theirs.parts:Dim": 0.1}, epochs=3)
    checkpoints = [epoch.checkpoint() for epoch in train(recipe, digits)]
    whole = [metrics["train_loss"] for metrics in checkpoints[-1].curve]
    rest = [e.metrics["train_loss"] for e in train(recipe, digits, resume=checkpoints[0])]
    assert rest == whole[1:]


def test_a_function_is_a_loss_and_numbers_come_without_a_dimension_to_spare(
    make_recipe: MakeRecipe, ink: Dataset
) -> None:
    recipe = make_recipe(loss="theirs.parts:either", config={"power": 1.5}, epochs=4)
    *_, last = train(recipe, ink)
    assert last.metrics["val_r2"] > 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"loss": "theirs.parts:Scald"},
            "theirs.parts:Scald: module theirs.parts has no 'Scald'; did you mean 'Scaled'?",
        ),
        (
            {"loss": "nowhere.parts:Loss"},
            "nowhere.parts:Loss: No module named 'nowhere'; install it into the Python that runs "
            "the workers.",
        ),
        (
            {"loss": "theirs.needy:Loss"},
            "theirs.needy:Loss: No module named 'a_module_nobody_has'; install it into the Python "
            "that runs the workers.",
        ),
        (
            {"optimizer": "theirs.broken:Opt"},
            "theirs.broken:Opt: importing theirs.broken raised RuntimeError: no licence",
        ),
        (
            {"loss": "theirs.parts:LR"},
            "theirs.parts:LR is a float; a loss is a class or a function of outputs and targets.",
        ),
        (
            {"loss": "theirs.parts:by_row"},
            "theirs.parts:by_row gave shape (32,); a loss gives the mean over the batch, a tensor "
            "of no dimension.",
        ),
        (
            {"optimizer": "theirs.parts:Scaled"},
            "theirs.parts:Scaled is no subclass of torch.optim.Optimizer; name one.",
        ),
        (
            {"optimizer": "theirs.parts:WithoutLr"},
            "theirs.parts:WithoutLr has no lr among its defaults, which schedules set; pass it to "
            "torch.optim.Optimizer.__init__.",
        ),
        (
            {"config": {"theirs.parts:Scaled": 1.0}},
            "theirs.parts:Scaled is no subclass of models.augment.base.Augmentation; name one.",
        ),
        (
            {"loss": "theirs.parts:Scaled", "config": {"facto": 2.0}},
            "No part has an argument 'facto': theirs.parts:Scaled takes factor, width.",
        ),
    ],
)
def test_what_is_not_there_or_not_of_its_kind_is_refused_by_the_probe(
    changes: dict[str, Any], message: str, make_recipe: MakeRecipe, digits: Dataset
) -> None:
    with pytest.raises(PartRefused) as caught:
        probe(make_recipe(**changes), digits)
    assert str(caught.value) == message


def test_a_constructor_that_refuses_its_arguments_is_told(
    make_recipe: MakeRecipe, digits: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "theirs" / "strict.py").write_text(
        "class Loss:\n    def __init__(self, *, gain=1):\n"
        "        if gain > 1:\n            raise ValueError('gain is at most 1')\n"
    )
    with pytest.raises(PartRefused) as caught:
        probe(make_recipe(loss="theirs.strict:Loss", config={"gain": 2}), digits)
    assert str(caught.value) == ("theirs.strict:Loss cannot be built with gain: gain is at most 1")


def test_class_weights_are_for_losses_of_the_catalogue() -> None:
    with pytest.raises(ConfigRefused, match="balance = 'weights' needs a loss of the catalogue"):
        build_loss("theirs.parts:Scaled", {}, training=True, weights=torch.ones(2))

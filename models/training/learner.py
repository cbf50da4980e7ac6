"""A network with all that teaches it: how one batch changes its weights."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.augment.chain import Augment, build_augment, leading_classes
from models.build import build_loss, build_network, build_optimizer
from models.data.loading import Dataset
from models.hyperparameters import Config
from models.imported import own_config
from models.importing import is_import_path
from models.prepare.chain import prepare_of, rows_to_learn_from, trained_part
from models.recipe import Recipe
from models.training.averaging import Averaging, averaging_of
from models.training.balance import weights_for
from models.training.entry import parts_of
from models.training.head_start import give_head_start
from models.training.precision import Precision, in_full, precision_of
from models.training.stateful import ModuleState, OptimizerState, Stateful


@dataclass(slots=True, kw_only=True)
class Learner:
    """A network and what changes it."""

    model: nn.Module
    loss: nn.Module
    optimizer: torch.optim.Optimizer
    augment: Augment
    averaging: Averaging
    precision: Precision
    #: Gradients are scaled down to this length; 0 leaves them alone.
    clip_norm: float
    #: In how many parts a batch is learned from.
    parts: int

    @classmethod
    def of(
        cls, recipe: Recipe, config: Config, data: Dataset, *, batch_size: int, device: str
    ) -> "Learner":
        """The recipe's, its weights drawn from torch's global generator.

        Raises:
            ConfigRefused: a hyperparameter has an impossible value.
            PartRefused: code that is named by import path is not what it should be.
        """
        own, labels = own_config(recipe, data.shape), data.train.labels

        def config_of(part: str) -> Config:
            return own if is_import_path(part) else config

        prepare = prepare_of(recipe, data.shape)
        rows = rows_to_learn_from(data) if prepare else None
        model = build_network(recipe.model, config, data.shape, prepare, rows=rows)
        give_head_start(trained_part(model), recipe.loss, labels)
        model.to(device)
        weights = weights_for(labels, data.shape.classes, str(config.get("balance", "none")))
        loss = build_loss(recipe.loss, config_of(recipe.loss), training=True, weights=weights)
        return cls(
            model=model,
            loss=loss,
            optimizer=build_optimizer(
                recipe.optimizer, config_of(recipe.optimizer), trained_part(model)
            ),
            augment=build_augment(
                config, data, {n: v for n, v in own.items() if n not in recipe.prepare}
            ),
            averaging=averaging_of(config, model, epochs=recipe.epochs),
            precision=precision_of(str(config["precision"]), device),
            clip_norm=float(config["clip_norm"]),
            parts=parts_of(config, batch_size),
        )

    def learn(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Take a step by a batch of prepared inputs; the loss, and how many were right.

        Where the target is a number the second means nothing.
        """
        inputs, labels = self.augment(inputs, labels)
        self.optimizer.zero_grad()
        if self.parts == 1:
            loss, right = self._add_gradients(inputs, labels)
        else:
            loss, right = self._add_gradients_in_parts(inputs, labels)
        self._clip_gradients()
        self.precision.step(self.optimizer)
        self.averaging.after_step()
        return loss, right

    def _add_gradients(
        self, inputs: Tensor, labels: Tensor, *, share: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Add the gradients of `share` times the loss; that loss, and how many were right."""
        with self.precision.autocast():
            outputs = self.model(inputs)
        loss: Tensor = self.loss(in_full(outputs), labels)
        if share < 1:
            loss = loss * share
        self.precision.backward(loss)
        return loss.detach(), (outputs.argmax(1) == leading_classes(labels)).sum()

    def _add_gradients_in_parts(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The same of a batch whose parts alone fit into memory, each counted by its rows."""
        divided = zip(inputs.tensor_split(self.parts), labels.tensor_split(self.parts), strict=True)
        found = [
            self._add_gradients(some, theirs, share=len(theirs) / len(labels))
            for some, theirs in divided
        ]
        losses, right = zip(*found, strict=True)
        return torch.stack(losses).sum(), torch.stack(right).sum()

    def _clip_gradients(self) -> None:
        if self.clip_norm > 0:
            self.precision.unscale(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)

    def stateful(self) -> dict[str, Stateful]:
        """What changes as it learns, under the names a checkpoint has for it."""
        return {
            "model": ModuleState(self.model),
            "optimizer": OptimizerState(self.optimizer),
            "average": self.averaging,
            "precision": self.precision,
        }

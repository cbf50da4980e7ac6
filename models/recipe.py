"""Everything a training depends on, as plain values. Torch-free."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.catalog import DataSource
from models.hyperparameters import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Names from the catalogue and numbers: the same recipe gives the same curve.

    `config` is flat and holds the hyperparameters of model, loss, optimizer and training; what it
    leaves out has its default. It holds the augmentations' strengths too, and an augmentation it
    leaves out is off. Other names in it are passed over.
    """

    model: str
    loss: str
    optimizer: str
    data: DataSource
    config: Config
    epochs: int
    #: Of the initial weights, the order of the rows, dropout and augmentation.
    seed: int
    #: Of the division into training and validation, the same for all trials of a job.
    split_seed: int = 0
    #: What stands in front of the network, the first one first; `config` may switch it off.
    prepare: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain JSON."""
        data = asdict(self.data) | {"options": dict(self.data.options)}
        return asdict(self) | {"config": dict(self.config), "data": data}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Recipe":
        """The recipe `to_json` wrote."""
        data, prepare = DataSource(**document["data"]), tuple(document.get("prepare", ()))
        return cls(**{**document, "data": data, "prepare": prepare})

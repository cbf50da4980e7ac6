"""The catalogue: every model, data set, loss and optimizer there is, by name. Torch-free."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Protocol, TypeVar

from models.catalog import Catalog
from models.convnet_entry import CONVNET
from models.data_entry import DIGITS, FASHION_MNIST, IDX
from models.losses import BCE, CROSS_ENTROPY, MULTI_MARGIN
from models.mlp_entry import MLP
from models.optimizers import ADAM, ADAMW, NADAM, RADAM, RMSPROP, SGD
from models.resnet_entry import RESNET
from models.vit_entry import VIT


class _Named(Protocol):
    @property
    def name(self) -> str: ...


E = TypeVar("E", bound=_Named)


def catalog() -> Catalog:
    """All that is shipped, each kind in the order in which people should see it."""
    return Catalog(
        models=_by_name((CONVNET, RESNET, VIT, MLP)),
        data=_by_name((DIGITS, FASHION_MNIST, IDX)),
        losses=_by_name((CROSS_ENTROPY, BCE, MULTI_MARGIN)),
        optimizers=_by_name((ADAMW, ADAM, SGD, RMSPROP, NADAM, RADAM)),
    )


def _by_name(entries: Iterable[E]) -> MappingProxyType[str, E]:
    return MappingProxyType({entry.name: entry for entry in entries})

"""The catalogue: every model, data set, loss, optimizer and so on, by name. Torch-free."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Protocol, TypeVar

from models.augment.entries import CROP, CUTMIX, CUTOUT, FLIP, MIXUP, NOISE, SHIFT, WARP
from models.catalog import (
    AugmentationEntry,
    Catalog,
    LossEntry,
    ModelEntry,
    OptimizerEntry,
    PreparerEntry,
)
from models.data.entry import DIGITS, FASHION_MNIST, IDX, PYTHON
from models.data.images.entry import IMAGES
from models.data.tables.entry import NPY, NPZ, TABLES, TS
from models.data.texts.entry import TEXT
from models.imported_entry import (
    imported_augmentation,
    imported_loss,
    imported_model,
    imported_optimizer,
    imported_preparer,
)
from models.importing import is_import_path
from models.losses.entries import (
    BCE,
    CROSS_ENTROPY,
    FOCAL,
    HUBER,
    L1,
    MSE,
    MULTI_MARGIN,
    NLL,
    POISSON,
)
from models.networks.char_lm_entry import CHAR_LM
from models.networks.convnet_entry import CONVNET
from models.networks.gru_entry import GRU
from models.networks.mlp_entry import MLP
from models.networks.resnet_entry import RESNET
from models.networks.tcn_entry import TCN
from models.networks.transformer_entry import TRANSFORMER
from models.networks.vit_entry import VIT
from models.optimizers.entries import (
    ADADELTA,
    ADAFACTOR,
    ADAGRAD,
    ADAM,
    ADAMAX,
    ADAMW,
    MUON,
    NADAM,
    RADAM,
    RMSPROP,
    SGD,
)
from models.prepare.entries import CLIP, GRAYSCALE, INSTANCE_NORM


class _Named(Protocol):
    @property
    def name(self) -> str: ...


E = TypeVar("E", bound=_Named)


def catalog() -> Catalog:
    """All that is shipped, each kind in the order in which people should see it."""
    return Catalog(
        models=_by_name((CONVNET, RESNET, VIT, MLP, TRANSFORMER, TCN, GRU, CHAR_LM)),
        data=_by_name((DIGITS, FASHION_MNIST, IDX, IMAGES, NPY, NPZ, *TABLES, TS, TEXT, PYTHON)),
        losses=_by_name((CROSS_ENTROPY, BCE, NLL, FOCAL, MULTI_MARGIN, MSE, HUBER, L1, POISSON)),
        optimizers=_by_name(
            (
                ADAMW,
                ADAM,
                SGD,
                RMSPROP,
                NADAM,
                RADAM,
                MUON,
                ADAMAX,
                ADAGRAD,
                ADADELTA,
                ADAFACTOR,
            )
        ),
        augmentations=_by_name((CROP, SHIFT, FLIP, WARP, NOISE, CUTOUT, MIXUP, CUTMIX)),
        preparers=_by_name((CLIP, GRAYSCALE, INSTANCE_NORM)),
    )


def model_entry(name: str) -> ModelEntry:
    """The network of this name, or by this import path, whose code its functions import."""
    return imported_model(name) if is_import_path(name) else catalog().models[name]


def loss_entry(name: str) -> LossEntry:
    """The loss of this name, or by this import path."""
    return imported_loss(name) if is_import_path(name) else catalog().losses[name]


def optimizer_entry(name: str) -> OptimizerEntry:
    """The optimizer of this name, or by this import path."""
    return imported_optimizer(name) if is_import_path(name) else catalog().optimizers[name]


def augmentation_entry(name: str) -> AugmentationEntry:
    """The augmentation of this name, or by this import path."""
    return imported_augmentation(name) if is_import_path(name) else catalog().augmentations[name]


def preparer_entry(name: str) -> PreparerEntry:
    """The preparer of this name, or by this import path."""
    return imported_preparer(name) if is_import_path(name) else catalog().preparers[name]


def _by_name(entries: Iterable[E]) -> MappingProxyType[str, E]:
    return MappingProxyType({entry.name: entry for entry in entries})

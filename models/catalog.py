"""What can be trained, with what: the entries' shape. The catalogue itself never imports torch.

Each architecture, data set, loss and optimizer says here, in numbers, which hyperparameters it has
and what a configuration costs, so that a job can be checked and priced in milliseconds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from models.hyperparameters import Config, Hyperparameter


@dataclass(frozen=True, slots=True, kw_only=True)
class DataShape:
    """What a model and a loss need to know of a data set before it is read.

    `input_shape` is one example's, channels first: ``(1, 28, 28)`` for a grey image; of a table,
    ``(columns,)``; of series, ``(channels, length)``; of a text, ``(context,)``.
    """

    input_shape: tuple[int, ...]
    #: Of the target; 0 where it is a number. Of a text, its different characters.
    classes: int
    train_rows: int
    val_rows: int
    test_rows: int
    #: Smallest and largest label; (0, 0) where the target is a number.
    labels: tuple[int, int]
    #: ``image``, ``table``, ``series`` or ``text``.
    kind: str = "image"
    #: Of a table, how many codes each column of categories has, 0 standing for missing and
    #: unknown. These columns come last in an example, after those of numbers.
    categories: tuple[int, ...] = ()
    #: Of series, whether the last channel is of flags: 1 where a value is missing or the series
    #: has ended, where all other channels are 0 unless they have a value; else 0.
    flagged: bool = False
    #: Whether any row may learn or validate: nothing (a group, time) says on which side it must be.
    exchangeable: bool = False
    #: Of each class, in the order of the labels, how many rows train; empty where nobody counted.
    class_rows: tuple[int, ...] = ()
    #: The smallest target that is a number, in its own unit; 0.0 where nobody looked.
    smallest: float = 0.0
    #: Of data that code makes, what its contents came to at submission; else empty.
    digest: str = ""

    @property
    def outputs(self) -> int:
        """The numbers a network has to answer an example with: a logit per class, or one."""
        return max(1, self.classes)

    @property
    def labels_each(self) -> int:
        """How many labels an example has: of a text one for each character."""
        return self.input_shape[0] if self.kind == "text" else 1

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "DataShape":
        """The shape that `dataclasses.asdict` wrote, after its way through JSON."""
        fields: dict[str, Any] = dict(document)
        for name in ("input_shape", "labels", "categories", "class_rows"):
            fields[name] = tuple(fields.get(name, ()))
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """Which data, and what is said of it: ``{csv: sales.csv, target: price}``."""

    #: The catalogue's name of the data, or of the kind of data.
    name: str
    #: The file or folder of data that is not known by name.
    path: str | None = None
    #: Whatever else the kind takes, such as ``target``; plain JSON.
    options: Mapping[str, Any] = field(default_factory=dict)
    #: What data that code makes must come to, so that no other is taken for it; empty for any.
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The cost of one layer in plain integers, which cannot overflow.

    `flops` counts one multiply-add as two, for one example's forward pass; `activations` the
    numbers the layer leaves for one example.
    """

    name: str
    parameters: int
    flops: int
    activations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """An architecture."""

    name: str
    summary: str
    source: str
    #: ``module:Class`` of the nn.Module; built as ``Class(input_shape=…, outputs=…, **arguments)``.
    build: str
    #: The constructor's hyperparameters with ranges that fit the data.
    hyperparameters: Callable[[DataShape], tuple[Hyperparameter, ...]]
    #: The layers a configuration has, in order, one by one: a hopeless one is cut off early.
    #: Parameters the configuration does not name have their default; `ConfigRefused` is raised
    #: for a value outside `models.domains`, `PartRefused` where code by import path refuses one.
    layers: Callable[[Config, DataShape], Iterator[Layer]]
    #: The kinds of data it is for, as `DataShape` has them.
    kinds: tuple[str, ...] = ("image",)
    #: What its gradients are clipped to unless a spec says otherwise; 0 for nothing. Recurrent
    #: networks and transformers want 1: rare gradients that are far too long would undo them.
    clip_norm: float = 0.0
    #: What else a space may give its constructor, and whether it must; only of those by import
    #: path, whose constructors have arguments that nobody searches.
    others: Callable[[DataShape], Mapping[str, bool]] = lambda _: {}


@dataclass(frozen=True, slots=True, kw_only=True)
class LossEntry:
    """A loss, the targets it takes, and the metric people judge it by."""

    name: str
    summary: str
    build: str
    hyperparameters: tuple[Hyperparameter, ...]
    metric: str
    direction: str
    #: What is wrong with such targets for this loss, with the remedy; None if nothing is.
    refuses: Callable[[DataShape], str | None]
    #: What its targets are.
    takes: Literal["classes", "numbers", "any"] = "classes"
    #: Of numbers, what a network answers: the prediction, or its logarithm. Targets may be
    #: standardised for the first; for the second they stay as they are.
    link: Literal["identity", "log"] = "identity"
    #: Whether it takes a share of each class (B, classes) in place of labels (B,), as mixing
    #: examples makes them.
    mixed_labels: bool = False
    #: How a network's outputs become probabilities of the classes; ``none`` where there are none.
    probabilities: Literal["softmax", "sigmoid", "none"] = "none"
    #: Whether it is built with torch's ``weight`` of each class and ``reduction`` if asked to.
    class_weights: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerEntry:
    """An optimizer."""

    name: str
    summary: str
    build: str
    hyperparameters: tuple[Hyperparameter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationEntry:
    """A way to alter training examples, so that a network never sees quite the same ones.

    Validation sees them as they are.
    """

    name: str
    summary: str
    source: str
    #: ``module:Class`` of a `models.augment.base.Augmentation`; built as ``Class(strength, …)``.
    build: str
    #: Its one hyperparameter, of the same name; 0 and False are off. The default is that of a job
    #: that asks for it.
    strength: Hyperparameter
    #: The kinds of data it is for, as `DataShape` has them.
    kinds: tuple[str, ...] = ("image",)
    #: Whether it mixes examples, and so needs a loss with `LossEntry.mixed_labels`.
    mixes: bool = False


def _as_it_was(input_shape: tuple[int, ...]) -> tuple[int, ...]:
    return input_shape


def _takes_all(input_shape: tuple[int, ...]) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparerEntry:
    """A module in front of the network that alters whatever it sees, in training and out of it.

    Of a table it gets the columns of numbers alone; shapes here are without those of categories.
    """

    name: str
    summary: str
    source: str
    #: ``module:Class`` of an nn.Module; built with what it takes of ``input_shape``, ``flagged``
    #: (see `DataShape.flagged`) and its hyperparameters.
    build: str
    #: The first has its own name; 0 and False are off. The default is that of a job that asks for
    #: it.
    hyperparameters: tuple[Hyperparameter, ...]
    #: The kinds of data it is for, as `DataShape` has them.
    kinds: tuple[str, ...]
    #: The shape of what it makes of examples of a shape.
    shape: Callable[[tuple[int, ...]], tuple[int, ...]] = _as_it_was
    #: What is wrong with examples of a shape, as a sentence that follows its name.
    refuses: Callable[[tuple[int, ...]], str | None] = _takes_all


@dataclass(frozen=True, slots=True, kw_only=True)
class DataEntry:
    """A data set known by name, or a kind of data that takes a path (``{idx: FOLDER}``).

    `inspect(source, roots)` raises `DataRefused` where the data is missing or not what it says;
    `roots` are the folders a relative path may lie below.
    """

    name: str
    summary: str
    source: str
    inspect: Callable[[DataSource, tuple[str, ...]], DataShape]
    #: Whether it is a kind of data, and means nothing without a path.
    needs_path: bool = False
    #: What may be said of it beside its path.
    options: tuple[str, ...] = ()
    #: Whether whatever else is said of it are arguments, of which nothing is known here.
    takes_any: bool = False
    #: What was made of the data, in sentences.
    explain: Callable[[DataSource, tuple[str, ...]], tuple[str, ...]] = lambda *_: ()


class DataRefused(Exception):
    """The data is not there, or is not what it says; the message names value and remedy."""


class ConfigRefused(Exception):
    """A hyperparameter has a value with which nothing can be built.

    The message names the parameter, the value and what it may be.
    """

    def __init__(self, parameter: str, value: object, wish: str) -> None:
        super().__init__(f"{parameter} = {value!r} {wish}.")
        self.parameter = parameter
        self.value = value


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All entries by name."""

    models: Mapping[str, ModelEntry]
    data: Mapping[str, DataEntry]
    losses: Mapping[str, LossEntry]
    optimizers: Mapping[str, OptimizerEntry]
    #: In the order in which they are applied.
    augmentations: Mapping[str, AugmentationEntry]
    preparers: Mapping[str, PreparerEntry]

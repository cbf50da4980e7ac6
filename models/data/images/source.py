"""What a spec says of an image folder, followed to its images and to their shape. Without torch."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import Final

from models.catalog import DataRefused, DataShape, DataSource
from models.data.images.files import ImageTree, image_tree
from models.data.images.headers import LONGEST_SIDE, Headers, read_headers
from models.data.images.layout import Layout, layout_of
from models.data.images.options import ImageOptions, image_options
from models.data.stratified import validation_counts
from models.files import state_of
from models.memory import available_memory

#: Classes that are told with their number of images.
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderPlan:
    """What is made of an image folder, decided before a pixel is read."""

    layout: Layout
    headers: Headers
    shape: DataShape
    fit: str
    #: Shares of each class that are drawn for the test and then for validation; 0 where the
    #: folder has its own, or where none is wanted.
    test: Fraction
    validation: Fraction


def plan_of(tree: ImageTree, options: ImageOptions) -> FolderPlan:
    """What is made of the images of `tree`.

    Raises:
        DataRefused: they are too few of a class, too many for the memory, or damaged.
    """
    layout = layout_of(tree.where, tree.names)
    test = Fraction(0) if layout.test else Fraction(str(options.test))
    validation = Fraction(0) if layout.val else Fraction(str(options.validation))
    splits = [split for split in (layout.train, layout.val, layout.test) if split]
    headers = read_headers(tree, [name for split in splits for name in split.names])
    grey = headers.grey if options.colour == "auto" else options.colour == "grey"
    size = options.size or headers.size
    rows = _rows(tree.where, layout, test, validation)
    shape = DataShape(
        input_shape=(1 if grey else 3, *size),
        classes=len(layout.classes),
        train_rows=sum(rows.of_each_class),
        val_rows=rows.val,
        test_rows=rows.test,
        labels=(0, len(layout.classes) - 1),
        class_rows=rows.of_each_class,
    )
    _check_memory(tree.where, shape)
    return FolderPlan(
        layout=layout, headers=headers, shape=shape, fit=options.fit,
        test=test, validation=validation,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """How many images train, of each class, and how many do not."""

    of_each_class: tuple[int, ...]
    val: int
    test: int


def _rows(where: str, layout: Layout, test: Fraction, validation: Fraction) -> _Rows:
    counts = layout.train.counts
    needed = 1 + bool(test) + bool(validation)
    code, fewest = min(counts.items(), key=lambda pair: pair[1])
    if fewest < needed:
        parts = ["learn from", *["validate with"] * bool(validation), *["test with"] * bool(test)]
        images = "image" if fewest == 1 else "images"
        raise DataRefused(
            f"{where} has {fewest} {images} of class {layout.classes[code]!r}; it needs {needed}, "
            f"one each to {', '.join(parts)}: add images, or remove the folder."
        )
    tested = validation_counts(counts, test) if test else Counter[int]()
    rest = counts - Counter(tested)
    validated = validation_counts(rest, validation) if validation else Counter[int]()
    learned = rest - Counter(validated)
    return _Rows(
        of_each_class=tuple(learned[code] for code in range(len(layout.classes))),
        val=len(layout.val.names) if layout.val else sum(validated.values()),
        test=len(layout.test.names) if layout.test else sum(tested.values()),
    )


def _check_memory(where: str, shape: DataShape) -> None:
    rows = shape.train_rows + shape.val_rows + shape.test_rows
    needed, available = rows * prod(shape.input_shape), available_memory()
    if needed <= available:
        return
    _channels, height, width = shape.input_shape
    scale = (available / needed) ** 0.5
    fitting = [max(1, int(side * scale)) for side in (height, width)]
    raise DataRefused(
        f"{where}: {rows:,} images of {_product(shape.input_shape)} take {needed / 1e6:,.1f} MB of "
        f"memory; {available / 1e6:,.1f} MB are free: write size: {fitting}, or take fewer images."
    )


def inspect_images(source: DataSource, roots: tuple[str, ...]) -> DataShape:
    """The shape of the examples; of the images only the headers are read."""
    return _looked_into(source, roots)[0]


def explain_images(source: DataSource, roots: tuple[str, ...]) -> tuple[str, ...]:
    """Sizes, colours, classes and what was ignored, in sentences."""
    return _looked_into(source, roots)[1]


def _looked_into(source: DataSource, roots: tuple[str, ...]) -> tuple[DataShape, tuple[str, ...]]:
    files = image_tree(source, roots).files
    options = image_options(source.options)
    return _facts(str(source.path), roots, state_of(files), options)


@lru_cache(maxsize=64)
def _facts(
    path: str, roots: tuple[str, ...], state: str, options: ImageOptions
) -> tuple[DataShape, tuple[str, ...]]:
    """Shape and sentences, once for each state of the files."""
    plan = plan_of(image_tree(DataSource(name="images", path=path), roots), options)
    return plan.shape, tuple(_sentences(plan, options))


def _sentences(plan: FolderPlan, options: ImageOptions) -> Iterator[str]:
    layout, headers = plan.layout, plan.headers
    counts = layout.train.counts
    shown = [f"{name!r} {counts[code]:,}" for code, name in enumerate(layout.classes)]
    more = ", …" if len(shown) > _SHOWN else ""
    given = " to train with" if layout.val or layout.test else ""
    yield f"{counts.total():,} images{given}, by class: {', '.join(shown[:_SHOWN])}{more}."
    yield _sentence_of_size(plan, options)
    grey = plan.shape.input_shape[0] == 1
    told = (
        "as told" if options.colour != "auto" else "as all are" if grey else "as not all are grey"
    )
    yield f"They are read {'in grey' if grey else 'in colour'}, {told}."
    rows = plan.shape.train_rows + plan.shape.val_rows + plan.shape.test_rows
    if headers.looked_at < rows:
        yield f"Sizes and colours are those of {headers.looked_at:,} images spread over all."
    if layout.ignored:
        yield (
            f"{len(layout.ignored):,} files that are no images, or in no class's folder, are "
            f"ignored, such as {layout.ignored[0]}."
        )


def _sentence_of_size(plan: FolderPlan, options: ImageOptions) -> str:
    headers, size = plan.headers, plan.shape.input_shape[1:]
    if headers.smallest == headers.largest == size:
        return f"All images are {_product(size)} (height x width) and stay so."
    found = f"of {_product(headers.smallest)}"
    if headers.smallest != headers.largest:
        found += f" to {_product(headers.largest)}"
    why = "as told" if options.size else f"the median, with {LONGEST_SIDE} at most on a side"
    how = "their middle cut to that shape" if plan.fit == "crop" else "stretched to that shape"
    return f"Images {found} (height x width) become {_product(size)}, {why}: {how}."


def _product(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))

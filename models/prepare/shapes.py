"""Of what shape examples are behind what prepares them: what a network sees. Torch-free."""

from collections.abc import Sequence
from dataclasses import replace

from models.catalog import DataShape
from models.entries import preparer_entry
from models.hyperparameters import Config


def is_on(name: str, config: Config) -> bool:
    """Whether a preparer that a job has is on in `config`; where that is silent, it is."""
    return bool(config.get(name, preparer_entry(name).hyperparameters[0].default))


def numbers_of(shape: DataShape) -> tuple[int, ...]:
    """An example's shape without a table's codes of categories: what preparers get."""
    if not shape.categories:
        return shape.input_shape
    return (shape.input_shape[0] - len(shape.categories),)


def with_numbers(shape: DataShape, numbers: tuple[int, ...]) -> DataShape:
    """The same data with examples of other numbers; the codes of categories stay."""
    whole = (numbers[0] + len(shape.categories),) if shape.categories else numbers
    return replace(shape, input_shape=whole)


def seen_shape(names: Sequence[str], config: Config, shape: DataShape) -> DataShape:
    """The data as a network sees it behind the preparers `names` that are on in `config`.

    One by import path is taken to change no shape.
    """
    if not names:
        return shape
    numbers = numbers_of(shape)
    for name in names:
        if is_on(name, config):
            numbers = preparer_entry(name).shape(numbers)
    return with_numbers(shape, numbers)

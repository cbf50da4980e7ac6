"""The batch probe doubles the batch until memory, rows or speed say that it is enough."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from models.data.loading import Dataset
from models.training import batch_probe as module
from models.training.batch_probe import BatchSizes, batch_probe
from models.training.single import Training
from tests.unit.models.conftest import MakeRecipe

Speed = Callable[[int], float]


@pytest.fixture
def many(digits: Dataset) -> Dataset:
    """Rows enough for batches of 512."""
    train = digits.train
    inputs, labels = train.inputs.repeat(3, 1, 1, 1), train.labels.repeat(3)
    return replace(digits, train=replace(train, inputs=inputs, labels=labels))


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> Callable[[Speed], None]:
    """Have a batch of a size be learned from at so many rows a second."""

    def as_if(rate: Speed) -> None:
        def seconds(training: Training, steps: int) -> float:
            return training.batch_size / rate(training.batch_size)

        monkeypatch.setattr(module, "alone_seconds", seconds)

    return as_if


def found(recipe: Any, data: Dataset, **limits: float) -> BatchSizes:
    return batch_probe(recipe, data, **limits)


def test_it_doubles_as_far_as_the_rows_go(
    make_recipe: MakeRecipe, many: Dataset, rates: Callable[[Speed], None]
) -> None:
    rates(lambda size: size)
    sizes = found(make_recipe(), many)
    assert sizes.choices == (16, 32, 64, 128, 256, 512)
    assert sizes.to_json() == {
        "choices": [16, 32, 64, 128, 256, 512],
        "default": 64,
        "reason": "With larger batches an epoch has fewer than 8 steps.",
        "rows_per_second": {str(size): size for size in (16, 32, 64, 128, 256, 512)},
    }


def test_larger_batches_than_usual_have_to_be_faster(
    make_recipe: MakeRecipe, many: Dataset, rates: Callable[[Speed], None]
) -> None:
    rates(lambda size: 1000.0 if size < 128 else 1200.0)
    sizes = found(make_recipe(), many)
    assert sizes.choices == (16, 32, 64, 128), "the usual ones as they are, and one that is faster"
    assert sizes.default == 64
    assert max(sizes.rows_per_second) == 256, "it was looked at"
    assert sizes.reason == "A batch of 256 brings less than a tenth more rows a second."


def test_what_does_not_fit_into_a_gpu_is_no_choice(
    make_recipe: MakeRecipe, many: Dataset, rates: Callable[[Speed], None]
) -> None:
    def rate(size: int) -> float:
        if size > 32:
            raise torch.OutOfMemoryError("no room")
        return size

    rates(rate)
    sizes = found(make_recipe(), many)
    assert (sizes.choices, sizes.default) == ((16, 32), 32)
    assert sizes.reason == "A batch of 64 does not fit into memory."


def test_where_nothing_fits_there_is_no_choice(
    make_recipe: MakeRecipe, many: Dataset, rates: Callable[[Speed], None]
) -> None:
    def rate(size: int) -> float:
        raise torch.OutOfMemoryError("no room")

    rates(rate)
    assert found(make_recipe(), many).to_json() == {
        "reason": "A batch of 16 does not fit into memory.",
        "rows_per_second": {},
    }


@pytest.mark.parametrize("memory", [None, 400.0])
def test_it_ends_before_memory_does(
    memory: float | None,
    make_recipe: MakeRecipe,
    many: Dataset,
    rates: Callable[[Speed], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates(lambda size: size)
    peaks = iter([1000, 1000, 1100, 1150, 1250])
    monkeypatch.setattr(module, "peak_memory", lambda: next(peaks))
    monkeypatch.setattr(module, "available_memory", lambda: 1600)
    sizes = batch_probe(make_recipe(), many, memory=memory)
    assert sizes.choices == (16, 32, 64, 128), "250 twice is more than 400"
    assert sizes.reason == "A batch of 256 may not fit into memory."


def test_it_ends_when_its_time_is_over(
    make_recipe: MakeRecipe,
    many: Dataset,
    rates: Callable[[Speed], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates(lambda size: size)
    clock = iter([0.0, 4.0, 11.0])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    sizes = found(make_recipe(), many)
    assert (sizes.choices, sizes.default) == ((16, 32), 32)
    assert sizes.reason == "There was no time to look at a batch of 64."


def test_real_steps_are_timed_and_leave_no_trace(make_recipe: MakeRecipe, digits: Dataset) -> None:
    drawn = torch.get_rng_state()
    sizes = found(make_recipe(), digits)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert sizes.choices[:3] == (16, 32, 64)
    assert all(rate > 0 for rate in sizes.rows_per_second.values())


def test_few_rows_have_the_one_size_they_can(make_recipe: MakeRecipe, digits: Dataset) -> None:
    train = digits.train
    few = replace(train, inputs=train.inputs[:40], labels=train.labels[:40])
    assert found(make_recipe(), replace(digits, train=few)).choices == (16,)

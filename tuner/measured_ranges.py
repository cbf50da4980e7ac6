"""Ranges that nobody knows, as a job's probe finds them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from models.data.loading import Dataset
from models.recipe import Recipe
from models.training.batch_probe import batch_probe
from models.training.range_test import range_test
from tuner.trial_order import Job


def found_ranges(job: Job, data: Dataset, *, device: str) -> dict[str, Any]:
    """By name the ranges that the job's order asks for, or why there is none; plain JSON.

    Of ``batch_size`` see `BatchSizes.to_json`, and of ``lr``, which is tested with the batch size
    that was found, `RangeTest.to_json`.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
        DataRefused: the loss does not take such labels.
        PartRefused: a part by import path is not there, or not what it should be.
    """
    found: dict[str, Any] = {}
    if "batch_size" in job.ranges:
        memory = None if job.memory_gb is None else job.memory_gb * 2**30
        sizes = batch_probe(job.recipe, data, device=device, halvings=job.halvings, memory=memory)
        found["batch_size"] = sizes.to_json()
    if "lr" in job.ranges:
        recipe = in_range(job.recipe, found)
        found["lr"] = range_test(recipe, data, device=device, halvings=job.halvings).to_json()
    return found


def in_range(recipe: Recipe, ranges: Mapping[str, Any]) -> Recipe:
    """The recipe with the defaults of what was found."""
    defaults = {name: found["default"] for name, found in ranges.items() if "default" in found}
    return replace(recipe, config={**recipe.config, **defaults})

"""Spaces and studies from what a spec says of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.parameters import parse_parameter
from tuner.planning.constraining import constraints_of
from tuner.search.study import JobStudy
from tuner.search_spec import Search
from tuner.space import Space, arranged
from tuner.states import Direction


def space_of(documents: Mapping[str, Any]) -> Space:
    """The space of a spec's ``space``, of which the catalogue knows nothing."""
    return arranged([parse_parameter(name, document) for name, document in documents.items()])


def study_of(
    documents: Mapping[str, Any],
    *,
    constraints: Sequence[str] = (),
    seed: int = 7,
    **search: Any,
) -> JobStudy:
    """The study of a command with this space, constraints and ``search``."""
    space = space_of(documents)
    expressions = constraints_of(constraints, space)
    return JobStudy(
        job="job_01TEST",
        space=space,
        directions=[Direction.MINIMIZE],
        search=Search.model_validate({"pruner": "none", **search}),
        epochs=20,
        seed=seed,
        feasible=lambda config: all(e.holds(config) for e in expressions),
    )

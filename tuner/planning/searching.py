"""Whether a job's space and its trials suit the way it is to be searched."""

from tuner.errors import Fault
from tuner.planning.finiteness import endless
from tuner.search_spec import Search
from tuner.space import Space


def search_faults(search: Search, space: Space, *, epochs: int | None) -> list[Fault]:
    """What keeps `search` from such a space, of trials of so many epochs; None if nobody knows."""
    return [*_of_sampler(search, space), *_of_pruner(search, epochs)]


def _of_sampler(search: Search, space: Space) -> list[Fault]:
    if search.sampler != "brute_force":
        return []
    why = endless(space)
    if why is None:
        return []
    detail = f"search.sampler = 'brute_force' tries everything, but {why}, or take grid."
    return [Fault(pointer="/search/sampler", code="endless", detail=detail)]


def _of_pruner(search: Search, epochs: int | None) -> list[Fault]:
    least = search.pruner_options.get("min_resource")
    if not isinstance(least, int):
        return []
    if epochs is None:
        if search.pruner != "hyperband":
            return []
        remedy = "nobody knows how many steps an objective has; leave it out, or take asha"
    elif least <= epochs:
        return []
    else:
        remedy = f"it is more than budget.epochs = {epochs}; lower it"
    detail = f"search.pruner_options.min_resource = {least}: {remedy}."
    return [Fault(pointer="/search/pruner_options/min_resource", code="value", detail=detail)]

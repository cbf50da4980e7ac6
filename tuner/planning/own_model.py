"""A model by import path: what is wrong with it, and what is to be said of it.

Its code is imported here, through its entry: where `resolve` is called for such a spec it may be.
"""

from models.catalog import DataShape, ModelEntry
from models.entries import model_entry
from models.importing import PartRefused, is_import_path
from models.own.filling import missing
from tuner.errors import Fault
from tuner.planning.capacity import Capacity
from tuner.planning.extremes import ends, sized
from tuner.space import Space
from tuner.spec import TrainingSpec


def own_faults(spec: TrainingSpec, model: ModelEntry, shape: DataShape) -> list[Fault]:
    """What is wrong with its class, or an argument that neither spec nor data gives."""
    try:
        model.hyperparameters(shape)
        wanted = [name for name, must in model.others(shape).items() if must]
    except PartRefused as error:
        return [Fault(pointer="/model", code="not-imported", detail=str(error))]
    return [
        Fault(pointer="/model", code="missing", detail=missing(model.name, name, shape.kind))
        for name in wanted
        if name not in spec.space
    ]


def default_faults(space: Space, capacity: Capacity) -> list[Fault]:
    """What is wrong where trial 0 builds nothing."""
    refused = capacity.size(space.defaults()).refused
    return [] if refused is None else [Fault(pointer="/model", code="not-built", detail=refused)]


def own_notes(space: Space, capacity: Capacity) -> list[str]:
    """A sentence for each end of a range with which nothing is built, and for codes it may miss."""
    if not is_import_path(capacity.model):
        return []
    notes = []
    for parameter in sized(space, capacity):
        for value in ends(parameter):
            why = capacity.size(space.complete({parameter.name: value})).refused
            if why is not None:
                notes.append(
                    f"{parameter.name} = {value!r} builds nothing with all else as in trial 0; "
                    f"such trials end as infeasible, and the sampler learns from them: {why}"
                )
    shape = capacity.shape
    if shape.categories and "categories" not in model_entry(capacity.model).others(shape):
        notes.append(
            f"The last {len(shape.categories)} columns are codes of categories, which "
            f"{capacity.model} sees as numbers; an argument called categories would be told how "
            "many codes each has."
        )
    return notes

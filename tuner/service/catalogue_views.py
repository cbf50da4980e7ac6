"""The catalogue as the service answers it: every name a spec may use. Torch- and Optuna-free."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from models.catalog import Catalog, DataEntry, DataRefused, DataShape, DataSource, ModelEntry
from models.entries import catalog
from models.hyperparameters import Hyperparameter
from models.training.entry import training_hyperparameters
from tuner.catalog_views import CatalogEntry, CatalogList
from tuner.errors import nearest
from tuner.parameters_written import parameter_to_json
from tuner.planning.judging import METRICS
from tuner.search.searches import PRUNERS, SAMPLERS
from tuner.search_options import PRUNER_OPTIONS, SAMPLER_OPTIONS, Option
from tuner.search_spec import Search
from tuner.spec import Budget

#: The data whose shape the ranges of models for images are shown for; it is always there.
EXAMPLE_DATA: Final = "digits"
#: For models of other kinds of data a shape stands for them: a thousand series of 100
#: steps, a text of a million characters.
EXAMPLE_SHAPES: Final[Mapping[str, DataShape]] = {
    "series": DataShape(
        input_shape=(3, 100),
        classes=2,
        train_rows=1000,
        val_rows=250,
        test_rows=0,
        labels=(0, 1),
        kind="series",
    ),
    "text": DataShape(
        input_shape=(128,),
        classes=65,
        train_rows=6328,
        val_rows=703,
        test_rows=781,
        labels=(0, 64),
        kind="text",
    ),
}


def entries(kind: str, roots: tuple[str, ...] = ()) -> CatalogList:
    """All entries of a kind: models, datasets, losses, optimizers, augmentations, and so on.

    `roots` are the folders data may lie below. Safe from any thread; milliseconds.

    Raises:
        ValueError: there is no such kind.
    """
    kinds: Mapping[str, Callable[[], Iterable[CatalogEntry]]] = {
        "models": lambda: _models(catalog()),
        "datasets": lambda: (_data(entry, roots) for entry in catalog().data.values()),
        "losses": lambda: _losses(catalog()),
        "optimizers": lambda: _optimizers(catalog()),
        "augmentations": lambda: _augmentations(catalog()),
        "preparations": lambda: _preparers(catalog()),
        "samplers": lambda: _named(SAMPLERS, Search().sampler, SAMPLER_OPTIONS),
        "pruners": lambda: _named(PRUNERS, Search().pruner, PRUNER_OPTIONS),
    }
    if kind not in kinds:
        raise ValueError(f"The catalogue has no {kind!r}: {nearest(kind, tuple(kinds))}")
    return CatalogList(entries=list(kinds[kind]()))


def _models(entries: Catalog) -> Iterable[CatalogEntry]:
    shape = entries.data[EXAMPLE_DATA].inspect(DataSource(name=EXAMPLE_DATA), ())
    for entry in entries.models.values():
        if shape.kind in entry.kinds:
            yield _model(entry, EXAMPLE_DATA, shape)
        else:
            yield _model(entry, entry.kinds[0], EXAMPLE_SHAPES[entry.kinds[0]])


def _model(entry: ModelEntry, data: str, shape: DataShape) -> CatalogEntry:
    own = entry.hyperparameters(shape)
    default = {parameter.name: parameter.default for parameter in own}
    return CatalogEntry(
        name=entry.name,
        summary=entry.summary,
        source=entry.source,
        hyperparameters=_written(own),
        facts={
            "build": entry.build,
            # Ranges follow the data; these are for the example's.
            "data": data,
            "parameters": sum(layer.parameters for layer in entry.layers(default, shape)),
            "training": _written(
                training_hyperparameters(shape, Budget().epochs, clip_norm=entry.clip_norm)
            ),
        },
    )


def _data(entry: DataEntry, roots: tuple[str, ...]) -> CatalogEntry:
    return CatalogEntry(
        name=entry.name,
        summary=entry.summary,
        source=entry.source,
        facts=_availability(entry, roots),
    )


def _availability(entry: DataEntry, roots: tuple[str, ...]) -> dict[str, Any]:
    """The shape of data known by name, or why there is none."""
    try:
        shape = entry.inspect(DataSource(name=entry.name), roots)
    except (DataRefused, OSError) as error:
        return {"available": False, "detail": str(error)}
    return {
        "available": True,
        "input_shape": list(shape.input_shape),
        "classes": shape.classes,
        "train_rows": shape.train_rows,
        "val_rows": shape.val_rows,
        "test_rows": shape.test_rows,
    }


def _losses(entries: Catalog) -> Iterable[CatalogEntry]:
    for entry in entries.losses.values():
        facts = {"build": entry.build, "metric": entry.metric, "direction": METRICS[entry.metric]}
        yield CatalogEntry(
            name=entry.name,
            summary=entry.summary,
            hyperparameters=_written(entry.hyperparameters),
            facts=facts,
        )


def _optimizers(entries: Catalog) -> Iterable[CatalogEntry]:
    for entry in entries.optimizers.values():
        yield CatalogEntry(
            name=entry.name,
            summary=entry.summary,
            hyperparameters=_written(entry.hyperparameters),
            facts={"build": entry.build},
        )


def _augmentations(entries: Catalog) -> Iterable[CatalogEntry]:
    for entry in entries.augmentations.values():
        yield CatalogEntry(
            name=entry.name,
            summary=entry.summary,
            source=entry.source,
            hyperparameters=_written((entry.strength,)),
            facts={"build": entry.build, "kinds": list(entry.kinds), "mixes": entry.mixes},
        )


def _preparers(entries: Catalog) -> Iterable[CatalogEntry]:
    for entry in entries.preparers.values():
        yield CatalogEntry(
            name=entry.name,
            summary=entry.summary,
            source=entry.source,
            hyperparameters=_written(entry.hyperparameters),
            facts={"build": entry.build, "kinds": list(entry.kinds)},
        )


def _named(
    summaries: Mapping[str, str], usual: str, options: Mapping[str, Mapping[str, Option]]
) -> Iterable[CatalogEntry]:
    for name, summary in summaries.items():
        facts = {"default": name == usual, "options": list(options.get(name, ()))}
        yield CatalogEntry(name=name, summary=summary, facts=facts)


def _written(parameters: Iterable[Hyperparameter]) -> list[dict[str, Any]]:
    return [parameter_to_json(parameter) for parameter in parameters]

"""The scaling of a table's numbers as a hyperparameter: each kind is data prepared another way."""

from dataclasses import replace

from models.catalog import DataEntry, DataSource
from models.data.tables.options import SCALINGS
from models.hyperparameters import Choice, Config, Hyperparameter
from tuner.errors import Fault, SpecInvalid
from tuner.spec import TrainingSpec

NAME = "scaling"


def scaling_wished(spec: TrainingSpec, data: DataEntry) -> tuple[Hyperparameter, ...]:
    """The hyperparameter ``scaling`` where the spec's space has it; trial 0's is the data's.

    It is not searched unasked: each kind is one more file of prepared rows.

    Raises:
        SpecInvalid: the data takes no scaling.
    """
    if NAME not in spec.space:
        return ()
    if NAME not in data.options:
        detail = (
            f"scaling is that of a table's numbers, and data {data.name} is none: leave it out."
        )
        raise SpecInvalid([Fault(pointer="/space/scaling", code="wrong-data", detail=detail)])
    usual = str(spec.data_source.options.get(NAME, SCALINGS[0]))
    return (Choice(name=NAME, choices=SCALINGS, default=usual, source="arXiv:2106.11959"),)


def scaled_source(spec: TrainingSpec, config: Config) -> DataSource:
    """The data of a trial: the spec's, with the scaling that its configuration names."""
    source = spec.data_source
    if NAME not in config or config[NAME] not in SCALINGS:
        return source
    return replace(source, options={**source.options, NAME: config[NAME]})

"""The catalogue's answers name all a spec may use, without heavy imports."""

import json
import subprocess
import sys
from typing import Any, get_args

import pytest

from models.entries import catalog
from tuner.client.jobs import CatalogKind
from tuner.parameters import parameter_from_json
from tuner.planning.resolve import resolve
from tuner.search_options import PRUNER_OPTIONS, SAMPLER_OPTIONS
from tuner.search_spec import Search
from tuner.service.catalogue_views import EXAMPLE_SHAPES, entries
from tuner.spec import TrainingSpec

KINDS = get_args(CatalogKind)


def names_of(kind: str) -> list[str]:
    return [entry.name for entry in entries(kind).entries]


def test_every_name_of_the_catalogue_is_listed() -> None:
    assert names_of("models") == list(catalog().models)
    assert names_of("datasets") == list(catalog().data)
    assert names_of("losses") == list(catalog().losses)
    assert names_of("optimizers") == list(catalog().optimizers)
    assert names_of("augmentations") == list(catalog().augmentations)


@pytest.mark.parametrize("kind", ["sampler", "pruner"])
def test_samplers_and_pruners_are_those_a_spec_may_name(kind: str) -> None:
    allowed = get_args(Search.model_fields[kind].annotation)
    assert set(names_of(f"{kind}s")) == set(allowed)
    defaults = [e.name for e in entries(f"{kind}s").entries if e.facts["default"]]
    assert defaults == [Search.model_fields[kind].default]
    known = {"sampler": SAMPLER_OPTIONS, "pruner": PRUNER_OPTIONS}[kind]
    for entry in entries(f"{kind}s").entries:
        assert entry.facts["options"] == list(known.get(entry.name, ()))


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_says_what_it_is_and_is_plain_json(kind: str) -> None:
    for entry in entries(kind).entries:
        assert entry.summary.endswith(".")
        assert json.loads(entry.model_dump_json())["name"] == entry.name
        for document in entry.hyperparameters:
            assert parameter_from_json(document).name == document["name"]


def test_the_default_parameter_count_is_the_one_a_job_gets() -> None:
    for entry in entries("models").entries:
        if entry.facts["data"] != "digits":
            continue
        spec: dict[str, Any] = {"loss": "cross_entropy", "optimizer": "adamw", "data": "digits"}
        plan = resolve(TrainingSpec.parse({**spec, "model": entry.name}), ())
        assert entry.facts["parameters"] == plan.parameters.default


def test_a_model_for_other_data_is_shown_for_an_example_of_its_kind() -> None:
    facts = {entry.name: entry.facts for entry in entries("models").entries}
    assert facts["mlp"]["data"] == "digits"
    for name in ("transformer", "tcn", "gru"):
        shape = EXAMPLE_SHAPES["series"]
        counted = sum(layer.parameters for layer in catalog().models[name].layers({}, shape))
        assert facts[name]["data"] == "series"
        assert facts[name]["parameters"] == counted


def test_data_says_whether_it_is_there() -> None:
    facts = {entry.name: entry.facts for entry in entries("datasets").entries}
    assert facts["digits"]["available"]
    assert facts["digits"]["input_shape"] == [1, 8, 8]
    assert not facts["idx"]["available"]
    assert "write data: {idx: FOLDER}" in facts["idx"]["detail"]


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="has no 'model': did you mean 'models'"):
        entries("model")


def test_the_catalogue_imports_neither_torch_nor_optuna_and_numpy_only_for_tables() -> None:
    program = (
        "import sys\n"
        "from tuner.service.catalogue_views import entries\n"
        f"for kind in {sorted(set(KINDS) - {'datasets'})!r}: entries(kind)\n"
        "found = [m for m in ('numpy', 'pyarrow') if m in sys.modules]\n"
        "entries('datasets')\n"
        "print(found + [m for m in ('torch', 'optuna', 'sklearn') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")

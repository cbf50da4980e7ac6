"""Choices whose order means something: values for people, places for the sampler."""

import json
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

from models.hyperparameters import Choice
from tests.filled import add_job, add_trial
from tests.studies import space_of, study_of
from tuner.db import Database
from tuner.errors import SpecInvalid
from tuner.parameters import parameter_from_json, parse_parameter
from tuner.parameters_written import describe, parameter_to_json
from tuner.planning.feasibility import pulled_to_feasible
from tuner.search.replaying import StoredTrial
from tuner.states import TrialState
from tuner.storage_view import StorageView
from tuner.words import searched

SIZES = {"ordered": [16, 32, 64, 128]}
SPACE = {
    "batch_size": SIZES,
    "size": {"ordered": ["small", "middle", "large"]},
    "mixed": {"ordered": [False, 1, 2.5, "all"]},
}


def test_it_is_read_with_its_middle_as_the_default() -> None:
    expected = Choice(name="p", choices=(16, 32, 64, 128), default=32, ordered=True)
    assert parse_parameter("p", SIZES) == expected
    assert parse_parameter("p", {**SIZES, "default": 128}).default == 128
    known = Choice(name="p", choices=(64, 256), default=64)
    assert parse_parameter("p", SIZES, known=known).default == 64
    assert describe(expected) == "one of 16, 32, 64, 128 (ordered)"
    assert searched(parameter_to_json(expected)) == "16 | 32 | 64 | 128, ordered"


def test_it_survives_json() -> None:
    for parameter in space_of(SPACE).parameters:
        document = json.loads(json.dumps(parameter_to_json(parameter)))
        assert parameter_from_json(document) == parameter


@pytest.mark.parametrize(
    ("document", "pointer", "detail"),
    [
        ({"ordered": []}, "/ordered", "p.ordered = [] must be a list of at least one string"),
        ({"ordered": [1, 2, 1]}, "/ordered", "p.ordered = [1, 2, 1] names a value twice."),
        ({"ordered": [1], "default": 2}, "/default", "p.default = 2 lies outside one of 1 (order"),
        ({"ordered": [1], "log": True}, "/log", "p has an unknown key 'log': known: default, ord"),
        ({"ordered": [1], "choice": [1]}, "", "p has choice and ordered; write {float"),
    ],
)
def test_refusals_say_what_to_write(document: object, pointer: str, detail: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse_parameter("p", document)
    (fault,) = caught.value.faults
    assert fault.pointer == f"/space/p{pointer}"
    assert fault.detail.startswith(detail)


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "nsga2", "qmc", "grid"])
def test_the_sampler_sees_places_and_trials_have_values(sampler: str) -> None:
    study = study_of(SPACE, sampler=sampler)
    rows = []
    for number in range(14):
        params = study.ask().params
        assert study.space.faults_of(params, "") == []
        (told,) = (t for t in study.trials() if t.number == number)
        assert set(told.distributions.values()) == {IntDistribution(0, 3), IntDistribution(0, 2)}
        assert told.params["batch_size"] == [16, 32, 64, 128].index(params["batch_size"])
        assert study.params_of(told) == params
        study.tell(number, TrialState.COMPLETED, told.params["batch_size"])
        rows.append(
            StoredTrial(
                number=number,
                state=TrialState.COMPLETED,
                params=json.loads(json.dumps(params)),
                value=told.params["batch_size"],
                system_attrs=study.attrs(number),
            )
        )
    again = study_of(SPACE, sampler=sampler)
    again.rebuild(rows, study.study_attrs())
    before, after = study.trials(), again.trials()
    assert [(t.params, t.value) for t in after] == [(t.params, t.value) for t in before]


def test_tpe_learns_from_the_order() -> None:
    """Of forty places, those near the best one are tried more than those that are far."""
    space = {"n": {"ordered": [2**k for k in range(40)]}}
    study = study_of(space, sampler="tpe", duplicates="allow", seed=3)
    places = []
    for _ in range(40):
        proposal = study.ask()
        places.append(int(proposal.params["n"]).bit_length() - 1)
        study.tell(proposal.number, TrialState.COMPLETED, abs(places[-1] - 30))
    assert sum(abs(place - 30) <= 5 for place in places[15:]) > 12


def test_a_point_and_a_pull_have_values() -> None:
    study = study_of(SPACE, constraints=["batch_size < 64"], sampler="random")
    assert study.ask({"batch_size": 16, "mixed": "all"}).params == {
        "batch_size": 16,
        "size": "middle",
        "mixed": "all",
    }
    assert {study.ask().params["batch_size"] for _ in range(20)} == {16, 32}


def test_a_pull_goes_through_the_places_between() -> None:
    space = space_of({"n": {"ordered": ["a", "b", "c", "d", "e"], "default": "a"}})
    seen: list[Any] = []

    def feasible(config: Any) -> bool:
        seen.append(config["n"])
        return bool(config["n"] < "c")

    assert pulled_to_feasible(space, {"n": "e"}, {"n": "a"}, feasible) == {"n": "b"}
    assert list(dict.fromkeys(seen)) == ["e", "d", "c", "b"]


def test_optunas_view_of_the_tables_shows_the_values(sqlite_database: Database) -> None:
    job = add_job(sqlite_database, space=space_of(SPACE))
    params = {"batch_size": 64, "size": "large", "mixed": 2.5}
    attrs = {"fixed_params": {"batch_size": 2, "size": 2, "mixed": 2}}
    add_trial(sqlite_database, job, 0, value=0.9, params=params, system_attrs=attrs)
    study = optuna.load_study(
        study_name="job_01J0000000000000000000DIGITS", storage=StorageView(sqlite_database)
    )
    (trial,) = study.trials
    assert trial.params == params
    assert trial.system_attrs["fixed_params"] == params
    assert trial.distributions["batch_size"] == CategoricalDistribution((16, 32, 64, 128))
    trial._validate()

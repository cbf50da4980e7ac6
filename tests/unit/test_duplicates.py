"""A configuration that was tried is not tried again while others are left."""

from typing import Any

import pytest

from models.hyperparameters import Config
from tests.studies import study_of
from tuner.search.grid import SpaceExhausted
from tuner.search.replaying import StoredTrial
from tuner.search.study import JobStudy
from tuner.states import TrialState

SIX = {"depth": {"int": [1, 3]}, "norm": {"choice": ["batch", "layer"]}}
SAMPLERS = ("auto", "random", "qmc", "cmaes", "gp", "nsga2", "nsga3", "brute_force")
ENDED = (TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED)


def key(params: Config) -> tuple[Any, ...]:
    return tuple(params.values())


def carry_out(study: JobStudy, state: TrialState = TrialState.COMPLETED) -> tuple[Any, ...]:
    proposal = study.ask()
    study.tell(proposal.number, state, float(proposal.params["depth"]))
    return key(proposal.params)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_tries_all_of_a_small_space_once_and_ends(sampler: str) -> None:
    study = study_of(SIX, sampler=sampler)
    tried = [carry_out(study, ENDED[number % 3]) for number in range(6)]
    assert len(set(tried)) == 6
    with pytest.raises(SpaceExhausted, match="Job job_01TEST has tried every configuration"):
        study.ask()
    assert study.ask({"depth": 1}).number == 6, "what a person wants is tried"


def test_what_a_person_wanted_counts_as_tried() -> None:
    study = study_of(SIX)
    given = study.ask({"depth": 1, "norm": "layer"})
    study.tell(given.number, TrialState.COMPLETED, 1.0)
    assert key(given.params) not in {carry_out(study) for _ in range(5)}
    with pytest.raises(SpaceExhausted):
        study.ask()


def test_where_they_are_allowed_only_what_is_under_way_is_kept_away_from() -> None:
    study = study_of(SIX, sampler="random", duplicates="allow")
    tried = [carry_out(study) for _ in range(40)]
    assert len(set(tried)) == 6
    under_way = [key(study.ask().params) for _ in range(5)]
    assert len(set(under_way)) == 5


@pytest.mark.parametrize("sampler", ["auto", "brute_force"])
def test_a_rebuilt_study_repeats_nothing_but_what_was_cancelled(sampler: str) -> None:
    first, rows = study_of(SIX, sampler=sampler), []
    states = (*ENDED, TrialState.CANCELLED, TrialState.RUNNING)
    for number, state in enumerate(states):
        params = first.ask().params
        rows.append(StoredTrial(number=number, state=state, params=params, value=1.0))
    again = study_of(SIX, sampler=sampler)
    again.rebuild(rows, {})
    left = {key(again.ask().params) for _ in range(2)}
    assert key(rows[3].params) in left
    assert not left & {key(row.params) for row in rows if row.state is not TrialState.CANCELLED}
    with pytest.raises(SpaceExhausted):
        again.ask()


def test_a_cancelled_trial_counts_as_tried_no_more() -> None:
    study = study_of(SIX, sampler="random")
    tried = [carry_out(study) for _ in range(5)]
    last = study.ask()
    study.tell(last.number, TrialState.CANCELLED)
    study.tell(last.number, TrialState.CANCELLED)
    assert key(study.ask().params) == key(last.params)
    assert key(last.params) not in tried


def test_steps_of_a_range_are_the_same_in_whatever_digits_they_are_written() -> None:
    # Counted in steps it is 0.30000000000000004.
    study = study_of({"x": {"float": [0.0, 0.5], "step": 0.1}}, sampler="random")
    for number, value in enumerate([0.3, 0.5, 0.4, 0.2, 0.1]):
        study.tell(study.ask({"x": value}).number, TrialState.COMPLETED, float(number))
    assert study.ask().params == {"x": 0.0}
    with pytest.raises(SpaceExhausted):
        study.ask()


def test_true_and_one_are_two_configurations() -> None:
    study = study_of({"x": {"choice": [True, 1]}}, sampler="random")
    assert [type(study.ask().params["x"]).__name__ for _ in range(2)].count("bool") == 1


def test_only_what_meets_the_constraints_is_left_to_try() -> None:
    study = study_of(SIX, constraints=["depth < 3 or norm == 'batch'"], sampler="random")
    assert ("3", "layer") not in {key(study.ask().params) for _ in range(5)}
    with pytest.raises(SpaceExhausted):
        study.ask()


def test_where_nothing_is_searched_the_same_is_tried_again() -> None:
    study = study_of({"depth": 3, "norm": {"choice": ["batch"]}})
    assert {carry_out(study) for _ in range(4)} == {(3, "batch")}


def test_a_space_of_real_numbers_has_no_end() -> None:
    # Nearly all is pulled to the default, which is tried once.
    space = {"x": {"float": [0.0, 1.0], "default": 0.0}, "depth": {"int": [1, 3]}}
    study = study_of(space, constraints=["x == 0 or x == 1"], sampler="random")
    tried = [carry_out(study) for _ in range(8)]
    assert len(set(tried)) == 6, "the ends of the range stand on its grid"
    assert set(tried) == {(x, depth) for x in (0.0, 1.0) for depth in (1, 2, 3)}


def test_an_objective_that_suggests_its_parameters_is_asked_on_and_on() -> None:
    study = study_of({})
    assert [study.ask().number for _ in range(12)] == list(range(12))

"""Of any space, with conditions, order and constraints: what is tried lies within all of them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.hyperparameters import Choice, Hyperparameter, Integer, Real, Value
from tests.studies import space_of, study_of
from tuner.parameters import contains
from tuner.planning.constraining import constraints_of
from tuner.planning.feasibility import pulled_to_feasible
from tuner.planning.foreign import resolve_command
from tuner.planning.plan import Plan
from tuner.search.grid import SpaceExhausted
from tuner.search.study import GRIDS
from tuner.space import Space
from tuner.spec import CommandSpec
from tuner.states import TrialState

SCALARS = st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, 2.5, 1e-3]) | st.text("ab")
KINDS = ["int", "int log", "float", "float log", "float step", "choice", "ordered"]


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """What a spec says of one parameter."""
    match draw(st.sampled_from(KINDS)):
        case "int":
            low = draw(st.integers(-20, 20))
            return {"int": [low, low + draw(st.integers(0, 30))], "step": draw(st.integers(1, 4))}
        case "int log":
            low = draw(st.integers(1, 20))
            return {"int": [low, low + draw(st.integers(0, 300))], "log": True}
        case "float":
            low = draw(st.floats(-10, 10))
            return {"float": [low, low + draw(st.floats(0, 10))]}
        case "float log":
            low = draw(st.floats(1e-6, 10))
            return {"float": [low, low * draw(st.floats(1, 1e6))], "log": True}
        case "float step":
            low = draw(st.integers(-10, 10)) / 10
            high = low + draw(st.integers(0, 12)) / 10
            return {"float": [low, high], "step": draw(st.sampled_from([0.1, 0.25, 0.3]))}
        case kind:
            distinct = st.lists(SCALARS, min_size=1, max_size=5, unique_by=lambda v: (str(v), v))
            return {kind: draw(distinct.filter(has_no_twins))}


def has_no_twins(values: list[Any]) -> bool:
    # 2 and 2.0 are one value; True and 1 are two.
    keys = [(isinstance(v, bool), v) for v in values]
    return len(set(keys)) == len(keys)


@st.composite
def values_of(draw: st.DrawFn, parameter: Hyperparameter) -> Value:
    """A value that the parameter may have."""
    match parameter:
        case Choice():
            return draw(st.sampled_from(parameter.choices))
        case Integer():
            last = (parameter.high - parameter.low) // parameter.step
            return parameter.low + draw(st.integers(0, last)) * parameter.step
        case Real(step=None):
            return draw(st.floats(parameter.low, parameter.high))
        case Real(step=float(step)):
            last = int((parameter.high - parameter.low) / step + 1e-8)
            return min(parameter.low + draw(st.integers(0, last)) * step, parameter.high)
    raise TypeError(parameter)


@st.composite
def constraints(draw: st.DrawFn, space: Space) -> str:
    """A condition that the default configuration meets."""
    defaults = space.defaults()
    numbers = [n for n, v in defaults.items() if not isinstance(v, bool | str)]
    bound = draw(st.sampled_from([0.0, 0.5, 3.0]))
    one = draw(st.sampled_from(sorted(defaults)))
    if not numbers or draw(st.booleans()):
        # repr() of a text without quotes or backslashes is how one writes it.
        written = repr(defaults[one])
        return f"{one} == {written} or {one} != {written} and {bound} < 1"
    a, b = draw(st.sampled_from(numbers)), draw(st.sampled_from(numbers))
    form, relation = draw(st.sampled_from(["{} + {}", "{} * {}", "max({}, {})"])), "<="
    text = form.format(a, b)
    at_default = eval(text, {"max": max}, {n: float(defaults[n]) for n in (a, b)})
    return f"{text} {relation} {at_default + bound!r}"


@st.composite
def jobs(draw: st.DrawFn) -> tuple[dict[str, Any], list[str]]:
    """What a spec says of its space, and its constraints."""
    said: dict[str, Any] = {}
    for name in ["a", "b", "c", "d"][: draw(st.integers(1, 4))]:
        document = draw(documents())
        if said and draw(st.booleans()):
            ruler = draw(st.sampled_from(sorted(said)))
            space = space_of(said)
            held = draw(st.lists(values_of(space[ruler]), min_size=1, max_size=2))
            document["when"] = {ruler: held}
        said[name] = document
    space = space_of(said)
    return said, draw(st.lists(constraints(space), max_size=3))


@pytest.mark.parametrize("sampler", ["random", "tpe", "qmc", "nsga2", "cmaes", "grid"])
@given(job=jobs(), seed=st.integers(0, 1000), duplicates=st.sampled_from(["avoid", "allow"]))
@settings(max_examples=25, deadline=None)
def test_every_sampler_stays_within_space_conditions_and_constraints(
    sampler: str, job: tuple[dict[str, Any], list[str]], seed: int, duplicates: str
) -> None:
    said, texts = job
    study = study_of(said, constraints=texts, sampler=sampler, seed=seed, duplicates=duplicates)
    space = study.space
    expressions = constraints_of(texts, space)
    tried = []
    for number in range(14):
        try:
            params = study.ask().params
        except SpaceExhausted:
            assert duplicates == "avoid" or sampler in GRIDS
            break
        assert space.faults_of(params, "") == []
        assert space.complete(params) == params
        assert [e.complaint(params) for e in expressions] == [None] * len(texts)
        study.tell(number, TrialState.COMPLETED, number % 5)
        tried.append(params)
    searched = {p.name for p in space.searched}
    assert [study.params_of(trial) for trial in study.trials()] == [
        {name: value for name, value in params.items() if name in searched} for params in tried
    ]


@given(jobs())
@settings(deadline=None)
def test_a_plan_with_space_and_constraints_survives_json(
    job: tuple[dict[str, Any], list[str]],
) -> None:
    said, texts = job
    document = {"command": ["x"], "metric": "val_loss", "space": said, "constraints": texts}
    plan = resolve_command(CommandSpec.parse(document), allowed=True)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert plan.feasible(plan.default_config)


@given(jobs(), st.data())
@settings(deadline=None)
def test_a_pull_ends_within_the_constraints(
    job: tuple[dict[str, Any], list[str]], data: st.DataObject
) -> None:
    said, texts = job
    space = space_of(said)
    expressions = constraints_of(texts, space)

    def feasible(config: Any) -> bool:
        return all(e.holds(config) for e in expressions)

    proposed = space.complete({p.name: data.draw(values_of(p)) for p in space.parameters})
    pulled = pulled_to_feasible(space, proposed, space.defaults(), feasible)
    assert feasible(pulled)
    assert space.faults_of(pulled, "") == []
    if feasible(proposed):
        assert pulled == proposed
    assert all(contains(space[name], value) for name, value in pulled.items())

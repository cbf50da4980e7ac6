"""Parameters and spaces: how they are written, what is refused, what a configuration is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.hyperparameters import Choice, Fixed, Hyperparameter, Integer, Real, When
from tuner.errors import SpecInvalid
from tuner.parameters import contains, is_single, parse_parameter
from tuner.space import Space, arranged


def refusal_of(name: str, document: object) -> tuple[str, str]:
    with pytest.raises(SpecInvalid) as caught:
        parse_parameter(name, document)
    (fault,) = caught.value.faults
    return fault.pointer, fault.detail


FORMS = (
    "write {float: [low, high]}, {int: [low, high]}, {choice: [a, b]}, {ordered: [a, b]} or a "
    "plain value"
)


@pytest.mark.parametrize(
    ("document", "pointer", "detail"),
    [
        (None, "", f"p = None is no parameter; {FORMS}."),
        ([1, 2], "", f"p = [1, 2] is no parameter; {FORMS}."),
        ({}, "", f"p has keys []; {FORMS}."),
        ({"int": [1, 2], "float": [1, 2]}, "", f"p has float and int; {FORMS}."),
        ({"floot": [1, 2]}, "", f"p has keys ['floot']; {FORMS}."),
        ({"int": [1, 2], "lgo": True}, "/lgo", "p has an unknown key 'lgo': did you mean 'log'?"),
        ({"choice": [1], "log": True}, "/log", "p has an unknown key 'log': known: choice, defa"),
        (float("nan"), "", "p = nan is not a finite number."),
        (10**400, "", "is not a finite number."),
        ({"int": [1, 2.5]}, "/int", "p.int = [1, 2.5] must be [low, high] with two whole numbers."),
        ({"int": [True, 2]}, "/int", "must be [low, high] with two whole numbers."),
        ({"int": 3}, "/int", "p.int = 3 must be [low, high] with two whole numbers."),
        ({"float": [1]}, "/float", "p.float = [1] must be [low, high] with two finite numbers."),
        ({"float": [0, float("inf")]}, "/float", "with two finite numbers."),
        ({"float": [0, 10**400]}, "/float", "with two finite numbers."),
        ({"float": [2, 1]}, "/float", "p.float = [2, 1] is inverted; put the smaller bound first."),
        ({"float": [0, 1], "log": True}, "/log", "p has log: true and a lower bound of 0; log ne"),
        ({"int": [-1, 1], "log": True}, "/log", "log needs a bound above 0."),
        ({"int": [1, 2], "log": "yes"}, "/log", "p.log = 'yes' must be true or false."),
        ({"int": [1, 9], "log": True, "step": 2}, "/step", "p has log and step; remove one of th"),
        ({"int": [1, 2], "step": 0}, "/step", "p.step = 0 must be a number above 0."),
        ({"int": [1, 2], "step": 0.5}, "/step", "p.step = 0.5 must be a whole number above 0."),
        ({"float": [1, 2], "step": -1}, "/step", "p.step = -1 must be a number above 0."),
        ({"float": [1, 2], "default": 3}, "/default", "p.default = 3 lies outside float in [1, 2]"),
        ({"choice": []}, "/choice", "must be a list of at least one string, number or boolean."),
        ({"choice": "ab"}, "/choice", "p.choice = 'ab' must be a list of at least one string"),
        ({"choice": [1, None]}, "/choice", "must be a list of at least one string, number or bo"),
        ({"choice": [1, 2, 1]}, "/choice", "p.choice = [1, 2, 1] names a value twice."),
        ({"choice": [1], "default": True}, "/default", "p.default = True lies outside one of 1."),
        ({"int": [1, 2], "when": []}, "/when", "p.when = [] must be a mapping such as {optimizer"),
        ({"int": [1, 2], "when": {"q": []}}, "/when/q", "p.when.q = [] must be a value or a list"),
        ({"int": [1, 2], "when": {"q": None}}, "/when/q", "must be a value or a list of values."),
    ],
)
def test_refusals_of_a_parameter_say_what_to_write(
    document: object, pointer: str, detail: str
) -> None:
    found_pointer, found_detail = refusal_of("p", document)
    assert found_pointer == f"/space/p{pointer}"
    assert detail in found_detail


@pytest.mark.parametrize(
    ("document", "parameter"),
    [
        (3, Fixed(name="p", value=3)),
        ("a", Fixed(name="p", value="a")),
        ({"fixed": True}, Fixed(name="p", value=True)),
        ({"int": [1, 10]}, Integer(name="p", low=1, high=10, default=5)),
        ({"int": [1, 10], "step": 4}, Integer(name="p", low=1, high=9, default=5, step=4)),
        ({"int": [1, 100], "log": True}, Integer(name="p", low=1, high=100, default=10, log=True)),
        ({"float": [0, 1]}, Real(name="p", low=0.0, high=1.0, default=0.5)),
        ({"float": [1, 4], "log": True}, Real(name="p", low=1.0, high=4.0, default=2.0, log=True)),
        ({"choice": [1, True]}, Choice(name="p", choices=(1, True), default=1)),
        (
            {"choice": ["a"], "when": {"q": ["x", "y"], "r": 1}},
            Choice(
                name="p",
                choices=("a",),
                default="a",
                when=(When(parameter="q", values=("x", "y")), When(parameter="r", values=(1,))),
            ),
        ),
    ],
)  # fmt: skip
def test_each_form_of_a_parameter_is_read(document: object, parameter: Hyperparameter) -> None:
    assert parse_parameter("p", document) == parameter


def test_the_catalogues_parameter_lends_default_and_conditions() -> None:
    when = (When(parameter="q", values=(1,)),)
    known = Real(name="p", low=0.0, high=1.0, default=0.9, when=when)
    assert parse_parameter("p", {"float": [0.5, 2]}, known=known).default == 0.9
    assert parse_parameter("p", {"float": [1, 2]}, known=known).default == 1.5
    assert parse_parameter("p", 3, known=known).when == when
    given_when = parse_parameter("p", {"float": [0, 1], "when": {"r": 2}}, known=known).when
    assert given_when == (When(parameter="r", values=(2,)),)


@pytest.mark.parametrize(
    ("document", "inside", "outside"),
    [
        (1, [1, 1.0], [True, 2, "1"]),
        ({"choice": [1, False]}, [1, False], [0, True, "x"]),
        ({"int": [1, 9], "step": 4}, [1, 5, 9], [2, 13, 5.0, True, "5"]),
        ({"float": [0, 1]}, [0, 0.3, 1], [-0.1, 1.1, float("nan"), True, "0"]),
        ({"float": [0, 1], "step": 0.1}, [0, 0.3, 0.7, 1], [0.25, 1.1]),
    ],
)
def test_a_parameter_contains_its_values_and_no_others(
    document: object, inside: list[Any], outside: list[Any]
) -> None:
    parameter = parse_parameter("p", document)
    assert [value for value in inside if not contains(parameter, value)] == []
    assert [value for value in outside if contains(parameter, value)] == []


def space_of(documents: dict[str, Any]) -> Space:
    return arranged([parse_parameter(name, document) for name, document in documents.items()])


def test_conditions_are_decided_before_what_depends_on_them() -> None:
    space = space_of(
        {
            "c": {"int": [1, 3], "when": {"b": [2, 3]}},
            "b": {"int": [1, 3], "when": {"a": "x"}},
            "a": {"choice": ["x", "y"]},
        }
    )
    assert space.names == ("a", "b", "c")
    assert space.defaults() == {"a": "x", "b": 2, "c": 2}
    assert space.complete({"b": 1}) == {"a": "x", "b": 1}
    assert space.complete({"a": "y", "b": 2, "c": 2}) == {"a": "y"}


@pytest.mark.parametrize(
    ("documents", "pointer", "detail"),
    [
        (
            {"a": {"int": [1, 2], "when": {"b": 1}}, "b": {"int": [1, 2], "when": {"a": 1}}},
            "/space/a/when",
            "The conditions of a, b go in a circle; remove one `when`.",
        ),
        (
            {"momentum": {"float": [0, 1], "when": {"optimiser": "sgd"}}, "optimizer": "sgd"},
            "/space/momentum/when/optimiser",
            "momentum depends on 'optimiser', which is no parameter of this job: "
            "did you mean 'optimizer'?",
        ),
        (
            {"a": {"int": [1, 2], "when": {"b": [3, 4]}}, "b": {"int": [1, 2]}},
            "/space/a/when/b",
            "a depends on b is 3 or 4, which never holds: it is int in [1, 2].",
        ),
    ],
)
def test_conditions_that_cannot_be_are_refused(
    documents: dict[str, Any], pointer: str, detail: str
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        space_of(documents)
    assert [(f.pointer, f.detail) for f in caught.value.faults] == [(pointer, detail)]


def test_faults_of_a_point_name_each_value() -> None:
    space = space_of({"a": {"choice": ["x", "y"]}, "b": {"int": [1, 3], "when": {"a": "x"}}})
    faults = space.faults_of({"a": "y", "b": 2, "d": 1}, "/start/0")
    assert [(f.pointer, f.detail) for f in faults] == [
        ("/start/0/b", "b = 2 has no effect here: it counts only when a is 'x'."),
        ("/start/0/d", "'d' is no parameter of this job: known: a, b."),
    ]
    (fault,) = space.faults_of({"b": 4}, "/start/0")
    assert fault.detail == "b = 4 lies outside int in [1, 3]."


def test_searched_are_the_parameters_with_more_than_one_value() -> None:
    documents = {"a": 1, "b": {"choice": [1]}, "c": {"int": [2, 2]}, "d": {"float": [0, 1]}}
    space = space_of(documents)
    assert [p.name for p in space.searched] == ["d"]
    assert [p.name for p in space.parameters if is_single(p)] == ["a", "b", "c"]


finite = st.floats(-1e300, 1e300)
positive = st.floats(1e-300, 1e300)
values = st.booleans() | st.integers(-(10**20), 10**20) | finite | st.text(max_size=4)


KINDS = ["fixed", "choice", "int", "int log", "float", "float step", "float log"]


@st.composite
def parameters(draw: st.DrawFn, name: str, earlier: list[Hyperparameter]) -> Hyperparameter:
    document: dict[str, Any]
    match draw(st.sampled_from(KINDS)):
        case "fixed":
            document = {"fixed": draw(values)}
        case "choice":
            unique = st.lists(values, min_size=1, max_size=4, unique_by=lambda v: (str(v), v))
            document = {"choice": draw(unique.filter(no_twins))}
        case "int":
            bounds = st.lists(st.integers(-(10**9), 10**9), min_size=2, max_size=2)
            document = {"int": sorted(draw(bounds)), "step": draw(st.integers(1, 100))}
        case "int log":
            bounds = st.lists(st.integers(1, 10**12), min_size=2, max_size=2)
            document = {"int": sorted(draw(bounds)), "log": True}
        case "float":
            document = {"float": sorted(draw(st.lists(finite, min_size=2, max_size=2)))}
        case "float step":
            tenths = st.lists(st.integers(-1000, 1000), min_size=2, max_size=2)
            low, high = sorted(draw(tenths))
            step = draw(st.sampled_from([0.1, 0.25, 0.3, 7]))
            document = {"float": [low / 10, high / 10], "step": step}
        case _:
            bounds = st.lists(positive, min_size=2, max_size=2)
            document = {"float": sorted(draw(bounds)), "log": True}
    if earlier and draw(st.booleans()):
        other = draw(st.sampled_from(earlier))
        document["when"] = {other.name: other.default}
    return parse_parameter(name, document, source=draw(st.sampled_from(["", "a paper"])))


def no_twins(choices: list[Any]) -> bool:
    return not any(
        a == b and isinstance(a, bool) == isinstance(b, bool)
        for i, a in enumerate(choices)
        for b in choices[:i]
    )


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    found: list[Hyperparameter] = []
    for name in ["a", "b", "c", "d"][: draw(st.integers(1, 4))]:
        found.append(draw(parameters(name, found)))
    return arranged(draw(st.permutations(found)))


@given(spaces())
def test_a_space_survives_json(space: Space) -> None:
    assert Space.from_json(json.loads(json.dumps(space.to_json()))) == space


@given(spaces())
def test_the_default_configuration_lies_in_its_space(space: Space) -> None:
    assert space.faults_of(space.defaults(), "") == []
    assert space.complete(space.defaults()) == space.defaults()

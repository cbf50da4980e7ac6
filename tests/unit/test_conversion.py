"""Other tools' files as specs: what they come to, and that nothing is dropped without a word."""

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.studies import space_of
from tuner.cli import app
from tuner.conversion.convert import converted
from tuner.documents import read_yaml
from tuner.errors import SpecInvalid
from tuner.planning.foreign import resolve_command, resolve_objective
from tuner.planning.plan import Plan
from tuner.spec import CommandSpec, ObjectiveSpec

SWEEP = """
program: train.py
name: my sweep
project: vision
method: bayes
metric:
  name: val/loss
  goal: minimize
  target: 0.05
parameters:
  lr: {distribution: log_uniform_values, min: 1e-5, max: 0.1}
  dropout: {min: 0.0, max: 0.5}
  layers: {min: 1, max: 6}
  batch_size: {values: [32, 64, 128]}
  activation: {value: relu}
early_terminate: {type: hyperband, min_iter: 3, eta: 2}
run_cap: 40
"""


def document_of(sweep: dict[str, Any]) -> Any:
    return read_yaml(converted(sweep).encode())


def comments_of(text: str) -> str:
    """All comments in one line."""
    lines = (line.strip() for line in text.splitlines())
    return " ".join(line[2:] for line in lines if line.startswith("#"))


def plan_of(text: str) -> Plan:
    return resolve_command(CommandSpec.parse(read_yaml(text.encode())), allowed=True)


def test_a_sweep_becomes_the_spec_of_a_command() -> None:
    text = converted(read_yaml(SWEEP.encode()))
    assert read_yaml(text.encode()) == {
        "name": "my sweep",
        "labels": {"project": "vision"},
        "command": [
            "python",
            "train.py",
            "--lr={lr}",
            "--dropout={dropout}",
            "--layers={layers}",
            "--batch_size={batch_size}",
            "--activation={activation}",
        ],
        "metric": "val/loss",
        "direction": "minimize",
        "space": {
            "lr": {"float": [1e-5, 0.1], "log": True},
            "dropout": {"float": [0.0, 0.5]},
            "layers": {"int": [1, 6]},
            "batch_size": {"choice": [32, 64, 128]},
            "activation": "relu",
        },
        "search": {
            "sampler": "auto",
            "pruner": "asha",
            "pruner_options": {"min_resource": 3, "reduction_factor": 2},
        },
        "budget": {"target": 0.05, "epochs": 20, "trials": 40},
    }
    assert plan_of(text).space.names == ("lr", "dropout", "layers", "batch_size", "activation")
    comments = comments_of(text)
    assert "The program reports val/loss by tuner.report(step=…, …)" in comments
    assert "budget.epochs is a guess" in comments


@pytest.mark.parametrize(
    ("settings", "said", "remark"),
    [
        ({"value": 3}, 3, ""),
        ({"distribution": "constant", "value": "a"}, "a", ""),
        ({"values": [True]}, True, ""),
        ({"values": ["a", "b"]}, {"choice": ["a", "b"]}, ""),
        ({"values": [1, None, 1, 2]}, {"choice": [1, 2]}, "The value None is no text, number or"),
        ({"values": [1, 1, 2]}, {"choice": [1, 2]}, "The value 1 stands twice"),
        (
            {"values": [1, 2], "probabilities": [0.3, 0.7]},
            {"choice": [1, 2]},
            "probabilities have no meaning here",
        ),
        ({"min": 1, "max": 5}, {"int": [1, 5]}, ""),
        ({"min": 1.0, "max": 5}, {"float": [1.0, 5.0]}, ""),
        ({"distribution": "int_uniform", "min": 1, "max": 5.0}, {"int": [1, 5]}, ""),
        ({"distribution": "uniform", "min": 1, "max": 5}, {"float": [1.0, 5.0]}, ""),
        (
            {"distribution": "q_uniform", "min": 0.0, "max": 0.5, "q": 0.1},
            {"float": [0.0, 0.5], "step": 0.1},
            "",
        ),
        ({"distribution": "q_uniform", "min": 3, "max": 9, "q": 4}, {"int": [4, 8], "step": 4}, ""),
        ({"distribution": "q_uniform", "min": 1, "max": 9}, {"int": [1, 9]}, ""),
        (
            {"distribution": "log_uniform", "min": 0, "max": 1},
            {"float": [1.0, 2.71828182846], "log": True},
            "min and max of log_uniform are exponents of e; here are the values.",
        ),
        (
            {"distribution": "inv_log_uniform", "min": 0, "max": 1},
            {"float": [0.367879441171, 1.0], "log": True},
            "exponents of e",
        ),
        (
            {"distribution": "inv_log_uniform_values", "min": 0.1, "max": 1},
            {"float": [0.1, 1.0], "log": True},
            "",
        ),
        (
            {"distribution": "q_log_uniform_values", "min": 8, "max": 64, "q": 1},
            {"int": [8, 64], "log": True},
            "",
        ),
        (
            {"distribution": "q_log_uniform_values", "min": 8, "max": 64, "q": 8},
            {"float": [8.0, 64.0], "log": True},
            "q = 8 has no meaning here: log goes without steps.",
        ),
        (
            {"distribution": "normal", "mu": 1, "sigma": 2},
            {"float": [-3.0, 5.0], "default": 1.0},
            "normal has no meaning here: a range of two sigmas on either side of its middle.",
        ),
        (
            {"distribution": "q_log_normal", "mu": 0, "sigma": 0.5, "q": 1},
            {"float": [0.367879441171, 2.71828182846], "default": 1.0, "log": True},
            "q = 1 has no meaning in it.",
        ),
        ({"distribution": "beta", "a": 2, "b": 5}, {"float": [0.0, 1.0]}, "beta has no meaning he"),
        ({"min": 0, "max": 1, "colour": "red"}, {"int": [0, 1]}, "colour = 'red' has no meaning"),
    ],
)  # fmt: skip
def test_each_distribution_of_a_sweep(settings: dict[str, Any], said: Any, remark: str) -> None:
    sweep = {"program": "a.py", "method": "random", "parameters": {"x": settings}}
    text = converted({**sweep, "metric": {"name": "m"}})
    assert read_yaml(text.encode())["space"] == {"x": said}
    assert plan_of(text).space.names == ("x",)
    (_, *above) = text.split("space:\n")[1].partition("  x:")
    found = comments_of(text.split("space:\n")[1])
    assert above
    assert remark in found
    assert bool(found) == bool(remark)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (3, "3 is no mapping such as {min: 0, max: 1}"),
        ({}, "{} has neither values nor min and max"),
        ({"min": 1}, "has neither values nor min and max"),
        ({"min": "a", "max": 2}, "min = 'a' is no number"),
        ({"min": 5, "max": 1}, "is inverted; put the smaller bound first"),
        ({"value": None}, "its value None is no text, number or truth value"),
        ({"value": {"a": 1}}, "its value {'a': 1} is no text, number or truth value"),
        ({"values": 3}, "values = 3 is no list"),
        ({"values": [None]}, "must be a list of at least one string, number or boolean"),
        ({"distribution": "cauchy"}, "distribution = 'cauchy' is unknown"),
        ({"distribution": "int_uniform", "min": 0.5, "max": 2}, "0.5 is no whole number"),
        ({"distribution": "log_uniform", "min": 0, "max": 1e5}, "is beyond all numbers"),
        ({"distribution": "log_uniform_values", "min": 0, "max": 1}, "log needs a bound above 0"),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}, "q = 0 is not above 0"),
        ({"distribution": "log_normal", "mu": 1e4}, "is beyond all numbers"),
        ({"min": 0, "max": 1e301}, "max = 1e+301 is too large to mean anything"),
    ],
)
def test_a_parameter_without_a_meaning_is_left_out_with_a_comment(settings: Any, why: str) -> None:
    parameters = {"x": settings, "y": {"value": 1}}
    sweep = {"program": "a.py", "method": "random", "parameters": parameters}
    text = converted({**sweep, "metric": {"name": "m"}})
    assert read_yaml(text.encode())["space"] == {"y": 1}
    comments = comments_of(text)
    assert "x is left out: " in comments
    assert why in comments
    assert plan_of(text).space.names == ("y",)


def test_nested_parameters_have_names_with_dots() -> None:
    nested = {"optimizer": {"parameters": {"lr": {"value": 0.1}, "deep": {"parameters": {}}}}}
    text = converted({"program": "a.py", "method": "grid", "parameters": nested})
    document = read_yaml(text.encode())
    assert document["space"] == {"optimizer.lr": 0.1}
    assert document["command"] == ["python", "a.py", "--optimizer.lr={optimizer.lr}"]
    assert "optimizer holds parameters of its own" in comments_of(text)


@pytest.mark.parametrize(
    ("command", "arguments", "remark"),
    [
        (["${env}", "${program}", "${args}"], ["a.py", "--x={x}"], "${env} is left out"),
        (["python3", "-m", "mypkg", "${args_no_hyphens}"], ["python3", "-m", "mypkg", "x={x}"], ""),
        (["${program}", "${args_no_boolean_flags}"], ["a.py", "--x={x}"], "not as bare flags"),
        (["${program}", "${args_json}"], ["a.py"], "in the environment variable TUNER_PARAMS"),
        (["${program}", "-h=${envvar:HOME}"], ["a.py", "-h="], "${envvar:HOME} has no meaning"),
        (["sh", "-c", "${interpreter} ${program} {1,2}"], ["sh", "-c", "python a.py {{1,2}}"], ""),
        ("python a.py ${args}", ["python", "a.py", "--x={x}"], ""),
    ],
)  # fmt: skip
def test_each_part_of_a_sweeps_command(command: Any, arguments: list[str], remark: str) -> None:
    sweep = {"program": "a.py", "method": "random", "parameters": {"x": {"values": [1, 2]}}}
    text = converted({**sweep, "command": command, "metric": {"name": "m", "goal": "maximize"}})
    assert read_yaml(text.encode())["command"] == arguments
    assert remark in comments_of(text)
    assert plan_of(text).direction == "maximize"


@pytest.mark.parametrize(
    ("early", "pruner", "options", "epochs"),
    [
        (None, "none", None, None),
        ({"type": "hyperband", "min_iter": 3}, "asha", (3, 3), 20),
        ({"type": "hyperband", "min_iter": 10, "eta": 4}, "asha", (10, 4), 40),
        ({"type": "hyperband", "max_iter": 27, "s": 2}, "asha", (3, 3), 27),
        ({"type": "hyperband", "max_iter": 27, "s": 2, "eta": 2}, "asha", (6, 2), 27),
    ],
)
def test_early_termination_becomes_halving(
    early: Any, pruner: str, options: tuple[int, int] | None, epochs: int | None
) -> None:
    sweep = {"program": "a.py", "method": "random", "parameters": {"x": {"min": 0.0, "max": 1.0}}}
    text = converted({**sweep, "metric": {"name": "m"}, "early_terminate": early})
    document = read_yaml(text.encode())
    assert document["search"]["pruner"] == pruner
    told = document["search"].get("pruner_options")
    assert (told and tuple(told.values())) == options
    assert document["budget"].get("epochs") == epochs
    assert plan_of(text)


def test_a_grid_has_as_many_trials_as_points() -> None:
    parameters: dict[str, Any] = {"a": {"values": [1, 2, 3]}, "b": {"min": 1, "max": 40}}
    sweep = {"program": "a.py", "method": "grid", "parameters": parameters}
    document = document_of(sweep)
    assert document["search"]["sampler"] == "brute_force"
    assert document["budget"] == {"trials": 120}
    parameters["c"] = {"min": 0.0, "max": 1.0}
    document = document_of(sweep)
    assert document["search"]["sampler"] == "grid"
    assert document["budget"] == {"trials": 3 * 5 * 5}


def test_all_else_is_said_in_a_comment() -> None:
    sweep = {
        "method": "evolution",
        "parameters": 3,
        "metric": {"goal": "best"},
        "early_terminate": {"type": "envelope"},
        "description": "two\nlines: {x}",
        "controller": {"type": "local"},
    }
    text = converted(sweep)
    comments = comments_of(text)
    for part in (
        "parameters = 3 is no mapping",
        "No program is named",
        "metric = {'goal': 'best'} names none",
        "method = 'evolution' is unknown",
        "early_terminate = {'type': 'envelope'} has no meaning here",
        "description = 'two\\nlines: {x}' has no meaning here",
        "controller = {'type': 'local'} has no meaning here",
        "A sweep without run_cap has no end",
    ):
        assert part in comments
    assert read_yaml(text.encode())["search"] == {"sampler": "auto"}
    assert max(map(len, text.splitlines())) <= 100


DISTRIBUTIONS: dict[str, optuna.distributions.BaseDistribution] = {
    "lr": optuna.distributions.FloatDistribution(1e-5, 1e-1, log=True),
    "momentum": optuna.distributions.FloatDistribution(0.0, 0.9, step=0.1),
    "dropout": optuna.distributions.FloatDistribution(0.0, 0.5),
    "layers": optuna.distributions.IntDistribution(1, 6),
    "width": optuna.distributions.IntDistribution(16, 512, log=True),
    "heads": optuna.distributions.IntDistribution(2, 16, step=2),
    "activation": optuna.distributions.CategoricalDistribution(["relu", None, "gelu", True]),
}
SPACE = {
    "lr": {"float": [1e-5, 1e-1], "log": True},
    "momentum": {"float": [0.0, 0.9], "step": 0.1},
    "dropout": {"float": [0.0, 0.5]},
    "layers": {"int": [1, 6]},
    "width": {"int": [16, 512], "log": True},
    "heads": {"int": [2, 16], "step": 2},
    "activation": {"choice": ["relu", "gelu", True]},
}


@pytest.mark.parametrize("as_text", [False, True])
def test_distributions_of_optuna_become_a_space(as_text: bool) -> None:
    texts = {
        name: optuna.distributions.distribution_to_json(d) for name, d in DISTRIBUTIONS.items()
    }
    text = converted(texts if as_text else {name: json.loads(t) for name, t in texts.items()})
    document = read_yaml(text.encode())
    assert document == {"space": SPACE}
    assert "The choice None is no text, number or truth value" in comments_of(text)
    assert "write objective: package.module:function" in comments_of(text)
    spec = ObjectiveSpec.parse({**document, "objective": "mypkg.tuning:train"})
    assert resolve_objective(spec, ("mypkg",)).space.names == tuple(SPACE)


def test_distributions_of_before_optuna_3_are_read_as_well() -> None:
    old = {
        "a": {"name": "UniformDistribution", "attributes": {"low": 0.0, "high": 1.0}},
        "b": {"name": "LogUniformDistribution", "attributes": {"low": 0.1, "high": 1.0}},
        "c": {"name": "DiscreteUniformDistribution", "attributes": {"low": 0, "high": 1, "q": 0.5}},
        "d": {"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 9, "step": 2}},
        "e": {"name": "IntLogUniformDistribution", "attributes": {"low": 1, "high": 9, "step": 1}},
        "f": {"name": "StrangeDistribution", "attributes": {}},
    }
    text = converted(old)
    assert read_yaml(text.encode())["space"] == {
        "a": {"float": [0.0, 1.0]},
        "b": {"float": [0.1, 1.0], "log": True},
        "c": {"float": [0, 1], "step": 0.5},
        "d": {"int": [1, 9], "step": 2},
        "e": {"int": [1, 9], "log": True},
    }
    assert "f is left out: StrangeDistribution is unknown." in comments_of(text)


@pytest.mark.parametrize("document", [{}, {"model": "mlp"}, {"lr": {"name": "x"}}, {"lr": "x"}])
def test_what_is_neither_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(SpecInvalid, match="This is no W&B sweep"):
        converted(document)


# What our own readers let through.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
finite = st.floats(allow_nan=False, allow_infinity=False)
plain = st.none() | st.booleans() | st.integers(-9, 9) | finite | texts
anything = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
keys = st.sampled_from(
    ["distribution", "value", "values", "min", "max", "q", "mu", "sigma", "parameters"]
)
kinds = st.sampled_from(["uniform", "q_uniform", "log_uniform", "int_uniform", "normal", "q_beta"])
leaves = st.dictionaries(keys, anything | kinds | st.integers(0, 5), max_size=4)


@given(
    st.fixed_dictionaries(
        {"parameters": st.dictionaries(texts, leaves | anything, max_size=3)},
        optional={
            name: anything
            for name in ("method", "metric", "name", "program", "command", "run_cap", "x")
        }
        | {"early_terminate": st.dictionaries(st.sampled_from(["type", "s", "eta"]), anything)},
    )
)
def test_any_sweep_becomes_yaml_that_is_read(sweep: dict[str, Any]) -> None:
    text = converted(sweep)
    document = read_yaml(text.encode())
    assert list(space_of(document["space"]).defaults()) == list(document["space"])
    assert not any(ord(c) < 32 and c != "\n" for c in text)


def test_the_command_prints_the_spec(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP)
    done = CliRunner().invoke(app, ["convert", str(file)])
    assert done.exit_code == 0
    assert done.output == converted(read_yaml(SWEEP.encode()))
    done = CliRunner().invoke(app, ["convert", "-"], input=json.dumps({"lr": 3}))
    assert done.exit_code == 2
    assert "This is no W&B sweep" in done.stderr
    done = CliRunner().invoke(app, ["convert", str(tmp_path / "none.yaml")])
    assert done.exit_code == 2
    assert "none.yaml: No such file or directory" in done.stderr

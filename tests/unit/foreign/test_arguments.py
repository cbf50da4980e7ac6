"""Placeholders in a command: filled strictly, and what is wrong with them told at submission."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.foreign.arguments import command_faults, command_notes, filled

FACTS = {"trial": 3, "seed": 7, "epochs": 5, "gpus": 0, "cpus": 2, "checkpoint_dir": "/c"}


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--lr={lr}", "--lr=1e-05"),
        ("{lr}{lr}", "1e-051e-05"),
        ("{n}", "3"),
        ("{flag}", "true"),
        ("{off}", "false"),
        ("{text}", "a {b} $HOME; rm *"),
        ("{trial}/{seed}/{epochs}/{gpus}/{cpus}", "3/7/5/0/2"),
        ("{checkpoint_dir}/x", "/c/x"),
        ('{{"lr": {lr}}}', '{"lr": 1e-05}'),
        ("{{lr}}", "{lr}"),
        ("$HOME *", "$HOME *"),
        ("", ""),
    ],
)
def test_values_stand_where_their_names_stood(argument: str, expected: str) -> None:
    params = {"lr": 1e-5, "n": 3, "flag": True, "off": False, "text": "a {b} $HOME; rm *"}
    assert filled(["x", argument], params, FACTS) == ["x", expected]


def test_a_parameter_goes_before_a_fact_of_the_same_name() -> None:
    assert filled(["{seed}"], {"seed": 99}, FACTS) == ["99"]


def test_an_argument_with_a_parameter_that_does_not_apply_is_left_out() -> None:
    command = ["x", "--momentum={momentum}", "--lr={lr}"]
    assert filled(command, {"lr": 0.5}, FACTS) == ["x", "--lr=0.5"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ([], "command[0] is empty"),
        ([""], "command[0] is empty"),
        (["x", "{lrr}"], "command[1] = '{lrr}': {lrr} is neither a parameter of the space nor"),
        (["x", "{lrr}"], "did you mean 'lr'?"),
        (["x", "{}"], "{} is neither"),
        (["x", "{lr:.3f}"], "{lr:.3f} is neither"),
        (["x", "{lr!r}"], "did you mean 'lr'?"),
        (["x", "{0}"], "{0} is neither"),
        (["x", '{"a": 1}'], "Write {{ and }} for braces themselves"),
        (["x", "a}"], "a brace stands alone"),
        (["x", "{a"], "a brace stands alone"),
        (["x", "a\0"], "zero byte"),
        (["{momentum}"], "would name no program"),
        (["x", "--momentum", "{momentum}"], "write '--momentum={momentum}'"),
    ],
)
def test_what_is_wrong_is_said_with_the_argument(command: list[str], said: str) -> None:
    faults = command_faults(command, ["lr", "momentum"], ["momentum"])
    assert len(faults) == 1
    assert said in faults[0]


def test_a_command_without_fault_has_none() -> None:
    command = ["torchrun", "--nproc_per_node={gpus}", "t.py", "--lr", "{lr}", "--m={momentum}"]
    assert command_faults(command, ["lr", "momentum"], ["momentum"]) == []


def test_a_parameter_in_no_argument_is_noted() -> None:
    assert command_notes(["x", "{lr}"], ["lr"]) == []
    (note,) = command_notes(["x", "{{lr}}"], ["lr", "depth"])
    assert note == "No argument has lr, depth: the command finds them in TUNER_PARAMS alone."


@given(st.text(alphabet="{}ab "))
def test_it_reads_braces_as_python_does(argument: str) -> None:
    try:
        expected = argument.format(a=1)
    except (KeyError, IndexError, ValueError):
        assert command_faults(["x", argument], ["a"])
    else:
        assert command_faults(["x", argument], ["a"]) == []
        assert filled(["x", argument], {"a": 1}, FACTS) == ["x", expected]

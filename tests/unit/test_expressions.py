"""Conditions that people write: what they mean, what is refused, and that nothing hangs or runs."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tuner.expressions.reading import (
    MOST_CHARACTERS,
    MOST_DEPTH,
    ExpressionRefused,
    parse_expression,
)

CONFIG: dict[str, Any] = {
    "lr": 0.01,
    "width": 64,
    "depth": 4,
    "optimizer": "sgd",
    "residual": True,
    "model.heads": 8,
    "lambda": 3,
    "mypkg.aug:Blur": 0.5,
    "huge": 10**400,
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("lr * width <= 0.5", False),
        ("lr * width <= 0.64", True),
        ("width >= depth * 8", True),
        ("width % 8 == 0 and width // 10 == 6", True),
        ("2 ** depth < width", True),
        ("1 < depth <= 4 < width", True),
        ("1 < depth <= 3 < width", False),
        ("-lr < 0 < +lr", True),
        ("optimizer == 'sgd'", True),
        ('optimizer != "sgd"', False),
        ("optimizer in ['adam', 'sgd']", True),
        ("optimizer not in ('adam', 'sgd')", False),
        ("depth in [-4, 4.0]", True),
        ("optimizer < 'tgd'", True),
        ("optimizer != '1or 2'", True),
        ("residual", True),
        ("not residual or depth < 3", False),
        ("residual == true", True),
        ("residual == 1", False),
        ("depth == 1 or depth == 4", True),
        ("min(depth, width, 2) == 2 and max(lr, 1) == 1", True),
        ("abs(-3) == depth - 1", True),
        ("log(lr) < -4 and log10(lr) == -2 and log2(width) == 6 and sqrt(depth) == 2", True),
        ("model.heads * 8 == width", True),
        ("`lambda` == 3 and `mypkg.aug:Blur` < 1", True),
        ("depth < 5 # so much for comments", True),
    ],
)
def test_an_expression_means_what_it_says(text: str, holds: bool) -> None:
    assert parse_expression(text).holds(CONFIG) is holds


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("lr * width <= 0.5", "does not hold for lr = 0.01, width = 64"),
        ("1 / (depth - 4) > 0", "has no value (/ of 1 and 0) for depth = 4"),
        ("sqrt(-depth) > 0", "has no value (sqrt of -4) for depth = 4"),
        ("log(depth - 4) < 0", "has no value (log of 0) for depth = 4"),
        ("width ** width ** width > 0", "has no value (** of 64 and 3.9402e+115) for width = 64"),
        ("(-depth) ** 0.5 > 0", "has no value (** of -4 and 0.5) for depth = 4"),
        ("not depth ** 1e9 < 1", "has no value (** of 4 and 1e+09) for depth = 4"),
        ("optimizer < 3", "has no value ('sgd' is no number) for optimizer = 'sgd'"),
        ("optimizer + 1 < 3", "has no value ('sgd' is no number) for optimizer = 'sgd'"),
        ("depth and lr < 1", "has no value (4 is neither true nor false) for depth = 4, lr = 0.01"),
        ("depth", "has no value (4 is neither true nor false) for depth = 4"),
    ],
)
def test_what_does_not_hold_says_why(text: str, complaint: str) -> None:
    assert parse_expression(text).complaint(CONFIG) == complaint


def test_what_is_not_looked_at_needs_no_value() -> None:
    assert parse_expression("depth == 4 or 1 / (depth - 4) > 0").holds(CONFIG)
    assert not parse_expression("depth != 4 and 1 / (depth - 4) > 0").holds(CONFIG)
    assert not parse_expression("huge < 1").holds(CONFIG)


def test_it_does_not_apply_where_a_parameter_is_not_there() -> None:
    expression = parse_expression("momentum < 0 or depth == 1")
    assert expression.names == {"momentum", "depth"}
    assert expression.holds({"depth": 4})
    assert not expression.holds({"depth": 4, "momentum": 0.5})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is no expression; write one such as lr * batch_size <= 0.5"),
        ("lr <", "it is no expression"),
        ("lambda < 1", "names that are no plain words in backquotes"),
        ("lr = 3", "it is no expression"),
        ("lr; width", "it is no expression"),
        ("lr < 1\nimport os", "it is no expression"),
        ("lr\x00 < 1", "it is no expression"),
        ("lr < '\\x41'", "a backslash means nothing here; leave it out"),
        ("lr < 1or lr > 2", "a number and a word stand together in it; put a space between"),
        ("3 < 4", "it names no parameter"),
        ("lr * 2", "lr * 2 is neither true nor false; compare it with something"),
        ("abs(lr)", "abs(lr) is neither true nor false"),
        ("not `lambda` * 2", "`lambda` * 2 is neither true nor false"),
        ("lr < 1 or 'a'", "'a' is neither true nor false"),
        ("__import__('os').system('ls') == 0", "has no meaning here; there are abs, log, log2"),
        ("lr.real() < 1", "lr.real() has no meaning here"),
        ("'a'.upper < lr", "'a'.upper is no name of a parameter"),
        ("(lambda: 1)() < lr", "has no meaning here"),
        ("lr[0] < 1", "lr[0] has no meaning here; there are names, numbers, texts in quotes"),
        ("[x for x in lr] == 1", "has no meaning here"),
        ("(lr := 1) < 2", "has no meaning here"),
        ("f'{lr}' == 'a'", "has no meaning here"),
        ("lr < 1 if residual else 2", "has no meaning here"),
        ("lr @ 2 < 1", "lr @ 2 has no meaning here"),
        ("lr & 2 < 1", "lr & 2 has no meaning here"),
        ("~lr < 1", "~lr has no meaning here"),
        ("lr << 999999999 < 1", "lr << 999999999 has no meaning here"),
        ("lr is 1", "`is` means nothing here; write == or !="),
        ("lr in width", "after `in` comes a list of values, not width"),
        ("lr in [width]", "width in a list is no plain value"),
        ("1 < lr in [1]", "`in` stands in no chain of comparisons; use `and`"),
        ("lr < 1j", "1j is no finite number, no text and no truth value"),
        ("lr < 1e999", "is no finite number"),
        ("lr == None", "None is no finite number"),
        ("lr == b'a'", "b'a' is no finite number"),
        ("min(lr) < 1", "min(lr): min takes two numbers or more"),
        ("sqrt(lr, 2) < 1", "sqrt(lr, 2): sqrt takes one number"),
        ("log(lr, base=2) < 1", "has no meaning here"),
        ("lr < " + "1" * MOST_CHARACTERS, "it is longer than 500 characters; make two of it"),
        ("-" * (MOST_DEPTH + 1) + "lr < 1", "it is nested more than 50 deep; make two of it"),
        ("f(" * 150 + "lr" + ")" * 150, "has no meaning here"),
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused(text: str, why: str) -> None:
    with pytest.raises(ExpressionRefused) as refused:
        parse_expression(text)
    assert why in str(refused.value)


def test_what_is_nested_beyond_pythons_own_depth_is_refused_as_well() -> None:
    with pytest.raises(ExpressionRefused, match=r"no expression|a part of it has no meaning"):
        parse_expression("g(" + "-" * 490 + "lr)")


PIECES = [
    "lr", "width", "`a b`", "1", "0", "9e307", "'a'", "true", "(", ")", "[", "]", "{", "}", ",",
    "+", "-", "*", "**", "/", "//", "%", "<", "<=", "==", "!=", " and ", " or ", " not ", " in ",
    " is ", " if ", " else ", " lambda ", " for ", "min(", "log(", "sqrt(", ".", ":", ":=", "f''",
    "`", "'", '"', "\\", "\n", "#", "@", "~", "∞", "\ud800", "\x00",
]  # fmt: skip


@given(st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=80).map("".join))
@example("1 != (" * 45 + "lr" + ") != 1" * 45)
@example("lr" + "**9" * 49 + "<1")
@example("max(" + "9e307*lr," * 50 + "1)<1")
def test_any_text_is_refused_in_words_or_is_a_condition(text: str) -> None:
    try:
        expression = parse_expression(text)
    except ExpressionRefused:
        return
    for value in (0, 1, -2.5, 1e308, 10**400, True, "a"):
        complaint = expression.complaint(dict.fromkeys(expression.names, value))
        assert complaint is None or complaint.startswith(("does not hold", "has no value"))


number = st.integers(-50, 50) | st.floats(-50, 50)


@st.composite
def sums(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0 or draw(st.booleans()):
        literal = draw(st.integers(0, 50) | st.floats(0, 50, allow_subnormal=False))
        return draw(st.sampled_from(["a", "b", repr(literal)]))
    left, right = draw(sums(depth - 1)), draw(sums(depth - 1))
    form = draw(st.sampled_from(["({} {} {})", "{1}({0}, {2})"]))
    operators = ["+", "-", "*"] if form[0] == "(" else ["min", "max"]
    return form.format(left, draw(st.sampled_from(operators)), right)


@given(sums(), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), sums(), number, number)
def test_arithmetic_and_comparisons_are_pythons(
    left: str, relation: str, right: str, a: float, b: float
) -> None:
    text = f"{left} {relation} {right} or a == a + 1 or b == b + 1"
    expected = bool(eval(text, {"min": min, "max": max}, {"a": float(a), "b": float(b)}))
    found = parse_expression(text).complaint({"a": a, "b": b})
    assert (found is None) is expected

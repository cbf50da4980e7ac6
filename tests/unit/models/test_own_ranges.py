"""What is searched of a constructor's arguments, by their names, types and defaults."""

from enum import Enum
from typing import Annotated, Any, Literal, Optional

import pytest

from models.hyperparameters import Choice, Fixed, Hyperparameter, Integer, Range, Real
from models.own.arguments import arguments_of
from models.own.names import in_space, taken_names
from models.own.ranges import real, whole


class Act(Enum):
    RELU = "relu"
    GELU = "gelu"


def ends(found: Hyperparameter) -> tuple[Any, ...]:
    match found:
        case Choice():
            return found.choices
        case Fixed():
            return (found.value,)
        case _:
            return (found.low, found.high)


@pytest.mark.parametrize(
    ("name", "default", "expected"),
    [
        ("width", 64, (16, 32, 64, 128)),
        ("hidden_dim", 100, (25, 200)),
        ("embed", 3, (1, 6)),
        ("num_filters", 8, (2, 4, 8, 16)),
        ("num_heads", 4, (2, 4, 8)),
        ("heads", 3, (3, 6)),
        ("groups", 1, (1,)),
        ("channels1", 6, (1, 12)),
        ("d_block", 192, (48, 96, 192, 384)),
        ("hiddenSize", 32, (8, 16, 32, 64)),
        ("depth", 2, (1, 4)),
        ("n_blocks2", 2, (1, 4)),
        ("num_layers", 1, (1, 2)),
        ("n_experts", 4, (1, 8)),
        ("num_iterations", 100, (50, 200)),
        ("kernel_size", 3, (1, 5)),
        ("kernel", 4, (4,)),
        ("patch_size", 4, (4,)),
        ("stride", 2, (2,)),
        ("seed", 7, (7,)),
        ("rounds", 6, (3, 12)),
        ("rounds", 1, (1, 2)),
        ("rounds", 0, (0,)),
        ("offset", -3, (-3,)),
    ],
)
def test_whole_numbers_are_searched_around_their_defaults(
    name: str, default: int, expected: tuple[int, ...]
) -> None:
    found = whole(name, default)
    assert ends(found) == expected
    assert found.default == default
    assert found.source


@pytest.mark.parametrize(
    ("name", "default", "expected"),
    [
        ("dropout", 0.0, (0.0, 0.5)),
        ("drop_path_rate", 0.1, (0.0, 0.5)),
        ("attn_dropout", 0.6, (0.0, 0.6)),
        ("dropout2", 0.0, (0.0, 0.5)),
        ("noise_rate", 0.0, (0.0, 0.5)),
        ("learning_rate", 1e-3, (1e-4, 1e-2)),
        ("width_mult", 1.5, (0.75, 2.25)),
        ("expansion", 1.0, (0.5, 1.0)),
        ("momentum", 0.9, (0.692, 0.973)),
        ("eps", 1e-5, (1e-6, 1e-4)),
        ("negative_slope", 0.01, (0.001, 0.1)),
        ("temperature", 2.0, (0.2, 20.0)),
        ("gain", 1.0, (0.1, 1.0)),
        ("shift_by", 0.0, (0.0,)),
        ("bias_init", -2.0, (-2.0,)),
    ],
)
def test_real_numbers_are_searched_around_their_defaults(
    name: str, default: float, expected: tuple[float, ...]
) -> None:
    found = real(name, default)
    assert ends(found) == pytest.approx(expected)
    assert found.default == default
    assert found.source


@pytest.mark.parametrize("default", [1e-6, 0.04, 0.05, 0.2, 0.5, 0.9, 0.99, 0.999])
def test_a_share_stays_one(default: float) -> None:
    low, high = ends(real("mixing", default))
    assert 0 < low <= default <= high < 1


def everything(
    net: int,
    width=16,  # type: ignore[no-untyped-def]
    ratio: float = 1,
    act: Act = Act.GELU,
    pool: Literal["avg", "max", None] = "avg",
    norm: Optional[str] = None,  # noqa: UP045
    depth: int | None = 2,
    bias: bool = True,
    heads: Annotated[int, Range(1, 8, log=True)] = 4,
    scale: Annotated[float | None, Range(0.0, 1.0, step=0.25)] = 0.5,
    rounds: Annotated[int, Range(2, 8)] = 3,
    sizes: tuple[int, ...] = (1, 2),
    title: str = "net",
    lr: float = 0.5,
    num_classes: int = 1000,
    *,
    chosen: Annotated[int, Range(4, 16, log=True)],
    **rest: Any,
) -> None:
    """Stands for a constructor with all kinds of arguments."""


def test_types_say_what_is_searched_and_what_is_left_alone() -> None:
    found = {a.name: a for a in arguments_of(everything)}
    searched = {name: a.hyperparameter for name, a in found.items() if a.hyperparameter}
    assert {name: ends(h) for name, h in searched.items()} == {
        "width": (4, 8, 16, 32),
        "ratio": (0.5, 1.0),
        "act": ("RELU", "GELU"),
        "pool": ("avg", "max"),
        "depth": (1, 4),
        "bias": (False, True),
        "heads": (1, 8),
        "scale": (0.0, 1.0),
        "rounds": (2, 8),
        "lr": pytest.approx((0.2, 0.8)),
        "chosen": (4, 16),
    }
    assert searched["act"].default == "GELU"
    assert searched["chosen"].default == 8
    assert searched["heads"] == Integer(
        name="heads", low=1, high=8, default=4, log=True, source="its annotation, Range"
    )
    assert isinstance(searched["scale"], Real)
    assert searched["scale"].step == 0.25
    assert [name for name, a in found.items() if a.required] == ["net", "chosen"]
    assert [name for name, a in found.items() if a.filled] == ["num_classes"]
    assert found["act"].taken("RELU") is Act.RELU
    assert type(found["ratio"].taken(2)) is float
    with pytest.raises(ValueError, match="act = 'TANH' is none of RELU, GELU"):
        found["act"].taken("TANH")


def test_annotations_that_nobody_can_read_leave_the_defaults_type() -> None:
    def function(width: "Missing" = 16, depth: int = 2) -> None: ...  # noqa: F821

    assert [ends(a.hyperparameter) for a in arguments_of(function) if a.hyperparameter] == [
        (4, 8, 16, 32),
        (1, 4),
    ]


def test_a_name_that_is_taken_gets_a_prefix_in_every_job() -> None:
    assert {"lr", "batch_size", "momentum", "clip", "noise", "gamma"} <= taken_names()
    assert (in_space("lr"), in_space("width")) == ("model.lr", "width")
    (lr,) = [a for a in arguments_of(everything) if a.name == "lr"]
    assert lr.hyperparameter is not None
    assert lr.hyperparameter.name == "model.lr"


@pytest.mark.parametrize(
    ("annotation", "default", "complaint"),
    [
        (Annotated[int, Range(1, 4)], 9, "lies outside its Range"),
        (Annotated[int, Range(0.5, 4)], 2, "has bounds that are none"),
        (Annotated[int, Range(1, 9, step=4)], 3, "is no step of its Range"),
    ],
)
def test_a_range_that_contradicts_its_default_is_refused(
    annotation: Any, default: int, complaint: str
) -> None:
    def function(size: int = default) -> None: ...

    function.__annotations__["size"] = annotation
    (argument,) = arguments_of(function)
    with pytest.raises(ValueError, match=complaint):
        _ = argument.hyperparameter


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"low": 2, "high": 1}, "is inverted"),
        ({"low": 0, "high": 1, "log": True}, "log wants a bound above 0"),
        ({"low": 0, "high": 1, "step": 0}, "a step is above 0"),
    ],
)
def test_an_impossible_range_is_refused_where_it_is_written(
    arguments: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Range(**arguments)

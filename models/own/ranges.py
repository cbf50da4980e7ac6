"""Which range an argument of one's own network is searched in, told by its name and default.

Torch-free. Every rule bounds what its upper end costs: a width or a depth doubles at most, which
is eight times the cost if both do.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from models.hyperparameters import Choice, Fixed, Hyperparameter, Integer, Range, Real

#: Ends of a share's range are odds, so many times smaller and greater than the default's.
_ODDS: Final = 4.0
#: A smaller fraction is a number like 1e-5, whose order of magnitude counts.
_TINY: Final = 0.05
#: Layers beyond so many are as unknown a number as any other.
_MANY: Final = 16
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
#: A factor of a size may grow less than a size: it comes beside one.
_MORE: Final = 1.5


@dataclass(frozen=True, slots=True)
class _Rule:
    """A range for arguments with one of these words in their names, if `make` finds one."""

    words: frozenset[str]
    make: Callable[[str, float], Hyperparameter | None]

    def fits(self, words: frozenset[str]) -> bool:
        """Whether it is for an argument of which these are the words."""
        return bool(self.words & words)


def whole(name: str, default: int) -> Hyperparameter:
    """The hyperparameter of a whole number called `name`; fixed where no range suggests itself."""
    if default < 1:
        return _fixed(name, default, "below 1")
    words = _words(name)
    for rule in _OF_WHOLE:
        if rule.fits(words) and (found := rule.make(name, default)) is not None:
            return found
    return _unknown_whole(name, default)


def real(name: str, default: float) -> Hyperparameter:
    """The hyperparameter of a real number called `name`; fixed where no range suggests itself."""
    words = _words(name)
    for rule in _OF_REAL:
        if rule.fits(words) and (found := rule.make(name, default)) is not None:
            return found
    return _unknown_real(name, default)


def within(name: str, declared: Range, default: float | None, *, of_whole: bool) -> Hyperparameter:
    """The hyperparameter in the range its owner declared; without a default, the middle's.

    Raises:
        ValueError: the default lies outside, or whole numbers have bounds that are none.
    """
    middle = (
        math.sqrt(declared.low * declared.high)
        if declared.log
        else ((declared.low + declared.high) / 2)
    )
    value = middle if default is None else default
    if not declared.low <= value <= declared.high:
        raise ValueError(f"{name} = {default!r} lies outside its {declared}")
    source = "its annotation, Range"
    if not of_whole:
        return Real(
            name=name, low=float(declared.low), high=float(declared.high), default=float(value),
            log=declared.log, step=declared.step, source=source,
        )  # fmt: skip
    step = 1 if declared.step is None else declared.step
    if any(number != int(number) for number in (declared.low, declared.high, step)):
        raise ValueError(f"{name} is a whole number, and its {declared} has bounds that are none")
    low, stride = int(declared.low), int(step)
    high = low + (int(declared.high) - low) // stride * stride
    if default is None:
        value = low + round((middle - low) / stride) * stride
    elif (default - low) % stride:
        raise ValueError(f"{name} = {default!r} is no step of its {declared}")
    return Integer(
        name=name, low=low, high=high, default=int(value), log=declared.log, step=stride,
        source=source,
    )  # fmt: skip


def _words(name: str) -> frozenset[str]:
    """``d_block2`` and ``dBlock`` are of the words d and block."""
    return frozenset(word.lower() for word in _WORD.findall(name))


def _fixed(name: str, default: float, why: str) -> Fixed:
    return Fixed(name=name, value=default, source=f"{why}: its default; a space may say more")


def _rate(name: str, default: float) -> Hyperparameter | None:
    if not (default == 0 or 0.01 <= default < 1):
        return None  # learning_rate=1e-3 is none of these
    return Real(
        name=name, low=0.0, high=max(0.5, default), default=default,
        source="a rate by its name: 0 to 0.5, or to its default",
    )  # fmt: skip


def _scale(name: str, default: float) -> Hyperparameter | None:
    """A factor of a size, which costs as the size does."""
    if default <= 0:
        return None
    return Real(
        name=name, low=default / 2, high=default * (_MORE if default > 1 else 1), default=default,
        log=True, source="a factor of sizes by its name: half of its default up to it, or to 1.5 "
                         "times it if it is above 1",
    )  # fmt: skip


def _unknown_real(name: str, default: float) -> Hyperparameter:
    if default <= 0:
        return _fixed(name, default, "not above 0")
    if default == 1:
        return Real(name=name, low=0.1, high=1.0, default=1.0, log=True,
                    source="1, a whole or a share: a tenth to 1")  # fmt: skip
    if default > 1 or default < _TINY:
        return Real(name=name, low=default / 10, high=default * 10, default=default, log=True,
                    source="a tenth of its default to ten times it")  # fmt: skip
    odds = default / (1 - default)
    low, high = (_rounded(o / (1 + o)) for o in (odds / _ODDS, odds * _ODDS))
    return Real(name=name, low=low, high=high, default=default,
                source="a share: a quarter of its default's odds to four times them")  # fmt: skip


def _rounded(share: float) -> float:
    """With three digits of what it is from the nearer end, 0 or 1."""
    if share > 0.5:
        return round(1 - _rounded(1 - share), 12)
    return float(f"{share:.3g}")


def _width(name: str, default: float) -> Hyperparameter:
    number = int(default)
    if number % 8 == 0:
        choices = tuple(number * quarters // 4 for quarters in (1, 2, 4, 8))
        return Choice(name=name, choices=choices, default=number,
                      source="a width by its name: a quarter of its default, doubled up to twice "
                             "it, so that what divides it still does")  # fmt: skip
    return Integer(name=name, low=max(1, number // 4), high=2 * number, default=number, log=True,
                   source="a width by its name: a quarter of its default to twice it")  # fmt: skip


def _heads(name: str, default: float) -> Hyperparameter:
    number = int(default)
    if number == 1:
        return _fixed(name, number, "one of what divides a width")
    choices = (*((number // 2,) if number % 2 == 0 else ()), number, 2 * number)
    return Choice(name=name, choices=choices, default=number,
                  source="divides a width, by its name: half and twice its default")  # fmt: skip


def _depth(name: str, default: float) -> Hyperparameter | None:
    if default > _MANY:
        return None
    return Integer(name=name, low=1, high=2 * int(default), default=int(default),
                   source="a depth by its name: 1 to twice its default")  # fmt: skip


def _kernel(name: str, default: float) -> Hyperparameter:
    number = int(default)
    if number % 2 == 0 or number == 1:
        return _geometry(name, default)
    return Integer(name=name, low=number - 2, high=number + 2, default=number, step=2,
                   source="an odd kernel by its name: one step less, one more")  # fmt: skip


def _geometry(name: str, default: float) -> Hyperparameter:
    return _fixed(name, int(default), "what shapes fit together by, by its name")


def _seed(name: str, default: float) -> Hyperparameter:
    return _fixed(name, int(default), "nothing to search, by its name")


def _unknown_whole(name: str, default: int) -> Hyperparameter:
    return Integer(name=name, low=max(1, default // 2), high=2 * default, default=default,
                   log=default >= _MANY, source="half of its default to twice it")  # fmt: skip


def _rule(words: str, make: Callable[[str, float], Hyperparameter | None]) -> _Rule:
    return _Rule(frozenset(words.split()), make)


#: The first that fits goes; of a name's words one is enough.
_OF_WHOLE: Final = (
    _rule("seed seeds state verbose", _seed),
    _rule("kernel kernels", _kernel),
    _rule(
        "patch patches window windows stride strides dilation dilations padding pool pooling axis",
        _geometry,
    ),
    _rule("heads head groups group", _heads),
    _rule("d", _width),
    _rule("depth depths layers layer blocks block stages stage repeats repeat", _depth),
    _rule(
        "width widths hidden channels channel filters filter units unit neurons neuron features "
        "feature embed embedding emb dim dims size sizes planes plane inner model",
        _width,
    ),
    _rule("num n", _depth),
)
_OF_REAL: Final = (
    _rule("dropout drop droppath dropconnect p prob probability rate", _rate),
    _rule("width depth size mult multiplier ratio expansion expand factor growth", _scale),
)

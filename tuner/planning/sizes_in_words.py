"""What is said to a person whose models are too large."""

import math
from typing import Final

from models.hyperparameters import Choice, Config, Hyperparameter, Integer, Real, Value
from models.importing import is_import_path
from models.training.entry import parts_of
from tuner.errors import Fault
from tuner.planning.capacity import Capacity

#: The catalogue's words for how large a model is, in the order in which people name them.
EXTENTS: Final = ("depth", "width", "growth")


def nothing_fits(capacity: Capacity, config: Config) -> Fault:
    """The fault of a space whose cheapest configuration, `config`, does not fit."""
    subject = f"The smallest {capacity.model} of this space{_extents(config)}"
    return _too_large(capacity, config, subject, pointer="/space")


def start_does_not_fit(capacity: Capacity, config: Config, pointer: str) -> Fault:
    """The fault of a start point that makes `config`, which does not fit."""
    subject = f"The {capacity.model} of this start point{_extents(config)}"
    return _too_large(capacity, config, subject, pointer=pointer)


def default_does_not_fit(capacity: Capacity, config: Config) -> Fault:
    """The fault of a space whose default configuration needs more memory than the job may use."""
    subject = f"The default {capacity.model} of this space{_extents(config)}"
    return _too_large(capacity, config, subject, pointer="/resources/memory_gb")


def cut_note(old: Hyperparameter, new: Hyperparameter, capacity: Capacity) -> str:
    """What was cut off `old` to make `new`."""
    why = f"no {capacity.model} with them stays within {capacity.limits}"
    if isinstance(old, Choice) and isinstance(new, Choice):
        cut = ", ".join(_text(c) for c in old.choices if c not in new.choices)
        kept = ", ".join(map(_text, new.choices))
        return f"{old.name}: {cut} left out, because {why}; searched: {kept}."
    assert isinstance(old, Integer | Real)
    assert isinstance(new, Integer | Real)
    cut = f"above {_text(new.high)}" if new.low == old.low else f"below {_text(new.low)}"
    kept = f"{_text(new.low)} to {_text(new.high)}"
    return f"{old.name}: values {cut} left out, because {why}; searched: {kept}."


def moved_note(changed: Config, capacity: Capacity) -> str:
    """What the default configuration was changed to."""
    values = ", ".join(f"{name} = {_text(value)}" for name, value in changed.items())
    return f"The default did not stay within {capacity.limits} and was moved to {values}."


def combinations_note(capacity: Capacity) -> str:
    """What happens to the combinations that do not fit."""
    if is_import_path(capacity.model):
        return (
            f"Some combinations do not stay within {capacity.limits}; such trials end as "
            "infeasible, and the sampler learns from them."
        )
    return (
        f"Some combinations do not stay within {capacity.limits}; the nearest ones towards the "
        "default configuration are tried in their place."
    )


def _too_large(capacity: Capacity, config: Config, subject: str, *, pointer: str) -> Fault:
    size = capacity.size(config)
    if size.refused is not None:
        return Fault(pointer=pointer, code="not-built", detail=f"{subject}: {size.refused}")
    if size.stopped_at is not None:
        limit = f"the limit of {capacity.max_parameters:,} parameters"
        where = f"at layer {size.stopped_at}{_of_depth(config)}{_ending(config)}"
        remedy = f"Lower {_listed(config)}{_largest_depth(capacity, config)}"
        detail = f"{subject} passes {limit} {where}. {remedy}, or raise limits.max_parameters."
        return Fault(pointer=pointer, code="too-large", detail=detail)
    needed, limit_mb = capacity.memory_mb(config), capacity.memory_limit_mb or 0.0
    batch_size = int(config.get("batch_size", 1))
    parts = parts_of(config, batch_size)
    in_parts = f" in {parts} parts" if parts > 1 else ""
    detail = (
        f"{subject} needs about {_megabytes(needed)} for weights, gradients, optimizer state and "
        f"the activations of a batch of {batch_size}{in_parts}; resources.memory_gb allows "
        f"{_megabytes(limit_mb)}. Raise it, or lower batch_size, {_listed(config)}."
    )
    return Fault(pointer=pointer, code="too-large", detail=detail)


def _ending(config: Config) -> str:
    """How many channels the last layer would have, as a clause; empty where that says nothing."""
    depth, width, growth = (config.get(name) for name in EXTENTS)
    if not (isinstance(depth, int) and isinstance(width, int) and isinstance(growth, int | float)):
        return ""
    power = math.log10(width) + (depth - 1) * math.log10(growth)
    if power < 6:
        return ""
    exponent = math.floor(power)
    digit = round(10 ** (power - exponent))
    if digit == 10:
        digit, exponent = 1, exponent + 1
    return f" and would end at {width}·{growth:g}^{depth - 1} ≈ {digit}·10^{exponent} channels"


def _largest_depth(capacity: Capacity, config: Config) -> str:
    """The depth that would do, all else being equal, in parentheses; empty if none would."""
    depth = config.get("depth")
    if not isinstance(depth, int) or not capacity.fits({**config, "depth": 1}):
        return ""
    fitting, beyond = 1, depth
    while beyond - fitting > 1:
        middle = (fitting + beyond) // 2
        if capacity.fits({**config, "depth": middle}):
            fitting = middle
        else:
            beyond = middle
    return f" (with all else as it is, depth can be at most {fitting})"


def _of_depth(config: Config) -> str:
    return f" of {config['depth']}" if "depth" in config else ""


def _listed(config: Config) -> str:
    names = [name for name in EXTENTS if name in config] or ["what makes the network large"]
    return ", ".join(names[:-1]) + " or " + names[-1] if len(names) > 1 else names[0]


def _extents(config: Config) -> str:
    """How large it is, in parentheses; empty of a network by import path that has no such words."""
    said = ", ".join(f"{name} = {_text(config[name])}" for name in EXTENTS if name in config)
    return f" ({said})" if said else ""


def _megabytes(number: float) -> str:
    return f"{number:,.0f} MB" if number >= 10 else f"{number:.2g} MB"


def _text(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else repr(value)

"""Numbers and parameters in words short enough for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tuner.views import AttemptView, JobDetail, TrialView
from tuner.words import number, searched

__all__ = [
    "chosen", "duration", "number", "params", "searched", "sparkline", "whereabouts", "why",
]  # fmt: skip

BARS: Final = "▁▂▃▄▅▆▇█"


def duration(seconds: float | None) -> str:
    """``1:02:03``, ``4:05``; a dash where nobody knows."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def params(values: Mapping[str, Any], width: int | None = None) -> str:
    """``lr=0.001 depth=3``, cut to `width` characters."""
    text = " ".join(f"{name}={number(value)}" for name, value in values.items())
    return text if width is None or len(text) <= width else text[: max(width - 1, 0)] + "…"


def chosen(values: Mapping[str, Any], job: JobDetail) -> dict[str, Any]:
    """Of a trial's parameters those that are searched, or that the job's spec asks for."""
    settled = {p["name"] for p in job.space if "fixed" in p} - job.spec.get("space", {}).keys()
    return {name: value for name, value in values.items() if name not in settled}


def worth(trial: TrialView) -> str:
    """The trial's value, or its values where several metrics are sought; ``-`` for none."""
    told = trial.values or ([] if trial.value is None else [trial.value])
    return ", ".join(map(number, told)) or "-"


def steps_of(job: JobDetail) -> int | None:
    """How many steps a whole trial has; None where only its objective knows."""
    return job.budget.epochs if job.objective is None else None


def whereabouts(trial: TrialView, epochs: int | None = None) -> str:
    """The last epoch reported, or where in the next one the trial is: ``15``, ``3/15, 42 %``."""
    of_all = "" if epochs is None else f"/{epochs}"
    if (now := trial.progress) is not None:
        return f"{now.step}{of_all}, {100 * now.done // now.total} %"
    return "-" if trial.last_step is None else f"{trial.last_step}{of_all}"


def why(ended: TrialView | AttemptView) -> str:
    """The reason and what was said first: ``user_error: ValueError: no``; nothing where none is."""
    said = (ended.detail or "").splitlines()[:1]
    return ": ".join([str(ended.reason), *said]) if ended.reason else ""


def sparkline(values: Sequence[float]) -> str:
    """A line of bars between the smallest and the largest value."""
    if not values:
        return ""
    low, high = min(values), max(values)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in values)

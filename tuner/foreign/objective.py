"""The program that runs an Optuna objective as one trial, or probes that it can."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.exceptions import TrialPruned
from optuna.study import StudyDirection

from models.importing import PartRefused, load_others, path_complaint
from tuner.foreign.entering import enter_code
from tuner.foreign.grounding import timed_import
from tuner.foreign.worker_trial import Halted, WorkerTrial
from tuner.states import Direction, Reason
from tuner.trial import Context, Outcome

Objective = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveOrder:
    """What the order says."""

    #: ``package.module:function``.
    objective: str
    #: Whether the parameters are declared in the spec; else the objective suggests them.
    declared: bool
    params: Mapping[str, Any]
    number: int
    metric: str
    directions: tuple[Direction, ...]
    #: What the trial keeps for its next attempts.
    folder: Path
    #: Modules from which it may be imported.
    allowed_code: tuple[str, ...]
    #: The folder from which it comes first; see `enter_code`.
    code: Mapping[str, Any] | None

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "ObjectiveOrder":
        """The order in a payload."""
        return cls(
            objective=payload["objective"],
            declared=payload["declared"],
            params=payload["params"],
            number=payload["number"],
            metric=payload["metric"],
            directions=tuple(map(Direction, payload["directions"])),
            folder=Path(payload["folder"]),
            allowed_code=tuple(payload["allowed_code"]),
            code=payload.get("code"),
        )

    def load(self) -> Objective:
        """The function, imported.

        Raises:
            PartRefused: it is not there, not allowed, or is called with something else.
        """
        allowed = (*self.allowed_code, *enter_code(self.code))
        complaint = path_complaint("objective", self.objective, allowed)
        if complaint is not None:
            raise PartRefused(complaint)
        found = load_others(self.objective)
        if not callable(found):
            raise PartRefused(
                f"objective {self.objective} is a {type(found).__name__}; name a function."
            )
        self._check_arguments(found)
        objective: Objective = found
        return objective

    def _check_arguments(self, found: Objective) -> None:
        wanted = ("config", "trial") if self.declared else ("trial",)
        try:
            signature = inspect.signature(found)
        except (TypeError, ValueError):
            return  # of something built in; its call will tell
        try:
            signature.bind(*wanted)
        except TypeError as error:
            remedy = (
                "With a space in the spec it is called as objective(config, trial); leave the "
                "space out if it suggests its parameters itself."
                if self.declared
                else "Without a space in the spec it is called as objective(trial), and suggests "
                "its parameters itself; declare a space if it takes (config, trial)."
            )
            raise PartRefused(
                f"objective {self.objective}{signature} cannot be called with "
                f"{' and '.join(wanted)}: {error}. {remedy}"
            ) from error


def probe(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Import the objective, and look whether it can be called: what fails here fails always."""
    order = ObjectiveOrder.of(payload)
    try:
        _, facts = timed_import(order.load)
    except PartRefused as error:
        return Outcome.failed(Reason.USER_ERROR, str(error))
    return Outcome.succeeded(0.0, {"objective": order.objective, "device": context.device, **facts})


def run(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Call the objective once; its value is what it returns, as in ``study.optimize``.

    It starts over where an attempt before was lost, with the parameters it had. What it keeps in
    ``trial.checkpoint_dir`` is there again.
    """
    order = ObjectiveOrder.of(payload)
    try:
        objective = order.load()
        trial = WorkerTrial.begin(
            context,
            number=order.number,
            metric=order.metric,
            directions=[StudyDirection[direction.name] for direction in order.directions],
            checkpoint_dir=order.folder,
        )
        returned = objective(dict(order.params), trial) if order.declared else objective(trial)
    except PartRefused as error:
        return Outcome.failed(Reason.USER_ERROR, str(error))
    except TrialPruned:
        return Outcome.pruned(trial.last_value)
    except Halted:
        return Outcome.stopped(context.stop_reason or Reason.CANCELLED)
    return _outcome(order, returned)


def _outcome(order: ObjectiveOrder, returned: object) -> Outcome:
    """What the returned value, or values, come to."""
    wanted = len(order.directions)
    values = list(returned) if isinstance(returned, tuple | list) else [returned]
    if len(values) != wanted:
        detail = (
            f"{order.objective} returned {_number_of(values)}, and the job has {wanted} "
            f"direction{'s' * (wanted > 1)}; return as many, or give as many directions."
        )
        return Outcome.failed(Reason.USER_ERROR, detail)
    try:
        numbers = [_as_float(value) for value in values]
    except (TypeError, ValueError):
        detail = f"{order.objective} returned {_short(returned)}; an objective returns a number."
        return Outcome.failed(Reason.USER_ERROR, detail)
    if any(math.isnan(number) for number in numbers):
        return Outcome.failed(Reason.NAN, f"{order.objective} returned {_short(returned)}.")
    return Outcome.succeeded(numbers[0]) if wanted == 1 else Outcome.succeeded_with(numbers)


def _as_float(value: Any) -> float:
    if value is None or isinstance(value, str):
        raise TypeError(value)  # a text that reads like a number is none: somebody forgot something
    return float(value)


def _number_of(values: list[object]) -> str:
    return "1 value" if len(values) == 1 else f"{len(values)} values"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"

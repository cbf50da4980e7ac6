"""Whether a job's settings may be changed as asked, and what the scheduler is told."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from tuner.errors import Fault, SpecInvalid, StaleRevision, TransitionRefused
from tuner.parts import parse_part
from tuner.service.presentation import elapsed_seconds, target_reached
from tuner.spec import Budget, JobPatch
from tuner.states import EXTENDABLE, Direction, JobState
from tuner.store.rows import Row
from tuner.store.unreadable import readable


class _Rebudgeted(BaseModel):
    model_config = ConfigDict(frozen=True)

    budget: Budget


def request_of_patch(row: Row, patch: JobPatch, *, stale: int, now: datetime) -> dict[str, Any]:
    """The request that carries out `patch`; of the budget, if it changes, all of it.

    `stale` counts the trials that ended since the best one.

    Raises:
        StaleRevision: the job was changed since the caller read it.
        TransitionRefused: the job is cancelled, or finished and not given more budget.
        SpecInvalid: the new budget is none, or less than what is used up already.
    """
    if patch.revision != row.revision:
        raise StaleRevision(row.ulid, patch.revision, row.revision)
    state = JobState(row.state)
    request: dict[str, Any] = {"revision": patch.revision}
    for name in ("parallel", "priority", "labels"):
        if (value := getattr(patch, name)) is not None:
            request[name] = value
    budget = _changed_budget(row, patch)
    if budget is not None:
        request["budget"] = budget.model_dump(mode="json")
    if state in (JobState.CANCELLING, JobState.CANCELLED):
        raise TransitionRefused(f"Job {row.ulid}", state, "changed")
    if state in EXTENDABLE:
        if budget is None:
            raise TransitionRefused(f"Job {row.ulid}", state, "changed but by a larger budget")
        _refuse(_used_up(row, budget, stale, now))
    elif budget is not None:
        _refuse(_too_few(row, budget))
    return request


def _changed_budget(row: Row, patch: JobPatch) -> Budget | None:
    """The budget as it would be; None where nothing of it changes."""
    with readable(row.ulid):
        budget = Budget.model_validate(row.budget)
        Direction(row.direction)
    merged = {**row.budget, **(patch.budget or {})}
    rebudgeted: _Rebudgeted = parse_part(_Rebudgeted, {"budget": merged})
    return None if rebudgeted.budget == budget else rebudgeted.budget


def _too_few(row: Row, budget: Budget) -> list[Fault]:
    if budget.trials >= row.created:
        return []
    detail = (
        f"budget.trials = {budget.trials} is below the {row.created} trials the job has already; "
        f"give at least {row.created}, or cancel the job."
    )
    return [Fault(pointer="/budget/trials", code="too-few", detail=detail)]


def _used_up(row: Row, budget: Budget, stale: int, now: datetime) -> list[Fault]:
    """What would end a finished job again at once."""
    faults = []
    if budget.trials <= row.created:
        detail = (
            f"budget.trials = {budget.trials}: the job has {row.created} trials already; "
            f"give more than {row.created}."
        )
        faults.append(Fault(pointer="/budget/trials", code="too-few", detail=detail))
    hours = elapsed_seconds(row, now) / 3600
    if budget.hours is not None and budget.hours <= hours:
        detail = (
            f"budget.hours = {budget.hours:g}: {hours:.3g} hours are used already; "
            "give more, or null for no limit."
        )
        faults.append(Fault(pointer="/budget/hours", code="used-up", detail=detail))
    if target_reached(budget.target, row.best_value, Direction(row.direction)):
        detail = (
            f"budget.target = {budget.target:g} is reached: the best value is "
            f"{row.best_value:g}; give a better one, or null for none."
        )
        faults.append(Fault(pointer="/budget/target", code="reached", detail=detail))
    if budget.patience is not None and budget.patience <= stale:
        detail = (
            f"budget.patience = {budget.patience}: {stale} or more trials have ended since the "
            "best one; give more, or null for no limit."
        )
        faults.append(Fault(pointer="/budget/patience", code="used-up", detail=detail))
    return faults


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise SpecInvalid(faults)

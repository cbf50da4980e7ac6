"""Rows of the database as the answers people get."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from types import SimpleNamespace
from typing import Any, Final, cast

from tuner.states import AttemptState, Direction, JobState, Reason
from tuner.store.rows import Row
from tuner.store.trials import FIELDS as TRIAL_FIELDS
from tuner.views import (
    AttemptView,
    BudgetView,
    Counts,
    EventView,
    JobView,
    MetricPoint,
    TrialView,
)

_DIRECTIONS: Final = frozenset(Direction)
_COUNTS: Final = tuple(Counts.model_fields)
#: What a budget may leave out.
_NO_BUDGET: Final = {
    name: field.get_default()
    for name, field in BudgetView.model_fields.items()
    if not field.is_required()
}
_ATTEMPT_FACTS: Final = tuple(
    name for name in AttemptView.model_fields if name not in ("progress", "halvings")
)
_HIDDEN: Final = ("id", "model_uri", "distributions")
_NAMED: Final = ("model", "data", "loss", "optimizer")
#: The keys that tell what is tuned; a spec has all of one line.
_WAYS: Final = (_NAMED, ("objective",), ("command",))
#: What stands for columns that are not what this version writes.
_BLANK: Final[Mapping[str, Any]] = {
    "spec": dict.fromkeys(_NAMED, ""),
    "plan": {"space": [], "seed": 0, "notes": []},
    "budget": {"trials": 1, "epochs": 1},
    "labels": {},
    "metric": "",
    "direction": Direction.MINIMIZE,
}


def job_view(row: Row, now: datetime) -> JobView:
    """A job as pages list it."""
    return JobView.model_validate(_job_facts(_shown(row), now))


def job_detail_facts(row: Row, now: datetime) -> dict[str, Any]:
    """A job with everything known of it: the fields of a `JobDetail`."""
    row = _shown(row)
    plan = row.plan
    return {
        **_job_facts(row, now),
        "spec": row.spec,
        "space": plan["space"],
        "seed": plan["seed"],
        "notes": plan["notes"],
        "data_shape": plan.get("data_shape"),
    }


def _shown(row: Row) -> Row:
    """The row of a job, with blanks where it cannot be read, so that the rest can be shown."""
    columns = dict(zip(row._fields, row, strict=True))
    legible = {name: _is_legible(name, columns[name]) for name in _BLANK if name in columns}
    if all(legible.values()):
        return row
    blanks = {name: _BLANK[name] for name, well in legible.items() if not well}
    return cast(Row, SimpleNamespace(**columns | blanks))


def _is_legible(name: str, stored: Any) -> bool:
    match name:
        case "metric":
            return isinstance(stored, str)
        case "direction":
            return stored in _DIRECTIONS
        case "labels":
            return isinstance(stored, dict) and all(isinstance(v, str) for v in stored.values())
        case "spec":
            return isinstance(stored, dict) and any(
                all(stored.get(part) for part in parts) for parts in _WAYS
            )
        case _:
            return isinstance(stored, dict) and _BLANK[name].keys() <= stored.keys()


def _job_facts(row: Row, now: datetime) -> dict[str, Any]:
    spec, path = row.spec, f"/v1/jobs/{row.ulid}"
    return {
        "id": row.ulid,
        "name": row.name,
        "state": row.state,
        **_subject(spec),
        "metric": row.metric,
        "direction": row.direction,
        "metrics": metrics_of(row),
        "counts": {name: getattr(row, name) for name in _COUNTS},
        "budget": _NO_BUDGET | row.budget,
        "parallel": row.parallel,
        "priority": row.priority,
        "labels": row.labels,
        "revision": row.revision,
        "progress": _progress(row, now),
        "best": _best(row),
        "reason": row.reason,
        "detail": row.detail,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "links": {
            "self": path,
            "trials": f"{path}/trials",
            "best": f"{path}/best",
            "events": f"{path}/events",
        },
        "dashboard_url": f"/dashboard/studies/{row.id}",
    }


def metrics_of(row: Row) -> dict[str, str]:
    """All metrics of a job, each with the way that is better."""
    return {row.metric: row.direction, **(row.others or {})}


def _subject(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What is tuned, by its kind."""
    told = {part: spec.get(part) for part in (*_NAMED, "objective", "command")}
    if told["objective"] is not None:
        return {"what": told["objective"], **told}
    if told["command"] is not None:
        return {"what": " ".join(told["command"]), **told}
    data = spec["data"]
    named = data.get("python") or next(iter(data)) if isinstance(data, dict) else data
    told["data"] = named
    what = f"{told['model']} on {named}, {told['loss']}, {told['optimizer']}"
    return {"what": what, **told}


def _best(row: Row) -> dict[str, Any] | None:
    if row.best_number is None or row.best_params is None:
        return None
    return {"number": row.best_number, "value": row.best_value, "params": row.best_params}


def _progress(row: Row, now: datetime) -> dict[str, Any]:
    """How far a job is: by its trials or by its hours, whichever is more."""
    budget = _NO_BUDGET | row.budget
    finished = row.completed + row.pruned + row.failed + row.cancelled
    elapsed = elapsed_seconds(row, now)
    begun = min(row.running, row.epochs_under_way / budget["epochs"])
    shares = [(finished + begun) / budget["trials"]]
    if budget["hours"] is not None:
        shares.append(elapsed / (budget["hours"] * 3600))
    done = row.state == JobState.SUCCEEDED or target_reached(
        budget["target"], row.best_value, Direction(row.direction)
    )
    return {
        "fraction": 1.0 if done else min(1.0, max(shares)),
        "finished": finished,
        "elapsed_seconds": elapsed,
        "eta_seconds": _eta_seconds(row, budget, elapsed, finished=finished, begun=begun),
    }


def elapsed_seconds(row: Row, now: datetime) -> float:
    """Seconds the job has been running, pauses left out."""
    since = (now - row.running_since).total_seconds() if row.running_since else 0.0
    return float(row.run_seconds + max(0.0, since))


def target_reached(target: float | None, best: float | None, direction: Direction) -> bool:
    """Whether the best value is at least as good as the target."""
    if target is None or best is None:
        return False
    return best == target or direction.better(best, target)


def _eta_seconds(
    row: Row, budget: Mapping[str, Any], elapsed: float, *, finished: int, begun: float
) -> float | None:
    """Trials left times the mean seconds of the ended ones, shared by those that run at once.

    Trials under way are `begun` by their epochs; until one has ended, their pace so far counts.
    """
    ended = row.completed + row.pruned + row.failed
    left = budget["trials"] - finished - begun
    if row.state != JobState.RUNNING or not (ended or begun) or left <= 0:
        return None
    seconds: float
    if ended:
        seconds = left * (row.busy_seconds / ended) / max(1, row.running)
    else:
        seconds = left * elapsed / begun
    if budget["hours"] is not None:
        seconds = min(seconds, max(0.0, budget["hours"] * 3600 - elapsed))
    return seconds


def trial_view(row: Row, now: datetime) -> TrialView:
    """A trial; `seconds` go on counting while it is not finished."""
    return TrialView.model_validate(trial_facts(row, now))


def trial_facts(row: Row, now: datetime) -> dict[str, Any]:
    """The fields of a `TrialView`."""
    # An attribute of a row costs as much as the whole row at once, and a page has many rows.
    facts = dict(zip(TRIAL_FIELDS, row, strict=True))
    started, ended = facts["started_at"], facts["finished_at"] or now
    facts["seconds"] = None if started is None else (ended - started).total_seconds()
    facts["has_model"] = facts["model_uri"] is not None
    for name in _HIDDEN:
        del facts[name]
    return facts


def attempt_views(rows: Sequence[Row], progress: Any = None) -> list[AttemptView]:
    """All attempts of a trial, or all probes, first to last.

    `progress` is that of the one under way, as its trial's row has it.
    """
    halvings = [0, *accumulate(int(row.reason == Reason.OOM_GPU) for row in rows)]
    return [_attempt_view(row, progress, count) for row, count in zip(rows, halvings, strict=False)]


def _attempt_view(row: Row, progress: Any, halvings: int) -> AttemptView:
    facts = {name: getattr(row, name) for name in _ATTEMPT_FACTS}
    running = row.state == AttemptState.RUNNING
    return AttemptView(**facts, progress=progress if running else None, halvings=halvings)


def event_view(row: Row) -> EventView:
    """An event."""
    return EventView(seq=row.seq, kind=row.kind, at=row.at, trial=row.trial, data=row.data)


def metric_point(row: Row) -> MetricPoint:
    """All metrics of one step."""
    return MetricPoint(step=row.step, at=row.at, values=row.measured)

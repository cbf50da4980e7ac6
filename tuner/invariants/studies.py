"""What holds between a study and the rows it is the replay of."""

import math
from collections.abc import Iterator, Mapping
from typing import Final

import sqlalchemy as sa
from optuna.trial import FrozenTrial

from models.hyperparameters import Config
from tuner.invariants.breach import Breach
from tuner.invariants.rules import RESTORE
from tuner.leader.recovery import take_up
from tuner.search.study import JobStudy
from tuner.search.translation import NO_ROOM, STATE_OF_INFEASIBLE, STATES_IN_STUDY
from tuner.slots import Inventory
from tuner.states import LIVE_JOBS, Reason, TrialState
from tuner.store import replay
from tuner.store.unreadable import JobUnreadable

#: A study knows nothing of devices.
_NO_DEVICES: Final = Inventory(host="", devices=())


def check_studies(connection: sa.Connection) -> Iterator[Breach]:
    """I11: of every live job the rows make a study, and it says of each trial what they say."""
    for job in replay.jobs_in(connection, LIVE_JOBS):
        try:
            live, study = take_up(connection, job["id"], _NO_DEVICES)
        except JobUnreadable as error:
            yield Breach(
                invariant="I11",
                job=job["ulid"],
                detail=f"Its rows make no study: {error.why}",
                remedy=RESTORE.format(job=job["ulid"]),
            )
        else:
            yield from check_study(connection, job, live.plan.metric, study)


def check_study(
    connection: sa.Connection, job: sa.RowMapping, metric: str, study: JobStudy
) -> Iterator[Breach]:
    """I11: `study`, of which nobody asks anything just now, says of each trial what the rows do."""
    reports = replay.reports_of(connection, job["id"], metric)
    rows = {row["number"]: row for row in replay.trials_of(connection, job["id"])}
    told = dict(enumerate(study.trials()))
    for number in sorted(rows.keys() | told.keys()):
        trial = told.get(number)
        params = {} if trial is None else study.params_of(trial)
        wrong = _differences(rows.get(number), reports.get(number, {}), trial, params)
        if wrong:
            yield Breach(
                invariant="I11",
                job=job["ulid"],
                trial=number,
                detail=f"Study and rows differ in its {', '.join(wrong)}.",
                remedy="Restart the scheduler: it makes the study from the rows. Where that does "
                "not help: " + RESTORE.format(job=job["ulid"]),
            )


def _differences(
    row: sa.RowMapping | None,
    reports: Mapping[int, float],
    told: FrozenTrial | None,
    params: Config,
) -> list[str]:
    if row is None or told is None:
        return ["presence"]
    state = TrialState(row["state"])
    value = row["value"] if state is TrialState.COMPLETED else told.value
    searched = {name: v for name, v in row["params"].items() if name in told.distributions}
    infeasible = row["reason"] == Reason.INFEASIBLE and told.state is STATE_OF_INFEASIBLE
    pairs = {
        "state": (told.state, STATE_OF_INFEASIBLE if infeasible else STATES_IN_STUDY[state]),
        "value": (told.value, value),
        "parameters": (params, searched),
        "reports": (_finite(told.intermediate_values), _finite(reports)),
        "notes": (told.system_attrs, row["system_attrs"] | dict([NO_ROOM] if infeasible else [])),
    }
    return [name for name, (one, other) in pairs.items() if one != other]


def _finite(reports: Mapping[int, float]) -> dict[int, float]:
    """Reports that compare as one expects: what is not a number is equal to nothing."""
    return {step: value for step, value in reports.items() if math.isfinite(value)}

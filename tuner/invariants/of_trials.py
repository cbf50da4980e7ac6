"""What holds of trials and attempts: one result, one attempt at a time, an end that is one."""

from typing import Final

import sqlalchemy as sa

from tuner.db import attempts, hosts, jobs, trials
from tuner.invariants.rules import HEARD_SINCE, Rule, times
from tuner.scheduler.retry import MAX_COUNTED_ATTEMPTS, policy
from tuner.states import LIVE_TRIALS, AttemptState, Reason, TrialState

_LOG: Final = "Its log may tell more: tuner logs {job} {trial}."

_is_running = attempts.c.state == AttemptState.RUNNING
_counts = attempts.c.state.in_((AttemptState.FAILED, AttemptState.LOST)) & attempts.c.reason.in_(
    sorted(reason for reason in Reason if policy(reason, 0).counted)
)
_of_attempts = (
    sa.select(
        attempts.c.trial_id,
        sa.func.count().label("attempts"),
        times(_counts).label("counted"),
        times(_is_running).label("running"),
        times(attempts.c.state == AttemptState.SUCCEEDED).label("succeeded"),
    )
    .where(attempts.c.trial_id.is_not(None))
    .group_by(attempts.c.trial_id)
    .subquery()
)


def _count(name: str) -> sa.ColumnElement[int]:
    return sa.func.coalesce(_of_attempts.c[name], 0)


_runs = trials.c.state == TrialState.RUNNING
_completed = trials.c.state == TrialState.COMPLETED
_final = trials.c.state.not_in(sorted(LIVE_TRIALS))

TRIALS: Final = (
    sa.select(
        trials.c.id,
        jobs.c.ulid.label("job"),
        trials.c.number.label("trial"),
        trials.c.state,
        trials.c.value,
        trials.c.finished_at,
        trials.c.attempts,
        trials.c.counted,
        *(
            _count(name).label(f"true_{name}")
            for name in ("attempts", "counted", "running", "succeeded")
        ),
    )
    .join_from(trials, jobs, trials.c.job_id == jobs.c.id)
    .outerjoin(_of_attempts, _of_attempts.c.trial_id == trials.c.id)
    .order_by(trials.c.id)
)

RULES_OF_TRIALS: Final = (
    Rule(
        invariant="I3",
        wrong=_count("running") > 1,
        detail="{true_running} attempts of it run at once.",
        remedy="Stop the service, then UPDATE attempts SET state = 'lost', "
        "reason = 'scheduler_lost', finished_at = CURRENT_TIMESTAMP WHERE trial_id = {id} AND "
        "state = 'running' AND id < (SELECT max(id) FROM attempts WHERE trial_id = {id});",
    ),
    Rule(
        invariant="I3",
        wrong=sa.or_(
            _count("succeeded") > 1,
            _completed != (_count("succeeded") > 0),
            _completed & trials.c.value.is_(None) & trials.c["values"].is_(None),
        ),
        detail="It is {state} with the value {value}, and {true_succeeded} of its attempts "
        "succeeded.",
    ),
    Rule(
        invariant="I4",
        wrong=sa.or_(_runs & (_count("running") == 0), ~_runs & (_count("running") > 0)),
        detail="It is {state}, and {true_running} of its attempts are running.",
    ),
    Rule(
        invariant="I5",
        wrong=sa.or_(
            trials.c.counted > MAX_COUNTED_ATTEMPTS,
            trials.c.counted != _count("counted"),
            trials.c.attempts != _count("attempts"),
        ),
        detail="It says {attempts} attempts of which {counted} count, and has {true_attempts} of "
        f"which {{true_counted}} count; at most {MAX_COUNTED_ATTEMPTS} may.",
        remedy="Stop the service, then UPDATE trials SET attempts = {true_attempts}, "
        "counted = {true_counted} WHERE id = {id};",
    ),
    Rule(
        invariant="I8",
        wrong=_final == trials.c.finished_at.is_(None),
        detail="It is {state}, and its end is {finished_at}.",
    ),
    Rule(
        invariant="I12",
        wrong=(trials.c.state == TrialState.FAILED) & trials.c.reason.is_(None),
        detail="It failed, and no reason is given.",
        remedy=_LOG,
    ),
)

ATTEMPTS: Final = (
    sa.select(
        attempts.c.id.label("attempt"),
        jobs.c.ulid.label("job"),
        trials.c.number.label("trial"),
        attempts.c.state,
        attempts.c.reason,
        attempts.c.host,
        attempts.c.finished_at,
        hosts.c.beat_at,
    )
    .join_from(attempts, jobs, attempts.c.job_id == jobs.c.id)
    .outerjoin(trials, attempts.c.trial_id == trials.c.id)
    .outerjoin(hosts, attempts.c.host == hosts.c.name)
    .order_by(attempts.c.id)
)

RULES_OF_ATTEMPTS: Final = (
    Rule(
        invariant="I4",
        wrong=_is_running & sa.or_(hosts.c.beat_at.is_(None), hosts.c.beat_at < HEARD_SINCE),
        detail="It is running on host {host}, whose scheduler was last heard {beat_at}.",
        remedy="Start the service: tuner serve. It ends what it finds running, and goes on with "
        "its trial.",
    ),
    Rule(
        invariant="I8",
        wrong=_is_running != attempts.c.finished_at.is_(None),
        detail="It is {state}, and its end is {finished_at}.",
    ),
    Rule(
        invariant="I12",
        wrong=attempts.c.state.not_in((AttemptState.RUNNING, AttemptState.SUCCEEDED))
        & sa.or_(attempts.c.reason.is_(None), attempts.c.reason.not_in(sorted(Reason))),
        detail="It is {state}, and its reason is {reason}.",
        remedy=_LOG,
    ),
)

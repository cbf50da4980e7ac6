"""What holds of a job's row: its counters, its budget, its best trial, its events, its end."""

from typing import Final

import sqlalchemy as sa

from tuner.db import attempts, events, jobs, trials
from tuner.invariants.damaged import text_of, whole_number_of
from tuner.invariants.rules import SETTLED_BY, Rule, times
from tuner.states import LIVE_JOBS, LIVE_TRIALS, AttemptState, Direction, TrialState
from tuner.store.unreadable import UNREADABLE

_COUNTERS: Final = ("created", *(state.value for state in TrialState))

_is_completed = trials.c.state == TrialState.COMPLETED
_completed_value = sa.case((_is_completed, trials.c.value))
_of_trials = (
    sa.select(
        trials.c.job_id,
        sa.func.count().label("created"),
        *(times(trials.c.state == state).label(state) for state in TrialState),
        sa.func.min(trials.c.number).label("first"),
        sa.func.max(trials.c.number).label("last"),
        sa.func.min(_completed_value).label("smallest"),
        sa.func.max(_completed_value).label("largest"),
    )
    .group_by(trials.c.job_id)
    .subquery()
)
_of_attempts = (
    sa.select(
        attempts.c.job_id,
        sa.func.count().label("under_way"),
        sa.func.count(attempts.c.trial_id).label("at_once"),
    )
    .where(attempts.c.state == AttemptState.RUNNING)
    .group_by(attempts.c.job_id)
    .subquery()
)
_of_events = (
    sa.select(
        events.c.job_id, sa.func.count().label("events"), sa.func.max(events.c.seq).label("last")
    )
    .group_by(events.c.job_id)
    .subquery()
)


def _count(name: str) -> sa.ColumnElement[int]:
    return sa.func.coalesce(_of_trials.c[name], 0)


_at_once = sa.func.coalesce(_of_attempts.c.at_once, 0)
_events = sa.func.coalesce(_of_events.c.events, 0)
_best = sa.case(
    (text_of(jobs.c.plan, "direction") == Direction.MAXIMIZE, _of_trials.c.largest),
    else_=_of_trials.c.smallest,
)
_best_number = (
    sa.select(sa.func.min(trials.c.number))
    .where(trials.c.job_id == jobs.c.id, _is_completed, trials.c.value == _best)
    .scalar_subquery()
)
_trials_allowed = whole_number_of(jobs.c.budget, "trials")
_just_patched = sa.exists().where(
    events.c.job_id == jobs.c.id, events.c.kind == "patched", events.c.at > SETTLED_BY
)
_final = jobs.c.state.not_in(sorted(LIVE_JOBS))
_unfinished = sum((_count(state) for state in sorted(LIVE_TRIALS)), start=sa.literal(0))

JOBS: Final = (
    sa.select(
        jobs.c.id,
        jobs.c.ulid.label("job"),
        jobs.c.state,
        jobs.c.parallel,
        jobs.c.best_value,
        jobs.c.best_number,
        jobs.c.last_event,
        jobs.c.finished_at,
        *(jobs.c[name] for name in _COUNTERS),
        *(_count(name).label(f"true_{name}") for name in _COUNTERS),
        _trials_allowed.label("allowed"),
        text_of(jobs.c.budget, "trials").label("says_allowed"),
        _of_trials.c.first,
        _of_trials.c.last,
        _best.label("true_best"),
        _best_number.label("true_number"),
        _at_once.label("at_once"),
        _events.label("events"),
        _of_events.c.last.label("newest_event"),
        _unfinished.label("unfinished"),
        sa.func.coalesce(_of_attempts.c.under_way, 0).label("under_way"),
    )
    .outerjoin_from(jobs, _of_trials, _of_trials.c.job_id == jobs.c.id)
    .outerjoin(_of_attempts, _of_attempts.c.job_id == jobs.c.id)
    .outerjoin(_of_events, _of_events.c.job_id == jobs.c.id)
    .order_by(jobs.c.id)
)

RULES: Final = (
    *(
        Rule(
            invariant="I1",
            wrong=jobs.c[name] != _count(name),
            detail=f"It counts {{{name}}} trials {name}, and has {{true_{name}}}.",
            remedy=f"Stop the service, then UPDATE jobs SET {name} = {{true_{name}}} "
            "WHERE id = {id};",
        )
        for name in _COUNTERS
    ),
    Rule(
        invariant="I1",
        wrong=sa.or_(_of_trials.c.first != 0, _of_trials.c.last != _of_trials.c.created - 1),
        detail="Its {true_created} trials are numbered {first} to {last}: some are missing.",
    ),
    Rule(
        invariant="I1",
        wrong=sa.or_(
            jobs.c.best_value.is_distinct_from(_best),
            jobs.c.best_number.is_distinct_from(_best_number),
        ),
        detail="It says that trial {best_number} is the best, with {best_value}; that is trial "
        "{true_number}, with {true_best}.",
        remedy="Stop the service, then UPDATE jobs SET best_number = {true_number}, "
        "best_value = {true_best} WHERE id = {id};",
    ),
    Rule(
        invariant="I2",
        wrong=_count("created") > _trials_allowed,
        detail="It has {true_created} trials, and budget.trials = {allowed}.",
        remedy="PATCH the job with budget.trials = {true_created}.",
    ),
    Rule(
        invariant="I2",
        # That it cannot be read is why a job may have failed; then nobody reads it any more.
        wrong=_trials_allowed.is_(None) & jobs.c.reason.is_distinct_from(UNREADABLE),
        detail="Its budget.trials is {says_allowed}, which is no number of trials.",
    ),
    Rule(
        invariant="I2",
        wrong=(_at_once > jobs.c.parallel) & ~_just_patched,
        detail="{at_once} of its trials run at once, and parallel = {parallel}.",
        remedy="tuner pause {job}, then tuner resume {job}.",
    ),
    Rule(
        invariant="I6",
        wrong=sa.or_(
            jobs.c.last_event != _events, sa.func.coalesce(_of_events.c.last, 0) != _events
        ),
        detail="Its {events} events end with number {newest_event}, and its row says "
        "{last_event}: some are missing.",
    ),
    Rule(
        invariant="I8",
        wrong=_final == jobs.c.finished_at.is_(None),
        detail="It is {state}, and its end is {finished_at}.",
    ),
    Rule(
        invariant="I8",
        wrong=_final & (_unfinished > 0),
        detail="It is {state}, and {unfinished} of its trials are not final.",
    ),
    Rule(
        invariant="I8",
        wrong=_final & (sa.func.coalesce(_of_attempts.c.under_way, 0) > 0),
        detail="It is {state}, and {under_way} of its attempts are running.",
    ),
    Rule(
        invariant="I12",
        wrong=(jobs.c.state == "failed") & jobs.c.reason.is_(None),
        detail="It failed, and no reason is given.",
        remedy="Its events and its trials tell more: tuner show {job}.",
    ),
)

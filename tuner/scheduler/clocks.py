"""What time does to jobs and attempts: limits, deadlines, and clocks that are set.

Two clocks for each attempt are kept apart. Whether its process lives is the executor's to tell,
which asks the kernel. Whether its training moves is told here, by the place it last said it is at.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from tuner.scheduler.endings import check_deadline, kill
from tuner.scheduler.quarantine import end_quarantines
from tuner.scheduler.state import Attempt
from tuner.scheduler.turn import Turn
from tuner.states import Reason


def watch_clocks(turn: Turn) -> None:
    """End what has outrun a limit, and the quarantines that are over."""
    end_quarantines(turn)
    for job in tuple(turn.state.jobs.values()):
        check_deadline(turn, job)
    for number in tuple(turn.state.attempts):
        _watch_attempt(turn, turn.state.attempts[number])


def _watch_attempt(turn: Turn, attempt: Attempt) -> None:
    """Kill an attempt that outran a limit, or did not end when told to."""
    now = turn.now
    if attempt.stop_by is not None:
        if now >= attempt.stop_by:
            kill(turn, attempt)
        return
    job = turn.state.jobs[attempt.job]
    limit, silence = job.trial_seconds, (now - attempt.last_progress).total_seconds()
    before = attempt.trial.seconds if attempt.trial else 0.0
    if limit is not None and before + (now - attempt.started).total_seconds() > limit:
        detail = f"It took longer than limits.trial_minutes = {limit / 60:g}."
        _kill(turn, attempt, Reason.TIMEOUT, detail)
    elif silence > job.no_progress_seconds:
        minutes = job.no_progress_seconds / 60
        detail = f"It made no progress for limits.no_progress_minutes = {minutes:g}."
        _kill(turn, attempt, Reason.NO_PROGRESS, detail)


def _kill(turn: Turn, attempt: Attempt, reason: Reason, detail: str) -> None:
    """End the attempt at once, for what `detail` says."""
    # A line of its own: it differs from trial to trial, and is no part of what went wrong.
    detail += f"\nThe last heard of it: {_whereabouts(attempt)}."
    attempt = replace(attempt, stopping=reason, stop_by=turn.now, detail=detail)
    turn.put_attempt(attempt)
    kill(turn, attempt)


def _whereabouts(attempt: Attempt) -> str:
    if attempt.place is not None:
        return str(attempt.place)
    reported = attempt.trial.reported if attempt.trial else 0
    return f"step {reported}" if reported else "nothing"


def move_times(turn: Turn, by: timedelta) -> None:
    """Have everything that began, or is due, keep its distance from now, the clock being set."""
    turn.state = replace(
        turn.state,
        attempts={
            attempt.id: replace(
                attempt,
                started=attempt.started + by,
                last_progress=attempt.last_progress + by,
                last_record=attempt.last_record + by,
                stop_by=_moved(attempt.stop_by, by),
                slot_since=_moved(attempt.slot_since, by),
            )
            for attempt in turn.state.attempts.values()
        },
        inventory=turn.state.inventory.changed(
            lambda d: replace(d, quarantined_until=_moved(d.quarantined_until, by))
        ),
    )
    for job in tuple(turn.state.jobs.values()):
        ready = tuple(replace(trial, due=_moved(trial.due, by)) for trial in job.ready)
        probe = replace(job.probe, due=_moved(job.probe.due, by))
        since = _moved(job.running_since, by)
        moved = replace(job, ready=ready, probe=probe, running_since=since)
        if moved.running_since is None:
            turn.put(moved)
        else:
            turn.save(moved)


def _moved(time: datetime | None, by: timedelta) -> datetime | None:
    return None if time is None else time + by

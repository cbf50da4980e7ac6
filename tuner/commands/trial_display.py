"""A trial as text for people: what was tried, and how each attempt went."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from tuner.commands.display import facts_table, plain_table, show_last_traceback, state
from tuner.commands.words import duration, params, whereabouts, why, worth
from tuner.views import AttemptView, TrialView


def show_trial(console: Console, trial: TrialView, attempts: Sequence[AttemptView]) -> None:
    """The trial, a line for each attempt, and the traceback of the last that has one."""
    facts = {
        "trial": str(trial.number),
        "state": state(trial.state) + (f" ({escape(str(trial.reason))})" if trial.reason else ""),
        "value": worth(trial),
        "steps": whereabouts(trial),
        "with": escape(params(trial.params)),
    }
    if trial.user_attrs:
        facts["noted"] = escape(params(trial.user_attrs))
    if trial.detail:
        facts["detail"] = escape(trial.detail)
    console.print(facts_table(facts))
    table = plain_table(
        ">attempt", ">log", "state", "device", ">seconds", ">halved", ">exit", "reason"
    )
    for attempt in attempts:
        seconds = (attempt.finished_at or attempt.started_at) - attempt.started_at
        table.add_row(
            str(attempt.ordinal),
            str(attempt.id),
            state(attempt.state),
            escape(attempt.device),
            duration(seconds.total_seconds() if attempt.finished_at else None),
            str(attempt.halvings),
            "-" if attempt.exit_code is None else str(attempt.exit_code),
            escape(why(attempt)),
        )
    console.print(table)
    show_last_traceback(console, attempts)

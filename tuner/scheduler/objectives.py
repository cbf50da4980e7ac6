"""What an objective asks and notes while its trial runs, and what follows from it."""

from dataclasses import replace

from tuner.protocol import Suggested
from tuner.scheduler.commands import RecordParams, RecordRemarks, Send
from tuner.scheduler.events import Drawn, Remarked
from tuner.scheduler.state import Attempt, QueuedTrial
from tuner.scheduler.turn import Turn


def hear_objective(turn: Turn, event: Drawn | Remarked) -> None:
    """Pass on a parameter's value, or keep a note; what is for an attempt that is over is lost."""
    attempt = turn.state.attempts.get(event.attempt)
    if attempt is None or attempt.trial is None:
        return
    if isinstance(event, Drawn):
        _draw(turn, attempt, attempt.trial, event)
    else:
        turn.emit(
            RecordRemarks(
                trial=attempt.trial.id,
                user_attrs=event.user_attrs,
                system_attrs=event.system_attrs,
            )
        )


def _draw(turn: Turn, attempt: Attempt, trial: QueuedTrial, event: Drawn) -> None:
    answer = Suggested(attempt=attempt.id, name=event.name, value=event.value, error=event.error)
    turn.emit(Send(message=answer))
    if event.error is None:
        turn.emit(
            RecordParams(
                job=event.job,
                trial=trial.id,
                params=event.params,
                distributions=event.distributions,
                system_attrs=event.system_attrs,
                study_attrs=event.study_attrs,
            )
        )
        trial = replace(trial, params=event.params)
    turn.put_attempt(replace(attempt, trial=trial, last_progress=turn.now))

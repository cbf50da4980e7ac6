"""What a probe's ranges change: the plan of its job, in the commit of the probe's end."""

from dataclasses import replace

from tuner.protocol import Ended
from tuner.scheduler.commands import AmendPlan
from tuner.scheduler.events import Ranged
from tuner.scheduler.turn import Turn


def heed_ranges(turn: Turn, event: Ended | Ranged) -> Ended:
    """The end of an attempt; first a job whose probe found ranges goes by the amended plan."""
    if isinstance(event, Ended):
        return event
    attempt = turn.state.attempts.get(event.ended.attempt)
    job = None if attempt is None else turn.job(attempt.job)
    if job is not None:
        points = tuple(
            replace(point, params=event.default) if point.source == "default" else point
            for point in job.points
        )
        turn.put(replace(job, points=points))
        turn.emit(AmendPlan(job=job.id, plan=event.plan))
    return event.ended

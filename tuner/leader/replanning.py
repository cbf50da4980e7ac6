"""From the ranges that a probe found to the plan and the study that its job goes on with."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tuner.errors import Fault
from tuner.leader.recovery import LiveJob, new_study
from tuner.planning.plan import Plan
from tuner.planning.ranging import amended, unknown_ranges
from tuner.protocol import Ended
from tuner.scheduler.events import Ranged
from tuner.scheduler.state import State
from tuner.search.study import JobStudy
from tuner.states import AttemptState


def ranged(event: Ended, state: State, jobs: Mapping[int, LiveJob]) -> Ended | Ranged:
    """The good end of a probe that was to find ranges, with its job's plan as they amend it.

    Every other end as it is.
    """
    attempt = state.attempts.get(event.attempt)
    job = None if attempt is None else state.jobs.get(attempt.job)
    ranges = event.facts.get("ranges")
    if job is None or job.probed or event.state is not AttemptState.SUCCEEDED:
        return event
    if not job.unknown or not isinstance(ranges, Mapping):
        return event
    asked = {name: ranges[name] for name in job.unknown if name in ranges}
    wanted = [point.params for point in job.points if point.source != "default"]
    plan = amended(jobs[job.id].plan, asked, wanted)
    return Ranged(ended=event, plan=plan.to_json(), default=plan.default_config)


def planned_anew(live: LiveJob, plan: Mapping[str, Any]) -> tuple[LiveJob, JobStudy]:
    """The job with this plan, and the study that goes by it; no trial exists yet."""
    live = replace(live, plan=Plan.from_json(plan))
    return live, new_study(live)


def faults_of_point(live: LiveJob, params: Mapping[str, Any]) -> list[Fault]:
    """What keeps an enqueued point out of the job's space as it is now.

    It was checked by the plan as the API saw it, which a probe may have amended since.
    """
    return live.plan.space.faults_of(params, "/params") if unknown_ranges(live.spec) else []

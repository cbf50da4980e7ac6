"""What people ask of a job: written down as a request, which the scheduler applies."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import sqlalchemy as sa

from tuner.errors import (
    Fault,
    JobNotFound,
    SchedulerBusy,
    SpecInvalid,
    StoreUnavailable,
    TransitionRefused,
)
from tuner.outcomes import error_of
from tuner.parts import parse_part
from tuner.planning.constraining import violations
from tuner.planning.plan import Plan
from tuner.service.part import Part
from tuner.service.patching import request_of_patch
from tuner.service.presentation import job_view, trial_view
from tuner.spec import JobPatch
from tuner.states import JOB_NEXT, LIVE_JOBS, JobState
from tuner.store import requests, trials
from tuner.store.rows import Row
from tuner.store.unreadable import readable
from tuner.views import JobView, TrialView

#: A verb is answered whether or not the scheduler was so quick.
VERB_PATIENCE_SECONDS: Final = 0.5
#: What has an answer of its own, a trial's number or a refusal, is worth a longer wait.
ANSWER_PATIENCE_SECONDS: Final = 5.0
_FIRST_WAIT_SECONDS: Final = 0.005
_LONGEST_WAIT_SECONDS: Final = 0.1


class Changes(Part):
    """Asks the scheduler for changes, and waits a moment for it."""

    def pause(self, job: str) -> JobView:
        """Let the job's trials checkpoint and stop; the job as it is then.

        Raises:
            JobNotFound, TransitionRefused, StoreUnavailable.
        """
        return self._steer(job, "pause")

    def resume(self, job: str) -> JobView:
        """Let a paused job go on; the job as it is then.

        Raises:
            JobNotFound, TransitionRefused, StoreUnavailable.
        """
        return self._steer(job, "resume")

    def cancel(self, job: str) -> JobView:
        """End the job without further results; the job as it is then.

        Raises:
            JobNotFound, TransitionRefused, StoreUnavailable.
        """
        return self._steer(job, "cancel")

    def patch(self, job: str, document: object) -> JobView:
        """Change the settings of a live job, or give a finished one more budget.

        Raises:
            SpecInvalid: the document is no patch, or its budget is used up already.
            StaleRevision: the job was changed since the caller read it.
            JobNotFound, TransitionRefused, SchedulerBusy, StoreUnavailable.
        """
        patch: JobPatch = parse_part(JobPatch, document)
        with self._db.writing() as connection:
            row = self._detail(connection, job)
            stale = _ended_since_best(connection, row, patch)
            payload = request_of_patch(row, patch, stale=stale, now=self._clock())
            if payload.keys() == {"revision"}:  # it asks for nothing
                return job_view(row, self._clock())
            request = self._record(connection, row, "patch", payload)
        self._await(job, "patch", request, ANSWER_PATIENCE_SECONDS)
        return self._job_now(job)

    def delete(self, job: str) -> None:
        """Remove a finished job and its files.

        Raises:
            JobNotFound, TransitionRefused, SchedulerBusy, StoreUnavailable.
        """
        with self._db.writing() as connection:
            row = self._facts(connection, job)
            if JobState(row.state) in LIVE_JOBS:
                raise TransitionRefused(f"Job {job}", row.state, "deleted before it has ended")
            waiting = requests.waiting_requests(connection, row.id)
            same = [former.id for former in waiting if former.kind == "delete"]
            request = same[0] if same else self._record(connection, row, "delete", {})
        self._await(job, "delete", request, ANSWER_PATIENCE_SECONDS)

    def enqueue(self, job: str, params: Mapping[str, Any]) -> TrialView:
        """Have these parameters tried next; where they are silent, the defaults hold.

        Raises:
            SpecInvalid: they are no configuration of the job's space, or its budget is used up.
            JobNotFound, TransitionRefused, SchedulerBusy, StoreUnavailable.
        """
        with self._db.writing() as connection:
            row = self._detail(connection, job)
            state = JobState(row.state)
            if state not in LIVE_JOBS - {JobState.CANCELLING}:
                wanted = "given more trials; raise its budget first"
                raise TransitionRefused(f"Job {job}", state, wanted)
            waiting = requests.waiting_requests(connection, row.id)
            _check_point(row, params, waiting)
            request = self._record(connection, row, "enqueue", {"params": dict(params)})
        outcome = self._await(job, "enqueue", request, ANSWER_PATIENCE_SECONDS)
        with self._db.reading() as connection:
            return trial_view(self._trial(connection, job, outcome["number"]), self._clock())

    def _steer(self, job: str, verb: str) -> JobView:
        with self._db.writing() as connection:
            row = self._facts(connection, job)
            state = JobState(row.state)
            for former in requests.waiting_requests(connection, row.id):
                with suppress(TransitionRefused):  # the scheduler will refuse it, too
                    state = _after(row.ulid, state, former.kind)
            if _after(row.ulid, state, verb) is state:
                request = None  # it is so already, or will be once the queue is worked off
            else:
                request = self._record(connection, row, verb, {})
        if request is not None:
            with suppress(SchedulerBusy):
                self._await(job, verb, request, VERB_PATIENCE_SECONDS)
        return self._job_now(job)

    def _record(
        self, connection: sa.Connection, row: Row, kind: str, payload: Mapping[str, Any]
    ) -> int:
        return requests.insert_request(connection, row.id, kind, payload, self._clock())

    def _await(self, job: str, kind: str, request: int, patience: float) -> Mapping[str, Any]:
        """The outcome of a request, at most `patience` seconds from now.

        Raises:
            TunerError: what the scheduler refused the request with.
            SchedulerBusy: it has not applied the request in time; the request stands.
            JobNotFound: the job was deleted meanwhile.
        """
        pause = _FIRST_WAIT_SECONDS
        while patience > 0:
            pause = min(pause, patience)
            self._wait(pause)
            patience -= pause
            pause = min(2 * pause, _LONGEST_WAIT_SECONDS)
            # The request is recorded; that the database is away for a moment undoes nothing.
            with suppress(StoreUnavailable), self._db.reading() as connection:
                row = requests.request_state(connection, request)
                if row is None and kind == "delete":  # it went with its job
                    return {"ok": True}
                if row is None:
                    raise JobNotFound(job)
                if row.applied_at is not None:
                    return _accepted(row.outcome)
        raise SchedulerBusy(job, kind)

    def _job_now(self, job: str) -> JobView:
        with self._db.reading() as connection:
            return job_view(self._detail(connection, job), self._clock())


def _accepted(outcome: Mapping[str, Any]) -> Mapping[str, Any]:
    if (error := error_of(outcome)) is not None:
        raise error
    return outcome


def _after(job: str, state: JobState, verb: str) -> JobState:
    """The state that `verb` leads to from `state`, which may be the same.

    Raises:
        TransitionRefused: it leads nowhere from there.
    """
    match verb:
        case "pause":
            target = JobState.PAUSED
        case "resume":
            target = JobState.QUEUED if state is JobState.QUEUED else JobState.RUNNING
        case "cancel":
            at_work = state in (JobState.RUNNING, JobState.PAUSED, JobState.CANCELLING)
            target = JobState.CANCELLING if at_work else JobState.CANCELLED
        case _:
            return state
    if target is state or target in JOB_NEXT[state]:
        return target
    raise TransitionRefused(f"Job {job}", state, target)


def _ended_since_best(connection: sa.Connection, row: Row, patch: JobPatch) -> int:
    """How many trials ended since the best one, counted as far as the patience asked for."""
    patience = (patch.budget or {}).get("patience", row.budget.get("patience"))
    if row.best_number is None or not isinstance(patience, int) or not 0 < patience < 2**31:
        return 0
    return trials.ended_after(connection, row.ulid, row.best_number, limit=patience)


def _check_point(row: Row, params: Mapping[str, Any], waiting: Sequence[Row]) -> None:
    with readable(row.ulid):
        plan = Plan.from_json(row.plan)
    # An objective that suggests its own parameters takes of these what it asks for.
    faults = plan.space.faults_of(params, "/params") if plan.space.parameters else []
    config = plan.space.complete(params)
    faults = faults or violations(plan.constraints, config, "/params")
    if faults:
        raise SpecInvalid(faults)
    if not plan.feasible(config):
        detail = "These parameters make a model beyond the job's limits; choose a smaller one."
        raise SpecInvalid([Fault(pointer="/params", code="infeasible", detail=detail)])
    total = row.budget["trials"]
    if row.created + sum(former.kind == "enqueue" for former in waiting) >= total:
        detail = (
            f"All {total} trials of the budget are created; "
            "PATCH the job with a larger budget.trials first."
        )
        raise SpecInvalid([Fault(pointer="/budget/trials", code="budget-used", detail=detail)])

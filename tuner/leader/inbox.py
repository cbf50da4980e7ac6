"""What people put into the database for the scheduler: new jobs, and requests about jobs."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tuner.db import Database
from tuner.errors import StaleRevision, TransitionRefused
from tuner.leader.recovery import LiveJob, rebuild_study, take_up
from tuner.outcomes import refusal
from tuner.scheduler.events import Cancel, Enqueue, Patch, Pause, Resume, Verb
from tuner.scheduler.state import State
from tuner.search.study import JobStudy
from tuner.spec import Budget
from tuner.states import EXTENDABLE, LIVE_JOBS, JobState
from tuner.store import ledger, ledger_jobs, replay

#: A request for the state a final job is in already.
_ALREADY: Mapping[str, JobState] = {"cancel": JobState.CANCELLED}
_WANTED: Mapping[str, str] = {
    "pause": "paused",
    "resume": "running",
    "cancel": "cancelled",
    "enqueue": "given more trials; raise its budget first",
    "patch": "changed but by a larger budget",
}


class Inbox:
    """Reads what is new. A request is handed out once; its answer comes with a later commit."""

    def __init__(
        self, database: Database, remove_files: Callable[[str, Iterable[int]], "Future[bool]"]
    ) -> None:
        """`remove_files` begins to remove those of a job, and of its attempts; whether it could."""
        self._database = database
        self._remove_files = remove_files
        self._handed_out: set[int] = set()
        #: Per job that is to be deleted, whether its files are gone.
        self._being_removed: dict[str, Future[bool]] = {}

    def new_jobs(self, state: State) -> list[tuple[LiveJob, JobStudy]]:
        """Queued jobs the scheduler does not know, oldest first."""
        found = []
        with self._database.reading() as connection:
            for job in replay.queued_jobs(connection):
                if job not in state.jobs and (row := replay.job_row(connection, job)) is not None:
                    live = take_up(connection, row, state.inventory)
                    found.append((live, rebuild_study(connection, live)))
        return found

    def requests(self, is_live: Callable[[int], bool], now: datetime) -> Iterator[Verb]:
        """Requests about live jobs, oldest first; those about final ones are dealt with here.

        `is_live` is asked before each: the request before it may have ended the job.
        """
        with self._database.reading() as connection:
            rows = replay.waiting_requests(connection)
        self._handed_out &= {row["id"] for row in rows}
        for row in rows:
            if row["id"] in self._handed_out:
                continue
            if is_live(row["job_id"]) and row["kind"] != "delete":
                self._handed_out.add(row["id"])
                yield _verb(row)
            else:
                self._deal_with_final_job(row, now)

    def _deal_with_final_job(self, row: sa.RowMapping, now: datetime) -> None:
        """Extend or delete a final job, or say why its state does not allow what was asked."""
        with self._database.writing() as connection:
            job = replay.job_row(connection, row["job_id"])
            if job is None:
                return  # deleted meanwhile, and the request with it
            if row["kind"] != "delete" and job["ulid"] in self._being_removed:
                return  # about to be gone, and the request with it
            state = JobState(job["state"])
            if row["kind"] == "delete" and state not in LIVE_JOBS:
                self._delete(connection, job)
            elif row["kind"] == "patch" and _extends(job, state, row["payload"]):
                ledger_jobs.reopen_job(connection, job["id"], now)
                return  # the job is queued again, and the request still there for it
            elif state is JobState.QUEUED or (state in LIVE_JOBS and row["kind"] != "delete"):
                return  # not taken up yet, or its end is not recorded yet
            else:
                outcome = _outcome_for_final(job, state, row)
                ledger.answer(connection, row["id"], outcome, now)

    def _delete(self, connection: sa.Connection, job: sa.RowMapping) -> None:
        """Delete a job once its files are gone: whatever crashes meanwhile, none is left over."""
        removal = self._being_removed.pop(job["ulid"], None)
        if removal is not None and removal.done() and removal.result():
            ledger_jobs.delete_job(connection, job["id"])
        elif removal is None or removal.done():
            attempts = replay.attempts_of_job(connection, job["id"])
            self._being_removed[job["ulid"]] = self._remove_files(job["ulid"], attempts)
        else:
            self._being_removed[job["ulid"]] = removal


def _extends(job: sa.RowMapping, state: JobState, payload: Mapping[str, Any]) -> bool:
    """Whether a patch of a final job lets it go on."""
    if state not in EXTENDABLE or payload.get("revision") != job["revision"]:
        return False
    before = Budget.model_validate(job["budget"])
    after = Budget.model_validate({**job["budget"], **(payload.get("budget") or {})})
    return after != before and after.trials > job["created"]


def _outcome_for_final(
    job: sa.RowMapping, state: JobState, row: sa.RowMapping
) -> Mapping[str, Any]:
    kind = row["kind"]
    if _ALREADY.get(kind) is state:
        return {"ok": True}
    if kind == "patch" and row["payload"].get("revision") != job["revision"]:
        given = row["payload"]["revision"]
        return refusal(StaleRevision(job["ulid"], given, job["revision"]))
    wanted = "deleted before it has ended" if kind == "delete" else _WANTED[kind]
    return refusal(TransitionRefused(f"Job {job['ulid']}", str(state), wanted))


def _verb(row: sa.RowMapping) -> Verb:
    job, request, payload = row["job_id"], row["id"], row["payload"]
    match row["kind"]:
        case "pause":
            return Pause(job=job, request=request)
        case "resume":
            return Resume(job=job, request=request)
        case "cancel":
            return Cancel(job=job, request=request)
        case "enqueue":
            return Enqueue(job=job, request=request, params=payload["params"])
        case "patch":
            return Patch(
                job=job,
                request=request,
                revision=payload["revision"],
                budget=payload.get("budget"),
                parallel=None if payload.get("parallel") == "auto" else payload.get("parallel"),
                sets_parallel=payload.get("parallel") is not None,
                priority=payload.get("priority"),
                labels=payload.get("labels"),
            )
        case kind:
            raise ValueError(f"Request {request} is of an unknown kind, {kind!r}.")

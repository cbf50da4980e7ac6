"""What people put into the database for the scheduler: new jobs, and requests about jobs."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tuner.db import Database
from tuner.errors import Fault, SpecInvalid, StaleRevision, TransitionRefused
from tuner.leader.recovery import LiveJob, give_up, take_up
from tuner.leader.replanning import faults_of_point
from tuner.outcomes import refusal
from tuner.scheduler.events import Cancel, Enqueue, Patch, Pause, Resume, Verb
from tuner.scheduler.state import State
from tuner.search.study import JobStudy
from tuner.spec import Budget
from tuner.states import EXTENDABLE, LIVE_JOBS, JobState
from tuner.store import ledger, ledger_jobs, replay
from tuner.store.unreadable import JobUnreadable

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

    def new_jobs(self, state: State, now: datetime) -> list[tuple[LiveJob, JobStudy]]:
        """Queued jobs the scheduler does not know, oldest first; what cannot be read fails."""
        found = []
        unreadable = {}
        with self._database.reading() as connection:
            for job in replay.queued_jobs(connection):
                if job in state.jobs:
                    continue
                try:
                    found.append(take_up(connection, job, state.inventory))
                except JobUnreadable as error:
                    unreadable[job] = error.why
        give_up(self._database, unreadable, now)
        return found

    def requests(self, live: Callable[[int], LiveJob | None], now: datetime) -> Iterator[Verb]:
        """Requests about live jobs, oldest first; those about final ones are dealt with here.

        `live` is asked for the job before each: the request before it may have ended it.
        """
        with self._database.reading() as connection:
            rows = replay.waiting_requests(connection)
        self._handed_out &= {row["id"] for row in rows}
        for row in rows:
            if row["id"] in self._handed_out:
                continue
            job = live(row["job_id"])
            if row["kind"] not in (*_WANTED, "delete"):
                self._refuse_unknown(row, now)
            elif (
                job is not None
                and row["kind"] == "enqueue"
                and (faults := faults_of_point(job, row["payload"]["params"]))
            ):
                self._refuse(row, faults, now)
            elif job is not None and row["kind"] != "delete":
                self._handed_out.add(row["id"])
                yield _verb(row)
            else:
                self._deal_with_final_job(row, now)

    def _refuse_unknown(self, row: sa.RowMapping, now: datetime) -> None:
        """Answer what only a newer api asks for."""
        detail = (
            f"The scheduler knows no request of kind {row['kind']!r}: it is older than the api "
            "that took it. Start the same version of both."
        )
        self._refuse(row, [Fault(pointer="", code="unknown-request", detail=detail)], now)

    def _refuse(self, row: sa.RowMapping, faults: list[Fault], now: datetime) -> None:
        with self._database.writing() as connection:
            ledger.answer(connection, row["id"], refusal(SpecInvalid(faults)), now)

    def _deal_with_final_job(self, row: sa.RowMapping, now: datetime) -> None:
        """Extend or delete a final job, or say why its state does not allow what was asked."""
        with self._database.writing() as connection:
            job = replay.head_of_job(connection, row["job_id"])
            if job is None:
                return  # deleted meanwhile, and the request with it
            if row["kind"] != "delete" and job["ulid"] in self._being_removed:
                return  # about to be gone, and the request with it
            state = JobState(job["state"])
            if row["kind"] == "delete" and state not in LIVE_JOBS:
                self._delete(connection, job)
            elif row["kind"] == "patch" and _extends(connection, job, row["payload"]):
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


def _extends(connection: sa.Connection, job: sa.RowMapping, payload: Mapping[str, Any]) -> bool:
    """Whether a patch of a final job lets it go on."""
    if job["state"] not in EXTENDABLE or payload.get("revision") != job["revision"]:
        return False
    try:
        stored = replay.budget_of(connection, job["id"])
        before = Budget.model_validate(stored)
        after = Budget.model_validate({**stored, **(payload.get("budget") or {})})
    except ValueError:
        return False  # it failed since it cannot be read, and would again
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
        case _:  # patch; what is of no known kind was refused
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

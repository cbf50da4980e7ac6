"""From a document to a job in the queue."""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from ulid import ULID

from tuner.disk import in_words
from tuner.errors import (
    DiskLimitReached,
    Fault,
    IdempotencyKeyReused,
    SpecInvalid,
    StoreUnavailable,
)
from tuner.foreign.permission import allowed_modules, code_order
from tuner.planning.foreign import resolve_command, resolve_objective
from tuner.planning.imports import check_imports, imported
from tuner.planning.plan import Plan
from tuner.planning.resolve import check_names, resolve
from tuner.service.part import Part
from tuner.service.pinning import pinned
from tuner.service.planning import planned_aside
from tuner.service.presentation import job_view
from tuner.spec import CommandSpec, JobSpec, ObjectiveSpec, TrainingSpec, parse_spec
from tuner.states import JobState
from tuner.store import hosts, jobs
from tuner.views import JobView, Resolved


class Submission(Part):
    """Takes jobs in."""

    def submit(
        self, document: object, *, idempotency_key: str | None = None
    ) -> tuple[JobView, bool]:
        """The job that `document` describes, and whether this call made it.

        The same key and document give the same job however often and by however many callers at
        once they are submitted.

        Raises:
            SpecInvalid: the document is no spec that could be carried out.
            IdempotencyKeyReused: the key came with another document before.
            DiskLimitReached: there is no room for another job's files.
            StoreUnavailable: the database does not answer.
        """
        spec = parse_spec(document)
        digest = _digest(spec)
        if idempotency_key is not None:
            _check_key(idempotency_key)
            if (former := self._submitted(idempotency_key, digest)) is not None:
                return former, False
        self._refuse_where_disk_is_full()
        spec = pinned(spec, self._settings)
        plan = self._plan(spec)
        try:
            return self._inserted(self._row(spec, plan, digest, idempotency_key)), True
        except sa.exc.IntegrityError as error:
            # Another caller was faster with the same key.
            former = self._submitted(idempotency_key, digest) if idempotency_key else None
            if former is None:
                raise StoreUnavailable(str(error.orig)) from error
            return former, False

    def validate(self, document: object) -> Resolved:
        """What a submission of `document` would become; no job is stored.

        Raises:
            SpecInvalid: it is no spec that could be carried out.
        """
        spec = pinned(parse_spec(document), self._settings)
        plan = self._plan(spec).to_json()
        return Resolved.model_validate({**plan, "spec": spec.to_json()})

    def _refuse_where_disk_is_full(self) -> None:
        with self._db.reading() as connection:
            use = hosts.disk_use(connection)
        if use is not None and use.full:
            raise DiskLimitReached(in_words(use.artifacts), in_words(use.artifacts_limit))

    def _plan(self, spec: JobSpec) -> Plan:
        settings = self._settings
        allowed = allowed_modules(spec, settings)
        match spec:
            case TrainingSpec():
                if not imported(spec):
                    return resolve(spec, settings.roots, allowed)
                check_names(spec, allowed)
                check_imports(spec, allowed)
                return planned_aside(
                    spec,
                    settings.roots,
                    allowed,
                    code=code_order(spec.code, settings),
                    folder=settings.cache,
                )
            case ObjectiveSpec():
                return resolve_objective(spec, allowed)
            case CommandSpec():
                return resolve_command(spec, allowed=settings.allow_commands)
        raise TypeError(f"No job is planned from a {type(spec).__name__}.")

    def _submitted(self, key: str, digest: str) -> JobView | None:
        with self._db.reading() as connection:
            former = jobs.job_with_key(connection, key)
            if former is None:
                return None
            if former.spec_digest != digest:
                raise IdempotencyKeyReused(key, former.ulid)
            return job_view(self._detail(connection, former.ulid), self._clock())

    def _inserted(self, row: dict[str, Any]) -> JobView:
        with self._db.writing() as connection:
            jobs.insert_job(connection, row)
            return job_view(self._detail(connection, row["ulid"]), self._clock())

    def _row(self, spec: JobSpec, plan: Plan, digest: str, key: str | None) -> dict[str, Any]:
        now = self._clock()
        return {
            "ulid": f"job_{ULID.from_datetime(now)}",
            "name": spec.name or spec.title,
            "state": JobState.QUEUED,
            "spec": spec.to_json(),
            "plan": plan.to_json(),
            "budget": spec.budget.model_dump(mode="json"),
            "parallel": spec.parallel_limit,
            "priority": spec.priority,
            "labels": spec.labels,
            "idempotency_key": key,
            "spec_digest": digest,
            "created_at": now,
        }


def _digest(spec: JobSpec) -> str:
    """The same for two documents that say the same."""
    text = json.dumps(spec.to_json(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _check_key(key: str) -> None:
    if not (1 <= len(key) <= 200 and key.isascii() and key.isprintable()):
        detail = "An Idempotency-Key has 1 to 200 printable ASCII characters."
        raise SpecInvalid([Fault(pointer="Idempotency-Key", code="idempotency-key", detail=detail)])

"""What goes on: jobs, their events, hosts and the figures over all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from tuner.artifacts.places import job_folder
from tuner.artifacts.store import ArtifactsUnavailable, bytes_of
from tuner.catalog_views import CatalogList
from tuner.disk import DiskUse
from tuner.errors import JobNotFound
from tuner.host_views import DeviceView, HostList, HostView, WorkerView
from tuner.schema import check
from tuner.service.catalogue_views import entries
from tuner.service.pages import check_page_size, place_of, token_of
from tuner.service.part import Part, named
from tuner.service.presentation import event_view, job_detail_facts, job_view
from tuner.slots import EPSILON, gpus_of
from tuner.states import JobState, TrialState
from tuner.store import attempts, events, hosts, jobs, requests
from tuner.store.rows import Row
from tuner.views import EventView, JobDetail, JobPage

#: A host not heard of for so long is taken for dead.
HOST_SILENCE: Final = timedelta(seconds=30)
_EVENT_LIMIT: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Figures over all jobs; every state is a key, also where its count is 0."""

    jobs: Mapping[JobState, int]
    trials: Mapping[TrialState, int]
    running_attempts: int
    #: Requests that no scheduler has applied yet.
    waiting_requests: int
    #: Seconds that ended attempts have held their slots, of jobs not deleted.
    busy_seconds: float
    #: Hosts whose scheduler has been heard of lately.
    hosts_alive: int
    #: What files take by the newest measurement; None before the first one.
    disk: DiskUse | None


class Overview(Part):
    """Answers what is known of jobs and hosts."""

    def jobs(
        self,
        *,
        state: JobState | None = None,
        label: str | None = None,
        page_size: int = 50,
        page_token: str | None = None,
    ) -> JobPage:
        """A page of jobs, newest first; `label` is ``name`` or ``name=value``.

        Raises:
            SpecInvalid: the size or the token is none.
            StoreUnavailable: the database does not answer.
        """
        size = check_page_size(page_size)
        before = None if page_token is None else place_of(page_token, i=int)["i"]
        wanted = None if label is None else _label(label)
        with self._db.reading() as connection:
            rows = jobs.page_of_jobs(
                connection, state=state, label=wanted, before=before, limit=size + 1
            )
        now, more = self._clock(), len(rows) > size
        return JobPage(
            jobs=[job_view(row, now) for row in rows[:size]],
            next_page_token=token_of(i=rows[size - 1].id) if more else None,
        )

    def job(self, job: str) -> JobDetail:
        """One job with everything known of it.

        Raises:
            JobNotFound, StoreUnavailable.
        """
        return JobDetail.model_validate(self.job_facts(job)[0])

    def job_facts(self, job: str) -> tuple[dict[str, Any], int]:
        """The fields of `job`, and the `job_version` they have, read at once.

        Raises:
            JobNotFound, StoreUnavailable.
        """
        with self._db.asking() as asker:
            row = self._detail(asker, job)
        facts = job_detail_facts(row, self._clock())
        return facts | {"disk_bytes": self._disk_bytes(job)}, row.version

    def _disk_bytes(self, job: str) -> int | None:
        try:
            return bytes_of(self._artifacts.files(job_folder(job)))
        except (ArtifactsUnavailable, OSError):
            return None  # the job is known all the same

    def job_version(self, job: str) -> int:
        """A number that grows with every change of the job's row.

        Raises:
            JobNotFound, StoreUnavailable.
        """
        with self._db.asking() as asker:
            version = jobs.job_version(asker, named(job))
        if version is None:
            raise JobNotFound(job)
        return version

    def events(self, job: str, after: int = 0, limit: int = 500) -> list[EventView]:
        """Up to `limit` events of the job whose `seq` is above `after`, in order.

        Raises:
            JobNotFound, StoreUnavailable.
        """
        with self._db.reading() as connection:
            rows = events.events_of(connection, named(job), after, min(limit, _EVENT_LIMIT))
            if not rows:
                self._facts(connection, job)  # says so where there is no such job
        return [event_view(row) for row in rows]

    def newest_event(self) -> int:
        """The id of the newest event of any job; 0 where there is none."""
        with self._db.reading() as connection:
            return events.newest_event(connection)

    def events_after(self, event: int, limit: int = 500) -> list[tuple[int, str, EventView]]:
        """Up to `limit` events of all jobs after the one with this id: id, job and event."""
        with self._db.reading() as connection:
            rows = events.events_after(connection, event, min(limit, _EVENT_LIMIT))
        return [(row.id, row.ulid, event_view(row)) for row in rows]

    def catalogue(self, kind: str) -> CatalogList:
        """All that a spec may name of a kind: models, datasets, losses, …

        Raises:
            ValueError: there is no such kind.
        """
        return entries(kind, self._settings.roots)

    def hosts(self) -> HostList:
        """All hosts that ever led, the one heard of last first, and what runs on them."""
        with self._db.reading() as connection:
            rows, running = hosts.all_hosts(connection), attempts.running_attempts(connection)
        now = self._clock()
        return HostList(
            hosts=[
                _host_view(
                    row,
                    [attempt for attempt in running if attempt.host == row.name],
                    alive=now - row.beat_at <= HOST_SILENCE,
                )
                for row in rows
            ]
        )

    def ready(self) -> None:
        """Make sure that the database answers and has the schema this version needs.

        Raises:
            StoreUnavailable, SchemaMismatch.
        """
        check(self._db)

    def statistics(self) -> Statistics:
        """Figures over all jobs, at a cost that grows with the jobs and not with their trials."""
        with self._db.reading() as connection:
            rows = jobs.totals(connection)
            running = len(attempts.running_attempts(connection))
            waiting = requests.count_waiting(connection)
            beats = [row.beat_at for row in hosts.all_hosts(connection)]
            disk = hosts.disk_use(connection)
        counts = {JobState(row.state): row.jobs for row in rows}
        now = self._clock()
        return Statistics(
            jobs={state: counts.get(state, 0) for state in JobState},
            trials={s: sum(int(getattr(row, s)) for row in rows) for s in TrialState},
            running_attempts=running,
            waiting_requests=waiting,
            busy_seconds=sum(float(row.busy_seconds) for row in rows),
            hosts_alive=sum(now - beat <= HOST_SILENCE for beat in beats),
            disk=disk,
        )


def _label(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    return name, value if equals else None


def _host_view(row: Row, running: Sequence[Row], *, alive: bool) -> HostView:
    return HostView(
        name=row.name,
        beat_at=row.beat_at,
        alive=alive,
        devices=[_device_view(device, running) for device in row.inventory["devices"]],
        workers=[
            WorkerView(
                attempt=attempt.id,
                job=attempt.ulid,
                trial=attempt.number,
                device=attempt.device,
                started_at=attempt.started_at,
            )
            for attempt in running
        ],
        disk=row.inventory.get("disk"),
    )


def _device_view(device: Mapping[str, Any], running: Sequence[Row]) -> DeviceView:
    """A device with what the attempts under way hold of it; each holds cores of the host."""
    if device["kind"] == "cpu":
        held = sum(attempt.cpus for attempt in running)
    else:
        held = sum(a.gpu_share for a in running if device["name"] in gpus_of(a.device))
    capacity = device["capacity"]
    free = max(0.0, capacity - held)
    return DeviceView(
        name=device["name"],
        kind=device["kind"],
        model=device["model"],
        capacity=capacity,
        free=0.0 if free < EPSILON else free,
        memory_mb=device["memory_mb"],
        utilisation=min(1.0, held / capacity),
        quarantined_until=device.get("quarantined_until"),
    )

"""The client itself: jobs, from submission to the end."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self
from uuid import uuid4

import httpx2

from tuner.catalog_views import CatalogList
from tuner.client.code import CodeKeeper
from tuner.client.data import DataKeeper
from tuner.client.handles import Job
from tuner.client.results import ResultsReader, job_path
from tuner.client.specs import Spec, body
from tuner.client.transport import RETRIES, Transport
from tuner.errors import JobNotFound, SchedulerBusy, TunerError
from tuner.host_views import HostList
from tuner.states import LIVE_JOBS, JobState
from tuner.views import Accepted, JobDetail, JobPage, JobView, Resolved, TrialView

CatalogKind = Literal[
    "models",
    "datasets",
    "losses",
    "optimizers",
    "augmentations",
    "preparations",
    "samplers",
    "pruners",
]

DEFAULT_PORT: Final = 8700
FIRST_POLL_S: Final = 0.2
LONGEST_POLL_S: Final = 2.0
#: A spec that names code waits until that is imported, and perhaps for others first.
SUBMISSION_S: Final = 180.0


class WaitTimedOut(TunerError):
    """The job was not finished in the time given."""

    def __init__(self, job: str, state: str, timeout_s: float) -> None:
        super().__init__(f"Job {job} is still {state} after {timeout_s:g} s.")
        self.job = job
        self.state = state


class JobAmbiguous(TunerError):
    """Several jobs have this name, or ids that begin so."""

    def __init__(self, reference: str, jobs: list[str]) -> None:
        super().__init__(f"{reference!r} may mean {', '.join(jobs)}.")
        self.hint = "Name the job by its id."
        self.jobs = jobs


class Client(ResultsReader, DataKeeper, CodeKeeper):
    """Speaks to one server. Use it as a context manager, or `close` it.

    `url` and `token` default to TUNER_URL (else port TUNER_PORT or 8700 of this machine) and
    TUNER_API_TOKEN. Every method raises `ApiError` where the server refuses and
    `ServerUnreachable` where none answers. A job is named by its id or by its `Job`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        timeout_s: float = 30.0,
        retries: int = RETRIES,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        http = Transport(
            url or default_url(),
            token=token or os.environ.get("TUNER_API_TOKEN"),
            timeout_s=timeout_s,
            retries=retries,
            sleep=sleep,
            transport=transport,
        )
        super().__init__(http)
        self._clock = clock

    @property
    def url(self) -> str:
        """The server's address."""
        return self._http.url

    # -- submitting

    def submit(
        self,
        spec: Spec,
        *,
        code: str | Path | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Submit a job: a mapping, YAML text, or the path of a YAML or JSON file.

        `code` is a folder with code of the job's own: it is uploaded first, see `add_code`.
        Safe to repeat with the same `idempotency_key`: one key makes one job. Without one a
        fresh key is used, so that a lost answer is asked for again, not a second job made.
        """
        headers = {"Idempotency-Key": idempotency_key or uuid4().hex}
        named = body(self._with_code(spec, code), headers)
        response = self._http.send("POST", "/v1/jobs", timeout=SUBMISSION_S, **named)
        return Job(self, self._http.parse(JobView, response))

    def validate(self, spec: Spec, *, code: str | Path | None = None) -> Resolved:
        """What a submission would become; of all this, only `code` goes to the server to stay."""
        params = {"validate_only": True}
        named = body(self._with_code(spec, code), {})
        response = self._http.send("POST", "/v1/jobs", params=params, timeout=SUBMISSION_S, **named)
        return self._http.parse(Resolved, response)

    # -- jobs

    def jobs(
        self, *, state: JobState | str | None = None, label: str | None = None, page_size: int = 100
    ) -> Iterator[Job]:
        """All jobs, newest first; pages are fetched as they are needed."""
        token: str | None = None
        while True:
            page = self._http.get(
                "/v1/jobs", JobPage, state=state, label=label, page_size=page_size, page_token=token
            )
            yield from (Job(self, view) for view in page.jobs)
            token = page.next_page_token
            if token is None:
                return

    def job(self, job: str | Job) -> Job:
        """A job as it is now."""
        return Job(self, self.detail(job))

    def detail(self, job: str | Job) -> JobDetail:
        """A job as it is now, with its spec and its space."""
        return self._http.get(job_path(job), JobDetail)

    def find(self, reference: str) -> Job:
        """The job of this id, of the only id that begins so, of this name, or the ``latest``.

        Raises:
            JobNotFound: there is none.
            JobAmbiguous: there are several.
        """
        if reference == "latest":
            found = next(self.jobs(page_size=1), None)
            if found is None:
                raise JobNotFound(reference)
            return found
        if len(reference) == len("job_") + 26:
            return self.job(reference)
        return _only(reference, [job for job in self.jobs() if _is_meant(job.view, reference)])

    def patch(self, job: str | Job, *, revision: int, **changes: object) -> Job:
        """Change `budget`, `parallel`, `priority` or `labels` of the job seen at `revision`.

        Raises:
            SchedulerBusy: the change is recorded, but not yet applied.
        """
        response = self._http.send(
            "PATCH", job_path(job), repeatable=False, json={"revision": revision} | changes
        )
        self._raise_if_waiting(response)
        return Job(self, self._http.parse(JobView, response))

    def pause(self, job: str | Job) -> Job:
        """Start no more trials; those under way end."""
        return self._verb(job, "pause")

    def resume(self, job: str | Job) -> Job:
        """Go on with a paused job."""
        return self._verb(job, "resume")

    def cancel(self, job: str | Job) -> Job:
        """Stop a job for good; its results so far stay."""
        return self._verb(job, "cancel")

    def delete(self, job: str | Job) -> None:
        """Delete a finished job and its files.

        Raises:
            SchedulerBusy: the wish is recorded, but not yet carried out.
        """
        self._raise_if_waiting(self._http.send("DELETE", job_path(job), repeatable=False))

    def wait(self, job: str | Job, timeout_s: float | None = None) -> Job:
        """Wait until the job is finished, well or not.

        Raises:
            WaitTimedOut: it is not, after `timeout_s`.
        """
        deadline = None if timeout_s is None else self._clock() + timeout_s
        pause_s = FIRST_POLL_S
        while (current := self.job(job)).view.state in LIVE_JOBS:
            left_s = LONGEST_POLL_S if deadline is None else deadline - self._clock()
            if left_s <= 0:
                raise WaitTimedOut(current.id, current.view.state, timeout_s or 0.0)
            self._http.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, LONGEST_POLL_S)
        return current

    def enqueue(self, job: str | Job, params: Mapping[str, Any]) -> TrialView:
        """Try these parameters next; what is left out takes its default.

        Raises:
            SchedulerBusy: the wish is recorded, but has no number yet.
        """
        response = self._http.send(
            "POST", job_path(job, "trials"), repeatable=False, json={"params": dict(params)}
        )
        self._raise_if_waiting(response)
        return self._http.parse(TrialView, response)

    # -- the service

    def catalogue(self, kind: CatalogKind) -> CatalogList:
        """What a spec may name."""
        return self._http.get(f"/v1/{kind}", CatalogList)

    def hosts(self) -> HostList:
        """The devices, and what is under way on them."""
        return self._http.get("/v1/workers", HostList)

    def ready(self) -> None:
        """Return if the server can serve; raise `ApiError` or `ServerUnreachable` if not."""
        self._http.send("GET", "/readyz", repeatable=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _verb(self, job: str | Job, verb: str) -> Job:
        response = self._http.send("POST", job_path(job, verb))
        return Job(self, self._http.parse(JobView, response))

    def _raise_if_waiting(self, response: httpx2.Response) -> None:
        if response.status_code == httpx2.codes.ACCEPTED:
            accepted = self._http.parse(Accepted, response)
            raise SchedulerBusy(accepted.job, accepted.request)


def default_url() -> str:
    """Where a server is looked for unless an address is named."""
    port = os.environ.get("TUNER_PORT") or DEFAULT_PORT
    return os.environ.get("TUNER_URL") or f"http://127.0.0.1:{port}"


def _is_meant(view: JobView, reference: str) -> bool:
    begins = reference.upper().removeprefix("JOB_")
    return view.name == reference or view.id.upper().removeprefix("JOB_").startswith(begins)


def _only(reference: str, found: list[Job]) -> Job:
    if not found:
        raise JobNotFound(reference)
    if len(found) > 1:
        raise JobAmbiguous(reference, [f"{job.id} ({job.view.name})" for job in found[:5]])
    return found[0]

"""A job in the hand: what is known of it, and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tuner.client.notebook import job_html
from tuner.states import JobState
from tuner.views import BestList, EventView, JobView, TrialView

if TYPE_CHECKING:
    from tuner.client.jobs import Client
    from tuner.client.results import ModelFormat


class Job:
    """A job of a server. `view` is what was last heard of it; `refresh` asks again.

    Every verb returns the job itself, with a fresh view.
    """

    def __init__(self, client: Client, view: JobView) -> None:
        self._client = client
        self.view = view

    @property
    def id(self) -> str:
        """``job_`` and a ULID."""
        return self.view.id

    @property
    def state(self) -> JobState:
        """As last heard."""
        return self.view.state

    def refresh(self) -> Self:
        """Ask the server how the job is."""
        return self._seen(self._client.job(self.id))

    def wait(self, timeout_s: float | None = None) -> Self:
        """Wait until the job is finished; see `Client.wait`."""
        return self._seen(self._client.wait(self.id, timeout_s))

    def pause(self) -> Self:
        """Start no more trials."""
        return self._seen(self._client.pause(self.id))

    def resume(self) -> Self:
        """Go on."""
        return self._seen(self._client.resume(self.id))

    def cancel(self) -> Self:
        """Stop for good."""
        return self._seen(self._client.cancel(self.id))

    def patch(self, **changes: object) -> Self:
        """Change settings, as last seen; see `Client.patch`."""
        return self._seen(self._client.patch(self.id, revision=self.view.revision, **changes))

    def delete(self) -> None:
        """Delete the job and its files."""
        self._client.delete(self.id)

    def best(self, k: int = 1) -> BestList:
        """The k best completed trials."""
        return self._client.best(self.id, k)

    def download_model(self, path: str | Path, file_format: ModelFormat | None = None) -> Path:
        """The best trial's network in a file; see `Client.download_model`."""
        return self._client.download_model(self.id, path, file_format)

    def card(self) -> str:
        """The best trial's network, described in Markdown."""
        return self._client.card(self.id)

    def trials(self, **filters: Any) -> Iterator[TrialView]:
        """The job's trials; filters as in `Client.trials`."""
        return self._client.trials(self.id, **filters)

    def enqueue(self, params: Mapping[str, Any]) -> TrialView:
        """Try these parameters next."""
        return self._client.enqueue(self.id, params)

    def events(self, after: int = 0) -> Iterator[EventView]:
        """What happens to the job, until it is finished."""
        return self._client.events(self.id, after)

    def _seen(self, job: Job) -> Self:
        self.view = job.view
        return self

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        best = "" if self.view.best is None else f" best={self.view.best.value:.6g}"
        return f"<Job {self.id} {self.view.name!r} {self.view.state}{best}>"

    def _repr_html_(self) -> str:
        return job_html(self.view)

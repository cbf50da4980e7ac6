"""What came out of a job: the reading half of the client."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from tuner.client.downloads import save
from tuner.client.events import job_events
from tuner.client.handles import Job
from tuner.client.transport import Transport
from tuner.states import TrialState
from tuner.views import AttemptList, BestList, Curves, EventView, Importances, TrialPage, TrialView

ModelFormat = Literal["safetensors", "torch_export", "onnx"]
ExportFormat = Literal["csv", "parquet", "optuna"]

#: Between two pieces of a file, or of a log that is not followed.
SILENCE_S: Final = 60.0
#: A followed log may be silent for as long as its trial is.
FOLLOWED_SILENCE_S: Final = 24 * 3600.0
#: The server converts a network before it sends the first piece.
CONVERSION_SILENCE_S: Final = 660.0
#: Formats by the ending of a file's name; all others are safetensors.
_SUFFIXES: Final[Mapping[str, ModelFormat]] = {".pt2": "torch_export", ".onnx": "onnx"}


class ResultsReader:
    """Reads trials, curves, logs, events and files of jobs."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def best(self, job: str | Job, k: int = 1) -> BestList:
        """The k best completed trials."""
        return self._http.get(job_path(job, "best"), BestList, k=k)

    def download_model(
        self, job: str | Job, path: str | Path, file_format: ModelFormat | None = None
    ) -> Path:
        """The best trial's network: by the path's ending a program for PyTorch (``.pt2``) or ONNX,
        else its weights (safetensors, with the configuration that rebuilds them)."""
        wanted = file_format or _SUFFIXES.get(Path(path).suffix, "safetensors")
        silence_s = SILENCE_S if wanted == "safetensors" else CONVERSION_SILENCE_S
        address, params = job_path(job, "best", "model"), {"format": wanted}
        with self._http.stream(address, timeout_s=silence_s, params=params) as response:
            return save(response.iter_bytes(), Path(path))

    def card(self, job: str | Job) -> str:
        """The best trial's network, described in Markdown."""
        return self._http.send("GET", job_path(job, "best", "card")).text

    def importances(self, job: str | Job) -> Importances:
        """How much each parameter matters."""
        return self._http.get(job_path(job, "importances"), Importances)

    def export(
        self, job: str | Job, path: str | Path, file_format: ExportFormat | None = None
    ) -> Path:
        """All trials in a file; the format is the path's suffix, else an Optuna journal."""
        suffix = Path(path).suffix.removeprefix(".")
        wanted = file_format or (suffix if suffix in {"csv", "parquet"} else "optuna")
        address = job_path(job, "export")
        with self._http.stream(address, timeout_s=SILENCE_S, params={"format": wanted}) as response:
            return save(response.iter_bytes(), Path(path))

    def trials(
        self,
        job: str | Job,
        *,
        state: TrialState | str | None = None,
        sort: Literal["number", "-number", "value", "-value"] = "number",
        page_size: int = 100,
    ) -> Iterator[TrialView]:
        """The trials of a job; sorted by value, only those that have one."""
        token: str | None = None
        while True:
            page = self._http.get(
                job_path(job, "trials"),
                TrialPage,
                state=state,
                sort=sort,
                page_size=page_size,
                page_token=token,
            )
            yield from page.trials
            token = page.next_page_token
            if token is None:
                return

    def trial(self, job: str | Job, number: int) -> TrialView:
        """One trial."""
        return self._http.get(job_path(job, "trials", number), TrialView)

    def attempts(self, job: str | Job, number: int) -> AttemptList:
        """All attempts of a trial."""
        return self._http.get(job_path(job, "trials", number, "attempts"), AttemptList)

    def probes(self, job: str | Job) -> AttemptList:
        """All probes of a job."""
        return self._http.get(job_path(job, "probes"), AttemptList)

    def curves(self, job: str | Job, number: int) -> Curves:
        """The learning curves of a trial."""
        return self._http.get(job_path(job, "trials", number, "metrics"), Curves)

    def log(
        self, job: str | Job, number: int, *, follow: bool = False, attempt: int | None = None
    ) -> Iterator[str]:
        """The log of a trial's last attempt in pieces; with `follow`, until the attempt ends."""
        params = {"follow": "true"} if follow else {}
        params |= {"attempt": str(attempt)} if attempt is not None else {}
        silence_s = FOLLOWED_SILENCE_S if follow else SILENCE_S
        path = job_path(job, "trials", number, "logs")
        with self._http.stream(path, timeout_s=silence_s, params=params) as response:
            yield from response.iter_text()

    def events(self, job: str | Job, after: int = 0) -> Iterator[EventView]:
        """What happens to a job, from event `after` on, until it is finished.

        A broken connection is taken up again where it ended: no event is missed or repeated.
        """
        return job_events(self._http, job_path(job), after)


def job_path(job: str | Job, *rest: object) -> str:
    """The address of a job, or of something below it."""
    return "/".join(["/v1/jobs", quote(str(job), safe=""), *map(str, rest)])

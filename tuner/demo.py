"""``tuner demo``: the whole service, from an empty folder to the best hyperparameters."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from tuner.client import Client, Job
from tuner.client.jobs import default_url
from tuner.commands.display import facts_table
from tuner.commands.exits import ExitCode
from tuner.commands.watching import follow
from tuner.commands.words import chosen, duration, number
from tuner.errors import TunerError
from tuner.serving.exposure import token_of
from tuner.serving.listening import PortTaken, is_tuner, listen, port_of, url_of
from tuner.settings import Settings
from tuner.states import JobState, TrialState
from tuner.views import JobDetail

LABEL: Final = "demo=true"
#: The states in which a demo that was broken off is found again.
UNFINISHED: Final = (JobState.RUNNING, JobState.PAUSED, JobState.QUEUED)
STOP_S: Final = 40.0


class DemoServerEnded(TunerError):
    """The server that the demo started is not there."""

    hint = "Its last words stand above; `tuner doctor` looks for causes."

    def __init__(self, code: int) -> None:
        super().__init__(f"The server ended with exit code {code} before it was ready.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the demo found; `default_value` is trial 0's, which uses the defaults."""

    job: str
    state: str
    reason: str | None
    metric: str
    value: float | None
    trial: int | None
    params: dict[str, Any]
    default_value: float | None
    trials: int
    pruned: int
    seconds: float
    dashboard_url: str
    docs_url: str


def demo(settings: Settings, *, stay: bool, as_json: bool) -> ExitCode:
    """Submit the demo's job, or go on with the unfinished one, and show what comes out."""
    console = Console(stderr=as_json, highlight=False)
    with _server(settings, console) as (client, is_own):
        try:
            job = _job(client, console)
            if as_json:
                job.wait()
            else:
                follow(client, job)
            detail, goes_on = client.detail(job), stay or not is_own
            _show(console, _result(client, job), detail, as_json=as_json, goes_on=goes_on)
            if stay and is_own:
                console.print("Serving on. Stop: Ctrl-C.")
                signal.pause()
        except KeyboardInterrupt:
            console.print(_farewell(is_own))
            return ExitCode.INTERRUPTED
    return ExitCode.OK if job.state is JobState.SUCCEEDED else ExitCode.FAILED


@contextmanager
def _server(settings: Settings, console: Console) -> Iterator[tuple[Client, bool]]:
    """A client of the server that runs already, or of one that runs as long as the demo."""
    token = token_of(settings)
    url = default_url()
    if is_tuner(url):
        console.print(f"A Tuner serves at {url} already; the demo uses it.")
        with Client(url, token=token) as client:
            yield client, False
        return
    with _listener(settings) as listener, _own_server(settings, listener):
        client = Client(url_of(settings.host, port_of(listener)), token=token)
        console.print(f"Serving at {client.url}, from {settings.root}.")
        with client:
            yield client, True


def _listener(settings: Settings) -> socket.socket:
    """The usual port, so that addresses stay true; another where it is taken."""
    try:
        return listen(settings.host, settings.port)
    except PortTaken:
        return listen(settings.host, 0)


@contextmanager
def _own_server(settings: Settings, listener: socket.socket) -> Iterator[None]:
    """``tuner serve`` as a child that is ready; it has ended, with all it started, afterwards."""
    descriptor = listener.fileno()
    arguments = ("serve", "--json", f"--fd={descriptor}", f"--parent={os.getpid()}")
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "tuner.cli", *arguments],
        env=os.environ | {"TUNER_HOME": str(settings.root)},
        pass_fds=(descriptor,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # Ctrl-C is ours to pass on.
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            # One line comes when it is ready; none comes when it never will be.
            if not process.stdout.readline():
                raise DemoServerEnded(process.wait())
            yield
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        # The second SIGTERM forces: the server kills its processes before it ends.
        process.terminate()
        process.wait(STOP_S)


def _job(client: Client, console: Console) -> Job:
    """The unfinished demo, or a new one."""
    for state in UNFINISHED:
        for job in client.jobs(state=state, label=LABEL, page_size=1):
            console.print(f"An earlier demo was not finished; going on with {job.id}.")
            return job.resume() if state is JobState.PAUSED else job
    job = client.submit(Path(__file__).with_suffix(".yaml"))
    console.print(f"Submitted {job.id} over HTTP: tune {job.view.model} on {job.view.data}.")
    return job


def _result(client: Client, job: Job) -> Result:
    view = job.view
    first = next(client.trials(job, sort="number", page_size=1), None)
    return Result(
        job=view.id,
        state=view.state,
        reason=view.detail or view.reason,
        metric=view.metric,
        value=view.best.value if view.best else None,
        trial=view.best.number if view.best else None,
        params=dict(view.best.params) if view.best else {},
        default_value=first.value if first and first.state is TrialState.COMPLETED else None,
        trials=view.progress.finished,
        pruned=view.counts.pruned,
        seconds=view.progress.elapsed_seconds,
        dashboard_url=client.url + (view.dashboard_url or "/dashboard"),
        docs_url=f"{client.url}/docs",
    )


def _show(
    console: Console, result: Result, job: JobDetail, *, as_json: bool, goes_on: bool
) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=2))
        return
    if result.value is None:
        console.print(f"[red]No trial was completed: {escape(str(result.reason))}[/]")
        return
    facts = {
        "best": f"[bold green]{result.metric} {result.value:.4f}[/] (trial {result.trial})",
        **{f"  {escape(k)}": escape(number(v)) for k, v in chosen(result.params, job).items()},
        "default": _comparison(result),
        "took": f"{duration(result.seconds)} for {result.trials} trials, {result.pruned} pruned",
        "dashboard": result.dashboard_url,
        "API docs": result.docs_url,
    }
    console.print(Panel(facts_table(facts), title="The best hyperparameters", expand=False))
    if not goes_on:
        console.print("The demo's server stops now; `tuner serve` brings all of this back. Then:")
    console.print("The trained network: tuner best latest --model digits.safetensors")
    console.print("A job of your own:   tuner submit SPEC.yaml --watch")


def _comparison(result: Result) -> str:
    if result.default_value is None or result.value is None:
        return "trial 0, the default configuration, was not completed"
    text = f"{result.metric} {result.default_value:.4f} (trial 0)"
    if result.trial == 0:
        return f"{text}; no other trial was better"
    if not result.default_value:
        return text
    change = result.value / result.default_value - 1
    return f"{text}; the best is {abs(change):.1%} {'lower' if change < 0 else 'higher'}"


def _farewell(is_own: bool) -> str:
    if is_own:
        return "\nStopping. Nothing is lost: `tuner demo` goes on where this ended."
    return "\nThe job goes on at the server. Come back: tuner watch latest"

"""Following a job: a live board at a terminal, a line per event elsewhere."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from typing import Final

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuner.client import ApiError, Client, Job, ServerUnreachable
from tuner.commands.display import OTHER_COLUMNS, state, terminal, trials_table
from tuner.commands.exits import ExitCode
from tuner.commands.words import chosen, duration, number, params, sparkline, steps_of
from tuner.states import LIVE_JOBS, Direction, JobState
from tuner.views import EventView, JobDetail, JobView, TrialView

POLL_S: Final = 0.5
#: How long the server may be away, restarting perhaps, before the watcher gives up.
ABSENCE_S: Final = 60.0
RECENT: Final = 8
HISTORY: Final = 60
#: What a line says of an event's data; --json says everything.
UNTOLD: Final = ("trial_queued", "trial_judged")
TOLD: Final = ("value", "step", "attempt", "reason", "detail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What is shown of a job: itself, and its newest trials, newest first."""

    job: JobDetail
    trials: Sequence[TrialView]
    #: What is wrong with the connection; empty if nothing is.
    trouble: str = ""


def watch(client: Client, job: Job, *, as_json: bool = False) -> ExitCode:
    """Follow the job to its end, or until Ctrl-C, which leaves it going on."""
    try:
        follow(client, job, as_json=as_json)
    except KeyboardInterrupt:
        typer.echo(f"\nThe job goes on. Come back: tuner watch {job.id}", err=True)
        typer.echo(f"Stop it: tuner cancel {job.id}", err=True)
        return ExitCode.INTERRUPTED
    if not as_json:
        terminal().print(outcome(job.view))
    return ExitCode.OK if job.state is JobState.SUCCEEDED else ExitCode.FAILED


def follow(client: Client, job: Job, *, as_json: bool = False) -> None:
    """Show how the job goes until it is finished; `job` is fresh afterwards."""
    console = Console()
    if as_json:
        _write_events(client, job, lambda event: event.model_dump_json())
    elif console.is_terminal:
        _show_live(client, job, console)
    else:
        typer.echo(f"{job.id} {job.view.name}: {job.state}")
        detail = client.detail(job)
        _write_events(client, job, lambda event: event_line(event, detail))
    job.refresh()


def _write_events(client: Client, job: Job, line: Callable[[EventView], str]) -> None:
    for event in client.events(job):
        if text := line(event):
            typer.echo(text)


def _show_live(client: Client, job: Job, console: Console) -> None:
    board = read_board(client, job)
    last_heard = time.monotonic()
    with Live(render(board), console=console, auto_refresh=False) as live:
        while board.job.state in LIVE_JOBS:
            time.sleep(POLL_S)
            try:
                board = read_board(client, job)
                last_heard = time.monotonic()
            except (ServerUnreachable, ApiError) as error:
                refused = isinstance(error, ApiError) and error.status < 500
                if refused or time.monotonic() - last_heard > ABSENCE_S:
                    raise
                board = replace(board, trouble=f"{error} Trying again…")
            live.update(render(board, width=console.width), refresh=True)


def read_board(client: Client, job: Job) -> Board:
    """The job as it is now."""
    trials = client.trials(job, sort="-number", page_size=HISTORY)
    return Board(job=client.detail(job), trials=tuple(islice(trials, HISTORY)))


def render(board: Board, width: int = 100) -> RenderableType:
    """The board as it is drawn."""
    job = board.job
    title = f"[bold]{escape(job.name)}[/]  [dim]{job.id}[/]  {state(job.state)}"
    parts: list[RenderableType] = [Text.from_markup(title), _progress(job), _counts(job), Text()]
    if job.best is not None:
        parts += [*_best(board), Text()]
    recent, room = board.trials[:RECENT], width - OTHER_COLUMNS
    parts.append(trials_table(recent, job, width=room, epochs=steps_of(job)))
    if job.state is JobState.RUNNING and not job.progress.finished + job.counts.running:
        parts.append(Text("A worker looks at the data and the model first…", style="dim"))
    if board.trouble:
        parts.append(Text(board.trouble, style="red"))
    return Group(*parts)


def _progress(job: JobView) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    percent = 100 * job.progress.fraction
    grid.add_row(
        ProgressBar(total=100, completed=percent, width=40),
        f"{job.progress.finished}/{job.budget.trials} trials",
        f"elapsed {duration(job.progress.elapsed_seconds)}",
        f"ETA {duration(job.progress.eta_seconds)}",
    )
    return grid


def _counts(job: JobView) -> RenderableType:
    counts = job.counts.model_dump(exclude={"created"})
    always = {"running", "completed", "pruned"}
    shown = [f"{name} {n}" for name, n in counts.items() if n or name in always]
    return Text(" · ".join(shown), style="dim")


def _best(board: Board) -> list[RenderableType]:
    job, best = board.job, board.job.best
    assert best is not None
    head = Text.from_markup(
        f"best {escape(job.metric)} [bold green]{number(best.value)}[/] (trial {best.number})  "
    )
    head.append(sparkline(best_so_far(board.trials, job.direction)), style="green")
    return [head, Text(params(chosen(best.params, job)), style="dim")]


def best_so_far(trials: Sequence[TrialView], direction: Direction) -> list[float]:
    """The best value after each completed trial, in the order of their numbers."""
    values = [
        trial.value
        for trial in sorted(trials, key=lambda trial: trial.number)
        if trial.state == "completed" and trial.value is not None
    ]
    return list(accumulate(values, max if direction is Direction.MAXIMIZE else min))


def event_line(event: EventView, job: JobDetail) -> str:
    """An event of the job as one line for a log: ``12:00:01 trial 3 completed value=0.98 step=5``.

    Empty for what fills a log and tells a person nothing.
    """
    if event.kind in UNTOLD:
        return ""
    what = event.kind.replace("_", " ")
    if event.trial is not None:
        what = f"trial {event.trial} {what.removeprefix('trial ')}"
    data = event.data
    facts = {name: data[name] for name in TOLD if data.get(name) is not None}
    # Other events repeat the parameters; here they are the news.
    news = data.get("params") if event.kind == "best_improved" else None
    inside = f" ({params(chosen(news, job))})" if isinstance(news, dict) else ""
    return f"{event.at.astimezone():%H:%M:%S} {what} {params(facts)}".rstrip() + inside


def outcome(job: JobView) -> str:
    """How it ended, in one line of markup."""
    text = state(job.state)
    if job.best is not None:
        text += f": best {escape(job.metric)} {job.best.value:.6g} by trial {job.best.number}"
    if job.state is not JobState.SUCCEEDED and (job.detail or job.reason):
        text += f": {escape(str(job.detail or job.reason))}"
    return text

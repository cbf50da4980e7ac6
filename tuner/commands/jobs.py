"""Commands about jobs: thin calls of the client."""

import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.commands.options import AsJson, JobName, Token, Url, connect
from tuner.commands.specs import spec_of

if TYPE_CHECKING:
    from tuner.views import AttemptList, TrialView

Assignments = Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", show_default=False)]


class ModelFormat(StrEnum):
    """How the best network is written."""

    SAFETENSORS = "safetensors"
    TORCH_EXPORT = "torch_export"
    ONNX = "onnx"


def submit(
    spec: Annotated[Path, typer.Argument(metavar="SPEC.yaml", show_default=False)],
    overrides: Assignments = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow the job.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Show what it would become; submit nothing.")
    ] = False,
    code: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Code of the job's own; import paths find it."),
    ] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key: one key makes one job.")] = None,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Submit a job: SPEC.yaml and overrides, budget.trials=5.

    The file may be JSON, or - for stdin; the values of overrides are YAML.
    """
    document = spec_of(spec, overrides or [])
    with connect(url, token) as client:
        if check:
            _show_resolved(client.validate(document, code=code), as_json)
            return
        job = client.submit(document, code=code, idempotency_key=key)
        if not watch:
            _say(job.view, as_json, f"{job.id} {job.view.name}: {job.state}")
            return
        from tuner.commands.watching import watch as follow

        raise typer.Exit(follow(client, job, as_json=as_json))


def watch(
    job: JobName = "latest", url: Url = None, token: Token = None, as_json: AsJson = False
) -> None:
    """Follow a job, by default the latest, to its end.

    Ctrl-C leaves it going on.
    """
    from tuner.commands.watching import watch as follow

    with connect(url, token) as client:
        raise typer.Exit(follow(client, client.find(job), as_json=as_json))


def list_jobs(
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    label: Annotated[str | None, typer.Option(help="Only jobs with this label, k=v or k.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 20,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the jobs, newest first."""
    from itertools import islice

    from tuner.views import JobPage

    with connect(url, token) as client:
        found = client.jobs(state=state, label=label, page_size=min(limit, 100))
        page = JobPage(jobs=[job.view for job in islice(found, limit)])
    if as_json:
        typer.echo(page.model_dump_json(indent=2))
    elif not page.jobs:
        typer.echo("No jobs. Submit one: tuner submit SPEC.yaml", err=True)
    else:
        from tuner.commands.display import jobs_table

        _console().print(jobs_table(page.jobs))


def show(
    job: JobName,
    trial: Annotated[
        int | None, typer.Argument(min=0, metavar="[TRIAL]", show_default=False)
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show a job: state, progress, best, budget, notes; or a trial of it with all its attempts."""
    with connect(url, token) as client:
        found = client.find(job)
        if trial is not None:
            _show_trial(client.trial(found, trial), client.attempts(found, trial), as_json)
            return
        detail = client.detail(found)
        if as_json:
            typer.echo(detail.model_dump_json(indent=2))
            return
        from tuner.commands.display import show_job

        counts = detail.counts
        under_way = client.trials(found, state="running") if counts.running else ()
        failed = client.trials(found, state="failed", sort="-number") if counts.failed else ()
        probes = [] if counts.created > counts.cancelled else client.probes(found).attempts
        show_job(_console(), detail, client.url, under_way, failed, probes)


def _show_trial(trial: "TrialView", attempts: "AttemptList", as_json: bool) -> None:
    if as_json:
        typer.echo(attempts.model_dump_json(indent=2))
        return
    from tuner.commands.trial_display import show_trial

    show_trial(_console(), trial, attempts.attempts)


def best(
    job: JobName,
    k: Annotated[int, typer.Option("-k", min=1, help="How many.")] = 1,
    model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the best network here.")
    ] = None,
    model_format: Annotated[
        ModelFormat | None,
        typer.Option("--format", help="Default: by FILE's ending, .pt2, .onnx or safetensors."),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Describe the best network here, in Markdown; -: stdout."
        ),
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show the best parameters; --model FILE fetches the network, --card FILE describes it."""
    with connect(url, token) as client:
        found = client.find(job)
        if card is not None and str(card) == "-":
            typer.echo(found.card(), nl=False)
            return
        result, detail = found.best(k), client.detail(found)
        if model is not None:
            found.download_model(model, None if model_format is None else model_format.value)
        if card is not None:
            card.write_text(found.card(), encoding="utf-8")
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
        return
    from tuner.commands.display import show_best

    show_best(_console(), result, detail)
    if model is not None:
        typer.echo(f"model: {model}")
    if card is not None:
        typer.echo(f"card: {card}")


def pause(job: JobName, url: Url = None, token: Token = None, as_json: AsJson = False) -> None:
    """Start no more trials of a job; those under way end."""
    _apply("pause", job, url, token, as_json)


def resume(job: JobName, url: Url = None, token: Token = None, as_json: AsJson = False) -> None:
    """Go on with a paused job."""
    _apply("resume", job, url, token, as_json)


def cancel(job: JobName, url: Url = None, token: Token = None, as_json: AsJson = False) -> None:
    """Stop a job for good; its results stay."""
    _apply("cancel", job, url, token, as_json)


def delete(
    job: JobName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Delete a finished job and its files. Asks first at a terminal."""
    with connect(url, token) as client:
        found = client.find(job)
        if not yes and not as_json and sys.stdin.isatty():
            typer.confirm(f"Delete {found.id} ({found.view.name}) and its files?", abort=True)
        found.delete()
    _say(found.view, as_json, f"{found.id} deleted")


def enqueue(
    job: JobName,
    values: Annotated[list[str], typer.Argument(metavar="KEY=VALUE", show_default=False)],
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Try given parameters next; others take their default."""
    from tuner.documents import parse_overrides

    wanted = flat(parse_overrides(values))
    with connect(url, token) as client:
        trial = client.find(job).enqueue(wanted)
    _say(trial, as_json, f"trial {trial.number} {trial.state}")


def logs(
    job: JobName,
    trial: Annotated[int, typer.Argument(min=0, metavar="TRIAL", show_default=False)],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the attempt ends.")
    ] = False,
    attempt: Annotated[int | None, typer.Option(help="Another than the last attempt.")] = None,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show what a trial has written to stdout and stderr."""
    import json

    with connect(url, token) as client:
        for piece in client.log(client.find(job), trial, follow=follow, attempt=attempt):
            if as_json:
                typer.echo(json.dumps({"trial": trial, "text": piece}))
            else:
                typer.echo(piece, nl=False)


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"model": {"width": 3}}`` as ``{"model.width": 3}``: names of parameters are flat."""
    result: dict[str, Any] = {}
    for name, value in document.items():
        below = isinstance(value, Mapping)
        result |= flat(value, f"{prefix}{name}.") if below else {prefix + name: value}
    return result


def _apply(verb: str, job: str, url: str | None, token: str | None, as_json: bool) -> None:
    with connect(url, token) as client:
        verbs: dict[str, Callable[[str], Any]] = {
            "pause": client.pause,
            "resume": client.resume,
            "cancel": client.cancel,
        }
        view = verbs[verb](client.find(job).id).view
    done = {"pause": "paused", "resume": "running", "cancel": "cancelled"}[verb]
    later = "" if view.state == done else f" ({verb} follows in a moment)"
    _say(view, as_json, f"{view.id} {view.name}: {view.state}{later}")


def _show_resolved(resolved: Any, as_json: bool) -> None:
    if as_json:
        typer.echo(resolved.model_dump_json(indent=2))
        return
    from tuner.commands.display import show_resolved

    show_resolved(_console(), resolved)


def _say(view: Any, as_json: bool, line: str) -> None:
    typer.echo(view.model_dump_json(indent=2) if as_json else line)


def _console() -> Any:
    from tuner.commands.display import terminal

    return terminal()

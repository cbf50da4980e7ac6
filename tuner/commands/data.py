"""Commands about data that people upload."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tuner.commands.options import AsJson, Token, Url, connect

if TYPE_CHECKING:
    from tuner.client.data import Progress

#: Smaller files are there before one could watch them.
WORTH_A_BAR_BYTES: Final = 32 * 1024 * 1024

data = typer.Typer(help="Data sets: upload, list and delete them.", no_args_is_help=True)


@data.command()
def add(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", show_default=False)],
    name: Annotated[
        str | None,
        typer.Option(help="What specs call it; default: the file's name without its suffix."),
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Upload files as a data set, or into one; a folder stands for its files.

    What breaks off goes on where it ended, also when the command is given again.
    """
    with connect(url, token) as client, _bars() as progress:
        added = client.add_data(files, name, progress=progress)
    if as_json:
        typer.echo(added.model_dump_json(indent=2))
        return
    files_word = f"{len(added.files)} file{'s' * (len(added.files) != 1)}"
    typer.echo(f"{added.name}: {files_word}, {added.bytes:,} bytes")


@data.command("list")
def list_data(url: Url = None, token: Token = None, as_json: AsJson = False) -> None:
    """List the uploaded data sets (`tuner models datasets` shows the catalogue's, too)."""
    from tuner.dataset_views import DatasetList

    with connect(url, token) as client:
        found = [entry for entry in client.data() if entry.uploaded is not None]
    if as_json:
        typer.echo(DatasetList(entries=found).model_dump_json(indent=2))
    elif not found:
        typer.echo("No data were uploaded. Upload some: tuner data add FILE", err=True)
    else:
        from tuner.commands.display import datasets_table, terminal

        terminal().print(datasets_table(entry.uploaded for entry in found if entry.uploaded))


@data.command()
def delete(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Delete an uploaded data set that no job under way reads. Asks first at a terminal."""
    import json

    with connect(url, token) as client:
        if not yes and not as_json and sys.stdin.isatty():
            typer.confirm(f"Delete the data set {name} and its files?", abort=True)
        client.delete_data(name)
    typer.echo(json.dumps({"deleted": name}) if as_json else f"{name} deleted")


@contextmanager
def _bars() -> "Iterator[Progress]":
    """Shows on a terminal how far each large file is; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda file, sent, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    tasks: dict[str, Any] = {}
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def show(file: str, sent: int, total: int) -> None:
            if total < WORTH_A_BAR_BYTES:
                return
            if file not in tasks:
                tasks[file] = bars.add_task(file, total=total)
            bars.update(tasks[file], completed=sent)

        yield show

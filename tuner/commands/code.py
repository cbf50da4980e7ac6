"""Commands about code that people upload."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tuner.commands.options import AsJson, Token, Url, connect

code = typer.Typer(help="Code of jobs: upload, list and remove it.", no_args_is_help=True)


@code.command()
def add(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", show_default=False)],
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Upload a folder of code, and show the checksum by which specs name it."""
    with connect(url, token) as client:
        added = client.add_code(folder)
    typer.echo(added.model_dump_json(indent=2) if as_json else added.sha256)


@code.command("list")
def list_code(url: Url = None, token: Token = None, as_json: AsJson = False) -> None:
    """List the code there is, what was used last first."""
    from tuner.foreign.views import CodeList

    with connect(url, token) as client:
        found = client.code()
    if as_json:
        typer.echo(CodeList(code=found).model_dump_json(indent=2))
    elif not found:
        typer.echo("There is no code. Send some: tuner submit --code FOLDER SPEC.yaml", err=True)
    else:
        from tuner.commands.display import code_table, terminal

        terminal().print(code_table(found))


@code.command()
def remove(
    sha256: Annotated[
        str, typer.Argument(metavar="SHA256", show_default=False, help="Or its beginning.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Remove code that no job under way runs. Asks first at a terminal."""
    import json

    with connect(url, token) as client:
        alike = [each.sha256 for each in client.code() if each.sha256.startswith(sha256)]
        name = alike[0] if len(alike) == 1 else sha256
        if not yes and not as_json and sys.stdin.isatty():
            typer.confirm(f"Remove the code {name}?", abort=True)
        client.delete_code(name)
    typer.echo(json.dumps({"removed": name}) if as_json else f"{name} removed")

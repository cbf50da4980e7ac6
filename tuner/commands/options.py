"""Options that many commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tuner.client import Client

Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The server's address; default TUNER_URL."),
]
Token = Annotated[
    str | None,
    typer.Option("--token", metavar="TOKEN", help="The API token; default TUNER_API_TOKEN."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Plain JSON on stdout, nothing else.")]
JobName = Annotated[
    str,
    typer.Argument(
        metavar="JOB", help="An id, its beginning, a name, or `latest`.", show_default=False
    ),
]
Host = Annotated[str | None, typer.Option(help="Address to bind; default TUNER_HOST.")]
Port = Annotated[int | None, typer.Option(help="Port; 0 takes a free one; default TUNER_PORT.")]
Home = Annotated[
    Path | None, typer.Option(help="Where everything is stored; default TUNER_HOME or ~/.tuner.")
]
LogLevel = Annotated[str, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")]
#: Given by the process that starts this one, and by nobody else.
ListeningFd = Annotated[int | None, typer.Option("--fd", hidden=True)]
Parent = Annotated[int | None, typer.Option("--parent", hidden=True)]


def connect(url: str | None, token: str | None) -> "Client":
    """A client of the server that is meant."""
    from tuner.client import Client

    return Client(url, token=token)

"""Commands that are the service, or look after it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tuner.commands.exits import ExitCode
from tuner.commands.options import (
    AsJson,
    Home,
    Host,
    ListeningFd,
    LogLevel,
    Parent,
    Port,
    Token,
    Url,
    connect,
)

if TYPE_CHECKING:
    from tuner.serving.serve import Addresses
    from tuner.settings import Settings

#: What `catalogue` lists.
KINDS: Final = (
    "models", "datasets", "losses", "optimizers", "augmentations", "preparations", "samplers",
    "pruners",
)  # fmt: skip

db = typer.Typer(help="The database: upgrade it, or see what it is.", no_args_is_help=True)


def serve(
    host: Host = None,
    port: Port = None,
    home: Home = None,
    migrate: Annotated[bool, typer.Option(help="Bring the database's schema up to date.")] = True,
    log_level: LogLevel = "warning",
    as_json: AsJson = False,
    fd: ListeningFd = None,
    parent: Parent = None,
) -> None:
    """Serve API, dashboard and scheduler until Ctrl-C."""
    from tuner.serving.serve import serve as supervise

    _live_with(parent, forceful=False)

    def announce(addresses: "Addresses") -> None:
        typer.echo(_addresses_json(addresses) if as_json else start_screen(addresses))

    supervise(
        _settings(host=host, port=port, home=home),
        on_ready=announce,
        say=lambda text: typer.echo(text, err=True),
        migrate=migrate,
        log_level=log_level,
        descriptor=fd,
    )


def api(
    host: Host = None,
    port: Port = None,
    log_level: LogLevel = "info",
    fd: ListeningFd = None,
    parent: Parent = None,
) -> None:
    """Serve the HTTP interface alone (`serve` starts both)."""
    from tuner.serving import log_lines
    from tuner.serving.serve import serve_api

    _live_with(parent, forceful=True)
    log_lines.configure(log_level)
    serve_api(_settings(host=host, port=port), log_level=log_level, descriptor=fd)


def scheduler(log_level: LogLevel = "info", parent: Parent = None) -> None:
    """Run the scheduler alone (`serve` starts both)."""
    from tuner.leader.lead import main
    from tuner.serving import log_lines

    _live_with(parent, forceful=True)
    log_lines.configure(log_level)
    raise typer.Exit(main(_settings()))


def demo(
    home: Home = None,
    stay: Annotated[bool, typer.Option("--stay", help="Keep serving after the result.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tune a small network on real images, in a minute."""
    from tuner.demo import demo as show

    raise typer.Exit(show(_settings(home=home), stay=stay, as_json=as_json))


def doctor(
    check_db: Annotated[
        bool,
        typer.Option("--check-db", help="Assert the invariants on the database and its files."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look for what could keep the service from working."""
    from tuner.serving import doctor as diagnosis
    from tuner.serving.database_findings import checkup, database

    settings = _settings()
    findings = diagnosis.examine(settings, [database] if check_db else None)
    if not as_json:
        from tuner.commands.display import show_checkup, show_findings, terminal

        show_findings(terminal(), findings)
    broken = any(finding.status == "broken" for finding in findings)
    checked = checkup(settings) if check_db and not broken else None
    if as_json:
        typer.echo(diagnosis.to_json(findings, checked))
    elif checked is not None:
        show_checkup(terminal(), checked)
    if broken or (checked is not None and checked.breaches):
        raise typer.Exit(ExitCode.FAILED)


def catalogue(
    kind: Annotated[
        str, typer.Argument(help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}.")
    ] = "models",
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show what a spec may name: models, datasets, losses, …

    Asks the server; without one, shows what is installed here.
    """
    if kind not in KINDS:
        from tuner.errors import nearest

        raise typer.BadParameter(nearest(kind, KINDS), param_hint="KIND")
    entries = _entries(kind, url, token)
    if as_json:
        typer.echo(entries.model_dump_json(indent=2))
        return
    from tuner.commands.display import show_catalogue, terminal

    show_catalogue(terminal(), entries)


@db.command()
def upgrade(home: Home = None, as_json: AsJson = False) -> None:
    """Bring the database to the schema this version needs."""
    _with_database(home, as_json, upgrade_first=True)


@db.command()
def current(home: Home = None, as_json: AsJson = False) -> None:
    """Show the database's schema, and the one this version needs; exit code 1 if they differ."""
    _with_database(home, as_json, upgrade_first=False)


def start_screen(addresses: "Addresses") -> str:
    """What a person reads when the service is ready."""
    return "\n".join(
        (
            "Tuner serves.",
            f"  Start page  {addresses.url}/",
            f"  API         {addresses.url}/v1/jobs",
            f"  API docs    {addresses.docs}",
            f"  Dashboard   {addresses.dashboard}",
            f"  Data        {addresses.home} ({addresses.database})",
            "Submit a job: tuner submit SPEC.yaml --watch. Stop: Ctrl-C.",
        )
    )


def _addresses_json(addresses: "Addresses") -> str:
    import json

    return json.dumps(
        {
            "url": addresses.url,
            "docs_url": addresses.docs,
            "dashboard_url": addresses.dashboard,
            "home": addresses.home,
            "database": addresses.database,
        }
    )


def _settings(**given: Any) -> "Settings":
    """The operator's settings; options of the command line come before the environment."""
    from pydantic import ValidationError

    from tuner.settings import Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        # The value is left out: it may be a secret.
        raise typer.BadParameter(f"TUNER_{name.upper()}: {first['msg']}") from error


def _live_with(parent: int | None, *, forceful: bool) -> None:
    """End when the process that started us ends, however it does."""
    if parent is None:
        return
    import signal

    from tuner.workers.kernel import end_with_parent

    end_with_parent(signal.SIGKILL if forceful else signal.SIGTERM, parent)


def _with_database(home: Path | None, as_json: bool, *, upgrade_first: bool) -> None:
    import json
    from contextlib import closing

    from tuner import schema
    from tuner.db import Database
    from tuner.errors import SchemaMismatch

    with closing(Database(_settings(home=home).url, patience_s=schema.PATIENCE_S)) as database:
        if upgrade_first:
            schema.upgrade(database)
        found = schema.current(database)
        where = database.url.render_as_string(hide_password=True)
    if as_json:
        typer.echo(json.dumps({"database": where, "schema": found, "needed": schema.HEAD}))
    else:
        typer.echo(f"{where}: schema {found or 'none'}, needed {schema.HEAD}")
    if found != schema.HEAD:
        typer.echo(f"hint: {SchemaMismatch(found, schema.HEAD).hint}", err=True)
        raise typer.Exit(ExitCode.FAILED)


def _entries(kind: Any, url: str | None, token: str | None) -> Any:
    from tuner.client import ServerUnreachable

    with connect(url, token) as client:
        try:
            return client.catalogue(kind)
        except ServerUnreachable:
            if url is not None:
                raise
    from tuner.service.catalogue_views import entries

    typer.echo(f"No server answers at {client.url}; this is what is installed here.", err=True)
    return entries(kind)

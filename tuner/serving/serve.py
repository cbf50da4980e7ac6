"""``tuner serve``: api and scheduler as two processes on one database, and nothing else needed."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final

import tuner.schema
from tuner.artifacts.opening import open_store
from tuner.db import Database
from tuner.errors import StoreUnavailable
from tuner.serving.exposure import check_exposure, token_of
from tuner.serving.installation import check_installation
from tuner.serving.listening import inherited, listen, port_of, url_of
from tuner.serving.supervisor import Program, Supervisor
from tuner.settings import Settings

PROBE_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a person finds what."""

    url: str
    home: str
    database: str

    @property
    def docs(self) -> str:
        """The API's documentation."""
        return f"{self.url}/docs"

    @property
    def dashboard(self) -> str:
        """Optuna's dashboard."""
        return f"{self.url}/dashboard"


def serve(
    settings: Settings,
    *,
    on_ready: Callable[[Addresses], None],
    say: Callable[[str], None],
    migrate: bool = True,
    log_level: str = "warning",
    descriptor: int | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; `descriptor` is a listening socket, if one is open already.

    Raises:
        ExposureRefused, PortTaken, AddressRefused, PackageShadowed: nothing was started.
        StoreUnavailable, SchemaMismatch: the database cannot be used.
        StartFailed: a process ended before the service was ready.
    """
    check_exposure(settings)
    check_installation()
    opened = listen(settings.host, settings.port) if descriptor is None else inherited(descriptor)
    with opened as listener:
        prepare(settings, migrate=migrate)
        addresses = addresses_of(settings, port_of(listener))
        asyncio.run(_supervise(settings, listener, addresses, on_ready, say, log_level))


def prepare(settings: Settings, *, migrate: bool) -> None:
    """Make the folders, and bring the database to its schema, or see that it is there.

    Raises:
        ArtifactsUnavailable: no client for the address of the artifact store is installed.
    """
    settings.artifacts.mkdir(parents=True, exist_ok=True)
    open_store(settings.artifact_root)
    with closing(Database(settings.url, patience_s=tuner.schema.PATIENCE_S)) as database:
        if migrate:
            tuner.schema.upgrade(database)
        else:
            tuner.schema.check(database)


def addresses_of(settings: Settings, port: int) -> Addresses:
    """What to tell people of a server on this port."""
    database = "PostgreSQL" if settings.database_url.startswith("postgres") else "SQLite"
    return Addresses(url=url_of(settings.host, port), home=str(settings.root), database=database)


async def _supervise(
    settings: Settings,
    listener: socket.socket,
    addresses: Addresses,
    on_ready: Callable[[Addresses], None],
    say: Callable[[str], None],
    log_level: str,
) -> None:
    await Supervisor(
        programs=programs(settings, listener, log_level),
        is_ready=lambda: asyncio.to_thread(_answers, addresses.url, token_of(settings)),
        on_ready=lambda: on_ready(addresses),
        say=say,
    ).supervise()


def programs(settings: Settings, listener: socket.socket, log_level: str) -> tuple[Program, ...]:
    """The two processes; the api inherits the socket, so that it may restart behind it."""
    environment = os.environ | {
        "TUNER_HOME": str(settings.root),
        "TUNER_HOST": settings.host,
        "TUNER_PORT": str(port_of(listener)),
        "TUNER_DATABASE_URL": settings.database_url,
    }
    level = f"--log-level={log_level}"
    descriptor = listener.fileno()
    api = Program(
        name="api",
        arguments=("api", level, f"--fd={descriptor}"),
        environment=environment,
        descriptors=(descriptor,),
    )
    scheduler = Program(name="scheduler", arguments=("scheduler", level), environment=environment)
    return api, scheduler


def serve_api(settings: Settings, *, log_level: str, descriptor: int | None = None) -> None:
    """Serve the HTTP interface in this process until SIGTERM or SIGINT.

    Raises:
        ExposureRefused, PortTaken, AddressRefused: nothing was started.
        SchemaMismatch: the database is of another version.
    """
    import uvicorn

    check_exposure(settings)
    # One that does not answer may come: until then the API says so to its clients.
    with suppress(StoreUnavailable), closing(Database(settings.url)) as database:
        tuner.schema.check(database)
    opened = listen(settings.host, settings.port) if descriptor is None else inherited(descriptor)
    # The app reads its own settings, whose port must be the one that is served.
    os.environ["TUNER_PORT"] = str(port_of(opened))
    config = uvicorn.Config(
        "app.main:create_app",
        factory=True,
        log_config=None,
        log_level=log_level,
        access_log=False,
        lifespan="on",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(config)

    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    # Uvicorn raises the signal again once it has ended in order; that shall not be a death by it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with opened:
        server.run(sockets=[opened])


def _answers(url: str, token: str | None) -> bool:
    from tuner.client import AnswerNotUnderstood, ApiError, Client, ServerUnreachable

    with Client(url, token=token, timeout_s=PROBE_TIMEOUT_S, retries=0) as client:
        try:
            client.ready()
        except (ApiError, ServerUnreachable, AnswerNotUnderstood):
            return False
        return True

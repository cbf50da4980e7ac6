"""The application: what it is made of, and what lives as long as it does."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from importlib.metadata import version
from typing import Final

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from app import dashboard, errors, openapi
from app.metrics import registry_of
from app.routes import (
    catalog,
    code,
    datasets,
    events,
    jobs,
    pages,
    probes,
    results,
    service,
    trials,
)
from app.security import Guard
from app.tailer import Feed, Tailer
from app.termination import on_termination
from tuner.db import Database
from tuner.errors import StoreUnavailable
from tuner.service import Service
from tuner.serving.exposure import check_exposure
from tuner.settings import Settings

log = logging.getLogger(__name__)

#: The busiest first: they are tried in this order. The dashboard's, at the root, come last.
ROUTERS: Final = (
    jobs,
    results,
    trials,
    events,
    probes,
    datasets,
    code,
    catalog,
    service,
    pages,
    dashboard,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application, for ``uvicorn --factory app.main:create_app``.

    Raises:
        ExposureRefused: it would be open to the network without a token.
    """
    settings = settings or Settings()
    check_exposure(settings)
    app = FastAPI(
        title="Tuner",
        version=version("tuner"),
        summary=openapi.SUMMARY,
        description=openapi.DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=partial(_lifespan, settings=settings),
    )
    app.openapi = partial(openapi.document, app)  # type: ignore[method-assign]
    app.add_middleware(Guard, settings=settings)
    errors.install(app)
    for module in ROUTERS:
        # Not include_router: it would try the routes through a wrapper, at 100 µs a request.
        app.router.routes.extend(module.router.routes)
    app.mount("/pages", pages.files())
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI, *, settings: Settings) -> AsyncIterator[None]:
    with closing(Database(settings.url)) as db:
        core = Service(db, settings)
        await run_in_threadpool(_check, core)
        await run_in_threadpool(core.drop_old_uploads)
        await run_in_threadpool(core.drop_remains_of_code)
        tailer = Tailer(Feed(newest=core.newest_event, after=core.events_after))
        app.state.service = core
        app.state.tailer = tailer
        app.state.metrics = registry_of(core)
        announce = partial(asyncio.get_running_loop().call_soon_threadsafe, tailer.close)
        tailing = asyncio.create_task(tailer.tail())
        async with dashboard.Dashboard(settings.url) as app.state.dashboard:
            with on_termination(announce):
                yield
        tailer.close()
        tailing.cancel()
        with suppress(asyncio.CancelledError):
            await tailing


def _check(core: Service) -> None:
    """Refuse to start on a schema of another version; wait in service for a database to come."""
    try:
        core.ready()
    except StoreUnavailable as error:
        log.warning("started without a database", extra={"error": str(error)})

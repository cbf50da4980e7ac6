"""Optuna's dashboard at the service's own address: read-only, proxied from its own process.

Its script has its paths built in (``/dashboard``, ``/api``, ``/static``, ``/csv``), so it lives at
the root, and its routes come after all of ours.
"""

import asyncio
import re
from collections.abc import Awaitable, Mapping
from http import HTTPStatus
from typing import Final, TypeVar

import httpx2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from app.dashboard_process import DashboardProcess, Process
from app.patient_stream import PatientStream

T = TypeVar("T")

PATHS: Final = (
    "/dashboard",
    "/dashboard/{path:path}",
    "/api/{path:path}",
    "/static/{path:path}",
    "/csv/{path:path}",
    "/favicon.ico",
)
#: A first look at a large study takes seconds; a process that says nothing for so long hangs.
SILENCE_S: Final = 120.0
#: What the dashboard may know of a request; never a token or a cookie.
PASSED_ON: Final = (
    "accept",
    "accept-encoding",
    "accept-language",
    "if-modified-since",
    "if-none-match",
    "range",
)
#: What belongs to one connection, or is said by the server in front.
DROPPED: Final = frozenset(
    {
        "connection",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
#: With plotly installed its contour plot of 1,000 trials is 109 MB of JSON.
REFUSED: Final = re.compile(r"/api/studies/\d+/plot/contour/*")

_UNAVAILABLE_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="color-scheme" content="light dark">
  <title>Dashboard unavailable</title>
  <link rel="stylesheet" href="/pages/style.css">
</head>
<body>
  <main>
    <h1>The dashboard is not available</h1>
    <p>{detail}</p>
    <p>Jobs go on meanwhile. <a href="/dashboard">Try again</a> or go <a href="/">home</a>.</p>
  </main>
</body>
</html>
"""


class _NoAnswer(Exception):
    """The process ended before it answered, or could not."""


class Dashboard:
    """The proxy, and the process behind it, which starts at the first visit.

    Belongs to one event loop: use as ``async with``, or `stop` it at the end.
    """

    def __init__(self, database_url: str) -> None:
        self._process = DashboardProcess(database_url)
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> "Dashboard":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """End the process; afterwards nothing of it is left."""
        if self._client is not None:
            await self._client.aclose()
        await self._process.stop()

    async def answer(self, request: Request) -> Response:
        """What the dashboard's process answers.

        Raises:
            HTTPException: 503, no process could be started or kept, or it failed.
        """
        if REFUSED.fullmatch(request.url.path):
            raise HTTPException(403, "The contour plot is left out: its answers are too large.")
        try:
            relayed = _Relayed(await self._sent(request))
            if relayed.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                await relayed.close()
                raise _NoAnswer("it failed, as it does while the database is away")
            return relayed
        except (_NoAnswer, httpx2.TransportError, OSError) as error:
            detail = f"The dashboard's process does not answer: {error or type(error).__name__}."
            if "text/html" in request.headers.get("accept", ""):
                page = _UNAVAILABLE_PAGE.format(detail=_escaped(detail))
                return HTMLResponse(page, 503, {"retry-after": "2"})
            raise HTTPException(503, detail) from error

    async def _sent(self, request: Request) -> httpx2.Response:
        """The answer's head; a process that has died since the last request is replaced once."""
        before = self._process.current
        try:
            return await self._sent_once(request)
        except (_NoAnswer, httpx2.TransportError):
            if self._process.current is not before:
                raise
        return await self._sent_once(request)

    async def _sent_once(self, request: Request) -> httpx2.Response:
        process = await self._process.running()
        client = self._client or self._new_client()
        return await _unless_ended(client.send(_passed_on(request), stream=True), process)

    def _new_client(self) -> httpx2.AsyncClient:
        self._client = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(
                uds=self._process.address,
                # Browsers open several connections; a page of ours is never kept from its turn.
                limits=httpx2.Limits(max_connections=64, max_keepalive_connections=8),
            ),
            timeout=httpx2.Timeout(SILENCE_S),
        )
        return self._client


class _Relayed(PatientStream):
    """The process's answer, passed on as it comes, still compressed."""

    def __init__(self, upstream: httpx2.Response) -> None:
        super().__init__(upstream.aiter_raw(), upstream.status_code, _kept(upstream.headers))
        self._upstream = upstream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.close()

    async def close(self) -> None:
        """Let go of what is not passed on."""
        await self._upstream.aclose()


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in DROPPED}


def _passed_on(request: Request) -> httpx2.Request:
    # Without this header the dashboard fails on its static files.
    headers = {"accept-encoding": "identity"}
    headers |= {name: request.headers[name] for name in PASSED_ON if name in request.headers}
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    target = path.partition(b"?")[0] + (b"?" + query if query else b"")
    url = httpx2.URL("http://dashboard").copy_with(raw_path=target)
    return httpx2.Request(request.method, url, headers=headers)


async def _unless_ended(answer: Awaitable[T], process: Process) -> T:
    """`answer`, or `_NoAnswer` as soon as `process` ends without giving it."""
    answering = asyncio.ensure_future(answer)
    ending = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait({answering, ending}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return answering.result()
        raise _NoAnswer(f"it ended with exit code {process.returncode}")
    finally:
        answering.cancel()
        ending.cancel()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


async def _proxy(request: Request) -> Response:
    dashboard: Dashboard = request.app.state.dashboard
    return await dashboard.answer(request)


#: GET and HEAD only: whatever would change something is answered 405.
router: Final = Router(
    [Route(path, _proxy, methods=["GET"], include_in_schema=False) for path in PATHS]
)

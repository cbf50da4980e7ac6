"""What may come in: who asks, from where, under which name, and how much of what."""

import base64
import binascii
import hmac
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import problem
from tuner.errors import UploadTooLarge
from tuner.foreign.errors import CodeTooLarge
from tuner.serving.exposure import is_loopback, token_of
from tuner.settings import Settings

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
MEDIA_TYPES: Final = frozenset({"application/json", "application/yaml"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request is not let in."""

    status: int
    detail: str
    hint: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Guard:
    """ASGI middleware in front of every route; gives each request an id.

    Host: an address, our own name or one of `allowed_hosts`, so that no foreign name can be
    rebound to us. Origin: for methods that change something, our own. Token: as Bearer, or as the
    password of HTTP Basic, which is what a browser asks its user for. Body: JSON or YAML, or a
    file where one is uploaded; bounded.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._token = token_of(settings)
        self._body = BodyRule(
            max_bytes=settings.max_body_bytes,
            too_large=_too_large(settings.max_body_bytes),
            media_types=MEDIA_TYPES,
        )
        self._file = BodyRule(
            max_bytes=settings.upload_bytes,
            too_large=_file_too_large(settings.upload_bytes),
            media_types=None,
        )
        self._code = BodyRule(
            max_bytes=settings.code_upload_bytes,
            too_large=_code_too_large(settings.code_upload_bytes),
            media_types=None,
        )
        own = {settings.host, "localhost", socket.gethostname()}
        self._hosts = frozenset(name.lower() for name in own | set(settings.allowed_hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: Headers = dict(scope["headers"])
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id.decode()

        async def identified(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is None:
            bounded = _bounded(receive, self._rule(scope)) if _has_body(headers) else receive
            await self._app(scope, bounded, identified)
            return
        response = problem(
            scope,
            status=refusal.status,
            detail=refusal.detail,
            hint=refusal.hint,
            headers=refusal.headers,
        )
        await response(scope, receive, identified)

    def _refusal(self, scope: Scope, headers: Headers) -> Refusal | None:
        return (
            self._refuse_host(headers)
            or self._refuse_open_network(scope)
            or self._refuse_stranger(scope, headers)
            or self._refuse_origin(scope, headers)
            or _refuse_body(headers, self._rule(scope))
        )

    def _refuse_host(self, headers: Headers) -> Refusal | None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        # An address in figures cannot be rebound: only names are looked up.
        if host in self._hosts or _hostname(host) in self._hosts or _is_address(_hostname(host)):
            return None
        return Refusal(
            status=403,
            detail=f"This server does not go by the name {host[:200]!r}.",
            hint="Name it in TUNER_ALLOWED_HOSTS.",
        )

    def _refuse_open_network(self, scope: Scope) -> Refusal | None:
        server = scope.get("server")
        if self._token is not None or not server or not _is_address(server[0]):
            return None
        if is_loopback(server[0]):
            return None
        return Refusal(
            status=403,
            detail="This server is reached over a network, and no API token is set.",
            hint="Start it with TUNER_API_TOKEN set.",
        )

    def _refuse_stranger(self, scope: Scope, headers: Headers) -> Refusal | None:
        if self._token is None or scope["path"] in OPEN_PATHS:
            return None
        given = _credentials(headers.get(b"authorization", b""))
        if hmac.compare_digest(given, self._token.encode()):
            return None
        return Refusal(
            status=401,
            detail="The API token is missing or wrong.",
            hint="Send `Authorization: Bearer TOKEN`; in a browser, give it as the password.",
            headers={"www-authenticate": 'Basic realm="tuner", charset="UTF-8", Bearer'},
        )

    def _refuse_origin(self, scope: Scope, headers: Headers) -> Refusal | None:
        origin = headers.get(b"origin")
        if origin is None or scope["method"] in SAFE_METHODS:
            return None
        place = _netloc(origin.decode("latin-1"))
        if place == headers.get(b"host", b"").decode("latin-1").lower() or place in self._hosts:
            return None
        return Refusal(status=403, detail="Pages of another origin may not change anything here.")

    def _rule(self, scope: Scope) -> "BodyRule":
        if scope["method"] == "PUT" and scope["path"].startswith("/v1/code/"):
            return self._code
        return self._file if is_upload(scope) else self._body


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyRule:
    """What a body may be."""

    max_bytes: int
    too_large: Refusal
    #: None: anything.
    media_types: frozenset[str] | None


def is_upload(scope: Scope) -> bool:
    """Whether the request's body is a file, which its route takes piece by piece."""
    match scope["method"]:
        case "POST":
            return bool(scope["path"] == "/v1/datasets")
        case "PATCH":
            return bool(scope["path"].startswith("/v1/uploads/"))
        case _:
            return False


def _refuse_body(headers: Headers, rule: BodyRule) -> Refusal | None:
    if not _has_body(headers):
        return None
    if _declared_bytes(headers) > rule.max_bytes:
        return rule.too_large
    given = headers.get(b"content-type", b"").decode("latin-1")
    if rule.media_types is None or given.partition(";")[0].strip().lower() in rule.media_types:
        return None
    return Refusal(
        status=415,
        detail=f"Content-Type is {given[:200]!r}; a body is JSON or YAML.",
        hint="Send `Content-Type: application/json` or `application/yaml`.",
    )


def _bounded(receive: Receive, rule: BodyRule) -> Receive:
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > rule.max_bytes:
            refusal = rule.too_large
            raise HTTPException(refusal.status, refusal.detail, dict(refusal.headers))
        return message

    return bounded


def _too_large(limit: int) -> Refusal:
    return Refusal(
        status=413,
        detail=f"The body is larger than {limit:,} bytes.",
        hint="Data are named by a path on the server, not sent; TUNER_MAX_BODY_BYTES is the limit.",
        headers={"connection": "close"},
    )


def _file_too_large(limit: int) -> Refusal:
    error = UploadTooLarge(limit)
    close = {"connection": "close"}
    return Refusal(status=413, detail=str(error), hint=error.hint, headers=close)


def _code_too_large(limit: int) -> Refusal:
    error = CodeTooLarge(f"The archive is larger than {limit:,} bytes.", "TUNER_CODE_UPLOAD_BYTES")
    close = {"connection": "close"}
    return Refusal(status=413, detail=str(error), hint=error.hint, headers=close)


def _request_id(headers: Headers) -> bytes:
    given = headers.get(b"x-request-id", b"")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8).encode()


def _has_body(headers: Headers) -> bool:
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


def _declared_bytes(headers: Headers) -> int:
    declared = headers.get(b"content-length", b"0")
    return int(declared) if declared.isdigit() else 0


def _credentials(authorization: bytes) -> bytes:
    """The token in an Authorization header, of either scheme; empty where there is none."""
    scheme, _, given = authorization.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return given.strip()
        case b"basic":
            try:
                return base64.b64decode(given, validate=True).partition(b":")[2]
            except binascii.Error:
                return b""
        case _:
            return b""


@lru_cache(maxsize=256)
def _hostname(host: str) -> str:
    """`host` without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


@lru_cache(maxsize=256)
def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""

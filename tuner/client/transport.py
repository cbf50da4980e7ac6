"""How the client's requests travel: retries that repeat nothing twice, and errors in one shape."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import httpx2
from pydantic import ValidationError

from tuner.errors import TunerError
from tuner.views import Problem, View

V = TypeVar("V", bound=View)

RETRIES: Final = 3
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0

#: The server never saw the request: any request may be sent again.
NOT_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class ApiError(TunerError):
    """The server refused; `problem` says why and what to do."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem
        self.status = problem.status
        self.title = problem.title
        self.detail = problem.detail
        self.hint = problem.hint
        self.errors = problem.errors


class ServerUnreachable(TunerError):
    """No server answers at the address."""

    hint = "Start it with `tuner serve`, or name another address by --url or TUNER_URL."

    def __init__(self, url: str, cause: str) -> None:
        super().__init__(f"No server answers at {url} ({cause}).")
        self.url = url


class AnswerNotUnderstood(TunerError):
    """Something answers at the address, but not as this service does."""

    hint = "Is that address a Tuner server, and is it as new as this client?"

    def __init__(self, url: str, cause: str) -> None:
        super().__init__(f"The answer of {url} is not understood: {cause}")
        self.url = url


class Transport:
    """One connection pool to one server. Not safe to share between threads while closing."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        timeout_s: float,
        retries: int = RETRIES,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.sleep = sleep
        self._retries = retries
        self._timeout_s = timeout_s
        self._client = httpx2.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=timeout_s,
            transport=transport,
            # A proxy for the outer world cannot reach this machine's own addresses.
            trust_env=not _is_loopback(self.url),
        )

    def get(self, path: str, answer: type[V], **params: object) -> V:
        """The answer to a GET; parameters that are None are left out."""
        return self.parse(answer, self.send("GET", path, params=params))

    def parse(self, answer: type[V], response: httpx2.Response) -> V:
        """The body as a view.

        Raises:
            AnswerNotUnderstood: it is none.
        """
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as error:
            cause = f"{error.error_count()} faults, the first: {error.errors()[0]['msg']}"
            raise AnswerNotUnderstood(str(response.url), cause) from error

    def send(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool = True,
        params: Mapping[str, object] | None = None,
        **rest: Any,
    ) -> httpx2.Response:
        """Send a request and read its answer whole.

        A request that never left is sent again; one whose answer was lost only if `repeatable`.

        Raises:
            ApiError: the server refused.
            ServerUnreachable: no answer, however often it was asked.
        """
        request = self._client.build_request(method, path, params=_given(params), **rest)
        for pause_s in pauses(self._retries):
            try:
                response = self._client.send(request)
            except httpx2.TransportError as error:
                if pause_s is None or not (repeatable or isinstance(error, NOT_SENT)):
                    raise ServerUnreachable(self.url, _cause(error)) from error
                self.sleep(pause_s)
                continue
            if response.status_code == 503 and repeatable and pause_s is not None:
                self.sleep(_retry_after_s(response, pause_s))
                continue
            break
        return checked(response)

    @contextlib.contextmanager
    def stream(self, path: str, *, timeout_s: float, **rest: Any) -> Iterator[httpx2.Response]:
        """A GET whose body is read as it comes; `timeout_s` bounds the silence between pieces.

        Raises:
            ApiError: the server refused.
            ServerUnreachable: it does not answer, or the connection broke.
        """
        timeout = httpx2.Timeout(self._timeout_s, read=timeout_s)
        try:
            with self._client.stream("GET", path, timeout=timeout, **rest) as response:
                if response.is_error:
                    response.read()
                yield checked(response)
        except httpx2.TransportError as error:
            raise ServerUnreachable(self.url, _cause(error)) from error

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


def pauses(retries: int) -> Iterator[float | None]:
    """Seconds to wait before each repetition, doubling; None after the last try."""
    for attempt in range(retries):
        yield min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S)
    yield None


def checked(response: httpx2.Response) -> httpx2.Response:
    """The response, if it is none of an error.

    Raises:
        ApiError: it is one.
    """
    if response.is_error:
        raise ApiError(_problem(response))
    return response


def _problem(response: httpx2.Response) -> Problem:
    """The problem in the body; one made up from the status where a proxy answered."""
    try:
        return Problem.model_validate_json(response.content)
    except ValidationError:
        return Problem(
            title=response.reason_phrase or "Error",
            status=response.status_code,
            detail=f"{response.url} answered {response.status_code}: {response.text[:200]}",
            instance=response.url.path,
            request_id=response.headers.get("x-request-id", ""),
        )


def _given(params: Mapping[str, object] | None) -> dict[str, str]:
    given = {name: value for name, value in (params or {}).items() if value is not None}
    return {name: "true" if value is True else str(value) for name, value in given.items()}


def _cause(error: httpx2.TransportError) -> str:
    return str(error) or type(error).__name__


def _retry_after_s(response: httpx2.Response, pause_s: float) -> float:
    asked = response.headers.get("retry-after", "")
    return min(float(asked), LONGEST_PAUSE_S) if asked.isdigit() else pause_s


def _is_loopback(url: str) -> bool:
    host = httpx2.URL(url).host
    return host in {"localhost", "::1"} or host.startswith("127.")

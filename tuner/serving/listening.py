"""The address the service listens on: bound before anything starts, kept while parts restart."""

import errno
import socket

from tuner.errors import TunerError


class PortTaken(TunerError):
    """Another process listens on the port."""

    def __init__(self, url: str, *, ours: bool) -> None:
        who = "a running Tuner" if ours else "another program"
        super().__init__(f"{url} is taken by {who}.")
        self.hint = (
            "Use it as it is (`tuner list`), or start a second one with a TUNER_HOME of its own: "
            "tuner serve --port 0."
            if ours
            else "Take another port: tuner serve --port 8701 (0 takes a free one)."
        )
        self.ours = ours


class AddressRefused(TunerError):
    """The address cannot be listened on."""

    hint = "--host takes an address of this machine; ports below 1024 need privileges."

    def __init__(self, host: str, port: int, cause: str) -> None:
        super().__init__(f"Cannot listen on {host}, port {port}: {cause}.")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        PortTaken: somebody listens there.
        AddressRefused: the system does not allow it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=1024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            url = url_of(host, port)
            raise PortTaken(url, ours=is_tuner(url)) from error
        cause = error.strerror or str(error)
        raise AddressRefused(host, port, cause) from error


def inherited(descriptor: int) -> socket.socket:
    """The listening socket that the parent process opened."""
    return socket.socket(fileno=descriptor)


def port_of(listener: socket.socket) -> int:
    """The port the listener is bound to."""
    port: int = listener.getsockname()[1]
    return port


def url_of(host: str, port: int) -> str:
    """Where a client on this machine finds a server bound to `host`."""
    reachable = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host).strip("[]")
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def is_tuner(url: str) -> bool:
    """Whether a server of this service answers at `url`."""
    from tuner.client import AnswerNotUnderstood, ApiError, Client, ServerUnreachable

    with Client(url, timeout_s=2.0, retries=0) as client:
        try:
            client.catalogue("losses")
        except ApiError as error:
            return bool(error.problem.request_id)
        except (ServerUnreachable, AnswerNotUnderstood):
            return False
        return True

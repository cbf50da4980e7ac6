"""A way to PostgreSQL that breaks where it is told to: a TCP proxy that knows a COMMIT."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Literal, Self

from tests.postgres import PostgresServer

#: What becomes of a COMMIT: nothing; it is cut before the server has it, or before its answer.
Fate = Literal["answered", "lost", "unanswered"]
_COMMIT: Final = b"Q\x00\x00\x00\x0bCOMMIT\x00"
_CHUNK: Final = 1 << 16


class CuttingProxy:
    """Passes connections on to `server`; `fate` decides at each COMMIT.

    A cut closes both ends of that connection, after the server has done what it was told.
    """

    def __init__(self, server: PostgresServer, fate: Callable[[], Fate]) -> None:
        self._target = str(server.folder / ".s.PGSQL.5432")
        self._fate = fate
        self._deciding = threading.Lock()
        self._open: set[socket.socket] = set()
        #: How many were cut, of each kind.
        self.cuts: dict[Fate, int] = {"lost": 0, "unanswered": 0}

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Only this wakes a thread that accepts.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for end in tuple(self._open):
            _cut(end)

    def url(self, database: str) -> str:
        """The address of a database, by way of here."""
        port = self._listener.getsockname()[1]
        return f"postgresql://postgres@127.0.0.1:{port}/{database}"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(self._target)
                except OSError:
                    client.close()
                    server.close()
                    continue
                self._open |= {client, server}
                unanswered = threading.Event()
                for pump in (self._ask, self._answer):
                    words = (client, server, unanswered)
                    threading.Thread(target=pump, args=words, daemon=True).start()

    def _ask(
        self, client: socket.socket, server: socket.socket, unanswered: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := client.recv(_CHUNK):
                fate = self._fate_of(data)
                if fate == "lost":
                    break
                if fate == "unanswered":
                    unanswered.set()
                server.sendall(data)
        if not unanswered.is_set():
            self._close(client, server)

    def _answer(
        self, client: socket.socket, server: socket.socket, unanswered: threading.Event
    ) -> None:
        with suppress(OSError):
            # What comes after the word "unanswered" is the COMMIT's answer: it was carried out.
            while (data := server.recv(_CHUNK)) and not unanswered.is_set():
                client.sendall(data)
        self._close(client, server)

    def _fate_of(self, data: bytes) -> Fate:
        if data != _COMMIT:
            return "answered"
        with self._deciding:
            fate = self._fate()
            if fate != "answered":
                self.cuts[fate] += 1
        return fate

    def _close(self, *ends: socket.socket) -> None:
        for end in ends:
            self._open.discard(end)
            _cut(end)


def _cut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()

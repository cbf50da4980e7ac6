"""How messages travel over a socket: one JSON object per frame, a length before each.

Two ends with one format: the worker's waits, the executor's never does, so that a worker which
stops in the middle of a frame, or stops reading, holds up nobody.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from tuner.protocol import ChannelClosed, FromWorker, ProtocolViolated, ToWorker
from tuner.wire import decode, encode

_LENGTH: Final = struct.Struct("!I")
#: A longer frame is no message of ours; it bounds what a worker can make the executor hold.
MAX_FRAME_BYTES: Final = 16 << 20
_READ_BYTES: Final = 1 << 16
#: As much as one call takes from one worker, so that a talkative one leaves time for the others.
_TURN_BYTES: Final = 1 << 20


def frame(message: ToWorker | FromWorker) -> bytes:
    """The bytes of `message` on the wire.

    Raises:
        ValueError: the message is too long to be sent.
        TypeError: it holds something that JSON does not.
    """
    body = encode(message)
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"A message of {len(body)} bytes; at most {MAX_FRAME_BYTES} can be sent.")
    return _LENGTH.pack(len(body)) + body


class _Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        self._bytes += data

    def take(self) -> bytes | None:
        """The next complete frame, None while it is still under way."""
        if len(self._bytes) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._bytes)
        if length > MAX_FRAME_BYTES:
            raise ProtocolViolated(bytes(self._bytes[:80]))
        end = _LENGTH.size + length
        if len(self._bytes) < end:
            return None
        body = bytes(self._bytes[_LENGTH.size : end])
        del self._bytes[:end]
        return body


class WorkerChannel:
    """The worker's end; its calls wait, but for `receive_now`."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._frames = _Frames()

    def send(self, message: FromWorker) -> None:
        """Send one message; `ChannelClosed` when nobody listens any more."""
        data = frame(message)
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ChannelClosed from error

    def receive(self) -> ToWorker | FromWorker:
        """The next message; `ChannelClosed` when none can come any more."""
        while (message := self._take()) is None:
            self._read(0)
        return message

    def receive_now(self) -> ToWorker | FromWorker | None:
        """The next message if all of it is there; `ChannelClosed` when none can come any more."""
        if (message := self._take()) is None:
            with suppress(BlockingIOError):
                self._read(socket.MSG_DONTWAIT)
            message = self._take()
        return message

    def _take(self) -> ToWorker | FromWorker | None:
        body = self._frames.take()
        return None if body is None else decode(body)

    def _read(self, flags: int) -> None:
        try:
            data = self._socket.recv(_READ_BYTES, flags)
        except BlockingIOError:
            raise
        except OSError as error:
            raise ChannelClosed from error
        if not data:
            raise ChannelClosed
        self._frames.feed(data)


class ExecutorChannel:
    """The executor's end; no call ever waits."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._frames = _Frames()
        self._unsent = bytearray()
        #: Whether the worker's end is closed and everything it sent has been read.
        self.ended = False

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def congested(self) -> bool:
        """Whether something still waits to be sent: call `flush` when the socket is writable."""
        return bool(self._unsent)

    def send(self, message: ToWorker) -> None:
        """Send one message, or as much of it as the socket takes now; a gone worker gets none."""
        self._unsent += frame(message)
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it."""
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()  # the worker is gone; its end is reported elsewhere

    def receive(self) -> Iterator[ToWorker | FromWorker]:
        """The complete messages that have come, possibly none; sets `ended` at the end.

        Raises:
            ProtocolViolated: a frame is no message of ours; those before it were yielded.
        """
        self._read()
        while (body := self._frames.take()) is not None:
            yield decode(body)

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> None:
        for _ in range(_TURN_BYTES // _READ_BYTES):
            try:
                data = self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.ended = True
                return
            self._frames.feed(data)

"""Hearing of the end in time: endless answers must end before the server can."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_termination(announce: Callable[[], Any]) -> Iterator[None]:
    """Call `announce` when a signal ends the process, before whoever handles the signal.

    The server waits for open answers before it tells the application that it goes down; an event
    stream would hold it up for ever. Does nothing beside the main thread, where no signal comes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in SIGNALS}

    def announce_first(number: int, stack: FrameType | None) -> None:
        announce()
        handler = handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, stack)

    chained = [number for number, handler in handlers.items() if callable(handler)]
    for number in chained:
        signal.signal(number, announce_first)
    try:
        yield
    finally:
        for number in chained:
            signal.signal(number, handlers[number])

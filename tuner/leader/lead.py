"""The scheduler's process: wait for leadership, lead until told to stop, leave in order."""

import gc
import logging
import math
import signal
import time
from types import FrameType
from typing import Final

from tuner.artifacts.opening import modules_of
from tuner.artifacts.places import log_root
from tuner.db import Database
from tuner.executors.local import LocalExecutor
from tuner.leader.leadership import Leadership, leading
from tuner.leader.loop import Loop
from tuner.schema import check
from tuner.settings import Settings

log = logging.getLogger(__name__)

#: Between being told to stop and having stopped; attempts that checkpoint slower are killed.
DRAIN_S: Final = 25.0
#: Between two looks at whether this process still leads.
CONFIRM_S: Final = 2.0
#: The loop's longest wait for something to happen.
TICK_S: Final = 0.1


class Signals:
    """Counts how often the process was asked to stop; at once where nothing is to be left in order.

    That is before it leads, and from the second signal on.
    """

    def __init__(self) -> None:
        self.stops = 0
        self.patient = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stops += 1
        if not self.patient or self.stops > 1:
            raise KeyboardInterrupt


def main(settings: Settings) -> int:
    """Schedule until SIGTERM or SIGINT; a second signal does not wait for checkpoints.

    Returns:
        The exit code: 0 after an orderly end, 130 after a forced one.
    """
    signals = Signals()
    database = Database(settings.url)
    try:
        check(database)
        with leading(database, patience_s=-1, waiting=_say_waiting) as leadership:
            _lead(database, settings, signals, leadership)
    except KeyboardInterrupt:
        return 0 if signals.stops == 1 else 130
    finally:
        database.close()
    return 0


def _say_waiting() -> None:
    log.warning("another scheduler leads; standing by")


def _lead(database: Database, settings: Settings, signals: Signals, leadership: Leadership) -> None:
    settings.artifacts.mkdir(parents=True, exist_ok=True)
    executor = LocalExecutor(
        log_root(settings.artifacts),
        log_cap_bytes=settings.log_bytes,
        most_cpus=settings.cpus or math.inf,
        modules=["tuner.trainer", "models.training.rehearsal", *modules_of(settings.artifact_root)],
    )
    with executor:
        loop = Loop(database, settings, executor)
        gc.freeze()  # what was imported is not garbage, and a search through it takes long
        log.info("scheduler leads", extra={"jobs": len(loop.state.jobs)})
        try:
            signals.patient = True
            confirm_at = 0.0
            while not signals.stops:
                loop.tick(TICK_S)
                if time.monotonic() >= confirm_at:
                    leadership.confirm()
                    confirm_at = time.monotonic() + CONFIRM_S
            _drain(loop)
        finally:
            loop.close()


def _drain(loop: Loop) -> None:
    """Let attempts checkpoint and end; what has not by then is recorded by the next scheduler."""
    loop.drain()
    deadline = time.monotonic() + DRAIN_S
    while not loop.idle and time.monotonic() < deadline:
        loop.tick(TICK_S)

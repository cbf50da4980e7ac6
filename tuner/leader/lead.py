"""The scheduler's process: wait for leadership, lead until told to stop, leave in order."""

import gc
import logging
import math
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

from tuner.artifacts.opening import modules_of
from tuner.artifacts.places import log_root
from tuner.db import Database
from tuner.executors.base import Executor
from tuner.executors.local import LocalExecutor
from tuner.leader.leadership import Leadership, leading
from tuner.leader.loop import Loop
from tuner.schema import check
from tuner.settings import Settings

log = logging.getLogger(__name__)

#: Between being told to stop and having stopped; attempts that checkpoint slower are killed.
DRAIN_S: Final = 25.0
#: For what others have locked. Workers wait for verdicts meanwhile; a tick is tried again later.
PATIENCE_S: Final = 0.5
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


def local_executor(settings: Settings) -> Executor:
    """Workers on this host, ready for the service's own trainer."""
    return LocalExecutor(
        log_root(settings.artifacts),
        log_cap_bytes=settings.log_bytes,
        most_cpus=settings.cpus or math.inf,
        modules=["tuner.trainer", "models.training.rehearsal", *modules_of(settings.artifact_root)],
    )


def main(
    settings: Settings,
    *,
    executor_of: Callable[[Settings], Executor] = local_executor,
    loop_of: Callable[[Database, Settings, Executor], Loop] = Loop,
) -> int:
    """Schedule until SIGTERM or SIGINT; a second signal does not wait for checkpoints.

    Returns:
        The exit code: 0 after an orderly end, 130 after a forced one.

    Raises:
        LeadershipTaken: this process led, and was silent for so long that another does. Its
            workers have ended. Whoever keeps it running may start it again, to stand by.
    """
    signals = Signals()
    database = Database(settings.url, patience_s=PATIENCE_S)
    try:
        check(database)
        settings.artifacts.mkdir(parents=True, exist_ok=True)
        with (
            leading(database, patience_s=-1, waiting=_say_waiting) as leadership,
            executor_of(settings) as executor,
        ):
            _lead(leadership, loop_of(leadership.database, settings, executor), signals)
    except KeyboardInterrupt:
        return 0 if signals.stops == 1 else 130
    finally:
        database.close()
    return 0


def _say_waiting() -> None:
    log.warning("another scheduler leads; standing by")


def _lead(leadership: Leadership, loop: Loop, signals: Signals) -> None:
    gc.freeze()  # what was imported is not garbage, and a search through it takes long
    log.info("scheduler leads", extra={"jobs": len(loop.state.jobs), "epoch": leadership.epoch})
    try:
        signals.patient = True
        while not signals.stops:
            leadership.confirm()
            loop.tick(TICK_S)
        _drain(loop)
    finally:
        loop.close()


def _drain(loop: Loop) -> None:
    """Let attempts checkpoint and end; what has not by then is recorded by the next scheduler."""
    loop.drain()
    deadline = time.monotonic() + DRAIN_S
    while not loop.idle and time.monotonic() < deadline:
        loop.tick(TICK_S)

"""Who may schedule: one process for each database."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from filelock import FileLock, Timeout

from tuner.db import Database
from tuner.errors import LeadershipTaken, StoreUnavailable
from tuner.leader.lease import Line, Renewal, Standby
from tuner.store import leadership as store

POLL_S: Final = 0.2


class Leadership:
    """The right to schedule, while one has it."""

    def __init__(self, database: Database, epoch: int, is_lost: Callable[[], bool]) -> None:
        self.epoch = epoch
        #: What the leader writes to: each transaction there fails with `LeadershipTaken`, and
        #: leaves nothing behind, once another leads.
        self.database = database.on_condition(self._hold)
        self._where = _name(database)
        self._is_lost = is_lost

    def confirm(self) -> None:
        """Go on, as far as is known; asks nobody.

        Raises:
            LeadershipTaken: another leads by now.
        """
        if self._is_lost():
            raise LeadershipTaken(self._where)

    def _hold(self, connection: sa.Connection) -> None:
        if not store.hold(connection, self.epoch):
            raise LeadershipTaken(self._where)


@contextmanager
def leading(
    database: Database,
    *,
    patience_s: float,
    waiting: Callable[[], None],
    steady: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Leadership]:
    """Lead on this database for as long as the context lasts; at its end, another may at once.

    Args:
        patience_s: how long to wait for a turn; negative: for ever.
        waiting: called once, if another leads.

    Raises:
        LeadershipTaken: another still leads after `patience_s`.
        StoreUnavailable: the database did not answer when it was its turn.
    """
    if database.is_postgres:
        turn = _by_lease(database, patience_s, waiting, steady, sleep)
    else:
        turn = _by_file(database, patience_s, waiting)
    with turn as leadership:
        try:
            yield leadership
        finally:
            with suppress(StoreUnavailable, LeadershipTaken), leadership.database.writing() as own:
                store.step_down(own, leadership.epoch)


@contextmanager
def _by_file(
    database: Database, patience_s: float, waiting: Callable[[], None]
) -> Iterator[Leadership]:
    """By a lock that the kernel holds for as long as the process lives; it cannot be lost."""
    lock = FileLock(f"{Path(str(database.url.database)).resolve()}.leader")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        try:
            lock.acquire(timeout=patience_s, poll_interval=POLL_S)
        except Timeout:
            raise LeadershipTaken(_name(database)) from None
    try:
        with database.writing() as connection:
            epoch = store.claim(connection, store.look(connection), _holder())
        assert epoch is not None  # nobody else writes in between
        yield Leadership(database, epoch, lambda: False)
    finally:
        lock.release()


@contextmanager
def _by_lease(
    database: Database,
    patience_s: float,
    waiting: Callable[[], None],
    steady: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[Leadership]:
    with closing(Line(database)) as line:
        standby = Standby(line, _holder(), steady)
        began = steady()
        epoch = standby.try_to_lead()
        if epoch is None:
            waiting()
        while epoch is None:
            if 0 <= patience_s <= steady() - began:
                raise LeadershipTaken(_name(database))
            sleep(POLL_S)
            epoch = standby.try_to_lead()
        with Renewal(line, epoch) as renewal:
            yield Leadership(database, epoch, lambda: renewal.is_lost)


def _holder() -> str:
    return f"{platform.node()}:{os.getpid()}"


def _name(database: Database) -> str:
    return database.url.render_as_string(hide_password=True)

"""Leadership on PostgreSQL: who renews it has it, and who is silent for too long has had it.

Nobody's time of day decides. A standby waits, by a clock that nobody can set, for the leader's row
to stay the same for long enough.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

import sqlalchemy as sa

from tuner.db import Database
from tuner.engines import unavailable
from tuner.errors import StoreUnavailable
from tuner.store.leadership import LEASE, Sighting, claim, expel, look, renew

log = logging.getLogger(__name__)

RENEW_EVERY_S: Final = 1.0
#: A leader whose connection is gone may have lost it alone: so long it has to connect again.
RECONNECT_S: Final = 3.0


class Line:
    """A connection of one's own, opened again where it broke: the server sees by it who lives."""

    def __init__(self, database: Database) -> None:
        self._engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._connection: sa.Connection | None = None

    @contextmanager
    def open(self) -> Iterator[sa.Connection]:
        """The connection, in autocommit.

        Raises:
            StoreUnavailable: it is broken; the next call opens another.
        """
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            yield self._connection
        except sa.exc.SQLAlchemyError as error:
            self.close()
            raise unavailable(error) from error

    def close(self) -> None:
        """End the server's process for it, too."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


class Standby:
    """Waits for its turn to lead."""

    def __init__(self, line: Line, holder: str, steady: Callable[[], float]) -> None:
        self._line = line
        self._holder = holder
        self._steady = steady
        self._seen = Sighting()
        self._seen_at = steady()

    def try_to_lead(self) -> int | None:
        """The epoch, if nobody leads any more; to be asked again and again."""
        asked_at = self._steady()
        try:
            with self._line.open() as connection:
                sighting = look(connection)
                if not self._is_gone(sighting, asked_at):
                    return None
                if sighting.held:
                    expel(connection)
                return claim(connection, sighting, self._holder)
        except StoreUnavailable as error:
            log.warning("database did not answer", extra={"error": str(error)})
            # The leader cannot have renewed either.
            self._seen_at = self._steady()
            return None

    def _is_gone(self, sighting: Sighting, asked_at: float) -> bool:
        if not sighting.held:
            return True
        if (sighting.epoch, sighting.expires) != (self._seen.epoch, self._seen.expires):
            self._seen, self._seen_at = sighting, self._steady()
            return False
        patience_s = LEASE.total_seconds() if sighting.connected else RECONNECT_S
        return asked_at - self._seen_at >= patience_s


class Renewal:
    """Renews a lease on a thread of its own, so that a leader may be busy for long."""

    def __init__(self, line: Line, epoch: int) -> None:
        #: Whether another leads by now.
        self.is_lost = False
        self._line = line
        self._epoch = epoch
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _renew(self) -> None:
        while not (self.is_lost or self._ended.wait(RENEW_EVERY_S)):
            try:
                with self._line.open() as connection:
                    self.is_lost = not renew(connection, self._epoch)
            except StoreUnavailable as error:
                log.warning("leadership was not renewed", extra={"error": str(error)})

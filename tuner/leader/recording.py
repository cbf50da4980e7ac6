"""Brings what was decided into the database: in order, together, and each decision once."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from tuner.db import Database
from tuner.errors import StoreUnavailable
from tuner.scheduler.commands import Order, Record, Start, Sweep
from tuner.store import ledger, ledger_jobs
from tuner.store.replay import Retired

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = timedelta(milliseconds=100)
LONGEST_PAUSE: Final = timedelta(seconds=5)
#: Records that do not wait for the next look, lest that commit take long.
MOST_RECORDS: Final = 256


class BackOff:
    """When to ask the database again: later each time that it does not answer."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE
        self._until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it is too early."""
        return self._until is not None and now < self._until

    def failed(self, now: datetime) -> None:
        """The database did not answer."""
        self._until = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def answered(self) -> None:
        """The database answered."""
        self._pause, self._until = FIRST_PAUSE, None

    def move(self, by: timedelta) -> None:
        """The clock was set."""
        if self._until is not None:
            self._until += by


@dataclass(slots=True, kw_only=True)
class Entry:
    """What one commit brings into the database, and what is to be done once it stands there."""

    records: list[Record] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    #: By which the ledger knows it again; empty where it may be written twice.
    versions: Mapping[int, int] = field(default_factory=dict)
    #: Per job the files that are kept no longer.
    retired: Sequence[tuple[str, Retired]] = ()

    def __bool__(self) -> bool:
        return bool(self.records or self.orders)


class Recorder:
    """Keeps what was decided until it stands in the database, however often that goes away.

    Where the answer to a COMMIT does not come, nobody knows whether it was carried out. The entry
    is put aside then, and looked for before anything else is written.
    """

    def __init__(
        self,
        database: Database,
        back_off: BackOff,
        *,
        retire: Callable[[sa.Connection, Sweep], tuple[str, Retired]],
    ) -> None:
        """`retire` tells, in the entry's transaction, which files a trial's end makes needless."""
        self._database = database
        self._back_off = back_off
        self._retire = retire
        self._open = Entry()
        self._unanswered: Entry | None = None

    def record(self, record: Record) -> None:
        """Add what is to be written."""
        self._open.records.append(record)

    def order(self, order: Order) -> None:
        """Add what is to be done once everything added so far stands."""
        self._open.orders.append(order)

    def will_start(self, attempt: int) -> bool:
        """Whether the attempt is to be started, and is not yet."""
        entries = (self._open, self._unanswered) if self._unanswered else (self._open,)
        orders = (order for entry in entries for order in entry.orders)
        return any(isinstance(order, Start) and order.attempt.id == attempt for order in orders)

    @property
    def pending(self) -> bool:
        """Whether something is not known to stand, or not done."""
        return self._unanswered is not None or bool(self._open)

    @property
    def urgent(self) -> bool:
        """Whether what waits does not wait for the next look."""
        return bool(self._open.orders) or len(self._open.records) >= MOST_RECORDS

    def commit(self, now: datetime) -> Entry | None:
        """An entry that stands in the database now, to be acted on; call until there is none.

        None where nothing waits, or the database does not answer.

        Raises:
            TransitionRefused: somebody else wrote where only the scheduler may.
        """
        if not self.pending or self._back_off.holds(now):
            return None
        try:
            entry = self._settled() or self._written()
        except StoreUnavailable as error:
            self._back_off.failed(now)
            log.warning("tick was not recorded", extra={"error": str(error)})
            return None
        self._back_off.answered()
        return entry

    def _settled(self) -> Entry | None:
        """The entry put aside, if it stands; else it is to be written again, first of all."""
        entry = self._unanswered
        if entry is None:
            return None
        with self._database.writing() as connection:
            stands = ledger_jobs.stands(connection, entry.versions)
        self._unanswered = None
        log.info("looked for a tick whose commit was not answered", extra={"stands": stands})
        if stands:
            return entry
        self._open.records[:0] = entry.records
        self._open.orders[:0] = entry.orders
        return None

    def _written(self) -> Entry:
        entry = self._open
        if entry.records:
            with self._database.writing() as connection:
                entry.versions = ledger.write(connection, entry.records)
                sweeps = [order for order in entry.orders if isinstance(order, Sweep)]
                entry.retired = [self._retire(connection, sweep) for sweep in sweeps]
                self._unanswered, self._open = entry, Entry()
            self._unanswered = None
        else:
            self._open = Entry()
        return entry

"""What must hold in every database after whatever happened to it."""

from datetime import datetime
from pathlib import Path

from tuner.artifacts.folder import FolderStore
from tuner.clock import utc_now
from tuner.db import Database
from tuner.invariants.check import check_invariants, check_rows


def assert_invariants(
    database: Database, artifacts: Path | None = None, *, now: datetime | None = None
) -> None:
    """Assert all that `tuner doctor --check-db` asserts; without a folder, of the rows alone.

    `now` is the time on the scheduler's clock.
    """
    if artifacts is not None:
        assert check_invariants(database, FolderStore(artifacts), artifacts, now=now).breaches == ()
        return
    with database.reading() as connection:
        assert list(check_rows(connection, now or utc_now())) == []

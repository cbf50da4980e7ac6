"""What must hold in every database after whatever happened to it."""

from pathlib import Path

from tuner.artifacts.folder import FolderStore
from tuner.clock import utc_now
from tuner.db import Database
from tuner.invariants.check import check_invariants, check_rows


def assert_invariants(database: Database, artifacts: Path | None = None) -> None:
    """Assert all that `tuner doctor --check-db` asserts; without a folder, of the rows alone."""
    if artifacts is not None:
        assert check_invariants(database, FolderStore(artifacts), artifacts).breaches == ()
    with database.reading() as connection:
        assert list(check_rows(connection, utc_now())) == []

"""What must hold in every database after whatever happened to it."""

from pathlib import Path

from tuner.db import Database
from tuner.invariants.check import check_invariants


def assert_invariants(database: Database, artifacts: Path | None = None) -> None:
    """Assert all that `tuner doctor --check-db` asserts; without a folder, of the rows alone."""
    assert check_invariants(database, artifacts).breaches == ()

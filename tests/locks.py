"""Locks of somebody else's."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tuner.db import Database

LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """A process of somebody else's holds SQLite's write lock."""
    command = [sys.executable, "-c", LOCK, str(database.url.database)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield
        process.communicate("enough\n")
        assert process.returncode == 0

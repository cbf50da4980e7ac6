"""Applying the steps, which is Alembic's part; importing this module imports Alembic."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from tuner.errors import SchemaMismatch
from tuner.schema import HEAD


def steps() -> Config:
    """Alembic's configuration: where the steps lie, also in an installed wheel."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def apply_steps(connection: sa.Connection, found: str | None) -> None:
    """Apply the steps after `found` in the connection's transaction; the caller commits.

    Raises:
        SchemaMismatch: `found` is no step of ours.
    """
    config = steps()
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaMismatch(found, HEAD)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

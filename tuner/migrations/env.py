"""Alembic's entry: applies the steps in the transaction that `tuner.schema` has opened."""

from alembic import context

from tuner.db import metadata
from tuner.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # SQLite's too: the transaction was begun by a BEGIN of ours, before any statement.
    transactional_ddl=True,
)
context.run_migrations()

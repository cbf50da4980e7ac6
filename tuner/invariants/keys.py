"""What holds of the tables as wholes: keys are unique, and slots are not held twice."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa

from tuner.db import attempts, hosts, jobs
from tuner.invariants.breach import Breach
from tuner.slots import EPSILON
from tuner.states import AttemptState

#: What the database is to keep unique, by table.
UNIQUE: Final = (
    ("jobs", ("ulid",)),
    ("jobs", ("idempotency_key",)),
    ("trials", ("job_id", "number")),
    ("events", ("job_id", "seq")),
)


def check_keys(connection: sa.Connection) -> Iterator[Breach]:
    """I7: one idempotency key is one job's, and the database keeps it so."""
    query = (
        sa.select(jobs.c.idempotency_key, sa.func.count(), sa.func.min(jobs.c.ulid))
        .where(jobs.c.idempotency_key.is_not(None))
        .group_by(jobs.c.idempotency_key)
        .having(sa.func.count() > 1)
    )
    for key, count, first in connection.execute(query):
        yield Breach(
            invariant="I7",
            job=first,
            detail=f"{count} jobs have the idempotency key {key!r}.",
            remedy="Cancel and delete all of them but the one that is wanted.",
        )
    for table, columns in UNIQUE:
        if columns not in _unique(connection, table):
            names = ", ".join(columns)
            yield Breach(
                invariant="I7",
                detail=f"The database does not keep {table} ({names}) unique.",
                remedy=f"CREATE UNIQUE INDEX uq_{table}_{'_'.join(columns)} ON {table} ({names});",
            )


def _unique(connection: sa.Connection, table: str) -> set[tuple[str | None, ...]]:
    inspector = sa.inspect(connection)
    constraints = [
        tuple(found["column_names"]) for found in inspector.get_unique_constraints(table)
    ]
    indexes = [tuple(i["column_names"]) for i in inspector.get_indexes(table) if i["unique"]]
    return {*constraints, *indexes}


def check_slots(connection: sa.Connection) -> Iterator[Breach]:
    """I9: attempts under way hold no more of a device than there is of it."""
    held: dict[tuple[str, str], float] = {}
    running = sa.select(attempts).where(attempts.c.state == AttemptState.RUNNING)
    # Those that share a worker share what it holds.
    workers = {row.beside or row.id: row for row in connection.execute(running)}
    for row in workers.values():
        for device, share in (("cpu", row.cpus), (row.device, row.gpu_share)):
            held[row.host, device] = held.get((row.host, device), 0.0) + share
    inventories = {row.name: row.inventory for row in connection.execute(sa.select(hosts))}
    for (host, device), share in sorted(held.items()):
        try:
            capacity = _capacity(inventories.get(host, {}).get("devices", ()), device)
        except (AttributeError, KeyError, TypeError):
            yield _unreadable(host)
            continue
        if capacity is not None and share > capacity + EPSILON:
            yield Breach(
                invariant="I9",
                detail=f"Attempts hold {share:g} of {device} on host {host}, which has "
                f"{capacity:g}.",
                remedy="Restart the scheduler: it ends what it finds running, and goes on with "
                "its trials.",
            )


def _unreadable(host: str) -> Breach:
    return Breach(
        invariant="I9",
        detail=f"What host {host} says of its devices cannot be read.",
        remedy=f"Start the service on {host}: it says it anew.",
    )


def _capacity(devices: Sequence[Any], name: str) -> float | None:
    return next((device["capacity"] for device in devices if device["name"] == name), None)

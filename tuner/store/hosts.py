"""Hosts: where schedulers lead or have led."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from tuner.db import hosts
from tuner.disk import DiskUse
from tuner.slots import Inventory
from tuner.store.rows import Row
from tuner.store.statements import plain, upsert

_ALL = sa.select(hosts).order_by(hosts.c.beat_at.desc(), hosts.c.name)


def all_hosts(connection: sa.Connection) -> Sequence[Row]:
    """All hosts, the one heard of last first."""
    return connection.execute(_ALL).all()


def disk_use(connection: sa.Connection) -> DiskUse | None:
    """What files take, by the host heard of last; None before its first measurement."""
    row = connection.execute(_ALL.limit(1)).one_or_none()
    found = None if row is None else row.inventory.get("disk")
    return None if found is None else DiskUse(**found)


def beat(
    connection: sa.Connection, inventory: Inventory, disk: DiskUse | None, now: datetime
) -> None:
    """Say that this host's scheduler lives, what is free on it, and what its files take."""
    facts = asdict(inventory) | {"disk": None if disk is None else asdict(disk)}
    changes = {"inventory": plain(facts), "beat_at": now}
    upsert(connection, hosts, {"name": inventory.host}, changes)

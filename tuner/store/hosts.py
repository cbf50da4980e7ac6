"""Hosts: where schedulers lead or have led."""

from collections.abc import Sequence

import sqlalchemy as sa

from tuner.db import hosts
from tuner.store.rows import Row

_ALL = sa.select(hosts).order_by(hosts.c.beat_at.desc(), hosts.c.name)


def all_hosts(connection: sa.Connection) -> Sequence[Row]:
    """All hosts, the one heard of last first."""
    return connection.execute(_ALL).all()

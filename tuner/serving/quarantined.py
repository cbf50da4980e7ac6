"""Which devices of this host its scheduler does not use for the time being."""

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime

from tuner import schema
from tuner.clock import utc_now
from tuner.db import Database
from tuner.errors import StoreUnavailable
from tuner.serving.database_findings import is_there
from tuner.settings import Settings
from tuner.store.hosts import all_hosts


def quarantined(settings: Settings, host: str) -> Mapping[str, datetime]:
    """Device → until when it is in quarantine, as the host's scheduler has said last.

    Of a database that cannot be read nothing is known, and no database is made.
    """
    if not is_there(settings):
        return {}
    try:
        with closing(Database(settings.url)) as database:
            return _read(database, host)
    except StoreUnavailable:
        return {}


def _read(database: Database, host: str) -> Mapping[str, datetime]:
    if schema.current(database) != schema.HEAD:
        return {}
    with database.reading() as connection:
        rows = [row for row in all_hosts(connection) if row.name == host]
    devices = [device for row in rows for device in row.inventory["devices"]]
    said = {d["name"]: d.get("quarantined_until") for d in devices}
    ends = {name: datetime.fromisoformat(until) for name, until in said.items() if until}
    return {name: until for name, until in ends.items() if until > utc_now()}

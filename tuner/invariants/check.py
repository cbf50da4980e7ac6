"""All that can be asserted of a database and its files, in one call."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from tuner.artifacts.store import ArtifactStore
from tuner.clock import utc_now
from tuner.db import Database, attempts, jobs, trials
from tuner.invariants import files, keys, of_jobs, of_trials, rules, studies
from tuner.invariants.breach import Breach


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """What was looked at, and what breaks an invariant there."""

    jobs: int
    trials: int
    attempts: int
    files: int
    breaches: tuple[Breach, ...]


def check_invariants(
    database: Database, store: ArtifactStore, host: Path, *, now: datetime | None = None
) -> Checkup:
    """Assert I1 to I12, as far as rows and files can tell. Nothing is changed.

    `host` is the folder of what attempts leave on this host.

    All rows are read in one snapshot, so that a scheduler may be at work; files that it gives up
    meanwhile are no breach. `now` is the time on its clock.

    Raises:
        StoreUnavailable: the database does not answer.
        ArtifactsUnavailable: the artifact store does not answer.
    """
    lying = files.listed(store, host)
    with database.reading() as connection:
        of_rows = list(check_rows(connection, now or utc_now()))
        orphans = list(files.check_orphans(connection, store, host, lying))
        named = files.named_files(connection)
        counts = [_count(connection, table) for table in (jobs, trials, attempts)]
    with TemporaryDirectory(prefix="tuner-checkup-") as cache:
        of_files = list(files.check_files(database, store, named, Path(cache)))
    return Checkup(
        jobs=counts[0],
        trials=counts[1],
        attempts=counts[2],
        files=len(named),
        breaches=(*of_rows, *orphans, *of_files),
    )


def check_rows(connection: sa.Connection, now: datetime) -> Iterator[Breach]:
    """Assert what the rows alone can tell, in one snapshot of them."""
    yield from keys.check_keys(connection)
    yield from rules.breaches(connection, of_jobs.JOBS, of_jobs.RULES, now)
    yield from rules.breaches(connection, of_trials.TRIALS, of_trials.RULES_OF_TRIALS, now)
    yield from rules.breaches(connection, of_trials.ATTEMPTS, of_trials.RULES_OF_ATTEMPTS, now)
    yield from keys.check_slots(connection)
    yield from studies.check_studies(connection)


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()

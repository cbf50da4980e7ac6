"""`tuner doctor --check-db` with 100,000 trials stored, beside reading the same rows once.

Nine jobs of 10,000 trials are over and one goes on, of which the checkup rebuilds the study; each
trial has an attempt and so many steps. Reading is what anybody must do who looks at each row: it
selects the columns the rules are about. Taking turns, on SQLite and PostgreSQL.

    python -m benchmarks.checkup [--jobs 10] [--trials 10000] [--steps 5] [--rounds 5]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import closing

import sqlalchemy as sa

from benchmarks.figures import surroundings, table
from benchmarks.scheduling import both_databases, empty_home
from benchmarks.stored import analyse, store_job
from tuner.clock import utc_now
from tuner.db import Database, attempts, events, hosts, jobs, trials
from tuner.invariants.check import check_rows

COLUMNS = (
    sa.select(trials.c.id, trials.c.job_id, trials.c.number, trials.c.state, trials.c.value)
    .add_columns(trials.c.attempts, trials.c.counted, trials.c.finished_at),
    sa.select(attempts.c.id, attempts.c.trial_id, attempts.c.state, attempts.c.reason)
    .add_columns(attempts.c.finished_at),
    sa.select(events.c.job_id, events.c.seq),
    sa.select(hosts),
)  # fmt: skip


def read(database: Database) -> None:
    """Every row once."""
    with database.reading() as connection:
        for query in COLUMNS:
            for _ in connection.execute(query):
                pass


def check(database: Database) -> None:
    """The checkup of the rows."""
    with database.reading() as connection:
        found = list(check_rows(connection, utc_now()))
    assert found == [], found[:3]


def seconds(do: Callable[[Database], None], database: Database) -> float:
    """How long it takes once."""
    began = time.perf_counter()
    do(database)
    return time.perf_counter() - began


def fill(database: Database, given: argparse.Namespace) -> None:
    """Store the jobs; the last one goes on."""
    for _ in range(given.jobs):
        ulid = store_job(database, given.trials, steps=given.steps)
    budget = {"trials": given.trials, "epochs": 20}
    with database.writing() as connection:
        connection.execute(sa.update(jobs).values(budget=budget))
        last = sa.update(jobs).where(jobs.c.ulid == ulid)
        connection.execute(last.values(state="running", finished_at=None))
    analyse(database)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(surroundings())
    rows = []
    with empty_home() as settings, both_databases(settings) as urls:
        for name in ("SQLite", "PostgreSQL"):
            with closing(Database(urls[name])) as database:
                fill(database, given)
                pairs = [
                    (seconds(read, database), seconds(check, database)) for _ in range(given.rounds)
                ]
            reading, checking = (statistics.median(times) for times in zip(*pairs, strict=True))
            ratio = statistics.median(b / a for a, b in pairs)
            rows.append((name, f"{reading:.2f} s", f"{checking:.2f} s", f"{ratio:.1f}"))
    print(table(("database", "rows read once", "checkup", "ratio"), rows))


if __name__ == "__main__":
    main()

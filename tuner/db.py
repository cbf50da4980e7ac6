"""The tables, and how to open a database that holds them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from tuner.asking import Asker, asking
from tuner.columns import BigId, Json, UtcDateTime
from tuner.engines import answering, postgres_asking_engine, postgres_engine, sqlite_engine

#: How long a request waits for what others have locked.
PATIENCE_S: Final = 5.0

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0")


def _owner(target: str, *, nullable: bool = False) -> sa.Column[int]:
    key = sa.ForeignKey(f"{target}s.id", ondelete="CASCADE")
    return sa.Column(f"{target}_id", BigId, key, nullable=nullable)


jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("ulid", sa.String(40), nullable=False, unique=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    # What was asked for, validated and with its defaults; never changes.
    sa.Column("spec", Json, nullable=False),
    # What the service made of it: space, metric, direction, seed, shape of the data, notes.
    sa.Column("plan", Json, nullable=False),
    # The settings a PATCH may change; `revision` counts their changes only.
    sa.Column("budget", Json, nullable=False),
    sa.Column("parallel", sa.Integer),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("labels", Json, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
    # Counts every change of the row: the ETag.
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("idempotency_key", sa.String(200), unique=True),
    sa.Column("spec_digest", sa.String(64), nullable=False),
    # Counters (created = the sum of the others) and the best trial, kept by the scheduler.
    _count("created"),
    _count("queued"),
    _count("running"),
    _count("paused"),
    _count("completed"),
    _count("pruned"),
    _count("failed"),
    _count("cancelled"),
    sa.Column("best_value", sa.Float),
    sa.Column("best_number", sa.Integer),
    _count("last_event"),
    # Seconds the job has spent in state running until `running_since`.
    sa.Column("run_seconds", sa.Float, nullable=False, server_default="0"),
    sa.Column("running_since", UtcDateTime),
    # Slot-seconds of all attempts ended so far.
    sa.Column("busy_seconds", sa.Float, nullable=False, server_default="0"),
    sa.Column("reason", sa.String(32)),
    sa.Column("detail", sa.Text),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("finished_at", UtcDateTime),
    sa.Index("ix_jobs_state_id", "state", "id"),
)

trials = sa.Table(
    "trials",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    _owner("job"),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("params", Json, nullable=False),
    # Where the parameters come from: default, start, enqueued or sampler.
    sa.Column("source", sa.String(16), nullable=False),
    # The sampler's and the pruner's notes on this trial, without which they could not go on.
    sa.Column("system_attrs", Json, nullable=False),
    sa.Column("value", sa.Float),
    sa.Column("best_step", sa.Integer),
    sa.Column("last_step", sa.Integer),
    _count("attempts"),
    # Attempts that count against the limit.
    _count("counted"),
    sa.Column("reason", sa.String(32)),
    sa.Column("detail", sa.Text),
    # Newest checkpoint and the trained model, relative to the artifact root.
    sa.Column("checkpoint_uri", sa.String(500)),
    sa.Column("model_uri", sa.String(500)),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("finished_at", UtcDateTime),
    # While it runs: how far it is on the way to the step after `last_step`.
    sa.Column("progress", Json),
    # Of an objective that suggests its own parameters, from what ranges: Optuna's distributions.
    sa.Column("distributions", Json),
    # What an objective noted of itself.
    sa.Column("user_attrs", Json),
    # Of an objective with several values, all of them; `value` is empty then.
    sa.Column("values", Json),
    sa.UniqueConstraint("job_id", "number"),
    sa.Index("ix_trials_job_id_state_value", "job_id", "state", "value", "number"),
    sa.Index("ix_trials_job_id_state_number", "job_id", "state", "number"),
    sa.Index("ix_trials_job_id_value", "job_id", "value", "number"),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    _owner("job"),
    # None for the job's probe, which is an attempt of no trial.
    _owner("trial", nullable=True),
    sa.Column("ordinal", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(32)),
    sa.Column("detail", sa.Text),
    sa.Column("traceback", sa.Text),
    sa.Column("exit_code", sa.Integer),
    sa.Column("host", sa.String(200), nullable=False),
    sa.Column("device", sa.String(32), nullable=False),
    sa.Column("cpus", sa.Float, nullable=False),
    sa.Column("gpu_share", sa.Float, nullable=False, server_default="0"),
    # The first attempt of the worker it joined, if it joined one; they share the slot above.
    sa.Column("beside", sa.BigInteger),
    sa.Column("facts", Json),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.Index("ix_attempts_trial_id", "trial_id", "ordinal"),
    sa.Index("ix_attempts_job_id_state", "job_id", "state"),
    sa.Index("ix_attempts_state", "state"),
)

metrics = sa.Table(
    "metrics",
    metadata,
    sa.Column("trial_id", BigId, sa.ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("attempt_id", BigId, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    # {"val_loss": 0.1, …}; a value that is not finite is stored as null.
    sa.Column("values", Json, nullable=False),
    sqlite_with_rowid=False,
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    _owner("job"),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("trial", sa.Integer),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("data", Json, nullable=False),
    sa.UniqueConstraint("job_id", "seq"),
)

requests = sa.Table(
    "requests",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    _owner("job"),
    # pause, resume, cancel, patch, enqueue or delete.
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("payload", Json, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("applied_at", UtcDateTime),
    # {"ok": true, …} or {"ok": false, "error": "TransitionRefused", …}.
    sa.Column("outcome", Json),
    sa.Index(
        "ix_requests_waiting",
        "id",
        sqlite_where=sa.text("applied_at IS NULL"),
        postgresql_where=sa.text("applied_at IS NULL"),
    ),
    # With a job its requests are deleted.
    sa.Index("ix_requests_job_id", "job_id"),
)

study_attrs = sa.Table(
    "study_attrs",
    metadata,
    sa.Column("job_id", BigId, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("value", Json),
)

hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("inventory", Json, nullable=False),
    sa.Column("beat_at", UtcDateTime, nullable=False),
)

leadership = sa.Table(
    "leadership",
    metadata,
    # There is one row, 1, from the first leader on.
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    # Counts the leaders; what a leader writes is conditional on it. A key, so that PostgreSQL lets
    # a leader renew the row while a transaction of its own depends on it, and nobody take it.
    sa.Column("epoch", sa.Integer, nullable=False, unique=True),
    # "host:pid"; None once it has stepped down.
    sa.Column("holder", sa.String(300)),
    sa.Column("since", UtcDateTime, nullable=False),
    # Until when, unless it is renewed; None where the kernel knows: on SQLite.
    sa.Column("expires", UtcDateTime),
    # PostgreSQL's process that serves the connection over which the leader renews.
    sa.Column("backend", sa.Integer),
)


class Database:
    """An open database: `reading()` and `writing()` are its two kinds of transaction.

    Safe to share between threads; each transaction has a connection of its own. What others have
    locked is waited for, for `patience_s`; then the database does not answer.
    """

    def __init__(self, url: str, *, patience_s: float = PATIENCE_S) -> None:
        self.url = make_url(url)
        connect = postgres_engine if self.is_postgres else sqlite_engine
        self.engine = connect(url, patience_s)
        # SQLite's connections are in autocommit wherever no transaction is begun.
        self._askers = postgres_asking_engine(url, patience_s) if self.is_postgres else self.engine
        # Made once: an engine with options of its own costs as much as a query.
        snapshot = {"isolation_level": "REPEATABLE READ"} if self.is_postgres else {}
        self._readers = self.engine.execution_options(tuner_writes=False, **snapshot)
        self._writers = self.engine.execution_options(tuner_writes=True)
        self._condition: Callable[[sa.Connection], object] = lambda connection: None

    def on_condition(self, condition: Callable[[sa.Connection], object]) -> "Database":
        """This very database, where each writing transaction begins with `condition`.

        What that raises, the transaction raises.
        """
        conditional = copy(self)
        conditional._condition = condition
        return conditional

    @property
    def is_postgres(self) -> bool:
        """Whether the server is PostgreSQL (else it is SQLite)."""
        return self.url.get_backend_name() == "postgresql"

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A read-only transaction: one snapshot for all its queries."""
        with self._transaction(self._readers) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that commits at the end, or leaves nothing behind."""
        with self._transaction(self._writers) as connection:
            self._condition(connection)
            yield connection

    @contextmanager
    def asking(self) -> Iterator[Asker]:
        """For single queries, asked often: no transaction, and no snapshot that two would share."""
        with answering(), asking(self._askers) as asker:
            yield asker

    @contextmanager
    def _transaction(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        with answering(), engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        self._askers.dispose()

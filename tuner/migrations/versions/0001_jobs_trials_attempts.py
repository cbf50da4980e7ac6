"""Jobs, their trials and attempts, and what belongs to them: the beginning."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

Time = sa.DateTime(timezone=True)
Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """From an empty database."""
    _create_jobs()
    _create_trials()
    _create_attempts()
    _create_metrics()
    _create_events()
    _create_requests()
    _create_study_attrs()
    _create_hosts()


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0")


def _belongs_to(table: str, target: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{target}_id"
    return sa.ForeignKeyConstraint([f"{target}_id"], [f"{target}s.id"], name, ondelete="CASCADE")


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", BigId, nullable=False),
        sa.Column("ulid", sa.String(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("spec", Json, nullable=False),
        sa.Column("plan", Json, nullable=False),
        sa.Column("budget", Json, nullable=False),
        sa.Column("parallel", sa.Integer),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("labels", Json, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("idempotency_key", sa.String(200)),
        sa.Column("spec_digest", sa.String(64), nullable=False),
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
        sa.Column("run_seconds", sa.Float, nullable=False, server_default="0"),
        sa.Column("running_since", Time),
        sa.Column("busy_seconds", sa.Float, nullable=False, server_default="0"),
        sa.Column("reason", sa.String(32)),
        sa.Column("detail", sa.Text),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("started_at", Time),
        sa.Column("finished_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("ulid", name="uq_jobs_ulid"),
        sa.UniqueConstraint("idempotency_key", name="uq_jobs_idempotency_key"),
    )
    op.create_index("ix_jobs_state_id", "jobs", ["state", "id"])


def _create_trials() -> None:
    op.create_table(
        "trials",
        sa.Column("id", BigId, nullable=False),
        sa.Column("job_id", BigId, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("params", Json, nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("system_attrs", Json, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("best_step", sa.Integer),
        sa.Column("last_step", sa.Integer),
        _count("attempts"),
        _count("counted"),
        sa.Column("reason", sa.String(32)),
        sa.Column("detail", sa.Text),
        sa.Column("checkpoint_uri", sa.String(500)),
        sa.Column("model_uri", sa.String(500)),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("started_at", Time),
        sa.Column("finished_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_trials"),
        _belongs_to("trials", "job"),
        sa.UniqueConstraint("job_id", "number", name="uq_trials_job_id_number"),
    )
    for name, columns in {
        "ix_trials_job_id_state_value": ["job_id", "state", "value", "number"],
        "ix_trials_job_id_state_number": ["job_id", "state", "number"],
        "ix_trials_job_id_value": ["job_id", "value", "number"],
    }.items():
        op.create_index(name, "trials", columns)


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", BigId, nullable=False),
        sa.Column("job_id", BigId, nullable=False),
        sa.Column("trial_id", BigId),
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
        sa.Column("facts", Json),
        sa.Column("started_at", Time, nullable=False),
        sa.Column("finished_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        _belongs_to("attempts", "job"),
        _belongs_to("attempts", "trial"),
    )
    op.create_index("ix_attempts_trial_id", "attempts", ["trial_id", "ordinal"])
    op.create_index("ix_attempts_job_id_state", "attempts", ["job_id", "state"])
    op.create_index("ix_attempts_state", "attempts", ["state"])


def _create_metrics() -> None:
    op.create_table(
        "metrics",
        sa.Column("trial_id", BigId, nullable=False),
        sa.Column("step", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("attempt_id", BigId, nullable=False),
        sa.Column("at", Time, nullable=False),
        sa.Column("values", Json, nullable=False),
        sa.PrimaryKeyConstraint("trial_id", "step", name="pk_metrics"),
        _belongs_to("metrics", "trial"),
        sqlite_with_rowid=False,
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", BigId, nullable=False),
        sa.Column("job_id", BigId, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("trial", sa.Integer),
        sa.Column("at", Time, nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        _belongs_to("events", "job"),
        sa.UniqueConstraint("job_id", "seq", name="uq_events_job_id_seq"),
    )


def _create_requests() -> None:
    op.create_table(
        "requests",
        sa.Column("id", BigId, nullable=False),
        sa.Column("job_id", BigId, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("payload", Json, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("applied_at", Time),
        sa.Column("outcome", Json),
        sa.PrimaryKeyConstraint("id", name="pk_requests"),
        _belongs_to("requests", "job"),
    )
    waiting = sa.text("applied_at IS NULL")
    op.create_index(
        "ix_requests_waiting", "requests", ["id"], sqlite_where=waiting, postgresql_where=waiting
    )
    op.create_index("ix_requests_job_id", "requests", ["job_id"])


def _create_study_attrs() -> None:
    op.create_table(
        "study_attrs",
        sa.Column("job_id", BigId, nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("value", Json),
        sa.PrimaryKeyConstraint("job_id", "key", name="pk_study_attrs"),
        _belongs_to("study_attrs", "job"),
    )


def _create_hosts() -> None:
    op.create_table(
        "hosts",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("inventory", Json, nullable=False),
        sa.Column("beat_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_hosts"),
    )

"""Who schedules: one row, which the leader renews, and whose epoch its writes name."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """A table without a row: nobody has led yet."""
    op.create_table(
        "leadership",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("holder", sa.String(300)),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True)),
        sa.Column("backend", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_leadership"),
        sa.UniqueConstraint("epoch", name="uq_leadership_epoch"),
    )

"""How far a running trial is on the way to its next step."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """One column, empty in all trials there are."""
    op.add_column("trials", sa.Column("progress", Json))

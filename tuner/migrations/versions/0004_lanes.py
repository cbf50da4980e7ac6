"""Which attempts share a worker."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """One column, empty in all attempts there are: each had a worker of its own."""
    op.add_column("attempts", sa.Column("beside", sa.BigInteger))

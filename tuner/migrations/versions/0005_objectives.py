"""What an objective says of its trials while it runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"

Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Three columns, empty in all trials there are: the service trained them itself."""
    for name in ("distributions", "user_attrs", "values"):
        op.add_column("trials", sa.Column(name, Json))

"""What kinds of work beyond collecting want to know."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Give jobs parameters."""
    op.add_column("job", sa.Column("params", sa.Text(), nullable=False, server_default="{}"))


def downgrade() -> None:
    """Take them away."""
    op.drop_column("job", "params")

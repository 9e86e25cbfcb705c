"""Files of reports, limits of single jobs, wrong passwords."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make their tables and columns."""
    op.add_column("job", sa.Column("max_retries", sa.Integer()))
    op.add_column("job", sa.Column("max_runtime", sa.BigInteger()))
    op.add_column("job", sa.Column("ran", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("job", sa.Column("running_since", sa.BigInteger()))
    op.create_table(
        "report",
        sa.Column("job", sa.BigInteger(), primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "attempt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(), primary_key=True),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_index("attempt_key", "attempt", ["key", "at"])


def downgrade() -> None:
    """Take them away."""
    op.drop_table("attempt")
    op.drop_table("report")
    for name in ("running_since", "ran", "max_runtime", "max_retries"):
        op.drop_column("job", name)

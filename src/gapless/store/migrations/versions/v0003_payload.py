"""Raw answers, beside the rows that were read from them; how many cells of a job had a record when it was made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make their table."""
    op.add_column("job", sa.Column("found", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "payload",
        sa.Column("series", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("parser", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("fetched_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("again_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint('"start" < "end"', name="payload_is_a_span"),
        sa.PrimaryKeyConstraint("series", "name", "version"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "payload_again",
        "payload",
        ["again_at"],
        sqlite_where=sa.text("again_at IS NOT NULL"),
        postgresql_where=sa.text("again_at IS NOT NULL"),
    )


def downgrade() -> None:
    """Take it away."""
    op.drop_table("payload")
    op.drop_column("job", "found")

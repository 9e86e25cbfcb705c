"""Events compared with their sector: columns of a data table that older versions have made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"

_TABLE = "data_events"
_NEW = {"per_to_sector": sa.Double(), "sector_basis": sa.Text()}


def upgrade() -> None:
    """Add the columns, where the table is there without them."""
    inspector = sa.inspect(op.get_bind())
    if not inspector.has_table(_TABLE):
        return
    here = {column["name"] for column in inspector.get_columns(_TABLE)}
    for name, kind in _NEW.items():
        if name not in here:
            op.add_column(_TABLE, sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    """Take them away."""
    if sa.inspect(op.get_bind()).has_table(_TABLE):
        for name in _NEW:
            op.drop_column(_TABLE, name)

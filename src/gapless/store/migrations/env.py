"""Run by Alembic, with the connection that `store.open` gives it."""

from __future__ import annotations

from alembic import context

from gapless.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()

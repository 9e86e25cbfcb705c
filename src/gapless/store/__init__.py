"""Durable state: schema, statements and page commits on SQLite and PostgreSQL."""

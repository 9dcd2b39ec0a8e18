"""Databases: SQLite and PostgreSQL opened, their schema, errors, a host's own connections."""

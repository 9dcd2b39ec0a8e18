"""Tests of the event store, on SQLite and PostgreSQL."""

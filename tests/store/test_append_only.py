"""What was recorded stays: a plain connection that knows nothing of salesflow is refused."""

import sqlite3
from collections.abc import Iterator

import psycopg
import pytest

from databases import plain_connection
from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog
from store.facts import NOTES, drafts

REFUSED = (sqlite3.IntegrityError, psycopg.errors.RestrictViolation)

CHANGES = [
    "UPDATE salesflow_events SET payload = payload WHERE position = 2",
    "UPDATE salesflow_events SET recorded = 0",
    "DELETE FROM salesflow_events WHERE position = 2",
    "DELETE FROM salesflow_events",
    "UPDATE salesflow_commands SET last = 7",
    "DELETE FROM salesflow_commands",
]

HEAD_CHANGES = [
    "DELETE FROM salesflow_head",
    "UPDATE salesflow_head SET position = 1",
    "UPDATE salesflow_head SET recorded = 1",
    "UPDATE salesflow_head SET tenant = 'other'",
]

EVENT = (
    "SELECT tenant, {position}, stream_id, {version}, event_id, topic, payload, occurred,"
    " recorded, precision, actor, command_id, correlation_id, causation_id, source, source_id,"
    " checksum FROM salesflow_events WHERE position = 2"
)

REPLACEMENTS = [
    f"INSERT OR REPLACE INTO salesflow_events {EVENT.format(position=2, version=2)}",
    f"INSERT OR REPLACE INTO salesflow_events {EVENT.format(position=2, version=9)}",
    f"INSERT OR REPLACE INTO salesflow_events {EVENT.format(position=4, version=2)}",
    f"INSERT INTO salesflow_events {EVENT.format(position=5, version=4)}",
    f"REPLACE INTO salesflow_events {EVENT.format(position=9, version=1)}",
    f"INSERT OR IGNORE INTO salesflow_events {EVENT.format(position=1, version=9)}",
    "INSERT OR REPLACE INTO salesflow_commands VALUES ('main', 'c-1', 1, 1, 1, NULL)",
]


@pytest.fixture
def recorded_url(database_url: str) -> Iterator[str]:
    """A database with three recorded events, checked to be the same at the end."""
    with Database(database_url) as database:
        log = EventLog(database, catalogue=NOTES)
        log.append(drafts(3), command_id="c-1")
        before = (log.head(), log.page(0, 10), log.receipt("c-1"))
    yield database_url
    with Database(database_url) as database:
        log = EventLog(database, catalogue=NOTES)
        assert (log.head(), log.page(0, 10), log.receipt("c-1")) == before


@pytest.mark.parametrize("statement", CHANGES)
def test_what_was_recorded_can_neither_be_changed_nor_removed(
    recorded_url: str, statement: str
) -> None:
    with (
        plain_connection(recorded_url) as connection,
        pytest.raises(REFUSED, match="salesflow: "),
    ):
        connection.execute(statement)


@pytest.mark.parametrize("statement", HEAD_CHANGES)
def test_where_the_log_stands_only_moves_forward(recorded_url: str, statement: str) -> None:
    refused = (psycopg.errors.RestrictViolation, sqlite3.OperationalError)
    with plain_connection(recorded_url) as connection, pytest.raises(refused):
        connection.execute(statement)


def test_people_can_see_where_every_log_stands(database: Database) -> None:
    receipts = [
        EventLog(database, tenant=tenant, catalogue=NOTES).append(drafts(size))
        for tenant, size in (("main", 3), ("other", 2))
    ]
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM salesflow_head ORDER BY tenant").all()
    assert rows == [
        ("main", 3, receipts[0].recorded, 0),
        ("other", 2, receipts[1].recorded, 0),
    ]


@pytest.mark.parametrize("table", ["salesflow_events", "salesflow_commands", "salesflow_head"])
def test_postgresql_refuses_to_truncate(postgres_url: str, table: str) -> None:
    with (
        plain_connection(postgres_url) as connection,
        pytest.raises(psycopg.errors.RestrictViolation, match="TRUNCATE of salesflow_"),
    ):
        connection.execute(f"TRUNCATE {table}")


def test_postgresql_refuses_an_update_that_comes_as_an_insert(postgres_url: str) -> None:
    with Database(postgres_url) as database:
        EventLog(database, catalogue=NOTES).append(drafts(3))
    with (
        plain_connection(postgres_url) as connection,
        pytest.raises(psycopg.errors.RestrictViolation),
    ):
        connection.execute(
            f"INSERT INTO salesflow_events {EVENT.format(position=2, version=2)}"
            " ON CONFLICT (tenant, position) DO UPDATE SET payload = ''"
        )


def test_postgresql_triggers_fire_for_replication_roles_too(postgres_url: str) -> None:
    with Database(postgres_url) as database:
        EventLog(database, catalogue=NOTES).append(drafts(3))
    with plain_connection(postgres_url) as connection:
        connection.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute("DELETE FROM salesflow_events")


@pytest.mark.parametrize("statement", REPLACEMENTS)
def test_sqlite_refuses_to_replace_by_inserting(sqlite_url: str, statement: str) -> None:
    with Database(sqlite_url) as database:
        EventLog(database, catalogue=NOTES).append(drafts(3), command_id="c-1")
    with plain_connection(sqlite_url) as connection:
        before = connection.execute("SELECT * FROM salesflow_events").fetchall()
        with pytest.raises(sqlite3.IntegrityError, match="salesflow: "):
            connection.execute(statement)
        assert connection.execute("SELECT * FROM salesflow_events").fetchall() == before


def test_without_the_trigger_a_replacement_would_slip_through(sqlite_url: str) -> None:
    with Database(sqlite_url) as database:
        EventLog(database, catalogue=NOTES).append(drafts(3))
    with plain_connection(sqlite_url) as connection:
        connection.execute("DROP TRIGGER salesflow_events_insert")
        connection.execute(REPLACEMENTS[1])
        assert connection.execute(
            "SELECT version FROM salesflow_events ORDER BY position"
        ).fetchall() == [(1,), (9,), (3,)]

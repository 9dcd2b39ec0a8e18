"""The database behind the log and the read tables: SQLite or PostgreSQL, by URL alone.

`Database("sqlite:///sales.db")` or `Database("postgresql+psycopg://user@host/name")` opens,
checks that the database is ours and of this schema version, and creates the tables in an
empty one. `read()` gives one consistent snapshot, `begin()` a write transaction that commits
at the end of the block; both are SQLAlchemy connections. `sqlite://` without a file is a
temporary file that is gone after `close()`.

A database that holds other tables is refused, so that a mistyped URL harms nobody; pass
`shared=True` to keep the log beside the tables of your own service. With `create=False` only
a database that holds a log already is opened, and nothing is made.

What it leaves out: events (see `event_store.log`), and every table's meaning (see `schema`).
"""

from collections.abc import Callable
from typing import Final, Self

import sqlalchemy as sa

from salesflow.adapters.database import schema
from salesflow.adapters.database.connections import Connections
from salesflow.adapters.database.schema import STORE_TABLES, TABLES_THERE, lacking
from salesflow.adapters.database.sqlite import SqliteDatabase
from salesflow.adapters.database.url import (
    SQLITE,
    hint_of_copy,
    parsed_url,
    shown_url,
)
from salesflow.adapters.logs import DATABASE
from salesflow.domain.values import shown
from salesflow.errors import (
    DatabaseError,
    InputError,
    NotFoundError,
    SalesflowError,
    SchemaError,
)

__all__ = ["WAIT_SECONDS", "Database"]


WAIT_SECONDS = 5.0
WAIT_SECONDS_MAX: Final = 86_400
NOT_OURS: Final = "is not a salesflow database"
VERSION: Final = str(sa.select(schema.schema_row.c.version))


class Database:
    """One database, open. Close it, or use it as a context manager."""

    def __init__(
        self,
        url: str | sa.URL,
        *,
        shared: bool = False,
        create: bool = True,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        _ensure_bounded_waiting(wait_seconds)
        self.url = parsed_url(url, must_exist=not create)
        self.connections: Final = _kind_of(self.url)(self.url, wait_seconds)
        """What opens and uses it, each database in its own way; most is handed out here."""
        self.dialect: Final[str] = self.connections.name
        """`sqlite` or `postgresql`."""
        self.wait_seconds: Final[float] = self.connections.wait_seconds
        self.read: Final = self.connections.read
        self.begin: Final = self.connections.begin
        self.creating: Final = self.connections.creating
        self.whole: Final = self.connections.whole
        self.rows: Final = self.connections.rows
        self.change: Final = self.connections.change
        self.tables_version: Final = self.connections.tables_version
        self.ensure_not_replaced: Final = self.connections.ensure_not_replaced
        self.waiter: Final = self.connections.waiter
        self.translate_error: Final = self.connections.translate_error
        self.close: Final = self.connections.close
        try:
            self._check(shared=shared, create=create)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def engine(self) -> sa.Engine:
        """The SQLAlchemy engine, for those who need one of their own transactions."""
        return self.connections.engine

    @property
    def shown(self) -> str:
        """The URL for people: without a password."""
        return shown_url(self.url)

    def create_tables(self, metadata: sa.MetaData) -> None:
        """Create the tables that are missing; two processes may do so at once."""
        with self.creating() as connection:
            metadata.create_all(connection)

    def _check(self, *, shared: bool, create: bool) -> None:
        ready = self._holds_a_log()
        if not ready:
            with self.read() as connection:
                ready = self._is_ready(connection, shared=shared)
        if not ready and not create:
            raise NotFoundError(
                f"{self.shown} holds no log of salesflow{hint_of_copy(self.url)}"
            )
        self.connections.prepare()
        if not ready:
            self._make(shared=shared)

    def _make(self, *, shared: bool) -> None:
        with self.creating() as connection:
            if not self._is_ready(connection, shared=shared):
                _create(connection, self.connections.ddl)
                DATABASE.info("made the tables of a new log in %s", self.dialect)

    def _is_ready(self, connection: sa.Connection, *, shared: bool) -> bool:
        """Return whether the tables are there; refuse a database that is not ours to use."""
        if self._holds_a_log(connection):
            return True
        self._ensure_usable(connection, shared=shared)
        return False

    def _holds_a_log(self, connection: sa.Connection | None = None) -> bool:
        """Return whether the tables are there, all of them and of this schema version."""
        there = {name for (name,) in self.rows(TABLES_THERE[self.dialect], (), connection)}
        if schema.schema_row.name not in there:
            return False
        version = self._version(connection)
        if not isinstance(version, int):
            raise SchemaError(f"{self.shown} {NOT_OURS}: it has no schema version")
        if version != schema.SCHEMA_VERSION:
            raise SchemaError(f"{self.shown} has schema version {version}, {_way_out(version)}")
        lost = STORE_TABLES[self.dialect] - there
        if lost:
            raise lacking(self.shown, sorted(lost))
        return True

    def _version(self, connection: sa.Connection | None) -> object:
        """Return what the table of the schema version holds, None where it holds nothing."""
        driver = self.engine.dialect.loaded_dbapi
        try:
            return next((version for (version,) in self.rows(VERSION, (), connection)), None)
        except SalesflowError as error:
            if isinstance(error.__cause__, driver.OperationalError | driver.ProgrammingError):
                raise SchemaError(f"{self.shown} {NOT_OURS}: {error.__cause__}") from error
            raise

    def _ensure_usable(self, connection: sa.Connection, *, shared: bool) -> None:
        """Refuse to make tables beside those of others, or where some of ours are left."""
        inspector = sa.inspect(connection)
        others = sorted({*inspector.get_table_names(), *inspector.get_view_names()})
        left = [name for name in others if name.startswith(schema.TABLE_PREFIX)]
        if left:
            raise SchemaError(
                f"{self.shown} {NOT_OURS}, or no whole one any more: it holds {_some(left)},"
                f" and no {schema.schema_row.name}. If its tables were dropped (by a migration,"
                " say), put it back from a backup"
            )
        if others and not shared:
            raise SchemaError(
                f"{self.shown} {NOT_OURS}: it holds {_some(others)}."
                " Name another one; only a program of your own can put the log beside them"
                " (SalesFlow(url, shared=True))"
            )


def _kind_of(url: sa.URL) -> Callable[[sa.URL, float], Connections]:
    """Choose by URL; what needs psycopg is imported only where PostgreSQL is meant."""
    if url.drivername in SQLITE:
        return SqliteDatabase
    try:
        from salesflow.adapters.database.postgres import PostgresDatabase
    except ImportError as error:
        raise DatabaseError(
            "PostgreSQL needs psycopg; run: pip install 'salesflow[postgres]'"
        ) from error
    return PostgresDatabase


def _way_out(version: int) -> str:
    """Return what to do about a database of another schema version."""
    ours = f"than this salesflow ({schema.SCHEMA_VERSION})"
    if version > schema.SCHEMA_VERSION:
        return f"newer {ours}; install the newer one"
    return (
        f"older {ours} can read; no release wrote it and there is no upgrade, so make it anew"
        " from its source"
    )


def _ensure_bounded_waiting(seconds: object) -> None:
    if isinstance(seconds, int | float) and not 0 <= seconds <= WAIT_SECONDS_MAX:
        raise InputError(
            f"wait_seconds is {shown(seconds)}; write a number of seconds, 0 to"
            f" {WAIT_SECONDS_MAX:,}"
        )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more tables"


def _create(connection: sa.Connection, ddl: tuple[str, ...]) -> None:
    here = connection.dialect.name
    tables = [t for t in schema.STORE.sorted_tables if t.info.get("only", here) == here]
    schema.STORE.create_all(connection, tables=tables, checkfirst=False)
    for statement in ddl:
        connection.exec_driver_sql(statement)
    connection.execute(schema.schema_row.insert().values(id=1, version=schema.SCHEMA_VERSION))

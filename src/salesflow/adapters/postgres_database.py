"""PostgreSQL: how its connections are opened, locked and closed.

SQLAlchemy's pool serves transactions. Reads of the log and appends use connections that commit
every statement by itself, so that each costs one round trip. All of them give up waiting for
a lock after the database's `wait_seconds`.
"""

import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any
from weakref import WeakSet

import psycopg
import sqlalchemy as sa

from salesflow.adapters.idle import Idle
from salesflow.adapters.schema import POSTGRES_DDL
from salesflow.errors import BusyError, DatabaseError, InputError, SalesflowError

__all__ = [
    "CHANNEL",
    "PostgresConnection",
    "PostgresCursor",
    "PostgresDatabase",
    "postgres_connection",
    "translate_postgres",
]

PostgresConnection = psycopg.Connection[tuple[Any, ...]]
PostgresCursor = psycopg.Cursor[tuple[Any, ...]]
Row = tuple[Any, ...]

CHANNEL = "salesflow_log"
"""Where appends are announced; the payload is the tenant."""

CREATING = 0x5A1E5F10
"""The advisory lock that keeps two processes from creating tables at the same time."""

BUSY_STATES = frozenset({"55P03", "40001", "40P01", "57014"})


class PostgresDatabase:
    """The connections to one PostgreSQL database."""

    name = "postgresql"
    ddl = POSTGRES_DDL

    def __init__(self, url: sa.URL, wait_seconds: float) -> None:
        self.wait_seconds = wait_seconds
        self.engine = sa.create_engine(
            url, pool_size=8, max_overflow=32, pool_pre_ping=True, use_native_hstore=False
        )
        sa.event.listen(self.engine, "connect", self._configure)
        self._url = url
        self._idle: Idle[PostgresCursor] = Idle(
            lambda: self.connect().cursor(binary=True), lambda cursor: cursor.connection.close()
        )
        self._own: WeakSet[PostgresConnection] = WeakSet()
        self._closed = False

    def prepare(self) -> None:
        """Do nothing: a PostgreSQL database needs no setting of ours."""

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Give a connection in one consistent snapshot."""
        with self.engine.connect() as connection:
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            with connection.begin() as transaction:
                yield connection
                transaction.rollback()

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Give a connection in a write transaction."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def creating(self) -> Iterator[sa.Connection]:
        """Give a write transaction that excludes other creators."""
        with self.engine.begin() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(CREATING)))
            yield connection

    def rows(
        self, statement: str, parameters: Row, connection: sa.Connection | None
    ) -> list[Row]:
        """Run one select through the driver, on the caller's connection or an idle one."""
        query = _query(statement)
        try:
            if connection is not None:
                raw = postgres_connection(connection.connection)
                with raw.cursor(binary=True) as cursor:
                    return cursor.execute(query, parameters).fetchall()
            try:
                return self._select(query, parameters)
            except psycopg.OperationalError:
                self._idle.clear()  # the server may have been restarted: once more, afresh
                return self._select(query, parameters)
        except psycopg.Error as error:
            raise translate_postgres(error) from error

    def _select(self, query: bytes, parameters: Row) -> list[Row]:
        cursor = self._idle.take()
        try:
            rows = cursor.execute(query, parameters, prepare=True).fetchall()
        except BaseException:
            self._idle.drop(cursor)
            raise
        self._idle.give_back(cursor)
        return rows

    def connect(self) -> PostgresConnection:
        """Open a connection of its own, closed at the latest with the database."""
        if self._closed:
            raise DatabaseError("the database is closed")
        args, options = self.engine.dialect.create_connect_args(self._url)
        try:
            connection = psycopg.connect(*args, autocommit=True, **options)
        except psycopg.Error as error:
            raise translate_postgres(error) from error
        self._configure(connection)
        self._own.add(connection)
        return connection

    def waiter(self) -> "PostgresWaiter":
        """Give what waits for commits of anybody."""
        return PostgresWaiter(self)

    def announce(self) -> None:
        """Do nothing: the append itself notifies."""

    def translated(self, error: Exception) -> SalesflowError:
        """Turn an error of SQLAlchemy around a driver's error into ours."""
        if isinstance(error, sa.exc.DBAPIError) and isinstance(error.orig, psycopg.Error):
            return translate_postgres(error.orig)
        return DatabaseError(str(error))

    def close(self) -> None:
        """Close every connection."""
        self._closed = True
        self.engine.dispose()
        self._idle.close()
        for connection in list(self._own):
            connection.close()

    def _configure(self, connection: PostgresConnection, _record: object = None) -> None:
        autocommit, connection.autocommit = connection.autocommit, True
        milliseconds = str(int(self.wait_seconds * 1000))
        connection.execute("SELECT set_config('lock_timeout', %s, false)", [milliseconds])
        connection.autocommit = autocommit


class PostgresWaiter:
    """Waits for NOTIFY on a connection of its own, or for a byte from another thread."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._connection: PostgresConnection | None = None
        self._selector: selectors.BaseSelector | None = None
        self._ends: tuple[socket.socket, ...] = ()

    def listen(self) -> None:
        """Begin to listen; from then on every commit is heard."""
        if self._connection is not None:
            return
        self._connection = self._database.connect()
        self._connection.execute(f"LISTEN {CHANNEL}")
        self._ends = socket.socketpair()
        self._ends[1].setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._connection.pgconn.socket, selectors.EVENT_READ)
        self._selector.register(self._ends[0], selectors.EVENT_READ)

    def wait(self, seconds: float) -> None:
        """Return when notified, when woken, or when the time is up."""
        if self._connection is None or self._selector is None:
            return
        raw = self._connection.pgconn
        try:
            if raw.notifies() is None:
                self._selector.select(seconds)
            raw.consume_input()
            while raw.notifies() is not None:
                pass
        except psycopg.Error as error:
            raise translate_postgres(error) from error

    def wake(self) -> None:
        """End a wait in another thread."""
        for end in self._ends[1:]:
            with suppress(OSError):
                end.send(b"!")

    def close(self) -> None:
        """Stop listening."""
        if self._selector is not None:
            self._selector.close()
        for end in self._ends:
            end.close()
        if self._connection is not None:
            self._connection.close()
        self._selector = self._connection = None


def postgres_connection(pooled: sa.PoolProxiedConnection) -> PostgresConnection:
    """Give the driver's connection behind one of SQLAlchemy's."""
    raw: object = pooled.dbapi_connection
    if not isinstance(raw, psycopg.Connection):
        raise InputError(f"this database is PostgreSQL, the connection is one of {type(raw)}")
    return raw


@cache
def _query(statement: str) -> bytes:
    return statement.replace("?", "%s").encode()


def translate_postgres(error: psycopg.Error) -> SalesflowError:
    """Turn an error of the driver into one of ours."""
    if error.sqlstate in BUSY_STATES:
        return BusyError(f"another writer held the log for too long: {error}")
    if isinstance(error, psycopg.DataError):
        return InputError(f"PostgreSQL cannot store the value: {error}")
    return DatabaseError(f"PostgreSQL: {error}")

"""PostgreSQL: how its connections are opened, locked and closed.

Two pools on one URL: one for SQLAlchemy's transactions, and one whose connections commit
every statement by itself, so that a read or an append costs one round trip. Both give up
waiting for a lock after the database's `wait_seconds`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import psycopg
import sqlalchemy as sa

from salesflow.adapters.schema import POSTGRES_DDL
from salesflow.errors import BusyError, DatabaseError, InputError, SalesflowError

__all__ = [
    "PostgresConnection",
    "PostgresDatabase",
    "postgres_connection",
    "translate_postgres",
]

PostgresConnection = psycopg.Connection[tuple[Any, ...]]
Row = tuple[Any, ...]

CREATING = 0x5A1E5F10
"""The advisory lock that keeps two processes from creating tables at the same time."""

BUSY_STATES = frozenset({"55P03", "40001", "40P01", "57014"})


class PostgresDatabase:
    """The connections to one PostgreSQL database."""

    name = "postgresql"
    ddl = POSTGRES_DDL

    def __init__(self, url: sa.URL, wait_seconds: float) -> None:
        self.wait_seconds = wait_seconds
        self.engine = sa.create_engine(url, pool_size=8, max_overflow=32)
        self._single = sa.create_engine(
            url,
            pool_size=8,
            max_overflow=32,
            pool_reset_on_return=None,
            connect_args={"autocommit": True},
        )
        for engine in (self.engine, self._single):
            sa.event.listen(engine, "connect", self._configure)
        self._url = url
        self._own: WeakSet[PostgresConnection] = WeakSet()

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
        """Run one select through the driver, on the caller's connection or a pooled one."""
        query = statement.replace("?", "%s")
        try:
            if connection is not None:
                return _select(connection.connection, query, parameters)
            try:
                return self._pooled(query, parameters)
            except psycopg.OperationalError:
                self._single.dispose()  # the server may have been restarted: once more, afresh
                return self._pooled(query, parameters)
        except psycopg.Error as error:
            raise translate_postgres(error) from error

    def connect(self) -> PostgresConnection:
        """Open a connection of its own, closed at the latest with the database."""
        args, options = self._single.dialect.create_connect_args(self._url)
        try:
            connection = psycopg.connect(*args, autocommit=True, **options)
        except psycopg.Error as error:
            raise translate_postgres(error) from error
        self._configure(connection, None)
        self._own.add(connection)
        return connection

    def translated(self, error: Exception) -> Exception:
        """Turn an error of SQLAlchemy around a driver's error into ours."""
        if isinstance(error, sa.exc.DBAPIError) and isinstance(error.orig, psycopg.Error):
            return translate_postgres(error.orig)
        return DatabaseError(str(error))

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        self._single.dispose()
        for connection in list(self._own):
            connection.close()

    def _pooled(self, query: str, parameters: Row) -> list[Row]:
        pooled = self._single.raw_connection()
        try:
            return _select(pooled, query, parameters)
        finally:
            pooled.close()

    def _configure(self, connection: object, _record: object) -> None:
        raw = getattr(connection, "driver_connection", connection)
        autocommit, raw.autocommit = raw.autocommit, True
        raw.execute(f"SET lock_timeout = {int(self.wait_seconds * 1000)}")
        raw.autocommit = autocommit


def postgres_connection(pooled: sa.PoolProxiedConnection) -> PostgresConnection:
    """Give the driver's connection behind one of SQLAlchemy's."""
    raw = pooled.dbapi_connection
    if not isinstance(raw, psycopg.Connection):
        raise InputError(f"this database is PostgreSQL, the connection is one of {type(raw)}")
    return raw


def _select(pooled: sa.PoolProxiedConnection, query: str, parameters: Row) -> list[Row]:
    with postgres_connection(pooled).cursor(binary=True) as cursor:
        return cursor.execute(query, parameters, prepare=True).fetchall()  # type: ignore[arg-type]


def translate_postgres(error: psycopg.Error) -> SalesflowError:
    """Turn an error of the driver into one of ours."""
    if error.sqlstate in BUSY_STATES:
        return BusyError(f"another writer held the log for too long: {error}")
    if isinstance(error, psycopg.DataError):
        return InputError(f"PostgreSQL cannot store the value: {error}")
    return DatabaseError(f"PostgreSQL: {error}")

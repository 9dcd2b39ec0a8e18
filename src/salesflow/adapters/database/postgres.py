"""PostgreSQL: how its connections are opened, locked and closed.

SQLAlchemy's pool serves transactions. Reads of the log and appends use connections that commit
every statement by itself, so that each costs one round trip. All of them give up waiting for
a lock after the database's `wait_seconds`.
"""

import os
import re
import selectors
import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import count
from threading import Event as Flag
from time import monotonic
from typing import Any, NamedTuple
from weakref import WeakSet

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

from salesflow.adapters.database.connections import (
    Block,
    Connections,
    Patience,
    Row,
)
from salesflow.adapters.database.postgres_errors import translate_postgres
from salesflow.adapters.database.schema import POSTGRES_DDL
from salesflow.errors import (
    BusyError,
    DatabaseError,
    DisconnectedError,
    InputError,
    SalesflowError,
)

__all__ = [
    "CHANNEL",
    "PostgresConnection",
    "PostgresCursor",
    "PostgresDatabase",
    "is_idle",
    "numbered_cursor",
    "postgres_connection",
]


# What the URL of a PostgreSQL database says besides where it is.
#
# `?pgbouncer=true` says that a pool in transaction mode lies between: every transaction may run
# on another session of the server. Then no statement is prepared, nothing is set for a session,
# and followers look instead of listening. `prepare_threshold` is the driver's option so named:
# 0 prepares at once, `none` never. Everything else is libpq's own (`sslmode`, `options`, …).

POOLED = "pgbouncer"
THRESHOLD = "prepare_threshold"
YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


class Options(NamedTuple):
    """What was said, and the URL without what only we understand."""

    url: sa.URL
    pooled: bool
    """Whether sessions of the server change between transactions."""
    prepare_threshold: int | None

    @property
    def prepare(self) -> bool | None:
        """What to tell the driver of statements that are run again and again."""
        return None if self.prepare_threshold is None else True


def _options_of(url: sa.URL) -> Options:
    """Read the options of a URL.

    Raises:
        InputError: for an option that nobody knows, or a value it cannot have.
    """
    pooled = _yes_or_no(url.query.get(POOLED, "false"))
    text = url.query.get(THRESHOLD)
    threshold = _threshold(text) if text is not None else None if pooled else DEFAULT
    plain = url.difference_update_query([POOLED, THRESHOLD])
    try:
        make_conninfo(**{key: _one(key, value) for key, value in plain.query.items()})
    except psycopg.ProgrammingError as error:
        raise InputError(
            f"the URL has an option that PostgreSQL does not know: {error}; besides libpq's own"
            f" there are {POOLED} and {THRESHOLD}"
        ) from error
    return Options(plain, pooled, threshold)


DEFAULT = 5


def _one(key: str, value: str | tuple[str, ...]) -> str:
    """Return one value; several hosts are told as libpq wants them."""
    if isinstance(value, str):
        return value
    if key in ("host", "port"):
        return ",".join(value)
    raise InputError(f"the URL says {key} {len(value)} times; say it once")


def _yes_or_no(text: str | tuple[str, ...]) -> bool:
    word = _one(POOLED, text).lower()
    if word not in YES + NO:
        raise InputError(f"{POOLED}={word[:40]} in the URL: write true or false")
    return word in YES


def _threshold(text: str | tuple[str, ...]) -> int | None:
    word = _one(THRESHOLD, text).lower()
    if word == "none":
        return None
    if not (word.isascii() and word.isdigit() and len(word) < 10):
        raise InputError(f"{THRESHOLD}={word[:40]} in the URL: write a whole number, or none")
    return int(word)


PostgresConnection = psycopg.Connection[tuple[Any, ...]]
PostgresCursor = psycopg.Cursor[tuple[Any, ...]]

CHANNEL = "salesflow_log"
"""Where appends are announced; the payload is the tenant."""

ACTIVE = TransactionStatus.ACTIVE
IDLE_MAX = 16
POLL_SECONDS = 0.2

CREATING = 0x5A1E5F10
"""The advisory lock that keeps two processes from creating tables at the same time."""

WITHOUT_FLUSH = sa.text("SET LOCAL synchronous_commit = off")
SET_LOCK_TIMEOUT = sa.text("SELECT set_config('lock_timeout', :wait, :local)")

LIMIT = (
    b"SELECT set_config('statement_timeout',"
    b" (CASE WHEN t > 0 AND t < v.ours THEN t ELSE v.ours END)::text, true) FROM (SELECT"
    b" (extract(epoch FROM current_setting('statement_timeout')::interval) * 1000)::int8, %d)"
    b" AS v (t, ours)"
)
NO_LIMIT = b"SET LOCAL statement_timeout TO DEFAULT"


class PostgresDatabase(Connections):
    """The connections to one PostgreSQL database."""

    name = "postgresql"
    ddl = POSTGRES_DDL

    def __init__(self, url: sa.URL, wait_seconds: float) -> None:
        self.options = _options_of(url)
        self._url = self.options.url
        self._idle: list[PostgresCursor] = []
        """Those that read outside of SQLAlchemy: popped, and appended when done."""
        self._own: WeakSet[PostgresConnection] = WeakSet()
        super().__init__(
            url,
            wait_seconds,
            self._url,
            lambda raw: not is_idle(raw),
            pool_pre_ping=True,
            use_native_hstore=False,
            connect_args={"prepare_threshold": self.options.prepare_threshold},
        )
        sa.event.listen(self.engine, "connect", self._configure)

    def prepare(self) -> None:
        """Do nothing: it needs no setting of ours, and the server's files are its own."""

    def acquire_write_lock(self, block: Block) -> None:
        """Do nothing: rows are locked one by one, as they are written."""

    def enter(self, block: Block, connection: sa.Connection) -> None:
        """Begin a snapshot, or a transaction that writes."""
        if block.kind == "read":
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        else:  # whether it may write is for the role or the database to say, not for a reset
            postgres_connection(connection.connection).read_only = None
        connection.begin()
        if self.options.pooled and block.kind != "read":
            connection.execute(SET_LOCK_TIMEOUT, {"wait": self._milliseconds(), "local": True})
        if block.kind == "derive":
            connection.execute(WITHOUT_FLUSH)
        if block.kind == "create":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(CREATING)))

    def finish(self, block: Block) -> None:
        """Commit what was written; a snapshot is let go."""
        assert block.connection is not None
        if block.kind == "read":
            block.connection.rollback()
        else:
            block.connection.commit()

    def leave(self, block: Block) -> None:
        """Close a connection that an exception caught in the middle of a statement."""
        connection = block.connection
        if connection is not None and not connection.closed and not connection.invalidated:
            raw: object = connection.connection.dbapi_connection
            if isinstance(raw, psycopg.Connection) and raw.pgconn.transaction_status == ACTIVE:
                block.cut_off = True
                raw.close()

    def ensure_not_replaced(self) -> None:
        """Do nothing: no other database takes the place of one behind open connections."""

    def rows(
        self,
        statement: str,
        parameters: Row,
        connection: sa.Connection | None = None,
        look: bool = True,  # noqa: ARG002 - there is nothing to look at
    ) -> list[Row]:
        """Run one select through the driver, on the caller's connection or an idle one."""
        query = _numbered(statement)
        try:
            if connection is not None:
                raw = postgres_connection(connection.connection)
                with numbered_cursor(raw) as cursor:
                    return cursor.execute(query, parameters).fetchall()
            try:
                return self._select(query, parameters)
            except psycopg.OperationalError:
                self._close_idle()  # the server may have been restarted: once more, afresh
                return self._select(query, parameters)
        except psycopg.Error as error:
            raise translate_postgres(error) from error

    def change(
        self,
        statement: str,
        parameters: Row,
        connection: sa.Connection,
        patience: Patience | None = None,
    ) -> int:
        """Change rows that others may hold, in one round trip.

        A row is waited for twice (for whoever waits before, and for whoever holds it), so that
        a limit of the whole statement is set, which a shorter one of the server replaces.

        Raises:
            BusyError: when the patience is at its end.
        """
        raw = postgres_connection(connection.connection)
        patience = patience or Patience(self.wait_seconds)
        limit, begun = patience.milliseconds, monotonic()
        query = b"; ".join((LIMIT % limit, statement.replace("?", "%s").encode(), NO_LIMIT))
        try:
            with patience.waiting(), psycopg.ClientCursor(raw) as cursor:
                cursor.execute(query, parameters)
                cursor.nextset()
                return cursor.rowcount
        except psycopg.errors.QueryCanceled as error:
            if (monotonic() - begun) * 1000 < limit:
                raise translate_postgres(error) from error
            raise BusyError(f"others held rows of read tables for too long: {error}") from error
        except psycopg.Error as error:
            raise translate_postgres(error) from error

    def known_as(self) -> Sequence[str]:
        """Return where it is reached, what it is called, the user, and the schema."""
        with Block(self, "read") as connection:
            raw = postgres_connection(connection.connection)
            [(user, schema)] = raw.execute("SELECT current_user, current_schema()").fetchall()
            return (raw.info.host, str(raw.info.port), raw.info.dbname, user, schema or "")

    def tables_version(self) -> None:
        """Give None: nothing tells whether a table was made or dropped."""

    def _select(self, query: bytes, parameters: Row) -> list[Row]:
        try:
            cursor = self._idle.pop()
        except IndexError:
            cursor = numbered_cursor(self.connect())
        try:
            rows = cursor.execute(query, parameters, prepare=self.options.prepare).fetchall()
        except BaseException:
            cursor.connection.close()
            raise
        self._idle.append(cursor)
        if self.closed or len(self._idle) > IDLE_MAX:
            self._idle.pop().connection.close()
        return rows

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().connection.close()

    def connect(self) -> PostgresConnection:
        """Open a connection of its own, closed at the latest with the database."""
        if self.closed:
            raise self.closed_error()
        args, options = self.engine.dialect.create_connect_args(self._url)
        options["prepare_threshold"] = self.options.prepare_threshold
        try:
            connection = psycopg.connect(*args, autocommit=True, **options)
        except psycopg.Error as error:
            raise translate_postgres(error) from error
        self._configure(connection)
        return connection

    def waiter(self) -> "PostgresWaiter | PollingWaiter":
        """Return what waits for commits of anybody."""
        return PollingWaiter() if self.options.pooled else PostgresWaiter(self)

    def translate_error(self, error: Exception) -> SalesflowError:
        """Turn an error of SQLAlchemy around a driver's error into ours."""
        if isinstance(error, sa.exc.DBAPIError) and isinstance(error.orig, psycopg.Error):
            return translate_postgres(error.orig)
        return DatabaseError(str(error))

    def close(self) -> None:
        """Close every connection."""
        self.closed = True
        self.engine.dispose()
        self._close_idle()
        for connection in list(self._own):
            connection.close()

    def after_fork_in_child(self) -> None:
        """Leave all connections to the parent, without a word to the server."""
        carried = list(self._own)
        for connection in carried:
            _cut_off(connection)
        self._own = WeakSet()
        self._idle = []
        self.holds.blocks.clear()
        self.engine.dispose(close=False)

    def _configure(self, connection: PostgresConnection, _record: object = None) -> None:
        self._own.add(connection)
        if self.options.pooled:
            return  # what is set here would be met by somebody else
        autocommit, connection.autocommit = connection.autocommit, True
        connection.execute(
            "SELECT set_config('lock_timeout', %s, false)", [self._milliseconds()]
        )
        connection.autocommit = autocommit

    def _milliseconds(self) -> str:
        return str(max(1, int(self.wait_seconds * 1000)))


def is_idle(connection: PostgresConnection) -> bool:
    """Return whether a connection is open and outside of any transaction."""
    return connection.pgconn.transaction_status == TransactionStatus.IDLE


def _cut_off(connection: PostgresConnection) -> None:
    """Keep a child process from ever writing to a connection of its parent.

    Its file descriptor leads nowhere from now on, so that closing it is heard by nobody.
    """
    with suppress(psycopg.Error, OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, connection.pgconn.socket)
        os.close(nowhere)


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
        connection = self._database.connect()
        try:
            connection.execute(f"LISTEN {CHANNEL}")
        except psycopg.Error as error:
            connection.close()
            raise translate_postgres(error) from error
        self._connection = connection
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
        except OSError as error:
            raise DisconnectedError(f"PostgreSQL cannot be reached: {error}") from error

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


class PollingWaiter:
    """Looks again and again, where a pool in between lets nobody listen."""

    def __init__(self) -> None:
        self._flag = Flag()

    def listen(self) -> None:
        """Forget that it was woken."""
        self._flag.clear()

    def wait(self, seconds: float) -> None:
        """Return when woken, or soon."""
        self._flag.wait(min(seconds, POLL_SECONDS))

    def wake(self) -> None:
        """End a wait in another thread."""
        self._flag.set()

    def close(self) -> None:
        """Do nothing."""


def postgres_connection(pooled: sa.PoolProxiedConnection) -> PostgresConnection:
    """Return the driver's connection behind one of SQLAlchemy's."""
    raw: object = pooled.dbapi_connection
    if not isinstance(raw, psycopg.Connection):
        raise InputError(f"this database is PostgreSQL, the connection is one of {type(raw)}")
    return raw


def numbered_cursor(connection: PostgresConnection) -> PostgresCursor:
    """Return a cursor that takes statements as the server does: `$1` for the first parameter.

    So the driver has nothing to read in them, which costs it a third of a short statement.
    """
    cursor = psycopg.RawCursor(connection)
    cursor.format = psycopg.pq.Format.BINARY
    return cursor


@lru_cache(maxsize=512)
def _numbered(statement: str) -> bytes:
    number = count(1)
    return re.sub(r"\?", lambda _: f"${next(number)}", statement).encode()

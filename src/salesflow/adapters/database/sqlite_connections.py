"""Connections to SQLite: how long they wait, what they read, what a fork makes of them.

No connection may be open while a process is forked.
SQLite's locks belong to the process, and its bookkeeping of them is inherited: a child that
opens a file which its parent held open at the fork believes to hold locks that it does not.
Therefore whoever forks closes all idle connections first, waits a moment for those in use, and
opens them again when they are needed. Where one stays in use the child refuses the file.
"""

import sqlite3
from collections.abc import Iterator
from threading import Event as Flag
from threading import Lock
from time import monotonic, sleep
from typing import Protocol
from weakref import WeakSet, ref

import sqlalchemy as sa

from salesflow.adapters.database.damage import WAY_OUT, altered, damaged
from salesflow.errors import (
    BusyError,
    DatabaseError,
    SalesflowError,
    SchemaError,
    StaleTransactionError,
    UnwritableError,
)

__all__ = [
    "BUSY",
    "FORK_SECONDS",
    "WRITABLE",
    "SqliteConnection",
    "SqliteWaiter",
    "close_cursors",
    "is_damage",
    "is_of_writing",
    "note_cursor",
    "open_among",
    "stale_transaction",
    "translate_sqlite",
    "use_wal",
    "wait_for_others",
    "wait_until",
]


FORK_SECONDS = 1.0
"""How long whoever forks waits for connections in use."""

BUSY_LOOK_SECONDS = 0.002
CURSORS_MAX = 100
"""Among so many, those that are gone are forgotten."""


class SqliteConnection(sqlite3.Connection):
    """A connection of ours, which knows how long it waits for other writers."""

    patience = 0
    """Milliseconds."""

    is_open = True

    cursors: list[ref[sqlite3.Cursor]]
    """Cursors of the transaction under way."""

    def close(self) -> None:
        """Close it, and remember that."""
        super().close()
        self.is_open = False


def open_among(connections: WeakSet[SqliteConnection]) -> list[SqliteConnection]:
    """Give those that are open."""
    return [each for each in connections if each.is_open]


def wait_for_others(seconds: float) -> Iterator[None]:
    """Look again and again until the time is up."""
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        yield
        sleep(BUSY_LOOK_SECONDS)


def note_cursor(_: sa.Connection, cursor: object, *_others: object) -> None:
    """Remember a cursor of the transaction under way.

    A set of weak references would run code where a cursor is let go, in which Python loses the
    exception of an interrupt.
    """
    if isinstance(cursor, sqlite3.Cursor) and isinstance(cursor.connection, SqliteConnection):
        known = cursor.connection.cursors
        known.append(ref(cursor))
        if len(known) > CURSORS_MAX:
            known[:] = [each for each in known if each() is not None]


def close_cursors(connection: sa.Connection) -> None:
    """Close what somebody stopped to read in the middle, which would keep its snapshot."""
    raw: object = connection.connection.dbapi_connection
    if isinstance(raw, SqliteConnection):
        for each in raw.cursors:
            cursor = each()
            if cursor is not None:
                cursor.close()
        raw.cursors = []


def wait_until(connection: sqlite3.Connection, deadline: float) -> None:
    """Let a connection wait for other writers no longer than to a point in time."""
    if not isinstance(connection, SqliteConnection):
        return
    left, patience = (deadline - monotonic()) * 1000, connection.patience
    if not patience * 0.95 - 5 <= left <= patience * 1.05 + 5:
        connection.patience = max(0, int(left))
        connection.execute(f"PRAGMA busy_timeout = {connection.patience}")


def use_wal(path: str, wait_seconds: float) -> None:
    """Turn the write-ahead log on; a neighbour that opens at the same time is waited for."""
    deadline = monotonic() + wait_seconds
    connection = sqlite3.connect(path, timeout=wait_seconds, isolation_level=None)
    try:
        while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            try:
                connection.execute("PRAGMA journal_mode=WAL").fetchone()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != BUSY or monotonic() > deadline:
                    raise
                sleep(0.005)
    finally:
        connection.close()


# What SQLite says when something goes wrong, turned into errors of ours.

NOT_A_DATABASE = 26
CORRUPT, WRONG_STATEMENT = 11, 1
BUSY, LOCKED, BUSY_SNAPSHOT = 5, 6, 517
READONLY, CANNOT_OPEN = 8, 14
FULL, IO_ERROR = 13, 10
WRITES = frozenset(IO_ERROR | number << 8 for number in (3, 4, 5, 6, 19, 20))
"""What goes wrong in writing: write, sync, truncate, the index of the write-ahead log."""
READS = frozenset(IO_ERROR | number << 8 for number in (1, 2, 33))
"""What goes wrong in reading: less there than should be, a file system that finds a fault."""
WRITABLE = "the file and its folder must be writable, also for asking"


def translate_sqlite(error: sqlite3.Error, file: str = "the file") -> SalesflowError:
    """Turn an error of the driver into one of ours."""
    whole = getattr(error, "sqlite_errorcode", 0)
    code = whole & 0xFF
    if whole in READS or code in (CORRUPT, NOT_A_DATABASE, WRONG_STATEMENT):
        return _unwhole(error, code, file)
    if whole == BUSY_SNAPSHOT:
        return stale_transaction(error)
    if code in (BUSY, LOCKED):
        return BusyError(
            f"another transaction held the SQLite file for too long: {error}; try again, or let"
            " it be waited for longer (wait_seconds)"
        )
    if code in (READONLY, CANNOT_OPEN):
        return UnwritableError(f"{file}: {error}; {WRITABLE}")
    if code == FULL or whole in WRITES:
        return UnwritableError(f"{file} cannot be written: {error}; make room on its disk")
    return DatabaseError(f"SQLite: {error}")


def _unwhole(error: sqlite3.Error, code: int, file: str) -> SalesflowError:
    """Say what is no longer whole; mostly a file, sometimes a statement of somebody's own."""
    if code == NOT_A_DATABASE:
        return SchemaError(
            f"{file} is not a SQLite database. Name another file; if it was one, {WAY_OUT}"
        )
    if code == CORRUPT:
        return damaged(file, error)
    if code == IO_ERROR:
        return damaged(f"{file} or {file}-wal beside it", error)
    if "salesflow_" in str(error):
        return altered(file, error)
    return DatabaseError(f"SQLite: {error}")


def is_damage(error: object) -> bool:
    """Say whether it went wrong since what is stored is not whole any more."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (CORRUPT, NOT_A_DATABASE)


def is_of_writing(error: sqlite3.Error) -> bool:
    """Say whether it went wrong since a file could not be written."""
    whole = getattr(error, "sqlite_errorcode", 0)
    return whole & 0xFF in (READONLY, CANNOT_OPEN, FULL) or whole in WRITES


def stale_transaction(error: sqlite3.Error) -> StaleTransactionError:
    """Say that a transaction began by reading and is too old to write."""
    return StaleTransactionError(
        "your transaction has read and can no longer write, since others write or have written"
        " after it began; roll it back and begin it anew, with a write first (BEGIN IMMEDIATE):"
        f" {error}"
    )


# Waiting for commits on SQLite, of this process and of others.

COMMIT_LOOK_SECONDS = 0.02
"""How often a waiter looks whether another process has committed."""


class Watched(Protocol):
    """The database whose commits are waited for."""

    waiting: WeakSet[Flag]
    waiters: "WeakSet[SqliteWaiter]"

    def connect(self) -> sqlite3.Connection:
        """Open a connection."""


class SqliteWaiter:
    """Looks at the file's `data_version`, which every commit of another connection changes."""

    def __init__(self, database: Watched) -> None:
        self._database = database
        self._flag = Flag()
        self._using = Lock()
        self._connection: sqlite3.Connection | None = None
        self._seen = 0

    def listen(self) -> None:
        """Note the version of the file before it is looked at."""
        self._flag.clear()
        if self._connection is None:
            self._connection = self._database.connect()
            self._database.waiting.add(self._flag)
            self._database.waiters.add(self)
        self._seen = self._version()

    def wait(self, seconds: float) -> None:
        """Return when the version changed, when woken, or when the time is up."""
        deadline = monotonic() + seconds
        while not self._flag.wait(COMMIT_LOOK_SECONDS) and monotonic() < deadline:
            if self._version() != self._seen:
                return

    def wake(self) -> None:
        """End a wait in another thread."""
        self._flag.set()

    def close(self) -> None:
        """Close the connection."""
        self._database.waiting.discard(self._flag)
        self._database.waiters.discard(self)
        self.pause()

    def pause(self) -> None:
        """Close the connection until it is needed again."""
        with self._using:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _version(self) -> int:
        """Give the version of the file; -1, which is always new, without a connection."""
        try:
            with self._using:
                if self._connection is None:
                    return -1
                return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as error:
            raise translate_sqlite(error) from error

"""Connections to SQLite: how long they wait, what they read, what a fork makes of them.

No connection may be open while a process is forked.
SQLite's locks belong to the process, and its bookkeeping of them is inherited: a child that
opens a file which its parent held open at the fork believes to hold locks that it does not.
Therefore whoever forks closes all idle connections first, waits a moment for those in use, and
opens them again when they are needed. Where one stays in use the child refuses the file.
"""

import sqlite3
from collections.abc import Iterator
from time import monotonic, sleep
from weakref import WeakSet, ref

import sqlalchemy as sa

from salesflow.adapters.sqlite_errors import BUSY

__all__ = [
    "FORK_SECONDS",
    "SqliteConnection",
    "close_cursors",
    "note_cursor",
    "open_among",
    "use_wal",
    "wait_for_others",
    "wait_until",
]

FORK_SECONDS = 1.0
"""How long whoever forks waits for connections in use."""

LOOK_SECONDS = 0.002
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
        sleep(LOOK_SECONDS)


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

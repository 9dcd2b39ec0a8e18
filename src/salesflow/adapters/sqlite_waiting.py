"""Waiting for commits on SQLite, of this process and of others."""

import sqlite3
from threading import Event as Flag
from time import monotonic
from typing import Protocol
from weakref import WeakSet

from salesflow.adapters.sqlite_errors import translate_sqlite

__all__ = ["SqliteWaiter"]

LOOK_SECONDS = 0.02
"""How often a waiter looks whether another process has committed."""


class Watched(Protocol):
    """The database whose commits are waited for."""

    waiting: WeakSet[Flag]

    def connect(self) -> sqlite3.Connection:
        """Open a connection."""


class SqliteWaiter:
    """Looks at the file's `data_version`, which every commit of another connection changes."""

    def __init__(self, database: Watched) -> None:
        self._database = database
        self._flag = Flag()
        self._connection: sqlite3.Connection | None = None
        self._seen = 0

    def listen(self) -> None:
        """Note the version of the file before it is looked at."""
        self._flag.clear()
        if self._connection is None:
            self._connection = self._database.connect()
            self._database.waiting.add(self._flag)
        self._seen = self._version(self._connection)

    def wait(self, seconds: float) -> None:
        """Return when the version changed, when woken, or when the time is up."""
        deadline = monotonic() + seconds
        while not self._flag.wait(LOOK_SECONDS) and monotonic() < deadline:
            if self._connection is None or self._version(self._connection) != self._seen:
                return

    def wake(self) -> None:
        """End a wait in another thread."""
        self._flag.set()

    def close(self) -> None:
        """Close the connection."""
        self._database.waiting.discard(self._flag)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _version(self, connection: sqlite3.Connection) -> int:
        try:
            return int(connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as error:
            raise translate_sqlite(error) from error

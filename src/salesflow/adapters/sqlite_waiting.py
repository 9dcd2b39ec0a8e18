"""Waiting for commits on SQLite, of this process and of others."""

import sqlite3
from threading import Event as Flag
from threading import Lock
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
        while not self._flag.wait(LOOK_SECONDS) and monotonic() < deadline:
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

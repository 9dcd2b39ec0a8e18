"""A SQLite file that this process made, and may take away while nobody has used it.

A command that makes a database and then has nothing to record leaves none behind. A file is
removed only where all of this holds, looked at under the lock that keeps everybody out: this
very call made it, it is still that file, nobody else has it open, and it holds no more than
what a log is founded with.
"""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

from salesflow.adapters.database.database import file_of
from salesflow.adapters.database.schema import TABLE_PREFIX, events

__all__ = ["NewFile"]


Identity = tuple[int, int]


class NewFile:
    """A file that was not there before; nobody else can have made it."""

    def __init__(self, path: Path, identity: Identity) -> None:
        self.path = path
        self._identity = identity

    @classmethod
    def make(cls, url: str) -> Self | None:
        """Make the file of a SQLite URL; None where it names none, or one that is there."""
        path = file_of(url)
        if path is None:
            return None
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        except OSError:  # whoever opens it will say why
            return None
        try:
            return cls(path, _identity(os.fstat(descriptor)))
        finally:
            os.close(descriptor)

    def take_away(self, *, events_max: int) -> bool:
        """Remove it if it is ours and holds at most so many events; say whether it did."""
        with suppress(sqlite3.Error, OSError), closing(self._connect()) as connection:
            if self._holds_more(connection, events_max):
                return False
            # leaves the write-ahead log, which no database does that somebody else has open
            [mode] = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
            if mode != "delete":
                return False
            connection.execute("BEGIN EXCLUSIVE")
            if not self._is_ours() or self._holds_more(connection, events_max):
                return False
            self.path.unlink()
            return True
        return False

    def _connect(self) -> sqlite3.Connection:
        """Open it as it is; a file that is gone is not made again."""
        where = f"file:{quote(str(self.path))}?mode=rw"
        return sqlite3.connect(where, uri=True, timeout=0, isolation_level=None)

    def _is_ours(self) -> bool:
        return _identity(self.path.stat()) == self._identity

    @staticmethod
    def _holds_more(connection: sqlite3.Connection, events_max: int) -> bool:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
        if any(not name.startswith((TABLE_PREFIX, "sqlite_")) for name in names):
            return True
        if events.name not in names:
            return False
        [count] = connection.execute(f"SELECT COUNT(*) FROM {events.name}").fetchone()
        return bool(count > events_max)


def _identity(stat: os.stat_result) -> Identity:
    return stat.st_dev, stat.st_ino

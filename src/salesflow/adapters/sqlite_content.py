"""What a SQLite file holds by itself, without its write-ahead log: was it written over?

A backup that is copied over the file of an open database (`cp backup.db sales.db`) leaves the
file where it lies, and the write-ahead log of the open one goes on beside it: what is read is
a mixture, and the next checkpoint writes its pages into the new file. SQLite notices nothing.

Otherwise the file is changed by checkpoints alone, of this process or of another. So only when
the time of its last change is another one is it read by itself. After a checkpoint it holds
all that it held before, and nothing that the log does not hold. A file that cannot be read by
itself tells nothing, unless it became shorter: a checkpoint that was cut off by a crash leaves
one too, which the log heals.

What it leaves out: a copy that is equal to what the file held, which changes nothing, and one
that differs in read tables alone (`salesflow check` compares these).
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from time import sleep
from typing import Final, NamedTuple
from urllib.parse import quote

from salesflow.adapters.sqlite_errors import NOT_A_DATABASE, WRONG_STATEMENT

__all__ = ["STAMP", "FileContent"]

TENANTS_MAX: Final = 20
LOOKS, LOOK_SECONDS = 3, 0.05
"""So often it is looked at: a checkpoint of another process may be writing just now."""

Place = tuple[str, int, int]
"""A tenant, and position and time of an event."""

STAMP: Final = ("", "backup")
"""Tenant and purpose of the row among the snapshots that tells one backup from another."""

READ_STAMP: Final = "SELECT stream_id FROM salesflow_snapshots WHERE tenant = ? AND purpose = ?"
TENANTS: Final = (
    "WITH RECURSIVE t (name) AS (SELECT min(tenant) FROM salesflow_events UNION ALL"
    " SELECT (SELECT min(tenant) FROM salesflow_events WHERE tenant > name) FROM t"
    f" WHERE name IS NOT NULL LIMIT {TENANTS_MAX}) SELECT name FROM t WHERE name IS NOT NULL"
)
HEAD: Final = (
    "SELECT tenant, position, recorded FROM salesflow_events WHERE tenant = ?"
    " ORDER BY position DESC LIMIT 1"
)
EVENT: Final = "SELECT recorded FROM salesflow_events WHERE tenant = ? AND position = ?"


class Content(NamedTuple):
    """What was found: where the logs of the first tenants stand, and which backup it is."""

    heads: tuple[Place, ...] = ()
    stamp: bytes | None = None


class FileContent:
    """What the file of an open database is known to hold by itself."""

    def __init__(
        self,
        path: str,
        connect: Callable[[str], sqlite3.Connection],
        rows: Callable[[str, tuple[object, ...]], list[tuple[int]]],
        alone: Callable[[], AbstractContextManager[bool]],
    ) -> None:
        """Take what opens the file by a URI, asks the open database, and keeps writers out."""
        self._path: Final = path
        self._uri: Final = f"file:{quote(path)}?mode=ro&immutable=1"
        self._connect: Final = connect
        self._rows: Final = rows
        self._alone: Final = alone
        self._noted = Content()
        self._size = 0

    def note(self, size: int) -> None:
        """Remember what it holds now, and how many bytes it has."""
        self._size = size
        try:
            self._noted = self._read()
        except sqlite3.Error:  # it tells nothing by itself
            self._noted = Content()

    def fault(self) -> str:
        """Say why what it holds now is not of this database; "" where it is, or may be.

        While somebody goes on changing it nothing can be said of it.
        """
        why = self._looked()
        if not why:
            return ""
        with self._alone() as is_alone:  # nobody of ours is copying a log back
            return self._looked() if is_alone else ""

    def _looked(self) -> str:
        begun, why = os.stat(self._path), ""
        for _ in range(LOOKS):
            why = self._fault(begun.st_size)
            if not why:
                self._size = begun.st_size
                break
            sleep(LOOK_SECONDS)
            if os.stat(self._path).st_ctime_ns != begun.st_ctime_ns:
                return ""
        return why

    def _fault(self, size: int) -> str:
        if not size:
            return "it is empty now"
        try:
            return self._compare(self._read())
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == NOT_A_DATABASE:
                return "it is no database now"
            if code == WRONG_STATEMENT and self._noted.heads:
                return "it holds no log of salesflow now"
            return "it was cut off" if size < self._size else ""

    def _compare(self, found: Content) -> str:
        """Compare what it holds with what it held, and with the log."""
        lost = self._lost()
        if lost is not None:
            return f"it holds the log of tenant {lost[0]} no longer up to position {lost[1]:,}"
        if found.stamp != self._noted.stamp:
            return "it is a backup now"
        if any(self._rows(EVENT, place[:2]) != [place[2:]] for place in found.heads):
            return "it holds another log now"
        self._noted = found
        return ""

    def _read(self) -> Content:
        file = self._connect(self._uri)
        try:
            tenants = file.execute(TENANTS).fetchall()
            heads = [file.execute(HEAD, name).fetchone() for name in tenants]
            stamp = file.execute(READ_STAMP, STAMP).fetchone()
            return Content(tuple(heads), None if stamp is None else bytes(stamp[0]))
        finally:
            file.close()

    def _lost(self) -> Place | None:
        """Find what it held and holds no longer."""
        file = self._connect(self._uri)
        try:
            for place in self._noted.heads:
                if file.execute(EVENT, place[:2]).fetchall() != [place[2:]]:
                    return place
        finally:
            file.close()
        return None

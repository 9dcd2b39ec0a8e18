"""What a SQLite file holds by itself, without its write-ahead log: was it written over?

A backup that is copied over the file of an open database (`cp backup.db sales.db`) leaves the
file where it lies, and the write-ahead log of the open one goes on beside it: what is read is
a mixture, and the next checkpoint writes its pages into the new file. SQLite notices nothing.

Otherwise the file is changed by checkpoints alone, of this process or of another. So only when
the time of its last change is another one is it read by itself. After a checkpoint it holds
all that it held before, and nothing that the log does not hold. While one is under way, or
where one was cut off (by a crash, a full disk), some of its pages are old and others new, which
the log heals: then only what no checkpoint ever makes of a file tells that it was written over.

What it leaves out: a copy that is equal to what the file held, which changes nothing, and one
that differs in read tables alone (`salesflow check` compares these).
"""

import os
import sqlite3
from collections.abc import Callable
from struct import Struct
from time import sleep
from typing import Final, NamedTuple
from urllib.parse import quote

from salesflow.adapters.sqlite_errors import NOT_A_DATABASE, WRONG_STATEMENT

__all__ = ["STAMP", "FileContent", "is_half_copied"]

TENANTS_MAX: Final = 20
LOOKS, LOOK_SECONDS = 3, 0.05
"""So often it is looked at: a checkpoint of another process may be writing just now."""

COPYING: Final = Struct("=I28xI")
COPYING_AT: Final = 96
"""Where the index of a write-ahead log says how many of its pages were copied back, and how
many were to be, which is noted before the first is written
(https://sqlite.org/walformat.html).
"""

EMPTY, NO_DATABASE, BACKUP = "it is empty now", "it is no database now", "it is a backup now"
CERTAIN: Final = frozenset({EMPTY, NO_DATABASE, BACKUP})
"""What no checkpoint ever makes of a file."""

_INDEXES: Final[dict[tuple[int, int], int]] = {}
"""Indexes that were looked into; closing one undoes SQLite's locks, so it must be gone."""

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
    ) -> None:
        """Take what opens the file by a URI, and what asks the open database."""
        self._path: Final = path
        self._uri: Final = f"file:{quote(path)}?mode=ro&immutable=1"
        self._connect: Final = connect
        self._rows: Final = rows
        self._noted = Content()
        self._size = 0

    def note(self, size: int) -> None:
        """Remember what it holds now, and how many bytes it has."""
        self._size = size
        try:
            self._noted = self._read()
        except sqlite3.Error:  # it tells nothing by itself
            self._noted = Content()

    def fault(self) -> str | None:
        """Say why what it holds now is not of this database; "" where it is, or may be.

        None where that cannot be said before the next checkpoint: see `is_half_copied`.
        """
        why = self._looked()
        if why and why not in CERTAIN and self.is_half_copied():
            return None
        return why

    def is_half_copied(self) -> bool:
        """Say whether some of its pages may be old and others new."""
        return is_half_copied(self._path)

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
            return EMPTY
        try:
            return self._compare(self._read())
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == NOT_A_DATABASE:
                return NO_DATABASE
            if code == WRONG_STATEMENT and self._noted.heads:
                return "it holds no log of salesflow now"
            return "it was cut off" if size < self._size else ""

    def _compare(self, found: Content) -> str:
        """Compare what it holds with what it held, and with the log."""
        if found.stamp not in (None, self._noted.stamp):
            return BACKUP
        lost = self._lost()
        if lost is not None:
            return f"it holds the log of tenant {lost[0]} no longer up to position {lost[1]:,}"
        if found.stamp != self._noted.stamp:
            return "it is no longer the backup that it was"
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


def is_half_copied(path: str) -> bool:
    """Say whether a checkpoint of a database is under way, or was cut off."""
    index = f"{os.path.realpath(path)}-shm"
    try:
        begins = os.pread(_open_index(index), COPYING.size, COPYING_AT)
    except FileNotFoundError:
        return False  # nobody has it open
    except OSError:
        return True  # nobody can say
    if len(begins) < COPYING.size:
        return False
    copied, wanted = COPYING.unpack(begins)
    return bool(copied < wanted)


def _open_index(index: str) -> int:
    """Give the descriptor of an index, and let go of indexes that nobody has any more."""
    found = os.stat(index)
    place = found.st_dev, found.st_ino
    if place not in _INDEXES:
        for there, descriptor in list(_INDEXES.items()):
            if not os.fstat(descriptor).st_nlink and _INDEXES.pop(there, None) is not None:
                os.close(descriptor)
        _INDEXES.setdefault(place, os.open(index, os.O_RDONLY))
    return _INDEXES[place]

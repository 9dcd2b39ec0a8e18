"""The file of a SQLite database, watched while it is open.

A file that is removed or replaced goes on living for those who have it open, and what they
write is gone when they close it. So the file's place on the disk is compared before an append
is acknowledged and before a question is answered; what a session reads is left to its end. That
of the write-ahead log is compared before an append too, since a new connection without it would
not see the newest commits. The same look at the file says when it was last changed; what
changed it then is found out by `FileContent`.

As long as it is as it was last seen, `SqliteDatabase` compares the two and comes here no
further; whatever differs is looked into here.
"""

import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from struct import Struct
from threading import RLock, get_ident
from time import sleep, time_ns
from typing import Final, NamedTuple
from urllib.parse import quote

from salesflow.adapters.database.sqlite_errors import NOT_A_DATABASE, WRONG_STATEMENT
from salesflow.errors import ForkedError, ReplacedError

__all__ = ["READ_STAMP", "STAMP", "SqliteFile", "is_half_copied"]


# What a SQLite file holds by itself, without its write-ahead log: was it written over?
#
# A backup that is copied over the file of an open database (`cp backup.db sales.db`) leaves the
# file where it lies, and the write-ahead log of the open one goes on beside it: what is read is
# a mixture, and the next checkpoint writes its pages into the new file. SQLite notices nothing.
#
# Otherwise the file is changed by checkpoints alone, of this process or of another. So only
# when the time of its last change is another one is it read by itself. After a checkpoint it
# holds all that it held before, and nothing that the log does not hold. While one is under way,
# or where one was cut off (by a crash, a full disk), some of its pages are old and others new,
# which the log heals: then only what no checkpoint ever makes of a file tells that it was
# written over. So it is after one that left out pages because somebody still read older ones,
# where the file by itself is not whole.
#
# What it leaves out: a copy that is equal to what the file held, which changes nothing, and one
# that differs in read tables alone (`salesflow check` compares these).

TENANTS_MAX: Final = 20
LOOKS, LOOK_SECONDS = 3, 0.05
"""So often it is looked at: a checkpoint of another process may be writing just now."""

COPYING: Final = Struct("=I76xI28xI")
COPYING_AT: Final = 16
"""Where the index of a write-ahead log says how many pages it has, how many of them were copied
back, and how many were to be, which is noted before the first is written
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
        """Return why what it holds now is not of this database; "" where it is, or may be.

        None where that cannot be said before the next checkpoint: see `is_half_copied`.
        """
        why = self._looked()
        if not why or why in CERTAIN:
            return why
        if is_half_copied(self._path) or (is_copied_in_part(self._path) and self._is_torn()):
            return None
        return why

    def _is_torn(self) -> bool:
        """Return whether some of its pages are older than others, which the log heals."""
        try:
            with closing(self._connect(self._uri)) as file:
                return file.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]
        except sqlite3.Error:
            return True

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
        with closing(self._connect(self._uri)) as file:
            tenants = file.execute(TENANTS).fetchall()
            heads = [file.execute(HEAD, name).fetchone() for name in tenants]
            stamp = file.execute(READ_STAMP, STAMP).fetchone()
            return Content(tuple(heads), None if stamp is None else bytes(stamp[0]))

    def _lost(self) -> Place | None:
        """Find what it held and holds no longer."""
        with closing(self._connect(self._uri)) as file:
            for place in self._noted.heads:
                if file.execute(EVENT, place[:2]).fetchall() != [place[2:]]:
                    return place
        return None


def is_half_copied(path: str) -> bool:
    """Return whether a checkpoint of a database is under way, or was cut off."""
    _, copied, wanted = _copied(path)
    return copied < wanted


def is_copied_in_part(path: str) -> bool:
    """Return whether a checkpoint may have left out pages that a reader did not know yet.

    It copies no page of which the log has a newer one than somebody who still reads may see. So
    it is also where more was written while a reader kept the log from being begun anew.
    """
    pages, copied, _ = _copied(path)
    return 0 < copied < pages


def _copied(path: str) -> tuple[int, int, int]:
    """Return how many pages a write-ahead log has, how many were copied, how many were to be.

    Of a log that nobody has open it is none; where nobody can say, one was to be.
    """
    index = f"{os.path.realpath(path)}-shm"
    try:
        begins = os.pread(_open_index(index), COPYING.size, COPYING_AT)
    except FileNotFoundError:
        return 0, 0, 0
    except OSError:
        return 0, 0, 1
    if len(begins) < COPYING.size:
        return 0, 0, 0
    pages, copied, wanted = COPYING.unpack(begins)
    return int(pages), int(copied), int(wanted)


def _open_index(index: str) -> int:
    """Return the descriptor of an index, and let go of indexes that nobody has any more."""
    found = os.stat(index)
    place = found.st_dev, found.st_ino
    if place not in _INDEXES:
        for there, descriptor in list(_INDEXES.items()):
            if not os.fstat(descriptor).st_nlink and _INDEXES.pop(there, None) is not None:
                os.close(descriptor)
        _INDEXES.setdefault(place, os.open(index, os.O_RDONLY))
    return _INDEXES[place]


FileKey = tuple[int, int]
Seen = tuple[int, int, int]
"""Where a file lies (device and number there), and when it was last changed."""
TICK: Final = 20_000_000
"""Nanoseconds within which two changes of a folder may be noted as of the same time."""

FRAME: Final = 4_096 + 24
"""Bytes of a page in the write-ahead log."""
ROOM: Final = {8: 40, 32: 136, 128: 640}
"""From so many pages written on the write-ahead log has room for so many."""
NEVER: Final = sys.maxsize
O_BINARY: Final = getattr(os, "O_BINARY", 0)

_CARRIED: set[FileKey] = set()
"""Files that this process has inherited in the middle of a use."""


class SqliteFile:
    """One file, and where it lay when it was opened: what is done when it looks changed."""

    def __init__(self, path: str) -> None:
        self.path: Final = path
        beside = os.path.realpath(path)  # SQLite follows links too
        self._gone: str | None = None
        """What was found to be lost, which nothing brings back."""
        found = _seen(path)
        self._place: Final = None if found is None else found[:2]
        self.seen: Seen | None = None
        """Its place and when it was last changed, as it was when nothing was wrong with it.

        None where it has to be looked at in any case.
        """
        if found is not None:
            self._note_seen(found)
        self._wal_path: Final = f"{beside}-wal"
        self._wal: FileKey | None = None
        self.folder: Final = os.path.dirname(beside)
        self.folder_seen: tuple[int, int] | None = None
        """The folder and the time of its last change, when the log was last seen in it."""
        self.full_at = min(ROOM)
        """How many pages are written until the write-ahead log is given more room."""
        self._content: FileContent | None = None
        self._unsure_of = 0
        """The change of which nothing can be said until the next checkpoint."""
        self._looking, self._looker = RLock(), 0
        """Who looks into it; all others wait for what is found."""
        self._changing = False
        """Whether this process copies the write-ahead log back just now."""

    def watch(
        self,
        connect: Callable[[str], sqlite3.Connection],
        rows: Callable[[str, tuple[object, ...]], list[tuple[int]]],
        finish_copying: Callable[[], None],
    ) -> None:
        """Look from now on whether the file is written over.

        A checkpoint that was cut off is finished first, so that the file tells something by
        itself.
        """
        if is_half_copied(self.path):
            finish_copying()
        self._content = FileContent(self.path, connect, rows)
        self._note_change()

    def copy_back(self, by: sqlite3.Connection, holder: sqlite3.Connection) -> None:
        """Copy the write-ahead log back, while another connection keeps all writers out."""
        self.look()
        holder.execute("BEGIN IMMEDIATE")
        try:
            self._changing = True
            by.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self._note_change()
        finally:
            self._changing = False
            holder.execute("ROLLBACK")

    def _note_change(self) -> None:
        """Remember what the file holds, which this process has just seen to."""
        if self._content is not None and self._place is not None:
            with suppress(OSError):  # said by the next look
                found = os.stat(self.path)
                self._note_seen((*self._place, found.st_ctime_ns))
                self._content.note(found.st_size)

    def _note_seen(self, seen: Seen) -> None:
        """Remember when nothing was wrong, unless something is that nothing puts right."""
        self.seen = seen
        if self._gone is not None or self._place in _CARRIED:
            self.seen = None

    def look(self) -> None:
        """Find out whether the file is the one that was opened, and not written over.

        Raises:
            ReplacedError: when it was removed, another lies in its place, or it was.
            ForkedError: when this process inherited it in the middle of a use.
        """
        if self._gone is not None:
            raise self._replaced(self._gone)
        seen = _seen(self.path)
        if seen is None:
            raise self._replaced(f"{self.path} was removed or moved")
        if seen[:2] != self._place:
            raise self._replaced(f"{self.path} was replaced by another file")
        if self._place in _CARRIED:  # before it is opened: SQLite may wait there for ever
            raise ForkedError(
                f"{self.path} was in use when this process was forked, and SQLite cannot share"
                " it with its parent; fork while nobody records or asks, or begin the process"
                " anew (spawn)"
            )
        if seen != self.seen:
            self._look_into(seen)

    def _look_into(self, seen: Seen) -> None:
        """Find out what has changed the file: a checkpoint, or somebody who wrote over it."""
        content, changed = self._content, seen[2]
        if content is None:  # it is not watched, or not yet
            self._note_seen(seen)
            return
        if self._changing or self._looker == get_ident():
            return
        with self._looking:
            if seen == self.seen or (changed == self._unsure_of and self._is_unsettled()):
                return  # somebody else has looked, or nothing can be said yet
            self._looker = get_ident()
            try:
                fault = content.fault()
            finally:
                self._looker = 0
            if fault is None:
                self.seen, self._unsure_of = None, changed
            elif not fault:
                self._note_seen(seen)
                self._unsure_of = 0
        if fault:
            raise self._replaced(
                f"{self.path} was written over ({fault})",
                f" Close every program that has it open, take {self.path} and what lies beside"
                " it (-wal, -shm, -columns) away, put the right file in its place, and open it"
                " anew",
            )

    def _is_unsettled(self) -> bool:
        """Return whether only the next checkpoint makes one file of old and new pages."""
        return is_half_copied(self.path) or is_copied_in_part(self.path)

    def look_for_log(self) -> None:
        """Find out whether the write-ahead log is where it was.

        Raises:
            ReplacedError: when it is not.
        """
        folder = _state_of(self.folder)
        try:
            place = os.stat(self._wal_path)
            found = place.st_dev, place.st_ino
        except FileNotFoundError:
            found = None
        except OSError as error:
            raise self._replaced(f"{self._wal_path} cannot be reached: {error}") from error
        if found is None or found != (self._wal or found):
            self._gone = f"the write-ahead log {self._wal_path} was removed or replaced"
            self.seen = None
            raise self._replaced(self._gone)
        self._wal = found
        settled = folder is not None and folder[1] < time_ns() - TICK
        self.folder_seen = folder if settled else None

    def make_room(self) -> None:
        """Give the write-ahead log room for several times what was written so far.

        A commit that makes a file longer takes twice as long as one that writes into it. SQLite
        reads no further than the last frame that is whole, so zeros behind it tell nothing.
        Whoever calls this holds the write lock: nobody else adds to the log meanwhile.
        """
        size = FRAME * ROOM[self.full_at]
        self.full_at = min((each for each in ROOM if each > self.full_at), default=NEVER)
        with suppress(OSError):  # it goes on growing by itself
            log = os.open(self._wal_path, os.O_WRONLY | O_BINARY)
            try:
                there = os.lseek(log, 0, os.SEEK_END)
                if there < size:
                    os.write(log, bytes(size - there))
            finally:
                os.close(log)

    def forget_log(self) -> None:
        """Expect another write-ahead log: every connection of this process is closed."""
        self._wal = self.folder_seen = None
        self.full_at = min(ROOM)

    def carry(self, in_use: bool) -> None:
        """Never open it in this process, when that inherited it in the middle of a use."""
        self.forget_log()
        self.seen = None
        self._looking, self._looker = RLock(), 0
        if in_use and self._place is not None:
            _CARRIED.add(self._place)

    def _replaced(
        self,
        what: str,
        way_out: str = " Close this SalesFlow, put the right file in its place, and open it"
        " anew",
    ) -> ReplacedError:
        return ReplacedError(
            f"{what} while it was open; nothing more is recorded or answered here.{way_out}"
        )


def _state_of(folder: str) -> tuple[int, int] | None:
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _seen(path: str) -> Seen | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns

"""The file of a SQLite database, watched while it is open.

A file that is removed or replaced goes on living for those who have it open, and what they
write is gone when they close it. So the file's place on the disk is compared before an append
is acknowledged and before a question is answered; what a session reads is left to its end. That
of the write-ahead log is compared before an append too, since a new connection without it would
not see the newest commits. The same look at the file says when it was last changed; what
changed it then is found out by `sqlite_content`.
"""

import os
import sys
from contextlib import suppress
from threading import RLock, get_ident
from time import time_ns
from typing import Final

from salesflow.adapters.sqlite_content import FileContent
from salesflow.errors import ForkedError, ReplacedError

__all__ = ["SqliteFile"]

Place = tuple[int, int]
TICK: Final = 20_000_000
"""Nanoseconds within which two changes of a folder may be noted as of the same time."""

FRAME: Final = 4_096 + 24
"""Bytes of a page in the write-ahead log."""
ROOM: Final = {8: 40, 32: 136, 128: 640}
"""From so many pages written on the write-ahead log has room for so many."""
NEVER: Final = sys.maxsize
O_BINARY: Final = getattr(os, "O_BINARY", 0)

_CARRIED: set[Place] = set()
"""Files that this process has inherited in the middle of a use."""


class SqliteFile:
    """One file, and where it lay when it was opened."""

    def __init__(self, path: str) -> None:
        self.path: Final = path
        beside = os.path.realpath(path)  # SQLite follows links too
        self._wal_path: Final = f"{beside}-wal"
        self._place = _place_of(path)
        self._wal: Place | None = None
        self._gone: str | None = None
        """What was found to be lost, which nothing brings back."""
        self._folder: Final = os.path.dirname(beside)
        self._folder_seen: tuple[int, int] | None = None
        """The folder and the time of its last change, when the log was last seen in it."""
        self.full_at = min(ROOM)
        """How many pages are written until the write-ahead log is given more room."""
        self._content: FileContent | None = None
        self._changed = 0
        """When the file was last changed, as far as that was looked into."""
        self._unsure = False
        """Whether it has to be looked at again after the next checkpoint."""
        self._looking, self._looker = RLock(), 0
        """Who looks into it; all others wait for what is found."""
        self.changing = False
        """Whether this process copies the write-ahead log back just now."""

    def watch(self, content: FileContent) -> None:
        """Look from now on whether the file is written over."""
        self._content = content
        self.note_change()

    def note_change(self) -> None:
        """Remember what the file holds, which this process has just seen to."""
        if self._content is not None:
            with suppress(OSError):  # said by the next check
                found = os.stat(self.path)
                self._changed, self._unsure = found.st_ctime_ns, False
                self._content.note(found.st_size)

    def check(self) -> None:
        """Make sure that the file is the one that was opened.

        Raises:
            ReplacedError: when it was removed, or another lies in its place.
            ForkedError: when this process inherited it in the middle of a use.
        """
        if self._gone is not None:
            raise self._replaced(self._gone)
        try:
            found = os.stat(self.path)
        except OSError:
            raise self._replaced(f"{self.path} was removed or moved") from None
        if (found.st_dev, found.st_ino) != self._place:
            raise self._replaced(f"{self.path} was replaced by another file")
        if found.st_ctime_ns != self._changed or self._unsure:
            self._look(found.st_ctime_ns)
        if _CARRIED and self._place in _CARRIED:
            raise ForkedError(
                f"{self.path} was in use when this process was forked, and SQLite cannot share"
                " it with its parent; fork while nobody records or asks, or begin the process"
                " anew (spawn)"
            )

    def _look(self, changed: int) -> None:
        """Find out what has changed the file: a checkpoint, or somebody who wrote over it."""
        content = self._content
        if content is None or self.changing or self._looker == get_ident():
            return
        with self._looking:
            if changed == self._changed and (not self._unsure or content.is_half_copied()):
                return  # somebody else has looked, or nothing can be said yet
            self._looker = get_ident()
            try:
                fault = content.fault()
            finally:
                self._looker = 0
            if not fault:
                self._changed, self._unsure = changed, fault is None
        if fault:
            raise self._replaced(
                f"{self.path} was written over ({fault})",
                f" Close every program that has it open, take {self.path} and the -wal and -shm"
                " beside it away, put the right file in its place, and open it anew",
            )

    def check_log(self) -> None:
        """Make sure of the same for its write-ahead log, before something is committed.

        As long as nothing is made, moved or removed in its folder it is where it was. To look
        at itself each time would slow its writing down: on Linux 6.13 and later a write notes
        its time exactly, and has more to write, when somebody has asked for that of the last.
        """
        folder = _state_of(self._folder)
        if folder is not None and folder == self._folder_seen:
            return
        try:
            place = os.stat(self._wal_path)
            found = place.st_dev, place.st_ino
        except FileNotFoundError:
            found = None
        except OSError as error:
            raise self._replaced(f"{self._wal_path} cannot be reached: {error}") from error
        if found is None or found != (self._wal or found):
            self._gone = f"the write-ahead log {self._wal_path} was removed or replaced"
            raise self._replaced(self._gone)
        self._wal = found
        settled = folder is not None and folder[1] < time_ns() - TICK
        self._folder_seen = folder if settled else None

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
        self._wal = self._folder_seen = None
        self.full_at = min(ROOM)

    def carry(self, in_use: bool) -> None:
        """Never open it in this process, when that inherited it in the middle of a use."""
        self.forget_log()
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


def _place_of(path: str) -> Place | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino

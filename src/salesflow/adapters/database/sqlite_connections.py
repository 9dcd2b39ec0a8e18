"""Connections to SQLite: which are open, what a fork makes of them, files to read only.

A module of its own, since it is gone through when a database is opened, closed or forked; what
every statement and transaction goes through is `sqlite`.

No connection may be open while a process is forked.
SQLite's locks belong to the process, and its bookkeeping of them is inherited: a child that
opens a file which its parent held open at the fork believes to hold locks that it does not.
Therefore whoever forks closes all idle connections first, waits a moment for those in use, and
opens them again when they are needed. Where one stays in use the child refuses the file.
"""

import os
import shutil
import sqlite3
import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from errno import EACCES, EROFS
from operator import attrgetter
from pathlib import Path
from struct import Struct
from threading import Event as Flag
from threading import Lock, RLock
from time import monotonic, sleep
from typing import Final
from urllib.parse import quote
from weakref import WeakSet, ref

import sqlalchemy as sa

from salesflow.adapters.database.connections import Connections
from salesflow.adapters.database.schema import SQLITE_DDL, WAY_OUT
from salesflow.adapters.database.sqlite_errors import BUSY, WRITABLE, translate_sqlite
from salesflow.adapters.database.sqlite_file import SqliteFile
from salesflow.errors import (
    BusyError,
    DamagedError,
    DatabaseError,
    SchemaError,
    UnwritableError,
)

__all__ = [
    "MAKE_ROOM",
    "NO_ROOM",
    "Archive",
    "SqliteConnection",
    "SqliteConnections",
    "use_wal",
]


FORK_SECONDS = 1.0
"""How long whoever forks waits for connections in use."""

BUSY_LOOK_SECONDS = 0.002


class SqliteConnection(sqlite3.Connection):
    """A connection of ours, which knows how long it waits for other writers."""

    patience = 0
    """Milliseconds."""

    synchronous = "FULL"
    """Whether its commits wait for the disk."""

    is_open = True

    cursors: list[ref[sqlite3.Cursor]]
    """Cursors of the transaction under way."""

    def close(self) -> None:
        """Close it, and remember that."""
        super().close()
        self.is_open = False


_CARRIED: list[SqliteConnection] = []
"""Connections that this process has inherited; to close them would undo its parent's locks."""


class SqliteConnections(Connections):
    """What is open of one SQLite file: before a fork, after it, and until it is closed."""

    name = "sqlite"
    ddl = SQLITE_DDL

    def __init__(self, url: sa.URL, path: Path | None, wait_seconds: float) -> None:
        """Open a file, or a passing one where none is named."""
        self._patience = int(wait_seconds * 1000)
        """Milliseconds that a connection waits for other writers, unless one is in a hurry."""
        self._folder: str | None = None
        if path is None:
            self._folder = tempfile.mkdtemp(prefix="salesflow-")
            path = Path(self._folder) / "memory.db"
        else:
            self.beside = str(path)
        self._archive = open_file(path)
        """How the file is read where it cannot be written."""
        self.path: Final = str(path)
        self.file: Final = SqliteFile(self.path)
        self._all: WeakSet[SqliteConnection] = WeakSet()
        self._forking = False
        self._opening: set[object] = set()
        """Who opens a connection just now, which is not among all of them yet."""
        self.lock = RLock()  # which knows its owner, so that it can be released twice
        """The lock of writers, held for a whole transaction."""
        self._turn = RLock()
        """Held while a thread is at work in SQLite, only to be fast; see `_read_in_turn`."""
        self._writer: SqliteConnection | None = None
        """Which connection wrote last; idle, or used by somebody who reads."""
        self._checkpointer: SqliteConnection | None = None
        self.waiting: WeakSet[Flag] = WeakSet()
        self.waiters: WeakSet[SqliteWaiter] = WeakSet()
        self._idle: list[SqliteConnection] = []
        """Those that read and write outside of SQLAlchemy: popped, and appended when done."""
        self._written = 0
        super().__init__(
            url,
            wait_seconds,
            sa.URL.create("sqlite", database=self.path),
            attrgetter("in_transaction"),
            creator=self.connect,
        )
        sa.event.listen(self.engine, "begin", self._begin)
        sa.event.listen(self.engine, "before_cursor_execute", self._note_cursor)

    def known_as(self) -> Sequence[str] | None:
        """Return which file it is; None of a passing one."""
        return None if self.beside is None else (os.path.realpath(self.beside),)

    @abstractmethod
    def connect(self) -> SqliteConnection:
        """Open a connection with everything set that a connection forgets."""

    @abstractmethod
    def _begin(self, connection: sa.Connection) -> None:
        """Begin a transaction on a connection of the engine."""

    @abstractmethod
    def _note_cursor(self, _: sa.Connection, cursor: object, *_others: object) -> None:
        """Remember a cursor of the transaction under way."""

    def waiter(self) -> "SqliteWaiter":
        """Return what waits for commits of this process and of others."""
        return SqliteWaiter(self)

    def before_fork(self) -> None:
        """Close every connection; wait a moment for those that are in use."""
        self._forking = True
        self.lock.acquire(timeout=FORK_SECONDS)
        for waiter in tuple(self.waiters):
            waiter.pause()
        own = sum(block.connection is not None for block in self.holds.blocks)
        for _ in wait_for_others(FORK_SECONDS):
            self._close_writers()
            self._close_readers()
            self.engine.pool.dispose()
            if len(open_among(self._all)) <= own and not self._opening:
                break

    def after_fork_in_parent(self) -> None:
        """Go on; connections are opened when they are needed."""
        if not open_among(self._all):
            self.file.forget_log()
        self._forking = False
        with suppress(RuntimeError):  # it was not got
            self.lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew; or never, when a connection was in use."""
        carried = open_among(self._all)
        _CARRIED.extend(carried)  # never closed: that would undo the parent's locks
        self.file.carry(bool(carried or self._opening))
        self._opening = set()
        self._all, self.waiting, self.waiters = WeakSet(), WeakSet(), WeakSet()
        self._writer = self._checkpointer = self._folder = None
        self._forking, self.lock, self._turn = False, RLock(), RLock()
        self.holds.blocks.clear()
        self._idle = []
        self.engine.dispose(close=False)

    def _close_idle(self) -> None:
        """Close whoever is not in use, and those that are once they are given back."""
        self.engine.dispose()
        self._close_readers()

    def _close_readers(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _close_writers(self) -> None:
        """Close what copies the log back, and a writer that was left behind."""
        if self._checkpointer is not None:
            self._checkpointer.close()
        left = self._writer
        with suppress(sqlite3.ProgrammingError):  # it is closed
            if left and left.in_transaction and self.lock.acquire(blocking=False):
                left.close()  # nobody is writing by it
                self.lock.release()
        self._writer = self._checkpointer = None

    def close(self) -> None:
        """Close every connection, the last one copying the write-ahead log back."""
        self.closed = True
        self._close_idle()
        self._close_writers()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def open_among(connections: WeakSet[SqliteConnection]) -> list[SqliteConnection]:
    """Return those that are open."""
    return [each for each in connections if each.is_open]


def wait_for_others(seconds: float) -> Iterator[None]:
    """Look again and again until the time is up."""
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        yield
        sleep(BUSY_LOOK_SECONDS)


def use_wal(path: str, wait_seconds: float) -> None:
    """Turn the write-ahead log on; a neighbour that opens at the same time is waited for."""
    deadline = monotonic() + wait_seconds
    try:
        with closing(
            sqlite3.connect(path, timeout=wait_seconds, isolation_level=None)
        ) as connection:
            while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                try:
                    connection.execute("PRAGMA journal_mode=WAL").fetchone()
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF != BUSY or monotonic() > deadline:
                        raise
                    sleep(0.005)
    except sqlite3.Error as error:
        raise translate_sqlite(error, path) from error


# Waiting for commits on SQLite, of this process and of others.

COMMIT_LOOK_SECONDS = 0.02
"""How often a waiter looks whether another process has committed."""


class SqliteWaiter:
    """Looks at the file's `data_version`, which every commit of another connection changes."""

    def __init__(self, database: SqliteConnections) -> None:
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
        """Return the version of the file; -1, which is always new, without a connection."""
        try:
            with self._using:
                if self._connection is None:
                    return -1
                return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as error:
            raise translate_sqlite(error) from error


# A SQLite file that can only be read: an archived copy, a read-only medium, another user's, one
# on a disk so full that the index of a write-ahead log finds no room.
#
# Such a file is asked as it is; nothing is made beside it. Where the write-ahead log of its
# writers lies beside it, it is read with them (`mode=ro`). Where there is none and none can be
# made, SQLite reads a file alone only when told that it does not change (`immutable=1`). That
# is said only of a file without a write-ahead log in a folder that this process cannot write,
# or on such a disk, and looked after: whatever is read while somebody does change the file is
# refused.

PAGE_SIZE_MIN = 512
"""No database of SQLite is smaller, but for one that is empty."""

LOG, INDEX = "-wal", "-shm"
INDEX_SIZE = 100
COUNT = Struct("=I")
"""A number in the index of a write-ahead log: at 16 how many pages the log holds, at 96 how
many of them were copied back (https://sqlite.org/walformat.html); byte 12 says whether it is
in use.
"""
Seen = tuple[int, int, int, int]


NO_ROOM: Final = "there is no room on its disk"
MAKE_ROOM: Final = "make room and open it anew"
MAKE_WRITABLE: Final = "the file and its folder must be writable"


class Archive:
    """How a file is opened that this process can only read."""

    def __init__(self, path: str, why: str, way_out: str = MAKE_WRITABLE) -> None:
        self._path = os.path.realpath(path)  # what lies beside it does so there
        self._why = why
        self._way_out = way_out
        self._immutable = False
        self._seen: Seen | None = None

    def uri(self) -> str:
        """Return the URI that reads the file as it is now; one for all until it is changed.

        Raises:
            DatabaseError: when its write-ahead log cannot be read where it lies.
        """
        plain = f"file:{quote(self._path)}?mode=ro"
        alone = f"{plain}&immutable=1"
        if self._immutable and not self.has_changed():
            return alone
        if _can_be_read(plain):
            self._immutable, self._seen = False, None
            return plain
        if _size(self._path + LOG):
            raise DatabaseError(
                f"{self._path} cannot be read where it lies: {self._path}{LOG} holds what was"
                " not copied back yet. Copy both files into a folder that can be written"
            )
        self._immutable, self._seen = True, _seen(self._path)
        return alone

    def raise_unwritable(self) -> None:
        """Say why nothing can be written.

        Raises:
            UnwritableError: always.
        """
        raise UnwritableError(
            f"{self._path} can only be read ({self._why}); to record, {self._way_out}"
        )

    def has_changed(self) -> bool:
        """Return whether somebody changed a file that was read as one that does not change."""
        return self._immutable and _seen(self._path) != self._seen

    def ensure_unchanged(self) -> None:
        """Refuse what was read while somebody changed the file.

        Raises:
            BusyError: then; ask again.
        """
        if self.has_changed():
            raise BusyError(f"somebody changed {self._path} while it was read; ask again")


def open_file(path: Path) -> Archive | None:
    """Make sure of a file that can be written, making one, or say how it is read.

    Raises:
        DatabaseError: when it can be neither written nor read.
        SchemaError: when it is too small for a database, which SQLite might take for an empty
            one.
        DamagedError: when its write-ahead log is gone, or it is empty and that is not.
    """
    with suppress(OSError, ValueError):  # said below
        size = path.stat().st_size
        if path.is_file():
            if 0 < size < PAGE_SIZE_MIN:
                raise SchemaError(
                    f"{path} is not a SQLite database: it holds {size} bytes. Name another"
                    f" file; if it was one, {WAY_OUT}"
                )
            _ensure_whole(path, size)
    try:
        archive = _archive_of(path)
        with suppress(FileExistsError):  # one that is there is not opened; see _archive_of
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        locked = isinstance(error, PermissionError) or error.errno == EROFS
        more = f"; {WRITABLE}" if locked else ""
        raise DatabaseError(f"{path} cannot be opened: {error.strerror}{more}") from error
    return archive


def _ensure_whole(path: Path, size: int) -> None:
    """Refuse a file without the log that belongs to it, of which SQLite says nothing.

    The index beside it outlives a crash, and tells how much of the log was copied back. Whoever
    opens it here drops no lock that matters: without the log nobody can use the file as it is.
    """
    if not size and _size(f"{path}{LOG}"):
        raise DamagedError(
            f"{path} is empty, and {path.name}{LOG} beside it holds commits: the file was cut"
            f" off, and to open it would throw these away. Copy both somewhere else; {WAY_OUT}"
        )
    if not _size(f"{path}{INDEX}") or os.path.exists(f"{path}{LOG}"):
        return
    with open(f"{path}{INDEX}", "rb") as index:
        begins = index.read(INDEX_SIZE)
    if len(begins) < INDEX_SIZE or not begins[12]:
        return
    (written,), (copied,) = COUNT.unpack_from(begins, 16), COUNT.unpack_from(begins, 96)
    if written > copied:
        raise DamagedError(
            f"{path.name}{LOG} is missing beside {path}, and {path.name}{INDEX} says that it"
            " held commits that were not copied back: put it back where it lay, or put the"
            " database back from a backup. If both are lost and you accept that the newest"
            f" commits are gone, take {path.name}{INDEX} away"
        )


def _archive_of(path: Path) -> Archive | None:
    """Return how to read a file that cannot be written; None where it can be, or is no file.

    The file itself is not opened: to close it would drop the locks that this process holds on
    it by another connection.

    Raises:
        PermissionError: when it can be neither written nor read.
    """
    if not path.is_file():
        return None
    if not _is_writable(path):
        if not _is_allowed(path, os.R_OK):
            raise PermissionError(EACCES, os.strerror(EACCES), str(path))
        medium = os.statvfs(path).f_flag & os.ST_RDONLY
        return Archive(str(path), os.strerror(EROFS if medium else EACCES))
    if _is_writable(path.parent) or _are_there(path):
        return None
    return Archive(str(path), "its folder cannot be written")


def _are_there(path: Path) -> bool:
    """Return whether what writers need lies beside a file already, and can be written."""
    return all(_is_writable(f"{path}{ending}") for ending in (LOG, INDEX))


def _is_writable(path: str | Path) -> bool:
    return _is_allowed(path, os.W_OK)


def _is_allowed(path: str | Path, what: int) -> bool:
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)


def _can_be_read(uri: str) -> bool:
    connection = sqlite3.connect(uri, uri=True)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _seen(path: str) -> Seen:
    stat = os.stat(path)
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, _size(path + LOG)

"""A SQLite file that can only be read: an archived copy, a read-only medium, another user's.

Such a file is asked as it is; nothing is made beside it. Where the write-ahead log of its
writers lies beside it, it is read with them (`mode=ro`). Where there is none and none can be
made, SQLite reads a file alone only when told that it does not change (`immutable=1`). That is
said only of a file without a write-ahead log in a folder that this process cannot write, and
looked after: whatever is read while somebody does change the file is refused.
"""

import os
import sqlite3
from contextlib import suppress
from errno import EACCES, EROFS
from pathlib import Path
from struct import Struct
from urllib.parse import quote

from salesflow.adapters.database.damage import WAY_OUT
from salesflow.adapters.database.sqlite_connections import WRITABLE
from salesflow.errors import (
    BusyError,
    DamagedError,
    DatabaseError,
    SchemaError,
    UnwritableError,
)

__all__ = ["Archive", "archive_of", "open_file"]


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


class Archive:
    """How a file is opened that this process can only read."""

    def __init__(self, path: str, why: str) -> None:
        self._path = os.path.realpath(path)  # what lies beside it does so there
        self._why = why
        self._immutable = False
        self._seen: Seen | None = None

    def uri(self) -> str:
        """Give the URI that reads the file as it is now.

        Raises:
            DatabaseError: when its write-ahead log cannot be read where it lies.
        """
        plain = f"file:{quote(self._path)}?mode=ro"
        if _can_be_read(plain):
            self._immutable, self._seen = False, None
            return plain
        if _size(self._path + LOG):
            raise DatabaseError(
                f"{self._path} cannot be read where it lies: {self._path}{LOG} holds what was"
                " not copied back yet. Copy both files into a folder that can be written"
            )
        self._immutable, self._seen = True, _seen(self._path)
        return f"{plain}&immutable=1"

    def raise_unwritable(self) -> None:
        """Say why nothing can be written.

        Raises:
            UnwritableError: always.
        """
        raise UnwritableError(
            f"{self._path} can only be read ({self._why}); to record, the file and its folder"
            " must be writable"
        )

    def has_changed(self) -> bool:
        """Say whether somebody changed a file that was read as one that does not change."""
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
        archive = archive_of(path)
        with suppress(FileExistsError):  # one that is there is not opened; see archive_of
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


def archive_of(path: Path) -> Archive | None:
    """Say how to read a file that cannot be written; None where it can be, or is no file.

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
    """Say whether what writers need lies beside a file already, and can be written."""
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

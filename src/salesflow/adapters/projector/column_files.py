"""Columns of read tables as files, so that who begins to ask need not read all rows anew.

A file holds one table of one tenant as it stood at a position of the log, with the words and
ids that its codes stand for. It is a copy of what the database holds and nothing else: it may
be deleted at any time, and is written again by whoever has read the rows. What is written is
whole (another name until then), and what is read is compared with its checksums, so a file that
was cut off or damaged is as good as none. Whether it is of this log, and what was told since,
is found out by `columns`, of whose tables these are. It is a module of its own: the rest of
the package goes on without a file.
"""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from stat import S_IMODE
from tempfile import mkstemp
from time import time
from typing import Any, Final, NamedTuple
from uuid import UUID
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from salesflow.adapters.database.database import ColumnsPlace
from salesflow.adapters.logs import COLUMNS
from salesflow.adapters.projector.read_tables import ProjectionPosition
from salesflow.projections.core.columns import (
    EVENT_ID,
    NOTHING,
    Column,
    Part,
    Words,
    narrowed,
)
from salesflow.projections.table import ReadTable

__all__ = ["ColumnFiles", "StoredColumns", "is_beyond", "numbered"]

FORM: Final = 3
"""Raised whenever files are to be read otherwise; those of another form are none."""
ID_BYTES: Final = 16
READABLE: Final = 0o444
"""Who may read a file may look into a folder, which is two bits further."""
LEFT_SECONDS: Final = 3_600
"""Nobody writes one file for so long."""
DAMAGED: Final = (
    *(OSError, EOFError, BadZipFile, NotImplementedError, RuntimeError),
    *(ValueError, LookupError, TypeError, AttributeError),
)
"""What reading a file may raise that is none of ours, or is damaged."""


class StoredColumns(NamedTuple):
    """A table as a file holds it: codes are places in its own lists of words and ids."""

    stands: ProjectionPosition
    last: int | None
    """The checksum of the event at that position."""
    made_as: str
    """What changes when all rows are written anew, or put back from a backup."""
    notes: Mapping[UUID, int]
    """From which position on streams are left out."""
    part: Part
    words: Sequence[str]
    ids: Sequence[str]
    """As 32 hexadecimal digits each."""


class ColumnFiles:
    """The files of one tenant, in the folder of its database.

    Whoever may read or write the file beside which they lie may do the same with them. In a
    folder that somebody chose they are for the user of this process alone.
    """

    def __init__(self, place: ColumnsPlace, tenant: str) -> None:
        self._folder, self._rights_of = place
        self._tenant: Final = tenant

    def read(self, table: ReadTable) -> StoredColumns | None:
        """Return a table as its file holds it; None where there is none that can be read."""
        path, name = self._path(table.name), table.name
        try:
            self._ensure_private()
            with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
                return self._stored(name, dict(file))
        except FileNotFoundError:
            return None
        except DAMAGED as error:
            COLUMNS.warning(
                "the file of columns of %s cannot be read: %s; its rows are read instead",
                name,
                _kind(error),
            )
            return None

    def write(self, table: ReadTable, stored: StoredColumns) -> None:
        """Write the file of a table; where that is not possible there is none.

        Those of its former revisions, which nobody reads any more, are removed.
        """
        try:
            self._make_folder()
            self._write(self._path(table.name), self._arrays(table.name, stored))
            for revision in range(table.revision):
                self._path(f"{table.view}_{revision}").unlink(missing_ok=True)
        except OSError as error:
            name, kind = table.name, _kind(error)
            COLUMNS.info("the file of columns of %s cannot be written: %s", name, kind)

    def _path(self, name: str) -> Path:
        digits = sha256(self._tenant.encode()).hexdigest()[:ID_BYTES]
        return self._folder / f"{name}-{digits}.npz"

    def _make_folder(self) -> None:
        if self._rights_of is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._ensure_private()
            return
        with suppress(FileExistsError):
            self._folder.mkdir()
            self._give_rights(self._folder, of_folder=True)
        if not self._folder.is_dir():
            raise FileExistsError(self._folder)

    def _ensure_private(self) -> None:
        """Refuse a chosen folder that others have made or may enter, and put files into.

        Raises:
            OSError: when it is one, or is not there.
        """
        if self._rights_of is not None or os.name != "posix":
            return
        there = self._folder.stat()
        if there.st_uid != os.geteuid() or there.st_mode & 0o077:
            raise PermissionError(f"{self._folder} is not for this user alone")

    def _give_rights(self, made: Path, *, of_folder: bool = False) -> None:
        """Let whoever may read or write the database do so with what was made beside it."""
        if self._rights_of is None:
            return
        database = self._rights_of.stat()
        made_by = made.stat()
        if (made_by.st_uid, made_by.st_gid) != (database.st_uid, database.st_gid):
            with suppress(PermissionError):  # only root may give away what it made
                os.chown(made, database.st_uid, database.st_gid)
        rights = S_IMODE(database.st_mode)
        made.chmod(rights | (rights & READABLE) >> 2 if of_folder else rights)

    def _write(self, path: Path, arrays: Mapping[str, Any]) -> None:
        self._remove_left(path)
        number, new = mkstemp(dir=self._folder, prefix=f"{path.name}.")
        try:
            with open(number, "wb") as file:
                np.savez(file, **arrays)
            self._give_rights(Path(new))
            os.replace(new, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(new)
            raise

    def _remove_left(self, path: Path) -> None:
        """Remove what processes have left that were killed while they wrote this file."""
        for left in self._folder.glob(f"{path.name}.*"):
            with suppress(FileNotFoundError):  # another process was first
                if left.stat().st_mtime < time() - LEFT_SECONDS:
                    left.unlink()

    def _arrays(self, table: str, stored: StoredColumns) -> dict[str, NDArray[Any]]:
        about = {
            "form": FORM,
            "tenant": self._tenant,
            "table": table,
            "stands": stored.stands,
            "last": stored.last,
            "made_as": stored.made_as,
            "notes": {stream.hex: position for stream, position in stored.notes.items()},
            "words": stored.words,
            "by_place": [*stored.part.by_place],
        }
        ids = np.frombuffer(bytes.fromhex("".join(stored.ids)), np.uint8)
        return {
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
            "ids": ids,
            "listed": stored.part.listed,
            **{f"column_{name}": column for name, column in stored.part.columns.items()},
        }

    def _stored(self, table: str, arrays: dict[str, NDArray[Any]]) -> StoredColumns | None:
        about = json.loads(arrays.pop("about").tobytes())
        if (about["form"], about["tenant"], about["table"]) != (FORM, self._tenant, table):
            return None
        ids = arrays.pop("ids").tobytes().hex(" ", ID_BYTES).split()
        listed = np.array(arrays.pop("listed"), np.int64, ndmin=1)
        _ensure_whole(arrays.values(), about["words"])
        columns = {name.removeprefix("column_"): column for name, column in arrays.items()}
        by_place = frozenset[str](about["by_place"]) & columns.keys()
        return StoredColumns(
            ProjectionPosition(*map(int, about["stands"])),
            about["last"],
            about["made_as"],
            {UUID(stream): position for stream, position in about["notes"].items()},
            Part(columns, len(columns["entity_id"]), listed, by_place),
            about["words"],
            ids,
        )


def _ensure_whole(columns: Collection[Column], words: Sequence[str]) -> None:
    """Raise unless columns have so many rows each, of numbers or ids of events, and words are.

    Raises:
        ValueError: when a column is none of these.
        TypeError: when a word is no text.
    """
    "".join(words)
    [[_]] = {column.shape for column in columns}
    if any(column.dtype.kind not in "iu" and column.dtype != EVENT_ID for column in columns):
        raise ValueError("a column holds something else")


def _kind(error: BaseException) -> str:
    return type(error).__name__


def numbered(columns: Sequence[Column], words: Words) -> tuple[list[str], list[Column]]:
    """Return the words or ids that are in columns, and for each row which of them it has."""
    there = np.zeros(len(words) + 1, np.bool_)
    for column in columns:
        there[column] = True
    there[NOTHING] = False
    number = np.where(there, np.cumsum(there) - 1, NOTHING)
    numbers = [narrowed(number[column]) for column in columns]
    return words.as_put_in(np.flatnonzero(there)), numbers


def is_beyond(codes: Column, count: int, least: int = NOTHING) -> bool:
    """Return whether codes stand for more than so many words or numbers."""
    return bool(((codes < least) | (codes >= count)).any())

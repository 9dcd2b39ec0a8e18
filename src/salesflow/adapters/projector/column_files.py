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
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
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
from salesflow.projections.core.columns import EVENT_ID, Column

__all__ = ["ColumnFiles", "StoredColumns"]

FORM: Final = 2
"""Raised whenever files are to be read otherwise; those of another form are none."""
ID_BYTES: Final = 16
HEX: Final = 2 * ID_BYTES
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
    made_as: int
    """What changes when all rows are written anew."""
    notes: Mapping[UUID, int]
    """From which position on streams are left out."""
    columns: Mapping[str, Column]
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

    def read(self, table: str) -> StoredColumns | None:
        """Return a table as its file holds it; None where there is none that can be read."""
        path = self._path(table)
        try:
            self._ensure_private()
            with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
                return self._stored(table, dict(file))
        except FileNotFoundError:
            return None
        except DAMAGED as error:
            COLUMNS.warning("the file of columns of %s cannot be read: %s", table, _kind(error))
            return None

    def write(self, table: str, stored: StoredColumns) -> None:
        """Write the file of a table; where that is not possible there is none."""
        try:
            self._make_folder()
            self._write(self._path(table), self._arrays(table, stored))
        except OSError as error:
            COLUMNS.info("the file of columns of %s cannot be written: %s", table, _kind(error))

    def _make_folder(self) -> None:
        if self._rights_of is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._ensure_private()
        else:
            self._folder.mkdir(exist_ok=True)

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

    def _path(self, table: str) -> Path:
        digits = sha256(self._tenant.encode()).hexdigest()[:ID_BYTES]
        return self._folder / f"{table}-{digits}.npz"

    def _write(self, path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._remove_left(path)
        number, new = mkstemp(dir=self._folder, prefix=f"{path.name}.")
        try:
            with open(number, "wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            if self._rights_of is not None:
                shutil.copymode(self._rights_of, new)
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
        }
        ids = np.frombuffer(bytes.fromhex("".join(stored.ids)), np.uint8)
        return {
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
            "ids": ids,
            **{f"column_{name}": column for name, column in stored.columns.items()},
        }

    def _stored(self, table: str, arrays: dict[str, NDArray[Any]]) -> StoredColumns | None:
        about = json.loads(arrays.pop("about").tobytes())
        if (about["form"], about["tenant"], about["table"]) != (FORM, self._tenant, table):
            return None
        digits = arrays.pop("ids").tobytes().hex()
        _ensure_whole(arrays.values(), about["words"])
        return StoredColumns(
            ProjectionPosition(*map(int, about["stands"])),
            about["last"],
            about["made_as"],
            {UUID(stream): position for stream, position in about["notes"].items()},
            {name.removeprefix("column_"): column for name, column in arrays.items()},
            about["words"],
            [digits[at : at + HEX] for at in range(0, len(digits), HEX)],
        )


def _ensure_whole(columns: Collection[Column], words: Sequence[str]) -> None:
    """Raise unless columns have so many rows each, of numbers or ids of events, and words are.

    Raises:
        ValueError: when a column is none of these.
        TypeError: when a word is no text.
    """
    "".join(words)
    [[_]] = {column.shape for column in columns}
    if any(column.dtype.kind != "i" and column.dtype != EVENT_ID for column in columns):
        raise ValueError("a column holds something else")


def _kind(error: BaseException) -> str:
    return type(error).__name__

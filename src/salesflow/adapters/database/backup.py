"""Backups of a SQLite database in use: one file, whole, and checked.

A database in use is a file and its write-ahead log, so copying the file alone loses the newest
commits, and copying both may catch them at two moments. SQLite's own backup reads one
snapshot while others go on writing; what it made is read through once before it gets its
name, so that a file of that name is always a whole backup.

Everything in the file is backed up: every tenant, and a service's own tables beside the log.
PostgreSQL has tools of its own for this (`pg_dump`).
"""

import os
import sqlite3
from contextlib import suppress
from errno import ENOTSUP, EPERM
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Final, NamedTuple

from salesflow.adapters.database.database import Database
from salesflow.adapters.database.schema import damaged
from salesflow.adapters.database.sqlite_errors import is_of_writing, translate_sqlite
from salesflow.adapters.database.sqlite_file import STAMP
from salesflow.adapters.logs import BACKUP
from salesflow.domain.time import Instant
from salesflow.domain.wording import shortened
from salesflow.errors import InputError

__all__ = ["Backup", "back_up"]


HEAD: Final = (
    "SELECT position, recorded FROM salesflow_events WHERE tenant = ?"
    " ORDER BY position DESC LIMIT 1"
)


STEP_PAGES: Final = 4_096
"""So many pages are copied between two looks at Ctrl-C."""


class Backup(NamedTuple):
    """A backup that was made, and where the log of its tenant stands in it."""

    file: Path
    bytes: int
    position: int
    recorded: Instant


def back_up(database: Database, tenant: str, to: str | os.PathLike[str]) -> Backup:
    """Copy the whole database into a new file, from one snapshot; others go on writing.

    Raises:
        InputError: on PostgreSQL, when the file exists already, or cannot be made.
        UnwritableError: when it cannot be written, on a full disk for instance.
        DamagedError: when the database is damaged.
    """
    if database.dialect != "sqlite":
        raise InputError(
            "PostgreSQL is backed up by its own tools, while the service runs:"
            " pg_dump --format=custom --file=sales.dump DATABASE, and pg_restore"
        )
    file = _new_file(to)
    part = file.with_name(f".salesflow-backup-{token_hex(4)}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        position, recorded = _copy(str(database.engine.url.database), part, tenant)
        _name(part, file)
    except sqlite3.Error as error:
        of = str(file) if is_of_writing(error) else str(database.engine.url.database)
        raise translate_sqlite(error, of) from error
    except OSError as error:
        raise InputError(f"{shortened(file)} cannot be written: {error.strerror}") from error
    finally:
        for ending in ("", "-journal", "-wal", "-shm"):
            with suppress(OSError):
                os.unlink(f"{part}{ending}")
    made = Backup(file, file.stat().st_size, position, recorded)
    BACKUP.info("backed up to position %d, %d bytes", position, made.bytes)
    return made


def _new_file(to: str | os.PathLike[str]) -> Path:
    try:
        file = Path(to).absolute()
        os.fsencode(file)
        if "\0" in str(file):
            raise ValueError("it holds a NUL")
        exists, is_folder, has_home = os.path.lexists(file), file.is_dir(), file.parent.is_dir()
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{shortened(repr(to))} cannot name a file: {error}") from error
    if is_folder:
        raise InputError(f"{shortened(file)} is a folder; name a new file in it")
    if exists:
        raise InputError(
            f"{shortened(file)} is there already, and no backup overwrites anything;"
            " name a new file"
        )
    if not has_home:
        raise InputError(f"there is no folder {shortened(file.parent)} for the backup")
    return file


def _copy(source: str, part: Path, tenant: str) -> tuple[int, Instant]:
    """Copy one snapshot, read the copy through, and say where the log stands in it."""
    copy = sqlite3.connect(part, isolation_level=None)
    try:
        _copy_pages(source, copy)
        # One file alone, which can be opened where nothing can be written beside it.
        copy.execute("PRAGMA journal_mode=DELETE").fetchone()
        [found] = copy.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise damaged(source, f"its copy was not kept: {' '.join(str(found).split())}")
        copy.execute("DELETE FROM salesflow_snapshots WHERE tenant = ? AND purpose = ?", STAMP)
        copy.execute(
            "INSERT INTO salesflow_snapshots VALUES (?, ?, ?, 0, '', x'')",
            (*STAMP, token_bytes(16)),
        )
        position, recorded = copy.execute(HEAD, (tenant,)).fetchone() or (0, 0)
    finally:
        copy.close()
    return position, recorded


def _copy_pages(source: str, copy: sqlite3.Connection) -> None:
    """Copy all pages in steps, in one read transaction, so that writers begin none anew."""
    uri = f"{Path(source).as_uri()}?mode=ro"
    live = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_master").fetchone()
        live.backup(copy, pages=STEP_PAGES)
    finally:
        live.close()


def _name(part: Path, file: Path) -> None:
    """Give a whole backup its name once it is on the disk; whoever has the name keeps it."""
    _sync(part)
    try:
        os.link(part, file)
    except OSError as error:
        if error.errno not in (EPERM, ENOTSUP):
            raise
        os.rename(part, file)  # a file system without links
    _sync(file.parent)


def _sync(path: Path) -> None:
    """See a file, or the names in a folder, onto the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems cannot for a folder
            os.fsync(number)
    finally:
        os.close(number)

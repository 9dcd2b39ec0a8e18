"""What SQLite says when something goes wrong, turned into errors of ours."""

import sqlite3

from salesflow.adapters.database.schema import WAY_OUT, altered, damaged
from salesflow.errors import (
    BusyError,
    DatabaseError,
    SalesflowError,
    SchemaError,
    StaleTransactionError,
    UnwritableError,
)

__all__ = [
    "BUSY",
    "NOT_A_DATABASE",
    "WRITABLE",
    "WRONG_STATEMENT",
    "is_damage",
    "is_of_writing",
    "is_without_index",
    "stale_transaction",
    "translate_sqlite",
]


NOT_A_DATABASE = 26
CORRUPT, WRONG_STATEMENT = 11, 1
BUSY, LOCKED, BUSY_SNAPSHOT = 5, 6, 517
READONLY, CANNOT_OPEN = 8, 14
FULL, IO_ERROR = 13, 10
WRITES = frozenset(IO_ERROR | number << 8 for number in (3, 4, 5, 6, 19, 20))
"""What goes wrong in writing: write, sync, truncate, the index of the write-ahead log."""
NO_INDEX = IO_ERROR | 19 << 8
READS = frozenset(IO_ERROR | number << 8 for number in (1, 2, 33))
"""What goes wrong in reading: less there than should be, a file system that finds a fault."""
WRITABLE = (
    "a file must be readable to be asked, and it, what stands beside it (-wal, -shm) and its"
    " folder writable to record"
)


def translate_sqlite(error: sqlite3.Error, file: str = "the file") -> SalesflowError:
    """Turn an error of the driver into one of ours."""
    whole = getattr(error, "sqlite_errorcode", 0)
    code = whole & 0xFF
    if whole in READS or code in (CORRUPT, NOT_A_DATABASE, WRONG_STATEMENT):
        return _unwhole(error, code, file)
    if whole == BUSY_SNAPSHOT:
        return stale_transaction(error)
    if code in (BUSY, LOCKED):
        return BusyError(
            f"another transaction held the SQLite file for too long: {error}; try again, or let"
            " it be waited for longer (wait_seconds)"
        )
    if code in (READONLY, CANNOT_OPEN):
        return UnwritableError(f"{file}: {error}; {WRITABLE}")
    if code == FULL or whole in WRITES:
        return UnwritableError(f"{file} cannot be written: {error}; make room on its disk")
    return DatabaseError(f"SQLite: {error}")


def _unwhole(error: sqlite3.Error, code: int, file: str) -> SalesflowError:
    """Return what is no longer whole: mostly a file, sometimes somebody's own statement."""
    if code == NOT_A_DATABASE:
        return SchemaError(
            f"{file} is not a SQLite database. Name another file; if it was one, {WAY_OUT}"
        )
    if code == CORRUPT:
        return damaged(file, error)
    if code == IO_ERROR:
        return damaged(f"{file} or {file}-wal beside it", error)
    if "salesflow_" in str(error):
        return altered(file, error)
    return DatabaseError(f"SQLite: {error}")


def is_damage(error: object) -> bool:
    """Return whether it went wrong since what is stored is not whole any more."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (CORRUPT, NOT_A_DATABASE)


def is_of_writing(error: sqlite3.Error) -> bool:
    """Return whether it went wrong since a file could not be written."""
    whole = getattr(error, "sqlite_errorcode", 0)
    return whole & 0xFF in (READONLY, CANNOT_OPEN, FULL) or whole in WRITES


def is_without_index(error: sqlite3.Error) -> bool:
    """Return whether the index of a write-ahead log, which readers need, finds no room."""
    return getattr(error, "sqlite_errorcode", 0) == NO_INDEX


def stale_transaction(error: sqlite3.Error) -> StaleTransactionError:
    """Return the error of a transaction that began by reading and is too old to write."""
    return StaleTransactionError(
        "your transaction has read and can no longer write, since others write or have written"
        " after it began; roll it back and begin it anew, with a write first (BEGIN IMMEDIATE):"
        f" {error}"
    )

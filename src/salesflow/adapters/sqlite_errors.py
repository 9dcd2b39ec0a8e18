"""What SQLite says when something goes wrong, turned into errors of ours."""

import sqlite3

from salesflow.errors import (
    BusyError,
    DatabaseError,
    SalesflowError,
    SchemaError,
    StaleTransactionError,
    UnwritableError,
)

__all__ = ["BUSY", "WRITABLE", "stale_transaction", "translate_sqlite"]

NOT_A_DATABASE = 26
BUSY, LOCKED, BUSY_SNAPSHOT = 5, 6, 517
READONLY, CANNOT_OPEN = 8, 14
FULL, IO_ERROR = 13, 10
WRITES = frozenset(IO_ERROR | number << 8 for number in (3, 4, 5, 6, 19, 20))
"""What goes wrong in writing: write, sync, truncate, the index of the write-ahead log."""
WRITABLE = "the file and its folder must be writable, also for asking"


def translate_sqlite(error: sqlite3.Error, file: str = "the file") -> SalesflowError:
    """Turn an error of the driver into one of ours."""
    whole = getattr(error, "sqlite_errorcode", 0)
    code = whole & 0xFF
    if whole == BUSY_SNAPSHOT:
        return stale_transaction(error)
    if code in (BUSY, LOCKED):
        return BusyError(f"another transaction held the SQLite file for too long: {error}")
    if code == NOT_A_DATABASE:
        return SchemaError(f"{file} is not a SQLite database: {error}")
    if code in (READONLY, CANNOT_OPEN):
        return UnwritableError(f"{file}: {error}; {WRITABLE}")
    if code == FULL or whole in WRITES:
        return UnwritableError(f"{file} cannot be written: {error}; make room on its disk")
    return DatabaseError(f"SQLite: {error}")


def stale_transaction(error: sqlite3.Error) -> StaleTransactionError:
    """Say that a transaction began by reading and is too old to write."""
    return StaleTransactionError(
        "your transaction has read and can no longer write, since others write or have written"
        " after it began; roll it back and begin it anew, with a write first (BEGIN IMMEDIATE):"
        f" {error}"
    )

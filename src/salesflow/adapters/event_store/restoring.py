"""Restoring into a database, whichever it is: one transaction, committed where it ends well.

What is the same on both is in `log_restore`; PostgreSQL's half is in `postgres_restoring`.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from salesflow.adapters.database.database import Database
from salesflow.adapters.database.sqlite import insert_rows, sqlite_connection
from salesflow.adapters.database.sqlite_errors import translate_sqlite
from salesflow.adapters.event_store.log_restore import TWICE, LogRestore, Row
from salesflow.domain.time import Instant
from salesflow.errors import InputError

__all__ = ["restoring"]


EVENT_MARKS: Final = f"({','.join('?' * 17)})"
COMMAND_MARKS: Final = "(?,?,?,?,?,?)"


class _SqliteRestore(LogRestore):
    """Takes a log into a SQLite file, whose lock of writers the transaction holds."""

    def _id(self, id: UUID) -> bytearray:
        return bytearray(id.bytes)

    def _lock(self) -> None:
        """Do nothing: the transaction has begun as a writer."""

    def _insert_events(self, rows: Sequence[Row]) -> None:
        self._insert("salesflow_events", EVENT_MARKS, rows)

    def _insert_commands(self, rows: Sequence[Row]) -> None:
        self._insert("salesflow_commands", COMMAND_MARKS, rows)

    def _insert(self, table: str, marks: str, rows: Sequence[Row]) -> None:
        raw = sqlite_connection(self._connection.connection)
        try:
            insert_rows(raw, table, marks, [cell for row in rows for cell in row])
        except sqlite3.IntegrityError as error:
            raise InputError(TWICE) from error
        except sqlite3.Error as error:
            raise translate_sqlite(error, str(self._database.url.database)) from error

    def _move_head(self, position: int, recorded: Instant) -> None:
        """Do nothing: the last event says where the log stands."""


@contextmanager
def restoring(database: Database, tenant: str) -> Iterator[LogRestore]:
    """Yield what takes a log into an empty tenant, and commit it where the block ends well.

    Raises:
        InputError: when the tenant holds something.
        BusyError: when others held the log for too long.
    """
    if database.dialect == "sqlite":
        kind: type[LogRestore] = _SqliteRestore
    else:
        from salesflow.adapters.event_store.postgres_restoring import PostgresRestore

        kind = PostgresRestore
    with database.whole(), database.begin() as connection:
        restore = kind(database, tenant, connection)
        restore.ensure_empty()
        yield restore
        restore.finish()

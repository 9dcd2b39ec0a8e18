"""Putting a log back into PostgreSQL, by COPY. A module of its own, since it needs psycopg."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import psycopg

from salesflow.adapters.database.postgres import (
    CHANNEL,
    PostgresConnection,
    numbered_cursor,
    postgres_connection,
)
from salesflow.adapters.database.postgres_errors import translate_postgres
from salesflow.adapters.event_store.log_restore import TWICE, LogRestore, Row
from salesflow.adapters.event_store.postgres_rows import LOCK_HEAD, NEW_HEAD
from salesflow.domain.time import Instant
from salesflow.errors import InputError

__all__ = ["PostgresRestore"]


EVENT_TYPES: Final = (
    *("text", "int8", "uuid", "int4", "uuid", "text", "bytea", "int8", "int8"),
    *("text",) * 7,
    "int8",
)
COMMAND_TYPES: Final = ("text", "text", "int8", "int8", "int8", "text")
EVENTS: Final = b"COPY salesflow_events FROM STDIN (FORMAT BINARY)"
COMMANDS: Final = b"COPY salesflow_commands FROM STDIN (FORMAT BINARY)"
MOVE_HEAD: Final = "UPDATE salesflow_head SET position = $2, recorded = $3 WHERE tenant = $1"
NOTIFY: Final = "SELECT pg_notify($1, $2)"


class PostgresRestore(LogRestore):
    """Takes a log into a PostgreSQL database, whose head row the transaction holds."""

    def _id(self, id: UUID) -> UUID:
        return id

    def _lock(self) -> None:
        with self._using() as raw, numbered_cursor(raw) as cursor:
            for statement in (NEW_HEAD, LOCK_HEAD):
                cursor.execute(statement, [self._tenant])

    def _insert_events(self, rows: Sequence[Row]) -> None:
        self._copy(EVENTS, EVENT_TYPES, rows)

    def _insert_commands(self, rows: Sequence[Row]) -> None:
        self._copy(COMMANDS, COMMAND_TYPES, rows)

    def _copy(self, statement: bytes, types: Sequence[str], rows: Sequence[Row]) -> None:
        with self._using() as raw, raw.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def _move_head(self, position: int, recorded: Instant) -> None:
        with self._using() as raw, numbered_cursor(raw) as cursor:
            cursor.execute(MOVE_HEAD, [self._tenant, position, recorded])
            cursor.execute(NOTIFY, [CHANNEL, self._tenant])

    @contextmanager
    def _using(self) -> Iterator[PostgresConnection]:
        try:
            yield postgres_connection(self._connection.connection)
        except psycopg.errors.UniqueViolation as error:
            raise InputError(TWICE) from error
        except psycopg.Error as error:
            raise translate_postgres(error) from error

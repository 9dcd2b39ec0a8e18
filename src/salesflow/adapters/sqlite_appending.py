"""How an append gets into SQLite: one immediate transaction, rows in one `executemany`.

The write lock of the file is taken first; then the clock is read, so that nobody's time
passes while waiting. The head row moves after the rows are in: the trigger against
INSERT OR REPLACE compares new rows with the head before.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from salesflow.adapters.appending import (
    SKEW,
    Append,
    Receipt,
    Rejected,
    clock_error,
    future_error,
    receipt_of,
)
from salesflow.adapters.sqlite_database import (
    SqliteDatabase,
    sqlite_connection,
    translate_sqlite,
)
from salesflow.domain.moments import Instant

__all__ = ["SqliteAppending"]

HEAD = "SELECT position, recorded, clock_accepted FROM salesflow_head WHERE tenant = ?"
NEW_HEAD = "INSERT INTO salesflow_head VALUES (?, 0, 0, 0)"
MOVE_HEAD = (
    "UPDATE salesflow_head SET position = ?, recorded = ?, clock_accepted = ? WHERE tenant = ?"
)
EVENTS = "INSERT INTO salesflow_events VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
COMMANDS = "INSERT INTO salesflow_commands VALUES (?,?,?,?,?)"

Row = tuple[object, ...]


class SqliteAppending:
    """Writes appends of one tenant into a SQLite file."""

    def __init__(
        self, database: SqliteDatabase, tenant: str, clock: Callable[[], Instant] | None
    ) -> None:
        self._database = database
        self._tenant = tenant
        self._clock = clock or _host_clock

    def write(self, appends: Sequence[Append]) -> list[Receipt]:
        """Write all of them in one transaction, or none."""
        try:
            with self._database.writing() as connection:
                return self._insert(connection, appends)
        except sqlite3.Error as error:
            raise _refusal(error) from error

    def write_in(self, connection: sa.Connection, append: Append) -> Receipt:
        """Write one into the caller's transaction, which stays intact when it fails."""
        raw = sqlite_connection(connection.connection)
        try:
            if not connection.in_transaction():
                connection.begin()
            if not raw.in_transaction:
                raw.execute("BEGIN IMMEDIATE")
            raw.execute("SAVEPOINT salesflow_append")
            try:
                receipts = self._insert(raw, [append])
            except BaseException:
                if raw.in_transaction:
                    raw.execute("ROLLBACK TO salesflow_append")
                    raw.execute("RELEASE salesflow_append")
                raise
            raw.execute("RELEASE salesflow_append")
        except sqlite3.Error as error:
            raise _refusal(error) from error
        return receipts[0]

    def _insert(
        self, connection: sqlite3.Connection, appends: Sequence[Append]
    ) -> list[Receipt]:
        tenant = self._tenant
        head = connection.execute(HEAD, (tenant,)).fetchone()
        if head is None:
            connection.execute(NEW_HEAD, (tenant,))
            head = (0, 0, 0)
        position, recorded, accepted = head
        now = self._clock()
        moved = _next_instant(appends, now, recorded, accepted=bool(accepted))
        still = int(now <= recorded and bool(accepted or appends[0].accept_clock))
        rows: list[Row] = []
        names: list[Row] = []
        receipts = []
        for append in appends:
            first = position + 1
            position = _add_rows(rows, append, tenant, position, moved)
            if append.command_id is not None:
                names.append((tenant, append.command_id, first, position, moved))
            receipts.append(receipt_of(append, first, moved))
            moved += 1
        _execute(connection, EVENTS, rows)
        if names:
            _execute(connection, COMMANDS, names)
        connection.execute(MOVE_HEAD, (position, moved - 1, still, tenant))
        return receipts


def _next_instant(
    appends: Sequence[Append], now: Instant, recorded: Instant, *, accepted: bool
) -> Instant:
    """Give the time of the first append; refuse a clock behind and a fact ahead."""
    if now < recorded - SKEW and not accepted and not appends[0].accept_clock:
        raise clock_error(now, recorded)
    following = max(now, recorded + 1)
    for append in appends:
        if append.latest is not None and append.latest > following + SKEW:
            raise future_error(append, following)
    return following


def _add_rows(
    rows: list[Row], append: Append, tenant: str, position: int, recorded: Instant
) -> int:
    command_id = append.command_id
    for (
        stream_id,
        version,
        topic,
        payload,
        event_id,
        occurred,
        precision,
        actor,
        correlation_id,
        causation_id,
        source,
        source_id,
    ) in append.drafts:
        position += 1
        rows.append(
            (
                tenant,
                position,
                stream_id.bytes,
                version,
                event_id.bytes,
                topic,
                payload,
                recorded if occurred is None or occurred > recorded else occurred,
                recorded,
                precision,
                actor,
                command_id,
                correlation_id,
                causation_id,
                source,
                source_id,
            )
        )
    return position


def _execute(connection: sqlite3.Connection, statement: str, rows: list[Row]) -> None:
    if len(rows) == 1:
        connection.execute(statement, rows[0])
    else:
        connection.executemany(statement, rows)


def _refusal(error: sqlite3.Error) -> Exception:
    if isinstance(error, sqlite3.IntegrityError):
        return Rejected(str(error))
    return translate_sqlite(error)


def _host_clock() -> Instant:
    return time.time_ns() // 1000

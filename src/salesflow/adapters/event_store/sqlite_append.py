"""How an append gets into SQLite: one immediate transaction, rows in one `executemany`.

The write lock of the file is taken first; then the clock is read, so that nobody's time
passes while waiting. The last event says where the log stands.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import compress, repeat
from time import monotonic

import sqlalchemy as sa

from salesflow.adapters.database.connections import lend
from salesflow.adapters.database.sqlite import SqliteDatabase, sqlite_connection
from salesflow.adapters.database.sqlite_connections import (
    BUSY,
    stale_transaction,
    translate_sqlite,
)
from salesflow.adapters.event_store.append import (
    Append,
    Columns,
    Look,
    Receipt,
    Rejected,
    columns_of,
    host_clock,
    log_shrunk_error,
    next_instant,
    receipts_of,
)
from salesflow.domain.time import Instant

__all__ = ["SqliteAppending"]


HEAD = (
    "SELECT position, recorded, (SELECT accepted FROM salesflow_clock WHERE tenant = ?1)"
    " FROM salesflow_events WHERE tenant = ?1 ORDER BY position DESC LIMIT 1"
)
ACCEPT = (
    "INSERT INTO salesflow_clock VALUES (?, ?)"
    " ON CONFLICT (tenant) DO UPDATE SET accepted = excluded.accepted"
)
AT_ONCE_SECONDS = 0.005
COMMANDS = "INSERT INTO salesflow_commands VALUES (?,?,?,?,?,?)"
ROW = f"INSERT INTO salesflow_events VALUES ({','.join('?' * 16)})"
FEW = 12
"""So many rows are written one by one sooner than as columns."""


class SqliteAppending:
    """Writes appends of one tenant into a SQLite file."""

    def __init__(
        self, database: SqliteDatabase, tenant: str, clock: Callable[[], Instant] | None
    ) -> None:
        self.least = 0
        """The position that the log is known to have reached; it never stands before that."""
        self._database = database
        self._tenant = tenant
        self._clock = clock or host_clock

    def write(
        self, appends: Sequence[Append], deadline: float, look: Look = None
    ) -> list[Receipt]:
        """Write all of them in one transaction by then, or none."""

        def work(writer: sqlite3.Connection) -> list[Receipt]:
            if look is not None:
                look()
            return self._insert(writer, appends, self.least)

        try:
            return self._database.write(work, deadline)
        except sqlite3.Error as error:
            raise self._refusal(error) from error

    def write_in(self, connection: sa.Connection, append: Append, look: Look = None) -> Receipt:
        """Write one into the caller's transaction, which stays intact when it fails."""
        raw = sqlite_connection(connection.connection)
        try:
            if not connection.in_transaction():
                connection.begin()
            lend(self._database, connection, raw.total_changes)
            if raw.in_transaction:
                _become_writer(raw)
            else:
                raw.execute("BEGIN IMMEDIATE")
            if look is not None:
                look()
            raw.execute("SAVEPOINT salesflow_append")
            try:
                receipts = self._insert(raw, [append])
                raw.execute("RELEASE salesflow_append")
            except BaseException:
                if raw.in_transaction:
                    with suppress(sqlite3.OperationalError):  # it is released already
                        raw.execute("ROLLBACK TO salesflow_append")
                        raw.execute("RELEASE salesflow_append")
                raise
        except sqlite3.Error as error:
            raise self._refusal(error) from error
        return receipts[0]

    def _refusal(self, error: sqlite3.Error) -> Exception:
        if isinstance(error, sqlite3.IntegrityError):
            return Rejected(str(error))
        return translate_sqlite(error, self._database.path)

    def _insert(
        self, connection: sqlite3.Connection, appends: Sequence[Append], least: int = 0
    ) -> list[Receipt]:
        tenant = self._tenant
        head = connection.execute(HEAD, (tenant,)).fetchone()
        base, recorded, accepted = head or (0, 0, 0)
        if base < least:
            raise log_shrunk_error(self._database.path, tenant, least, base)
        now = self._clock()
        first = next_instant(appends, now, recorded, accepted=bool(accepted))
        if accepted or now <= recorded:
            still = int(now <= recorded and bool(accepted or appends[0].accept_clock))
            if still != (accepted or 0):
                connection.execute(ACCEPT, (tenant, still))
        receipts = receipts_of(appends, base, first)
        if receipts[-1].last - base <= FEW:
            connection.executemany(ROW, _rows_of(tenant, appends, base, first))
        else:
            self._add(connection, columns_of(appends), base, first)
        for append, receipt in zip(appends, receipts, strict=True):
            if receipt.command_id is not None:
                command = (tenant, receipt.command_id, *receipt[:3], append.fingerprint)
                connection.execute(COMMANDS, command)
        return receipts

    def _add(
        self, connection: sqlite3.Connection, columns: Columns, base: int, first: Instant
    ) -> None:
        """Insert many rows; what is the same in all of them stands in the statement."""
        count = len(columns.versions)
        days = columns.precisions.count("day") > 0
        texts = (
            *(columns.actors, columns.command_ids, columns.correlation_ids),
            *(columns.causation_ids, columns.sources, columns.source_ids),
        )
        there = [*map(count.__gt__, map(tuple.count, texts, repeat(None)))]
        statement = _statement(self._tenant, days, *there)
        rows = zip(*_given(columns, base, first, days), *compress(texts, there), strict=True)
        connection.executemany(statement, rows)


def _rows_of(
    tenant: str, appends: Sequence[Append], base: int, first: Instant
) -> Iterator[tuple[object, ...]]:
    """Give the rows of a few drafts, which `_given` does for many."""
    # fmt: off
    position, recorded = base, first
    for drafts, _, _, command, *_ in appends:
        for (
            stream, version, topic, payload, event, then, precision, actor, correlation,
            causation, source, source_id,
        ) in drafts:
            position += 1
            happened = recorded if then is None or then > recorded else then
            yield (
                tenant, position, bytearray(stream.int.to_bytes(16)), version,
                bytearray(event.int.to_bytes(16)), topic, bytearray(payload), happened,
                recorded, precision, actor, command, correlation, causation, source, source_id,
            )
        recorded += 1
    # fmt: on


@lru_cache(maxsize=1024)
def _statement(tenant: str, days: bool, *there: bool) -> str:
    """Write the statement for rows of which some texts are there and the others are NULL."""
    marks = ["?"] * 8 + ["?" if days else "'microsecond'"]
    marks += ["?" if each else "NULL" for each in there]
    return f"INSERT INTO salesflow_events VALUES ('{tenant}',{','.join(marks)})"


def _given(
    columns: Columns, base: int, first: Instant, days: bool
) -> tuple[Sequence[object], ...]:
    """Give the columns that differ from row to row, before the texts of the envelope."""
    recorded = [first + number for number in columns.numbers]
    occurred = columns.occurred
    if occurred.count(None) < len(occurred):
        text = zip(occurred, recorded, strict=True)
        happened = [now if then is None or then > now else then for then, now in text]
    else:
        happened = recorded
    given = (
        range(base + 1, base + len(recorded) + 1),
        _blobs([id.int.to_bytes(16) for id in columns.stream_ids]),
        columns.versions,
        _blobs([id.int.to_bytes(16) for id in columns.event_ids]),
        columns.topics,
        _blobs(columns.payloads),
        happened,
        recorded,
    )
    return (*given, columns.precisions) if days else given


def _blobs(column: Sequence[bytes]) -> list[bytearray]:
    """Give bytes as the driver binds them at once; `bytes` it looks up among its adapters."""
    return [*map(bytearray, column)]


def _become_writer(connection: sqlite3.Connection) -> None:
    """Take the write lock in a transaction that is under way, before anything is read.

    SQLite waits for other writers unless the transaction has read, since it then never could
    become a writer after them.
    """
    begun = monotonic()
    try:
        connection.execute("DELETE FROM salesflow_clock WHERE 0")
    except sqlite3.OperationalError as error:
        at_once = monotonic() - begun < AT_ONCE_SECONDS
        if at_once and error.sqlite_errorcode & 0xFF == BUSY:
            raise stale_transaction(error) from error
        raise

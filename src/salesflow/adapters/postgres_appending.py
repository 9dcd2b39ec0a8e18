"""How an append gets into PostgreSQL: one statement and one round trip; COPY for many rows.

The statement moves the head row (whose lock orders all appends of a tenant), inserts events
and command ids after it and notifies the subscribers. It commits by itself. The clock is read
inside it, after the lock was got, unless the log was given a clock of its own. When the head
row does not move, nothing is stored, and a second look says why.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from struct import Struct
from weakref import finalize

import psycopg
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
from salesflow.adapters.postgres_arrays import (
    COPY_END,
    COPY_START,
    Bigints,
    Blobs,
    Integers,
    Texts,
    Uuids,
    field,
    register,
)
from salesflow.adapters.postgres_database import (
    CHANNEL,
    PostgresConnection,
    PostgresDatabase,
    postgres_connection,
    translate_postgres,
)
from salesflow.domain.moments import Instant
from salesflow.errors import BusyError, InputError

__all__ = ["PostgresAppending"]

COPY_ABOVE = 100

Parameters = dict[str, object]

NOW = "coalesce(%(now)s::int8, (extract(epoch FROM clock_timestamp()) * 1000000)::int8)"

MOVE_HEAD = f"""
    UPDATE salesflow_head SET
        position = position + %(count)s::int8,
        recorded = greatest({NOW}, recorded + 1) + %(appends)s::int8 - 1,
        clock_accepted = CASE WHEN (%(accept)s OR clock_accepted = 1) AND {NOW} <= recorded
            THEN 1 ELSE 0 END
    WHERE tenant = %(tenant)s
        AND (%(accept)s OR clock_accepted = 1 OR {NOW} >= recorded - {SKEW})
        AND coalesce(%(latest)s::int8 <= greatest({NOW}, recorded + 1) + {SKEW}, true)
    RETURNING position - %(count)s::int8 AS base,
        recorded - %(appends)s::int8 + 1 AS first_recorded"""

INSERT_EVENTS = """
    INSERT INTO salesflow_events
    SELECT %(tenant)s, h.base + u.number, u.stream_id, u.version, u.event_id, u.topic,
        u.payload, least(u.occurred, h.first_recorded + u.append),
        h.first_recorded + u.append, u.precision, u.actor, u.command_id,
        u.correlation_id, u.causation_id, u.source, u.source_id
    FROM h, unnest(%(stream_id)s::uuid[], %(version)s::int4[], %(event_id)s::uuid[],
        %(topic)s::text[], %(payload)s::bytea[], %(occurred)s::int8[], %(append)s::int4[],
        %(precision)s::text[], %(actor)s::text[], %(command_id)s::text[],
        %(correlation_id)s::text[], %(causation_id)s::text[], %(source)s::text[],
        %(source_id)s::text[]) WITH ORDINALITY
        AS u (stream_id, version, event_id, topic, payload, occurred, append, precision,
        actor, command_id, correlation_id, causation_id, source, source_id, number)"""

INSERT_COMMANDS = """
    INSERT INTO salesflow_commands
    SELECT %(tenant)s, u.command_id, h.base + u.first, h.base + u.last,
        h.first_recorded + u.append
    FROM h, unnest(%(names)s::text[], %(firsts)s::int8[], %(lasts)s::int8[],
        %(offsets)s::int4[]) AS u (command_id, first, last, append)"""

ANSWER = f"SELECT base, first_recorded, pg_notify('{CHANNEL}', %(tenant)s) FROM h"

APPEND = f"WITH h AS ({MOVE_HEAD}), e AS ({INSERT_EVENTS}) {ANSWER}"
APPEND_COMMANDS = (
    f"WITH h AS ({MOVE_HEAD}), e AS ({INSERT_EVENTS}), c AS ({INSERT_COMMANDS}) {ANSWER}"
)
RESERVE = f"WITH h AS ({MOVE_HEAD}) {ANSWER}"
RESERVE_COMMANDS = f"WITH h AS ({MOVE_HEAD}), c AS ({INSERT_COMMANDS}) {ANSWER}"
COPY = "COPY salesflow_events FROM STDIN (FORMAT BINARY)"
LOOK = f"SELECT recorded, clock_accepted, {NOW} FROM salesflow_head WHERE tenant = %(tenant)s"
NEW_HEAD = (
    "INSERT INTO salesflow_head VALUES (%(tenant)s, 0, 0, 0) ON CONFLICT (tenant) DO NOTHING"
)


class PostgresAppending:
    """Writes appends of one tenant into a PostgreSQL database."""

    def __init__(
        self, database: PostgresDatabase, tenant: str, clock: Callable[[], Instant] | None
    ) -> None:
        self._database = database
        self._tenant = tenant
        self._clock = clock
        self._writer: PostgresConnection | None = None

    def write(self, appends: Sequence[Append]) -> list[Receipt]:
        """Write all of them in one transaction, or none."""
        connection = self._connected()
        with _refusing():
            if sum(len(append.drafts) for append in appends) <= COPY_ABOVE:
                return self._insert(connection, appends)
            with connection.transaction():
                return self._copy(connection, appends)

    def write_in(self, connection: sa.Connection, append: Append) -> Receipt:
        """Write one into the caller's transaction, which stays intact when it fails."""
        raw = postgres_connection(connection.connection)
        if raw.autocommit:
            raise InputError("the connection commits by itself; pass one in a transaction")
        if not connection.in_transaction():
            connection.begin()
        register(raw)
        wait = f"{int(self._database.wait_seconds * 1000)}ms"
        with _refusing():
            # Also begins the transaction, without which psycopg's block would commit.
            before = raw.execute("SELECT current_setting('lock_timeout')").fetchone()
            with raw.transaction():
                raw.execute("SELECT set_config('lock_timeout', %s, true)", [wait])
                small = len(append.drafts) <= COPY_ABOVE
                receipts = (self._insert if small else self._copy)(raw, [append])
                raw.execute("SELECT set_config('lock_timeout', %s, true)", before)
        return receipts[0]

    def _connected(self) -> PostgresConnection:
        writer = self._writer
        if writer is not None and not writer.closed:
            try:
                writer.pgconn.consume_input()
            except psycopg.OperationalError:
                writer.close()  # the server went away while nobody wrote; begin again
            else:
                return writer
        self._writer = writer = self._database.connect()
        finalize(self, writer.close)
        register(writer)
        return writer

    def _insert(
        self, connection: PostgresConnection, appends: Sequence[Append]
    ) -> list[Receipt]:
        parameters = self._parameters(appends)
        parameters.update(_columns(appends))
        statement = APPEND_COMMANDS if _add_commands(parameters, appends) else APPEND
        base, recorded = self._moved(connection, statement, parameters, appends)
        return _receipts(appends, base, recorded)

    def _copy(self, connection: PostgresConnection, appends: Sequence[Append]) -> list[Receipt]:
        parameters = self._parameters(appends)
        statement = RESERVE_COMMANDS if _add_commands(parameters, appends) else RESERVE
        base, recorded = self._moved(connection, statement, parameters, appends)
        with connection.cursor().copy(COPY) as copy:
            copy.write(COPY_START)
            copy.write(b"".join(_rows(appends, self._tenant, base, recorded)))
            copy.write(COPY_END)
        return _receipts(appends, base, recorded)

    def _parameters(self, appends: Sequence[Append]) -> Parameters:
        latest = [append.latest for append in appends if append.latest is not None]
        return {
            "tenant": self._tenant,
            "now": None if self._clock is None else self._clock(),
            "count": sum(len(append.drafts) for append in appends),
            "appends": len(appends),
            "accept": appends[0].accept_clock,
            "latest": max(latest, default=None),
        }

    def _moved(
        self,
        connection: PostgresConnection,
        statement: str,
        parameters: Parameters,
        appends: Sequence[Append],
    ) -> tuple[int, Instant]:
        """Run the statement; when the head did not move, say why or try again."""
        for _ in range(3):
            cursor = connection.execute(statement, parameters, prepare=True, binary=True)
            row = cursor.fetchone()
            if row is not None:
                return int(row[0]), int(row[1])
            self._look(connection, parameters, appends)
        raise BusyError(f"the head of log {self._tenant} did not settle; try again")

    def _look(
        self, connection: PostgresConnection, parameters: Parameters, appends: Sequence[Append]
    ) -> None:
        row = connection.execute(
            LOOK, {"tenant": parameters["tenant"], "now": parameters["now"]}
        ).fetchone()
        if row is None:
            connection.execute(NEW_HEAD, {"tenant": self._tenant})
            return
        recorded, accepted, now = row
        if now < recorded - SKEW and not accepted and not parameters["accept"]:
            raise clock_error(now, recorded)
        following = max(now, recorded + 1)
        for append in appends:
            if append.latest is not None and append.latest > following + SKEW:
                raise future_error(append, following)


def _columns(appends: Sequence[Append]) -> Parameters:
    """Turn the drafts into an array a column."""
    drafts = list(chain.from_iterable(append.drafts for append in appends))
    streams, versions, topics, payloads, ids, occurred, precisions, *texts = zip(
        *drafts, strict=True
    )
    actors, correlations, causations, sources, source_ids = texts
    offsets: list[int] = []
    names: list[str | None] = []
    for offset, append in enumerate(appends):
        offsets += [offset] * len(append.drafts)
        names += [append.command_id] * len(append.drafts)
    return {
        "stream_id": Uuids.of(streams),
        "version": Integers.of(versions),
        "event_id": Uuids.of(ids),
        "topic": Texts.of(topics),
        "payload": Blobs.of(payloads),
        "occurred": Bigints.of(occurred),
        "append": Integers.of(offsets),
        "precision": Texts.of(precisions),
        "actor": Texts.of(actors),
        "command_id": Texts.of(names),
        "correlation_id": Texts.of(correlations),
        "causation_id": Texts.of(causations),
        "source": Texts.of(sources),
        "source_id": Texts.of(source_ids),
    }


def _add_commands(parameters: Parameters, appends: Sequence[Append]) -> bool:
    """Add the arrays of command ids, when there are any."""
    names, firsts, lasts, offsets = [], [], [], []
    before = 0
    for offset, append in enumerate(appends):
        after = before + len(append.drafts)
        if append.command_id is not None:
            names.append(append.command_id)
            firsts.append(before + 1)
            lasts.append(after)
            offsets.append(offset)
        before = after
    if not names:
        return False
    parameters["names"] = Texts.of(names)
    parameters["firsts"] = Bigints.of(firsts)
    parameters["lasts"] = Bigints.of(lasts)
    parameters["offsets"] = Integers.of(offsets)
    return True


_STREAM_ID = Struct("!iqi16siii16s").pack
_TIMES = Struct("!iqiq").pack
_LENGTH = Struct("!i").pack
_COLUMN_COUNT = b"\x00\x10"


def _rows(
    appends: Sequence[Append], tenant: str, base: int, recorded: Instant
) -> Iterator[bytes]:
    """Write the rows as binary COPY wants them, in the order of the table's columns."""
    start = _COLUMN_COUNT + field(tenant)
    known: dict[str | None, bytes] = {None: field(None)}

    def text(value: str | None) -> bytes:
        found = known.get(value)
        if found is None:
            found = known[value] = field(value)
        return found

    for offset, append in enumerate(appends):
        then = recorded + offset
        command_id = text(append.command_id)
        for stream, version, topic, payload, event_id, occurred, *others in append.drafts:
            base += 1
            precision, actor, correlation, causation, source, source_id = others
            happened = then if occurred is None or occurred > then else occurred
            yield (
                start
                + _STREAM_ID(8, base, 16, stream.bytes, 4, version, 16, event_id.bytes)
                + text(topic)
                + _LENGTH(len(payload))
                + payload
                + _TIMES(8, happened, 8, then)
                + text(precision)
                + text(actor)
                + command_id
                + text(correlation)
                + text(causation)
                + text(source)
                + field(source_id)
            )


def _receipts(appends: Sequence[Append], base: int, recorded: Instant) -> list[Receipt]:
    receipts = []
    for append in appends:
        receipts.append(receipt_of(append, base + 1, recorded))
        base += len(append.drafts)
        recorded += 1
    return receipts


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        raise Rejected(str(error)) from error
    except psycopg.Error as error:
        raise translate_postgres(error) from error

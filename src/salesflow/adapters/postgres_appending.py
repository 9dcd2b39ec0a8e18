"""How an append gets into PostgreSQL: one statement and one round trip; COPY for many rows.

The statement moves the head row (whose lock orders all appends of a tenant), inserts events
and command ids after it and notifies the subscribers. It commits by itself. The clock is read
inside it, after the lock was got, unless the log was given a clock of its own. When the head
row does not move, nothing is stored, and a second look says why.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from struct import Struct
from weakref import finalize

import psycopg
import sqlalchemy as sa

from salesflow.adapters.appending import (
    SKEW,
    Append,
    Columns,
    Receipt,
    Rejected,
    columns_of,
    next_instant,
    receipts_of,
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
    PostgresCursor,
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

INSERT_EVENT = """
    INSERT INTO salesflow_events
    SELECT %(tenant)s, h.base + 1, %(stream_id)s, %(version)s::int4, %(event_id)s,
        %(topic)s::text, %(payload)s, least(%(occurred)s::int8, h.first_recorded),
        h.first_recorded, %(precision)s::text, %(actor)s::text, %(command_id)s::text,
        %(correlation_id)s::text, %(causation_id)s::text, %(source)s::text,
        %(source_id)s::text
    FROM h"""

INSERT_COMMAND = """
    INSERT INTO salesflow_commands
    SELECT %(tenant)s, %(command_id)s::text, h.base + 1, h.base + 1, h.first_recorded
    FROM h"""

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
APPEND_ONE = f"WITH h AS ({MOVE_HEAD}), e AS ({INSERT_EVENT}) {ANSWER}"
APPEND_ONE_COMMAND = (
    f"WITH h AS ({MOVE_HEAD}), e AS ({INSERT_EVENT}), c AS ({INSERT_COMMAND}) {ANSWER}"
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
        self._writer: PostgresCursor | None = None

    def write(self, appends: Sequence[Append]) -> list[Receipt]:
        """Write all of them in one transaction, or none."""
        cursor = self._cursor()
        with _refusing():
            if _is_small(appends):
                return self._insert(cursor, appends)
            with cursor.connection.transaction():
                return self._copy(cursor, appends)

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
                with raw.cursor(binary=True) as cursor:
                    write = self._insert if _is_small([append]) else self._copy
                    receipts = write(cursor, [append])
                raw.execute("SELECT set_config('lock_timeout', %s, true)", before)
        return receipts[0]

    def _cursor(self) -> PostgresCursor:
        """Give the writer's cursor; when the server went away meanwhile, a new one."""
        writer = self._writer
        if writer is not None and not writer.connection.closed:
            try:
                for _ in range(2):  # the server's farewell, then the end of the line
                    writer.connection.pgconn.consume_input()
            except psycopg.OperationalError:
                writer.connection.close()
            else:
                return writer
        connection = self._database.connect()
        finalize(self, connection.close)
        register(connection)
        self._writer = connection.cursor(binary=True)
        return self._writer

    def _insert(self, cursor: PostgresCursor, appends: Sequence[Append]) -> list[Receipt]:
        parameters = self._parameters(appends)
        if parameters["count"] == 1:
            draft, command_id = appends[0].drafts[0], appends[0].command_id
            parameters.update(draft._asdict(), command_id=command_id)
            statement = APPEND_ONE if command_id is None else APPEND_ONE_COMMAND
        else:
            parameters.update(_arrays(columns_of(appends)))
            statement = APPEND_COMMANDS if _add_commands(parameters, appends) else APPEND
        base, recorded = self._moved(cursor, statement, parameters, appends)
        return receipts_of(appends, base, recorded)

    def _copy(self, cursor: PostgresCursor, appends: Sequence[Append]) -> list[Receipt]:
        parameters = self._parameters(appends)
        statement = RESERVE_COMMANDS if _add_commands(parameters, appends) else RESERVE
        base, recorded = self._moved(cursor, statement, parameters, appends)
        with cursor.copy(COPY) as copy:
            copy.write(COPY_START)
            copy.write(b"".join(_rows(appends, self._tenant, base, recorded)))
            copy.write(COPY_END)
        return receipts_of(appends, base, recorded)

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
        cursor: PostgresCursor,
        statement: str,
        parameters: Parameters,
        appends: Sequence[Append],
    ) -> tuple[int, Instant]:
        """Run the statement; when the head did not move, say why or try again."""
        for _ in range(3):
            row = cursor.execute(statement, parameters, prepare=True).fetchone()
            if row is not None:
                return int(row[0]), int(row[1])
            self._look(cursor, parameters, appends)
        raise BusyError(f"the head of log {self._tenant} did not settle; try again")

    def _look(
        self, cursor: PostgresCursor, parameters: Parameters, appends: Sequence[Append]
    ) -> None:
        row = cursor.execute(
            LOOK, {"tenant": parameters["tenant"], "now": parameters["now"]}
        ).fetchone()
        if row is None:
            cursor.execute(NEW_HEAD, {"tenant": self._tenant})
            return
        recorded, accepted, now = row
        next_instant(appends, now, recorded, accepted=bool(accepted))


def _is_small(appends: Sequence[Append]) -> bool:
    return sum([len(append.drafts) for append in appends]) <= COPY_ABOVE


def _arrays(columns: Columns) -> Parameters:
    return {
        "stream_id": Uuids.of(columns.stream_ids),
        "version": Integers.of(columns.versions),
        "event_id": Uuids.of(columns.event_ids),
        "topic": Texts.of(columns.topics),
        "payload": Blobs.of(columns.payloads),
        "occurred": Bigints.of(columns.occurred),
        "append": Integers.of(columns.numbers),
        "precision": Texts.of(columns.precisions),
        "actor": Texts.of(columns.actors),
        "command_id": Texts.of(columns.command_ids),
        "correlation_id": Texts.of(columns.correlation_ids),
        "causation_id": Texts.of(columns.causation_ids),
        "source": Texts.of(columns.sources),
        "source_id": Texts.of(columns.source_ids),
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


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        raise Rejected(str(error)) from error
    except psycopg.Error as error:
        raise translate_postgres(error) from error

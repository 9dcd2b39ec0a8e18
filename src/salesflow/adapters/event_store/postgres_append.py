"""How an append gets into PostgreSQL: one statement and one round trip; COPY for many rows.

The statement moves the head row (whose lock orders all appends of a tenant), inserts events
and command ids after it and notifies the subscribers. It commits by itself. The clock is read
inside it, after the lock was got, unless the log was given a clock of its own. When the head
row does not move, nothing is stored, and a second look says why.

It is a module of its own, since it alone needs psycopg.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from struct import Struct
from time import monotonic
from weakref import finalize

import psycopg
import sqlalchemy as sa

from salesflow.adapters.database.forks import FORKABLE, Forkable
from salesflow.adapters.database.lent_connections import LENT, has_written, lend
from salesflow.adapters.database.postgres import (
    PostgresCursor,
    PostgresDatabase,
    is_idle,
    numbered_cursor,
    postgres_connection,
)
from salesflow.adapters.database.postgres_errors import translate_postgres
from salesflow.adapters.event_store.append import (
    Append,
    Columns,
    NewEvent,
    Receipt,
    Recheck,
    Rejected,
    columns_of,
    next_instant,
    receipts_of,
)
from salesflow.adapters.event_store.postgres_rows import (
    APPEND,
    APPEND_COMMANDS,
    APPEND_ONE,
    APPEND_ONE_COMMAND,
    COPY,
    COPY_END,
    COPY_START,
    LIMIT_TO,
    LIMITS,
    LOCK_HEAD,
    LOOK,
    NEW_HEAD,
    RESERVE,
    RESERVE_COMMANDS,
    SET_LIMITS,
    Bigints,
    Blobs,
    Integers,
    Statement,
    Texts,
    Uuids,
    field,
    register,
)
from salesflow.adapters.event_store.rows import Checksums
from salesflow.domain.time import Instant
from salesflow.errors import BusyError, InputError, OwnTransactionError

__all__ = ["Limit", "PostgresAppending"]


# How long an append waits for other writers of a PostgreSQL database.


class Limit:
    """How long a statement may take that waits for other writers, in milliseconds.

    The wait for a row is two waits, so that `lock_timeout` alone would let it take twice as
    long. A shorter limit of the server or role stands, and is told apart from ours.
    """

    def __init__(self, wanted: int, *, ours: bool) -> None:
        self.wanted = wanted
        self.theirs = 0
        self.ours = ours

    def note_theirs(self, theirs: int) -> None:
        """Note the limit of the server; 0 is none."""
        self.theirs = theirs
        self.ours = theirs == 0 or self.wanted < theirs

    @property
    def milliseconds(self) -> int:
        """The limit that holds."""
        return self.wanted if self.ours else self.theirs


COPY_ABOVE = 100
PARTS_AT_ONCE = 2_000
"""So many fields and groups of fields are handed to the server at once, 14 of each row."""

Parameters = dict[str, object]


class PostgresAppending(Forkable):
    """Writes appends of one tenant into a PostgreSQL database."""

    def __init__(
        self, database: PostgresDatabase, tenant: str, clock: Callable[[], Instant] | None
    ) -> None:
        self.position_min = 0
        self._database = database
        self._tenant = tenant
        self._clock = clock
        self._checksums = Checksums(tenant)
        self._writer: PostgresCursor | None = None
        self._limit = Limit(0, ours=True)
        FORKABLE.add(self)

    def after_fork_in_child(self) -> None:
        """Leave the writer's connection to the parent."""
        self._writer = None

    def write(
        self, appends: Sequence[Append], deadline: float, recheck: Recheck = None
    ) -> list[Receipt]:
        """Write all of them in one transaction by then, or none.

        An exception at any instant leaves no transaction open: a connection that it caught in
        the middle is closed, at once or when it is found.
        """
        self._ensure_no_own_transaction()
        connection = None
        try:
            cursor = self._cursor()
            connection = cursor.connection
            wait = max(1, int((deadline - monotonic()) * 1000))
            if self._database.options.pooled or recheck is not None or not _is_small(appends):
                receipts = self._write_in_steps(cursor, appends, wait, recheck)
            else:
                self._limit_to(cursor, wait)
                receipts = self._insert(cursor, appends)
        except psycopg.Error as error:
            if connection is None:  # nothing was limited yet
                raise translate_postgres(error) from error
            if not is_idle(connection):
                connection.close()
            raise _refusal(error, self._limit) from error
        except BaseException:
            if connection is not None and not is_idle(connection):
                connection.close()
            raise
        return receipts

    def _write_in_steps(
        self, cursor: PostgresCursor, appends: Sequence[Append], wait: int, recheck: Recheck
    ) -> list[Receipt]:
        """Write in a transaction of several statements, whose first ones wait for others."""
        limit, pooled = Limit(wait, ours=True), self._database.options.pooled
        if not pooled:
            self._limit_to(cursor, wait)
            limit = self._limit
        with _refusing(limit), cursor.connection.transaction():
            if pooled:
                _limit_transaction(cursor, limit)
            self._recheck(cursor, recheck)
            if _is_small(appends):
                return self._insert(cursor, appends)
            return self._copy(cursor, appends, limit)

    def _recheck(self, cursor: PostgresCursor, recheck: Recheck) -> None:
        """Take the lock that orders all appends, and look at what stands then."""
        if recheck is not None:
            for statement in (NEW_HEAD, LOCK_HEAD):
                cursor.execute(statement, [self._tenant])
            recheck()

    def _limit_to(self, cursor: PostgresCursor, wait: int) -> None:
        """Have the server end a statement of this connection that waits for longer."""
        wanted = self._limit.wanted
        if wanted and abs(wait - wanted) <= max(5, wanted // 20):
            return
        with _refusing(Limit(0, ours=False)):
            self._limit.wanted = wait
            self._limit.note_theirs(self._limit.theirs)
            cursor.execute(SET_LIMITS, [str(wait), str(self._limit.milliseconds), False])

    def _ensure_no_own_transaction(self) -> None:
        """Refuse to wait for a transaction of the caller's own, which would never end.

        Raises:
            OwnTransactionError: when one has appended to this log and is still open.
        """
        if any(has_written(lent, self, _is_in_transaction) for lent in LENT.get()):
            raise OwnTransactionError(
                f"a transaction of your own has appended to log {self._tenant} and is still"
                " open, so nothing can be appended beside it; end it first, or hand in its"
                " connection (connection=)"
            )

    def write_in(
        self, connection: sa.Connection, append: Append, recheck: Recheck = None
    ) -> Receipt:
        """Write one into the caller's transaction, which stays intact when it fails."""
        raw = postgres_connection(connection.connection)
        if raw.autocommit:
            raise InputError("the connection commits by itself; pass one in a transaction")
        if not connection.in_transaction():
            connection.begin()
        register(raw)
        wait = max(1, int(self._database.wait_seconds * 1000))
        limit = Limit(wait, ours=True)
        with _refusing(limit):
            if is_idle(raw):  # begin, or psycopg's block would commit
                raw.execute("SELECT 1")
            with raw.transaction(), numbered_cursor(raw) as cursor:
                locks = _limit_transaction(cursor, limit)
                self._recheck(cursor, recheck)
                if _is_small([append]):
                    receipts = self._insert(cursor, [append])
                else:
                    receipts = self._copy(cursor, [append], limit)
                cursor.execute(SET_LIMITS, [str(locks), str(limit.theirs), True])
        lend(self, connection, 0)
        return receipts[0]

    def _cursor(self) -> PostgresCursor:
        """Return the writer's cursor; when the server went away meanwhile, a new one."""
        writer = self._writer
        if writer is not None and is_idle(writer.connection):
            try:
                for _ in range(2):  # the server's farewell, then the end of the line
                    writer.connection.pgconn.consume_input()
            except psycopg.OperationalError:
                writer.connection.close()
            else:
                return writer
        if writer is not None:
            writer.connection.close()
        connection = self._database.connect()
        finalize(self, connection.close)
        register(connection)
        self._limit = Limit(0, ours=True)
        if not self._database.options.pooled:
            ((self._limit.theirs, _),) = connection.execute(LIMITS).fetchall()
        self._writer = numbered_cursor(connection)
        return self._writer

    def _insert(self, cursor: PostgresCursor, appends: Sequence[Append]) -> list[Receipt]:
        parameters = self._parameters(appends)
        if parameters["count"] == 1:
            draft, command_id = appends[0].drafts[0], appends[0].command_id
            parameters.update(draft._asdict(), command_id=command_id)
            parameters["fingerprint"] = appends[0].fingerprint
            parameters["content"] = self._content(draft, command_id)
            statement = APPEND_ONE if command_id is None else APPEND_ONE_COMMAND
        else:
            columns = columns_of(appends)
            parameters.update(_arrays(columns))
            parameters["content"] = Bigints.of(self._contents(columns))
            statement = APPEND_COMMANDS if _add_commands(parameters, appends) else APPEND
        base, recorded = self._moved(cursor, statement, parameters, appends)
        return receipts_of(appends, base, recorded)

    def _copy(
        self, cursor: PostgresCursor, appends: Sequence[Append], limit: Limit
    ) -> list[Receipt]:
        parameters = self._parameters(appends)
        parameters["limit"] = str(limit.theirs)
        statement = RESERVE_COMMANDS if _add_commands(parameters, appends) else RESERVE
        base, recorded = self._moved(cursor, statement, parameters, appends)
        with cursor.copy(COPY) as copy:
            copy.write(COPY_START)
            for rows in _rows(appends, (self._tenant, self._checksums), base, recorded):
                copy.write(rows)
            copy.write(COPY_END)
        return receipts_of(appends, base, recorded)

    def _content(self, draft: NewEvent, command_id: str | None) -> int:
        stream, version, topic, payload, event, _, precision, actor, *others = draft
        known = topic, memoryview(payload), stream, version, event, precision, actor
        return self._checksums.of_content(*known, command_id, *others)

    def _contents(self, columns: Columns) -> list[int]:
        payloads = [memoryview(payload) for payload in columns.payloads]
        known = columns.topics, payloads, columns.stream_ids, columns.versions
        envelope = columns.event_ids, columns.precisions, *columns.texts
        return [*map(self._checksums.of_content, *known, *envelope)]

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
        statement: Statement,
        parameters: Parameters,
        appends: Sequence[Append],
    ) -> tuple[int, Instant]:
        """Run the statement; when the head did not move, say why or try again."""
        prepare = self._database.options.prepare
        for _ in range(3):
            values = statement.values(parameters)
            row = cursor.execute(statement.query, values, prepare=prepare).fetchone()
            if row is not None:
                return int(row[0]), int(row[1])
            self._explain_unmoved(cursor, parameters, appends)
        raise BusyError(f"the head of log {self._tenant} did not settle; try again")

    def _explain_unmoved(
        self, cursor: PostgresCursor, parameters: Parameters, appends: Sequence[Append]
    ) -> None:
        row = cursor.execute(LOOK.query, LOOK.values(parameters)).fetchone()
        if row is None:
            cursor.execute(NEW_HEAD, [self._tenant])
            return
        recorded, accepted, now = row
        next_instant(appends, now, recorded, accepted=bool(accepted))


def _limit_transaction(cursor: PostgresCursor, limit: Limit) -> int:
    """Limit how long a transaction waits for others; give how long it waited for locks."""
    ((theirs, locks, *_),) = cursor.execute(LIMIT_TO, [limit.wanted]).fetchall()
    limit.note_theirs(theirs)
    return int(locks)


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
    prints: list[str | None] = []
    before = 0
    for offset, append in enumerate(appends):
        after = before + len(append.drafts)
        if append.command_id is not None:
            names.append(append.command_id)
            firsts.append(before + 1)
            lasts.append(after)
            offsets.append(offset)
            prints.append(append.fingerprint)
        before = after
    if not names:
        return False
    parameters["names"] = Texts.of(names)
    parameters["firsts"] = Bigints.of(firsts)
    parameters["lasts"] = Bigints.of(lasts)
    parameters["offsets"] = Integers.of(offsets)
    parameters["prints"] = Texts.of(prints)
    return True


_STREAM_ID = Struct("!iqi16siii16s").pack
_BIGINT = Struct("!iq").pack
_TIMES = Struct("!iqiq").pack
_LENGTH = Struct("!i").pack
_COLUMN_COUNT = b"\x00\x11"
_NO_TEXT = field(None)


def _rows(
    appends: Sequence[Append], of: tuple[str, Checksums], base: int, recorded: Instant
) -> Iterator[bytes]:
    """Write the rows of a tenant as binary COPY wants them, in the order of the columns.

    Some hundred at a time: the server takes them in while the next are written.
    """
    # fmt: off
    tenant, checksums = of
    start, of_event = _COLUMN_COUNT + field(tenant), checksums.of_event
    fields = _Fields()
    written: list[bytes] = []
    for offset, append in enumerate(appends):
        then = recorded + offset
        command = append.command_id
        command_id = fields[command]
        for (
            stream, version, topic, payload, event, occurred, precision, actor, correlation,
            causation, source, source_id,
        ) in append.drafts:
            base += 1
            happened = then if occurred is None or occurred > then else occurred
            stream_id, event_id = stream.int.to_bytes(16), event.int.to_bytes(16)
            checksum = of_event(
                base, happened, then, topic, memoryview(payload), stream_id, version, event_id,
                precision, actor, command, correlation, causation, source, source_id,
            )
            written += (
                start, _STREAM_ID(8, base, 16, stream_id, 4, version, 16, event_id),
                fields[topic], _LENGTH(len(payload)), payload, _TIMES(8, happened, 8, then),
                fields[precision], fields[actor], command_id, fields[correlation],
                fields[causation], fields[source],
                _NO_TEXT if source_id is None else field(source_id),
                _BIGINT(8, checksum),
            )
            if len(written) > PARTS_AT_ONCE:
                yield b"".join(written)
                written.clear()
    # fmt: on
    yield b"".join(written)


class _Fields(dict[str | None, bytes]):
    """What texts are written as; those that are told again and again are written once."""

    def __missing__(self, text: str | None) -> bytes:
        self[text] = written = field(text)
        return written


def _is_in_transaction(connection: sa.Connection, _: int) -> bool:
    return not is_idle(postgres_connection(connection.connection))


@contextmanager
def _refusing(limit: Limit) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise _refusal(error, limit) from error


def _refusal(error: psycopg.Error, limit: Limit) -> Exception:
    if isinstance(error, psycopg.errors.UniqueViolation):
        return Rejected(str(error))
    if isinstance(error, psycopg.errors.QueryCanceled) and limit.ours:
        return BusyError(f"another writer held the log for too long: {error}")
    return translate_postgres(error)

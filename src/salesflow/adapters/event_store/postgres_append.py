"""How an append gets into PostgreSQL: by one statement, in one round trip.

The statement moves the head row (whose lock orders all appends of a tenant), inserts events
and command ids after it and notifies the subscribers. It commits by itself. The clock is read
inside it, after the lock was got, unless the log was given a clock of its own. When the head
row does not move, nothing is stored, and a second look says why.

It is a module of its own, since it alone needs psycopg.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
    EACH,
    FREE,
    LIMIT_TO,
    LIMITS,
    LOCK_HEAD,
    LOOK,
    NEW_HEAD,
    OFTEN_ALIKE,
    SET_LIMITS,
    Bigints,
    Integers,
    SqlStatement,
    Texts,
    register,
)
from salesflow.adapters.event_store.rows import Checksums
from salesflow.domain.time import Instant
from salesflow.errors import BusyError, InputError, OwnTransactionError

__all__ = ["WITHIN_LIMIT_MAX", "Limit", "PostgresAppending"]


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


WITHIN_LIMIT_MAX = 2_000
"""So many events are inserted within the time that is meant for waiting; more of them take
time of their own, once the lock was got."""

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
            if self._database.options.pooled or recheck is not None or _is_large(appends):
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
            return self._insert_in_transaction(cursor, appends, limit)

    def _recheck(self, cursor: PostgresCursor, recheck: Recheck) -> None:
        """Look at an append once nobody else can append."""
        if recheck is not None:
            self._lock(cursor)
            recheck()

    def _lock(self, cursor: PostgresCursor) -> None:
        """Take the lock that orders all appends."""
        for statement in (NEW_HEAD, LOCK_HEAD):
            cursor.execute(statement, [self._tenant])

    def _insert_in_transaction(
        self, cursor: PostgresCursor, appends: Sequence[Append], limit: Limit
    ) -> list[Receipt]:
        """Insert them; many take as long as the server lets them, once nobody is waited for."""
        if _is_large(appends):
            self._lock(cursor)
            cursor.execute(FREE, [str(limit.theirs)])
        return self._insert(cursor, appends)

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
                receipts = self._insert_in_transaction(cursor, [append], limit)
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
            self._add_events(parameters, columns_of(appends))
            statement = APPEND_COMMANDS if _add_commands(parameters, appends) else APPEND
        base, recorded = self._moved(cursor, statement, parameters, appends)
        return receipts_of(appends, base, recorded)

    def _content(self, draft: NewEvent, command_id: str | None) -> int:
        stream, version, topic, payload, event, _, precision, actor, *others = draft
        known = topic, memoryview(payload), stream, version, event, precision, actor
        return self._checksums.of_content(*known, command_id, *others)

    def _add_events(self, parameters: Parameters, columns: Columns) -> None:
        """Add what is said of each event, or of all of them."""
        contents = self._checksums.of_contents(*columns.content)
        for (name, array), column in zip(EACH.items(), (*columns, contents), strict=True):
            alike = name in OFTEN_ALIKE and column.count(column[0]) == len(column)
            parameters[name] = column[0] if alike else None
            parameters[f"each_{name}"] = None if alike else array.of(column)

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
        statement: SqlStatement,
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


def _is_large(appends: Sequence[Append]) -> bool:
    return sum([len(append.drafts) for append in appends]) > WITHIN_LIMIT_MAX


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

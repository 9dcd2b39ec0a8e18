"""What an append is made of, whatever the database: drafts in, a receipt out, rules between.

The rules here hold on every database: values of wrong types and texts that no envelope may
hold are refused, versions of a stream follow one another, `occurred` never lies after
`recorded`, a clock may not lag behind the log. What may be in an event at all is said in
`append_checks`, how the rows get into SQLite below, into PostgreSQL in `postgres_append`.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import chain, compress, repeat
from operator import attrgetter
from time import monotonic, time_ns
from typing import NamedTuple, Protocol
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.database.lent_connections import lend
from salesflow.adapters.database.sqlite import (
    SqliteDatabase,
    insert_rows,
    sqlite_connection,
)
from salesflow.adapters.database.sqlite_errors import (
    BUSY,
    stale_transaction,
    translate_sqlite,
)
from salesflow.adapters.event_store.rows import Checksums, with_place
from salesflow.adapters.logs import CLOCK
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.event import Precision
from salesflow.domain.time import SKEW, Instant, ensure_not_future, from_instant
from salesflow.errors import (
    ClockError,
    ConcurrentChangeError,
    InputError,
    NotFoundError,
    ReplacedError,
    SalesflowError,
)

__all__ = [
    "SKEW",
    "Append",
    "Appending",
    "Columns",
    "Head",
    "NewEvent",
    "Receipt",
    "Recheck",
    "Rejected",
    "SqliteAppending",
    "all_new_events",
    "columns_of",
    "host_clock",
    "log_shrunk_error",
    "next_instant",
    "receipts_of",
    "version_error",
]


_new = tuple.__new__

Texts = tuple[str | None, ...]
Recheck = Callable[[], None] | None
"""What looks at an append again once nobody else can append; None where nothing has to."""

SECOND: Instant = 1_000_000
EVENT_ID = attrgetter("event_id")


class NewEvent(NamedTuple):
    """An event about to be appended; `occurred` None means when it is recorded."""

    stream_id: UUID
    version: int
    topic: str
    payload: bytes
    event_id: UUID
    occurred: Instant | None
    precision: Precision = "microsecond"
    actor: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    source: str | None = None
    source_id: str | None = None


class Receipt(NamedTuple):
    """What an append recorded: positions `first` to `last`, all at the same instant."""

    first: int
    last: int
    recorded: Instant
    event_ids: tuple[UUID, ...]
    stream_ids: tuple[UUID, ...]
    """The streams in order of their first event, without repeats."""
    command_id: str | None
    kinds: tuple[str, ...] = ()
    """What each of the streams is about ("deal", "customer"), as sessions and `run` say."""
    again: bool = False
    """Whether this command was recorded before, and this is what it recorded then."""

    def id_of(self, kind: type[Aggregate]) -> UUID:
        """Return the id of the one thing of a kind of which something was recorded.

        The same for a command that was recorded before, so that a retry can be answered.

        Raises:
            NotFoundError: when it is about none of that kind.
            InputError: when it is about several, or does not say about what.
        """
        ids = self.ids_of(kind)
        if not ids:
            raise NotFoundError(f"nothing of a {kind.noun} was recorded by this")
        if len(ids) > 1:
            raise InputError(
                f"something of {len(ids)} things of kind {kind.noun} was recorded by this;"
                f" ids_of({kind.__name__}) gives all"
            )
        return ids[0]

    def ids_of(self, kind: type[Aggregate]) -> tuple[UUID, ...]:
        """Return the ids of all things of a kind of which something was recorded, in order.

        Raises:
            InputError: for a receipt of `record`, whose ids the caller has given.
        """
        if len(self.kinds) != len(self.stream_ids):
            raise InputError(
                "this receipt says not what its streams are about; those of sessions and `run`"
                " do"
            )
        pairs = zip(self.stream_ids, self.kinds, strict=True)
        return tuple([id for id, noun in pairs if noun == kind.noun])

    @property
    def recorded_at(self) -> datetime:
        """When all of it was recorded."""
        return from_instant(self.recorded)


class Head(NamedTuple):
    """Where a log stands; (0, 0) when nothing is recorded."""

    position: int
    recorded: Instant


class Append(NamedTuple):
    """One atomic append; `AppendChecks` checks it, and makes it ready for a database."""

    drafts: Sequence[NewEvent]
    stream_ids: tuple[UUID, ...] = ()
    """The streams in order of their first event, without repeats; the checks find them."""
    latest: Instant | None = None
    """The latest `occurred` of its drafts; None when all happen when they are recorded."""
    command_id: str | None = None
    accept_clock: bool = False
    fingerprint: str | None = None
    """Tells the request behind the command from another one; None when nobody said."""
    nouns: tuple[str, ...] = ()
    """What each of the streams is about, for its receipt."""
    merges: bool = False
    """Whether a merge may stand after it, so that it is checked again; see `append_checks`."""


class Appending(Protocol):
    """Writes appends of one tenant into one database."""

    position_min: int
    """The position that the log is known to have reached."""

    def write(
        self, appends: Sequence[Append], deadline: float, recheck: Recheck = None
    ) -> list[Receipt]:
        """Write all of them in one transaction of their own, or none.

        `recheck` is called once nobody else can append; what it raises refuses them all.

        Raises:
            BusyError: when other writers held the log until the deadline (monotonic seconds).
        """

    def write_in(
        self, connection: sa.Connection, append: Append, recheck: Recheck = None
    ) -> Receipt:
        """Write one into the caller's transaction, which stays intact when it fails."""


class Rejected(Exception):  # noqa: N818 - never leaves the adapters
    """A database refused a row; whoever catches it finds out why."""


class Columns(NamedTuple):
    """The drafts of one transaction turned into columns, ids as their 16 bytes.

    Payloads are of no class of their own, which checksums would have to look into.
    """

    stream_ids: Sequence[bytes]
    versions: Sequence[int]
    topics: Sequence[str]
    payloads: Sequence[bytearray]
    event_ids: Sequence[bytes]
    occurred: Sequence[Instant | None]
    precisions: Sequence[Precision]
    actors: Texts
    correlation_ids: Texts
    causation_ids: Texts
    sources: Texts
    source_ids: Texts
    command_ids: Texts
    numbers: Sequence[int]
    """Which append of the transaction each event belongs to, from 0."""

    @property
    def texts(self) -> tuple[Texts, ...]:
        """The texts of the envelope in the order of the table's columns."""
        actors, *others, commands = self[7:13]
        return actors, commands, *others

    @property
    def content(self) -> tuple[Sequence[object], ...]:
        """The columns that `CONTENT` names, for checksums."""
        known = self.topics, self.payloads, self.stream_ids, self.versions, self.event_ids
        return *known, self.precisions, *self.texts


def columns_of(appends: Sequence[Append]) -> Columns:
    """Turn drafts into columns, which databases take faster than rows."""
    drafts = all_new_events(appends)
    streams, versions, topics, payloads, events, *rest = zip(*drafts, strict=True)
    known = (
        *([id.int.to_bytes(16) for id in streams], versions, topics),
        *([*map(bytearray, payloads)], [id.int.to_bytes(16) for id in events]),
    )
    if len(appends) == 1:
        names: Texts = (appends[0].command_id,) * len(drafts)
        return Columns._make((*known, *rest, names, (0,) * len(drafts)))
    commands: list[str | None] = []
    numbers: list[int] = []
    for number, append in enumerate(appends):
        commands += [append.command_id] * len(append.drafts)
        numbers += [number] * len(append.drafts)
    return Columns._make((*known, *rest, tuple(commands), numbers))


def all_new_events(appends: Sequence[Append]) -> Sequence[NewEvent]:
    """Return all that the appends of one transaction record, in order."""
    if len(appends) == 1:
        return appends[0].drafts
    return list(chain.from_iterable([append.drafts for append in appends]))


def receipts_of(appends: Sequence[Append], base: int, recorded: Instant) -> list[Receipt]:
    """Return what appends of one transaction recorded, the first one after position `base`."""
    receipts = []
    for drafts, stream_ids, _, command_id, _, _, nouns, _ in appends:
        last, ids = base + len(drafts), tuple(map(EVENT_ID, drafts))
        rest = base + 1, last, recorded, ids, stream_ids, command_id, nouns, False
        receipts.append(_new(Receipt, rest))
        base = last
        recorded += 1
    return receipts


def next_instant(
    appends: Sequence[Append], now: Instant, recorded: Instant, *, accepted: bool
) -> Instant:
    """Return the time of the first append after `recorded`.

    Raises:
        ClockError: when the clock lags behind and nobody has accepted that.
        InputError: when a fact is said to have happened in the future.
    """
    if now < recorded - SKEW and not accepted and not appends[0].accept_clock:
        raise clock_error(now, recorded)
    following = max(now, recorded + 1)
    for append in appends:
        if append.latest is not None:
            ensure_not_future(append.latest, following)
    return following


def host_clock() -> Instant:
    """Return what time it is on this host."""
    return time_ns() // 1000


def clock_error(now: Instant, recorded: Instant) -> ClockError:
    """Return the error that says that the clock lags too far behind the log."""
    CLOCK.warning("refused to record: the clock is %.1f s behind", (recorded - now) / SECOND)
    return ClockError(
        f"the clock says {from_instant(now).isoformat()}, the log was last written at"
        f" {from_instant(recorded).isoformat()}; set the clock right, or run:"
        ' salesflow clock accept --because "…"'
    )


def log_shrunk_error(where: str, tenant: str, expected: int, actual: int) -> ReplacedError:
    """Return the error that says that the log does not reach as far as it did."""
    return ReplacedError(
        f"the log of tenant {tenant} stood at position {expected:,}, and stands at {actual:,}"
        " now: while it was open events were removed from the log, or an older copy was put in"
        f" the place of {where}. Close this SalesFlow, see that the right database is there,"
        " and open it anew"
    )


def version_error(stream_id: UUID, expected: int, current: int) -> SalesflowError:
    """Return the error that says that somebody else appended to the stream first."""
    why = "it was changed since it was loaded" if expected > 1 else "it was recorded before"
    return ConcurrentChangeError(
        f"stream {stream_id} stands at version {current}; version {expected} was to be"
        f" appended, so {why}"
    )


# How an append gets into SQLite: one immediate transaction, many rows by each statement.
#
# The write lock of the file is taken first; then the clock is read, so that nobody's time
# passes while waiting. The last event says where the log stands.

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
ROW = f"INSERT INTO salesflow_events VALUES ({','.join('?' * 17)})"
ONE_BY_ONE_MAX = 12
"""So many rows are written one by one sooner than as columns."""


class SqliteAppending:
    """Writes appends of one tenant into a SQLite file."""

    def __init__(
        self, database: SqliteDatabase, tenant: str, clock: Callable[[], Instant] | None
    ) -> None:
        self.position_min = 0
        """The position that the log is known to have reached; it never stands before that."""
        self._database = database
        self._tenant = tenant
        self._clock = clock or host_clock
        self._checksums = Checksums(tenant)

    def write(
        self, appends: Sequence[Append], deadline: float, recheck: Recheck = None
    ) -> list[Receipt]:
        """Write all of them in one transaction by then, or none."""
        try:
            work = partial(self._insert, appends, recheck, self.position_min)
            return self._database.write(work, deadline)
        except sqlite3.Error as error:
            raise self._refusal(error) from error

    def write_in(
        self, connection: sa.Connection, append: Append, recheck: Recheck = None
    ) -> Receipt:
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
            if recheck is not None:
                recheck()
            raw.execute("SAVEPOINT salesflow_append")
            try:
                receipts = self._insert([append], None, 0, raw)
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
        self,
        appends: Sequence[Append],
        recheck: Recheck,
        position_min: int,
        connection: sqlite3.Connection,
    ) -> list[Receipt]:
        if recheck is not None:
            recheck()
        tenant = self._tenant
        head = connection.execute(HEAD, (tenant,)).fetchone()
        base, recorded, accepted = head or (0, 0, 0)
        if base < position_min:
            raise log_shrunk_error(self._database.path, tenant, position_min, base)
        now = self._clock()
        first = next_instant(appends, now, recorded, accepted=bool(accepted))
        if accepted or now <= recorded:
            still = int(now <= recorded and bool(accepted or appends[0].accept_clock))
            if still != (accepted or 0):
                connection.execute(ACCEPT, (tenant, still))
        receipts = receipts_of(appends, base, first)
        if receipts[-1].last - base <= ONE_BY_ONE_MAX:
            rows = _rows_of(tenant, self._checksums, appends, base, first)
            connection.executemany(ROW, rows)
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
        """Insert many rows; what is the same in all of them stands in the statement.

        What is `bytes` the driver would look up among its adapters; a `bytearray` it binds.
        """
        count = len(columns.versions)
        days, texts = columns.precisions.count("day") > 0, columns.texts
        present = [*map(count.__gt__, map(tuple.count, texts, repeat(None)))]
        positions, recorded = range(base + 1, base + count + 1), _recorded(columns, first)
        happened = _happened(columns, recorded)
        place = positions, happened, recorded
        given = (
            *(positions, map(bytearray, columns.stream_ids), columns.versions),
            map(bytearray, columns.event_ids),
            *(columns.topics, columns.payloads, happened, recorded),
            *((columns.precisions,) if days else ()),
            *compress(texts, present),
            [*map(with_place, self._checksums.of_contents(*columns.content), *place)],
        )
        values = [*chain.from_iterable(zip(*given, strict=True))]
        marks = _marks(self._tenant, days, *present)
        insert_rows(connection, "salesflow_events", marks, values)


def _rows_of(
    tenant: str, checksums: Checksums, appends: Sequence[Append], base: int, first: Instant
) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a few drafts; many are turned into columns first."""
    # fmt: off
    position, recorded, of_event = base, first, checksums.of_event
    for drafts, _, _, command, *_ in appends:
        for (
            stream, version, topic, payload, event, then, precision, actor, correlation,
            causation, source, source_id,
        ) in drafts:
            position += 1
            happened = recorded if then is None or then > recorded else then
            stream_id = bytearray(stream.int.to_bytes(16))
            event_id = bytearray(event.int.to_bytes(16))
            bytes_of_it = bytearray(payload)
            checksum = of_event(
                position, happened, recorded, topic, bytes_of_it, stream_id, version, event_id,
                precision, actor, command, correlation, causation, source, source_id,
            )
            yield (
                tenant, position, stream_id, version, event_id, topic, bytes_of_it, happened,
                recorded, precision, actor, command, correlation, causation, source, source_id,
                checksum,
            )
        recorded += 1
    # fmt: on


def _marks(tenant: str, days: bool, *present: bool) -> str:
    """Write the marks of a row of which some texts are there and the others are NULL."""
    marks = ["?"] * 8 + ["?" if days else "'microsecond'"]
    marks += ["?" if each else "NULL" for each in present] + ["?"]
    return f"('{tenant}',{','.join(marks)})"


def _recorded(columns: Columns, first: Instant) -> list[Instant]:
    """Return when each event is recorded, those of the first append at `first`."""
    return [first + number for number in columns.numbers]


def _happened(columns: Columns, recorded: Sequence[Instant]) -> Sequence[Instant]:
    """Return when each event happened: not after it was recorded, and then if nobody said."""
    occurred = columns.occurred
    if occurred.count(None) == len(occurred):
        return recorded
    said = zip(occurred, recorded, strict=True)
    return [now if then is None or then > now else then for then, now in said]


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

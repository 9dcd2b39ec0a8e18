"""How events are found and read back: whole streams, pages of the log, or one by its id.

Every read takes a `connection`, to see what the caller's own transaction or snapshot sees. How
rows become events is said in `rows`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.database.connections import Row
from salesflow.adapters.database.database import Database
from salesflow.adapters.database.schema import read_uuid
from salesflow.adapters.event_store.append import Head, Receipt, log_shrunk_error
from salesflow.adapters.event_store.rows import (
    BACKUP,
    CONTENT,
    POSITION,
    RowReader,
    StoredEvent,
)
from salesflow.domain.catalogue import CATALOGUE, FactCatalogue
from salesflow.domain.event import Event, Fact
from salesflow.domain.state import KeptStreams, LoadedStream
from salesflow.domain.time import Instant
from salesflow.errors import HistoryError, InputError

__all__ = [
    "BACKUP",
    "SELECT_EVENTS",
    "EventReading",
    "StoredEvent",
    "lost_its_place",
]


CHUNK = 500
"""So many ids go into one query."""

FIRST_VERSIONS = 20
"""Among so many events of a stream is its opening, or a fact that tells what it is about."""

COLUMNS = f"{CONTENT}, position, occurred, recorded, checksum"
SELECT_EVENTS = f"SELECT {COLUMNS} FROM salesflow_events WHERE tenant = ?"
STREAM = f"{SELECT_EVENTS} AND stream_id = ? ORDER BY version"
LAST_RECORDED = {
    "sqlite": "SELECT recorded FROM salesflow_events WHERE tenant = ?"
    " ORDER BY position DESC LIMIT 1",
    "postgresql": "SELECT recorded FROM salesflow_head WHERE tenant = ?",
}
STREAM_SINCE = f"{SELECT_EVENTS} AND stream_id = ? AND version >= ? ORDER BY version"
STREAM_AND_HEAD = {
    dialect: STREAM_SINCE.replace(COLUMNS, f"{COLUMNS}, ({last})")
    for dialect, last in LAST_RECORDED.items()
}
# The sign keeps SQLite from walking the log by position when it has no statistics.
STREAMS = (
    f"{SELECT_EVENTS} AND stream_id IN (...) AND +position <= ? ORDER BY stream_id, version"
)
OF_KINDS = (
    f"{SELECT_EVENTS} AND stream_id IN (...) AND topic IN (KINDS) ORDER BY stream_id, version"
)
TALLY = (
    "SELECT stream_id, count(*), min(position), min(topic) FROM salesflow_events"
    " WHERE tenant = ? AND stream_id IN (...) AND recorded > ? AND recorded <= ?"
    " AND (occurred <= ? AND topic IN (KINDS) OR topic IN (APART))"
    " GROUP BY stream_id, topic IN (APART)"
)
SLICE = (
    f"{SELECT_EVENTS} AND stream_id BETWEEN ? AND ? AND +position <= ? AND topic NOT IN (...)"
    " ORDER BY stream_id, version"
)
TOLD_AS = "SELECT DISTINCT stream_id FROM salesflow_events WHERE tenant = ? AND topic IN (...)"
SAMPLE = "SELECT stream_id FROM salesflow_events WHERE tenant = ? AND position IN (...)"
TOLD_OF = (
    "SELECT DISTINCT stream_id FROM salesflow_events"
    " WHERE tenant = ? AND position > ? AND position <= ?"
)
PAGE_AFTER = f"{SELECT_EVENTS} AND position > ? ORDER BY position LIMIT ?"
FIND = f"{SELECT_EVENTS} AND event_id = ?"
EVENT_AT = (
    "SELECT event_id, position, recorded FROM salesflow_events"
    " WHERE tenant = ? AND stream_id = ? AND version = ?"
)
RECORDED = "SELECT recorded FROM salesflow_events WHERE tenant = ? AND position = ?"
MARK = "SELECT recorded, checksum FROM salesflow_events WHERE tenant = ? AND position = ?"
HEAD = {
    "sqlite": "SELECT position, recorded FROM salesflow_events WHERE tenant = ?"
    " ORDER BY position DESC LIMIT 1",
    "postgresql": "SELECT position, recorded FROM salesflow_head WHERE tenant = ?",
}
COMMAND = (
    "SELECT first, last, recorded, fingerprint FROM salesflow_commands"
    " WHERE tenant = ? AND command_id = ?"
)
FIRST_TOPIC = (
    "SELECT topic FROM salesflow_events AS f WHERE f.tenant = e.tenant"
    " AND f.stream_id = e.stream_id ORDER BY f.version LIMIT 1"
)
COMMAND_EVENTS = (
    f"SELECT {COLUMNS}, ({FIRST_TOPIC}) FROM salesflow_events AS e"
    " WHERE tenant = ? AND position BETWEEN ? AND ? ORDER BY position"
)
TOPICS = (
    "SELECT stream_id, topic FROM salesflow_events"
    " WHERE tenant = ? AND stream_id IN (...) AND version <= ? ORDER BY stream_id, version"
)
BORNE_OUT = (
    "SELECT position, recorded, (SELECT recorded FROM salesflow_events AS e"
    " WHERE e.tenant = h.tenant AND e.position = h.position)"
    " FROM salesflow_head AS h WHERE tenant = ?"
)
VERSIONS = (
    "SELECT stream_id, max(version) FROM salesflow_events"
    " WHERE tenant = ? AND stream_id IN (...) GROUP BY stream_id"
)


class Command(NamedTuple):
    """What is known of a command: what it recorded, who gave it, which request it was."""

    receipt: Receipt
    actor: str | None
    fingerprint: str | None


class EventReading:
    """The reading half of an event log."""

    def __init__(self, database: Database, tenant: str, catalogue: FactCatalogue) -> None:
        self.database = database
        self.tenant = tenant
        self.catalogue = catalogue
        self.seen: Instant = 0
        """When the log was last written, as far as this one has noticed; see `head`."""
        self._committed = Head(0, 0)
        """Where the log stood when it was last looked at outside of any transaction."""
        self._sqlite = database.dialect == "sqlite"
        self._reader = RowReader(tenant, catalogue, dialect=database.dialect)
        self._kept = KeptStreams(of_others=catalogue is not CATALOGUE)

    def head(self, connection: sa.Connection | None = None) -> Head:
        """Return where the log stands; (0, 0) when nothing is recorded."""
        before = self._committed if connection is None else Head(0, 0)
        rows = self._rows(HEAD[self.database.dialect], (), connection)
        found = Head(*rows[0]) if rows else Head(0, 0)
        if not all(type(each) is int and each >= 0 for each in found):
            raise HistoryError(f"the last event of the log has lost its place. {BACKUP}")
        self.seen = max(self.seen, found.recorded)
        if connection is None:
            self._went_on(found, before)
        return found

    def last_recorded(self) -> Instant:
        """Return when the log was last written; 0 when nothing is recorded."""
        return self.head().recorded

    def head_borne_out(self) -> Head:
        """Return the same where an event bears it out: on SQLite the last one says it.

        Raises:
            HistoryError: when there is no such event.
        """
        if self._sqlite:
            return self.head()
        found = self._rows(BORNE_OUT, (), None)
        if not found:
            return Head(0, 0)
        *stands, recorded = found[0]
        head = Head(*stands)
        if head.position and recorded != head.recorded:
            raise HistoryError(
                f"the head of the log says that it stands at position {head.position:,}, where"
                f" there is no such event: events were removed from the log. {BACKUP}"
            )
        return head

    def _went_on(self, found: Head, before: Head) -> None:
        """Note where the log stands, and see that it has gone on from where it stood before.

        `before` was known before it was looked at. On PostgreSQL a server that has taken the
        place of another one may have lost the last commits, and goes on.

        Raises:
            ReplacedError: when it stands before that; another database is read now.
        """
        if self._sqlite and found.position < before.position:
            raise log_shrunk_error(
                self.database.shown, self.tenant, before.position, found.position
            )
        if found.position > self._committed.position:
            self._committed = found

    def recorded_at(
        self, position: int, connection: sa.Connection | None = None
    ) -> Instant | None:
        """Return when the event at a position was recorded; None when there is none."""
        return next((at for (at,) in self._rows(RECORDED, (position,), connection)), None)

    def mark_at(
        self, position: int, connection: sa.Connection | None = None
    ) -> tuple[Instant, int] | None:
        """Return what tells the event at a position from others: its time and its checksum."""
        return next(
            ((at, checksum) for at, checksum in self._rows(MARK, (position,), connection)), None
        )

    def begun(self, connection: sa.Connection | None = None) -> Instant:
        """Return when the first event was recorded; 0 when there is none."""
        return self.recorded_at(1, connection) or 0

    def stream(
        self, stream_id: UUID, *, connection: sa.Connection | None = None
    ) -> list[Event]:
        """Return all events of a stream in order of version; none of an unknown stream.

        A fact that cannot be read is given as an `UnreadableFact`, here and below.

        Raises:
            InputError: when the id is not a UUID.
            HistoryError: when its versions have a gap.
        """
        return _whole(
            self._reader.events(self._rows(STREAM, (self._stream_id(stream_id),), connection))
        )

    def stream_and_head(
        self, stream_id: UUID, *, connection: sa.Connection | None = None
    ) -> tuple[LoadedStream, Instant]:
        """Return the events of a stream, and in the same query when the log was last written.

        For an unknown stream that is 0.

        Raises:
            InputError: when the id is not a UUID.
            HistoryError: when its versions have a gap.
        """
        id, statement = self._stream_id(stream_id), STREAM_AND_HEAD[self.database.dialect]
        head = 0

        def read(since: int) -> list[Row]:
            nonlocal head
            given = (self.tenant, self.tenant, id, since)
            rows = self.database.rows(statement, given, connection)
            head = rows[0][-1] if rows else 0
            return [row[:-1] for row in rows]

        loaded = self._load(stream_id, read)
        self.seen = max(self.seen, head)
        return loaded, head

    def stream_for_commands(
        self, stream_id: UUID, *, connection: sa.Connection | None = None
    ) -> tuple[LoadedStream, Instant]:
        """Return the events of a stream, and when the log was last written if it matters.

        It does where something is planned or taken back, which may hold by then. Else, and for
        an unknown stream, it is when the stream was last written. Whether the database is still
        the one that was opened is left to the append, or to `Database.ensure_not_replaced`.

        Raises:
            InputError: when the id is not a UUID.
            HistoryError: when its versions have a gap.
        """
        id = self._stream_id(stream_id)

        def read(since: int) -> list[Row]:
            given = (self.tenant, id, since)
            return self.database.rows(STREAM_SINCE, given, connection, look=False)

        loaded = self._load(stream_id, read)
        if not loaded.events:
            self.database.ensure_not_replaced()
            return loaded, 0
        if loaded.is_immediate:
            return loaded, loaded.events[-1].recorded
        return loaded, self.head(connection).recorded

    def _load(self, stream_id: UUID, read: Callable[[int], list[Row]]) -> LoadedStream:
        """Return a stream of rows that `read` gives from a version on.

        What was loaded before is taken as it was if its last row is still there.
        """
        kept = self._kept.get(stream_id.int)
        if kept is not None:
            rows = read(kept.last[3])
            if rows and rows[0] == kept.last:
                if len(rows) == 1:
                    return kept.stream
                if rows[-1][3] - rows[0][3] + 1 == len(rows):
                    new = self._reader.events(rows[1:])
                    return self._kept.load(stream_id.int, new, rows[-1], kept.stream)
            self._kept.forget(stream_id.int)
        rows = read(0)
        if not rows:
            return LoadedStream([])
        events = _whole(self._reader.events(rows))
        return self._kept.load(stream_id.int, events, rows[-1])

    def stream_as_it_is(
        self, stream_id: UUID, connection: sa.Connection | None = None
    ) -> list[Event]:
        """Return the same as `stream`, whatever is missing or was changed."""
        rows = self._rows(STREAM, (self._id(stream_id),), connection)
        return self._reader.events(rows, as_it_is=True)

    def streams(
        self,
        ids: Iterable[UUID],
        *,
        through: int,
        connection: sa.Connection | None = None,
    ) -> dict[UUID, list[Event]]:
        """Return the events of many streams up to a position, in few queries.

        Raises:
            HistoryError: when the versions of one have a gap.
        """
        found = self._by_stream(self._chunks(STREAMS, ids, (through,), connection))
        for events in found.values():
            _whole(events)
        return found

    def facts_of(
        self,
        ids: Iterable[UUID],
        kinds: Iterable[type[Fact]],
        *,
        connection: sa.Connection | None = None,
    ) -> dict[UUID, list[Event]]:
        """Return the events of many streams that hold some kinds of facts, in few queries."""
        topics = topics_of(kinds)
        statement = OF_KINDS.replace("KINDS", ",".join("?" * len(topics)))
        return self._by_stream(self._chunks(statement, ids, (*topics,), connection))

    def tally(
        self,
        ids: Iterable[UUID],
        kinds: Iterable[type[Fact]],
        apart: Iterable[type[Fact]],
        *,
        recorded: tuple[Instant, Instant],
        occurred_by: Instant,
        connection: sa.Connection | None = None,
    ) -> tuple[dict[UUID, tuple[int, int]], list[UUID]]:
        """Return how many facts of some kinds streams hold, and the position of the first.

        And which of them hold facts of the kinds that are to be looked at apart. Counted are
        facts recorded after one instant and up to another one, those not apart where they had
        occurred by a third. No fact is read for it.
        """
        listed, there = ({*topics_of(some)} for some in (kinds, apart))
        statement = TALLY.replace("KINDS", ",".join("?" * len(listed)))
        statement = statement.replace("APART", ",".join("?" * len(there)))
        after = (*recorded, occurred_by, *listed, *there, *there)
        counted, found = {}, []
        for rows in self._chunks(statement, ids, after, connection):
            for id, count, first, topic in rows:
                if topic in there:
                    found.append(read_uuid(id))
                else:
                    counted[read_uuid(id)] = count, first
        return counted, found

    def slice(
        self,
        first: UUID,
        last: UUID,
        *,
        through: int,
        without: Sequence[str],
        connection: sa.Connection | None = None,
        as_it_is: bool = False,
    ) -> list[Event]:
        """Return the events of streams whose ids lie in a range, up to a position.

        In order of stream and version; those of the topics named are left out. `as_it_is`
        gives them whatever of them was changed.
        """
        statement, topics = self.listing(SLICE, without)
        rows = self._rows(
            statement, (self._id(first), self._id(last), through, *topics), connection
        )
        return self._reader.events(rows, as_it_is=as_it_is)

    def streams_at(
        self, positions: Iterable[int], connection: sa.Connection | None = None
    ) -> list[UUID]:
        """Return the streams of the events at some positions, in no order."""
        found = []
        waiting = iter(positions)
        while chunk := list(islice(waiting, CHUNK)):
            found += self._rows(*self.listing(SAMPLE, chunk), connection)
        return [read_uuid(stream_id) for (stream_id,) in found]

    def streams_told_of(
        self, after: int, through: int, connection: sa.Connection | None = None
    ) -> list[UUID]:
        """Return the streams of the events behind a position and up to another one."""
        found = self._rows(TOLD_OF, (after, through), connection)
        return [read_uuid(stream_id) for (stream_id,) in found]

    def streams_told_as(
        self, kind: type[Fact], connection: sa.Connection | None = None
    ) -> list[UUID]:
        """Return the streams that hold facts of a kind; the whole log is looked through."""
        topics = topics_of([kind])
        statement = TOLD_AS.replace("...", ",".join("?" * len(topics)))
        found = self._rows(statement, tuple(topics), connection)
        return [read_uuid(stream_id) for (stream_id,) in found]

    def page(
        self, after: int, limit: int, connection: sa.Connection | None = None
    ) -> list[Event]:
        """Return the events after a position in the order of the log, at most `limit`.

        Raises:
            HistoryError: when none leads further, since a position was changed.
        """
        return self._reader.events(self._page(after, limit, connection))

    def page_as_it_is(
        self, after: int, limit: int, connection: sa.Connection | None = None
    ) -> list[Event]:
        """Return the same as `page`, whatever was changed."""
        return self._reader.events(self._page(after, limit, connection), as_it_is=True)

    def events_where(self, condition: str, parameters: Row) -> list[Event]:
        """Return the events that meet a condition, whatever of them was changed."""
        rows = self._rows(f"{SELECT_EVENTS}{condition}", parameters, None)
        return self._reader.events(rows, as_it_is=True)

    def select(self, condition: str, parameters: Row) -> list[tuple[StoredEvent, Event]]:
        """Return the same, as it is stored and as it is read, for searches."""
        rows = self._rows(f"{SELECT_EVENTS}{condition}", parameters, None)
        return [
            *zip(
                self._reader.as_stored(rows),
                self._reader.events(rows, as_it_is=True),
                strict=True,
            )
        ]

    def stored_page(
        self, after: int, limit: int, connection: sa.Connection | None = None
    ) -> list[StoredEvent]:
        """Return the same as `page` without decoding the facts."""
        return self._reader.stored(self._page(after, limit, connection))

    def _page(self, after: int, limit: int, connection: sa.Connection | None) -> list[Row]:
        rows = self._rows(PAGE_AFTER, (after, limit), connection)
        if rows:
            last = rows[-1][POSITION]
            if not isinstance(last, int) or last < after + len(rows):
                raise lost_its_place(after)
        return rows

    def select_stored(self, condition: str, parameters: Row) -> list[StoredEvent]:
        """Return what meets a condition, not decoded."""
        return self._reader.stored(self._rows(f"{SELECT_EVENTS}{condition}", parameters, None))

    def find(self, event_id: UUID, connection: sa.Connection | None = None) -> Event | None:
        """Find one event by its id; reads the whole log, which has no index for it."""
        for event in self._reader.events(self._rows(FIND, (self._id(event_id),), connection)):
            return event
        return None

    def event_at(self, stream_id: UUID, version: int) -> tuple[UUID, int, Instant] | None:
        """Return id, position and time of one event of a stream; None when there is none."""
        for row in self._rows(EVENT_AT, (self._id(stream_id), version), None):
            return read_uuid(row[0]), int(row[1]), int(row[2])
        return None

    def receipt(self, command_id: str) -> Receipt | None:
        """Return what a command recorded; None when it never did."""
        found = self.command(command_id)
        return None if found is None else found.receipt

    def command(
        self, command_id: str, connection: sa.Connection | None = None
    ) -> Command | None:
        """Return what a command recorded, by whom, of which request; None if it never did."""
        for first, last, recorded, fingerprint in self._rows(
            COMMAND, (command_id,), connection
        ):
            rows = self._rows(COMMAND_EVENTS, (first, last), connection)
            recorded_events = self._reader.stored(rows)
            events = tuple([event.event_id for event in recorded_events])
            begun = {e.stream_id: r[-1] for e, r in zip(recorded_events, rows, strict=True)}
            nouns = tuple([CATALOGUE.home(topic) or "" for topic in begun.values()])
            kinds = nouns if any(nouns) else ()
            receipt = Receipt(first, last, recorded, events, tuple(begun), command_id, kinds)
            actor = recorded_events[0].actor if rows else None
            return Command(receipt, actor, fingerprint)
        return None

    def versions(
        self, ids: Iterable[UUID], connection: sa.Connection | None = None
    ) -> dict[UUID, int]:
        """Return the last version of each of these streams that has events."""
        return {
            read_uuid(stream_id): version
            for rows in self._chunks(VERSIONS, ids, (), connection)
            for stream_id, version in rows
        }

    def topics(
        self, ids: Iterable[UUID], connection: sa.Connection | None = None
    ) -> dict[UUID, list[str]]:
        """Return the topics of the first events of each of these streams, in their order."""
        found: dict[UUID, list[str]] = {}
        for rows in self._chunks(TOPICS, ids, (FIRST_VERSIONS,), connection):
            for stream_id, topic in rows:
                found.setdefault(read_uuid(stream_id), []).append(topic)
        return found

    def _rows(
        self, statement: str, parameters: Row, connection: sa.Connection | None
    ) -> list[Row]:
        return self.database.rows(statement, (self.tenant, *parameters), connection)

    def _chunks(
        self,
        statement: str,
        ids: Iterable[UUID],
        after: Row,
        connection: sa.Connection | None,
    ) -> Iterator[list[Row]]:
        """Run a statement with `IN (...)` over many ids, some hundred at a time."""
        waiting = iter(dict.fromkeys(ids))
        while chunk := [self._id(id) for id in islice(waiting, CHUNK)]:
            ready, listed = self.listing(statement, chunk)
            yield self._rows(ready, (*listed, *after), connection)

    def listing(self, statement: str, listed: Sequence[object]) -> tuple[str, Row]:
        """Write `IN (...)` as each database takes a list, and give its parameters."""
        if self._sqlite:
            return statement.replace("(...)", f"({','.join('?' * len(listed))})"), (*listed,)
        there = statement.replace("NOT IN (...)", "<> ALL(?)").replace("IN (...)", "= ANY(?)")
        return there, (list(listed),)

    def _by_stream(self, chunks: Iterable[list[Row]]) -> dict[UUID, list[Event]]:
        """Return the events of rows by their streams, each in the order of the rows."""
        found: dict[UUID, list[Event]] = {}
        for rows in chunks:
            for event in self._reader.events(rows):
                found.setdefault(event.stream_id, []).append(event)
        return found

    def _stream_id(self, id: UUID) -> UUID | bytearray:
        if not isinstance(id, UUID):
            raise InputError(f"{id!r} is not an id; pass a UUID, as in UUID(text)")
        return bytearray(id.int.to_bytes(16)) if self._sqlite else id

    def _id(self, id: UUID) -> UUID | bytearray:
        """Return an id as the driver takes it, which has no need to look for adapters of it."""
        return bytearray(id.int.to_bytes(16)) if self._sqlite else id


def topics_of(kinds: Iterable[type[Fact]]) -> list[str]:
    """Return the topics under which facts of some kinds were stored, in all their versions."""
    return [f"{kind.kind}:{n}" for kind in kinds for n in range(1, kind.version + 1)]


def _whole(events: list[Event]) -> list[Event]:
    """Return the events of one stream, none of which is missing."""
    if events and events[-1].version - events[0].version + 1 != len(events):
        _raise_version_gap(events[0].stream_id, events)
    return events


def _raise_version_gap(stream_id: UUID, events: Sequence[Event]) -> None:
    """Say after which event of a stream a version is missing.

    Raises:
        HistoryError: always.
    """
    before = next(e for e, after in pairwise(events) if after.version != e.version + 1)
    raise HistoryError(
        f"stream {stream_id} has no version {before.version + 1} after position"
        f" {before.position}: an event was removed from the log, or its version was changed."
        f" {BACKUP}"
    )


def lost_its_place(position: int) -> HistoryError:
    """Return the error of a log that does not go on from a position."""
    return HistoryError(
        f"an event behind position {position:,} has lost its place in the log, so that nothing"
        f" can be read from there on. {BACKUP}"
    )

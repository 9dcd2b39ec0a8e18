"""Facts across the whole log by their envelope: who, what kind, when on either axis, how late.

For auditors and administrators: "what did this user record in March?", "what became known more
than ten days late?", "what was retracted, and what did that retract?". The database selects;
what is found is read page by page, so that a search of any length takes little memory. An event
whose fact cannot be read is listed as such and stops nothing.

    for entry in search(flow.log, LogSearch(actor="fin-01", kind="deal.won")):
        ...

Leaves out what facts say inside, which the questions and `salesflow deal history` show.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.database.schema import events, read_uuid, stored_uuid
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.reading import StoredEvent, topics_of
from salesflow.domain.alike_names import closest
from salesflow.domain.event import Event, Fact, FactRetracted, PlannedFact, UnreadableFact
from salesflow.domain.time import Instant
from salesflow.domain.wording import shortened
from salesflow.errors import InputError

__all__ = [
    "LogEntry",
    "LogSearch",
    "LogStats",
    "beginning_with",
    "event_at",
    "last_happened",
    "log_stats",
    "search",
]


PAGE: Final = 500
IN_DEALS: Final = (
    "FROM salesflow_events WHERE tenant = ? AND recorded <= ?"
    " AND topic >= 'deal.' AND topic < 'deal/'"
)
LAST_HAPPENED: Final = (
    f"SELECT coalesce((SELECT occurred {IN_DEALS} AND occurred >= ?"
    f" ORDER BY position DESC LIMIT 1), (SELECT max(occurred) {IN_DEALS}))"
)
"""Since an instant, or else at all: of the latter all is looked through."""
PLANNED: Final = {
    "sqlite": "instr(payload, CAST('\"effective_from\"' AS BLOB)) > 0",
    "postgresql": "position('\"effective_from\"'::bytea IN payload) > 0",
}
"""Which events may take effect later than they happened, by the database."""
AT: Final = "SELECT event_id FROM salesflow_events WHERE tenant = ? AND position = ?"
NAMED: Final = "SELECT event_id, position, topic FROM salesflow_events WHERE tenant = ?"


class LogSearch(NamedTuple):
    """What to look for; what is None is not asked for, all else must hold."""

    actor: str | None = None
    kind: str | None = None
    """A kind as it is stored, `deal.won`, or all of a noun: `deal.*`."""
    source: str | None = None
    stream: UUID | None = None
    occurred_from: Instant | None = None
    occurred_to: Instant | None = None
    """Both included; so are the recorded ones."""
    recorded_from: Instant | None = None
    recorded_to: Instant | None = None
    late_by: int | None = None
    """Only what was recorded more than so many microseconds after it happened."""
    retractions: bool = False
    """Only retractions."""
    oldest_first: bool = False
    limit: int | None = None
    """How many at most; all when None."""


class LogEntry(NamedTuple):
    """A recorded event: its envelope, its fact where it can be read, what it retracts."""

    stored: StoredEvent
    event: Event | None
    """None where the fact cannot be read."""
    problem: str
    """Why it cannot be read; empty where it can."""
    retracts: int | None = None
    """The position of the event that a retraction names."""
    retracts_kind: str | None = None

    @property
    def kind(self) -> str:
        """The kind of the fact as it is stored."""
        return self.stored.topic.partition(":")[0]

    @property
    def late_by(self) -> int:
        """How many microseconds after it happened it was recorded."""
        return self.stored.recorded - self.stored.occurred


def search(log: EventLog, wanted: LogSearch) -> Iterator[LogEntry]:
    """Find events, the newest first unless told otherwise, reading a page at a time.

    Raises:
        InputError: when there is no such kind of facts.
    """
    conditions, parameters = _conditions(log, wanted)
    sign, order = (">", "") if wanted.oldest_first else ("<", " DESC")
    after, left = None, wanted.limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        where = [*conditions, *([] if after is None else [f"position {sign} ?"])]
        condition = "".join([f" AND {each}" for each in where])
        given = (*parameters, *(() if after is None else (after,)), size)
        page = log.select(f"{condition} ORDER BY position{order} LIMIT ?", given)
        yield from _log_entries(log, page)
        if len(page) < size:
            return
        after, left = page[-1][0].position, None if left is None else left - size


def event_at(log: EventLog, position: int) -> UUID | None:
    """Return the id of the event at a position, be it readable or not; None without one."""
    rows = log.database.rows(AT, (log.tenant, position))
    return read_uuid(rows[0][0]) if rows else None


def last_happened(
    log: EventLog, since: Instant, as_of: Instant, known: Instant
) -> Instant | None:
    """Return when something last happened in a deal, if that was before an instant.

    None where something happened since, or never did. What was planned ahead happens when it
    takes effect, if that is by the time asked about. Looks from the end of the log, so that
    only where nothing is found all of it is read.
    """
    known_by = (log.tenant, known)
    [[last]] = log.database.rows(LAST_HAPPENED, (*known_by, since, *known_by))
    if last is None or last >= since:
        return None
    last = max([int(last), *_taken_effect(log, as_of, known)])
    return None if last >= since else last


def _taken_effect(log: EventLog, as_of: Instant, known: Instant) -> Iterator[Instant]:
    """Yield when what was planned ahead in deals took effect by an instant."""
    planned = [cls for cls in log.catalogue if issubclass(cls, PlannedFact)]
    topics = [topic for topic in topics_of(planned) if topic.startswith("deal.")]
    where = f" AND recorded <= ? AND topic IN ({','.join('?' * len(topics))})"
    where += f" AND {PLANNED[log.database.dialect]}"
    for event in log.events_where(where, (known, *topics)):
        if event.effective <= as_of:
            yield event.effective


def _conditions(log: EventLog, wanted: LogSearch) -> tuple[list[str], list[Any]]:
    found: dict[str, object] = {
        "actor = ?": wanted.actor,
        "source = ?": wanted.source,
        "stream_id = ?": None if wanted.stream is None else _id(log, wanted.stream),
        "occurred >= ?": wanted.occurred_from,
        "occurred <= ?": wanted.occurred_to,
        "recorded >= ?": wanted.recorded_from,
        "recorded <= ?": wanted.recorded_to,
        "recorded - occurred > ?": wanted.late_by,
    }
    asked = {text: value for text, value in found.items() if value is not None}
    conditions, parameters = [*asked], [*asked.values()]
    kinds = []
    if wanted.kind is not None:
        kinds.append(topics_of(_classes(log, wanted.kind)))
    if wanted.retractions:
        kinds.append(topics_of([FactRetracted]))
    for topics in kinds:
        conditions.append(f"topic IN ({','.join('?' * len(topics))})")
        parameters += topics
    return conditions, parameters


def _classes(log: EventLog, kind: str) -> list[type[Fact]]:
    """Return the classes of a kind, or of all kinds of a noun."""
    noun = kind.removesuffix("*")
    is_noun = noun != kind and noun.endswith(".")
    found = [
        cls
        for cls in log.catalogue
        if cls.kind == kind or (is_noun and cls.kind.startswith(noun))
    ]
    if not found:
        near = closest(kind, [cls.kind for cls in log.catalogue], 3)
        text = f"; did you mean {', '.join(near)}?" if near else "; write one like deal.won"
        raise InputError(f"there is no kind of facts {kind[:100]!r}{text}")
    return found


def _log_entries(
    log: EventLog, page: Sequence[tuple[StoredEvent, Event]]
) -> Iterator[LogEntry]:
    entries = [_entry(stored, event) for stored, event in page]
    named = _retracted(log, entries)
    for entry in entries:
        fact = None if entry.event is None else entry.event.fact
        if isinstance(fact, FactRetracted) and fact.event_id in named:
            position, topic = named[fact.event_id]
            kind = topic.partition(":")[0]
            yield entry._replace(retracts=position, retracts_kind=kind)
        else:
            yield entry


def _entry(stored: StoredEvent, event: Event) -> LogEntry:
    if not isinstance(event.fact, UnreadableFact):
        return LogEntry(stored, event, "")
    where = f"stream {stored.stream_id}, version {stored.version}, position {stored.position}"
    problem = f"{shortened(stored.topic)} at {where} cannot be read: {event.fact.reason}"
    return LogEntry(stored, None, problem)


def _retracted(log: EventLog, entries: Sequence[LogEntry]) -> dict[UUID, tuple[int, str]]:
    """Find what the retractions of a page name, each in its own stream."""
    found: dict[UUID, tuple[int, str]] = {}
    facts = ((e.stored.stream_id, e.event.fact) for e in entries if e.event is not None)
    named = {fact.event_id: stream for stream, fact in facts if isinstance(fact, FactRetracted)}
    if not named:
        return found
    streams = [*dict.fromkeys(named.values())]
    marks = ",".join("?" * len(streams)), ",".join("?" * len(named))
    statement = f"{NAMED} AND stream_id IN ({marks[0]}) AND event_id IN ({marks[1]})"
    ids = (*(_id(log, each) for each in streams), *(_id(log, each) for each in named))
    for event_id, position, topic in log.database.rows(statement, (log.tenant, *ids)):
        found[read_uuid(event_id)] = (position, topic)
    return found


def _id(log: EventLog, id: UUID) -> UUID | bytes:
    return stored_uuid(id, log.database.dialect)


# How much a log holds, and which entities an id's first digits may mean.
#
# For people at a terminal: `salesflow status` counts, `salesflow deal show 4f2a` finds. Nothing
# here is needed to record or to ask.

HEX_DIGITS = 32


class LogStats(NamedTuple):
    """What a tenant's log holds, and how large the whole database is."""

    events: int
    streams: int
    database_bytes: int


def log_stats(log: EventLog) -> LogStats:
    """Count a tenant's events and streams, and weigh the database."""
    mine = events.c.tenant == log.tenant
    with log.database.whole(), log.database.read() as connection:
        counted = sa.select(sa.func.count(), sa.func.count(events.c.stream_id.distinct()))
        count, streams = connection.execute(counted.where(mine)).one()
        if log.database.dialect == "sqlite":
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            size = pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one()
        else:
            size = connection.scalar(
                sa.select(sa.func.pg_database_size(sa.func.current_database()))
            )
    return LogStats(int(count), int(streams), int(size))


def beginning_with(
    log: EventLog, digits: str, *, opened_by: type[Fact], limit: int
) -> list[UUID]:
    """Return the streams whose id begins with these hex digits and that hold a kind of fact."""
    c = events.c
    low = int(digits.ljust(HEX_DIGITS, "0"), 16)
    high = int(digits.ljust(HEX_DIGITS, "f"), 16)
    first, last = (stored_uuid(UUID(int=n), log.database.dialect) for n in (low, high))
    select = (
        sa.select(c.stream_id)
        .where(c.tenant == log.tenant, c.stream_id >= first, c.stream_id <= last)
        .where(c.topic.startswith(f"{opened_by.kind}:"))
        .distinct()
        .order_by(c.stream_id)
        .limit(limit)
    )
    with log.database.whole(), log.database.read() as connection:
        found = connection.scalars(select).all()
    return [read_uuid(id) for id in found]

"""The published process versions of one log, by key and version.

A published version never changes and cannot be retracted, so what was read once is kept for
good; only a version not seen yet is looked up in its process's stream. That a version was
retired is looked up anew, by the length of the stream alone while nothing was added to it.
"""

from collections.abc import Iterator, Mapping
from itertools import compress
from operator import attrgetter
from types import MappingProxyType
from typing import Final, NamedTuple

import sqlalchemy as sa

from salesflow.adapters.database.schema import PUBLISHES_PROCESS, events, read_uuid
from salesflow.adapters.event_store.log import EventLog
from salesflow.domain.deal.stages import DealMigrated, DealOpened
from salesflow.domain.event import (
    Event,
    Fact,
    UnreadableFact,
    ensure_readable,
    first_unreadable,
    unreadable_message,
)
from salesflow.domain.exchange_rates import RATES_ID, RateTable
from salesflow.domain.process import (
    ProcessPublished,
    ProcessVersion,
    SalesProcess,
    ensure_alike,
    process_id,
)
from salesflow.domain.time import FOREVER, Instant
from salesflow.errors import HistoryError

__all__ = [
    "UNDER_A_PROCESS",
    "LayeredProcesses",
    "PublishedProcesses",
    "PublishedRates",
    "with_unpublished_unreadable",
]


Key = tuple[str, int]
FACT = attrgetter("fact")
NAME_SHOWN = 100
NOTHING: Final[Mapping[Key, ProcessVersion]] = MappingProxyType({})
UNDER_A_PROCESS: Final[frozenset[type[Fact]]] = frozenset({DealOpened, DealMigrated})
"""Facts that put a deal under a process version."""


def with_unpublished_unreadable(
    events: list[Event], processes: Mapping[Key, ProcessVersion]
) -> list[Event]:
    """Take a deal under a version that nobody published for one that cannot be read.

    The checks of an append let none through; it takes a change of what was stored to make one.
    """
    facts = list(map(FACT, events))
    under = compress(facts, map(UNDER_A_PROCESS.__contains__, map(type, facts)))
    if all(_is_published(fact, processes) for fact in under):
        return events
    return [_unreadable_if_unpublished(event, processes) for event in events]


def _is_published(
    fact: DealOpened | DealMigrated, processes: Mapping[Key, ProcessVersion]
) -> bool:
    return (fact.process, fact.process_version) in processes


def _unreadable_if_unpublished(event: Event, processes: Mapping[Key, ProcessVersion]) -> Event:
    fact = event.fact
    if not isinstance(fact, DealOpened | DealMigrated) or _is_published(fact, processes):
        return event
    process, version = fact.process, fact.process_version
    reason = f"process {process[:NAME_SHOWN]!r} version {version} was never published"
    return event._replace(fact=UnreadableFact(stored=fact.stored_as, reason=reason))


class UnpublishedError(HistoryError, KeyError):
    """A process version that deals stand under is not in the log, or cannot be read.

    A KeyError too, by which `in` and `get` of a mapping know that it is not there.
    """

    __str__ = Exception.__str__  # a KeyError would show the text in quotes


class PublishedKeys(NamedTuple):
    """The keys of all processes that are published in a log up to a position."""

    through: int
    keys: frozenset[str]


class PublishedProcesses(Mapping[Key, ProcessVersion]):
    """Finds process versions in the log and remembers them.

    With a `connection` it sees what the caller's own transaction sees, and lasts as long;
    `committed` are those of the log by themselves, where nearly all are found.
    """

    def __init__(
        self,
        log: EventLog,
        connection: sa.Connection | None = None,
        committed: Mapping[Key, ProcessVersion] = NOTHING,
    ) -> None:
        self._log: Final = log
        self._connection: Final = connection
        self._committed: Final = committed
        self._seen: dict[Key, ProcessVersion] = {}
        self._recorded: dict[str, SalesProcess] = {}
        self._like: dict[Key, ProcessVersion] = {}
        self._keys = PublishedKeys(0, frozenset())

    def __contains__(self, key: object) -> bool:
        return key in self._seen or super().__contains__(key)

    def __getitem__(self, key: Key) -> ProcessVersion:
        found = self._seen.get(key)
        if found is None:
            found = self._committed.get(key)
        if found is None:
            wrong = self._read(key[0])
            found = self._seen.get(key)
            if found is None:
                raise UnpublishedError(_unpublished(key, wrong))
        return found

    def __iter__(self) -> Iterator[Key]:
        return iter(self._seen)

    def __len__(self) -> int:
        return len(self._seen)

    def has(self, version: ProcessVersion) -> bool:
        """Return whether a version is published, in just these stages and rules.

        Raises:
            InputError: when it is published as something else.
        """
        key = (version.key, version.version)
        if self._like.get(key) is version:
            return True
        if key not in self:
            return False
        ensure_alike(version, self[key])
        self._like[key] = version
        return True

    def recorded(self, key: str) -> SalesProcess | None:
        """Return a process as it is recorded now, for reading; None when it never was."""
        id, connection = process_id(key), self._connection
        stored = self._log.versions([id], connection).get(id)
        known = self._recorded.get(key)
        if stored is None or (known is not None and known.version == stored):
            return None if stored is None else known
        process = SalesProcess.replay(id, self._log.stream(id, connection=connection))
        self._recorded[key] = process
        return process

    def process_keys(self, connection: sa.Connection) -> list[str]:
        """Return the keys of all processes; what was looked at once is not looked at again."""
        head, known = self._log.head(connection).position, self._keys
        if head > known.through:
            new = _keys_published_after(known.through, self._log, connection)
            known = self._keys = PublishedKeys(head, known.keys.union(new))
        return sorted(known.keys)

    def all(self, connection: sa.Connection) -> dict[Key, ProcessVersion]:
        """Return every version that is published, of all processes."""
        for key in self.process_keys(connection):
            self._read(key)
        return {**self._seen}

    def _read(self, key: str) -> Event | None:
        """Remember the versions of a process; give what of it cannot be read."""
        found = self._log.stream(process_id(key), connection=self._connection)
        for event in found:
            if isinstance(event.fact, ProcessPublished):
                version = event.fact.process
                self._seen.setdefault((version.key, version.version), version)
        return first_unreadable(found)


def _unpublished(key: Key, wrong: Event | None) -> str:
    if wrong is not None:
        return unreadable_message(wrong)
    return (
        f"process {key[0][:NAME_SHOWN]!r} version {key[1]} was never published, or what"
        " published it was retracted; publish it again, and ask once more"
    )


def _keys_published_after(
    position: int, log: EventLog, connection: sa.Connection
) -> Iterator[str]:
    """Yield the keys of processes of which something was published after a position."""
    c = events.c
    select = sa.select(c.stream_id).distinct()
    select = select.where(c.tenant == log.tenant, c.position > position, PUBLISHES_PROCESS)
    ids = [read_uuid(id) for id in connection.scalars(select)]
    for stream in log.streams(ids, through=FOREVER, connection=connection).values():
        facts = (event.fact for event in stream)
        yield from (fact.process.key for fact in facts if isinstance(fact, ProcessPublished))


class LayeredProcesses(Mapping[Key, ProcessVersion]):
    """Process versions at hand, and behind them those published."""

    def __init__(
        self, first: Mapping[Key, ProcessVersion], then: Mapping[Key, ProcessVersion]
    ) -> None:
        self._first = first
        self._then = then

    def __getitem__(self, key: Key) -> ProcessVersion:
        return self._first[key] if key in self._first else self._then[key]

    def __iter__(self) -> Iterator[Key]:
        return iter({*self._first, *self._then})

    def __len__(self) -> int:
        return len({*self._first, *self._then})


# The published exchange rates of one log, as known at an instant.
#
# Rates have no time of validity of their own: what was published and not retracted by then
# counts, whatever the question's `as_of`. The stream is read again only when something was
# added to it, so that a question in one currency costs one short statement more.

KEPT = 8
"""So many tables are remembered: questions are asked again and again at few instants."""


class PublishedRates:
    """Finds exchange rates in the log and remembers them."""

    def __init__(self, log: EventLog) -> None:
        self._log: Final = log
        self._events: list[Event] = []
        self._tables: dict[int, RateTable] = {}
        """By how many events of the stream were known."""

    def known(self, known_at: Instant, connection: sa.Connection) -> RateTable:
        """Return the rates known at an instant, to be read only.

        Raises:
            HistoryError: when some cannot be read.
        """
        events = self._stored(connection)
        known = [event for event in events if event.recorded <= known_at]
        ensure_readable(known)
        table = self._tables.get(len(known))
        if table is None:
            table = RateTable.load(RATES_ID, known)
            kept = list(self._tables.items())[1 - KEPT :]
            self._tables = {**dict(kept), len(known): table}
        return table

    def _stored(self, connection: sa.Connection) -> list[Event]:
        version = self._log.versions([RATES_ID], connection).get(RATES_ID, 0)
        events = self._events
        if version > len(events):
            events = self._log.stream(RATES_ID, connection=connection)
            if len(events) > len(self._events):
                self._events = events
        return events

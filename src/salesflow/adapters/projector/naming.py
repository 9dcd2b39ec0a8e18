"""What the deals, customers and reps of an answer are called, as known at its moment.

In few statements however many there are: of a deal only its opening and whose it is are read.
An event that cannot be read leaves its stream without a name, and stops no answer. Facts that
name things are kept for the next answer, which mostly names the same ones, and what each is
called by all of them.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from operator import attrgetter
from threading import RLock
from typing import Any, Final, Generic, NamedTuple, TypeVar
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.database.forks import FORKABLE, Forkable
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.projector.read_tables import ProjectionPosition
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.deal.people import CustomerChanged
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Event, Fact, FactRetracted, believed_history
from salesflow.domain.ids import uuid_of_int
from salesflow.domain.process import ProcessPublished, ProcessVersion, process_id
from salesflow.domain.rep import RepJoined, rep_id
from salesflow.domain.time import FOREVER, Instant
from salesflow.domain.unchecked import unchecked, unchecked_all
from salesflow.errors import HistoryError
from salesflow.projections.core.names import (
    NO_NAMES,
    CustomerCalled,
    DealCalled,
    Labelled,
    Names,
    RepCalled,
    ids_in,
)
from salesflow.projections.core.question import View
from salesflow.projections.table import ReadPoint

__all__ = ["OF_DEALS", "NamingFacts", "ReadingNames", "StreamFacts"]

CalledT = TypeVar("CalledT")
KeyT = TypeVar("KeyT", bound=Hashable)
STREAMS_MAX: Final = 100_000
"""So many streams are kept, some seven hundred bytes each."""
EVENTS_MAX: Final = 10_000
"""Where so many were told since, all streams are read anew."""


class NamedBy(NamedTuple, Generic[KeyT, CalledT]):
    """The kinds of facts that name streams of a sort, and what it is called by them."""

    kinds: tuple[type[Fact], ...]
    read: Callable[[Sequence[Event]], CalledT | None]
    """Reads it of what is believed of a stream; None where that names nothing."""
    key: Callable[[UUID], KeyT]
    """Returns as what a stream is kept: its id, of a customer the text of it, since so it
    stands in answers, of a deal the number of it, since there are most of these."""
    id: Callable[[KeyT], UUID]
    """Returns which stream that is."""


class StreamFacts(NamedTuple, Generic[CalledT]):
    """The facts that name a stream, and what it is called once all of them are known."""

    facts: Sequence[Event]
    """Left out where there is one alone: before that is known the stream has no name."""
    called: CalledT | None
    recorded: Instant
    """When the last of them became known."""

    @classmethod
    def of(
        cls, facts: Sequence[Event], named_by: NamedBy[KeyT, CalledT]
    ) -> "StreamFacts[CalledT]":
        """Return facts as they are kept."""
        recorded = max((event.recorded for event in facts), default=-FOREVER)
        called = named_by.read(believed_history(facts))
        return cls(facts if len(facts) > 1 else (), called, recorded)

    def called_at(self, known_at: Instant, named_by: NamedBy[Any, CalledT]) -> CalledT | None:
        """Return what it is called at an instant: mostly of the time after all of them."""
        if known_at >= self.recorded:
            return self.called
        return named_by.read(believed_history(self.facts, known_at))


KeptFacts = dict[NamedBy[Any, Any], dict[Any, StreamFacts[Any]]]
"""The facts that name streams of each sort, by their keys."""


class TitleAndCustomers(NamedTuple):
    """What a deal is called, and whose it was from which instants on."""

    title: str | None
    customers: Sequence[tuple[Instant, UUID | None]]

    def customer(self, as_of: Instant) -> UUID | None:
        """Return whose it is at an instant."""
        found = None
        for effective, customer in self.customers:
            if effective <= as_of:
                found = customer
        return found


def _deal(events: Sequence[Event]) -> TitleAndCustomers | None:
    if not events:
        return None
    opening = events[0].fact
    title = opening.title if isinstance(opening, DealOpened) else None
    customers = [
        (event.effective, event.fact.customer_id)
        for event in events
        if isinstance(event.fact, (DealOpened, CustomerChanged))
    ]
    return TitleAndCustomers(title, customers)


def _customer(events: Sequence[Event]) -> CustomerCalled | None:
    for event in reversed(events):
        if isinstance(event.fact, CustomerRegistered):
            name = event.fact.name
            return _customer_named(customer=event.stream_id, name=name) if name else None
    return None


def _rep(events: Sequence[Event]) -> str | None:
    names = (event.fact.name for event in events if isinstance(event.fact, RepJoined))
    return next((name for name in reversed([*names]) if name), None)


def _process(events: Sequence[Event]) -> ProcessVersion | None:
    """Return the newest version; None where nothing of a process can be read."""
    facts = [event.fact for event in events]
    versions = [fact.process for fact in facts if isinstance(fact, ProcessPublished)]
    return max(versions, key=lambda version: version.version, default=None)


def _itself(id: UUID) -> UUID:
    return id


_deals: Final = unchecked_all(DealCalled)
_customer_named: Final = unchecked(CustomerCalled)
OF_DEALS: Final = NamedBy(
    (DealOpened, CustomerChanged, FactRetracted), _deal, attrgetter("int"), uuid_of_int
)
OF_CUSTOMERS: Final = NamedBy((CustomerRegistered, FactRetracted), _customer, str, UUID)
OF_REPS: Final = NamedBy((RepJoined, FactRetracted), _rep, _itself, _itself)
OF_PROCESSES: Final = NamedBy((ProcessPublished,), _process, _itself, _itself)


class NamingFacts(Forkable):
    """The facts of one log that name things; safe to share between threads."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._kept: KeptFacts = {}
        self._stands = ProjectionPosition(0)
        """Up to where of the log those that are kept are whole."""
        self._mark: tuple[Instant, int] | None = None
        """What tells the event there from others."""
        self._lock = RLock()
        """Held for moments only, never while the log is read."""
        FORKABLE.add(self)

    def after_fork_in_child(self) -> None:
        """Let nobody wait for a thread that lives in the parent alone."""
        self._lock = RLock()

    def facts(
        self,
        keys: Collection[KeyT],
        named_by: NamedBy[KeyT, CalledT],
        stands: ProjectionPosition,
        connection: sa.Connection,
    ) -> list[StreamFacts[CalledT]]:
        """Return the facts that name streams of a sort, in a snapshot and perhaps behind it.

        In the order of the keys. One id may stand for a deal and, in another deal, for a
        customer that was never registered: what is kept is kept by sorts.

        Raises:
            HistoryError: when one of them cannot be read.
        """
        kept = self._kept_at(stands, connection).get(named_by, {})
        found = [*map(kept.get, keys)]
        new = [key for key, facts in zip(keys, found, strict=True) if facts is None]
        read = self._read(new, named_by, connection) if new else {}
        if read:
            with self._lock:
                count = sum(map(len, self._kept.values())) + len(read)
                if self._stands == stands and count <= STREAMS_MAX:
                    self._kept.setdefault(named_by, {}).update(read)
        return [
            read[key] if facts is None else facts
            for key, facts in zip(keys, found, strict=True)
        ]

    def _read(
        self,
        keys: Sequence[KeyT],
        named_by: NamedBy[KeyT, CalledT],
        connection: sa.Connection,
    ) -> dict[KeyT, StreamFacts[CalledT]]:
        """Return the facts that name streams, as the log has them in a snapshot."""
        ids = [*map(named_by.id, keys)]
        facts = self._log.facts_of(ids, named_by.kinds, connection=connection)
        return {
            key: StreamFacts.of(facts.get(id, []), named_by)
            for key, id in zip(keys, ids, strict=True)
        }

    def _kept_at(self, stands: ProjectionPosition, connection: sa.Connection) -> KeptFacts:
        """Return what is kept for a snapshot, without the streams that were told of since."""
        with self._lock:
            kept, before, mark = self._kept, self._stands, self._mark
        since = stands.position - before.position
        if before == stands:
            return kept
        if since < 0:
            return {}
        told: Sequence[UUID] = ()
        if since > EVENTS_MAX:
            kept = {}
        if kept and self._log.mark_at(before.position, connection) == mark:
            told = self._log.streams_told_of(before.position, stands.position, connection)
        else:
            kept = {}
        mark = self._log.mark_at(stands.position, connection)
        with self._lock:
            kept = {named_by: dict(found) for named_by, found in kept.items()}
            for named_by, found in kept.items():
                for id in told:
                    found.pop(named_by.key(id), None)
            if self._stands.position <= stands.position:
                self._kept, self._stands, self._mark = kept, stands, mark
        return kept


class ReadingNames(NamedTuple):
    """Reads the names of one answer, in its snapshot and at its moment."""

    known: NamingFacts
    read_point: ReadPoint
    stands: ProjectionPosition
    connection: sa.Connection

    def names_in(self, view: View) -> Names:
        """Return the names of what an answer names by id, beside those its question gave."""
        ids = ids_in(view.parts_with_ids(), getattr(view, "by", None))
        if not any(ids):
            return NO_NAMES
        deals = self._deals_called(ids.deals) if ids.deals else []
        theirs = {id.int: id for deal in deals if (id := deal.customer_id) is not None}
        customers = ids.customers | dict.fromkeys(map(str, theirs.values()))
        reps = {rep_id(rep): rep for rep in ids.reps}
        return Names(
            deals=tuple(deals),
            customers=tuple(called for _, called in self._called(customers, OF_CUSTOMERS)),
            reps=tuple(
                RepCalled(rep=reps[id], name=name) for id, name in self._called(reps, OF_REPS)
            ),
            labels=view.names.labels,
            processes=tuple(self._process_labels(ids.processes)),
        )

    def _deals_called(self, ids: Collection[UUID]) -> list[DealCalled]:
        """Return what deals are called, and whose they are at the moment."""
        as_of, by_number = self.read_point.as_of, {id.int: id for id in ids}
        return _deals(
            [
                {
                    "deal": by_number[number],
                    "title": deal.title,
                    "customer_id": deal.customer(as_of),
                }
                for number, deal in self._called(by_number, OF_DEALS)
            ]
        )

    def _process_labels(self, keys: Iterable[str]) -> Iterator[Labelled]:
        """Yield what processes are called, by the newest of the versions known."""
        streams = {process_id(key): key for key in keys}
        for id, newest in self._called(streams, OF_PROCESSES):
            yield Labelled(key=streams[id], name_en=newest.name_en, name_zh=newest.name_zh)

    def _called(
        self, keys: Collection[KeyT], named_by: NamedBy[KeyT, CalledT]
    ) -> Iterator[tuple[KeyT, CalledT]]:
        """Yield streams and what each is called at the moment, of those that have a name."""
        if not keys:
            return
        try:
            found = self.known.facts(keys, named_by, self.stands, self.connection)
        except HistoryError:
            return
        known_at = self.read_point.known_at
        for key, stream in zip(keys, found, strict=True):
            called = stream.called_at(known_at, named_by)
            if called is not None:
                yield key, called

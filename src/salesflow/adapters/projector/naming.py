"""What the deals, customers and reps of an answer are called, as known at its moment.

In few statements however many there are: of a deal only its opening and whose it is are read.
An event that cannot be read leaves its stream without a name, and stops no answer. Facts that
name things are kept for the next answer, which mostly names the same ones.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from threading import RLock
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.database.forks import FORKABLE, Forkable
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.projector.read_tables import ProjectionPosition
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.deal.people import CustomerChanged
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Event, Fact, FactRetracted, believed_history
from salesflow.domain.process import ProcessPublished, process_id
from salesflow.domain.rep import RepJoined, rep_id
from salesflow.domain.time import FOREVER, Instant
from salesflow.domain.unchecked import unchecked_all
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

__all__ = ["NamingFacts", "ReadingNames"]

FactT = TypeVar("FactT", bound=Fact)
OF_DEALS: Final = (DealOpened, CustomerChanged, FactRetracted)
OF_CUSTOMERS: Final = (CustomerRegistered, FactRetracted)
OF_REPS: Final = (RepJoined, FactRetracted)
OF_PROCESSES: Final = (ProcessPublished,)

STREAMS_MAX: Final = 50_000
"""The facts of so many streams are kept, about a thousand bytes each."""
EVENTS_MAX: Final = 10_000
"""Where so many were told since, all streams are read anew."""


class StreamFacts(NamedTuple):
    """The facts of some kinds of a stream, and what is believed once all of them are known."""

    facts: Sequence[Event]
    believed: Sequence[Event]
    recorded: Instant
    """When the last of them became known."""

    @classmethod
    def of(cls, facts: Sequence[Event]) -> "StreamFacts":
        """Return facts as they are kept."""
        recorded = max((event.recorded for event in facts), default=-FOREVER)
        return cls(facts, believed_history(facts), recorded)

    def believed_at(self, known_at: Instant) -> Sequence[Event]:
        """Return what is believed at an instant: mostly of the time after all of them."""
        if known_at >= self.recorded:
            return self.believed
        return believed_history(self.facts, known_at)


KeptFacts = dict[tuple[type[Fact], ...], dict[UUID, StreamFacts]]
"""The facts of some kinds, by stream."""

_deals: Final = unchecked_all(DealCalled)
_customers: Final = unchecked_all(CustomerCalled)


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
        ids: Collection[UUID],
        kinds: Sequence[type[Fact]],
        stands: ProjectionPosition,
        connection: sa.Connection,
    ) -> list[StreamFacts]:
        """Return the facts of some kinds of streams, in a snapshot and perhaps behind it.

        In the order of the ids. One id may stand for a deal and, in another deal, for a
        customer that was never registered: what is kept is kept by kinds.

        Raises:
            HistoryError: when one of them cannot be read.
        """
        kinds = (*kinds,)
        kept = self._kept_at(stands, connection).get(kinds, {})
        new = [id for id in ids if id not in kept]
        if new:
            facts = self._log.facts_of(new, kinds, connection=connection)
            read = {id: StreamFacts.of(facts.get(id, [])) for id in new}
            with self._lock:
                count = sum(map(len, self._kept.values())) + len(new)
                if self._stands == stands and count <= STREAMS_MAX:
                    self._kept.setdefault(kinds, {}).update(read)
            kept = {**kept, **read}
        return [kept[id] for id in ids]

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
            kept = {kinds: dict(found) for kinds, found in kept.items()}
            for found in kept.values():
                for id in told:
                    found.pop(id, None)
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
        ids = ids_in(view)
        if not any(ids):
            return NO_NAMES
        deals = self._deals_called(ids.deals) if ids.deals else []
        theirs = (deal.customer_id for deal in deals if deal.customer_id)
        customers = dict.fromkeys([*ids.customers, *theirs])
        reps = {rep_id(rep): rep for rep in ids.reps}
        joined = self._believed(reps, OF_REPS)
        return Names(
            deals=tuple(deals),
            customers=tuple(self._customers_called(customers) if customers else ()),
            reps=tuple(
                RepCalled(rep=reps[id], name=name)
                for id, events in joined
                if (name := _rep_name(events)) is not None
            ),
            labels=view.names.labels,
            processes=tuple(self._process_labels(ids.processes)),
        )

    def _deals_called(self, ids: Collection[UUID]) -> list[DealCalled]:
        """Return what deals are called, and whose they are at the moment."""
        as_of = self.read_point.as_of
        return _deals(
            [
                {"deal": id, "title": _title(events), "customer_id": _customer(events, as_of)}
                for id, events in self._believed(ids, OF_DEALS)
            ]
        )

    def _customers_called(self, ids: Collection[UUID]) -> list[CustomerCalled]:
        """Return what customers are called, of those that have a name."""
        return _customers(
            [
                {"customer": id, "name": fact.name}
                for id, events in self._believed(ids, OF_CUSTOMERS)
                if (fact := _last(events, CustomerRegistered)) is not None and fact.name
            ]
        )

    def _process_labels(self, keys: Iterable[str]) -> Iterator[Labelled]:
        """Yield what processes are called, by the newest of the versions known."""
        streams = {process_id(key): key for key in keys}
        for id, events in self._believed(streams, OF_PROCESSES):
            facts = [event.fact for event in events]
            versions = [fact.process for fact in facts if isinstance(fact, ProcessPublished)]
            newest = max(versions, key=lambda version: version.version, default=None)
            if newest is None:  # nothing of it can be read
                continue
            yield Labelled(key=streams[id], name_en=newest.name_en, name_zh=newest.name_zh)

    def _believed(
        self, ids: Collection[UUID], kinds: Sequence[type[Fact]]
    ) -> Iterator[tuple[UUID, Sequence[Event]]]:
        """Yield streams and their believed facts of a few kinds; those without are left out."""
        try:
            found = self.known.facts(ids, kinds, self.stands, self.connection)
        except HistoryError:
            return
        known_at = self.read_point.known_at
        for id, stream in zip(ids, found, strict=True):
            if history := stream.believed_at(known_at):
                yield id, history


def _title(events: Sequence[Event]) -> str | None:
    opening = events[0].fact
    return opening.title if isinstance(opening, DealOpened) else None


def _customer(events: Sequence[Event], as_of: Instant) -> UUID | None:
    found = None
    for event in events:
        fact = event.fact
        if isinstance(fact, (DealOpened, CustomerChanged)) and event.effective <= as_of:
            found = fact.customer_id
    return found


def _rep_name(events: Sequence[Event]) -> str | None:
    names = (event.fact.name for event in events if isinstance(event.fact, RepJoined))
    return next((name for name in reversed([*names]) if name), None)


def _last(events: Sequence[Event], kind: type[FactT]) -> FactT | None:
    return next((e.fact for e in reversed(events) if isinstance(e.fact, kind)), None)

"""Reads what the deals, customers and reps of an answer are called, as known at its moment.

In few statements however many there are: of a deal only its opening and whose it is are read.
An event that cannot be read leaves its stream without a name, and stops no answer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.published import (
    PublishedRates,
    published_keys,
    with_unpublished_unreadable,
)
from salesflow.domain.customer import CustomerRegistered
from salesflow.domain.deal.people import CustomerChanged
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Event, Fact, FactRetracted, believed_history, ensure_readable
from salesflow.domain.exchange_rates import RateTable
from salesflow.domain.process import ProcessPublished, process_id
from salesflow.domain.rep import RepJoined, rep_id
from salesflow.domain.settings import Settings
from salesflow.domain.time import FOREVER
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
from salesflow.projections.table import Processes, ReadPoint, Selection, selects_at

__all__ = ["SnapshotReader", "names_in"]


# One snapshot for one question: the read tables, the log and where they stand.
#
# The known axis is cut at K = min(known_at, recorded_at of the last event folded), both read in
# the same snapshot as the rows. Since recorded_at only grows, asking again at the view's moment
# gives the same answer for ever, whatever is appended meanwhile.


class SnapshotReader:
    """Reads rows and streams for one question in one snapshot."""

    def __init__(
        self,
        connection: sa.Connection,
        log: EventLog,
        read_point: ReadPoint,
        settings: Settings,
        processes: Processes,
        rates: PublishedRates,
    ) -> None:
        self.read_point: Final = read_point
        self.timezone: Final = settings.timezone
        self.calendar: Final = settings.fiscal_calendar
        self.report_currency: Final = settings.report_currency
        self.processes: Final = processes
        self._rates = rates
        self._connection = connection
        self._log = log

    def rows(self, select: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Run a select in the snapshot."""
        return self._connection.execute(select).all()

    def rows_of(self, wanted: Iterable[Selection]) -> Iterator[Sequence[sa.Row[Any]]]:
        """Yield what counts at the moment of each selection, in their order."""
        selects = selects_at(self.read_point, wanted)
        return iter([self._connection.execute(select).all() for select in selects])

    def events(self, stream_id: UUID) -> list[Event]:
        """Return a stream's events known by the moment, in the order of the log.

        Raises:
            HistoryError: when one cannot be read, and was not retracted by then.
        """
        stored = self._log.stream(stream_id, connection=self._connection)
        events = with_unpublished_unreadable(stored, self.processes)
        ensure_readable(events, self.read_point.known_at)
        return self._known(events)

    def streams(self, ids: Iterable[UUID]) -> dict[UUID, list[Event]]:
        """Return the same of many streams in few queries; those without events are left out."""
        found = self._log.streams(ids, through=FOREVER, connection=self._connection)
        known = {
            id: self._known(with_unpublished_unreadable(e, self.processes))
            for id, e in found.items()
        }
        return {id: events for id, events in known.items() if events}

    def published(self) -> list[str]:
        """Return the keys of all processes; looks through the whole log."""
        return published_keys(self._log, self._connection)

    def rates(self) -> RateTable:
        """Return the exchange rates known by the moment."""
        return self._rates.known(self.read_point.known_at, self._connection)

    def _known(self, events: list[Event]) -> list[Event]:
        return [event for event in events if event.recorded <= self.read_point.known_at]


FactT = TypeVar("FactT", bound=Fact)
OF_DEALS: Final = (DealOpened, CustomerChanged, FactRetracted)
OF_CUSTOMERS: Final = (CustomerRegistered, FactRetracted)
OF_REPS: Final = (RepJoined, FactRetracted)
OF_PROCESSES: Final = (ProcessPublished,)


def names_in(
    view: View, log: EventLog, connection: sa.Connection, read_point: ReadPoint
) -> Names:
    """Return the names of everything an answer names by id, beside those its question gave."""
    ids = ids_in(view)
    if not any(ids):
        return NO_NAMES
    reader = _Reader(log, connection, read_point)
    deals = [
        DealCalled(deal=id, title=_title(events), customer_id=_customer(events, read_point))
        for id, events in reader.believed(ids.deals, OF_DEALS).items()
    ]
    customers = [*ids.customers, *(deal.customer_id for deal in deals if deal.customer_id)]
    called = reader.believed(dict.fromkeys(customers), OF_CUSTOMERS)
    reps = {rep_id(rep): rep for rep in ids.reps}
    joined = reader.believed(reps, OF_REPS)
    return Names(
        deals=tuple(deals),
        customers=tuple(
            CustomerCalled(customer=id, name=fact.name)
            for id, events in called.items()
            if (fact := _last(events, CustomerRegistered)) is not None and fact.name
        ),
        reps=tuple(
            RepCalled(rep=reps[id], name=name)
            for id, events in joined.items()
            if (name := _rep_name(events)) is not None
        ),
        labels=view.names.labels,
        processes=tuple(_process_labels(reader, ids.processes)),
    )


class _Reader:
    """Reads a few kinds of facts of many streams in a snapshot, at a moment."""

    def __init__(self, log: EventLog, connection: sa.Connection, read_point: ReadPoint) -> None:
        self._log = log
        self._connection = connection
        self._read_point = read_point

    def believed(
        self, ids: Iterable[UUID], kinds: Sequence[type[Fact]]
    ) -> Mapping[UUID, list[Event]]:
        """Return the believed facts of these kinds, by stream."""
        ids = [*ids]
        if not ids:
            return {}
        try:
            found = self._log.facts_of(ids, kinds, connection=self._connection)
        except HistoryError:
            return {}
        known = (
            (id, [event for event in events if event.recorded <= self._read_point.known_at])
            for id, events in found.items()
        )
        return {id: values for id, events in known if (values := believed_history(events))}


def _process_labels(reader: "_Reader", keys: Iterable[str]) -> Iterator[Labelled]:
    """Yield what processes are called, by the newest of the versions known."""
    streams = {process_id(key): key for key in keys}
    for id, events in reader.believed(streams, OF_PROCESSES).items():
        facts = [event.fact for event in events]
        versions = [fact.process for fact in facts if isinstance(fact, ProcessPublished)]
        newest = max(versions, key=lambda version: version.version, default=None)
        if newest is None:  # nothing of it can be read
            continue
        yield Labelled(key=streams[id], name_en=newest.name_en, name_zh=newest.name_zh)


def _title(events: Sequence[Event]) -> str | None:
    opening = events[0].fact
    return opening.title if isinstance(opening, DealOpened) else None


def _customer(events: Sequence[Event], read_point: ReadPoint) -> UUID | None:
    found = None
    for event in events:
        values = isinstance(event.fact, DealOpened | CustomerChanged)
        if values and event.effect <= read_point.as_of:
            assert isinstance(event.fact, DealOpened | CustomerChanged)
            found = event.fact.customer_id
    return found


def _rep_name(events: Sequence[Event]) -> str | None:
    names = (event.fact.name for event in events if isinstance(event.fact, RepJoined))
    return next((name for name in reversed([*names]) if name), None)


def _last(events: Sequence[Event], kind: type[FactT]) -> FactT | None:
    return next((e.fact for e in reversed(events) if isinstance(e.fact, kind)), None)

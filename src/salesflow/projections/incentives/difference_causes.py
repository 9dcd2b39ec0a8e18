"""Why a line of an issued statement differs: the events that became known since.

A line that is new rests on its own event, and one that is taken back on the retraction. Of any
other one, what became known of its deal, of other sales of the rep that accrued before it, and
of what all go by (rates, the plan, the rep's team, settings) may be behind it: named is without
what of it the line would be another one, and nothing else. It is a module of its own as it
looks into the log, where the differences compare lines.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from salesflow.domain.customer import CustomerMerged, CustomerRegistered, CustomerUnmerged
from salesflow.domain.deal.after_sales import RepeatOrderPlaced
from salesflow.domain.deal.billing import RefundGiven
from salesflow.domain.deal.people import CollaboratorJoined, CollaboratorLeft
from salesflow.domain.event import Event, Fact, FactRetracted, retracted_ids
from salesflow.domain.exchange_rates import RATES_ID
from salesflow.domain.incentive_plan import PlanAcknowledged, PlanVersion, plan_id
from salesflow.domain.rep import rep_id
from salesflow.domain.settings import SETTINGS_ID, ClockAccepted
from salesflow.domain.statement import DifferenceReason, StatementFigures
from salesflow.domain.time import FOREVER, Instant, end_of_day, to_instant
from salesflow.projections.core.earlier_reader import EarlierReader
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.receipt import RECEIPT
from salesflow.projections.incentives.trials import Trials
from salesflow.projections.scope import Customers

__all__ = ["NewFacts", "PlanInputs", "UnlikeLine", "retractions_of"]

OF_CUSTOMERS: Final = (CustomerMerged, CustomerRegistered, CustomerUnmerged)
OF_SALES: Final = (
    *(CollaboratorJoined, CollaboratorLeft, FactRetracted, RefundGiven, RepeatOrderPlaced),
    *OF_CUSTOMERS,
)
WITHOUT_FIGURES: Final = (PlanAcknowledged, ClockAccepted)


class PlanInputs(NamedTuple):
    """What a plan looks at beside bookings."""

    first_sales: bool
    products: bool
    receipts: bool

    @classmethod
    def of(cls, versions: Iterable[PlanVersion]) -> "PlanInputs":
        """Return what any of its versions looks at."""
        terms = [version.terms for version in versions]
        spiffs = [spiff for each in terms for spiff in each.spiffs]
        return cls(
            first_sales=any(spiff.customers == "new" for spiff in spiffs),
            products=any(spiff.product is not None for spiff in spiffs),
            receipts=any(each.crediting != "closing" for each in terms),
        )


class UnlikeLine(NamedTuple):
    """A line that differs by now, and in what."""

    event_id: UUID
    deal: UUID | None
    """None for what the guarantee adds."""
    at: Instant
    """When it happened; for ever where nothing is known of it."""
    is_known_now: bool
    difference: Decimal
    """How much more it pays by now."""
    settled_at: Instant | None
    """By what was known then it was last paid in difference."""
    settled_by: UUID | None
    """The statement, by its event, with which it was."""


class NewFacts:
    """What became known since a statement was figured, that may have made a difference."""

    def __init__(
        self,
        reader: Reader,
        figures: StatementFigures,
        unlike: Sequence[UnlikeLine],
        inputs: PlanInputs,
    ) -> None:
        self._reader = reader
        self._figures = figures
        self._unlike = unlike
        self._inputs = inputs
        self._then = EarlierReader(
            reader, as_of=to_instant(figures.as_of), known_at=to_instant(figures.known_at)
        )
        self._known_at = self._then.read_point.known_at
        self._times: dict[UUID, Instant] = {}
        """When what an event tells of, or takes back, happened."""
        self._moved: dict[Instant, list[tuple[Instant, Event]]] = {}
        """What became known of sales of the rep since an instant."""
        self._beside = (plan_id(figures.plan), rep_id(figures.rep), RATES_ID, SETTINGS_ID)
        self.streams: Mapping[UUID, list[Event]] = reader.streams(
            {*(each.deal for each in unlike if each.deal), *self._beside}
        )
        self._retracted = {
            out for events in self.streams.values() for out in retracted_ids(events)
        }

    def reason(self, line: UnlikeLine) -> DifferenceReason:
        """Say why a line differs."""
        if not line.is_known_now and line.event_id in self._retracted:
            return "retracted"
        new = () if line.deal is None else self._new(line.deal, line)
        is_late = any(event.event_id == line.event_id for event in new)
        return "late" if is_late else "changed"

    def causes(self, trials: Trials) -> dict[UUID, tuple[UUID, ...]]:
        """Return the events that made each difference, by the line's.

        What lines (and the guarantee) come to without some events say `trials`.
        """
        return {line.event_id: self._behind(line, trials) for line in self._unlike}

    def _behind(self, line: UnlikeLine, trials: Trials) -> tuple[UUID, ...]:
        match self.reason(line):
            case "late":
                return (line.event_id,)
            case "retracted" if line.deal is not None:
                new = self._new(line.deal, line)
                return (*retractions_of(line.event_id, new),) or _ids(new)
            case _:
                events = self._perhaps_behind(line)
        ids = _ids(events)
        found = trials.behind(line.event_id, ids)
        paid = trials.figure(line.event_id) - line.difference
        if trials.figure(line.event_id, ids) != paid:  # as of customers nothing is left out
            found += [e.event_id for e in events if isinstance(e.fact, OF_CUSTOMERS)]
        if not found and line.settled_by is not None:  # it was paid by two at once
            return (line.settled_by,)
        return tuple(dict.fromkeys(found)) or self._anything(line)

    def _perhaps_behind(self, line: UnlikeLine) -> list[Event]:
        """Return what became known that may have moved a line, in the order of the log."""
        lines = self._unlike if line.deal is None else [line]
        new = [event for each in lines for event in self._of_own(each, line)]
        new += [event for stream in self._beside for event in self._new(stream, line)]
        new += self._in_other_sales(line)
        if self._inputs.first_sales and line.deal is not None:
            new += self._of_first_sale(line.deal)
        once = {e.event_id: e for e in new if not isinstance(e.fact, WITHOUT_FIGURES)}
        return sorted(_standing([*once.values()]), key=lambda event: event.position)

    def _of_own(self, other: UnlikeLine, line: UnlikeLine) -> list[Event]:
        """Return what became known of a line's deal; of one that is new its own event."""
        new = [] if other.deal is None else self._new(other.deal, line)
        mine = [event for event in new if event.event_id == other.event_id]
        return mine or new

    def _new(self, stream: UUID, line: UnlikeLine) -> list[Event]:
        since = self._known_at if line.settled_at is None else line.settled_at
        return [event for event in self.streams.get(stream, ()) if event.recorded > since]

    def _happened(self, event: Event, line: UnlikeLine) -> bool:
        """Return whether what an event tells of, or takes back, had happened by a line."""
        if event.event_id not in self._times:
            known = {each.event_id: each for each in self.streams.get(event.stream_id, ())}
            target: Event | None = event
            while target is not None and isinstance(target.fact, FactRetracted):
                target = known.get(target.fact.event_id)
            at = -FOREVER if target is None else min(target.occurred, target.effective)
            self._times[event.event_id] = at
        return self._times[event.event_id] <= line.at

    def _anything(self, line: UnlikeLine) -> tuple[UUID, ...]:
        """Return all that became known of a line's deal, or else of what all go by."""
        new = [] if line.deal is None else self._new(line.deal, line)
        return _ids(new) or _ids(
            event for stream in self._beside for event in self._new(stream, line)
        )

    def _in_other_sales(self, line: UnlikeLine) -> list[Event]:
        """Return what became known of sales of the rep that had happened by a line.

        They have accrued to what it is paid by, and may stand in no statement.
        """
        since = self._known_at if line.settled_at is None else line.settled_at
        if since not in self._moved:
            self._moved[since] = [*self._moved_since(since)]
        return [
            event
            for at, event in self._moved[since]
            if at <= line.at and self._happened(event, line)
        ]

    def _moved_since(self, since: Instant) -> Iterator[tuple[Instant, Event]]:
        """Yield what became known of sales of the rep, each with when it moved them first."""
        bookings = self._reader.columns(BOOKING)
        bookings = bookings.where(bookings.fitting({"person": self._figures.rep}))
        found = [bookings]
        if self._inputs.receipts:
            receipts = self._reader.columns(RECEIPT)
            deals = bookings.cells("entity_id")
            found.append(receipts.where(receipts.has("entity_id", *deals)))
        until = end_of_day(self._figures.last_day, self._reader.timezone)
        moved: dict[UUID, dict[UUID, Instant]] = defaultdict(dict)
        for rows in found:
            late = rows.where((rows["recorded"] > since) & (rows["occurred"] <= until))
            for deal, event_id, at in late.records("entity_id", "event_id", "occurred"):
                moved[deal][event_id] = min(at, moved[deal].get(event_id, at))
        self.streams = {**self.streams, **self._reader.streams(moved.keys() - self.streams)}
        for deal, times in moved.items():
            new = [event for event in self.streams.get(deal, ()) if event.recorded > since]
            yield from _causing(times, new)

    def _of_first_sale(self, deal: UUID) -> list[Event]:
        """Return what became known of whether a deal is the first sale to its customer.

        That is in the entries that count as the customer, or did, and in all that was sold to
        them.
        """
        bookings = self._reader.columns(BOOKING)
        mine = bookings.where(bookings.has("entity_id", deal))
        entries = {
            entry
            for reader in (self._reader, self._then)
            for customers in (Customers.read(reader),)
            for customer in {*mine.cells("customer_id")} - {None}
            for entry in customers.entries(customer)
        }
        sold = bookings.where(bookings.has("customer_id", *entries))
        streams = self._reader.streams({*entries, *sold.cells("entity_id")})
        self.streams = {**self.streams, **streams}
        return [
            event
            for events in streams.values()
            for event in events
            if event.recorded > self._known_at and _tells_of_sales(event.fact)
        ]


def _ids(events: Iterable[Event]) -> tuple[UUID, ...]:
    return tuple(dict.fromkeys(event.event_id for event in events))


def _standing(events: Sequence[Event]) -> Iterator[Event]:
    """Yield events without those of them that others of them took back, and these."""
    gone = retracted_ids(events)
    there = {event.event_id for event in events}
    for event in events:
        fact = event.fact
        undone = fact.event_id if isinstance(fact, FactRetracted) else None
        if event.event_id not in gone and undone not in there:
            yield event


def _causing(
    times: Mapping[UUID, Instant], new: Sequence[Event]
) -> Iterator[tuple[Instant, Event]]:
    """Yield which new events of a deal are behind movements, or took the facts behind back.

    Where one has none, as when the deal turned out to be somebody else's, all that tell of
    sales.
    """
    behind = {
        event.fact.event_id if isinstance(event.fact, FactRetracted) else event.event_id: event
        for event in new
    }
    for event_id, at in times.items():
        if event_id in behind:
            yield at, behind[event_id]
    others = [at for event_id, at in times.items() if event_id not in behind]
    for event in new if others else ():
        if _tells_of_sales(event.fact):
            yield min(others), event


def _tells_of_sales(fact: Fact) -> bool:
    """Return whether a fact may change what was sold to whom, and whether that was first."""
    return fact.changes_summary or isinstance(fact, OF_SALES)


def retractions_of(event_id: UUID, events: Iterable[Event]) -> Iterator[UUID]:
    """Yield the events that take another one back."""
    for event in events:
        if isinstance(event.fact, FactRetracted) and event.fact.event_id == event_id:
            yield event.event_id

"""Statements that were issued, and how what they say differs from what is known by now.

A statement never changes. What its period comes to by now, less what it said and less what
later statements have settled of it, is the difference that the next one pays or takes back,
line by line, each with the events that made it. It is a module of its own as it needs no plan:
it compares lines.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.customer import CustomerMerged, CustomerRegistered, CustomerUnmerged
from salesflow.domain.deal.people import CollaboratorJoined, CollaboratorLeft
from salesflow.domain.event import Event, Fact, FactRetracted, retracted_ids
from salesflow.domain.exchange_rates import RATES_ID
from salesflow.domain.incentive_plan import plan_id
from salesflow.domain.rep import rep_id
from salesflow.domain.settings import SETTINGS_ID
from salesflow.domain.statement import (
    AgreedDifference,
    DifferenceLine,
    DifferenceReason,
    Statement,
    StatementFigures,
    StatementState,
)
from salesflow.domain.time import end_of_day, to_instant
from salesflow.projections.core.earlier_reader import EarlierReader
from salesflow.projections.core.question import Reader
from salesflow.projections.core.replaying import believed, state_of
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.receipt import RECEIPT
from salesflow.projections.folds.statement import STATEMENT
from salesflow.projections.incentives.commission_book import EarnedLine
from salesflow.projections.scope import Customers

__all__ = ["Difference", "IssuedStatement", "agreed_differences", "differences", "read_issued"]

NOTHING: Final = Decimal(0)
FIGURED: Final = frozenset({"late", "retracted", "changed"})
"""The reasons of differences that follow from events, and from no agreement."""


class IssuedStatement(NamedTuple):
    """A statement that was issued by the moment, and what became of it."""

    event_id: UUID
    issued_at: datetime
    figures: StatementFigures
    state: StatementState
    events: Sequence[Event]
    """All that is known of it, in the order of the log."""


class Difference(NamedTuple):
    """What a statement would say otherwise by now, of one event."""

    first_day: date
    event_id: UUID
    deal: UUID | None
    reason: DifferenceReason
    causes: tuple[UUID, ...]
    amount: Decimal


def read_issued(reader: Reader, plan: str, rep: str) -> list[IssuedStatement]:
    """Return the statements of a plan and a rep that were issued by the moment, in order."""
    c = STATEMENT.c
    ids = sa.select(c.entity_id).where(
        STATEMENT.visible_at(reader.read_point), c.plan == plan, c.rep == rep
    )
    found = []
    for events in reader.streams([row[0] for row in reader.rows(ids)]).values():
        state = state_of(Statement, StatementState, events, reader)
        if state.figures is not None:
            opening = believed(events, reader)[0]
            found.append(
                IssuedStatement(
                    opening.event_id, opening.occurred_at, state.figures, state, events
                )
            )
    return sorted(found, key=lambda each: each.figures.first_day)


def agreed_differences(issued: Sequence[IssuedStatement], before: date) -> list[Difference]:
    """Return what was agreed of statements before a day, less what statements paid of it.

    What was paid and is believed no longer is taken back.
    """
    found: list[Difference] = []
    for each in issued:
        if each.figures.first_day < before:
            paid = _paid_as_agreed(each.figures.first_day, issued)
            agreed = {it.event_id: it for it in each.state.agreed}
            for event_id in dict.fromkeys((*agreed, *paid)):
                found += _agreed_difference(each, event_id, agreed.get(event_id), paid)
    return found


class PaidAsAgreed(NamedTuple):
    """What statements paid of something that was agreed on, by their lines in order."""

    line: DifferenceLine
    """The last one."""
    amount: Decimal
    known_at: datetime
    """The moment of its figures."""


def _paid_as_agreed(
    first_day: date, issued: Iterable[IssuedStatement]
) -> dict[UUID, PaidAsAgreed]:
    found: dict[UUID, PaidAsAgreed] = {}
    for each in issued:
        for line in each.figures.differences:
            if line.first_day == first_day and line.reason not in FIGURED:
                before = found.get(line.event_id)
                amount = line.amount + (NOTHING if before is None else before.amount)
                found[line.event_id] = PaidAsAgreed(line, amount, each.figures.known_at)
    return found


def _agreed_difference(
    statement: IssuedStatement,
    event_id: UUID,
    agreed: AgreedDifference | None,
    paid: Mapping[UUID, PaidAsAgreed],
) -> Iterator[Difference]:
    """Yield what is still to be paid, or taken back, of something that was agreed on."""
    before, first_day = paid.get(event_id), statement.figures.first_day
    settled = NOTHING if before is None else before.amount
    if agreed is not None:
        deal, reason = _deal(statement, agreed.line), agreed.reason
        causes, owed = agreed.causes, agreed.amount - settled
    else:
        assert before is not None, "it was agreed on, or paid"
        deal, reason, owed = before.line.deal, before.line.reason, -settled
        since = [e for e in statement.events if e.recorded > to_instant(before.known_at)]
        taken_back = (*_retractions_of(event_id, since),)
        causes = taken_back or tuple(event.event_id for event in since)
    if owed:
        yield Difference(first_day, event_id, deal, reason, causes, owed)


def _deal(statement: IssuedStatement, line: int | None) -> UUID | None:
    figures = statement.figures
    deals: dict[int, UUID | None] = {each.line: each.deal for each in figures.lines}
    deals |= {each.line: each.deal for each in figures.differences}
    return None if line is None else deals.get(line)


def differences(
    reader: Reader,
    statement: IssuedStatement,
    issued: Sequence[IssuedStatement],
    known_now: Iterable[EarnedLine],
    *,
    guaranteed: Decimal,
    by_first_sales: bool,
) -> list[Difference]:
    """Return what of a statement differs from the lines its period comes to by now.

    What other statements have settled of it is no difference any more. They come in the order
    of what is known now, then what is no longer believed. What the guarantee adds by now
    (`guaranteed`) differs as a line does, under the event of the statement itself. Where a plan
    pays for first sales (`by_first_sales`), what is known of a customer's other sales may have
    made a difference.
    """
    unlike, deals, now = _unlike(statement, issued, known_now, guaranteed)
    if not unlike:
        return []
    told = _NewFacts(reader, statement, {deals[each] for each in unlike if each in deals})
    reasons = {each: told.reason(each, each in now) for each in unlike}
    why = {each: (deals.get(each), reasons[each]) for each in unlike}
    causes = told.causes_of(why, by_first_sales)
    return [
        Difference(
            first_day=statement.figures.first_day,
            event_id=event_id,
            deal=deals.get(event_id),
            reason=reasons[event_id],
            causes=causes[event_id],
            amount=amount,
        )
        for event_id, amount in unlike.items()
    ]


def _unlike(
    statement: IssuedStatement,
    issued: Sequence[IssuedStatement],
    known_now: Iterable[EarnedLine],
    guaranteed: Decimal,
) -> tuple[dict[UUID, Decimal], dict[UUID, UUID], Collection[UUID]]:
    """Return by how much each event is paid otherwise by now, the deals, and what is known."""
    now, deals = _sums((each.event_id, each.deal, each.amount) for each in known_now)
    said, more = _sums(
        (each.event_id, each.deal, each.amount) for each in statement.figures.lines
    )
    now[statement.event_id] = guaranteed
    said[statement.event_id] = statement.figures.guaranteed
    settled, others = _settled(statement.figures.first_day, issued)
    paid = defaultdict(Decimal, said)
    for event_id, amount in settled.items():
        paid[event_id] += amount
    unlike = {
        event_id: amount
        for event_id in dict.fromkeys((*now, *said, *settled))
        if (amount := now.get(event_id, NOTHING) - paid.get(event_id, NOTHING))
    }
    return unlike, others | deals | more, now.keys()


def _sums(
    lines: Iterable[tuple[UUID, UUID, Decimal]],
) -> tuple[dict[UUID, Decimal], dict[UUID, UUID]]:
    """Return what lines come to, and which deal each is of, by the events they rest on."""
    amounts: dict[UUID, Decimal] = defaultdict(Decimal)
    deals: dict[UUID, UUID] = {}
    for event_id, deal, amount in lines:
        amounts[event_id] += amount
        deals[event_id] = deal
    return dict(amounts), deals


def _settled(
    first_day: date, issued: Iterable[IssuedStatement]
) -> tuple[dict[UUID, Decimal], dict[UUID, UUID]]:
    """Return what later statements have settled of one, and which deal each line is of."""
    settled: dict[UUID, Decimal] = defaultdict(Decimal)
    deals: dict[UUID, UUID] = {}
    for each in issued:
        for line in each.figures.differences:
            if line.first_day == first_day and line.reason in FIGURED:
                settled[line.event_id] += line.amount
                if line.deal is not None:
                    deals[line.event_id] = line.deal
    return dict(settled), deals


class _NewFacts:
    """What became known since a statement was figured, that may have made a difference."""

    def __init__(
        self, reader: Reader, statement: IssuedStatement, deals: Collection[UUID]
    ) -> None:
        figures = statement.figures
        self._reader = reader
        self._statement = statement
        self._then = EarlierReader(
            reader, as_of=to_instant(figures.as_of), known_at=to_instant(figures.known_at)
        )
        known_at = self._then.read_point.known_at
        beside = (plan_id(figures.plan), rep_id(figures.rep), RATES_ID, SETTINGS_ID)
        streams = reader.streams({*deals, *beside})
        self._new = {
            stream: [event for event in events if event.recorded > known_at]
            for stream, events in streams.items()
        }
        self._retracted = {out for events in streams.values() for out in retracted_ids(events)}
        self._known = {event.event_id for events in self._new.values() for event in events}
        self._beside = [event for stream in beside for event in self._new.get(stream, ())]

    def reason(self, event_id: UUID, is_known_now: bool) -> DifferenceReason:
        """Say why a line differs."""
        if not is_known_now and event_id in self._retracted:
            return "retracted"
        return "late" if event_id in self._known else "changed"

    def causes_of(
        self, unlike: Mapping[UUID, tuple[UUID | None, DifferenceReason]], by_first_sales: bool
    ) -> dict[UUID, tuple[UUID, ...]]:
        """Return the events that made each difference; the deals and the reasons are given.

        Of a line that nothing of its own moved, what moved the others did, or other sales.
        """
        own = {event_id: self.causes(event_id, *each) for event_id, each in unlike.items()}
        if by_first_sales:
            for event_id, (deal, _) in unlike.items():
                own[event_id] = own[event_id] or self.causes_of_first_sale(deal)
        others = tuple(dict.fromkeys(cause for each in own.values() for cause in each))
        if not all(own.values()) and not others:
            others = self.causes_in_other_sales()
        return {event_id: causes or others for event_id, causes in own.items()}

    def causes(
        self, event_id: UUID, deal: UUID | None, reason: DifferenceReason
    ) -> tuple[UUID, ...]:
        """Return the events that made the difference, of the deal or what all go by."""
        if reason == "late":
            return (event_id,)
        new = [] if deal is None else self._new.get(deal, [])
        if reason == "retracted":
            taken_back = (*_retractions_of(event_id, new),)
            return taken_back or tuple(event.event_id for event in new)
        return tuple(event.event_id for event in (*new, *self._beside))

    def causes_in_other_sales(self) -> tuple[UUID, ...]:
        """Return what became known of sales of the rep up to the end of the period.

        They have accrued to what later ones are paid by, and may stand in no statement.
        """
        figures, known_at = self._statement.figures, self._then.read_point.known_at
        bookings = self._reader.columns(BOOKING)
        bookings = bookings.where(bookings.fitting({"person": figures.rep}))
        receipts = self._reader.columns(RECEIPT)
        receipts = receipts.where(receipts.has("entity_id", *bookings.cells("entity_id")))
        end = end_of_day(figures.last_day, self._reader.timezone)
        moved: dict[UUID, set[UUID]] = defaultdict(set)
        for rows in (bookings, receipts):
            late = rows.where((rows["recorded"] > known_at) & (rows["occurred"] <= end))
            for deal, event_id in late.records("entity_id", "event_id"):
                moved[deal].add(event_id)
        streams = self._reader.streams(moved)
        return _in_log_order(
            event
            for deal, events in streams.items()
            for event in _causing(moved[deal], [e for e in events if e.recorded > known_at])
        )

    def causes_of_first_sale(self, deal: UUID | None) -> tuple[UUID, ...]:
        """Return what became known of whether a deal is the first sale to its customer.

        That is in the entries that count as the customer, or did, and in all that was sold to
        them.
        """
        if deal is None:
            return ()
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
        known_at = self._then.read_point.known_at
        return _in_log_order(
            event
            for events in streams.values()
            for event in events
            if event.recorded > known_at and _tells_of_sales(event.fact)
        )


def _in_log_order(events: Iterable[Event]) -> tuple[UUID, ...]:
    return tuple(event.event_id for event in sorted(events, key=lambda it: it.position))


def _causing(moved: Collection[UUID], new: Sequence[Event]) -> Iterable[Event]:
    """Return which new events of a deal are behind movements, or took the facts behind back.

    Where none is, as when the deal turned out to be somebody else's, all that tell of sales.
    """
    behind = [
        event
        for event in new
        if event.event_id in moved
        or (isinstance(event.fact, FactRetracted) and event.fact.event_id in moved)
    ]
    return behind or [event for event in new if _tells_of_sales(event.fact)]


def _tells_of_sales(fact: Fact) -> bool:
    """Return whether a fact may change what was sold to whom, and whether that was first."""
    return fact.changes_summary or isinstance(fact, OF_SALES)


OF_SALES: Final = (
    *(CollaboratorJoined, CollaboratorLeft, FactRetracted),
    *(CustomerMerged, CustomerRegistered, CustomerUnmerged),
)


def _retractions_of(event_id: UUID, events: Iterable[Event]) -> Iterator[UUID]:
    for event in events:
        if isinstance(event.fact, FactRetracted) and event.fact.event_id == event_id:
            yield event.event_id

"""Statements that were issued, and how what they say differs from what is known by now.

A statement never changes. What its period comes to by now, less what it said and less what
later statements have settled of it, is the difference that the next one pays or takes back,
line by line, each with the events that made it. It is a module of its own as it reads no plan:
it compares lines.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.calendar import Days
from salesflow.domain.event import Event
from salesflow.domain.statement import (
    AgreedDifference,
    DifferenceLine,
    DifferenceReason,
    Statement,
    StatementFigures,
    StatementState,
)
from salesflow.domain.time import FOREVER, to_instant
from salesflow.projections.core.question import Reader
from salesflow.projections.core.replaying import believed, state_of
from salesflow.projections.folds.statement import STATEMENT
from salesflow.projections.incentives.commission_book import EarnedLine
from salesflow.projections.incentives.difference_causes import (
    NewFacts,
    PlanInputs,
    UnlikeLine,
    retractions_of,
)
from salesflow.projections.incentives.rep_plan import SalesAndPlan
from salesflow.projections.incentives.trials import Trials

__all__ = [
    "Difference",
    "IssuedStatement",
    "PaidByNow",
    "agreed_differences",
    "differences",
    "read_issued",
]

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
        taken_back = (*retractions_of(event_id, since),)
        causes = taken_back or tuple(event.event_id for event in since)
    if owed:
        yield Difference(first_day, event_id, deal, reason, causes, owed)


def _deal(statement: IssuedStatement, line: int | None) -> UUID | None:
    figures = statement.figures
    deals: dict[int, UUID | None] = {each.line: each.deal for each in figures.lines}
    deals |= {each.line: each.deal for each in figures.differences}
    deals |= {each.line: each.deal for each in statement.state.all_disputes if each.deal}
    return None if line is None else deals.get(line)


class PaidByNow(NamedTuple):
    """What the period of a statement comes to by now, and what that follows from."""

    lines: Sequence[EarnedLine]
    guaranteed: Decimal
    """What the guarantee adds."""
    inputs: PlanInputs
    """What the plan looks at."""
    without: SalesAndPlan
    """What it would come to without some events."""


def differences(
    reader: Reader,
    statement: IssuedStatement,
    issued: Sequence[IssuedStatement],
    paid: PaidByNow,
) -> list[Difference]:
    """Return what of a statement differs from what its period comes to by now.

    What other statements have settled of it is no difference any more. They come in the order
    of what is known now, then what is no longer believed. What the guarantee adds by now
    differs as a line does, under the event of the statement itself.
    """
    amounts, deals = _unlike(statement, issued, paid.lines, paid.guaranteed)
    if not amounts:
        return []
    settled = _settled_with(statement, issued)
    unlike = _unlike_lines(statement, paid.lines, amounts, deals, settled)
    new = NewFacts(reader, statement.figures, unlike, paid.inputs)
    causes = new.causes(Trials(_trial(statement, paid, new), paid.without.steps))
    return [
        Difference(
            first_day=statement.figures.first_day,
            event_id=line.event_id,
            deal=line.deal,
            reason=new.reason(line),
            causes=causes[line.event_id],
            amount=amounts[line.event_id],
        )
        for line in unlike
    ]


def _trial(
    statement: IssuedStatement, paid: PaidByNow, new: NewFacts
) -> Callable[[frozenset[UUID]], Mapping[UUID, Decimal]]:
    """Return what says what lines come to without some events."""
    period = Days(statement.figures.first_day, statement.figures.last_day)

    def without(left_out: frozenset[UUID]) -> Mapping[UUID, Decimal]:
        about = (new.streams, period, statement.event_id)
        return paid.without.amounts_without(left_out, *about)

    return without


def _unlike(
    statement: IssuedStatement,
    issued: Sequence[IssuedStatement],
    known_now: Iterable[EarnedLine],
    guaranteed: Decimal,
) -> tuple[dict[UUID, Decimal], dict[UUID, UUID]]:
    """Return by how much each event is paid otherwise by now, and the deals."""
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
    return unlike, others | deals | more


def _unlike_lines(
    statement: IssuedStatement,
    known_now: Iterable[EarnedLine],
    amounts: Mapping[UUID, Decimal],
    deals: Mapping[UUID, UUID],
    settled: Mapping[UUID, IssuedStatement],
) -> list[UnlikeLine]:
    """Return the lines that differ, by the events they rest on."""
    now = {line.event_id: line.at for line in known_now}
    times = {it.event_id: to_instant(it.occurred_at) for it in statement.figures.lines}
    return [
        UnlikeLine(
            event_id=each,
            deal=deals.get(each),
            at=now.get(each, times.get(each, FOREVER)),
            is_known_now=each in now or each not in deals,
            difference=amount,
            settled_at=None if by is None else to_instant(by.figures.known_at),
            settled_by=None if by is None else by.event_id,
        )
        for each, amount in amounts.items()
        for by in (settled.get(each),)
    ]


def _settled_with(
    statement: IssuedStatement, issued: Iterable[IssuedStatement]
) -> dict[UUID, IssuedStatement]:
    """Return with which statement each line of one was last paid in difference."""
    return {
        line.event_id: each
        for each in issued
        for line in each.figures.differences
        if line.first_day == statement.figures.first_day
    }


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

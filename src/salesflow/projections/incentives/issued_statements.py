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

from salesflow.domain.event import Event, FactRetracted, retracted_ids
from salesflow.domain.exchange_rates import RATES_ID
from salesflow.domain.incentive_plan import plan_id
from salesflow.domain.rep import rep_id
from salesflow.domain.settings import SETTINGS_ID
from salesflow.domain.statement import (
    DifferenceReason,
    Statement,
    StatementFigures,
    StatementState,
)
from salesflow.domain.time import to_instant
from salesflow.projections.core.question import Reader
from salesflow.projections.core.replaying import believed, state_of
from salesflow.projections.folds.statement import STATEMENT
from salesflow.projections.incentives.commission_book import EarnedLine

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
                IssuedStatement(opening.event_id, opening.occurred_at, state.figures, state)
            )
    return sorted(found, key=lambda each: each.figures.first_day)


def agreed_differences(issued: Sequence[IssuedStatement], before: date) -> list[Difference]:
    """Return what was agreed of statements before a day and no statement has paid yet."""
    settled = {
        line.event_id
        for each in issued
        for line in each.figures.differences
        if line.reason not in FIGURED
    }
    return [
        Difference(
            each.figures.first_day, agreed.event_id, _deal(each, agreed.line), agreed.reason,
            agreed.causes, agreed.amount,
        )
        for each in issued
        if each.figures.first_day < before
        for agreed in each.state.agreed
        if agreed.event_id not in settled
    ]  # fmt: skip


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
) -> list[Difference]:
    """Return what of a statement differs from the lines its period comes to by now.

    What other statements have settled of it is no difference any more. They come in the order
    of what is known now, then what is no longer believed.
    """
    now, deals = _sums((each.event_id, each.deal, each.amount) for each in known_now)
    said, more = _sums(
        (each.event_id, each.deal, each.amount) for each in statement.figures.lines
    )
    paid, settled = defaultdict(Decimal, said), _settled(statement.figures.first_day, issued)
    for event_id, amount in settled.items():
        paid[event_id] += amount
    deals |= more
    unlike = {
        event_id: amount
        for event_id in dict.fromkeys((*now, *said, *settled))
        if (amount := now.get(event_id, NOTHING) - paid.get(event_id, NOTHING))
    }
    told = _Since(reader, statement, {deals[each] for each in unlike if each in deals})
    reasons = {each: told.reason(each, deals.get(each), each in now) for each in unlike}
    own = {each: told.causes(each, deals.get(each), reasons[each]) for each in unlike}
    others = tuple(dict.fromkeys(cause for each in own.values() for cause in each))
    return [
        Difference(
            first_day=statement.figures.first_day,
            event_id=event_id,
            deal=deals.get(event_id),
            reason=reasons[event_id],
            causes=own[event_id] or others,
            amount=amount,
        )
        for event_id, amount in unlike.items()
    ]


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


def _settled(first_day: date, issued: Iterable[IssuedStatement]) -> Mapping[UUID, Decimal]:
    settled: dict[UUID, Decimal] = defaultdict(Decimal)
    for each in issued:
        for line in each.figures.differences:
            if line.first_day == first_day and line.reason in FIGURED:
                settled[line.event_id] += line.amount
    return settled


class _Since:
    """What became known since a statement was figured, that may have made a difference."""

    def __init__(
        self, reader: Reader, statement: IssuedStatement, deals: Collection[UUID]
    ) -> None:
        figures = statement.figures
        known_at = to_instant(figures.known_at)
        beside = (plan_id(figures.plan), rep_id(figures.rep), RATES_ID, SETTINGS_ID)
        streams = reader.streams({*deals, *beside}) if deals else {}
        self._new = {
            stream: [event for event in events if event.recorded > known_at]
            for stream, events in streams.items()
        }
        self._retracted = {out for events in streams.values() for out in retracted_ids(events)}
        self._known = {event.event_id for events in self._new.values() for event in events}
        self._beside = [event for stream in beside for event in self._new.get(stream, ())]

    def reason(self, event_id: UUID, deal: UUID | None, is_known_now: bool) -> DifferenceReason:
        """Say why a line differs."""
        del deal
        if event_id in self._known:
            return "late"
        if not is_known_now and event_id in self._retracted:
            return "retracted"
        return "changed"

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


def _retractions_of(event_id: UUID, events: Iterable[Event]) -> Iterator[UUID]:
    for event in events:
        if isinstance(event.fact, FactRetracted) and event.fact.event_id == event_id:
            yield event.event_id

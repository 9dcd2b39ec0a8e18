"""The deals a retrospective names: those that slipped out of the period, those that stalled.

What slippage and stalling are is said by the questions about them (`Forecast`, `StageTimes`);
here the deals behind the figures are listed, those of a part of sales alone.
"""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

import numpy as np

from salesflow.domain.values import Currency, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Total, totals
from salesflow.projections.core.amounts import Amounts
from salesflow.projections.core.column_groups import foremost
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.forecast.forecast import end_of
from salesflow.projections.forecast.forecast_figures import SlippageLine, slippage_lines
from salesflow.projections.forecast.forecast_reading import (
    ForecastPoint,
    SlippedRow,
    read_outcomes,
    read_slipped,
)
from salesflow.projections.metrics.visits import (
    StageNames,
    StageVisit,
    Steps,
)
from salesflow.projections.review.review_scope import ReviewScope
from salesflow.projections.scope import stage_name, unnamed_last
from salesflow.projections.stages.stage_time_figures import (
    Stalled,
    describe_stalled,
    read_stalled,
)

__all__ = [
    "DealSlipped",
    "DealStalled",
    "StalledDeals",
    "slippage_of",
    "slipped_deals",
    "stalled_deals",
]


Order = tuple[bool, str, Decimal | int, UUID]


class DealSlipped(Value):
    """A deal open at the period's start and expected in it that did not close in it."""

    deal: Annotated[UUID, FieldRole.KEY]
    owner: Reference | None
    """At the period's start; so are amount and the date expected."""
    amount: Decimal | None
    currency: Currency | None
    expected_close: date
    expected_after: date | None
    """The date at the period's end, or at the moment; None where it was taken away."""
    slipped: Literal["moved", "overdue"]
    process: Reference
    stage: Reference
    """Where it stood at the period's end."""
    stage_en: SafeText
    stage_zh: SafeText
    outcome: Reference | None
    """What has become of it by the moment."""


class DealStalled(Value):
    """A deal that stood in its stage for too long at the period's end, or at the moment."""

    deal: Annotated[UUID, FieldRole.KEY]
    owner: Reference | None
    amount: Decimal | None
    currency: Currency | None
    expected_close: date | None
    process: Reference
    stage: Reference
    stage_en: SafeText
    stage_zh: SafeText
    entered_at: datetime
    days: Decimal
    days_max: int


def slippage_of(span: Span, part: ReviewScope, reader: Reader) -> list[SlippageLine]:
    """Return what became of the deals expected at a period's start, per currency."""
    point = _start(span, reader)
    if point is None:
        return []
    end, over = end_of(span, reader)
    fates = read_outcomes(reader, point, end, over, part.scope)
    mine = (
        row._replace(group=None)
        for row in fates
        if part.has_rep(row.group, point.read_point.as_of)
    )
    return list(slippage_lines(mine))


def slipped_deals(
    span: Span, part: ReviewScope, reader: Reader, limit: int
) -> tuple[list[DealSlipped], int]:
    """Name so many of the deals that slipped at most: per currency, the dearest first.

    Return also how many there are in all.
    """
    point = _start(span, reader)
    if point is None:
        return [], 0
    end, over = end_of(span, reader)
    rows = read_slipped(reader, point, end, over, part.scope)
    mine = [row for row in rows if part.has_rep(row.owner, point.read_point.as_of)]
    mine.sort(key=_order)
    return [_slipped(row, reader) for row in mine[:limit]], len(mine)


class StalledDeals(NamedTuple):
    """The deals that stalled by a period's end, or by the moment."""

    listed: tuple[DealStalled, ...]
    """Per currency, the dearest first; of more than were asked for, so many."""
    total: int
    amounts: tuple[Total, ...]


def stalled_deals(
    steps: Steps, span: Span, part: ReviewScope, reader: Reader, limit: int
) -> StalledDeals:
    """Find the deals that stalled by a period's end, and name so many at most."""
    steps = steps.until(span.closing(reader.read_point.as_of))
    stalled = read_stalled(steps, reader)
    stalled = stalled.chosen(np.flatnonzero(part.of_process(steps.rows)[stalled.steps]))
    at = np.full(len(stalled.steps), steps.as_of)
    stalled = stalled.chosen(np.flatnonzero(part.owned(stalled.deals, at)))
    amounts = Amounts.of(stalled.deals)
    currencies = amounts.currencies
    rank = [sorted(currencies, key=unnamed_last).index(each) for each in currencies]
    first = foremost(limit, np.array(rank, np.int64)[amounts.currency], -amounts.amount)
    listed = sorted(_listed(stalled.chosen(first), steps, reader), key=_order)
    [sums] = amounts.sums(np.zeros_like(amounts.currency), 1)
    worth = totals((currency, unscaled(its), Decimal(1)) for currency, its in sums.items())
    return StalledDeals(tuple(listed[:limit]), len(stalled.steps), worth)


def _start(span: Span, reader: Reader) -> ForecastPoint | None:
    """Cut the period's start; None where it lies ahead."""
    if span.opening > reader.read_point.as_of:
        return None
    return ForecastPoint(reader.read_point._replace(as_of=span.opening), span)


def _order(deal: SlippedRow | DealStalled) -> Order:
    return *unnamed_last(deal.currency), -(deal.amount or 0), deal.deal


def _slipped(row: SlippedRow, reader: Reader) -> DealSlipped:
    place = (row.stage, row.process, row.process_version)
    stage = stage_name(*place, reader.processes)
    return DealSlipped(
        deal=row.deal,
        owner=row.owner,
        amount=_amount(row.amount),
        currency=row.currency,
        expected_close=date.fromisoformat(row.expected),
        expected_after=_day(row.expected_after),
        slipped="overdue" if row.fate == "overdue" else "moved",
        process=row.process,
        stage=row.stage,
        stage_en=stage.name_en,
        stage_zh=stage.name_zh,
        outcome=row.outcome,
    )


def _listed(stalled: Stalled, steps: Steps, reader: Reader) -> Iterator[DealStalled]:
    def named(visit: StageVisit) -> StageNames:
        its = stage_name(visit.stage or "", visit.process, visit.version, reader.processes)
        return StageNames(its.name_en, its.name_zh)

    worth = map(stalled.deals.cells, ("amount", "currency", "expected_close"))
    found = describe_stalled(stalled, steps, named)
    for deal, amount, currency, expected in zip(found, *worth, strict=True):
        yield DealStalled(
            **dict(deal),
            amount=_amount(amount),
            currency=currency,
            expected_close=_day(expected),
        )


def _amount(millionths: int | None) -> Decimal | None:
    return None if millionths is None else unscaled(millionths)


def _day(written: str | None) -> date | None:
    return None if written is None else date.fromisoformat(written)

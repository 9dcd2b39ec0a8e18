"""The deals a retrospective names: those that slipped out of the period, those that stalled.

What slippage and stalling are is said by the questions about them (`Forecast`, `StageTimes`);
here the deals behind the figures are listed, those of a part of sales alone.
"""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from salesflow.domain.values import Currency, Reference, SafeText, Value, tidy
from salesflow.projections.amounts import exact
from salesflow.projections.forecast import end_of
from salesflow.projections.forecast_figures import SlippageLine, slippage_lines
from salesflow.projections.forecast_reading import (
    SlippedRow,
    Stand,
    read_fates,
    read_slipped,
)
from salesflow.projections.periods import Span
from salesflow.projections.questions import Reader
from salesflow.projections.records import Role
from salesflow.projections.retrospective_part import Part
from salesflow.projections.stage_names import stage_name
from salesflow.projections.stage_time_figures import stalled_deal
from salesflow.projections.stalled import StalledStanding, read_stalled
from salesflow.projections.visits import StageNames, Step, Way

__all__ = ["DealSlipped", "DealStalled", "slippage_of", "slipped_deals", "stalled_deals"]

Order = tuple[bool, str, Decimal, UUID]


class DealSlipped(Value):
    """A deal open at the period's start and expected in it that did not close in it."""

    deal: Annotated[UUID, Role.KEY]
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

    deal: Annotated[UUID, Role.KEY]
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


def slippage_of(span: Span, part: Part, reader: Reader) -> list[SlippageLine]:
    """Say what became of the deals expected at a period's start, per currency."""
    stand = _start(span, reader)
    if stand is None:
        return []
    end, over = end_of(span, reader)
    fates = read_fates(reader, stand, end, over, part.scope)
    mine = (
        row._replace(group=None) for row in fates if part.has_rep(row.group, stand.cut.as_of)
    )
    return list(slippage_lines(mine))


def slipped_deals(span: Span, part: Part, reader: Reader) -> list[DealSlipped]:
    """Name the deals that slipped: per currency, the dearest first."""
    stand = _start(span, reader)
    if stand is None:
        return []
    end, over = end_of(span, reader)
    rows = read_slipped(reader, stand, end, over, part.scope)
    mine = (row for row in rows if part.has_rep(row.owner, stand.cut.as_of))
    return sorted((_slipped(row, reader) for row in mine), key=_order)


def stalled_deals(
    ways: Iterable[Way], span: Span, part: Part, reader: Reader
) -> list[DealStalled]:
    """Name the deals that stalled by a period's end: per currency, the dearest first."""
    at = span.closing(reader.cut.as_of)
    by_then = ([step for step in way if step.at <= at] for way in ways)
    found = read_stalled([way for way in by_then if way], reader, at)
    mine = [
        _stalled(step, standing, at, reader)
        for step, standing in found
        if part.has(step.owner, step.process, at)
    ]
    return sorted(mine, key=_order)


def _start(span: Span, reader: Reader) -> Stand | None:
    """Cut the period's start; None where it lies ahead."""
    if span.opening > reader.cut.as_of:
        return None
    return Stand(reader.cut._replace(as_of=span.opening), span)


def _order(deal: DealSlipped | DealStalled) -> Order:
    return deal.currency is None, deal.currency or "", -(deal.amount or Decimal(0)), deal.deal


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


def _stalled(step: Step, standing: StalledStanding, at: int, reader: Reader) -> DealStalled:
    name = stage_name(step.stage or "", step.process, step.version, reader.processes)
    names = StageNames(name.name_en, name.name_zh)
    found = stalled_deal(step, names, at, standing.days_max)
    return DealStalled(
        **dict(found),
        amount=_amount(standing.amount),
        currency=standing.currency,
        expected_close=_day(standing.expected_close),
    )


def _amount(millionths: int | None) -> Decimal | None:
    return None if millionths is None else tidy(exact(None, millionths))


def _day(written: str | None) -> date | None:
    return None if written is None else date.fromisoformat(written)

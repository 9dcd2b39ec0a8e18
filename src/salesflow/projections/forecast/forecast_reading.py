"""What a forecast is worked out from, read in one statement each, whatever is asked.

A `ForecastPoint` is a moment at which a forecast of a period is made; those of several points
are read together. Sums are made by the database, exactly. Leaves out what the sums mean: that
is `forecast_figures`.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.process import WIN_RATE
from salesflow.domain.time import Instant
from salesflow.projections.core.currency import exact, exact_sum
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.folds.booking import BOOKING
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.table import ReadPoint

__all__ = [
    "ChangeRow",
    "ClosedRow",
    "ForecastPoint",
    "KnowledgeOf",
    "OpenRow",
    "OutcomeRow",
    "PastForecastKey",
    "Scope",
    "SlippedRow",
    "When",
    "WonRow",
    "read_changes",
    "read_closed",
    "read_open",
    "read_outcomes",
    "read_slipped",
    "read_won",
]


Column: TypeAlias = "sa.ColumnElement[Any]"
When = Literal["start", "middle"]
"""At which point of its period a forecast was made."""
KnowledgeOf = Literal["then", "moment"]
"""Whether from what was known when it was made, or from what is known at the moment."""
SLIPPED: Final = ("moved", "overdue")


class ForecastPoint(NamedTuple):
    """Where a forecast stands: the moment at which it is made, and the period it is of."""

    read_point: ReadPoint
    span: Span


class PastForecastKey(NamedTuple):
    """A forecast of an earlier period, and the point that tells what came of it, by number."""

    point: int
    actual: int
    made: When
    known: KnowledgeOf


class Scope(NamedTuple):
    """Which deals are asked about, and by what they are grouped."""

    by: Literal["owner", "process"] | None
    process: str | None
    owner: str | None

    def group(self, owner: Column, process: Column) -> Column:
        """Return the column that groups, of those that hold the owner and the process."""
        column = {None: sa.cast(sa.null(), sa.Text), "owner": owner, "process": process}
        return column[self.by].label("group")

    def holds(self, owner: Column, process: Column) -> Column:
        """Return which rows are asked about."""
        return sa.and_(
            sa.true() if self.owner is None else owner == self.owner,
            sa.true() if self.process is None else process == self.process,
        )


class OpenRow(NamedTuple):
    """Open deals expected to close in the period of a forecast point."""

    point: int
    group: str | None
    currency: str | None
    category: str
    probability: int
    deals: int
    whole: int | None
    millionths: int | None

    @property
    def amount(self) -> Decimal:
        """The sum of their amounts."""
        return exact(self.whole, self.millionths)


class WonRow(NamedTuple):
    """Bookings in the period of a forecast point, of one share in whole millionths."""

    point: int
    group: str | None
    currency: str
    share: int
    whole: int | None
    millionths: int | None

    @property
    def amount(self) -> Decimal:
        """The sum of the whole bookings."""
        return exact(self.whole, self.millionths)


class ClosedRow(NamedTuple):
    """Deals that closed, won or lost."""

    group: str | None
    currency: str
    outcome: str
    whole: int | None
    millionths: int | None

    @property
    def amount(self) -> Decimal:
        """The sum of their amounts."""
        return exact(self.whole, self.millionths)


class OutcomeRow(NamedTuple):
    """Deals open and expected at the start of the period, by what became of them."""

    group: str | None
    currency: str | None
    fate: str
    deals: int
    whole: int | None
    millionths: int | None

    @property
    def amount(self) -> Decimal:
        """The sum of their amounts at the start."""
        return exact(self.whole, self.millionths)


class SlippedRow(NamedTuple):
    """A deal expected at the start that slipped: what it was then, and what it is now."""

    deal: UUID
    owner: str | None
    currency: str | None
    amount: int | None
    expected: str
    fate: str
    process: str
    process_version: int
    stage: str
    expected_after: str | None
    outcome: str | None


class ChangeRow(NamedTuple):
    """How often closing dates or amounts were changed, and of how many deals."""

    group: str | None
    currency: str | None
    kind: str
    times: int
    deals: int
    deals_again: int


def read_open(
    reader: Reader, points: Sequence[ForecastPoint], scope: Scope
) -> Iterator[OpenRow]:
    """Sum up the open deals expected to close in the period of each forecast point."""
    c = DEAL_STATE.c
    selects = [
        _select(
            number,
            scope.group(c.owner, c.process),
            *(c.currency, c.forecast_category, c.probability, sa.func.count().label("deals")),
            *_summed(c.amount),
        )
        .where(_expected(point), scope.holds(c.owner, c.process))
        .group_by(*_ordinals(2, 5))
        for number, point in enumerate(points)
    ]
    return map(OpenRow._make, reader.rows(_all_of(selects)))


def read_won(reader: Reader, points: Sequence[ForecastPoint], scope: Scope) -> Iterator[WonRow]:
    """Sum up what was booked in the period of each forecast point."""
    c = BOOKING.c
    selects = [
        _select(
            number,
            scope.group(c.person, c.process),
            *(c.currency, c.share),
            *_summed(c.sign * c.amount),
        )
        .where(
            BOOKING.posted_by(point.read_point),
            c.currency.is_not(None),
            *(c.occurred >= point.span.start, c.occurred < point.span.end),
            scope.holds(c.person, c.process),
        )
        .group_by(*_ordinals(2, 4))
        for number, point in enumerate(points)
    ]
    return map(WonRow._make, reader.rows(_all_of(selects)))


def read_closed(reader: Reader, since: Instant, scope: Scope) -> Iterator[ClosedRow]:
    """Sum up the deals that stand won or lost at the moment and closed since an instant."""
    c = CLOSING.c
    shown: list[Column] = [scope.group(c.owner, c.process), c.currency, c.outcome]
    select = (
        sa.select(*shown, *_summed(c.amount))
        .where(
            CLOSING.visible_at(reader.read_point),
            *(c.closed >= since, c.outcome.in_([*WIN_RATE]), c.currency.is_not(None)),
            scope.holds(c.owner, c.process),
        )
        .group_by(*_ordinals(1, 3))
    )
    return map(ClosedRow._make, reader.rows(select))


def read_outcomes(
    reader: Reader, start: ForecastPoint, end: ReadPoint, past: date, scope: Scope
) -> Iterator[OutcomeRow]:
    """Return what became of the deals expected by a forecast; days up to `past` are over."""
    then, now = _at_start(start, scope), _at_end(end)
    outcome = _slippage_outcome(now, start.span, past)
    select = (
        sa.select(
            *(then.c.group, then.c.currency, outcome.label("fate"), sa.func.count()),
            *_summed(then.c.amount),
        )
        .select_from(then.outerjoin(now, then.c.entity_id == now.c.entity_id))
        .group_by(*_ordinals(1, 3))
    )
    return map(OutcomeRow._make, reader.rows(select))


def read_slipped(
    reader: Reader, start: ForecastPoint, end: ReadPoint, past: date, scope: Scope
) -> Iterator[SlippedRow]:
    """Name the deals expected by a forecast that slipped by the end; also how they are now."""
    then, now, c = _at_start(start, scope), _at_end(end), DEAL_STATE.c
    today = (
        sa.select(c.entity_id, c.outcome)
        .where(DEAL_STATE.visible_at(reader.read_point))
        .subquery("today")
    )
    slippage = _slippage_outcome(now, start.span, past)
    shown: list[Column] = [
        *(then.c.entity_id, then.c.owner, then.c.currency, then.c.amount),
        *(then.c.expected_close, slippage, now.c.process, now.c.process_version, now.c.stage),
        *(now.c.expected_close.label("expected_after"), today.c.outcome),
    ]
    select = (
        sa.select(*shown)
        .select_from(
            then.join(now, then.c.entity_id == now.c.entity_id).outerjoin(
                today, then.c.entity_id == today.c.entity_id
            )
        )
        .where(slippage.in_(SLIPPED))
    )
    return map(SlippedRow._make, reader.rows(select))


def _at_start(start: ForecastPoint, scope: Scope) -> sa.Subquery:
    """Select the deals expected at a forecast point as they were then."""
    c = DEAL_STATE.c
    shown: list[Column] = [
        *(c.entity_id, scope.group(c.owner, c.process), c.owner, c.currency, c.amount),
        c.expected_close,
    ]
    return (
        sa.select(*shown)
        .where(_expected(start), scope.holds(c.owner, c.process))
        .subquery("at_start")
    )


def _at_end(end: ReadPoint) -> sa.Subquery:
    """Select how deals stand at a cut."""
    c = DEAL_STATE.c
    shown: list[Column] = [
        *(c.entity_id, c.outcome, c.expected_close, c.process, c.process_version, c.stage)
    ]
    return sa.select(*shown).where(DEAL_STATE.visible_at(end)).subquery("at_end")


def _slippage_outcome(now: sa.Subquery, span: Span, past: date) -> Column:
    """Return what became of a deal that was expected in a period."""
    close = now.c.expected_close
    return sa.case(
        (now.c.outcome == "won", "won"),
        (sa.or_(now.c.outcome.is_(None), now.c.outcome != "open"), "otherwise"),
        (close <= past.isoformat(), "overdue"),
        (sa.or_(close.is_(None), close > span.last.isoformat()), "moved"),
        else_="pending",
    )


def read_changes(reader: Reader, span: Span, scope: Scope) -> Iterator[ChangeRow]:
    """Count the changes of closing dates and amounts of open deals in the period.

    An amount that is the first one, that is taken away, that changes its currency, or that is
    signed when the deal is won, is no change of a forecast up or down. Everything counts in the
    currency that the deal had before the fact, also where that changed it at once.
    """
    c = PIPELINE.c
    during = sa.and_(
        PIPELINE.posted_by(reader.read_point), c.occurred >= span.start, c.occurred < span.end
    )
    times, switched = sa.func.sum(c.sign), _currencies_left(during)
    left = sa.case(
        (switched.c.event_id.is_not(None), switched.c.currency), else_=c.left_currency
    )
    each = (
        sa.select(
            c.entity_id,
            scope.group(c.left_owner, c.left_process),
            *(left.label("left_currency"), c.kind, times.label("times")),
        )
        .outerjoin_from(PIPELINE.table, switched, switched.c.event_id == c.event_id)
        .where(
            during,
            *(c.left_outcome == "open", c.kind.in_(("pushed", "increased", "decreased"))),
            sa.or_(
                c.kind == "pushed",
                _is_forecast_of_amount(during),
            ),
            scope.holds(c.left_owner, c.left_process),
        )
        .group_by(*_ordinals(1, 4))
        .having(times > 0)
    ).subquery("each")
    again = sa.case((each.c.times > 1, 1), else_=0)
    select = sa.select(
        *(each.c.group, each.c.left_currency, each.c.kind),
        *(_integer(sa.func.sum(each.c.times)), sa.func.count(), _integer(sa.func.sum(again))),
    ).group_by(*_ordinals(1, 3))
    return map(ChangeRow._make, reader.rows(select))


def _currencies_left(during: Column) -> sa.Subquery:
    """Return the facts that changed the currency of a deal, with the one it had before."""
    c = PIPELINE.c
    return (
        sa.select(c.event_id, c.left_currency.label("currency"))
        .where(during, c.left_currency.is_distinct_from(c.entered_currency))
        .group_by(*_ordinals(1, 2))
        .having(sa.func.sum(c.sign) > 0)
        .subquery("switched")
    )


def _is_forecast_of_amount(during: Column) -> Column:
    """Return which movements of amounts keep their currency and come with no win."""
    c = PIPELINE.c
    apart = (
        sa.select(c.event_id)
        .where(during, c.kind.in_(("won", "redenominated")))
        .group_by(c.event_id)
        .having(sa.func.sum(c.sign) > 0)
    )
    return sa.and_(c.left_currency == c.entered_currency, c.event_id.not_in(apart))


def _expected(point: ForecastPoint) -> Column:
    """Return which deals are open at a forecast point and expected to close in its period."""
    c, span = DEAL_STATE.c, point.span
    return sa.and_(
        DEAL_STATE.visible_at(point.read_point),
        c.outcome == "open",
        c.expected_close >= span.first.isoformat(),
        c.expected_close <= span.last.isoformat(),
    )


def _summed(column: Column) -> tuple[Column, Column]:
    whole, millionths = exact_sum(column)
    return whole.label("whole"), millionths.label("millionths")


def _integer(column: Column) -> Column:
    return sa.cast(column, sa.BigInteger)


def _ordinals(first: int, last: int) -> list[Column]:
    """Name columns by their place, which also works for one that is always null."""
    return [sa.literal_column(str(number)) for number in range(first, last + 1)]


def _select(number: int, *shown: Column) -> sa.Select[Any]:
    """Begin the select of one point, told from the others by its number."""
    columns: list[Column] = [sa.literal_column(str(number), sa.Integer).label("point"), *shown]
    return sa.select(*columns)


def _all_of(selects: Sequence[sa.Select[Any]]) -> sa.Select[Any]:
    return sa.select(sa.union_all(*selects).subquery("every"))

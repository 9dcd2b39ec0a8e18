"""What was forecast of a period while it lay ahead, beside what was sold in it.

A row for each measure, so that forecasts that people submit stand beside the others once they
are kept. Forecasts and accuracy are those of the question `Forecast`.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Annotated, Final, Literal

from salesflow.domain.values import EXACT_DIGITS, Currency, Value
from salesflow.presentation.fields import FieldRole
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.forecast.forecast import forecasts_of
from salesflow.projections.forecast.forecast_figures import (
    PastForecast,
    past_forecasts,
    sums_of,
)
from salesflow.projections.forecast.forecast_reading import (
    ForecastPoint,
    When,
    WonRow,
    read_open,
)
from salesflow.projections.metrics.kpi_rows import Booked, read_booked
from salesflow.projections.review.review_scope import ReviewScope

__all__ = [
    "ForecastJudged",
    "Measure",
    "judged_forecasts",
]


Measure = Literal["weighted", "commit", "best_case"]
MEASURES: Final[tuple[Measure, ...]] = ("weighted", "commit", "best_case")


class ForecastJudged(Value):
    """One measure of a forecast of the period, and what was sold in it by the moment."""

    currency: Annotated[Currency, FieldRole.KEY]
    made: Annotated[When, FieldRole.KEY]
    """At the period's start, or in its middle."""
    measure: Annotated[Measure, FieldRole.KEY]
    made_at: datetime
    deals: int
    """Open deals that were expected in the period then."""
    forecast: Decimal
    actual: Decimal
    difference: Decimal
    """actual − forecast"""
    accuracy: Decimal | None
    """None until the period is over, and where nothing was sold in it."""


def judged_forecasts(span: Span, part: ReviewScope, reader: Reader) -> Iterator[ForecastJudged]:
    """Judge the forecasts made at the start and in the middle, from what is known now."""
    points: list[ForecastPoint] = []
    made = list(forecasts_of(span, reader, points, ("moment",)))
    opened = [
        row._replace(group=None)
        for row in read_open(reader, points, part.scope)
        if part.has_rep(row.group, points[row.point].read_point.as_of)
    ]
    booked = [
        row
        for row in read_booked(reader, span.start, span.end)
        if part.has(row.person, row.process, row.credited)
    ]
    sums = sums_of(opened, _won(booked, points))
    for past in past_forecasts(made, points, sums):
        if past.deals or past.actual or any(_forecasts(past)):
            yield from _judged(past)


def _won(booked: Iterable[Booked], points: Sequence[ForecastPoint]) -> Iterator[WonRow]:
    """Yield to each stand what was booked in the period by then."""
    for row in booked:
        for number, point in enumerate(points):
            if row.occurred <= point.read_point.as_of and row.currency is not None:
                amount = row.sign * (row.amount or 0)
                yield WonRow(number, None, row.currency, row.share, amount)


def _forecasts(past: PastForecast) -> list[Decimal]:
    return [getattr(past, f"forecast_{measure}") for measure in MEASURES]


def _judged(past: PastForecast) -> Iterator[ForecastJudged]:
    for measure, forecast in zip(MEASURES, _forecasts(past), strict=True):
        with localcontext(prec=EXACT_DIGITS):
            difference = past.actual - forecast
        yield ForecastJudged(
            currency=past.currency,
            made=past.made,
            measure=measure,
            made_at=past.made_at,
            deals=past.deals,
            forecast=forecast,
            actual=past.actual,
            difference=difference,
            accuracy=getattr(past, f"accuracy_{measure}"),
        )

"""What a forecast is worked out from, in one currency.

Open deals and bookings are converted at the end of their stand's period, or at the stand's own
moment where that comes first: a forecast made earlier takes the rate of the day it was made on,
what came of it that of the period's end. All rates are those known at the question's moment.
Leaves out changes of forecasts, which are counted and not summed.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from salesflow.domain.moments import Instant
from salesflow.projections.forecast_reading import ClosedRow, FateRow, OpenRow, WonRow
from salesflow.projections.one_currency import Exchange, Into

__all__ = ["in_one_currency", "sums_in_one_currency"]

DealsT = TypeVar("DealsT", OpenRow, FateRow)
SumsT = TypeVar("SumsT", WonRow, ClosedRow)


def in_one_currency(
    rows: Iterable[DealsT], exchange: Exchange, end: Callable[[DealsT], Instant]
) -> Iterator[DealsT]:
    """Convert what deals are worth; those without a rate stay, without an amount."""
    for row in rows:
        into = _into(exchange, row.currency, end(row), row.deals)
        whole, millionths = into.summed(row.whole, row.millionths)
        yield row._replace(currency=into.currency, whole=whole, millionths=millionths)


def sums_in_one_currency(
    rows: Iterable[SumsT], exchange: Exchange, end: Callable[[SumsT], Instant]
) -> Iterator[SumsT]:
    """Convert sums of money; those without a rate are left out."""
    for row in rows:
        into = _into(exchange, row.currency, end(row), 1)
        if into.currency is not None:
            whole, millionths = into.summed(row.whole, row.millionths)
            yield row._replace(currency=into.currency, whole=whole, millionths=millionths)


def _into(exchange: Exchange, currency: str | None, end: Instant, times: int) -> Into:
    return exchange.into(currency, exchange.day(end, event=None, closing=None), times=times)

"""How the figures of people are written: as the unit of their metric asks for.

It is a module of its own, since every question about people writes figures of any metric.
"""

from decimal import Decimal

from salesflow.domain.metric import MetricUnit
from salesflow.presentation.format import NO_VALUE, Interval, money_text

__all__ = ["figure_text", "interval_text"]


def figure_text(
    value: Decimal | None,
    unit: MetricUnit | None,
    currency: str | None = None,
    *,
    signed: bool = False,
) -> str:
    """Write a figure, a change with its sign: shares in per cent, amounts with currency."""
    if value is None:
        return NO_VALUE
    sign = "+" if signed and value > 0 else ""
    match unit:
        case "share":
            return f"{sign}{value * 100:z.1f}%"
        case "money":
            return f"{sign}{money_text(value, currency)}" if currency else f"{sign}{value:,}"
        case "count" if value == value.to_integral_value():
            return f"{sign}{value:,.0f}"
        case "days":
            return f"{sign}{value:z,.1f} d"
        case _:
            return f"{sign}{value:z,.2f}"


def interval_text(
    interval: Interval | None, unit: MetricUnit | None, currency: str | None = None
) -> str:
    """Write an interval from its lower to its upper limit; a dash where there is none."""
    if interval is None:
        return NO_VALUE
    low, high = (
        figure_text(limit, unit, currency, signed=True)
        for limit in (interval.low, interval.high)
    )
    return f"{low} … {high}"

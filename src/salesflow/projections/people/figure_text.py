"""How the figures of people are written: as the unit of their metric asks for.

It is a module of its own, since every question about people writes figures of any metric.
"""

from decimal import Decimal

from salesflow.domain.metric import MetricUnit
from salesflow.presentation.format import NO_VALUE, Interval, money_text, percent_text
from salesflow.presentation.messages import Language, in_language

__all__ = ["FigureText"]


class FigureText:
    """Writes figures of one unit: shares in per cent, their differences in points."""

    def __init__(
        self, unit: MetricUnit | None, language: Language, currency: str | None = None
    ) -> None:
        self._unit = unit
        self._language = language
        self._currency = currency

    def figure(self, value: Decimal | None) -> str:
        """Write a figure; a dash where it is undefined."""
        if value is None:
            return NO_VALUE
        return percent_text(value) if self._unit == "share" else self._number(value)

    def size(self, difference: Decimal | None) -> str:
        """Write how large a difference is, without a sign."""
        if difference is None:
            return NO_VALUE
        return self._size(abs(difference))

    def difference(self, value: Decimal | None) -> str:
        """Write a difference or a change with its sign."""
        if value is None:
            return NO_VALUE
        sign = "+" if value > 0 else "-" if value < 0 else ""
        return f"{sign}{self._size(abs(value))}"

    def interval(self, interval: Interval | None) -> str:
        """Write an interval of a difference, from its lower to its upper limit."""
        if interval is None:
            return NO_VALUE
        low = self.difference(interval.low)
        if self._unit == "share":  # the unit once, behind both
            low = low.rpartition(" ")[0]
        return f"{low} … {self.difference(interval.high)}"

    def _size(self, value: Decimal) -> str:
        if self._unit == "share":
            return f"{value * 100:,.1f} {in_language('points', self._language)}"
        return self._number(value)

    def _number(self, value: Decimal) -> str:
        match self._unit:
            case "money":
                return money_text(value, self._currency) if self._currency else f"{value:,}"
            case "count" if value == value.to_integral_value():
                return f"{value:,.0f}"
            case "days":
                return f"{value:z,.1f} d"
            case _:
                return f"{value:z,.2f}"

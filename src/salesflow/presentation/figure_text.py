"""How figures of any metric are written: as their unit asks for, the same in every answer."""

from decimal import Decimal

from salesflow.domain.values import tidy
from salesflow.presentation.format import (
    NO_VALUE,
    Estimate,
    Interval,
    given_percent,
    money_text,
    percent_text,
)
from salesflow.presentation.messages import Language, in_language

__all__ = ["FigureText"]


class FigureText:
    """Writes figures of one unit: shares in per cent, their differences in points.

    The unit of a figure that is reported from outside stands behind it as it was reported.
    """

    def __init__(
        self, unit: str | None, language: Language, currency: str | None = None
    ) -> None:
        self._unit = unit
        self._language = language
        self._currency = currency

    def figure(self, value: Decimal | None) -> str:
        """Write a figure; a dash where it is undefined."""
        if value is None:
            return NO_VALUE
        return percent_text(value) if self._unit == "share" else self._number(value)

    def beside_target(self, value: Decimal | None) -> str:
        """Write a target, or a figure beside one: a share to a tenth of a per cent."""
        if value is None or self._unit != "share":
            return self.figure(value)
        return given_percent(round(value, 3))

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

    def estimate(self, estimate: Estimate | None) -> tuple[str, str]:
        """Write an estimated difference, and its interval."""
        if estimate is None:
            return NO_VALUE, NO_VALUE
        return self.difference(estimate.value), self.interval(estimate.interval)

    def _size(self, value: Decimal) -> str:
        if self._unit == "share":
            return f"{value * 100:,.1f} {in_language('points', self._language)}"
        return self._number(value)

    def _number(self, value: Decimal) -> str:
        match self._unit:
            case "money" if self._currency:
                return money_text(value, self._currency)
            case "money" | None:
                return f"{tidy(round(value, 2)):,f}"
            case "count" if value == value.to_integral_value():
                return f"{value:,.0f}"
            case "count" | "number" | "share":
                return f"{value:z,.2f}"
            case "days":
                return f"{value:z,.1f} {in_language('d', self._language)}"
            case other:
                return f"{tidy(round(value, 2)):,f} {other}"

"""Lines: what is offered or agreed, how many, at which price."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from salesflow.domain.values import Money, Number, SafeText, Share, Value
from salesflow.errors import InputError

__all__ = ["QuoteLine", "checked", "total_of"]

MILLIONTH = Decimal("0.000001")
EXACT_DIGITS = 60
NOTHING_OFF = Decimal(0)


class QuoteLine(Value):
    """A product, how many of it, the price of one, and the discount as a part of one."""

    product: SafeText
    quantity: Number = Decimal(1)
    unit_price: Money
    discount: Share = NOTHING_OFF

    @property
    def total(self) -> Money:
        """Quantity x unit price x (1 - discount), rounded half even to a millionth."""
        with localcontext(prec=EXACT_DIGITS):
            exact = self.quantity * self.unit_price.amount * (1 - self.discount)
            amount = exact.quantize(MILLIONTH, ROUND_HALF_EVEN)
            whole = amount.to_integral_value()
            plain = whole if whole == amount else amount.normalize()
        return Money(plain, self.unit_price.currency)


def total_of(lines: Sequence[QuoteLine]) -> Money | None:
    """Add lines up; None when there are none or their currencies differ."""
    if len({line.unit_price.currency for line in lines}) != 1:
        return None
    first, *rest = (line.total for line in lines)
    return sum(rest, start=first)


def checked(lines: Sequence[QuoteLine]) -> tuple[QuoteLine, ...]:
    """Insist on lines that can be added up.

    Raises:
        InputError: when there is no line, or not one currency.
    """
    if not lines:
        raise InputError("name at least one line")
    currencies = sorted({line.unit_price.currency for line in lines})
    if len(currencies) > 1:
        raise InputError(f"the lines are in {' and '.join(currencies)}; they must share one")
    return tuple(lines)

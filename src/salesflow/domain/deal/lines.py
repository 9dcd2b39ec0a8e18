"""Lines: what is offered or agreed, how many, at which price."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Self

from pydantic import model_validator

from salesflow.domain.values import MOST, Money, Number, SafeText, Share, Value, tidy
from salesflow.errors import InputError

__all__ = ["QuoteLine", "checked", "total_of"]

MILLIONTH = Decimal("0.000001")
EXACT_DIGITS = 60
NOTHING_OFF = Decimal(0)


class QuoteLine(Value):
    """A product, how many of it, the price of one, and the discount as a part of one.

    Raises:
        InputError: also when the line is worth more than an amount can hold.
    """

    product: SafeText
    quantity: Number = Decimal(1)
    unit_price: Money
    discount: Share = NOTHING_OFF

    @model_validator(mode="after")
    def _check(self) -> Self:
        digits = self.quantity.adjusted() + self.unit_price.amount.adjusted() + 2
        if digits > MOST.adjusted() and abs(self.amount) > MOST:
            raise ValueError("a line cannot be worth that much")
        return self

    @property
    def amount(self) -> Decimal:
        """Quantity x unit price x (1 - discount), rounded half even to a millionth."""
        with localcontext(prec=EXACT_DIGITS):
            exact = self.quantity * self.unit_price.amount * (1 - self.discount)
            return exact.quantize(MILLIONTH, ROUND_HALF_EVEN)

    @property
    def total(self) -> Money:
        """What the line comes to, in its currency."""
        return Money(tidy(self.amount), self.unit_price.currency)


def total_of(lines: Sequence[QuoteLine]) -> Money | None:
    """Add lines up; None when there are none, currencies differ, or the sum has no room."""
    currencies = {line.unit_price.currency for line in lines}
    amount = sum([line.amount for line in lines], Decimal(0))
    if len(currencies) != 1 or abs(amount) > MOST:
        return None
    return Money(tidy(amount), currencies.pop())


def checked(lines: Sequence[QuoteLine]) -> tuple[QuoteLine, ...]:
    """Insist on lines that can be added up.

    Raises:
        InputError: when there is no line, or not one currency, or too great a sum.
    """
    if not lines:
        raise InputError("name at least one line")
    currencies = sorted({line.unit_price.currency for line in lines})
    if len(currencies) > 1:
        raise InputError(f"the lines are in {' and '.join(currencies)}; they must share one")
    if total_of(lines) is None:
        raise InputError("the lines add up to more than an amount can hold")
    return tuple(lines)

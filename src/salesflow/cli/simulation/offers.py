"""What is offered in a deal: products, quantities, prices in the customer's currency."""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random
from typing import Final

from salesflow.cli.simulation.world import PRODUCTS, RATES, Company, Product
from salesflow.domain.deal.quotes import QuoteLine
from salesflow.domain.values import Money

__all__ = ["Offer", "cny_per", "offer_for"]

MANY: Final = {"IOT-GATE": (4, 36), "CRM-TEAM": (1, 5), "WMS-PRO": (1, 2), "SVC-YEAR": (1, 3)}
"""Quantities of products that are not bought singly, for a customer of size one."""
THOUSAND = Decimal(1000)
MONTHS_A_QUARTER = 3


@dataclass(frozen=True)
class Offer:
    """A list of products at list price, and what it adds up to."""

    title: str
    lines: tuple[QuoteLine, ...]

    @property
    def total(self) -> Money:
        """The sum at list price."""
        first, *rest = (line.total for line in self.lines)
        return sum(rest, start=first)

    @property
    def budget(self) -> Money:
        """What such a customer sets aside: a round sum not far from the list price."""
        return _round(self.total, Decimal("1.05"))

    def rough(self, chance: Random) -> Money:
        """What a rep thinks it may be worth before knowing much."""
        return _round(self.total, Decimal(chance.randint(70, 130)) / 100)

    def at_discount(self, percent: int) -> tuple[QuoteLine, ...]:
        """Give the lines with so many percent off."""
        off = Decimal(percent) / 100
        return tuple(line.model_copy(update={"discount": off}) for line in self.lines)


def offer_for(company: Company, day: date, chance: Random) -> Offer:
    """Put an offer together for a customer."""
    products = chance.sample(PRODUCTS, chance.choices((1, 2, 3), (5, 4, 2))[0])
    rate = Decimal(1) if company.currency == "CNY" else cny_per(company.currency, day)
    lines = tuple(_line(product, company, rate, chance) for product in products)
    short = company.name.removesuffix("有限公司").removesuffix("股份")
    return Offer(f"{products[0].name.split(' / ')[0]} · {short}", lines)


def cny_per(currency: str, day: date) -> Decimal:
    """Give the invented rate of a day, straight between the starts of quarters."""
    month = (day.year - 2024) * 12 + day.month - 1
    quarter, rest = divmod(month, MONTHS_A_QUARTER)
    rates = RATES[currency]
    here = rates[min(quarter, len(rates) - 1)]
    there = rates[min(quarter + 1, len(rates) - 1)]
    return (here + (there - here) * rest / MONTHS_A_QUARTER).quantize(Decimal("0.0001"))


def _line(product: Product, company: Company, rate: Decimal, chance: Random) -> QuoteLine:
    low, high = MANY.get(product.key, (1, 1))
    quantity = max(1, round(chance.randint(low, high) * company.size))
    price = product.price / rate
    if high == 1:
        price *= Decimal(str(company.size))
    price = price.quantize(Decimal(10), ROUND_HALF_EVEN)
    return QuoteLine(
        product=product.key,
        quantity=Decimal(quantity),
        unit_price=Money(int(price), company.currency),
    )


def _round(money: Money, factor: Decimal) -> Money:
    amount = (money.amount * factor / THOUSAND).to_integral_value(ROUND_HALF_EVEN) * THOUSAND
    return Money(int(max(amount, THOUSAND)), money.currency)

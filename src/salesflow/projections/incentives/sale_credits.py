"""What counts of a sale for one rep: amounts that count from a day on, and what is left.

Pure. Of a credit some is taken back, and some may be restored; what an event changed of credits
is kept beside what they were before it. A module of its own: which event does what to them says
the commission book, and a credit knows nothing of accruals.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple
from uuid import UUID

from salesflow.domain.incentive_plan import PlanVersion, Spiff
from salesflow.domain.statement import LineExchange, LinePart, PartKind
from salesflow.domain.time import Instant
from salesflow.domain.values import tidy
from salesflow.projections.core.currency import unscaled
from salesflow.projections.incentives.accrual import cents
from salesflow.projections.table import AMOUNT_SCALE

__all__ = [
    "AccrualKey",
    "ChangedCredits",
    "CreditBefore",
    "CreditCut",
    "Sale",
    "SaleCredit",
    "SaleKey",
    "exchanges",
    "in_millionths",
    "spiffs_differing",
    "spiffs_for",
]

NOTHING: Final = Decimal(0)
RATE_PLACES: Final = 12


class SaleKey(NamedTuple):
    """Which sale of a deal: the win of an instant, or a repeat order."""

    deal: UUID
    at: Instant
    order: UUID | None
    """The event of the repeat order; None for a win."""


class Sale(NamedTuple):
    """A sale, as far as it is one rep's."""

    key: SaleKey
    share: Decimal
    """The rep's part of it, whatever others have the rest; nothing where it is not theirs."""
    team: str | None = None
    """In which team the rep was when it was sold."""
    is_new: bool = False
    """Whether it is the first sale ever to its customer."""
    products: Mapping[str, Fraction] = {}
    """Which part of it each product is."""


class AccrualKey(NamedTuple):
    """An accrual: the version that began it, and its first day."""

    version: int
    first_day: date


class SpiffShare(NamedTuple):
    """What a SPIFF pays for a credit, as long as some of it is left."""

    spiff: Spiff
    part: Fraction
    """Of the credit, that it is for."""
    has_bonus: bool


class SaleCredit:
    """An amount of a sale that counts from a day on, less what was taken back of it."""

    __slots__ = (
        "accrual",
        "currency",
        "day",
        "left",
        "rate",
        "rate_day",
        "sale",
        "spiffs",
        "version",
    )

    def __init__(self, sale: Sale, day: date, currency: str, left: Decimal) -> None:
        self.sale = sale
        self.day = day
        self.currency = currency
        self.left = left
        """So much of the whole sale, in its currency."""
        self.rate = Fraction(1)
        self.rate_day = day
        self.version: PlanVersion | None = None
        """None where no plan pays for it; it counts all the same for what comes later."""
        self.accrual: AccrualKey | None = None
        self.spiffs: tuple[SpiffShare, ...] = ()

    def worth(self) -> Decimal:
        """Return the rep's part of what is left, in the plan's currency, to millionths."""
        part = self.left * self.sale.share
        return part if self.rate == 1 else in_millionths(Fraction(part) * self.rate)

    def again(self, amount: Decimal, before: Sequence["SaleCredit"]) -> "SaleCredit":
        """Return a credit of so much that counts as this one did."""
        found = SaleCredit(self.sale, self.day, self.currency, amount)
        found.rate, found.rate_day = self.rate, self.rate_day
        found.version, found.accrual = self.version, self.accrual
        if self.version is not None:
            found.spiffs = tuple(spiffs_for(self.version, self.sale, self.day, before))
        return found

    def is_taken_back_on(self, day: date) -> bool:
        """Return whether it is taken back by what happens on a day."""
        terms = None if self.version is None else self.version.terms
        if terms is None or terms.clawback_days is None:
            return True
        return (day - self.day).days <= terms.clawback_days

    def spiff_parts(self) -> dict[tuple[str, PartKind], LinePart]:
        """Return what SPIFFs pay for what is left of it, exactly, by their keys."""
        found: dict[tuple[str, PartKind], LinePart] = {}
        for spiff, part, has_bonus in self.spiffs:
            if spiff.rate is not None:
                base = self.worth()
                base = base if part == 1 else in_millionths(Fraction(base) * part)
                found[spiff.key, "spiff_rate"] = LinePart(
                    kind="spiff_rate",
                    spiff=spiff.key,
                    base=tidy(base),
                    rate=spiff.rate,
                    amount=base * spiff.rate,
                )
            if has_bonus and spiff.bonus is not None:
                bonus = spiff.bonus * self.sale.share if self.left > 0 else NOTHING
                found[spiff.key, "spiff_bonus"] = LinePart(
                    kind="spiff_bonus", spiff=spiff.key, amount=bonus
                )
        return found


class CreditCut(NamedTuple):
    """What an amendment took back of a credit, in the currency of that."""

    credit: SaleCredit
    amount: Decimal


SpiffParts = Mapping[tuple[str, PartKind], LinePart]


class CreditBefore(NamedTuple):
    """A credit, and what was paid for it before an event changed it."""

    credit: SaleCredit
    version: PlanVersion
    left: Decimal
    worth: Decimal
    spiffs: SpiffParts


class ChangedCredits:
    """The credits that one event changed, as they were before it."""

    def __init__(self) -> None:
        self._before: dict[int, CreditBefore] = {}

    def begin(self, credit: SaleCredit, *, is_new: bool = False) -> None:
        """Note a credit before it is changed, once; one that no plan pays for is no matter."""
        if credit.version is None or id(credit) in self._before:
            return
        left, worth = (NOTHING, NOTHING) if is_new else (credit.left, credit.worth())
        spiffs: SpiffParts = {} if is_new else credit.spiff_parts()
        before = CreditBefore(credit, credit.version, left, worth, spiffs)
        self._before[id(credit)] = before

    def by_accrual(self) -> dict[AccrualKey, list[CreditBefore]]:
        """Return them by the accrual that they are of."""
        found: dict[AccrualKey, list[CreditBefore]] = defaultdict(list)
        for before in self._before.values():
            if before.credit.accrual is not None:
                found[before.credit.accrual].append(before)
        return found


def spiffs_for(
    version: PlanVersion, sale: Sale, day: date, before: Sequence[SaleCredit]
) -> Iterator[SpiffShare]:
    """Yield the SPIFFs that pay for a credit; a bonus is paid with one of a sale alone.

    That is the first of which something is left: what was taken back whole took its bonus
    along, and whatever is credited after that pays it again.
    """
    there = [credit for credit in before if credit.left > 0]
    paid = {each.spiff.key for credit in there for each in credit.spiffs if each.has_bonus}
    for spiff in version.terms.spiffs:
        part = Fraction(1) if spiff.product is None else sale.products.get(spiff.product)
        is_his = spiff.customers == "all" or sale.is_new
        if part and is_his and spiff.covers(day):
            yield SpiffShare(spiff, part, spiff.key not in paid)


def exchanges(credits: Iterable[CreditBefore]) -> Iterator[LineExchange]:
    """Yield what changed of credits in another currency than the plan's, by rate."""
    amounts: dict[tuple[str, Fraction, date, date], Decimal] = {}
    for each in credits:
        credit = each.credit
        if credit.currency != each.version.currency:
            key = credit.currency, credit.rate, credit.rate_day, credit.day
            more = (credit.left - each.left) * credit.sale.share
            amounts[key] = amounts.get(key, NOTHING) + more
    for (currency, rate, rate_day, day), amount in amounts.items():
        yield LineExchange(
            currency=currency,
            amount=tidy(amount),
            rate=tidy(round(Decimal(rate.numerator) / rate.denominator, RATE_PLACES)),
            rate_day=rate_day,
            credited_on=day,
        )


def spiffs_differing(before: CreditBefore, currency: str) -> tuple[Decimal, list[LinePart]]:
    """Return what SPIFFs pay otherwise for a credit, each rounded, and why."""
    more, parts, after = NOTHING, [], before.credit.spiff_parts()
    for key in sorted({*before.spiffs, *after}):
        was, now = before.spiffs.get(key), after.get(key)
        amounts = [NOTHING if part is None else part.amount for part in (was, now)]
        if amounts[0] == amounts[1]:
            continue
        more += cents(amounts[1], currency) - cents(amounts[0], currency)
        bases = [None if part is None else part.base for part in (was, now)]
        shown = now or was
        assert shown is not None, "one of both is there"
        base = None if shown.base is None else (bases[1] or NOTHING) - (bases[0] or NOTHING)
        amount = tidy(amounts[1] - amounts[0])
        parts.append(
            LinePart(
                kind=shown.kind, spiff=shown.spiff, base=base, rate=shown.rate, amount=amount
            )
        )
    return more, parts


def in_millionths(amount: Fraction) -> Decimal:
    """Round an exact amount to millionths, as tables hold it."""
    return unscaled(round(amount * AMOUNT_SCALE))

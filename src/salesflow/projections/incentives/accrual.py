"""What a plan pays for what has accrued: its bands, its cap, and the cents it is rounded to.

Pure: terms and accrued amounts in, parts and a total out. Lines and draws
go by it, and none of it needs a deal.

What is paid is a function of the amounts that accrued, and of nothing else: not of the order
in which sales came, nor of how they were shared. A line is the difference that one event makes
to it. The total of an accrual is rounded, half to even, to the smallest coin of the plan's
currency; so are SPIFFs, each by itself, and shares of a draw. That happens in `cents` and
nowhere else, and lines add up to the rounded total exactly.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final, NamedTuple

from salesflow.domain.currency_codes import smallest_coin
from salesflow.domain.incentive_plan import PlanTerms, PlanVersion
from salesflow.domain.statement import LinePart
from salesflow.domain.values import EXACT, tidy

__all__ = ["AccrualTotal", "PartKey", "accrual_total", "cents", "differing_parts"]

NOTHING: Final = Decimal(0)


def cents(amount: Decimal, currency: str) -> Decimal:
    """Round an amount half to even to the smallest coin of its currency."""
    return amount.quantize(smallest_coin(currency), ROUND_HALF_EVEN, EXACT)


class PartKey(NamedTuple):
    """What tells parts of a total apart: each is paid at one rate."""

    version: int
    is_cap: bool
    tier: int
    rate: Decimal
    factor: Decimal


class AccrualTotal(NamedTuple):
    """What is paid for an accrual, exact, and on what at which rate."""

    bases: Mapping[PartKey, Decimal]
    amounts: Mapping[PartKey, Decimal]
    exact: Decimal
    rounded: Decimal


def accrual_total(segments: Sequence[tuple[PlanVersion, Decimal]]) -> AccrualTotal:
    """Return what is paid for an accrual: what accrued under each version, in their order.

    Each version after the first goes on where the one before it stopped: it pays what its
    terms say of all, less what they say of what had accrued before.
    """
    with localcontext(EXACT):
        return _accrued(segments)


def _accrued(segments: Sequence[tuple[PlanVersion, Decimal]]) -> AccrualTotal:
    bases: dict[PartKey, Decimal] = {}
    amounts: dict[PartKey, Decimal] = {}
    reached = total = NOTHING
    for version, accrued in segments:
        until, gain = reached + accrued, NOTHING
        for sign, end in ((1, until), (-1, reached)):
            for key, base in _paid_on(version, end):
                amount = sign * base * key.rate * key.factor
                bases[key] = bases.get(key, NOTHING) + sign * base
                amounts[key] = amounts.get(key, NOTHING) + amount
                gain += amount
        cut = _above_cap(version.terms, total, gain)
        if cut:
            key = PartKey(version.version, True, 0, NOTHING, NOTHING)
            amounts[key] = -cut
        reached, total = until, total + gain - cut
    currency = segments[0][0].currency if segments else ""
    return AccrualTotal(bases, amounts, total, cents(total, currency))


def _above_cap(terms: PlanTerms, paid: Decimal, gain: Decimal) -> Decimal:
    """Return how much of a gain lies above the cap; what was paid before is kept."""
    if terms.cap is None:
        return NOTHING
    return gain - max(min(gain, terms.cap - paid), NOTHING)


def _paid_on(version: PlanVersion, accrued: Decimal) -> Iterator[tuple[PartKey, Decimal]]:
    """Yield on how much of what accrued each rate is paid."""
    if accrued <= 0:
        return
    for band in version.terms.bands:
        if band.starts_at > accrued:
            return
        is_last = band.ends_at is None or accrued < band.ends_at
        key = PartKey(version.version, False, band.tier, band.rate, band.factor)
        if version.terms.tiers_pay == "retroactive":
            if is_last:
                yield key, accrued
        else:
            end = accrued if band.ends_at is None else min(accrued, band.ends_at)
            if end > band.starts_at:
                yield key, end - band.starts_at


def differing_parts(before: AccrualTotal, after: AccrualTotal) -> Iterator[LinePart]:
    """Yield what one event changed of an accrual, rate by rate."""
    for key in sorted({*before.amounts, *after.amounts}):
        base = after.bases.get(key, NOTHING) - before.bases.get(key, NOTHING)
        amount = after.amounts.get(key, NOTHING) - before.amounts.get(key, NOTHING)
        if base or amount:
            yield _rated(key, base, amount)


def _rated(key: PartKey, base: Decimal, amount: Decimal) -> LinePart:
    if key.is_cap:
        return LinePart(kind="cap", amount=tidy(amount))
    return LinePart(
        kind="threshold" if key.tier < 0 else "tier" if key.tier else "rate",
        tier=key.tier if key.tier > 0 else None,
        base=tidy(base),
        rate=key.rate,
        factor=None if key.factor == 1 else key.factor,
        amount=tidy(amount),
    )

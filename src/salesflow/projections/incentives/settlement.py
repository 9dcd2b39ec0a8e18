"""What is paid out for a period: what was earned, and what a draw or a guarantee adds.

A guarantee adds what the sales of the period itself lack to it, for good; what is paid (or
taken back) of earlier statements, and what the period takes back of sales that were credited
in earlier ones, comes beside it, or it would swallow that. A draw adds what is missing to it as
an advance: later periods keep back what they earn above their draw until it is recovered.
Both are due for the days on which the plan was for the rep: a rep who joins or leaves in
mid-period is due that part. Pure; it is a module of its own as it needs no sale.
"""

from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from salesflow.domain.calendar import Days
from salesflow.domain.incentive_plan import PlanVersion
from salesflow.domain.time import ONE_DAY
from salesflow.projections.incentives.accrual import cents

__all__ = [
    "Due",
    "Earned",
    "Settlement",
    "days_of_versions",
    "due_of",
    "guaranteed_for",
    "settle",
]

NOTHING: Final = Decimal(0)


class Due(NamedTuple):
    """The draw and the guarantee of a period."""

    draw: Decimal = NOTHING
    guarantee: Decimal = NOTHING


class Earned(NamedTuple):
    """What was earned in a period."""

    of_period: Decimal = NOTHING
    """By what was credited in it."""
    of_earlier: Decimal = NOTHING
    """By what it takes back (or restores) of what was credited in earlier periods."""
    in_difference: Decimal = NOTHING
    """By what earlier statements would say otherwise."""

    @property
    def from_sales(self) -> Decimal:
        """What the lines of the period come to."""
        return self.of_period + self.of_earlier

    @property
    def in_all(self) -> Decimal:
        """All of it."""
        return self.from_sales + self.in_difference


class Settlement(NamedTuple):
    """What is paid out for a period."""

    earned: Decimal
    guaranteed: Decimal
    advanced: Decimal
    recovered: Decimal
    payable: Decimal
    draw_balance: Decimal


def due_of(period: Days, version_on: Callable[[date], PlanVersion | None]) -> Due:
    """Return the draw and the guarantee of a period, by the versions of its days."""
    versions, days = days_of_versions(period, version_on)
    return Due(
        _share(versions, days, lambda version: version.terms.draw),
        _share(versions, days, lambda version: version.terms.guarantee),
    )


def days_of_versions(
    period: Days, version_on: Callable[[date], PlanVersion | None]
) -> tuple[list[tuple[PlanVersion, int]], int]:
    """Return the versions of a period, each with the days it was for the rep; and all days."""
    days = (period.last - period.first).days + 1
    counts: dict[int, int] = {}
    versions: dict[int, PlanVersion] = {}
    for number in range(days):
        version = version_on(period.first + number * ONE_DAY)
        if version is not None:
            versions[version.version] = version
            counts[version.version] = counts.get(version.version, 0) + 1
    return [(version, counts[number]) for number, version in versions.items()], days


def _share(
    versions: Iterable[tuple[PlanVersion, int]],
    days: int,
    amount_of: Callable[[PlanVersion], Decimal | None],
) -> Decimal:
    total, currency = NOTHING, ""
    for version, count in versions:
        currency = version.currency
        total += (amount_of(version) or NOTHING) * count
    return cents(total / days, currency) if total else NOTHING


def guaranteed_for(earned: Earned, due: Due) -> Decimal:
    """Return what a guarantee adds to what was credited in its period."""
    return max(due.guarantee - earned.of_period, NOTHING) if due.guarantee else NOTHING


def settle(earned: Earned, due: Due, balance: Decimal) -> Settlement:
    """Return what is paid out for a period, with what is still to be recovered before it."""
    guaranteed = guaranteed_for(earned, due)
    so_far = earned.in_all + guaranteed
    advanced = max(due.draw - so_far, NOTHING) if due.draw else NOTHING
    recovered = min(balance, max(so_far - due.draw, NOTHING))
    return Settlement(
        earned=earned.in_all,
        guaranteed=guaranteed,
        advanced=advanced,
        recovered=recovered,
        payable=so_far + advanced - recovered,
        draw_balance=balance + advanced - recovered,
    )

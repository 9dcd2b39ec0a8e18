"""What is paid out for a period: what was earned, and what a draw or a guarantee adds.

A guarantee adds what the sales of the period itself lack to it, for good; what is paid (or
taken back) of earlier statements comes beside it, or it would swallow what they are owed. A
draw adds what is missing to it as an advance: later periods keep back what they earn above
their draw until it is recovered.
Both are due for the days on which the plan was for the rep: a rep who joins or leaves in
mid-period is due that part. Pure; it is a module of its own as it needs no sale.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from salesflow.domain.calendar import Days
from salesflow.domain.incentive_plan import PlanVersion
from salesflow.domain.time import ONE_DAY
from salesflow.projections.incentives.accrual import cents

__all__ = ["Due", "Settlement", "due_of", "guaranteed_for", "settle"]

NOTHING: Final = Decimal(0)


class Due(NamedTuple):
    """The draw and the guarantee of a period."""

    draw: Decimal = NOTHING
    guarantee: Decimal = NOTHING


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
    days = (period.last - period.first).days + 1
    counts: dict[int, int] = {}
    versions: dict[int, PlanVersion] = {}
    for number in range(days):
        version = version_on(period.first + number * ONE_DAY)
        if version is not None:
            versions[version.version] = version
            counts[version.version] = counts.get(version.version, 0) + 1
    return Due(
        _share(versions.values(), counts, days, lambda version: version.terms.draw),
        _share(versions.values(), counts, days, lambda version: version.terms.guarantee),
    )


def _share(
    versions: Iterable[PlanVersion],
    counts: Mapping[int, int],
    days: int,
    amount_of: Callable[[PlanVersion], Decimal | None],
) -> Decimal:
    total, currency = NOTHING, ""
    for version in versions:
        currency = version.currency
        total += (amount_of(version) or NOTHING) * counts[version.version]
    return cents(total / days, currency) if total else NOTHING


def guaranteed_for(from_sales: Decimal, due: Due) -> Decimal:
    """Return what a guarantee adds to what the sales of its period earned."""
    return max(due.guarantee - from_sales, NOTHING) if due.guarantee else NOTHING


def settle(
    from_sales: Decimal, from_differences: Decimal, due: Due, balance: Decimal
) -> Settlement:
    """Return what is paid out for a period, with what is still to be recovered before it."""
    earned, guaranteed = from_sales + from_differences, guaranteed_for(from_sales, due)
    so_far = earned + guaranteed
    advanced = max(due.draw - so_far, NOTHING) if due.draw else NOTHING
    recovered = min(balance, max(so_far - due.draw, NOTHING))
    return Settlement(
        earned=earned,
        guaranteed=guaranteed,
        advanced=advanced,
        recovered=recovered,
        payable=so_far + advanced - recovered,
        draw_balance=balance + advanced - recovered,
    )

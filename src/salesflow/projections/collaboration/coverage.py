"""How far the buying committees of deals are covered: won and lost deals, and open ones.

Who is known at the customer, in which roles, for or against us, and whom
we met lately; for closed deals as of the instant at which they closed, so that what became
known afterwards does not count. Differences between won and lost deals claim no cause.
"""

from datetime import date
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import numpy as np

from salesflow.domain.deal.committee import COMMITTEE_ROLES
from salesflow.domain.time import DAY, Instant
from salesflow.domain.values import Day, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Estimate
from salesflow.projections.core.column_figures import places_among
from salesflow.projections.core.column_groups import foremost
from salesflow.projections.core.columns import NO_NUMBER, Column, Flags, HeldRows
from salesflow.projections.core.statistics import Share, difference, mean, share

__all__ = [
    "CoverageMean",
    "CoverageShare",
    "DealCoverage",
    "coverage_means",
    "coverage_shares",
    "covered_deals",
    "least_covered",
]

FEW: Final = 10
"""Fewer deals than this on either side are few."""
SEVERAL: Final = 2
STANCES: Final = ("supporter", "opponent")
NO_DAY: Final = date.max.toordinal() + 1
"""Comes after every day."""


class CoverageShare(Value):
    """How many of the deals won, and of those lost, had something of a committee."""

    figure: Reference
    won: int
    won_of: int
    """Of how many: of all for `committee_known`, of those with a committee for the rest."""
    lost: int
    lost_of: int
    won_share: Estimate | None
    """With its 95% Wilson interval; None of no deals."""
    lost_share: Estimate | None
    difference: Estimate | None
    """The first less the second, with its 95% Newcombe interval; None if one is of none."""
    few: bool
    """Whether either is of fewer than ten deals."""


class CoverageMean(Value):
    """How many people or roles committees had on average, of deals where one is known."""

    figure: Reference
    won: Estimate | None
    lost: Estimate | None


class DealCoverage(Value):
    """How far the committee of an open deal is covered."""

    deal: Annotated[UUID, FieldRole.KEY]
    owner: Reference | None
    expected_close: Day | None
    members: int
    contacted: int
    """How many of them took part in a contact in the last days asked about."""
    supporters: int
    opponents: int
    roles_unfilled: tuple[SafeText, ...]
    """The roles that nobody known has; none while nobody is known."""


class _Covered(NamedTuple):
    """The committees of some deals, a value for each deal."""

    members: Column
    contacted: Column
    stances: dict[str, Column]
    """How many members are for us and against us."""
    roles: dict[str, Flags]
    """Whether anybody has each role."""


def covered_deals(
    deals: HeldRows, members: HeldRows, at: Column, known_at: Instant, days: int
) -> _Covered:
    """Look at the committee of each deal as it was at an instant of its own.

    `members` are all rows that had begun by the moment, also those that have ended.
    """
    deal = places_among(deals["entity_id"], members["entity_id"])
    theirs = deal >= 0
    members, deal = members.where(theirs), deal[theirs]
    when = at[deal]
    held = (members["valid_from"] <= when) & (members.until(known_at) > when)
    members, deal, when = members.where(held), deal[held], when[held]
    last = members["last_contact"]
    recent = (last != NO_NUMBER) & (last >= when - days * DAY)
    count = len(deals)
    number, texts = members.distinct("roles")
    roles: dict[str, Flags] = {}
    for role in COMMITTEE_ROLES:
        has = np.array([role in (text or "").split() for text in texts], np.bool_)
        filled = np.zeros(count, np.bool_)
        if len(has):
            filled[deal[has[number]]] = True
        roles[role] = filled
    return _Covered(
        np.bincount(deal, minlength=count),
        np.bincount(deal[recent], minlength=count),
        {
            stance: np.bincount(deal[members.has("stance", stance)], minlength=count)
            for stance in STANCES
        },
        roles,
    )


def coverage_shares(covered: _Covered, won: Flags) -> list[CoverageShare]:
    """Compare the deals won with those lost: all of them, then those with a committee."""
    known = covered.members > 0
    figures = {
        "several_contacted": covered.contacted >= SEVERAL,
        "everybody_contacted": covered.contacted == covered.members,
        **{f"has_{stance}": counts > 0 for stance, counts in covered.stances.items()},
        **{f"has_{role}": filled for role, filled in covered.roles.items()},
    }
    everywhere = np.ones(len(known), np.bool_)
    found = [_compared("committee_known", known, everywhere, won)]
    return found + [_compared(name, has, known, won) for name, has in figures.items()]


def _compared(figure: str, has: Flags, among: Flags, won: Flags) -> CoverageShare:
    first, second = (
        Share(int(np.count_nonzero(has & among & side)), int(np.count_nonzero(among & side)))
        for side in (won, ~won)
    )
    return CoverageShare(
        figure=figure,
        won=first.part,
        won_of=first.whole,
        lost=second.part,
        lost_of=second.whole,
        won_share=share(*first),
        lost_share=share(*second),
        difference=difference(first, second),
        few=min(first.whole, second.whole) < FEW,
    )


def coverage_means(covered: _Covered, won: Flags) -> list[CoverageMean]:
    """Return how many people, people contacted and roles there were on average."""
    known = covered.members > 0
    figures = {
        "members": covered.members,
        "contacted": covered.contacted,
        "roles_filled": np.asarray(
            sum(covered.roles.values(), start=np.zeros(len(known), int))
        ),
    }
    return [
        CoverageMean(
            figure=name,
            won=mean(_times(counts[known & won])),
            lost=mean(_times(counts[known & ~won])),
        )
        for name, counts in figures.items()
    ]


def _times(counts: Column) -> dict[int, int]:
    """Return how often each count was met."""
    times = np.bincount(counts)
    return {number: int(times[number]) for number in np.flatnonzero(times).tolist()}


def least_covered(
    deals: HeldRows, covered: _Covered, today: date, limit: int
) -> list[DealCoverage]:
    """Return the open deals with the fewest people contacted, so many at most.

    Of those alike first the ones that close soonest, then those overdue or without a day.
    """
    number, days = deals.distinct("expected_close")
    closes = np.array([_ordinal(day) for day in days], np.int64)[number]
    late = (closes < today.toordinal()) | (closes == NO_DAY)
    contacted, members = covered.contacted, covered.members
    found = foremost(limit, contacted, late, closes, members)
    ids = dict(zip(found.tolist(), deals.cells("entity_id", found), strict=True))
    first = sorted(
        found.tolist(),
        key=lambda n: (contacted[n], late[n], closes[n], members[n], str(ids[n])),
    )[:limit]
    owners = deals.cells("owner", np.array(first, np.int64))
    return [
        DealCoverage.model_validate(
            {
                "deal": ids[n],
                "owner": owner,
                "expected_close": None if closes[n] == NO_DAY else date.fromordinal(closes[n]),
                "members": int(members[n]),
                "contacted": int(contacted[n]),
                "supporters": int(covered.stances["supporter"][n]),
                "opponents": int(covered.stances["opponent"][n]),
                "roles_unfilled": tuple(
                    role
                    for role, filled in covered.roles.items()
                    if members[n] and not filled[n]
                ),
            }
        )
        for n, owner in zip(first, owners, strict=True)
    ]


def _ordinal(day: str | None) -> int:
    return NO_DAY if day is None else date.fromisoformat(day).toordinal()

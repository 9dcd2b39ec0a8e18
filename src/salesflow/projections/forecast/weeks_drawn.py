"""The ranges of past weeks, drawn once: what was known at an instant never changes.

Recorded times only grow, so that whatever is appended later, a range as known at an instant
comes out the same for ever, and the next back-test takes it from memory. Held is what a
back-test needs of a week, as long as the columns are in memory whose codes it names deals by.

It is a module of its own: `forecast_backtest` lays what came beside it, which does change.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from salesflow.domain.calendar import FiscalCalendar
from salesflow.domain.time import Instant
from salesflow.projections.core.columns import Column, Words
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.forecast.forecast_range import METHODS, RangeMade, ranges_at
from salesflow.projections.forecast.known_deals import (
    KnownDeals,
    RangeBasis,
    RangeScope,
    known_deals,
    valid_team,
)
from salesflow.projections.forecast.range_model import RangeMethod
from salesflow.projections.scope import Teams
from salesflow.projections.table import ReadPoint

__all__ = ["PartDrawn", "WeekDrawn", "WeeksDrawn"]

HELD_MOST: Final = 1_500_000
"""So many ranges and probabilities are held at once, of a database: some tens of megabytes."""


PartDrawn = tuple[tuple[str | None, str], int, int]
"""Of whom and in which currency, then low and high, in millionths."""


class WeekDrawn(NamedTuple):
    """The ranges that were drawn at one instant, and what each open deal was given."""

    at: Instant
    is_known: bool
    """Whether anything was known of any deal; with nothing known, nothing is drawn."""
    of_all: tuple[tuple[RangeMethod, RangeMade], ...]
    of_reps: tuple[PartDrawn, ...]
    """By history, of each owner and currency."""
    of_teams: tuple[PartDrawn, ...]
    """The same of each team and currency."""
    teams: Teams | None
    """Who was in which team, as known then."""
    deals: Column
    likely: Mapping[RangeMethod, Column]
    """What each deal was given, in millionths."""

    def team_of(self, owner: str | None) -> str | None:
        """Return in which team an owner was then; None for in none."""
        return None if self.teams is None else valid_team(self.teams, owner, self.at)

    def size(self) -> int:
        """Return how many numbers that is, more or less."""
        return len(self.of_all) + 4 * (len(self.of_reps) + len(self.of_teams)) + len(self.deals)


_Weeks = dict[tuple[ReadPoint, Span, RangeScope, FiscalCalendar, str], WeekDrawn]
_drawn: Final[WeakKeyDictionary[Words, _Weeks]] = WeakKeyDictionary()
"""By the ids of deals of a database, which codes stand for."""


class WeeksDrawn:
    """Draws ranges of past weeks, or takes them from those that were drawn before."""

    def __init__(self, reader: Reader, basis: RangeBasis) -> None:
        self._reader = reader
        self._basis = basis
        words = reader.columns(CLOSING).words["entity_id"]
        # What is left out may be read again later, and a rate of then be published later.
        keeps = not reader.left_out() and basis.exchange.currency is None
        self._weeks: _Weeks = _drawn.setdefault(words, {}) if keeps else {}

    def of(self, span: Span, at: ReadPoint) -> WeekDrawn:
        """Return the ranges of a period as drawn at a moment that is known in full."""
        key = at, span, self._basis.scope, self._reader.calendar, self._reader.timezone.key
        found = self._weeks.get(key)
        if found is None:
            found = _drawn_of(known_deals(self._reader, at, span, self._basis))
            self._weeks[key] = found
            _forget(self._weeks)
        return found


def _forget(weeks: _Weeks) -> None:
    """Let the oldest go where too much is held."""
    held = [(key, week.size()) for key, week in [*weeks.items()]]
    total = sum(size for _, size in held)
    for key, size in held[:-1]:
        if total <= HELD_MOST:
            return
        weeks.pop(key, None)
        total -= size


def _drawn_of(known: KnownDeals) -> WeekDrawn:
    at, deals = known.horizon.at, known.open["entity_id"]
    if not len(known.closing):
        return WeekDrawn(at, False, (), (), (), known.teams, deals, {})
    made = [ranges_at(known, method, in_parts=False) for method in METHODS]
    owners, currencies = known.open.words["owner"], known.open.words["currency"]
    return WeekDrawn(
        at,
        True,
        tuple((its.method, each) for its in made for each in its.lines),
        tuple(
            ((owners[owner], currencies[currency]), low, high)
            for (owner, currency), low, high in made[0].of_lines()
        ),
        tuple(
            ((team, currencies[code]), low, high)
            for (team, code), low, high in made[0].of_groups(
                lambda line: (known.team_of(owners[line[0]]), line[1])
            )
        ),
        known.teams,
        deals,
        {its.method: its.likely.astype(np.int32) for its in made},
    )

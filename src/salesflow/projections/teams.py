"""In which team somebody was at an instant, for figures by team.

Read once for a question: reps are few. What happened counts for the team the rep was in then,
as known at the question's `known_at` whatever its `as_of`, so that a finished period never
changes; where that lies before a rep's first team (a rep registered years after the imported
deals), the first one is used, and whoever asks is told. What stands at a moment counts for the
team that is valid then, or for none.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.moments import FOREVER, Instant
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.questions import Reader

__all__ = ["Stay", "TeamChange", "Teams"]


class Stay(NamedTuple):
    """A span of time in a team, or in none: from `start` until the next one begins."""

    start: Instant
    team: str | None
    event_id: UUID
    """The fact that put the rep there."""


class TeamChange(NamedTuple):
    """A rep went from one team (or none) to another."""

    at: Instant
    left: str | None
    entered: str | None
    event_id: UUID


class Teams:
    """The teams of all reps as known at a moment."""

    def __init__(self, stays: Mapping[str, Sequence[Stay]]) -> None:
        self._stays = stays
        self.before_joining = 0
        """How often somebody was asked about at a time before their first team."""

    @classmethod
    def read(cls, reader: Reader, *, known_at: Instant | None = None) -> "Teams":
        """Read all that is known of them at the question's moment, or was before it."""
        c, cut = MEMBERSHIP.c, reader.cut._replace(as_of=FOREVER)
        if known_at is not None:
            cut = cut._replace(known_at=known_at)
        shown: list[sa.ColumnElement[Any]] = [c.rep, c.valid_from, c.team, c.event_id]
        stays: dict[str, list[Stay]] = defaultdict(list)
        for row in reader.rows(sa.select(*shown).where(MEMBERSHIP.valid_by(cut))):
            stays[row[0]].append(Stay._make(row[1:]))
        for found in stays.values():
            found.sort(key=lambda stay: stay.start)
        return cls(stays)

    def of(self, rep: str | None, at: Instant) -> str | None:
        """Give the team for what a rep did at an instant; None where nobody said so."""
        stay = self.stay(rep, at)
        if stay is None:
            return None
        self.before_joining += at < stay.start
        return stay.team

    def valid(self, rep: str | None, at: Instant) -> str | None:
        """Give the team that is valid at an instant, for what stands then; None before any."""
        stay = self.stay(rep, at)
        return None if stay is None or at < stay.start else stay.team

    def stay(self, rep: str | None, at: Instant) -> Stay | None:
        """Give where a rep was at an instant; the first one for any time before it."""
        stays = self._stays.get(rep or "")
        if not stays:
            return None
        begun = bisect_right(stays, at, key=lambda stay: stay.start)
        return stays[max(begun - 1, 0)]

    def changes(self, rep: str | None, after: Instant, upto: Instant) -> Iterator[TeamChange]:
        """Give the changes of team after one instant and up to another, in order."""
        for left, entered in pairwise(self._stays.get(rep or "", ())):
            if after < entered.start <= upto and left.team != entered.team:
                yield TeamChange(entered.start, left.team, entered.team, entered.event_id)

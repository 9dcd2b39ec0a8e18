"""In which team somebody was at an instant, for figures by team.

Read once for a question: reps are few. Where an instant lies before a rep's first team (a rep
registered years after the imported deals), the first one is used, and whoever asks is told.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from salesflow.domain.moments import Instant
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.questions import Reader

__all__ = ["Teams"]


class Stay(NamedTuple):
    """A span of time `[start, end)` in a team."""

    start: Instant
    end: Instant
    team: str


class Teams:
    """The teams of all reps as known at a moment."""

    def __init__(self, stays: dict[str, Sequence[Stay]]) -> None:
        self._stays = stays
        self.before_joining = 0
        """How often somebody was asked about at a time before their first team."""

    @classmethod
    def read(cls, reader: Reader) -> "Teams":
        """Read them at the question's moment."""
        c, cut = MEMBERSHIP.c, reader.cut
        shown: list[sa.ColumnElement[Any]] = [
            *(c.rep, c.valid_from, MEMBERSHIP.valid_to(cut), c.team)
        ]
        select = sa.select(*shown).where(MEMBERSHIP.valid_by(cut))
        stays: dict[str, list[Stay]] = defaultdict(list)
        for row in reader.rows(select):
            stays[row[0]].append(Stay._make(row[1:]))
        return cls({rep: sorted(found) for rep, found in stays.items()})

    def of(self, rep: str | None, at: Instant) -> str | None:
        """Give the team a rep was in at an instant; None where nobody said so."""
        stays = self._stays.get(rep or "")
        if not stays:
            return None
        if at < stays[0].start:
            self.before_joining += 1
            return stays[0].team
        return next((stay.team for stay in stays if stay.start <= at < stay.end), None)

"""Which part of sales a retrospective looks back on: a rep's, a team's, a process's, or all.

What happened belongs to whoever had the deal when it happened, what stands to whoever has it
at the time asked about; the team is the one that rep was in then.
"""

import numpy as np

from salesflow.domain.time import Instant
from salesflow.projections.core.columns import Column, Flags, HeldRows
from salesflow.projections.forecast.forecast_reading import (
    Scope,
)
from salesflow.projections.scope import Teams

__all__ = [
    "ReviewScope",
]


class ReviewScope:
    """Says what belongs to the part asked about."""

    def __init__(
        self, teams: Teams, *, owner: str | None, team: str | None, process: str | None
    ) -> None:
        self._teams = teams
        self._owner = owner
        self._team = team
        self._process = process

    @property
    def scope(self) -> Scope:
        """Return what a forecast has to read: rep by rep, so that teams can be told apart."""
        return Scope("owner", self._process, self._owner)

    @property
    def before_joining(self) -> bool:
        """Whether a rep's first team stands for a time before they joined it."""
        return self._teams.before_joining > 0

    def has_rep(self, rep: str | None, at: Instant) -> bool:
        """Return whether what a rep had at an instant belongs to it."""
        if self._owner not in (None, rep):
            return False
        return self._team is None or self._teams.of(rep, at) == self._team

    def has(self, rep: str | None, process: str, at: Instant) -> bool:
        """Say the same of what a rep had under a process."""
        return self._process in (None, process) and self.has_rep(rep, at)

    def of_process(self, rows: HeldRows) -> Flags:
        """Return which rows are under the process."""
        return rows.fitting({"process": self._process})

    def owned(self, rows: HeldRows, at: Column) -> Flags:
        """Return which rows belonged to it by whom they are, each at an instant."""
        owned = rows.fitting({"owner": self._owner})
        if self._team is not None:
            mine, words = np.flatnonzero(owned), rows.words["owner"]
            owned[mine] = self._teams.are_in(
                (self._team,), rows["owner"][mine], words, at[mine]
            )
        return owned

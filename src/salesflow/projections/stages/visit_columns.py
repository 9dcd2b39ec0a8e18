"""The ways of all deals through their stages as columns: what is computed of them all at once.

A step is a row of the table of visits: a visit to a stage, or closed time, which has no stage.
What ended a step is the step after it. Leaves out all counting. `visits.py` tells the same of
one deal after the other.
"""

from functools import cached_property
from typing import Final
from uuid import UUID

import numpy as np

from salesflow.domain.time import DAY, day_number
from salesflow.projections.core.columns import Column, Flags, HeldRows, runs_of
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.stages.visits import StageKey

__all__ = ["Steps"]

WORD: Final = 32
LOWER: Final = (1 << WORD) - 1
"""Two codes stand in one number, the second one in its lower half."""


class Steps:
    """The steps of all deals (or of one) up to a moment, those of a deal in order."""

    def __init__(self, reader: Reader, deal: UUID | None = None) -> None:
        rows = _in_order(reader.columns(STAGE_VISIT, of=deal, ended=True))
        self.rows: Final = rows
        self.deal: Final = rows["entity_id"]
        self.at: Final = rows["valid_from"]
        self.stage: Final = rows["stage"]
        self.outcome: Final = rows["outcome"]
        firsts, lasts = runs_of(self.deal)
        self.firsts: Final = firsts
        """The first step of each deal."""
        self.lasts: Final = lasts
        """The last step of each deal, where it stands."""
        self.ends: Final = np.arange(1, len(rows) + 1)
        """By which step each is ended; -1 for those that go on."""
        self.ends[self.lasts] = -1
        self._day_only = rows["day_only"] == 1
        self._as_of = reader.read_point.as_of
        self._timezone = reader.timezone

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def lasted(self) -> Column:
        """The microseconds from each step to the next one, or to the moment."""
        return self.between(np.arange(len(self)), self.ends)

    @cached_property
    def keys(self) -> Column:
        """The process and the stage of each step as one number; see `key`."""
        return (self.rows["process"].astype(np.int64) << WORD) + self.stage

    def key(self, key: tuple[str, str | None]) -> int:
        """Return the number of a process and a stage."""
        process, stage = key
        return (self.rows.code("process", process) << WORD) + self.rows.code("stage", stage)

    @cached_property
    def versions(self) -> set[tuple[str, int]]:
        """The process versions under which deals came where they did."""
        processes, versions = self.rows["process"], self.rows["process_version"]
        both = np.unique((processes.astype(np.int64) << WORD) + versions).tolist()
        words = self.rows.words["process"]
        return {(words[each >> WORD], each & LOWER) for each in both}

    @cached_property
    def visited(self) -> set[StageKey]:
        """The stages that were visited."""
        words = self.rows.words["process"]
        both = np.unique(self.keys[self.stage >= 0]).tolist()
        return {(words[each >> WORD], words[each & LOWER]) for each in both}

    def wanted(self, process: str | None, owner: str | None) -> Flags:
        """Return which steps are of a process, and began while a rep owned the deal."""
        wanted = np.ones(len(self), np.bool_)
        if process is not None:
            wanted &= self.rows["process"] == self.rows.code("process", process)
        if owner is not None:
            wanted &= self.rows["owner"] == self.rows.code("owner", owner)
        return wanted

    def between(self, start: Column, end: Column) -> Column:
        """Return the microseconds from steps to others, or to the moment where that is -1.

        Between two days of which no more is known there are calendar days, of 24 hours each;
        between any other two times there is what has passed, to the microsecond.
        """
        lasted: Column = np.where(end < 0, self._as_of, self.at[end]) - self.at[start]
        days = self._day_only[start] & self._day_only[end] & (end >= 0)
        if days.any():
            from_days, to_days = self._days(start[days]), self._days(end[days])
            lasted[days] = (to_days - from_days) * DAY
        return lasted

    def _days(self, steps: Column) -> Column:
        """Number the days of steps; imported ones are few days over and over."""
        instants, place = np.unique(self.at[steps], return_inverse=True)
        numbers = [day_number(each, self._timezone) for each in instants.tolist()]
        return np.array(numbers, np.int64)[place]


def _in_order(rows: HeldRows) -> HeldRows:
    """Put the opening of a deal before what else happened then; nearly always it is."""
    deal, at = rows["entity_id"], rows["valid_from"]
    opens = rows["entered"] == rows.code("entered", "opened")
    behind = opens[1:] & (deal[1:] == deal[:-1]) & (at[1:] == at[:-1])
    if not behind.any():
        return rows
    return rows.ordered(np.lexsort([rows["begun"], ~opens, at, deal]))

"""The ways of all deals through their stages as columns, and what those stages are called.

A step is a row of the table of visits: a visit to a stage, or closed time, which has no stage.
What ended a step is the step after it. Leaves out all counting.
"""

from collections.abc import Callable, Iterable, Set
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from salesflow.domain.computed_once import computed_once
from salesflow.domain.time import Instant
from salesflow.projections.core.column_figures import elapsed, runs_of
from salesflow.projections.core.column_groups import Groups, grouped
from salesflow.projections.core.columns import Column, Flags, HeldRows
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.scope import newest_names
from salesflow.projections.table import Processes

__all__ = [
    "StageKey",
    "StageNames",
    "StageStanding",
    "StageVisit",
    "Steps",
    "names_of_stages",
    "read_steps",
]


StageKey = tuple[str, str]
"""A process and one of its stages."""


class StageNames(NamedTuple):
    """What a stage is called."""

    en: str
    zh: str


class StageVisit(NamedTuple):
    """A step by itself: where a deal came, when and how; see `STAGE_VISIT`."""

    deal: UUID
    at: Instant
    begun: int
    process: str
    version: int
    stage: str | None
    outcome: str
    entered: str

    @property
    def key(self) -> StageKey:
        """The process and the stage; to be asked of visits only."""
        return self.process, self.stage or ""


STEP: Final = (
    *("entity_id", "valid_from", "begun"),
    *("process", "process_version", "stage", "outcome", "entered"),
)
"""The columns that make a `StageVisit`."""


class StageStanding(NamedTuple):
    """What many steps have in common: under which process version, where, with what outcome."""

    process: str
    version: int
    stage: str | None
    outcome: str


class Steps:
    """The steps of all deals (or of one) up to a moment, those of a deal in order."""

    def __init__(self, rows: HeldRows, as_of: Instant, timezone: ZoneInfo) -> None:
        self.as_of: Final = as_of
        self._timezone = timezone
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

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, wanted: Flags) -> "Steps":
        """Return the steps of some deals by themselves."""
        return Steps(self.rows.where(wanted), self.as_of, self._timezone)

    def until(self, at: Instant) -> "Steps":
        """Return the steps up to an instant before the moment."""
        return Steps(self.rows.where(self.at <= at), at, self._timezone)

    @property
    def merged(self) -> Flags:
        """Which steps are of deals that stand merged."""
        stands = self.outcome[self.lasts]
        return self.of_deals(stands == self.rows.code("outcome", "merged"))

    def of_deals(self, values: Column) -> Column:
        """Return for each step the value of its deal, of one value for each deal in order."""
        return np.repeat(values, self.lasts - self.firsts + 1)

    def visits(self, chosen: Column) -> list[StageVisit]:
        """Return some steps one by one."""
        rows = self.rows.ordered(chosen)
        return [StageVisit._make(each) for each in zip(*map(rows.cells, STEP), strict=True)]

    @computed_once
    def _standing(self) -> Groups:
        rows = self.rows
        return grouped(rows["process"], rows["process_version"], self.stage, self.outcome)

    @property
    def standing(self) -> Column:
        """How each step stands: the number of one of the `standings`."""
        return self._standing.of

    @computed_once
    def standings(self) -> list[StageStanding]:
        """The different ways to stand, which are few."""
        one = self.rows.ordered(self._standing.first)
        cells = map(one.cells, ("process", "process_version", "stage", "outcome"))
        return [StageStanding._make(each) for each in zip(*cells, strict=True)]

    def by_standing(self, value: Callable[[StageStanding], int]) -> Column:
        """Return for each step a number that follows from how it stands."""
        return np.array([value(each) for each in self.standings], np.int64)[self.standing]

    def stage_numbers(self, stages: Iterable[StageKey]) -> Column:
        """Return which of some stages each step is a visit to, by number; -1 for none."""
        numbers = {key: number for number, key in enumerate(stages)}
        return self.by_standing(lambda its: numbers.get((its.process, its.stage or ""), -1))

    @computed_once
    def versions(self) -> set[tuple[str, int]]:
        """The process versions under which deals came where they did."""
        return {(each.process, each.version) for each in self.standings}

    @computed_once
    def visited(self) -> set[StageKey]:
        """The stages that were visited."""
        return {(each.process, each.stage) for each in self.standings if each.stage is not None}

    @computed_once
    def lasted(self) -> Column:
        """The microseconds from each step to the next one, or to the moment."""
        return self.between(slice(None), self.ends)

    def between(self, start: Column | slice, end: Column) -> Column:
        """Return the microseconds from steps to others, or to the moment where that is -1.

        Between two days of which no more is known there are calendar days, of 24 hours each;
        between any other two times there is what has passed, to the microsecond.
        """
        until = np.where(end < 0, self.as_of, self.at[end])
        days_only = self._day_only[start] & self._day_only[end] & (end >= 0)
        return elapsed(self.at[start], until, days_only, self._timezone)

    @computed_once
    def _day_only(self) -> Flags:
        return self.rows.say("day_only")


def read_steps(reader: Reader, deal: UUID | None = None) -> Steps:
    """Read the steps of all deals (or of one) up to the moment, as believed then."""
    rows = reader.columns(STAGE_VISIT, of=deal, ended=True)
    return Steps(_in_order(rows), reader.read_point.as_of, reader.timezone)


def _in_order(rows: HeldRows) -> HeldRows:
    """Put the opening of a deal before what else happened then; nearly always it is."""
    deal, at = rows["entity_id"], rows["valid_from"]
    opens = rows["entered"] == rows.code("entered", "opened")
    behind = opens[1:] & (deal[1:] == deal[:-1]) & (at[1:] == at[:-1])
    if not behind.any():
        return rows
    return rows.ordered(np.lexsort([rows["begun"], ~opens, at, deal]))


def names_of_stages(
    versions: Set[tuple[str, int]], visited: Set[StageKey], processes: Processes
) -> dict[StageKey, StageNames]:
    """Name the stages of process versions in their order; then others that were visited.

    A process is shown as the newest of its versions has it; a stage that only older ones know
    comes behind, under the name the newest of those gives it.
    """
    newest = dict(sorted(versions))
    found: dict[StageKey, StageNames] = {}
    for process, version in sorted(newest.items()):
        known = processes[process, version].stages
        own = [s.key for s in known if s.category in ("open", "after_sales", "won")]
        gone = sorted({stage for p, stage in visited if p == process} - set(own))
        older = [v for p, v in versions if p == process]
        for stage in [*own, *gone]:
            names = newest_names(stage, process, older, processes)
            found[process, stage] = StageNames(*names)
    return found

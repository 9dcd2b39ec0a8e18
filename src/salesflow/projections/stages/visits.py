"""The ways of deals through their stages, read once for the questions about them.

`read_paths` gives every deal's steps that had begun by a moment, in order. A step is a row of
the table of visits: a visit to a stage, or closed time, which has no stage. What ended a step
is the step after it. Leaves out all counting.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import groupby, pairwise
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.time import Instant, microseconds_between
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.table import Processes

__all__ = [
    "ENTRIES",
    "StageKey",
    "StageNames",
    "StageVisit",
    "StepClock",
    "VisitPath",
    "names_of_stages",
    "read_paths",
    "spans",
    "stages_of",
]


ENTRIES: Final = frozenset({"opened", "advanced", "skipped", "returned", "reopened", "won"})
"""Ways to enter a stage; after a migration or an unmerge a deal only goes on in one."""

StageKey = tuple[str, str]
"""A process and one of its stages."""


class StageNames(NamedTuple):
    """What a stage is called."""

    en: str
    zh: str


class StageVisit(NamedTuple):
    """A row of the table of visits: where a deal came, when and how; see `STAGE_VISIT`."""

    deal: UUID
    at: Instant
    begun: int
    process: str
    version: int
    stage: str | None
    outcome: str
    entered: str
    day_only: int
    owner: str | None
    amount: int | None
    currency: str | None

    @property
    def key(self) -> StageKey:
        """The process and the stage; to be asked of visits only."""
        return self.process, self.stage or ""


STEP: Final = (
    *("entity_id", "valid_from", "begun"),
    *(attribute.name for attribute in STAGE_VISIT.attributes),
)
"""The columns that make a `StageVisit`."""

VisitPath = Sequence[StageVisit]
"""The steps of one deal in order; never empty."""


def read_paths(reader: Reader, deal: UUID | None = None) -> Iterator[VisitPath]:
    """Yield the way of every deal (or of one) up to the moment, as believed then."""
    rows = reader.columns(STAGE_VISIT, of=deal, ended=True)
    steps = map(StageVisit._make, zip(*map(rows.cells, STEP), strict=True))
    for _, path in groupby(steps, key=lambda step: step.deal):
        yield sorted(path, key=lambda step: (step.at, step.entered != "opened", step.begun))


class StepClock:
    """Says how long steps lasted, up to the moment where nothing ended them.

    Between two days of which no more is known there are calendar days, of 24 hours each;
    between any other two times there is what has passed, to the microsecond.
    """

    def __init__(self, as_of: Instant, timezone: ZoneInfo) -> None:
        self._as_of = as_of
        self._timezone = timezone

    def lasted(self, start: StageVisit, end: StageVisit | None) -> int:
        """Return the microseconds from one step to another, or to the moment."""
        if end is None:
            return self._as_of - start.at
        days_only = bool(start.day_only and end.day_only)
        return microseconds_between(start.at, end.at, self._timezone, days_only=days_only)


def spans(path: VisitPath) -> Iterator[tuple[StageVisit, StageVisit | None]]:
    """Yield each step with the one that ended it; the last with None."""
    yield from pairwise(path)
    yield path[-1], None


def stages_of(paths: Iterable[VisitPath], processes: Processes) -> dict[StageKey, StageNames]:
    """Name the stages of all processes in use, in their order; then those that are gone.

    A process is shown as the newest version that any step names has it; a stage only older
    ones know comes behind, under the name the newest of those gives it.
    """
    versions = {(step.process, step.version) for path in paths for step in path}
    visited = {step.key for path in paths for step in path if step.stage is not None}
    return names_of_stages(versions, visited, processes)


def names_of_stages(
    versions: Set[tuple[str, int]], visited: Set[StageKey], processes: Processes
) -> dict[StageKey, StageNames]:
    """Name the stages of process versions, and others that were visited, in their order."""
    newest = dict(sorted(versions))
    found: dict[StageKey, StageNames] = {}
    for process, version in sorted(newest.items()):
        known = processes[process, version].stages
        own = [s.key for s in known if s.category in ("open", "after_sales", "won")]
        gone = sorted({stage for p, stage in visited if p == process} - set(own))
        older = sorted((v for p, v in versions if p == process), reverse=True)
        for stage in [*own, *gone]:
            found[process, stage] = _named(stage, process, older, processes)
    return found


def _named(stage: str, process: str, versions: list[int], processes: Processes) -> StageNames:
    for version in versions:
        found = processes[process, version].by_key.get(stage)
        if found is not None:
            return StageNames(found.name_en, found.name_zh)
    return StageNames(stage, stage)

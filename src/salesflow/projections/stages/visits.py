"""What steps of deals are made of, and what the stages are called that they went through.

A step is a row of the table of visits: a visit to a stage, or closed time, which has no stage.
"""

from collections.abc import Set
from typing import Final, NamedTuple
from uuid import UUID

from salesflow.domain.time import Instant
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.scope import newest_names
from salesflow.projections.table import Processes

__all__ = ["ENTRIES", "STEP", "StageKey", "StageNames", "StageVisit", "names_of_stages"]


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

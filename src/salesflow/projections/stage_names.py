"""Where a stage stands in its process and what it is called, for tables grouped by stage."""

from typing import NamedTuple

from salesflow.projections.tables import Processes

__all__ = ["StageName", "stage_name"]


class StageName(NamedTuple):
    """A stage's place in its process, and its names; one sorts as it stands there."""

    order: int
    name_en: str
    name_zh: str


def stage_name(stage: str, process: str, version: int, processes: Processes) -> StageName:
    """Find a stage in a process version; one it does not know comes last, under its key."""
    found = processes.get((process, version))
    stages = () if found is None else found.stages
    for order, each in enumerate(stages):
        if each.key == stage:
            return StageName(order, each.name_en, each.name_zh)
    return StageName(len(stages), stage, stage)

"""Fills tables beside the live ones up to a goal, in this process and in others that help."""

import os
import sys
from collections.abc import Callable, Mapping

from salesflow.adapters.eventlog import EventLog
from salesflow.adapters.filling import Slices, Tables, slices_of
from salesflow.adapters.rebuild_helpers import helping
from salesflow.domain.catalogue import CATALOGUE
from salesflow.projections.registry import FOLDS
from salesflow.projections.tables import Processes, ReadFold

__all__ = ["fill", "task"]

EVENTS_A_HELPER = 100_000
"""A log must be so long for each helper; starting one takes a second."""

HELPERS_MAX = 8
Progress = Callable[[int, int], None]


def fill(
    log: EventLog,
    folds: Mapping[str, ReadFold],
    processes: Processes,
    goal: int,
    progress: Progress | None,
) -> None:
    """Fill empty tables, by their names, with what their folds say up to a position.

    Raises:
        ProjectionError: when a fold failed.
        DatabaseError: when a process that helped has died.
    """
    ends = slices_of(log, goal)
    ours = {name: fold for name, fold in folds.items() if _is_ours(fold)}
    others = {name: fold for name, fold in folds.items() if name not in ours}
    groups = [group for group in (ours, others) if group]
    for number, group in enumerate(groups):
        slices = Slices(ends)

        def report(slices: Slices = slices, before: int = number * len(ends)) -> None:
            if progress is not None:
                progress(goal * (before + slices.done) // (len(groups) * len(ends)), goal)

        tables = Tables(log, group, processes, goal)
        helpers_wanted = _helpers_for(log, goal) if group is ours else 0
        with helping(helpers_wanted, task(log, group, goal), slices) as helpers:
            for slice in slices:
                tables.fill(slice)
                helpers.check()
                report()
            helpers.wait(report)


def task(log: EventLog, folds: Mapping[str, ReadFold], goal: int) -> dict[str, object]:
    """Say what a helper has to know."""
    url = log.database.engine.url
    return {
        "url": {**url._asdict(), "query": dict(url.query)},
        "tenant": log.tenant,
        "tables": {name: fold.table.label for name, fold in folds.items()},
        "upto": goal,
    }


def _is_ours(fold: ReadFold) -> bool:
    """Say whether a process of its own would know a fold."""
    return FOLDS.get(fold.table.label) is fold


def _helpers_for(log: EventLog, goal: int) -> int:
    """Say how many processes are worth it; none where they could not read the log."""
    if log.catalogue is not CATALOGUE or not sys.executable:
        return 0
    return min(_cores() - 1, goal // EVENTS_A_HELPER, HELPERS_MAX)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

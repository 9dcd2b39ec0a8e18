"""Whether what a question names is known at all: a process, a stage or a team.

A misspelt key would give an empty answer, which looks like a true one. So it is refused, with
those there are. Processes and stages are known once they are published, whatever the moment;
a team once somebody has been in it by the moment. Leaves out what callers name by ids of their
own, as reps, surveys and channels: of an unknown one there simply is nothing.
"""

from collections.abc import Iterable, Iterator
from itertools import count, takewhile
from typing import Any

import sqlalchemy as sa

from salesflow.errors import NotFoundError
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.questions import Question, Reader, View
from salesflow.projections.registry import FOLDS
from salesflow.projections.tables import Processes

__all__ = ["refuse_unknown"]

OURS = __name__.partition(".")[0]
STAGES = ("stage", "entered_stage")
"""What the tables of deals call the stage."""


def refuse_unknown(question: Question[View], reader: Reader) -> None:
    """Refuse a question that names a process, a stage or a team nobody knows of.

    A question from outside this package means by its parameters what it likes.

    Raises:
        NotFoundError: naming those there are.
    """
    if type(question).__module__.partition(".")[0] != OURS:
        return
    process, stage, team = (
        _named(question, parameter) for parameter in ("process", "stage", "team")
    )
    if process is not None and (process, 1) not in reader.processes:
        there = ", ".join(reader.published())
        raise NotFoundError(f"there is no process {process!r}; there are {there}")
    if stage is not None and (process is not None or not _met(stage, question, reader)):
        keys = reader.published() if process is None else [process]
        stages = dict.fromkeys(_stages(keys, reader.processes))
        if stage not in stages:
            raise NotFoundError(f"there is no stage {stage!r}; there are {', '.join(stages)}")
    if team is not None:
        _refuse_unknown_team(team, reader)


def _named(question: Question[View], parameter: str) -> str | None:
    found: str | None = getattr(question, parameter, None)
    return found


def _met(stage: str, question: Question[View], reader: Reader) -> bool:
    """Say whether a deal has been in a stage, which spares looking at every process."""
    for fold in FOLDS.values():
        c = fold.table.c
        column = next((c[name] for name in STAGES if name in c), None)
        if fold.table.name in question.folds and column is not None:
            mine = sa.select(column).where(c.tenant == reader.cut.tenant, column == stage)
            if reader.rows(mine.limit(1)):
                return True
    return False


def _stages(keys: Iterable[str], processes: Processes) -> Iterator[str]:
    """Give the stages of every version of some processes, in order."""
    for key in keys:
        versions = ((key, number) for number in count(1))
        for version in takewhile(processes.__contains__, versions):
            yield from (stage.key for stage in processes[version].stages)


def _refuse_unknown_team(team: str, reader: Reader) -> None:
    c = MEMBERSHIP.c
    named: sa.Select[Any] = (
        sa.select(c.team)
        .distinct()
        .where(MEMBERSHIP.valid_by(reader.cut), c.team.is_not(None))
        .order_by(c.team)
    )
    known = [row.team for row in reader.rows(named)]
    if team not in known:
        there = ", ".join(known) or "none"
        raise NotFoundError(f"nobody has been in a team {team!r} by then; teams: {there}")

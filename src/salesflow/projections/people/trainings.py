"""What several questions about people ask: trainings, completions, what a stage is called."""

from datetime import date
from itertools import count
from typing import Any, NamedTuple

import sqlalchemy as sa

from salesflow.domain.time import FOREVER, from_instant
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.rep_training import REP_TRAINING
from salesflow.projections.folds.training import TRAINING

__all__ = ["OfferedTraining", "completions", "stage_called", "trainings_known"]


class OfferedTraining(NamedTuple):
    """What is known of a training."""

    name_en: str
    name_zh: str
    metric: str | None
    stage: str | None
    skills: tuple[str, ...]


def trainings_known(reader: Reader) -> dict[str, OfferedTraining]:
    """Return the trainings known at the moment, as each is by then, or will be first.

    One that reps took and nobody offered is called by its key.
    """
    known_at = reader.read_point._replace(as_of=FOREVER)
    c, taken = TRAINING.c, REP_TRAINING.c
    found: dict[str, OfferedTraining] = {}
    for row in reader.rows(sa.select(taken.training).where(REP_TRAINING.started_by(known_at))):
        found[row.training] = OfferedTraining(row.training, row.training, None, None, ())
    columns: list[sa.ColumnElement[Any]] = [
        *(c.training, c.name_en, c.name_zh, c.metric, c.stage, c.skills, c.valid_from)
    ]
    every = sa.select(*columns).where(TRAINING.started_by(known_at)).order_by(c.valid_from)
    met: set[str] = set()
    for row in reader.rows(every):
        if row.training in met and row.valid_from > reader.read_point.as_of:
            continue
        met.add(row.training)
        skills = tuple(row.skills.split("\n")) if row.skills else ()
        found[row.training] = OfferedTraining(
            row.name_en, row.name_zh, row.metric, row.stage, skills
        )
    return found


def completions(reader: Reader, training: str | None = None) -> dict[str, dict[str, date]]:
    """Return on which day each rep completed each training for the first time."""
    c = REP_TRAINING.c
    columns: list[sa.ColumnElement[Any]] = [c.training, c.rep, c.first_completed]
    select = sa.select(*columns).where(
        REP_TRAINING.visible_at(reader.read_point), c.first_completed.is_not(None)
    )
    if training is not None:
        select = select.where(c.training == training)
    found: dict[str, dict[str, date]] = {}
    for row in reader.rows(select):
        day = from_instant(row.first_completed).astimezone(reader.timezone).date()
        found.setdefault(row.training, {})[row.rep] = day
    return found


def stage_called(stage: str, reader: Reader) -> tuple[str, str]:
    """Return what a stage is called in English and Chinese, by the newest process that has it.

    One that none of them knows goes by its key.
    """
    found = (stage, stage)
    for process in reader.published():
        for number in count(1):
            version = reader.processes.get((process, number))
            if version is None:
                break
            if stage in version.by_key:
                named = version.by_key[stage]
                found = (named.name_en, named.name_zh)
    return found

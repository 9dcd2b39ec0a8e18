"""Which deals stand in their stage for longer than their process version says they should.

Read once for the questions that name them. Judged by the version in force at the instant asked
about; whoever owns the deal then is its owner.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.moments import DAY, Instant
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.questions import Reader
from salesflow.projections.visits import Step, Way

__all__ = ["StalledStanding", "read_stalled"]


class StalledStanding(NamedTuple):
    """How long a stalled deal may stand where it stands, and what it is worth."""

    days_max: int
    amount: int | None
    currency: str | None
    expected_close: str | None


class _Standing(NamedTuple):
    deal: UUID
    process: str
    version: int
    owner: str | None
    amount: int | None
    currency: str | None
    expected_close: str | None


def read_stalled(
    ways: Iterable[Way], reader: Reader, at: Instant, deal: UUID | None = None
) -> Iterator[tuple[Step, StalledStanding]]:
    """Find among ways up to an instant those that stand too long then; perhaps of one deal."""
    c = DEAL_STATE.c
    shown: list[sa.ColumnElement[Any]] = [
        *(c.entity_id, c.process, c.process_version, c.owner),
        *(c.amount, c.currency, c.expected_close),
    ]
    select = sa.select(*shown).where(
        DEAL_STATE.seen(reader.cut._replace(as_of=at)), c.outcome.in_(("open", "won"))
    )
    if deal is not None:
        select = select.where(c.entity_id == deal)
    standing = {row[0]: _Standing._make(row) for row in reader.rows(select)}
    for way in ways:
        step, now = way[-1], standing.get(way[-1].deal)
        if step.stage is None or now is None:
            continue
        stage = reader.processes[now.process, now.version].by_key.get(step.stage)
        days_max = None if stage is None else stage.max_days
        if days_max and at - step.at > days_max * DAY:
            worth = StalledStanding(days_max, now.amount, now.currency, now.expected_close)
            yield step._replace(owner=now.owner), worth

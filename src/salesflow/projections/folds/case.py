"""Which cases there are: one row per case and span without a change.

Answers "which deals are in the case library, since when, and what do people make of each?" for
any moment; the outcome and reason of its deal stand in the row of the deal. Leaves out the
words of factors and lessons, which are personal and stay in the log.
"""

from collections.abc import Iterable
from typing import Final, get_args

import sqlalchemy as sa

from salesflow.domain.case import CaseFact, CaseState
from salesflow.domain.event import Event
from salesflow.projections.table import (
    Change,
    Instants,
    IntervalFold,
    IntervalTable,
    changes_by,
)

__all__ = ["CASE", "CASES"]

CASE: Final = IntervalTable(
    "case",
    1,
    attributes=(
        sa.Column("case_key", sa.Text),
        sa.Column("deal_id", sa.Uuid),
        sa.Column("state", sa.String(10)),
        sa.Column("published", Instants),
        sa.Column("withdrawn", Instants),
        sa.Column("factors", sa.Integer),
        sa.Column("lessons", sa.Integer),
        sa.Column("trainings", sa.Integer),
    ),
)
"""`state` is published or withdrawn, `withdrawn` is null while it is in the library."""


def _changes(_: Event, case: CaseState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
    if not case.key:
        return ()
    assert case.opening is not None, "it was published"
    withdrawn = case.withdrawn
    row = (
        case.key,
        case.deal,
        "published" if withdrawn is None else "withdrawn",
        case.opening.effective,
        None if withdrawn is None else withdrawn.effective,
        len(case.factors),
        len(case.lessons),
        len(case.trainings),
    )
    return (((), row),)


CASES: Final = IntervalFold(
    CASE, frozenset(get_args(CaseFact)), changes_by(CaseState, _changes)
)

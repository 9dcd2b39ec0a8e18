"""Commission statements that were issued: one row per statement, and what became of it.

Answers "what was paid to whom, by which plan and for which period, and what is in dispute?"
for any moment. Leaves out the lines, which are nested and stay in the log.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, get_args

import sqlalchemy as sa

from salesflow.domain.event import Event
from salesflow.domain.statement import StatementFact, StatementFigures, StatementState
from salesflow.domain.time import to_instant
from salesflow.domain.values import MOST
from salesflow.projections.table import (
    Change,
    Instants,
    IntervalFold,
    IntervalTable,
    Millionths,
    changes_by,
    millionths,
)

__all__ = ["STATEMENT", "STATEMENTS"]

STATEMENT: Final = IntervalTable(
    "statement",
    1,
    attributes=(
        sa.Column("plan", sa.Text),
        sa.Column("rep", sa.Text),
        sa.Column("first_day", sa.String(10)),
        sa.Column("last_day", sa.String(10)),
        sa.Column("currency", sa.String(3)),
        sa.Column("figures_as_of", Instants),
        sa.Column("figures_known_at", Instants),
        sa.Column("lines", sa.Integer),
        sa.Column("earned", Millionths),
        sa.Column("payable", Millionths),
        sa.Column("draw_balance", Millionths),
        sa.Column("disputes_open", sa.Integer),
        sa.Column("agreed", Millionths),
    ),
)
"""The period's days are ISO dates. `figures_as_of` and `figures_known_at` are the moment of its
figures, `agreed` what corrections and accepted disputes come to, which the next one pays (null
where that is more than an amount can hold)."""


def _changes(_: Event, statement: StatementState) -> Iterable[Change]:
    """Return what a fact that counts changed."""
    if statement.figures is None:
        return ()
    return (((), _row(statement, statement.figures)),)


def _row(statement: StatementState, figures: StatementFigures) -> tuple[str | int | None, ...]:
    agreed = sum((each.amount for each in statement.agreed), Decimal(0))
    return (
        figures.plan,
        figures.rep,
        figures.first_day.isoformat(),
        figures.last_day.isoformat(),
        figures.currency,
        to_instant(figures.as_of),
        to_instant(figures.known_at),
        len(figures.amounts),
        millionths(figures.earned),
        millionths(figures.payable),
        millionths(figures.draw_balance),
        sum(each.outcome is None for each in statement.disputes.values()),
        millionths(agreed) if abs(agreed) <= MOST else None,
    )


STATEMENTS: Final = IntervalFold(
    STATEMENT, frozenset(get_args(StatementFact)), changes_by(StatementState, _changes)
)

"""Goals as they stand at a moment.

Read from their tables for every answer that sets figures beside targets. Leaves out how far
they are attained: that is `attainment`.
"""

from datetime import date
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from salesflow.domain.metric import Metric, metric_of
from salesflow.domain.smart import GoalScope
from salesflow.domain.unchecked import unchecked
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.figure import FIGURE_REPORT
from salesflow.projections.folds.goal import GOAL

__all__ = ["GOAL_FOLDS", "GoalRow", "read_goals"]

GOAL_FOLDS: Final = (FIGURE_REPORT.name, GOAL.name)
"""The tables that are read here, for whoever asks a question of them."""


class GoalRow(NamedTuple):
    """A goal as it stands."""

    id: UUID
    key: str
    title: str | None
    metric: Metric
    target: Decimal
    currency: str | None
    unit: str | None
    """Of an outside figure."""
    baseline: Decimal | None
    scope: GoalScope
    first_day: date
    last_day: date
    parent: str | None
    strategy: str | None
    responsible: str | None
    standing: str
    """set, locked or abandoned."""
    revisions: int
    confidence: Decimal | None
    """That of the last check-in."""

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day of its period."""
        return self.first_day, self.last_day


SCOPE: Final = {"customer": "customer_id"}
"""What a part of a scope is called in the table, where that is another name."""
PLAIN: Final = (
    *("title", "currency", "unit", "parent", "strategy", "responsible"),
    *("standing", "revisions"),
)
AMOUNTS: Final = ("target", "baseline", "confidence")
_scope: Final = unchecked(GoalScope)


def read_goals(reader: Reader) -> list[GoalRow]:
    """Read the goals that are set at the moment, in order of their periods and keys."""
    rows = reader.columns(GOAL)
    parts = {name: SCOPE.get(name, name) for name in GoalScope.model_fields}
    names = ("entity_id", "goal", "metric", "first_day", "last_day", *PLAIN, *AMOUNTS)
    found = []
    for cells in rows.records(*names, *parts.values()):
        row: dict[str, Any] = dict(zip((*names, *parts), cells, strict=True))
        amounts: dict[str, Any] = {
            name: None if row[name] is None else unscaled(row[name]) for name in AMOUNTS
        }
        found.append(
            GoalRow(
                id=row["entity_id"],
                key=row["goal"],
                metric=metric_of(row["metric"]),
                first_day=date.fromisoformat(row["first_day"]),
                last_day=date.fromisoformat(row["last_day"]),
                scope=_scope(**{name: row[name] for name in parts}),
                **{name: row[name] for name in PLAIN},
                **amounts,
            )
        )
    return sorted(found, key=lambda goal: (goal.first_day, goal.last_day, goal.key))

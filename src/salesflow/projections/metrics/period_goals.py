"""Goals beside the figures of a period: those of the very same days and scope, and how far.

What KPIs, forecasts and retrospectives show of goals. A goal stands beside a figure when it is
of the same period and of nobody else; all other goals are in `GoalAttainment`.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated

from salesflow.domain.calendar import Days, FiscalCalendar
from salesflow.domain.metric import metric_of
from salesflow.domain.values import Currency, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.figure_text import FigureText
from salesflow.presentation.format import NO_VALUE, percent_text, span_text
from salesflow.presentation.messages import Language, key_text
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.metrics.attainment import (
    GoalStatus,
    WorkDays,
    measured,
    progress_of,
)
from salesflow.projections.metrics.goal_rows import GoalRow, read_goals
from salesflow.projections.scope import MetricScope, unnamed_last

__all__ = ["PeriodGoal", "goal_table", "period_goals", "sales_goal"]


class PeriodGoal(Value):
    """A goal of the days and the group that a figure is of."""

    first: Annotated[date, FieldRole.KEY]
    last: Annotated[date, FieldRole.KEY]
    group: Annotated[SafeText | None, FieldRole.KEY]
    """The rep, team, customer's id, lead source or process; None without groups."""
    goal: Annotated[Reference, FieldRole.KEY]
    title: SafeText | None
    metric: Reference
    unit: Reference
    currency: Currency | None
    quarter: SafeText | None
    """What its period is called where that is a fiscal quarter, as 2026-Q3."""
    target: Decimal
    actual: Decimal | None
    attainment: Decimal | None
    pace: Decimal | None
    projected: Decimal | None
    status: GoalStatus


def period_goals(
    reader: Reader, spans: Sequence[Span], by: str | None, within: MetricScope
) -> list[PeriodGoal]:
    """Return the goals of some spans and of those who are asked about, in order."""
    days = {(span.first, span.last) for span in spans}
    goals = [
        goal
        for goal in read_goals(reader)
        if goal.days in days and goal.standing != "abandoned" and _is_of(goal, by, within)
    ]
    if not goals:
        return []
    found, over = measured(goals, reader), WorkDays.read(reader)
    lines = [
        _line(goal, actual.value, by, over, reader.calendar)
        for goal, actual in zip(goals, found.actuals, strict=True)
    ]
    return sorted(lines, key=lambda it: (it.first, it.last, unnamed_last(it.group), it.goal))


def sales_goal(
    goals: Iterable[GoalRow], span: Span, scope: MetricScope, currency: str
) -> GoalRow | None:
    """Return the goal for sales of a span, of whom is asked about, in a currency.

    Of several the one that is locked, else the first by key.
    """
    mine = [
        goal
        for goal in goals
        if goal.metric.key == "sales"
        and goal.currency == currency
        and goal.days == (span.first, span.last)
        and goal.standing != "abandoned"
        and _is_of(goal, None, scope)
    ]
    return min(mine, key=lambda goal: (goal.standing != "locked", goal.key), default=None)


def _is_of(goal: GoalRow, by: str | None, within: MetricScope) -> bool:
    """Return whether a goal is of whom is asked about, and of one of the groups."""
    asked = within._asdict()
    asked["rep"] = asked.pop("owner")
    return all(
        it is not None and asked[name] in (None, it) if name == by else it == asked[name]
        for name, it in goal.scope
    )


def _line(
    goal: GoalRow,
    actual: Decimal | None,
    by: str | None,
    over: WorkDays,
    calendar: FiscalCalendar,
) -> PeriodGoal:
    progress = progress_of(goal, actual, over)
    return PeriodGoal(
        first=goal.first_day,
        last=goal.last_day,
        group=None if by is None else goal.scope.named[by],
        goal=goal.key,
        title=goal.title,
        metric=goal.metric.key,
        unit=goal.metric.unit or goal.unit or "number",
        currency=goal.currency,
        quarter=calendar.quarter_name(Days(*goal.days)),
        target=goal.target,
        actual=actual,
        attainment=progress.attainment,
        pace=progress.pace,
        projected=progress.projected,
        status=progress.status,
    )


def goal_table(goals: Sequence[PeriodGoal], language: Language) -> TableOfView:
    """Lay goals out beside what they came to."""
    rows = tuple(
        (
            each.title or each.goal,
            metric_of(each.metric).name(language),
            each.group or NO_VALUE,
            each.quarter or span_text(each.first, each.last),
            *map(
                FigureText(each.unit, language, each.currency).beside_target,
                (each.target, each.actual),
            ),
            percent_text(each.attainment),
            percent_text(each.pace),
            key_text(each.status, language),
        )
        for each in goals
    )
    columns = (
        "Goal", "Metric", "For", "Period", "Target value", "Result", "Attainment", "Pace",
        "Goal status",
    )  # fmt: skip
    return TableOfView("Goals", columns, rows)

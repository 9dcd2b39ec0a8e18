"""Whether a goal would be well set, and what a naive replay says of the past."""

from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw, moment
from oracle.deals import deals_of
from oracle.goals import figures_at, goals_at, value_of
from oracle.periods import period_before, period_of
from oracle.sales import closing_at
from properties.asked.case import Case
from properties.asked.goal_attainment import _Close
from properties.asked.periods import periods
from salesflow.projections.goals.goal_check import GoalCheck, GoalCheckView

__all__ = ["CASE"]

DAY = timedelta(days=1)


def asked() -> st.SearchStrategy[GoalCheck]:
    """Draw what to ask about."""
    return st.builds(
        lambda days, its, only, periods: GoalCheck.model_validate(
            {"from_": days[0], "to": days[1], **its, **only, "periods": periods}
        ),
        periods(),
        st.sampled_from(
            (
                {"metric": "orders", "target": 1},
                {"metric": "sales", "currency": "CNY", "target": 100, "why_achievable": "so"},
                {"metric": "figure:share", "unit": "share", "target": "0.2"},
                {"metric": "created"},
            )
        ),
        st.sampled_from(({}, {"rep": "ann", "parent": "year"}, {"strategy": "grow"})),
        st.sampled_from((1, 2)),
    )


def said(view: GoalCheckView) -> dict[str, Any]:
    """Write the answer as the oracle does."""
    return {
        "past": [(it.first_day, it.last_day, it.value) for it in view.evidence.values],
        "letters": [(it.letter, it.passed, it.basis) for it in view.letters],
        "baseline": view.baseline,
        "parent_known": view.parent_known,
    }


def wanted(raw: list[Raw], question: GoalCheck, as_of: int, known_at: int) -> dict[str, Any]:
    """Look at every period before."""
    if question.metric.startswith("figure:"):
        past = _reports(raw, question, as_of, known_at)
    else:
        past = [*_periods(raw, question, as_of, known_at)]
    known = [value for _, _, value in past]
    beyond = bool(question.target is not None and known) and question.target > max(known)
    achievable: Any = (True, "within_past_range")
    if question.target is None:
        achievable = (None, "nothing_named")
    elif beyond or not known:
        achievable = (False, "beyond_past_range" if beyond else "no_past")
        achievable = (True, "justified") if question.why_achievable else achievable
    relevant = (False, "nothing_named")
    relevant = (True, "strategy") if question.strategy else relevant
    relevant = (True, "parent_goal") if question.parent else relevant
    kind = "reported_figure" if question.metric.startswith("figure:") else "computed_metric"
    parents = {
        goal["goal"]
        for goal in goals_at(raw, as_of, known_at)
        if goal["standing"] != "abandoned"
    }
    return {
        "past": [(first, last, _Close(_rounded(value))) for first, last, value in past],
        "letters": [
            ("specific", True, "metric_and_scope"),
            ("measurable", True, kind),
            ("achievable", *achievable),
            ("relevant", *relevant),
            ("time_bound", True, "period"),
        ],
        "baseline": _Close(_rounded(known[-1]) if known else None),
        "parent_known": None if question.parent is None else question.parent in parents,
    }


def _rounded(value: Any) -> Any:  # noqa: ANN401
    return round(Fraction(value), 6)


def _periods(raw: list[Raw], question: GoalCheck, as_of: int, known_at: int) -> Any:  # noqa: ANN401
    opened = []
    for stream in deals_of(raw):
        closing = closing_at(raw, stream, as_of, known_at)
        opened += [] if closing is None else [closing["opened"][0]]
    days: tuple[date | None, date | None] = (question.from_, question.to)
    found: list[tuple[date, date]] = []
    start, end = period_of(*days, as_of)
    while len(found) < question.periods and opened:
        before = period_before(moment(start).date(), moment(end).date(), as_of)
        start, end = before
        if end <= min(opened):
            break
        if end - 1 <= as_of:
            found.append((moment(start).date(), moment(end).date() - DAY))
    goal = {
        "metric": question.metric,
        "currency": question.currency,
        "unit": None,
        "scope": {"rep": question.rep},
    }
    for first, last in found[::-1]:
        yield first, last, value_of(raw, goal, (first, last), (as_of, known_at))[0]


def _reports(raw: list[Raw], question: GoalCheck, as_of: int, known_at: int) -> list[Any]:
    first = moment(period_of(question.from_, question.to, as_of)[0]).date()
    found = [
        (date.fromisoformat(it["last_day"]), date.fromisoformat(it["first_day"]), it["value"])
        for it in figures_at(raw, as_of, known_at)
        if it["figure"] == "share"
        and it["unit"] == "share"
        and it["last_day"] < first.isoformat()
    ]
    found.sort(key=lambda each: (each[0], -each[1].toordinal()))
    return [(begun, ended, value) for ended, begun, value in found][-question.periods :]


CASE = Case(asked(), said, wanted)

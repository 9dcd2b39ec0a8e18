"""Goals at a moment, and what a naive replay says of them."""

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw, moment
from oracle.goals import goals_at, measured, progress, value_of
from oracle.periods import period_of
from properties.asked.case import Case
from properties.world import GOALS
from salesflow.projections.goals.goal_attainment import GoalAttainment, GoalAttainmentView
from salesflow.projections.goals.goal_lines import GoalLine

__all__ = ["CASE"]

NEAR = Fraction(1, 10**18)
DAY = timedelta(days=1)
COUNTED = ("sales", "orders", "created", "lost", "win_rate", "cycle_days", "figure:share")


def asked() -> st.SearchStrategy[GoalAttainment]:
    """Draw which goals to ask about."""
    periods: tuple[dict[str, Any], ...] = (
        {},
        {},
        {"from_": date(2024, 1, 1), "to": date(2024, 4, 1)},
        {"from_": date(2024, 1, 1), "to": date(2024, 4, 1)},
        {"from_": date(2024, 2, 1)},
    )
    others: tuple[dict[str, Any], ...] = (
        {},
        {},
        {"metric": "sales"},
        {"rep": "ann"},
        {"team": "east"},
    )
    return st.builds(
        lambda days, goal, only, by: GoalAttainment.model_validate(
            {**({"goal": goal} if goal else {**days, **only}), "expected_by": by}
        ),
        st.sampled_from(periods),
        st.sampled_from((None, None, None, *GOALS)),
        st.sampled_from(others),
        st.sampled_from(("working_days", "working_days", "seasonality")),
    )


def said(view: GoalAttainmentView) -> dict[str, Any]:
    """Write the goals as the oracle does."""
    return {
        "goals": [_line(line) for line in view.goals],
        "splits": sorted(
            (it.goal, it.by, it.goals, it.target, it.target_gap, it.actual)
            for it in view.splits
        ),
        "elsewhere": (view.goals_elsewhere, view.goals_of_others),
        "without a rate": {
            (it.report_currency, each.currency): each.amounts
            for it in view.rates
            for each in it.without_rate
        },
        "revisions": [(it.target_before, it.target, it.by) for it in view.revisions],
        "check_ins": [it.confidence for it in view.check_ins],
    }


def _line(line: GoalLine) -> dict[str, Any]:
    return {
        "goal": line.goal,
        "depth": line.depth,
        "parent": (line.parent, line.parent_known),
        "target": line.target,
        "actual": line.actual,
        "n": line.rests_on if line.metric in COUNTED else None,
        "attainment": line.attainment,
        "expected": line.expected_now,
        "pace": line.pace,
        "projected": line.projected,
        "needed": line.needed_per_day,
        "days": (line.days, line.days_left),
        "elapsed": line.share_elapsed,
        "status": line.status,
        "standing": (line.standing, line.revisions, line.confidence),
    }


def wanted(
    raw: list[Raw], question: GoalAttainment, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Ask the oracle about every goal by itself."""
    every = goals_at(raw, as_of, known_at)
    keys = [goal["goal"] for goal in every]
    if question.goal is not None and question.goal not in keys:
        return None
    chosen = [goal for goal in every if _is_asked(goal, question, every, as_of)]
    chosen.sort(key=lambda goal: goal["goal"] != question.goal)  # the one asked about first
    tree = _tree(chosen)
    lines, values, lacked = [], {}, set[Any]()
    for goal in _parts(chosen, every):
        values[goal["goal"]] = measured(raw, goal, (as_of, known_at), lacked)[0]
        if question.expected_by == "seasonality":
            _season(raw, goal, (as_of, known_at), lacked)
    for goal, depth in tree:
        actual, n = measured(raw, goal, (as_of, known_at), lacked)
        values[goal["goal"]] = actual
        season = None
        if question.expected_by == "seasonality":
            season = _season(raw, goal, (as_of, known_at), lacked)
        far = progress(goal, actual, as_of, season)
        lines.append(_told(goal, depth, keys, {"actual": _Close(actual), "n": n, **far}))
    whose: dict[str, Any] = dict.fromkeys(("metric", "team", "rep"))
    anybodys = question.model_copy(update=whose)
    of_those_days = [goal for goal in every if _is_asked(goal, anybodys, every, as_of)]
    of_others = len(of_those_days) - len(tree)
    told = tree[0][0] if question.goal is not None else {"revisions": [], "check_ins": []}
    return {
        "goals": lines,
        "splits": _splits([goal for goal, _ in tree], values, every),
        "elsewhere": (len(every) - len(tree), of_others),
        "without a rate": Counter((into, currency) for into, currency, _ in lacked),
        "revisions": told["revisions"],
        "check_ins": [sure for _, sure in told["check_ins"]],
    }


def _told(
    goal: dict[str, Any], depth: int, keys: list[str], said: dict[str, Any]
) -> dict[str, Any]:
    sure = goal["check_ins"][-1][1] if goal["check_ins"] else None
    parent = goal["parent"]
    return {
        "goal": goal["goal"],
        "depth": depth,
        "parent": (parent, None if parent is None else parent in keys),
        "target": goal["target"],
        **{name: _Close(it) if isinstance(it, Fraction) else it for name, it in said.items()},
        "n": said["n"] if goal["metric"] in COUNTED else None,
        "standing": (goal["standing"], len(goal["revisions"]), sure),
    }


def _is_asked(
    goal: dict[str, Any], question: GoalAttainment, every: list[Any], as_of: int
) -> bool:
    if question.goal is not None:
        return _serves(goal, question.goal, every, [])
    if question.from_ is None and question.to is None:
        today = moment(as_of).date()
        first, last = today, today
    else:
        start, end = period_of(question.from_, question.to, as_of)
        first, last = moment(start).date(), moment(end).date() - DAY
    return (
        goal["first_day"] <= last
        and goal["last_day"] >= first
        and question.metric in (None, goal["metric"])
        and question.team in (None, goal["scope"]["team"])
        and question.rep in (None, goal["scope"]["rep"])
    )


def _serves(goal: dict[str, Any], key: str, every: list[Any], seen: list[str]) -> bool:
    """Say whether a goal is another one, or stands somewhere below it."""
    if goal["goal"] == key:
        return True
    above = [it for it in every if it["goal"] == goal["parent"]]
    if not above or above[0]["goal"] in seen:
        return False
    return _serves(above[0], key, every, [*seen, goal["goal"]])


def _tree(goals: list[Any]) -> list[tuple[Any, int]]:
    """Put goals below those that they serve; those in a circle below the first of them."""
    found: list[tuple[Any, int]] = []

    def place(goal: Any, depth: int) -> None:  # noqa: ANN401
        if all(goal is not there for there, _ in found):
            found.append((goal, depth))
            for each in goals:
                if each["parent"] == goal["goal"]:
                    place(each, depth + 1)

    keys = [goal["goal"] for goal in goals]
    for goal in [it for it in goals if it["parent"] not in keys] + goals:
        place(goal, 0)
    return found


def _parts(goals: list[Any], every: list[Any]) -> list[Any]:
    """Give the goals that some are added up of, whatever else they are."""
    return [goal for goal in every if any(_is_part(goal, it, every) for it in goals)]


def _splits(
    goals: list[Any], values: dict[str, Any], every: list[Any]
) -> list[tuple[Any, ...]]:
    found: dict[tuple[str, str], list[Any]] = {}
    for goal in every:
        for above in goals:
            if _is_part(goal, above, every):
                mine, its = goal["scope"], above["scope"]
                parts = [n for n in mine if mine[n] is not None and mine[n] != its[n]]
                days = [(it["first_day"], it["last_day"]) for it in (goal, above)]
                parts += ["period"] if days[0] != days[1] else []
                by = ", ".join(parts) or "same scope and period"
                found.setdefault((above["goal"], by), []).append((above, goal))
    lines = []
    for (key, by), pairs in found.items():
        target = sum((goal["target"] for _, goal in pairs), Decimal(0))
        actual = sum((Fraction(values[goal["goal"]]) for _, goal in pairs), Fraction(0))
        lines.append((key, by, len(pairs), target, pairs[0][0]["target"] - target, actual))
    return sorted(lines, key=lambda line: line[:2])


def _is_part(goal: Any, above: Any, every: list[Any]) -> bool:  # noqa: ANN401
    return bool(
        above["goal"] == goal["parent"]
        and above["first_day"] <= goal["first_day"]
        and goal["last_day"] <= above["last_day"]
        and not _serves(above, goal["goal"], every, [])
        and all(above[name] == goal[name] for name in ("metric", "currency"))
        and goal["metric"] in ("sales", "orders", "created", "lost")
        and goal["standing"] != "abandoned"
    )


def _season(
    raw: list[Raw], goal: dict[str, Any], at: tuple[int, int], lacked: set[Any]
) -> Fraction | None:
    """Say which share of the same period a year before had come by as many working days."""
    if goal["metric"] in ("win_rate", "cycle_days", "contacts_per_deal", "figure:share"):
        return None
    days = (goal["first_day"], goal["last_day"])
    before = _year_before(*days)
    over = progress(goal, None, at[0], None)["days"]
    gone = over[0] - over[1]
    last = before[0] - DAY
    while last < before[1] and _working(before[0], last + DAY) <= gone:
        last += DAY
    whole, _ = value_of(raw, goal, before, at, lacked)
    if not whole:
        return None
    if last < before[0]:
        return Fraction(0)
    part, _ = value_of(raw, goal, (before[0], last), at, lacked)
    return Fraction(part) / Fraction(whole)


def _working(first: date, last: date) -> int:
    days = [first + n * DAY for n in range((last - first).days + 1)]
    return len([day for day in days if day.weekday() < 5])


def _year_before(first: date, last: date) -> tuple[date, date]:
    after = last + DAY
    months = (after.year - first.year) * 12 + after.month - first.month
    fits = first.day == after.day == 1 and months in (1, 3, 12)
    if fits and (first.month - 1) % months == 0:
        return first.replace(year=first.year - 1), after.replace(year=after.year - 1) - DAY
    return first - 364 * DAY, last - 364 * DAY


class _Close:
    """A figure of the oracle; equal to a Decimal of 28 digits that is near enough."""

    def __init__(self, exact: Any) -> None:  # noqa: ANN401
        self.exact = exact

    def __eq__(self, other: object) -> bool:
        if self.exact is None or other is None:
            return self.exact is other
        exact, found = Fraction(self.exact), Fraction(other)  # type: ignore[call-overload]
        return bool(abs(exact - found) <= NEAR * (1 + abs(exact)))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Close({self.exact})"


CASE = Case(asked(), said, wanted)

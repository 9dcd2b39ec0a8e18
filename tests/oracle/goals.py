"""Goals and outside figures, naively: replay every stream, measure each goal by itself.

Written from the words of the specification. Working days are Monday to Friday, counted one by
one; a day is over when its last microsecond has passed.
"""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid5

from oracle.beliefs import Raw, believed, moment, of_stream
from oracle.metrics import metrics_in
from oracle.periods import period_of
from oracle.rates import Asked, Exchange

__all__ = ["figures_at", "goals_at", "measured", "progress", "value_of"]

Goal = dict[str, Any]
GOALS = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a04")
LEVELS = (
    *("win_rate", "cycle_days", "contacts_per_deal", "csat", "repeat_rate"),
    "figure:share",
)
LOWER = ("lost", "cycle_days")
SCOPE = ("team", "rep", "customer", "channel", "product", "process", "stage")
DAY = timedelta(days=1)


def goals_at(events: list[Raw], as_of: int, known_at: int) -> list[Goal]:
    """Give the goals that are set at a moment, in order of their periods and keys."""
    streams = sorted({event["stream"] for event in events if event["kind"][:5] == "goal."})
    found = [_goal(of_stream(events, stream), as_of, known_at) for stream in streams]
    there = [goal for goal in found if goal is not None]
    return sorted(there, key=lambda goal: (goal["first_day"], goal["last_day"], goal["goal"]))


def _goal(events: list[Raw], as_of: int, known_at: int) -> Goal | None:
    history, goal = believed(events, known_at), None
    for event in history:
        fact, kind = event["payload"], event["kind"]
        if event["occurred"] > as_of or event["occurred"] < history[0]["occurred"]:
            continue
        if kind == "goal.set":
            is_its = str(uuid5(GOALS, fact["goal"])) == event["stream"]
            if event is history[0] and is_its and _can_be_measured(fact):
                goal = _set(fact)
        elif goal is None or goal["standing"] == "abandoned":
            continue
        elif kind == "goal.revised":
            _revise(goal, fact)
        elif kind == "goal.checked_in":
            goal["check_ins"].append((event["occurred"], Decimal(fact["confidence"])))
        else:
            goal["standing"] = kind.removeprefix("goal.")
    return goal


def _set(fact: dict[str, Any]) -> Goal:
    plain = ("goal", "metric", "currency", "unit", "parent", "strategy", "why_achievable")
    return {
        **{name: fact.get(name) for name in plain},
        "target": Decimal(fact["target"]),
        "baseline": None if fact.get("baseline") is None else Decimal(fact["baseline"]),
        "scope": {name: fact["scope"].get(name) for name in SCOPE},
        "first_day": date.fromisoformat(fact["first_day"]),
        "last_day": date.fromisoformat(fact["last_day"]),
        "standing": "set",
        "revisions": [],
        "check_ins": [],
    }


def _can_be_measured(fact: dict[str, Any]) -> bool:
    if fact["metric"] == "sales" and fact.get("currency") is None:
        return False
    if fact["metric"] == "stage_days" and fact["scope"].get("stage") is None:
        return False
    return bool(fact["first_day"] <= fact["last_day"])


def _revise(goal: Goal, fact: dict[str, Any]) -> None:
    days = [fact.get(name) or goal[name].isoformat() for name in ("first_day", "last_day")]
    if days[1] < days[0]:
        return
    before = goal["target"]
    for name in ("target", "baseline"):
        if fact.get(name) is not None:
            goal[name] = Decimal(fact[name])
    for name in ("first_day", "last_day"):
        if fact.get(name) is not None:
            goal[name] = date.fromisoformat(fact[name])
    goal["revisions"].append((before, goal["target"], fact.get("by")))


def figures_at(events: list[Raw], as_of: int, known_at: int) -> list[dict[str, Any]]:
    """Give the last report of each figure and period that counts."""
    reports = [event for event in events if event["kind"] == "figure.reported"]
    streams = {event["stream"] for event in reports}
    found: dict[Any, dict[str, Any]] = {}
    units: dict[str, str] = {}
    for stream in streams:
        for event in believed(of_stream(events, stream), known_at):
            fact = event["payload"]
            if event["occurred"] > as_of:
                continue
            if units.setdefault(fact["figure"], fact["unit"]) == fact["unit"]:
                key = (fact["figure"], fact["first_day"], fact["last_day"])
                found[key] = fact
    return [*found.values()]


def value_of(
    events: list[Raw],
    goal: Goal,
    days: tuple[date, date],
    at: tuple[int, int],
    lacked: set[Any] | None = None,
) -> tuple[Any, int]:
    """Give what a goal's metric came to in some days, and how many that rests on.

    What has no rate is added to `lacked`: into which currency, from which, and what it is.
    """
    metric, (first, last) = goal["metric"], days
    if metric.startswith("figure:"):
        return _reported(events, goal, days, at)
    span = period_of(first, last + DAY, at[0])
    scope = {"owner" if name == "rep" else name: it for name, it in goal["scope"].items()}
    asked = Asked(goal["currency"], "event", None)
    exchange = Exchange(events, asked, *at)
    found = metrics_in(events, [metric], span, at, by=None, scope=scope, exchange=exchange)
    value, n = found[metric].get(None, (None, 0))
    n = n or 0
    if metric == "sales":
        left_out = set() if lacked is None else lacked
        left_out |= {(goal["currency"], *each) for each in exchange.lacked}
        return (value or {}).get(goal["currency"], Decimal(0)), n
    return value, n


def _reported(
    events: list[Raw], goal: Goal, days: tuple[date, date], at: tuple[int, int]
) -> tuple[Any, int]:
    key = goal["metric"].removeprefix("figure:")
    mine = [
        (fact["last_day"], -date.fromisoformat(fact["first_day"]).toordinal(), fact)
        for fact in figures_at(events, *at)
        if fact["figure"] == key
        and days[0].isoformat() <= fact["first_day"]
        and fact["last_day"] <= days[1].isoformat()
    ]
    if not mine:
        return None, 0
    newest = max(last for last, _, _ in mine)
    ending = [(first, fact) for last, first, fact in mine if last == newest]
    longest = max(first for first, _ in ending)
    [fact] = [fact for first, fact in ending if first == longest]
    return (Decimal(fact["value"]), 1) if fact["unit"] == goal["unit"] else (None, 0)


def measured(
    events: list[Raw], goal: Goal, at: tuple[int, int], lacked: set[Any] | None = None
) -> tuple[Any, int]:
    """Give what a goal came to in its own period."""
    return value_of(events, goal, (goal["first_day"], goal["last_day"]), at, lacked)


def progress(goal: Goal, actual: Any, as_of: int, season: Fraction | None) -> dict[str, Any]:  # noqa: ANN401
    """Say how far a goal is attained, by the formulas of the specification."""
    over, whole = _days(goal, as_of)
    elapsed = Fraction(over, whole) if season is None else season
    target, baseline = Fraction(goal["target"]), goal["baseline"]
    value = None if actual is None else Fraction(actual)
    level = goal["metric"] in LEVELS
    attainment = expected = pace = projected = needed = None
    if not level:
        value = value or Fraction(0)
        expected = target * elapsed
        if target > 0 and goal["metric"] not in LOWER:  # a limit is kept or not, without share
            attainment = value / target
            pace = value / expected if expected else None
        projected = value / elapsed if elapsed else None
        left = whole - over
        missing = max(target - value, Fraction(0))
        if goal["metric"] not in LOWER:
            needed = missing / left if left else (None if missing else Fraction(0))
    else:
        projected = value
        if baseline is not None and not _is_beyond(goal):
            way = target - Fraction(baseline)
            expected = Fraction(baseline) + way * elapsed
            if value is not None and way:
                attainment = (value - Fraction(baseline)) / way
                pace = attainment / elapsed if elapsed else None
    return {
        "attainment": attainment,
        "expected": expected,
        "pace": pace,
        "projected": projected,
        "needed": needed,
        "days": (whole, whole - over),
        "elapsed": elapsed,
        "status": _status(goal, value, (pace, projected), last_over(as_of)),
    }


def _is_beyond(goal: Goal) -> bool:
    """Say whether a level stood beyond its target from the start."""
    if goal["metric"].startswith("figure:"):
        return False
    stood, target = goal["baseline"], goal["target"]
    return bool(stood < target if goal["metric"] in LOWER else stood > target)


def last_over(as_of: int) -> date:
    """Give the last day that has ended."""
    return moment(as_of + 1).date() - DAY


def _days(goal: Goal, as_of: int) -> tuple[int, int]:
    return days_over((goal["first_day"], goal["last_day"]), as_of)


def days_over(days: tuple[date, date], as_of: int) -> tuple[int, int]:
    """Count the working days that are over, and all of them."""
    every = [days[0] + n * DAY for n in range((days[1] - days[0]).days + 1)]
    working = [day for day in every if day.weekday() < 5] or every
    return len([day for day in working if day <= last_over(as_of)]), len(working)


def _status(goal: Goal, value: Fraction | None, ahead: Any, over: date) -> str:  # noqa: ANN401
    if goal["standing"] == "abandoned":
        return "abandoned"
    if over < goal["first_day"] and not value:
        return "not_started"
    return "unknown" if value is None else _standing(goal, value, ahead, over)


def _standing(goal: Goal, value: Fraction, ahead: Any, over: date) -> str:  # noqa: ANN401
    pace, projected = ahead
    level, target = goal["metric"] in LEVELS, Fraction(goal["target"])
    more = goal["metric"] not in LOWER
    if goal["metric"].startswith("figure:") and goal["baseline"] is not None:
        more = goal["target"] >= goal["baseline"]
    reached = value >= target if more else value <= target
    if over >= goal["last_day"]:
        return "attained" if reached else "missed"
    if level:
        return "on_track" if reached or (pace is not None and pace >= 1) else "behind"
    if more and reached:
        return "attained"
    good = more or reached
    if projected is not None:
        good = projected >= target if more else projected <= target
    return "on_track" if good else "behind"

"""What can be told of goals and outside figures, and asked of them, by a word and a number.

They are told of among deals (`histories.py`, `playing.py`), under numbers of their own: three
goals, which may serve one another, and behind them the book of outside figures. Some facts name
another goal than the one they are told of.
"""

from datetime import date
from decimal import Decimal
from typing import Any, Final

from properties.world import FIRST_GOAL, GOALS, OWNERS, STAGES, customer_id, stream_id
from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.event import Fact
from salesflow.domain.figures import FigureReported, Figures
from salesflow.domain.goal import (
    Goal,
    GoalAbandoned,
    GoalCheckedIn,
    GoalLocked,
    GoalRevised,
    GoalSet,
)
from salesflow.domain.smart import GoalScope
from salesflow.engine import Session

__all__ = ["GOAL_ORDERS", "GOAL_WORDS", "give_goal", "goal_fact"]

GOAL_WORDS: Final = (
    *("opened", "revised", "revised", "locked", "checked", "abandoned", "misnamed"),
)
GOAL_ORDERS: Final = ("set", "set", "revise", "revise", "lock", "check", "abandon")
DAYS: Final = (
    (date(2024, 1, 1), date(2024, 12, 31)),
    (date(2024, 1, 1), date(2024, 3, 31)),
    (date(2024, 1, 1), date(2024, 1, 31)),
    (date(2023, 12, 25), date(2024, 1, 14)),
    (date(2024, 2, 1), date(2024, 2, 29)),
    (date(2024, 1, 6), date(2024, 1, 7)),
)
"""Years, quarters and months, some days across a year's end, and a weekend."""
METRICS: Final[tuple[dict[str, Any], ...]] = (
    {"metric": "sales", "currency": "CNY", "target": Decimal(1000)},
    {"metric": "orders", "target": Decimal(2)},
    {"metric": "created", "target": Decimal(3), "baseline": Decimal(1)},
    {"metric": "lost", "target": Decimal(1)},
    {"metric": "win_rate", "target": Decimal("0.5"), "baseline": Decimal("0.2")},
    {"metric": "cycle_days", "target": Decimal(2), "baseline": Decimal(9)},
    {"metric": "sales", "currency": "USD", "target": Decimal(0)},
    {"metric": "contacts_per_deal", "target": Decimal(2)},
    {"metric": "sales", "target": Decimal(5)},  # of another system: no command sets it so
    {"metric": "stage_days", "target": Decimal(5)},
    {
        "metric": "figure:share",
        "target": Decimal("0.4"),
        "unit": "share",
        "baseline": Decimal(0),
    },
)
SCOPES: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"rep": OWNERS[0]},
    {"team": "east"},
    {"rep": OWNERS[1], "channel": "web"},
    {"customer": customer_id(1)},
    {"channel": "fair", "process": "standard"},
)


def goal_fact(goal: int, what: str, n: int) -> Fact:
    """Make the fact that is told of a goal, or of an outside figure behind them."""
    if goal % (len(GOALS) + 1) == len(GOALS):
        return _report(n)
    match what:
        case "revised":
            first, last = DAYS[n % len(DAYS)] if n % 3 != 1 else (None, None)
            if n % 3 == 2:  # which may end before the period begins
                first, last = (None, last) if n % 2 else (first, None)
            target = Decimal(n) if n % 2 else None
            because = {"by": "eva", "because": "so be it"} if n % 4 else {}
            return GoalRevised.model_validate(
                {"target": target, "first_day": first, "last_day": last, **because}
            )
        case "locked":
            return GoalLocked(by="eva")
        case "checked":
            return GoalCheckedIn(confidence=Decimal(n) / 100, note=f"note {n}")
        case "abandoned":
            return GoalAbandoned(because="no more")
        case _:
            named = GOALS[(goal + (what == "misnamed")) % len(GOALS)]
            return GoalSet.model_validate(_given(named, n))


def _report(n: int) -> FigureReported:
    first, last = DAYS[n % len(DAYS)]
    return FigureReported(
        figure="share" if n % 5 else "other",
        value=Decimal(n) / 100,
        unit="share" if n % 7 else "points",
        first_day=first,
        last_day=last,
        source=f"survey {n}",
    )


def _given(key: str, n: int) -> dict[str, Any]:
    """Give the fields of a goal; a figure from outside is of the whole company."""
    its = METRICS[n % len(METRICS)]
    scope = SCOPES[n // 2 % len(SCOPES)] if its["metric"] != "figure:share" else {}
    if its["metric"] == "contacts_per_deal" and n % 2:
        scope = {**scope, "stage": STAGES[n % 3]}
    first, last = DAYS[n % len(DAYS)]
    return {
        **its,
        "goal": key,
        "scope": GoalScope(**scope),
        "first_day": first,
        "last_day": last,
        "parent": (None, *GOALS)[n % 4],
        "strategy": "grow",
    }


def give_goal(session: Session, number: int, what: str, n: int, at: OccurredAt) -> None:
    """Give a command as a sales leader would."""
    place = (number - FIRST_GOAL) % (len(GOALS) + 1)
    if place == len(GOALS):
        figures = session.get(Figures, stream_id(number))
        said = dict(_report(n))
        del said["inferred"]
        figures.report(said.pop("figure"), **said, occurred_at=at)
        return
    if what == "set":
        given = _given(GOALS[place], n)
        scope = given.pop("scope").named
        if "customer" in scope:
            scope["customer"] = customer_id(1)
        key, why = given.pop("goal"), "we can"
        session.add(Goal.set(key, **given, **scope, why_achievable=why, occurred_at=at))
        return
    goal = session.get(Goal, stream_id(number))
    match what:
        case "revise":
            by, because = ("eva", "so be it") if n % 3 else (None, None)
            goal.revise(target=Decimal(n), by=by, because=because, occurred_at=at)
        case "lock":
            goal.lock(by="eva", occurred_at=at)
        case "check":
            goal.check_in(confidence=Decimal(n) / 100, occurred_at=at)
        case _:
            goal.abandon(because="no more", occurred_at=at)

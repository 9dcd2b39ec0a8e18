"""Incentive plans for random histories: terms of every sort, and their next versions."""

from datetime import date, timedelta
from random import Random
from typing import Any, Final

from properties.world import OWNERS
from salesflow.domain.contest import Contest, Prize
from salesflow.domain.incentive_plan import IncentivePlan, PlanTerms, plan_id
from salesflow.engine import SalesFlow
from salesflow.errors import RuleError

__all__ = [
    "CONTEST",
    "EVERYBODYS",
    "PLAN",
    "founded",
    "publish_plan",
    "supersede_plan",
    "terms",
]

PLAN: Final = "ae"
EVERYBODYS: Final = "all"
CONTEST: Final = "new-year"
FIRST_DAY: Final = date(2023, 12, 1)
TIERS: Final[tuple[tuple[dict[str, str], ...], ...]] = (
    (),
    ({"starts_at": "100", "rate": "0.08"},),
    ({"starts_at": "50.5", "rate": "0.08"}, {"starts_at": "98000", "rate": "0.123456"}),
)
SPIFFS: Final[tuple[tuple[dict[str, Any], ...], ...]] = (
    (),
    ({"key": "s", "rate": "0.013", "first_day": "2024-01-02", "last_day": "2024-01-12"},),
    ({"key": "b", "bonus": "33.33"}, {"key": "r", "rate": "0.01"}),
    (
        {"key": "p", "rate": "0.02", "bonus": "9.99", "product": "p0"},
        {"key": "q", "bonus": "7.77", "product": "p1", "last_day": "2024-01-20"},
        {"key": "f", "bonus": "5", "customers": "new"},
    ),
    (
        {"key": "n", "bonus": "50", "customers": "new"},
        {"key": "o", "rate": "0.011", "product": "q1", "first_day": "2024-01-03"},
        {"key": "p", "rate": "0.5", "product": "p1", "customers": "new"},
    ),
)


def terms(rng: Random, accrual: str | None = None) -> PlanTerms:
    """Draw the terms of a plan."""
    quota = {
        "quota": "150",
        "accelerators": ({"starts_at": "1", "factor": "1.5"},),
        "decelerators": ({"ends_at": "0.333333", "factor": "0.5"},),
    }
    parts: tuple[dict[str, Any], ...] = (
        {"rate": "0.05", "tiers": rng.choice(TIERS), "spiffs": rng.choice(SPIFFS)},
        {"tiers_pay": rng.choice(("marginal", "marginal", "retroactive"))},
        {"accrual": accrual or rng.choice(("period_to_date", "year_to_date"))},
        {"crediting": rng.choice(("closing", "closing", "payment", "invoice"))},
        rng.choice(({}, {}, {"threshold": "60"})),
        rng.choice(({}, quota)),
        rng.choice(({}, {}, {"cap": "4000"})),
        rng.choice(({}, {}, {"draw": "31"}, {"guarantee": "17"})),
        rng.choice(({}, {"clawback_days": 0}, {"clawback_days": 3}, {"clawback_days": 12})),
    )
    found: dict[str, Any] = {}
    for part in parts:
        found |= part
    return PlanTerms.model_validate(found)


def founded() -> tuple[IncentivePlan, Contest]:
    """Give the plan and the contest of the small world, which every history begins with."""
    plan = IncentivePlan.publish(
        EVERYBODYS,
        name_en="For all",
        name_zh="全员",
        currency="CNY",
        starts=FIRST_DAY,
        terms=PlanTerms.model_validate(
            {"rate": "0.05", "tiers": TIERS[1], "accrual": "year_to_date", "clawback_days": 20}
        ),
    )
    contest = Contest.open(
        CONTEST,
        name_en="New year",
        name_zh="新年",
        metric="orders",
        first_day=FIRST_DAY,
        last_day=date(2024, 1, 20),
        participants=OWNERS[:2],
        prizes=(Prize(rank=1, prize="a bicycle"),),
    )
    return plan, contest


def publish_plan(flow: SalesFlow, terms: PlanTerms, whom: int = 0) -> None:
    """Publish a plan when the history begins: for all, for some reps, or for a team."""
    whose: dict[str, Any] = ({}, {"reps": OWNERS[:2]}, {"teams": ("east",)})[whom % 3]
    with flow.session() as session:
        session.add(
            IncentivePlan.publish(
                PLAN,
                name_en="Account executives",
                name_zh="客户经理",
                currency="CNY",
                starts=FIRST_DAY,
                terms=terms,
                **whose,
            )
        )


def supersede_plan(flow: SalesFlow, terms: PlanTerms, days: int, *, continues: bool) -> None:
    """Publish the next version, from today or a later day on; some cannot continue."""
    with flow.session() as session:
        plan = session.get(IncentivePlan, plan_id(PLAN))
        today = plan.context.now
        day = date(1970, 1, 1) + timedelta(microseconds=today)
        try:
            plan.supersede(
                starts=day + timedelta(days=days),
                terms=terms,
                because="a new idea",
                continues=continues,
            )
        except RuleError:
            assert continues, "only what accrues otherwise cannot be continued"

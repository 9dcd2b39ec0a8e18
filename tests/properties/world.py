"""The small world the random histories are set in: deals, reps, money and three processes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from salesflow.domain.figures import FIGURES_ID
from salesflow.domain.goal import goal_id
from salesflow.domain.process import ProcessVersion, Stage
from salesflow.domain.rep import rep_id
from salesflow.domain.standard_process import STANDARD
from salesflow.domain.values import Money

__all__ = [
    "CRM",
    "CURRENCIES",
    "CUSTOMERS",
    "DEALS",
    "DELTAS",
    "FIRST_CUSTOMER",
    "FIRST_GOAL",
    "FIRST_REP",
    "GOALS",
    "HOUR",
    "OWNERS",
    "PROCESSES",
    "STAGES",
    "STANDARD_2",
    "START",
    "at",
    "customer_id",
    "deal_id",
    "instant",
    "money",
    "stream_id",
]

HOUR = 3_600_000_000
START = datetime(2024, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DELTAS = (0, 1, 2, 1_000_000, HOUR, 5 * HOUR, 24 * HOUR, 240 * HOUR)
"""How far two instants of a history lie apart, in microseconds: ties and neighbours abound."""

DEALS = 4
CUSTOMERS = 3
FIRST_CUSTOMER = 100
"""What is told of a lower number is told of a deal."""
FIRST_REP = 200
"""What is told of a lower number is told of a deal or a customer, the rest of a rep."""
FIRST_GOAL = 300
"""From here on of a goal, the last of which is the book of outside figures."""
GOALS = ("year", "q1-ann", "q1-rate")
OWNERS = ("ann", "bob", "cho")
CURRENCIES = ("CNY", "USD", "EUR")
AMOUNTS = ("0", "100", "98000", "0.000001", "12.345678", "-7.5", "9223372036854.775807")


def deal_id(number: int) -> UUID:
    """Name one of the few deals of a history."""
    return UUID(int=0xDEA1_0000 + number % DEALS)


def customer_id(number: int) -> UUID:
    """Name one of the few customers of a history."""
    return UUID(int=0xC057_0000 + number % CUSTOMERS)


def stream_id(number: int) -> UUID:
    """Name what is told of by a number."""
    if number < FIRST_CUSTOMER:
        return deal_id(number)
    if number < FIRST_REP:
        return customer_id(number - FIRST_CUSTOMER)
    if number >= FIRST_GOAL:
        keys = dict(enumerate(GOALS))
        key = keys.get((number - FIRST_GOAL) % (len(GOALS) + 1))
        return FIGURES_ID if key is None else goal_id(key)
    return rep_id(OWNERS[(number - FIRST_REP) % len(OWNERS)])


def instant(moment: datetime) -> int:
    """Write a time as microseconds since 1970 UTC."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def at(microseconds: int) -> datetime:
    """Give microseconds since 1970 UTC as an aware time."""
    return EPOCH + timedelta(microseconds=microseconds)


def money(n: int) -> Money:
    """Give one of few amounts in one of few currencies."""
    return Money(AMOUNTS[n % len(AMOUNTS)], CURRENCIES[n // len(AMOUNTS) % len(CURRENCIES)])


def _stage(key: str, probability: str, category: str = "open") -> Stage:
    return Stage.model_validate(
        {
            "key": key,
            "name_en": key,
            "name_zh": key,
            "category": category,
            "probability": Decimal(probability),
            "forecast_category": {"won": "closed", "open": "pipeline"}.get(category, "omitted"),
        }
    )


STANDARD_2 = ProcessVersion(
    key="standard",
    version=2,
    name_en="Standard sales process",
    name_zh="标准销售流程",
    stages=(
        *(
            stage
            for stage in STANDARD.stages
            if stage.key in {"prospecting", "initial_contact"}
        ),
        _stage("pilot", "0.35"),
        _stage("needs_analysis", "0.45"),
        _stage("negotiation", "0.85"),
        _stage("after_sales", "1", "after_sales"),
    ),
    qualifying_stage="pilot",
)
"""A stage inserted (pilot), one removed (solution_design), probabilities changed."""

CRM = ProcessVersion(
    key="crm",
    version=1,
    name_en="Imported pipeline",
    name_zh="导入流程",
    stages=(
        _stage("new", "0.1"),
        _stage("negotiation", "0.333333"),
        _stage("closed_won", "1", "won"),
        _stage("closed_lost", "0", "lost"),
        _stage("junk", "0", "disqualified"),
    ),
)
"""A process as other systems keep it: entering some of its stages *is* an outcome.

One of its stages has a key that the other process has too.
"""

PROCESSES = (STANDARD, STANDARD_2, CRM)
STAGES = tuple(dict.fromkeys(stage.key for process in PROCESSES for stage in process.stages))

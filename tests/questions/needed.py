"""What questions cannot do without, and what has to be told so that there is such a thing."""

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from salesflow import (
    STANDARD,
    Contest,
    Deal,
    Improvement,
    IncentivePlan,
    PlanTerms,
    SalesFlow,
    Training,
)
from salesflow.projections.core.question import Question, View

__all__ = ["needed_by", "tell_what_is_needed"]


OF_OPEN_DEALS = {"commission-estimate"}
"""Questions of a deal that has to be open."""
OPEN_DEAL = UUID("0bea1000-0000-4000-8000-000000000001")
BEGINS = datetime(2020, 1, 1, tzinfo=UTC)


def needed_by(
    question: type[Question[View]], deal: UUID, open_deal: UUID | None = None
) -> dict[str, object]:
    """Give the parameters that a question cannot do without."""
    known: dict[str, object] = {
        "deal": (open_deal or OPEN_DEAL) if question.name in OF_OPEN_DEALS else deal,
        "rep": "ann",
        "training": "nego-1",
        "contest": "spring",
        "improvement": "trial",
    }
    fields = question.model_fields.items()
    return {name: known[name] for name, field in fields if field.is_required()}


def tell_what_is_needed(flow: SalesFlow) -> None:
    """Let there be what such parameters name, but for deals and reps, of whom any will do."""
    with flow.session() as session:
        session.add(
            Training.offer("nego-1", name_en="Bargaining", name_zh="谈判", metric="won")
        )
        session.add(
            Improvement.propose(
                "trial",
                hypothesis="Let them try it",
                change="process",
                metric="won",
                occurred_at=datetime(2020, 1, 2, tzinfo=UTC),
            )
        )
        session.add(
            Deal.open(STANDARD, title="Open", owner="ann", occurred_at=BEGINS, id=OPEN_DEAL)
        )
        session.add(
            IncentivePlan.publish(
                "ae",
                name_en="All",
                name_zh="全员",
                currency="CNY",
                period="quarter",
                reps=("ann",),
                starts=BEGINS.date(),
                terms=PlanTerms(rate=Decimal("0.05")),
                occurred_at=BEGINS,
            )
        )
        session.add(
            Contest.open(
                "spring",
                name_en="Spring",
                name_zh="春季",
                metric="orders",
                first_day=date(2026, 1, 1),
                last_day=date(2026, 3, 31),
                occurred_at=BEGINS,
            )
        )

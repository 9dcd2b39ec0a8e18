"""What questions cannot do without, and what has to be told so that there is such a thing."""

from datetime import UTC, datetime
from uuid import UUID

from salesflow import Improvement, SalesFlow, Training
from salesflow.projections.core.question import Question, View

__all__ = ["needed_by", "tell_what_is_needed"]


def needed_by(question: type[Question[View]], deal: UUID) -> dict[str, object]:
    """Give the parameters that a question cannot do without."""
    known: dict[str, object] = {"deal": deal, "rep": "ann", "training": "nego-1"}
    known["improvement"] = "trial"
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

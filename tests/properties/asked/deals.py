"""The list of deals, and what a naive replay says of it."""

from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.deals import deal_at, deals_of
from oracle.timelines import SHOWN, timeline_at
from properties.asked.case import Case
from properties.world import instant
from salesflow.projections.pipeline.deals import Deals, DealsView

__all__ = ["CASE"]

ASKED = (Deals(), Deals(owner="ann"), Deals(outcome="open"), Deals(process="crm", limit=1))


def said(view: DealsView) -> tuple[int, list[Any]]:
    """Write the list as the oracle does."""
    return view.deals_total, [
        (
            str(deal.deal),
            instant(deal.since),
            {
                "process": deal.process,
                "process_version": deal.process_version,
                "stage": deal.stage,
                "standing": deal.outcome,
                "owner": deal.owner,
                "customer": deal.customer_id and str(deal.customer_id),
                "amount": None if deal.amount is None else (deal.amount, deal.currency),
                "expected_close": deal.expected_close,
                "forecast_category": deal.forecast_category,
                "probability": deal.probability,
            },
        )
        for deal in view.deals
    ]


def wanted(raw: list[Raw], question: Deals, as_of: int, known_at: int) -> tuple[int, list[Any]]:
    """Replay every deal, keep those asked for, the last changed first."""
    found = []
    for stream in deals_of(raw):
        state = deal_at(raw, stream, as_of, known_at)
        if state is None or not _asked_for(state, question):
            continue
        timeline = timeline_at(raw, stream, as_of, known_at)
        assert timeline is not None
        since = timeline[0][-1][0]
        found.append((stream, since, {name: state[name] for name in SHOWN}))
    found.sort(key=lambda one: (-one[1], one[0]))
    return len(found), found[: question.limit]


def _asked_for(state: dict[str, Any], question: Deals) -> bool:
    return (
        question.owner in (None, state["owner"])
        and question.outcome in (None, state["standing"])
        and question.process in (None, state["process"])
    )


CASE = Case(st.sampled_from(ASKED), said, wanted)

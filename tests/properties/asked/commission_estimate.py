"""What a deal would pay, and what a naive replay works out with and without it."""

from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.commissions import estimates_in
from properties.asked.case import Case
from properties.plans import EVERYBODYS
from properties.world import DEALS, deal_id
from salesflow.projections.incentives.commission_estimate import (
    CommissionEstimate,
    CommissionEstimateView,
)

__all__ = ["CASE"]


def said(view: CommissionEstimateView) -> dict[str, Any]:
    """Write the estimates as the oracle does."""
    return {
        each.rep: (each.plan_version, each.share, each.credited, each.commission)
        for each in view.estimates
    }


def wanted(
    raw: list[Raw], question: CommissionEstimate, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Ask the oracle."""
    return estimates_in(raw, EVERYBODYS, str(question.deal), as_of, known_at)


def _asked(deal: UUID) -> CommissionEstimate:
    return CommissionEstimate(deal=deal)


CASE = Case(st.integers(0, DEALS - 1).map(deal_id).map(_asked), said, wanted)

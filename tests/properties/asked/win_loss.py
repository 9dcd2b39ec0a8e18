"""Why deals were won and lost, and what a naive replay says of it."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.interviews import interviews_in
from oracle.periods import period_of
from oracle.similar_deals import similar_at
from oracle.win_loss import win_loss_in
from properties.asked.case import (
    About,
    Case,
    exchange_for,
    said_of_rates,
    with_rates,
)
from properties.asked.periods import periods
from properties.world import deal_id
from salesflow.projections.cases.win_loss import Driver, WinLoss, WinLossView

__all__ = ["CASE"]


def asked() -> st.SearchStrategy[WinLoss]:
    """Draw a question."""
    return st.builds(
        lambda period, only, like, rates: WinLoss.model_validate(
            {"from_": period[0], "to": period[1], **only, **like, **rates}
        ),
        periods(),
        st.sampled_from(({}, {}, {}, {"owner": "ann"}, {"interviewed_within": 1})),
        st.one_of(
            st.just({}),
            st.builds(
                lambda number, similar: {"deal": deal_id(number), "similar": similar},
                st.integers(0, 2),
                st.sampled_from((1, 5)),
            ),
        ),
        with_rates("event", "closing", "period_end"),
    )


def said(view: WinLossView) -> dict[str, Any]:
    """Write the answer as the oracle does."""
    return {
        "won": view.won,
        "lost": view.lost,
        "drivers": {(d.factor, d.detail): _driver(d) for d in view.drivers},
        "losses": [
            (loss.currency, loss.because, loss.deals, loss.amount) for loss in view.losses
        ],
        "lost_to": {other.competitor: other.deals for other in view.lost_to},
        "interviews": _interviews(view),
        "rates": said_of_rates(view.rates),
        "similar": [
            (str(each.deal), each.outcome, each.score, each.stages_shared, each.stages_all)
            for each in view.similar
        ],
        "similar_won": view.similar_won and (view.similar_won.value, view.similar_won.count),
    }


def _interviews(view: WinLossView) -> dict[str, Any]:
    its = view.interviews
    if its.agreement is not None:
        assert its.agreement.value == Decimal(its.agree) / its.compared
    counts = (its.closed, its.interviewed, its.within, its.due, its.compared, its.agree)
    return {
        "counts": counts,
        "reasons": {
            each.reason: (each.lost, each.seller_too, each.seller_alone, each.won)
            for each in view.buyer_reasons
        },
        "competitors": {
            each.competitor: (each.lost, each.seller_too, each.seller_alone, each.won)
            for each in view.buyer_competitors
        },
    }


def wanted(
    raw: list[Raw], question: WinLoss, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Ask the oracle; None where the deal named is not there, or merged."""
    like: list[tuple[Any, ...]] | None = []
    if question.deal is not None:
        like = similar_at(raw, str(question.deal), as_of, known_at, question.similar)
    if like is None:
        return None
    period = period_of(question.from_, question.to, as_of)
    exchange = exchange_for(raw, question, as_of, known_at)
    only = {"process": question.process, "owner": question.owner}
    found = win_loss_in(raw, period, as_of, known_at, exchange=exchange, **only)
    found["rates"] = exchange.said()
    days = question.interviewed_within
    found["interviews"] = interviews_in(raw, period, as_of, known_at, only, days)
    if question.report_currency is not None:
        found["losses"] = [(*loss, About(amount)) for *loss, amount in found["losses"]]
    found["drivers"] = {
        name: (*counts, None if apart is None else pytest.approx(float(apart)))
        for name, (*counts, apart) in found["drivers"].items()
    }
    found["similar"] = [
        (deal, outcome, Decimal(score.numerator) / score.denominator, *stages)
        for deal, outcome, score, *stages in like
    ]
    won = sum(outcome == "won" for _, outcome, *_ in like)
    found["similar_won"] = (Decimal(won) / len(like), len(like)) if like else None
    return found


def _driver(driver: Driver) -> tuple[int | float | None, ...]:
    apart = driver.difference
    return (
        *(driver.won_with, driver.lost_with, driver.won_without, driver.lost_without),
        None if apart is None else float(Fraction(apart.value)),
    )


CASE = Case(asked(), said, wanted)

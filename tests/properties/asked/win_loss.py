"""Why deals were won and lost, and what a naive replay says of it."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.periods import period_of
from oracle.win_loss import win_loss_in
from properties.asked.case import Case
from properties.asked.periods import periods
from salesflow.projections.win_loss import Driver, WinLoss, WinLossView

__all__ = ["CASE"]


def asked() -> st.SearchStrategy[WinLoss]:
    """Draw a question."""
    return st.builds(
        lambda period, only: WinLoss.model_validate(
            {"from_": period[0], "to": period[1], **only}
        ),
        periods(),
        st.sampled_from(({}, {}, {}, {"owner": "ann"}, {"process": "standard"})),
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
    }


def wanted(raw: list[Raw], question: WinLoss, as_of: int, known_at: int) -> dict[str, Any]:
    """Ask the oracle."""
    period = period_of(question.from_, question.to, as_of)
    found = win_loss_in(
        raw, period, as_of, known_at, process=question.process, owner=question.owner
    )
    found["drivers"] = {
        name: (*counts, None if apart is None else pytest.approx(float(apart)))
        for name, (*counts, apart) in found["drivers"].items()
    }
    return found


def _driver(driver: Driver) -> tuple[int | float | None, ...]:
    apart = driver.difference
    return (
        *(driver.won_with, driver.lost_with, driver.won_without, driver.lost_without),
        None if apart is None else float(Fraction(apart.value)),
    )


CASE = Case(asked(), said, wanted)

"""What a deal is worth, when, and how surely: in one place for the deal and for every fold.

The amount is the latest that was said of it by DealOpened, ForecastGiven, LineItemsAgreed
(their sum), DealWon (signed, else what it was) and ContractAmended; nothing else moves it.
Category and probability are those of the stage until somebody gives others; closed deals are
certain.
"""

from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from salesflow.domain.deal.lines import total_of
from salesflow.domain.deal.money import ContractAmended, ForecastGiven, LineItemsAgreed
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.facts import Fact
from salesflow.domain.processes import ForecastCategory, Outcome, Stage
from salesflow.domain.values import Money

__all__ = ["WORTH_FACTS", "Worth"]

WORTH_FACTS: Final[frozenset[type[Fact]]] = frozenset(
    {DealOpened, ForecastGiven, LineItemsAgreed, DealWon, ContractAmended}
)
"""The facts that may move a deal's worth."""

IMPOSSIBLE, CERTAIN = Decimal(0), Decimal(1)


class Worth(NamedTuple):
    """A deal's amount and expected close; category and probability where somebody gave them."""

    amount: Money | None = None
    expected_close: date | None = None
    category_given: ForecastCategory | None = None
    probability_given: Decimal | None = None

    def after(self, fact: Fact) -> "Worth":
        """Give the worth after a fact that has ground."""
        if type(fact) not in WORTH_FACTS:
            return self
        match fact:
            case DealOpened():
                return Worth(fact.amount, fact.expected_close)
            case ForecastGiven():
                return self._forecast(fact)
            case LineItemsAgreed():
                return self._replace(amount=total_of(fact.lines) or self.amount)
            case DealWon() | ContractAmended() if fact.amount is not None:
                return self._replace(amount=fact.amount)
            case _:
                return self

    def _forecast(self, fact: ForecastGiven) -> "Worth":
        amount, close, category, probability = self
        if fact.amount is not None or "amount" in fact.cleared:
            amount = fact.amount
        if fact.expected_close is not None or "expected_close" in fact.cleared:
            close = fact.expected_close
        if fact.category is not None or "category" in fact.cleared:
            category = fact.category
        if fact.probability is not None or "probability" in fact.cleared:
            probability = fact.probability
        return Worth(amount, close, category, probability)

    def probability(self, stage: Stage | None, outcome: Outcome) -> Decimal:
        """Give the chance to win: 1 when won, 0 when lost or in a stage nobody knows."""
        if outcome != "open":
            return CERTAIN if outcome == "won" else IMPOSSIBLE
        if self.probability_given is not None:
            return self.probability_given
        return IMPOSSIBLE if stage is None else stage.probability

    def category(self, stage: Stage | None, outcome: Outcome) -> ForecastCategory:
        """Give where the deal counts in a forecast."""
        if outcome != "open":
            return "closed" if outcome == "won" else "omitted"
        if self.category_given is not None:
            return self.category_given
        return "pipeline" if stage is None else stage.forecast_category

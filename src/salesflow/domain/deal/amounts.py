"""The amount of a deal, in one place for the deal itself and for every fold."""

from salesflow.domain.deal.lines import total_of
from salesflow.domain.deal.money import ContractAmended, ForecastGiven, LineItemsAgreed
from salesflow.domain.deal.outcomes import DealWon
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.facts import Fact
from salesflow.domain.values import Money

__all__ = ["amount_after"]


def amount_after(fact: Fact, before: Money | None) -> Money | None:
    """Give a deal's amount after a fact that has ground: the latest that was said of it.

    DealOpened, ForecastGiven, LineItemsAgreed (their sum), DealWon (signed, else what it
    was), ContractAmended; nothing else moves it.
    """
    match fact:
        case ForecastGiven():
            return None if "amount" in fact.cleared else fact.amount or before
        case DealOpened() | DealWon() | ContractAmended():
            return fact.amount or before
        case LineItemsAgreed():
            return total_of(fact.lines) or before
        case _:
            return before

"""The closed list of facts; a kind that is not here is never read back."""

from typing import Final

from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal
from salesflow.domain.facts import FactCatalogue, FactRetracted
from salesflow.domain.processes import SalesProcess
from salesflow.domain.rates import RateTable
from salesflow.domain.settings import Settings

__all__ = ["AGGREGATES", "CATALOGUE"]

AGGREGATES: Final = (Settings, RateTable, SalesProcess, Customer, Deal)

CATALOGUE: Final = FactCatalogue(
    (FactRetracted, *(fact for aggregate in AGGREGATES for fact in aggregate.facts))
)
"""Every fact there is, by its stored kind and version."""

"""The closed list of facts; a kind that is not here is never read back."""

from collections.abc import Iterable
from typing import Final

from salesflow.domain.aggregate import Aggregate
from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal
from salesflow.domain.facts import Event, FactCatalogue, FactRetracted
from salesflow.domain.processes import SalesProcess
from salesflow.domain.rates import RateTable
from salesflow.domain.reps import Rep
from salesflow.domain.settings import Settings
from salesflow.domain.teams import Team

__all__ = ["AGGREGATES", "CATALOGUE", "aggregate_of", "noun_of"]

AGGREGATES: Final = (Settings, RateTable, SalesProcess, Team, Rep, Customer, Deal)

CATALOGUE: Final = FactCatalogue(
    (FactRetracted, *(fact for aggregate in AGGREGATES for fact in aggregate.facts)),
    homes={fact: aggregate.noun for aggregate in AGGREGATES for fact in aggregate.facts},
)
"""Every fact of the package, by its stored kind and version."""


def aggregate_of(stream: Iterable[Event]) -> type[Aggregate]:
    """Say what a stream is about, by the first of its facts that some aggregate records."""
    facts = [type(event.fact) for event in stream]
    return next(kind for fact in facts for kind in AGGREGATES if fact in kind.facts)


def noun_of(topic: str) -> str:
    """Say what a stream is about that begins with a fact stored so; "" when it is not ours."""
    return _NOUNS.get(topic.partition(":")[0], "")


_NOUNS: Final = {fact.kind: kind.noun for kind in AGGREGATES for fact in kind.facts}

"""The closed list of facts; a kind that is not here is never read back."""

from collections.abc import Iterable
from typing import ClassVar, Final

from salesflow.domain.aggregate import Aggregate
from salesflow.domain.customer import Customer
from salesflow.domain.deal import Deal
from salesflow.domain.event import Event, Fact, FactCatalogue, FactRetracted, UnreadableFact
from salesflow.domain.exchange_rates import RateTable
from salesflow.domain.history import State
from salesflow.domain.process import SalesProcess
from salesflow.domain.rep import Rep
from salesflow.domain.settings import Settings
from salesflow.domain.team import Team

__all__ = ["AGGREGATES", "CATALOGUE", "aggregate_of", "noun_of"]

AGGREGATES: Final = (Settings, RateTable, SalesProcess, Team, Rep, Customer, Deal)

CATALOGUE: Final = FactCatalogue(
    (FactRetracted, *(fact for aggregate in AGGREGATES for fact in aggregate.facts)),
    homes={fact: aggregate.noun for aggregate in AGGREGATES for fact in aggregate.facts},
)
"""Every fact of the package, by its stored kind and version."""


class _OtherState(State):
    """Nothing: what the facts of other people mean is not known here."""

    def evolve(self, _: Event) -> str | None:
        """Leave it to whoever knows."""
        return None


class _Other(Aggregate, _OtherState):
    """Something of which only facts of other people are told; see `aggregate_of`."""

    noun: ClassVar[str] = "thing"


def aggregate_of(stream: Iterable[Event]) -> type[Aggregate]:
    """Return what a stream is about, by the first of its facts that some aggregate records.

    A stream that only facts of other people tell of can be mended all the same.
    """
    facts = [_class_of(event.fact) for event in stream]
    ours = (kind for fact in facts for kind in AGGREGATES if fact in kind.facts)
    return next(ours, None) or type(
        "_Other", (_Other,), {"facts": (*filter(None, dict.fromkeys(facts)),)}
    )


def noun_of(topic: str) -> str:
    """Return what a stream is about that begins with a fact stored so; "" if it is not ours."""
    return _NOUNS.get(topic.partition(":")[0], "")


_NOUNS: Final = {fact.kind: kind.noun for kind in AGGREGATES for fact in kind.facts}


def _class_of(fact: Fact) -> type[Fact] | None:
    return CATALOGUE.class_of(fact.stored) if isinstance(fact, UnreadableFact) else type(fact)

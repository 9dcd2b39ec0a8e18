"""Mistakes that are put into the engine, each of which a property has to notice."""

from collections.abc import Sequence

import pytest

from salesflow.adapters.refolding import Absorber, Believed, Order
from salesflow.domain.facts import Event
from salesflow.domain.history import order

__all__ = ["late_facts_as_they_come"]


def late_facts_as_they_come(patch: pytest.MonkeyPatch) -> None:
    """Take every append for one that is in order, once the entity has begun."""
    right = Absorber._follows

    def wrong(belief: Believed, append: Sequence[Event]) -> Order | None:
        return right(belief, append) if belief.last is None else order(append[-1])

    patch.setattr(Absorber, "_follows", staticmethod(wrong))

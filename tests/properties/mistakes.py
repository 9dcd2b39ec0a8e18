"""Mistakes that are put into the engine, each of which a property has to notice."""

from collections.abc import Sequence

import pytest

from salesflow.adapters.projector.entity_updates import EntityUpdater, HeldEntity, OrderKey
from salesflow.domain.event import Event, order_key

__all__ = ["late_facts_as_they_come"]


def late_facts_as_they_come(patch: pytest.MonkeyPatch) -> None:
    """Take every append for one that is in order, once the entity has begun."""
    right = EntityUpdater._last_if_in_order

    def wrong(held: HeldEntity, append: Sequence[Event]) -> OrderKey | None:
        return right(held, append) if held.last is None else order_key(append[-1])

    patch.setattr(EntityUpdater, "_last_if_in_order", staticmethod(wrong))

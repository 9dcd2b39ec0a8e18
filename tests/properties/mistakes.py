"""Mistakes that are put into the engine, each of which a property has to notice."""

from collections.abc import Sequence

import pytest

from salesflow.adapters.projector.entity_updates import EntityUpdater, OrderKey
from salesflow.domain.event import Event

__all__ = ["late_facts_as_they_come"]


def late_facts_as_they_come(patch: pytest.MonkeyPatch) -> None:
    """Take all events for such that are in order, once the entity has begun."""
    right = EntityUpdater._in_order

    def wrong(last: OrderKey | None, events: Sequence[Event]) -> int:
        return right(None, events) if last is None else len(events)

    patch.setattr(EntityUpdater, "_in_order", staticmethod(wrong))

"""Mistakes that are put into the engine, each of which a property has to notice."""

from collections.abc import Sequence

import pytest

from salesflow.adapters.projector.interval_tables import CachedEntity, OrderKey, TableUpdater
from salesflow.domain.event import Event, order_key

__all__ = ["late_facts_as_they_come"]


def late_facts_as_they_come(patch: pytest.MonkeyPatch) -> None:
    """Take every append for one that is in order, once the entity has begun."""
    right = TableUpdater._last_if_in_order

    def wrong(belief: CachedEntity, append: Sequence[Event]) -> OrderKey | None:
        return right(belief, append) if belief.last is None else order_key(append[-1])

    patch.setattr(TableUpdater, "_last_if_in_order", staticmethod(wrong))

"""Histories of deals that are one: the survivor's, and those of all that was merged into it.

Histories stay apart; here they are only read together. A merge counts while it stands on the
deal that was merged, which is also what every figure goes by.
"""

from collections.abc import Callable
from uuid import UUID

from salesflow.domain.deal import Deal
from salesflow.domain.deal.merging import DealAbsorbed
from salesflow.domain.event import Event
from salesflow.domain.state import ReplayContext
from salesflow.errors import NotFoundError

__all__ = ["merged_history"]


def merged_history(
    id: UUID, events_of: Callable[[UUID], list[Event]], context: ReplayContext
) -> list[Event]:
    """Give a deal's events and those of every deal merged into it, in the order of the log."""
    found: dict[UUID, list[Event]] = {}
    waiting = [id]
    while waiting:
        survivor = waiting.pop()
        found[survivor] = events_of(survivor)
        named = {
            event.fact.absorbed
            for event in found[survivor]
            if isinstance(event.fact, DealAbsorbed)
        }
        waiting += [
            absorbed
            for absorbed in named.difference(found, waiting)
            if _merged_into(absorbed, events_of(absorbed), context) == survivor
        ]
    events = [event for history in found.values() for event in history]
    return sorted(events, key=lambda event: event.position)


def _merged_into(id: UUID, events: list[Event], context: ReplayContext) -> UUID | None:
    try:
        return Deal.replay(id, events, context=context).merged_into
    except NotFoundError:
        return None

"""Which imported facts have no ground: recorded all the same, counted by no figure, listed.

A source may tell that a closed deal moved on, or that an offer it never made was accepted.
Such facts are kept (see `salesflow.domain.deal.ground`); the report names them, so that a
mapping that misreads its table is noticed at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from salesflow.adapters.importing.told import Told
from salesflow.domain.deal.ground import Ground
from salesflow.domain.facts import Event
from salesflow.domain.history import believed
from salesflow.domain.moments import FOREVER
from salesflow.domain.processes import ProcessVersion

__all__ = ["Groundless", "groundless"]

NOBODY = UUID(int=0)


class Groundless(NamedTuple):
    """A fact without ground, and why."""

    told: Told
    reason: str


def groundless(
    new: Iterable[Told],
    stored: Sequence[Event],
    retracted: frozenset[UUID],
    processes: Mapping[tuple[str, int], ProcessVersion],
) -> list[Groundless]:
    """Judge the new facts of one deal among those that are recorded of it already."""
    events = [event for event in stored if event.event_id not in retracted]
    by_position = {FOREVER + number: told for number, told in enumerate(new)}
    events += [
        Event(
            fact=told.fact,
            stream_id=told.stream_id,
            version=0,
            position=position,
            occurred=FOREVER if told.occurred is None else told.occurred,
            recorded=FOREVER,
            event_id=NOBODY,
        )
        for position, told in by_position.items()
    ]
    ground = Ground(processes)
    found = []
    for event in believed(events):
        reason = ground.judge(event)
        if reason is not None and event.position in by_position:
            found.append(Groundless(by_position[event.position], reason))
    return found

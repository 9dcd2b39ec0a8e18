"""A long log with the event mix of the demo: its deals and customers, many times over.

The demo is lived through once; then every append of it is told again for each of the other
copies of the company, at the same time of day, with ids of their own. What was recorded when
it happened is so in every copy, what came late or was taken back did so in every copy. Ids
keep their time and lose their order beside those of other copies, as if all companies were
one. Settings, reps, rates and processes are there once.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from uuid import UUID

from salesflow import SalesFlow
from salesflow.adapters.event_store.log import EventLog, NewEvent
from salesflow.adapters.event_store.reading import StoredEvent
from salesflow.demo.office import SeededIds
from salesflow.demo.simulation import simulate
from salesflow.demo.world import START, ZONE, TurnedClock
from salesflow.domain.time import from_instant

__all__ = ["demo_events", "long_log"]

COPIED = ("deal.", "customer.", "fact.")
AN_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SPREAD = 0x9E37_79B9_7F4A_7C15
RANDOM_BITS = (1 << 62) - 1


def demo_events(seed: int = 1) -> list[StoredEvent]:
    """Live through the demo in a database that is gone afterwards; give its events."""
    clock = TurnedClock(START)
    ids = SeededIds(clock, seed)
    with SalesFlow("sqlite://", timezone=ZONE.key, clock=clock, event_ids=ids) as flow:
        simulate(flow, clock, seed=seed)
        return flow.log.stored_page(0, flow.log.head().position)


def long_log(url: str, tenant: str, events: int, demo: Sequence[StoredEvent]) -> None:
    """Fill the log of a new tenant with about so many events."""
    clock = TurnedClock(datetime(2020, 1, 1, tzinfo=UTC))
    copies = max(1, round(events / len(demo)))
    with SalesFlow(url, tenant=tenant, timezone=ZONE.key, clock=clock) as flow:
        stands = flow.log.versions({event.stream_id for event in demo})
        told = [event for event in demo if event.version > stands.get(event.stream_id, 0)]
        for recorded, append in groupby(told, key=lambda event: event.recorded):
            clock.now = from_instant(recorded)
            _append(flow.log, list(append), copies)


def _append(log: EventLog, append: Sequence[StoredEvent], copies: int) -> None:
    """Tell an append once for each copy."""
    copied = all(event.topic.startswith(COPIED) for event in append)
    numbers = range(copies if copied else 1)
    log.append_many([[_draft(event, number) for event in append] for number in numbers])


def _draft(event: StoredEvent, number: int) -> NewEvent:
    payload = event.payload
    if number and b"-" in payload:
        payload = AN_ID.sub(lambda found: _renamed_text(found[0], number), payload)
    return NewEvent(
        _renamed(event.stream_id, number) if number else event.stream_id,
        event.version,
        event.topic,
        payload,
        _renamed(event.event_id, number) if number else event.event_id,
        None if event.occurred == event.recorded else event.occurred,
        event.precision,
        event.actor,
        event.correlation_id,
        event.causation_id,
        event.source,
        event.source_id,
    )


def _renamed(id: UUID, number: int) -> UUID:
    """Give an id of the copy that begins with the same time."""
    return UUID(int=id.int ^ (number * SPREAD & RANDOM_BITS))


def _renamed_text(id: bytes, number: int) -> bytes:
    return str(_renamed(UUID(id.decode()), number)).encode()

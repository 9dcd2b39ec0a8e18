"""A long log with the event mix of the demo: its people, deals and customers, many times over.

The demo is lived through once; then every append of it is told again for each of the other
copies of its house, at the same time of day, with ids and names of their own: as many more
teams with their leads, reps, goals, incentive plans, statements, reviews and cases as there are
more deals. What was recorded when it happened is so in every copy, what came late or was taken
back did so in every copy. Ids keep their time and lose their order beside those of other
copies, as if all houses were one company. What that has once is there once: settings, rates,
processes, outside figures, the goals of the whole company, its courses, contests, improvements
and alerts.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any, Final, NamedTuple
from uuid import UUID

from salesflow import SalesFlow
from salesflow.adapters.event_store.log import EventLog, NewEvent
from salesflow.adapters.event_store.reading import StoredEvent
from salesflow.demo.office import SeededIds
from salesflow.demo.simulation import simulate
from salesflow.demo.world import START, ZONE, TurnedClock
from salesflow.domain.case import case_id
from salesflow.domain.goal import goal_id
from salesflow.domain.incentive_plan import plan_id
from salesflow.domain.rep import rep_id
from salesflow.domain.review import review_id
from salesflow.domain.statement import statement_id
from salesflow.domain.team import team_id
from salesflow.domain.time import from_instant

__all__ = ["demo_events", "long_log"]

COPIED: Final = (
    *("deal.", "customer.", "fact.", "team.", "rep."),
    *("goal.", "plan.", "statement.", "review.", "case."),
)
OF_THE_COMPANY: Final = ("head-sales", "alerts")
"""Who is there once."""
AN_ID: Final = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SPREAD: Final = 0x9E37_79B9_7F4A_7C15
RANDOM_BITS: Final = (1 << 62) - 1

Named = tuple[Callable[..., UUID], tuple[str, ...]]
"""How the id of a stream follows from names, and from which."""


def _statement_id(plan: str, rep: str, first_day: str) -> UUID:
    return statement_id(plan, rep, date.fromisoformat(first_day))


def _whole(payload: Any) -> Any:  # noqa: ANN401 - JSON
    return payload


NAMED: Final[
    Mapping[str, tuple[Callable[..., UUID], Callable[[Any], Any], tuple[str, ...]]]
] = {
    "team.formed:1": (team_id, _whole, ("team",)),
    "rep.joined:1": (rep_id, _whole, ("rep",)),
    "goal.set:1": (goal_id, _whole, ("goal",)),
    "plan.published:1": (plan_id, lambda payload: payload["plan"], ("key",)),
    "statement.issued:1": (
        _statement_id,
        lambda payload: payload["figures"],
        ("plan", "rep", "first_day"),
    ),
    "review.opened:1": (review_id, _whole, ("review",)),
    "case.published:1": (case_id, _whole, ("case",)),
}
"""By the fact that begins a stream: how its id follows from names, and where these stand."""


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
    house = _House.of(demo)
    with SalesFlow(url, tenant=tenant, timezone=ZONE.key, clock=clock) as flow:
        stands = flow.log.versions({event.stream_id for event in demo})
        told = [event for event in demo if event.version > stands.get(event.stream_id, 0)]
        for recorded, append in groupby(told, key=lambda event: event.recorded):
            clock.now = from_instant(recorded)
            _append(flow.log, list(append), house, copies)


def _append(log: EventLog, append: Sequence[StoredEvent], house: "_House", copies: int) -> None:
    """Tell an append once for each copy, of what the company has once in the first alone."""
    copied = [*filter(house.is_copied, append)]
    told = [append, *[copied] * (copies - 1)] if copied else [append]
    log.append_many(
        [[house.draft(event, number) for event in its] for number, its in enumerate(told)]
    )


class _House(NamedTuple):
    """What has a name of its own in every copy of the house."""

    streams: Mapping[UUID, Named]
    copied: frozenset[UUID]
    """Streams that begin with a fact of a kind that is copied."""
    names: frozenset[str]
    a_name: re.Pattern[bytes]
    """One of the names, as it stands in JSON."""

    @classmethod
    def of(cls, demo: Sequence[StoredEvent]) -> "_House":
        """Look through the events of the demo."""
        streams: dict[UUID, Named] = {}
        names = {event.actor for event in demo if event.actor} - {*OF_THE_COMPANY}
        for event in demo:
            if event.topic in NAMED and event.version == 1:
                id_of, part, parameters = NAMED[event.topic]
                payload = json.loads(event.payload)
                if payload.get("scope") != {}:  # a goal of the whole company has this one
                    words = tuple(part(payload)[name] for name in parameters)
                    streams[event.stream_id] = id_of, words
                    names |= {*words[:2]}
        either = "|".join(map(re.escape, sorted(names)))
        a_name = re.compile(f'"({either})"'.encode())
        first = {event.stream_id: event.topic for event in reversed(demo)}
        copied = {id for id, topic in first.items() if topic.startswith(COPIED)}
        return cls(streams, frozenset(copied), frozenset(names), a_name)

    def is_copied(self, event: StoredEvent) -> bool:
        """Return whether every copy has a fact of its own of this one."""
        kind = event.topic.partition(".")[0] + "."
        alone = kind == "goal." and event.stream_id not in self.streams
        return event.stream_id in self.copied and kind in COPIED and not alone

    def draft(self, event: StoredEvent, number: int) -> NewEvent:
        """Return an event as a copy of the house has it."""
        stream, id, actor = event.stream_id, event.event_id, event.actor
        if number:
            stream, id = self._stream(stream, number), _renamed(id, number)
            actor = None if actor is None else self._name(actor, number)
        return NewEvent(
            stream,
            event.version,
            event.topic,
            self._payload(event.payload, number) if number else event.payload,
            id,
            None if event.occurred == event.recorded else event.occurred,
            event.precision,
            actor,
            event.correlation_id,
            event.causation_id,
            event.source,
            event.source_id,
        )

    def _stream(self, id: UUID, number: int) -> UUID:
        if id not in self.streams:
            return _renamed(id, number)
        id_of, words = self.streams[id]
        return id_of(*(self._name(word, number) for word in words))

    def _name(self, name: str, number: int) -> str:
        return f"{name}-{number}" if name in self.names else name

    def _payload(self, payload: bytes, number: int) -> bytes:
        if b"-" in payload:
            payload = AN_ID.sub(lambda found: _renamed_text(found[0], number), payload)
        return self.a_name.sub(rb'"\1-%d"' % number, payload)


def _renamed(id: UUID, number: int) -> UUID:
    """Give an id of the copy that begins with the same time."""
    return UUID(int=id.int ^ (number * SPREAD & RANDOM_BITS))


def _renamed_text(id: bytes, number: int) -> bytes:
    return str(_renamed(UUID(id.decode()), number)).encode()

"""Random histories as short lists of readable tuples, and a log in memory to try them on.

`Told` is one fact as somebody tells it: of which deal, what, with which number, when, and how
far ahead it was planned. `Book` turns appends of them into events, as a log would; `raw_of`
writes an event down the way it lies in the log, for the oracle.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from hypothesis import strategies as st

from properties.facts import THEMES, fact_about
from properties.world import DELTAS, PROCESSES, START, at, instant, stream_id
from salesflow.domain.event import Event, Fact, FactRetracted
from salesflow.domain.process import ProcessPublished, process_id

__all__ = ["WHENS", "Append", "Book", "Told", "When", "appends", "happened", "raw_of", "told"]

FOUNDED = instant(START)


class When(NamedTuple):
    """When something happened: now, some while ago, or around another event of the deal."""

    mode: str
    n: int


class Told(NamedTuple):
    """One fact as somebody tells it."""

    deal: int
    what: str
    n: int
    when: When = When("now", 0)
    ahead: int | None = None
    """Index of how far ahead it was planned; None when it holds at once."""


class Append(NamedTuple):
    """Facts recorded together, some while after the append before."""

    gap: int
    told: tuple[Told, ...]


def happened(when: When, now: int, effects: Sequence[tuple[int, int]]) -> int | None:
    """Settle when a fact happened; None where nobody said, which is when it is recorded."""
    mode, n = when
    if mode == "now" or (mode != "ago" and not effects):
        return None
    if mode == "ago":
        return min(now, now - DELTAS[n % len(DELTAS)] * (1 + n // len(DELTAS)))
    occurred, effect = effects[n % len(effects)]
    base = effect if mode.startswith("effect") else occurred
    shift = {"-": -1, "+": 1}.get(mode[-1], 0)
    return min(now, base + shift)


WHENS = st.builds(
    When,
    st.sampled_from(
        ("now", "now", "ago", "ago", "with", "with-", "with+", "effect", "effect+")
    ),
    st.integers(0, 15),
)


def told(deals: int, words: Sequence[str]) -> st.SearchStrategy[Told]:
    """Draw one fact of one of so many deals."""
    return st.builds(
        Told,
        st.integers(0, deals - 1),
        st.sampled_from((*words, *("retract",) * (1 + len(words) // 6))),
        st.integers(0, 59),
        WHENS,
        st.one_of(st.none(), st.none(), st.integers(0, len(DELTAS) - 1)),
    )


def appends(
    deals: int, *, most: int = 12, themes: Sequence[Sequence[str]] = THEMES
) -> st.SearchStrategy[list[Append]]:
    """Draw a history: usually each deal is opened first, then much is told of some theme."""
    openings = st.tuples(*(_opening(deal) for deal in range(deals))).map(
        lambda found: [Append(2, (one,)) for one in found if one is not None]
    )
    return st.sampled_from(themes).flatmap(
        lambda words: st.tuples(openings, _anything(deals, words, most)).map(
            lambda parts: parts[0] + parts[1]
        )
    )


def _anything(deals: int, words: Sequence[str], most: int) -> st.SearchStrategy[list[Append]]:
    several = st.lists(told(deals, words), min_size=1, max_size=4).map(tuple)
    gaps = st.integers(0, len(DELTAS) - 1)
    return st.lists(st.builds(Append, gaps, several), min_size=1, max_size=most)


def _opening(deal: int) -> st.SearchStrategy[Told | None]:
    told_first = st.builds(
        Told, st.just(deal), st.just("opened"), st.integers(0, 59), WHENS, st.none()
    )
    return st.integers(0, 7).flatmap(lambda n: st.none() if n == 7 else told_first)


class Book:
    """A log in memory, founded with the three processes of this small world."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.clock = FOUNDED
        for process in PROCESSES:
            self._add(process_id(process.key), ProcessPublished(process=process), None)

    def append(self, append: Append) -> None:
        """Record facts together; a retraction names an event of an earlier append."""
        self.clock += DELTAS[append.gap % len(DELTAS)]
        now = max(self.clock, self.events[-1].recorded + 1)
        before = list(self.events)
        for one in append.told:
            stream = self.stream(one.deal)
            mine = [event for event in before if event.stream_id == stream]
            if one.what == "retract":
                if mine:
                    target = mine[-1 - one.n % len(mine)].event_id
                    fact: Fact = FactRetracted(event_id=target, because="wrong")
                    self._add(stream, fact, None, now)
                continue
            own = [
                e
                for e in self.events
                if e.stream_id == stream and e.fact.kind != "fact.retracted"
            ]
            occurred = happened(one.when, now, [(e.occurred, e.effective) for e in own])
            at_or_now = now if occurred is None else occurred
            ahead = None if one.ahead is None else at(at_or_now + DELTAS[one.ahead])
            self._add(stream, self.fact(one, ahead), occurred, now)

    def stream(self, number: int) -> UUID:
        """Name the stream of what is told of by a number."""
        return stream_id(number)

    def fact(self, one: Told, ahead: datetime | None) -> Fact:
        """Make the fact that is told."""
        return fact_about(one.deal, one.what, one.n, ahead)

    def _add(
        self, stream: UUID, fact: Fact, occurred: int | None, now: int | None = None
    ) -> None:
        position = len(self.events) + 1
        recorded = FOUNDED + position if now is None else now
        version = 1 + sum(1 for event in self.events if event.stream_id == stream)
        self.events.append(
            Event(
                fact=fact,
                stream_id=stream,
                version=version,
                position=position,
                occurred=recorded if occurred is None else occurred,
                recorded=recorded,
                event_id=UUID(int=position),
            )
        )

    def of(self, stream: UUID) -> list[Event]:
        """Give a stream's events in the order of the log."""
        return [event for event in self.events if event.stream_id == stream]


def raw_of(event: Event) -> dict[str, Any]:
    """Write an event down as it lies in the log."""
    return {
        "kind": event.fact.kind,
        "stream": str(event.stream_id),
        "version": event.version,
        "position": event.position,
        "occurred": event.occurred,
        "recorded": event.recorded,
        "event_id": str(event.event_id),
        "precision": event.precision,
        "payload": json.loads(event.fact.to_json()),
        "actor": event.actor,
        "source": event.source,
    }

"""What is recorded of some streams by one source, found by the key of each fact.

A key (see `told.Keys`) says which history row, which time or which column told a fact. It is
taken apart again here, so that a fact told under another key can be found by what it says.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.adapters.importers.ids import split_source_id
from salesflow.adapters.importers.table.extracted import ExtractedFact
from salesflow.adapters.importers.table.plan import OPENED, sub_field
from salesflow.domain.event import Event, Fact, FactRetracted
from salesflow.domain.history import without_retracted
from salesflow.domain.time import Instant, from_instant, start_of_day, start_of_next_day

__all__ = ["KeyParts", "RecordedFacts", "Streams", "key_parts", "sub_of"]


Streams = Mapping[UUID, Sequence[Event]]
TIMED = re.compile(r"(\d{4}-\d\d-\d\dT[^/]*\+00:00|undated)/")


class KeyParts(NamedTuple):
    """A key taken apart: which row or column told the fact, and by which rule."""

    by: Literal["id", "time", "column"]
    row: str
    label: str


class RecordedFacts:
    """What is recorded of some streams, by source id."""

    def __init__(self, source: str, streams: Streams, zone: ZoneInfo | None) -> None:
        self.streams = streams
        self._source = source
        self._zone = zone
        self._latest: dict[UUID, dict[str, Event]] = {}
        self._standing: set[UUID] = set()
        self._retractions: dict[UUID, list[Event]] = {}
        for stream_id, events in streams.items():
            self._standing.update(event.event_id for event in without_retracted(events))
            latest = self._latest.setdefault(stream_id, {})
            for event in events:
                if isinstance(event.fact, FactRetracted):
                    if self.stands(event):
                        self._retractions.setdefault(event.fact.event_id, []).append(event)
                elif event.source == source and event.source_id:
                    latest[event.source_id] = event

    def find(self, extracted: ExtractedFact) -> Event | None:
        """Give what was recorded last under the same source id."""
        return self._latest.get(extracted.stream_id, {}).get(extracted.source_id)

    def stands(self, event: Event) -> bool:
        """Say whether no retraction names it."""
        return event.event_id in self._standing

    def taken_back(self, event: Event) -> list[Event]:
        """Give the retractions of an event where imports made them all; else nothing."""
        found = self._retractions.get(event.event_id, [])
        ours = all(
            one.source == self._source and one.source_id == event.source_id for one in found
        )
        return found if ours else []

    def same(self, extracted: ExtractedFact, event: Event) -> bool:
        """Say whether a fact is told as it was recorded."""
        if event.fact != extracted.fact:
            return False
        if extracted.occurred is None:
            return True
        if extracted.day is not None and self._zone is not None:
            start = start_of_day(extracted.day, self._zone)
            end = start_of_next_day(extracted.day, self._zone)
            return event.precision == "day" and start <= event.occurred < end
        clamped = event.occurred == event.recorded < extracted.occurred
        return event.precision == extracted.precision and (
            event.occurred == extracted.occurred or clamped
        )

    def untold(self, stream_id: UUID, object: str, extracted: set[str]) -> list[Event]:
        """Give the standing facts of a deal whose keys are told no more; not its opening."""
        found = []
        for source_id, event in self._latest.get(stream_id, {}).items():
            if source_id in extracted or event.event_id not in self._standing:
                continue
            whose, key = split_source_id(source_id)
            if whose == object and key != OPENED:
                found.append(event)
        return found

    def moment(self, event: Event) -> Instant | date:
        """Say when something happened, as finely as it is known."""
        if event.precision == "day" and self._zone is not None:
            return from_instant(event.occurred).astimezone(self._zone).date()
        return event.occurred


def sub_of(fact: Fact) -> str | None:
    """Give what tells a fact apart from others of its kind: its quote, its invoice."""
    name = sub_field(type(fact))
    return getattr(fact, name) if name else None


def key_parts(source_id: str, fact: Fact, labels: frozenset[str]) -> KeyParts:
    """Take the key of a fact apart; `labels` are those of the rules there are."""
    key = split_source_id(source_id)[1]
    timed = TIMED.match(key)
    if timed:
        return KeyParts("time", timed[1], _among(key[timed.end() :], labels))
    sub = sub_of(fact)
    bare = key.removesuffix(f"/{sub}") if sub else key
    if bare in labels or bare.startswith(f"{fact.kind.partition('.')[2]}@"):
        return KeyParts("column", "", bare)
    ends = [label for label in labels if bare.endswith(f"/{label}")]
    if ends:
        label = max(ends, key=len)
        return KeyParts("id", bare.removesuffix(f"/{label}"), label)
    row, between, label = bare.rpartition("/")
    return KeyParts("id", row, label) if between else KeyParts("column", "", bare)


def _among(rest: str, labels: frozenset[str]) -> str:
    """Find the label a key of a time goes on with."""
    found = [label for label in labels if rest == label or rest.startswith(f"{label}/")]
    return max(found, key=len, default=rest.partition("/")[0])

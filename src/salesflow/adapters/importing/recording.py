"""Records what a source tells, once: compares with the log, appends what is new.

A fact is known by its source and source id. Told again with the same content it is skipped;
with other content it is listed as changed at the source and, when asked for, the old one is
retracted and the new one recorded. Every deal is one append, a batch of deals one
transaction, so an import killed at any moment is taken up again by running it again. When
somebody else writes to one of its streams meanwhile, the batch is compared anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.adapters.appending import Draft
from salesflow.adapters.foreign import ForeignFact, drafts_of
from salesflow.adapters.importing.ids import split_source_id
from salesflow.adapters.importing.report import Change
from salesflow.adapters.importing.told import Told
from salesflow.domain.facts import Event, Fact, FactRetracted
from salesflow.domain.history import standing
from salesflow.domain.moments import Instant, from_instant, start_of_day, start_of_next_day

__all__ = ["Compared", "Known", "Writer"]

SHOWN_MAX = 300
Streams = Mapping[UUID, Sequence[Event]]


class Known:
    """What is recorded of some streams, by source id."""

    def __init__(self, source: str, streams: Streams, zone: ZoneInfo | None) -> None:
        self.streams = streams
        self._zone = zone
        self._latest: dict[UUID, dict[str, Event]] = {}
        self._standing: set[UUID] = set()
        for stream_id, events in streams.items():
            self._standing.update(event.event_id for event in standing(events))
            latest = self._latest.setdefault(stream_id, {})
            for event in events:
                retraction = isinstance(event.fact, FactRetracted)
                if event.source == source and event.source_id and not retraction:
                    latest[event.source_id] = event

    def find(self, told: Told) -> Event | None:
        """Give what was recorded last under the same source id."""
        return self._latest.get(told.stream_id, {}).get(told.source_id)

    def stands(self, event: Event) -> bool:
        """Say whether no retraction names it."""
        return event.event_id in self._standing

    def same(self, told: Told, event: Event) -> bool:
        """Say whether a fact is told as it was recorded."""
        if event.fact != told.fact:
            return False
        if told.occurred is None:
            return True
        if told.day is not None:
            return event.precision == "day" and self._on(told.day, event.occurred)
        clamped = event.occurred == event.recorded < told.occurred
        return event.precision == told.precision and (
            event.occurred == told.occurred or clamped
        )

    def gone(self, stream_id: UUID, told: set[str], labels: frozenset[str]) -> list[Event]:
        """Give the standing facts of a deal that a snapshot of it tells no more."""
        return [
            event
            for source_id, event in self._latest.get(stream_id, {}).items()
            if source_id not in told
            and event.event_id in self._standing
            and _labelled(split_source_id(source_id)[1], labels)
        ]

    def _on(self, day: date, at: Instant) -> bool:
        assert self._zone is not None
        return start_of_day(day, self._zone) <= at < start_of_next_day(day, self._zone)


class Compared(NamedTuple):
    """What the facts of one deal come to against the log."""

    drafts: list[Draft]
    new: list[Told]
    known: list[Told]
    changed: list[Told]
    changes: list[Change]
    recorded: list[Told]
    """All that is drafted: what is new, and what is recorded anew."""
    retracted: frozenset[UUID]
    """Event ids of what was recorded before and is taken back."""


class Writer:
    """Turns told facts into drafts, numbering streams as it goes."""

    def __init__(
        self,
        source: str,
        import_id: str,
        known: Known,
        *,
        apply_changes: bool,
    ) -> None:
        self._source = source
        self._import_id = import_id
        self._known = known
        self._apply = apply_changes
        self._versions: dict[UUID, int] = {
            stream_id: events[-1].version
            for stream_id, events in known.streams.items()
            if events
        }

    def compare(
        self, object: str, told: Iterable[Told], gone: Sequence[Event] = ()
    ) -> Compared:
        """Say what is new, known and changed among the facts of one deal, and draft it."""
        result = Compared([], [], [], [], [], [], frozenset())
        retracted: list[Event] = []
        for one in told:
            event = self._known.find(one)
            if event is None:
                result.new.append(one)
                result.recorded.append(one)
            elif self._known.same(one, event):
                result.known.append(one)
            else:
                applied = self._apply and event.fact.stands_because is None
                result.changed.append(one)
                result.changes.append(_change(object, event, one, applied=applied))
                if applied:
                    result.recorded.append(one)
                    retracted += [event] if self._known.stands(event) else []
        for event in gone:
            applied = self._apply and event.fact.stands_because is None
            result.changes.append(_change(object, event, None, applied=applied))
            retracted += [event] if applied else []
        facts = [*map(self._retraction, retracted), *map(self._foreign, result.recorded)]
        return result._replace(
            drafts=drafts_of(facts, self._versions, self._import_id),
            retracted=frozenset(event.event_id for event in retracted),
        )

    def _retraction(self, event: Event) -> ForeignFact:
        fact = FactRetracted(event_id=event.event_id, because="changed at the source")
        return ForeignFact(
            event.stream_id, fact, source=self._source, source_id=event.source_id
        )

    def _foreign(self, told: Told) -> ForeignFact:
        return ForeignFact(
            told.stream_id,
            told.fact,
            told.occurred,
            told.precision,
            self._source,
            told.source_id,
            told.actor,
        )


def _labelled(key: str, labels: frozenset[str]) -> bool:
    return key in labels or any(key.startswith(f"{label}/") for label in labels)


def _change(object: str, event: Event, told: Told | None, *, applied: bool) -> Change:
    return Change(
        line=told.line if told else None,
        file="",
        object=object,
        kind=event.fact.kind,
        source_id=event.source_id or "",
        was=_shown(event.fact, event.occurred),
        now=_shown(told.fact, told.occurred) if told else None,
        applied=applied,
    )


def _shown(fact: Fact, occurred: Instant | None) -> str:
    when = "at the time of import" if occurred is None else from_instant(occurred).isoformat()
    return f"{when} {fact.to_json().decode()}"[:SHOWN_MAX]

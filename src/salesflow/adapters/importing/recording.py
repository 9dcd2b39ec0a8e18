"""Records what a source tells, once: compares with the log, appends what is new.

A fact is known by its source and source id. Told again with the same content it is skipped;
with other content it is listed as changed at the source and, when asked for, the old one is
retracted and the new one recorded. What an import took back and the source tells again stands
again; what people retracted stays retracted. Every deal is one append, a batch of deals one
transaction, so an import killed at any moment is taken up again by running it again. When
somebody else writes to one of its streams meanwhile, the batch is compared anew.
"""

from typing import NamedTuple
from uuid import UUID

from salesflow.adapters.appending import Draft
from salesflow.adapters.foreign import ForeignFact, drafts_of
from salesflow.adapters.importing.known import Known
from salesflow.adapters.importing.report import Change
from salesflow.adapters.importing.retelling import Retelling, Retold
from salesflow.adapters.importing.told import Told
from salesflow.domain.facts import Event, Fact, FactRetracted
from salesflow.domain.moments import Instant, from_instant

__all__ = ["Compared", "Writer"]

SHOWN_MAX = 300
CHANGED = "changed at the source"
AGAIN = "told again by the source"


class Compared(NamedTuple):
    """What the facts of one deal come to against the log."""

    drafts: list[Draft]
    new: list[Told]
    known: list[Told]
    changes: list[Change]
    recorded: list[Told]
    """All that is drafted: what is new, and what is recorded anew."""
    retracted: list[Event]
    """What was recorded before and is taken back."""
    undone: list[Event]
    """Retractions by an earlier import that are taken back."""

    @property
    def without(self) -> frozenset[UUID]:
        """The ids of events that count for nothing any more."""
        return frozenset(event.event_id for event in (*self.retracted, *self.undone))


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

    def write(self, object: str, found: Retelling) -> Compared:
        """Draft what is new of a deal, and what changed where that is to be recorded."""
        result = Compared([], found.new, found.known, [], [*found.new], [], [])
        for each in found.retold:
            applied = self._applies(each)
            result.changes.append(_change(object, each, applied=applied))
            if not applied:
                continue
            if each.event is not None and self._known.stands(each.event):
                result.retracted.append(each.event)
            if each.undo:
                result.undone.extend(each.undo)
            elif each.told is not None:
                result.recorded.append(each.told)
        facts = [
            *(self._retraction(event, CHANGED) for event in result.retracted),
            *(self._retraction(event, AGAIN) for event in result.undone),
            *map(self._foreign, result.recorded),
        ]
        result.drafts.extend(drafts_of(facts, self._versions, self._import_id))
        return result

    def _applies(self, each: Retold) -> bool:
        retractable = each.event is None or each.event.fact.stands_because is None
        return retractable and (self._apply or each.settled)

    def _retraction(self, event: Event, because: str) -> ForeignFact:
        fact = FactRetracted(event_id=event.event_id, because=because)
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


def _change(object: str, each: Retold, *, applied: bool) -> Change:
    told, event = each.told, each.event
    now = was = None
    if told is not None:
        now = (told.fact.kind, told.source_id, _shown(told.fact, told.occurred))
    if event is not None:
        was = (event.fact.kind, event.source_id or "", _shown(event.fact, event.occurred))
    stands = now or was
    assert stands is not None
    return Change(
        line=each.line,
        file="",
        object=object,
        kind=stands[0],
        source_id=stands[1],
        was_kind=was[0] if was else None,
        was_source_id=was[1] if was else None,
        was=was[2] if was else None,
        now=now[2] if now else None,
        again=bool(each.undo),
        applied=applied,
    )


def _shown(fact: Fact, occurred: Instant | None) -> str:
    when = "at the time of import" if occurred is None else from_instant(occurred).isoformat()
    return f"{when} {fact.to_json().decode()}"[:SHOWN_MAX]

"""Finds what a table tells differently than it was recorded: fact by fact, then row by row.

A fact is known by its key. When a row that told a fact tells it no more (a win became a loss,
a mapping was mended), what it tells instead belongs to the same change: both are taken
together, or not at all. Which row told a fact is certain where the key holds the row's own
id, or the deal is one row; else what happened at the same time is compared.

It stands alone as what every importer is about: what becomes of a fact that is told again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import chain, zip_longest
from typing import NamedTuple
from uuid import UUID

from salesflow.adapters.event_store.append import NewEvent
from salesflow.adapters.event_store.external_events import ExternalEvent, new_events_of
from salesflow.adapters.importers.extracted import ExtractedDeal, ExtractedFact, closes
from salesflow.adapters.importers.keys import KeyParts, key_parts, sub_of
from salesflow.adapters.importers.order_facts import GUESSED, NO_OPENING, RecordedFacts
from salesflow.adapters.importers.report import ReportedChange
from salesflow.adapters.importers.source import ImportSource
from salesflow.domain.event import Event, Fact, FactRetracted
from salesflow.domain.time import Instant, from_instant

__all__ = ["AppendPlan", "ChangedFact", "Compared", "Reconciliation", "reconcile"]


class ChangedFact(NamedTuple):
    """A fact recorded before, and what the table tells in its place.

    `told` None: nothing. `event` None: nothing stood there, or (`undo`) an import took it
    back by these retractions and it is told again.
    """

    told: ExtractedFact | None
    event: Event | None
    line: int
    undo: tuple[Event, ...] = ()
    settled: bool = False
    """Whether it was only a guess of the importer, so that nobody need be asked."""


class Reconciliation(NamedTuple):
    """What is told of a deal, against what is recorded."""

    new: list[ExtractedFact]
    known: list[ExtractedFact]
    retold: list[ChangedFact]
    other_rules: list[str]
    """Rules of facts recorded of the deal that this mapping does not have."""
    not_told: list[str]
    """Kinds of facts recorded of the deal that it tells no more, by rules it does have."""


def reconcile(
    deal: ExtractedDeal,
    customers: Sequence[ExtractedFact],
    known: RecordedFacts,
    source: ImportSource,
) -> Reconciliation:
    """Sort the facts told of a deal into new, known and told differently."""
    found = Reconciliation([], [], [], [], [])
    for one in [*customers, *deal.facts]:
        _sort(one, known, found)
    _settle_guesses(found)
    extracted = {one.source_id for one in deal.facts}
    untold = known.untold(deal.stream_id, deal.object, extracted)
    if untold:
        _Rows(deal, known, source, found).compare(untold)
    return found


def _sort(one: ExtractedFact, known: RecordedFacts, found: Reconciliation) -> None:
    event = known.find(one)
    if event is None:
        found.new.append(one)
    elif not known.same(one, event):
        found.retold.append(ChangedFact(one, event, one.line, settled=_is_told(one, event)))
    elif known.stands(event) or not (undo := known.taken_back(event)):
        found.known.append(one)
    else:
        found.retold.append(ChangedFact(one, None, one.line, tuple(undo)))


def _is_told(one: ExtractedFact, event: Event) -> bool:
    """Say whether what was a guess of the importer is told now."""
    return event.fact.inferred in GUESSED and one.fact.inferred is None


def _settle_guesses(found: Reconciliation) -> None:
    """Let a guessed opening move back to an earlier fact that is recorded or will be."""
    for i, change in enumerate(found.retold):
        one, event = change.told, change.event
        if one is None or event is None or event.fact.inferred != NO_OPENING:
            continue
        if one.occurred is None or one.occurred >= event.occurred:
            continue
        taken = (each.occurred for each in (*found.new, *found.known))
        if one.fact.inferred == NO_OPENING and one.occurred in taken:
            found.retold[i] = change._replace(settled=True)


class _Rows:
    """The rows of one deal, against facts that were recorded of it and are told no more."""

    def __init__(
        self,
        deal: ExtractedDeal,
        known: RecordedFacts,
        source: ImportSource,
        found: Reconciliation,
    ) -> None:
        self._deal = deal
        self._known = known
        self._source = source
        self._found = found
        self._fresh: dict[int, list[ChangedFact]] = defaultdict(list)
        """By line, what would be recorded though it was not, or not any more."""
        self._pairs: list[ChangedFact] = []
        own = {id(one) for one in deal.facts}
        for one in found.new:
            if id(one) in own and not one.fact.is_opening:
                self._fresh[one.line].append(ChangedFact(one, None, one.line))
        for each in found.retold:
            if each.undo:
                self._fresh[each.line].append(each)

    def compare(self, untold: list[Event]) -> None:
        """Pair what is told no more with what its rows tell instead."""
        parts = {e.event_id: self._parts(e.source_id or "", e.fact) for e in untold}
        rest: list[Event] = []
        by_row: dict[tuple[int, ...], list[Event]] = defaultdict(list)
        for event in untold:
            lines = self._lines(parts[event.event_id])
            (by_row[lines] if lines else rest).append(event)
        for lines, events in by_row.items():
            self._pair(events, lines)
        for event in self._at_one_time(rest, parts):
            label = parts[event.event_id].label
            if label not in self._source.labels:
                self._found.other_rules.append(label)
            elif not self._may_be_refused(parts[event.event_id]):
                self._found.not_told.append(event.fact.kind)
        self._enter()

    def _parts(self, source_id: str, fact: Fact) -> KeyParts:
        return key_parts(source_id, fact, self._source.labels)

    def _lines(self, parts: KeyParts) -> tuple[int, ...]:
        """Give the lines of the row that told a fact, where the file holds it."""
        deal, source = self._deal, self._source
        if parts.by == "id":
            lines = deal.ids.get((source.row_id_of(parts.label), parts.row), [])
            return tuple(line for line in lines if line not in deal.refused)
        whole = source.one_row and not (deal.refused or deal.left_out)
        return tuple(deal.lines) if whole and parts.label in source.labels else ()

    def _may_be_refused(self, parts: KeyParts) -> bool:
        """Say whether a row that says nothing this time may be the one that told a fact."""
        deal, source = self._deal, self._source
        if parts.by == "id":
            return (source.row_id_of(parts.label), parts.row) in deal.ids
        return bool(deal.refused)

    def _pair(self, events: Iterable[Event], lines: tuple[int, ...]) -> None:
        """Set what a row tells no more against what it tells newly."""
        held = [each for line in lines for each in self._fresh.pop(line, ())]
        for event, each in zip_longest(events, held):
            change = each or ChangedFact(None, event, lines[0])
            self._pairs.append(change._replace(event=event))

    def _at_one_time(self, untold: Iterable[Event], parts: dict[UUID, KeyParts]) -> list[Event]:
        """Pair what happened at one time and cannot both be; give what is left."""
        at: dict[Instant | date, list[ChangedFact]] = defaultdict(list)
        for each in chain.from_iterable(self._fresh.values()):
            one = each.told
            if one is not None and one.occurred is not None and not each.undo:
                at[one.occurred if one.day is None else one.day].append(each)
        left = []
        for event in untold:
            fresh = at.get(self._known.moment(event), [])
            retold = (each for each in fresh if self._retells(event, parts, each.told))
            found = next(retold, None)
            if found is None:
                left.append(event)
                continue
            fresh.remove(found)
            self._fresh[found.line].remove(found)
            self._pairs.append(found._replace(event=event))
        return left

    def _enter(self) -> None:
        """Enter the pairs, and let nothing that is paired count as new by itself."""
        paired = {id(each.told) for each in self._pairs if each.told}
        new, retold = self._found.new, self._found.retold
        new[:] = [one for one in new if id(one) not in paired]
        retold[:] = [each for each in retold if id(each.told) not in paired] + self._pairs

    def _retells(
        self, event: Event, parts: dict[UUID, KeyParts], one: ExtractedFact | None
    ) -> bool:
        if one is None:
            return False
        was, now = parts[event.event_id], self._parts(one.source_id, one.fact)
        if was.by == now.by == "id":
            return False
        version = self._source.process
        if closes(event.fact, version) and closes(one.fact, version):
            return True
        alike = event.fact.kind == one.fact.kind and sub_of(event.fact) == sub_of(one.fact)
        return alike and (was.by != now.by or was.label not in self._source.labels)


# Records what a source tells, once: compares with the log, appends what is new.
#
# A fact is known by its source and source id. Told again with the same content it is skipped;
# with other content it is listed as changed at the source and, when asked for, the old one is
# retracted and the new one recorded. What an import took back and the source tells again stands
# again; what people retracted stays retracted. Every deal is one append, a batch of deals one
# transaction, so an import killed at any moment is taken up again by running it again. When
# somebody else writes to one of its streams meanwhile, the batch is compared anew.

SHOWN_MAX = 300
CHANGED = "changed at the source"
AGAIN = "told again by the source"


class Compared(NamedTuple):
    """What the facts of one deal come to against the log."""

    drafts: list[NewEvent]
    new: list[ExtractedFact]
    known: list[ExtractedFact]
    changes: list[ReportedChange]
    recorded: list[ExtractedFact]
    """All that is drafted: what is new, and what is recorded anew."""
    retracted: list[Event]
    """What was recorded before and is taken back."""
    undone: list[Event]
    """Retractions by an earlier import that are taken back."""

    @property
    def without(self) -> frozenset[UUID]:
        """The ids of events that count for nothing any more."""
        return frozenset(event.event_id for event in (*self.retracted, *self.undone))


class AppendPlan:
    """Turns told facts into drafts, numbering streams as it goes."""

    def __init__(
        self,
        source: str,
        import_id: str,
        known: RecordedFacts,
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

    def write(self, object: str, found: Reconciliation) -> Compared:
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
        result.drafts.extend(new_events_of(facts, self._versions, self._import_id))
        return result

    def _applies(self, each: ChangedFact) -> bool:
        retractable = each.event is None or each.event.fact.retraction_error is None
        return retractable and (self._apply or each.settled)

    def _retraction(self, event: Event, because: str) -> ExternalEvent:
        fact = FactRetracted(event_id=event.event_id, because=because)
        return ExternalEvent(
            event.stream_id, fact, source=self._source, source_id=event.source_id
        )

    def _foreign(self, extracted: ExtractedFact) -> ExternalEvent:
        return ExternalEvent(
            extracted.stream_id,
            extracted.fact,
            extracted.occurred,
            extracted.precision,
            self._source,
            extracted.source_id,
            extracted.actor,
        )


def _change(object: str, each: ChangedFact, *, applied: bool) -> ReportedChange:
    extracted, event = each.told, each.event
    now = was = None
    if extracted is not None:
        now = (
            extracted.fact.kind,
            extracted.source_id,
            _shown(extracted.fact, extracted.occurred),
        )
    if event is not None:
        was = (event.fact.kind, event.source_id or "", _shown(event.fact, event.occurred))
    stands = now or was
    assert stands is not None
    return ReportedChange(
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

"""Compares extracted facts with recorded ones: fact by fact, then row by row.

A fact is known by its key. When the row of a recorded fact yields it no more (a win became a
loss, a mapping was corrected), what it yields instead belongs to the same change: both are
recorded together, or not at all. Which row a fact comes from is certain where the key holds
the row's own id, or the deal is one row; else what happened at the same time is compared.

It is a module of its own, as the heart of every importer: what becomes of a fact that is
imported again.
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
    """A recorded fact, and the fact extracted in its place.

    `extracted` None: nothing. `event` None: nothing was recorded, or (`undo`) an import
    retracted it by these retractions and it is extracted again.
    """

    extracted: ExtractedFact | None
    event: Event | None
    line: int
    undo: tuple[Event, ...] = ()
    settled: bool = False
    """Whether it was only a guess of the importer, so that nobody need be asked."""


class Reconciliation(NamedTuple):
    """The facts extracted of a deal, against those recorded."""

    new: list[ExtractedFact]
    known: list[ExtractedFact]
    changed: list[ChangedFact]
    other_rules: list[str]
    """Rules of facts recorded of the deal that this mapping does not have."""
    not_told: list[str]
    """Kinds of facts recorded of the deal that are missing now, by rules there still are."""


def reconcile(
    deal: ExtractedDeal,
    customers: Sequence[ExtractedFact],
    known: RecordedFacts,
    source: ImportSource,
) -> Reconciliation:
    """Sort the facts extracted of a deal into new, known and changed."""
    result = Reconciliation([], [], [], [], [])
    for one in [*customers, *deal.facts]:
        _sort(one, known, result)
    _settle_guesses(result)
    extracted = {one.source_id for one in deal.facts}
    missing = known.missing(deal.stream_id, deal.object, extracted)
    if missing:
        _Rows(deal, known, source, result).compare(missing)
    return result


def _sort(one: ExtractedFact, known: RecordedFacts, result: Reconciliation) -> None:
    event = known.find(one)
    if event is None:
        result.new.append(one)
    elif not known.same(one, event):
        result.changed.append(
            ChangedFact(one, event, one.line, settled=_replaces_guess(one, event))
        )
    elif not known.is_retracted(event) or not (undo := known.import_retractions(event)):
        result.known.append(one)
    else:
        result.changed.append(ChangedFact(one, None, one.line, tuple(undo)))


def _replaces_guess(one: ExtractedFact, event: Event) -> bool:
    """Return whether a fact replaces what was a guess of the importer."""
    return event.fact.inferred in GUESSED and one.fact.inferred is None


def _settle_guesses(result: Reconciliation) -> None:
    """Mark guessed openings that may move back to an earlier fact, recorded or new."""
    for i, change in enumerate(result.changed):
        one, event = change.extracted, change.event
        if one is None or event is None or event.fact.inferred != NO_OPENING:
            continue
        if one.occurred is None or one.occurred >= event.occurred:
            continue
        times = (each.occurred for each in (*result.new, *result.known))
        if one.fact.inferred == NO_OPENING and one.occurred in times:
            result.changed[i] = change._replace(settled=True)


class _Rows:
    """The rows of one deal, against recorded facts that they yield no more."""

    def __init__(
        self,
        deal: ExtractedDeal,
        known: RecordedFacts,
        source: ImportSource,
        result: Reconciliation,
    ) -> None:
        self._deal = deal
        self._known = known
        self._source = source
        self._result = result
        self._new_by_line: dict[int, list[ChangedFact]] = defaultdict(list)
        """By line, what would be recorded though it was not, or not any more."""
        self._pairs: list[ChangedFact] = []
        own = {id(one) for one in deal.facts}
        for one in result.new:
            if id(one) in own and not one.fact.is_opening:
                self._new_by_line[one.line].append(ChangedFact(one, None, one.line))
        for each in result.changed:
            if each.undo:
                self._new_by_line[each.line].append(each)

    def compare(self, missing: list[Event]) -> None:
        """Pair facts that are missing now with what their rows yield instead."""
        parts = {e.event_id: self._parts(e.source_id or "", e.fact) for e in missing}
        rest: list[Event] = []
        by_row: dict[tuple[int, ...], list[Event]] = defaultdict(list)
        for event in missing:
            lines = self._lines(parts[event.event_id])
            (by_row[lines] if lines else rest).append(event)
        for lines, events in by_row.items():
            self._pair(events, lines)
        for event in self._at_one_time(rest, parts):
            label = parts[event.event_id].label
            if label not in self._source.labels:
                self._result.other_rules.append(label)
            elif not self._may_be_refused(parts[event.event_id]):
                self._result.not_told.append(event.fact.kind)
        self._enter()

    def _parts(self, source_id: str, fact: Fact) -> KeyParts:
        return key_parts(source_id, fact, self._source.labels)

    def _lines(self, parts: KeyParts) -> tuple[int, ...]:
        """Return the lines of the row a fact comes from, where the file holds it."""
        deal, source = self._deal, self._source
        if parts.by == "id":
            lines = deal.ids.get((source.row_id_of(parts.label), parts.row), [])
            return tuple(line for line in lines if line not in deal.refused)
        whole = source.one_row and not (deal.refused or deal.left_out)
        return tuple(deal.lines) if whole and parts.label in source.labels else ()

    def _may_be_refused(self, parts: KeyParts) -> bool:
        """Return whether a fact may come from a row that yields nothing this time."""
        deal, source = self._deal, self._source
        if parts.by == "id":
            return (source.row_id_of(parts.label), parts.row) in deal.ids
        return bool(deal.refused)

    def _pair(self, events: Iterable[Event], lines: tuple[int, ...]) -> None:
        """Pair the facts missing of a row with its new ones."""
        new = [each for line in lines for each in self._new_by_line.pop(line, ())]
        for event, each in zip_longest(events, new):
            change = each or ChangedFact(None, event, lines[0])
            self._pairs.append(change._replace(event=event))

    def _at_one_time(
        self, missing: Iterable[Event], parts: dict[UUID, KeyParts]
    ) -> list[Event]:
        """Pair facts of one time that exclude one another; return what is left."""
        at: dict[Instant | date, list[ChangedFact]] = defaultdict(list)
        for each in chain.from_iterable(self._new_by_line.values()):
            one = each.extracted
            if one is not None and one.occurred is not None and not each.undo:
                at[one.occurred if one.day is None else one.day].append(each)
        left = []
        for event in missing:
            candidates = at.get(self._known.moment(event), [])
            matching = (
                each for each in candidates if self._replaces(event, parts, each.extracted)
            )
            match = next(matching, None)
            if match is None:
                left.append(event)
                continue
            candidates.remove(match)
            self._new_by_line[match.line].remove(match)
            self._pairs.append(match._replace(event=event))
        return left

    def _enter(self) -> None:
        """Add the pairs to the result; nothing that is paired counts as new by itself."""
        paired = {id(each.extracted) for each in self._pairs if each.extracted}
        new, changed = self._result.new, self._result.changed
        new[:] = [one for one in new if id(one) not in paired]
        changed[:] = [
            each for each in changed if id(each.extracted) not in paired
        ] + self._pairs

    def _replaces(
        self, event: Event, parts: dict[UUID, KeyParts], one: ExtractedFact | None
    ) -> bool:
        if one is None:
            return False
        was, now = parts[event.event_id], self._parts(one.source_id, one.fact)
        if was.by == now.by == "id":
            return False
        version = self._source.process_of(self._deal)
        if closes(event.fact, version) and closes(one.fact, version):
            return True
        alike = event.fact.kind == one.fact.kind and sub_of(event.fact) == sub_of(one.fact)
        return alike and (was.by != now.by or was.label not in self._source.labels)


# Records what a source has, once: compares with the log, appends what is new.
#
# A fact is known by its source and source id. Extracted again with the same content it is
# skipped; with other content it is listed as changed at the source and, when asked for, the
# old one is retracted and the new one recorded. What an import retracted is restored when the
# source has it again; what people retracted stays retracted. Every deal is one append, a batch
# of deals one transaction, so an import killed at any moment is taken up again by running it
# again. When somebody else writes to one of its streams meanwhile, the batch is compared anew.

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
    """Turns extracted facts into events to append, numbering streams as it goes."""

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

    def write(self, object: str, reconciled: Reconciliation) -> Compared:
        """Draft what is new of a deal, and what changed where that is to be recorded."""
        result = Compared([], reconciled.new, reconciled.known, [], [*reconciled.new], [], [])
        for each in reconciled.changed:
            applied = self._applies(each)
            result.changes.append(_change(object, each, applied=applied))
            if not applied:
                continue
            if each.event is not None and not self._known.is_retracted(each.event):
                result.retracted.append(each.event)
            if each.undo:
                result.undone.extend(each.undo)
            elif each.extracted is not None:
                result.recorded.append(each.extracted)
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
    extracted, event = each.extracted, each.event
    now = was = None
    if extracted is not None:
        now = (
            extracted.fact.kind,
            extracted.source_id,
            _fact_text(extracted.fact, extracted.occurred),
        )
    if event is not None:
        was = (event.fact.kind, event.source_id or "", _fact_text(event.fact, event.occurred))
    described = now or was
    assert described is not None
    return ReportedChange(
        line=each.line,
        file="",
        object=object,
        kind=described[0],
        source_id=described[1],
        was_kind=was[0] if was else None,
        was_source_id=was[1] if was else None,
        was=was[2] if was else None,
        now=now[2] if now else None,
        again=bool(each.undo),
        applied=applied,
    )


def _fact_text(fact: Fact, occurred: Instant | None) -> str:
    when = "at the time of import" if occurred is None else from_instant(occurred).isoformat()
    return f"{when} {fact.to_json().decode()}"[:SHOWN_MAX]

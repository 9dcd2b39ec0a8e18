"""Sorts the facts extracted of a deal, in the light of what is recorded of it.

A deal that nothing opens gets an opening that is marked as inferred; an opening without a date
happens with the first fact that has one; a fact of which only the day is known comes after
what is known to have happened on that day.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.importers.errors import Adjustment, RowError
from salesflow.adapters.importers.extracted import (
    NO_DATE,
    ExtractedDeal,
    ExtractedFact,
    FactOrder,
    closes,
    in_order,
)
from salesflow.adapters.importers.ids import fact_source_id, object_id, split_source_id
from salesflow.adapters.importers.keys import OPENED
from salesflow.adapters.importers.rows import ObjectRows, RowsByObject
from salesflow.adapters.importers.source import ImportSource
from salesflow.domain.deal.merge_checks import CandidateFact, ImpossibleMerge, impossible_merges
from salesflow.domain.deal.merging import DealMerged, MergingFact
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.deal.state import DealState
from salesflow.domain.event import Event, FactRetracted, believed_history, without_retracted
from salesflow.domain.process import ProcessVersion
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import (
    FOREVER,
    Instant,
    from_instant,
    start_of_day,
    start_of_next_day,
)
from salesflow.domain.wording import Message

__all__ = [
    "GUESSED",
    "NO_OPENING",
    "IrregularFact",
    "RecordedFacts",
    "Streams",
    "Survivors",
    "components",
    "irregular_facts",
    "merges",
    "order_facts",
]


# What is recorded of some streams by one source, found by the key of each fact (`keys`).

Streams = Mapping[UUID, Sequence[Event]]


class RecordedFacts:
    """What is recorded of some streams, by source id."""

    def __init__(self, source: str, streams: Streams, zone: ZoneInfo | None) -> None:
        self.streams = streams
        self._source = source
        self._zone = zone
        self._latest: dict[UUID, dict[str, Event]] = {}
        self._unretracted: set[UUID] = set()
        self._retractions: dict[UUID, list[Event]] = {}
        for stream_id, events in streams.items():
            self._unretracted.update(event.event_id for event in without_retracted(events))
            latest = self._latest.setdefault(stream_id, {})
            for event in events:
                if isinstance(event.fact, FactRetracted):
                    if not self.is_retracted(event):
                        self._retractions.setdefault(event.fact.event_id, []).append(event)
                elif event.source == source and event.source_id:
                    latest[event.source_id] = event

    def find(self, extracted: ExtractedFact) -> Event | None:
        """Return what was recorded last under the same source id."""
        return self._latest.get(extracted.stream_id, {}).get(extracted.source_id)

    def is_retracted(self, event: Event) -> bool:
        """Return whether a retraction names an event, and none names that in turn."""
        return event.event_id not in self._unretracted

    def import_retractions(self, event: Event) -> list[Event]:
        """Return the retractions of an event where imports made them all; else nothing."""
        retractions = self._retractions.get(event.event_id, [])
        ours = all(
            one.source == self._source and one.source_id == event.source_id
            for one in retractions
        )
        return retractions if ours else []

    def same(self, extracted: ExtractedFact, event: Event) -> bool:
        """Return whether a fact is the same as it was recorded."""
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

    def missing(self, stream_id: UUID, object: str, extracted: set[str]) -> list[Event]:
        """Return the recorded facts of a deal whose keys are missing now; not its opening."""
        absent = []
        for source_id, event in self._latest.get(stream_id, {}).items():
            if source_id in extracted or event.event_id not in self._unretracted:
                continue
            owner, key = split_source_id(source_id)
            if owner == object and key != OPENED:
                absent.append(event)
        return absent

    def moment(self, event: Event) -> Instant | date:
        """Return when something happened, as finely as it is known."""
        if event.precision == "day" and self._zone is not None:
            return from_instant(event.occurred).astimezone(self._zone).date()
        return event.occurred


OPENED_EARLIER = "the deal was closed before it was opened; opened at its closing"
NO_OPENING_DATE = "no opening date in the row; opened with its first fact"
NO_OPENING = "no row opens it; opened with its first fact"
UNNAMED = "no row opens the deal, and it cannot be named: {reason}"
GUESSED = frozenset({NO_DATE, NO_OPENING_DATE, NO_OPENING})
"""Why the importer itself inferred something; not what a mapping says in `inferred`."""


def order_facts(deal: ExtractedDeal, source: ImportSource, stored: Sequence[Event]) -> None:
    """Sort the facts of a deal, in the light of what is recorded of it."""
    events = without_retracted(stored)
    _after_timed(deal, source, events)
    _date_openings(deal)
    _open_before_closing(deal, source, events)
    if deal.facts and not any(extracted.fact.is_opening for extracted in deal.facts):
        _open(deal, source, events)
    if source.complete is not None:
        source.complete(deal, stored, source)
    deal.facts.sort(key=in_order)


def _open(deal: ExtractedDeal, source: ImportSource, events: Sequence[Event]) -> None:
    """Open a deal that nothing opens, or opens too late an opening inferred before."""
    recorded = next((event for event in events if event.fact.is_opening), None)
    if recorded is None or _inferred_late(recorded, deal):
        problem = RowError("its deal is opened nowhere")
        if source.opening == "infer":
            try:
                deal.facts.append(_inferred_opening(deal, source))
                return
            except RowError as error:
                problem = RowError(
                    UNNAMED, source.object_columns, deal.object, reason=error.reason
                )
        for line in {extracted.line for extracted in deal.facts}:
            deal.refuse(line, problem)


def _open_before_closing(
    deal: ExtractedDeal, source: ImportSource, events: Sequence[Event]
) -> None:
    """Open a deal that was closed before it was opened, written up late, at its closing."""
    policy = source.closed_before_opened
    opening = next(
        (
            extracted
            for extracted in deal.facts
            if extracted.fact.is_opening and not extracted.undated
        ),
        None,
    )
    if opening is None or opening.occurred is None or policy == "keep":
        return
    version = source.process_of(deal)
    closed = [t for t in deal.facts if t.occurred is not None and closes(t.fact, version)]
    first = min(closed, key=in_order, default=None)
    at, precision, day = (
        (first.occurred, first.precision, first.day) if first else (None, None, None)
    )
    for event in events:
        if closes(event.fact, version) and (at is None or event.occurred < at):
            at, precision, day = event.occurred, event.precision, None
    if at is None or precision is None or at >= opening.occurred:
        return
    if policy == "refuse":
        line = first.line if first is not None else opening.line
        deal.refuse(line, RowError("closes the deal before it was opened"))
        return
    deal.adjust(opening.line, _opened_earlier(opening, source))
    deal.facts = [
        each._replace(occurred=at, precision=precision, day=day) if each is opening else each
        for each in deal.facts
    ]


def _opened_earlier(opening: ExtractedFact, source: ImportSource) -> Adjustment:
    at = from_instant(opening.occurred or 0)
    zone = source.day_zone
    opened_at = opening.day or (at.astimezone(zone) if zone else at)
    return Adjustment(OPENED_EARLIER, source.opened_columns, opened_at.isoformat())


def _inferred_late(opening: Event, deal: ExtractedDeal) -> bool:
    if opening.fact.inferred not in (NO_OPENING, NO_DATE):
        return False
    first = _first(deal)
    return first is not None and (first.occurred or 0) < opening.occurred


def _after_timed(deal: ExtractedDeal, source: ImportSource, events: Sequence[Event]) -> None:
    """Move what is known by its day behind what is timed on that day; an opening stays."""
    zone = source.day_zone
    days = {
        extracted.day
        for extracted in deal.facts
        if extracted.day is not None and not extracted.fact.is_opening
    }
    if not days or zone is None:
        return
    timed = sorted(
        [e.occurred for e in events if e.precision == "microsecond" and not _undated(e)]
        + [t.occurred for t in deal.facts if t.day is None and t.occurred is not None]
    )
    latest: dict[date, Instant] = {}
    for day in days:
        start, end = start_of_day(day, zone), start_of_next_day(day, zone)
        latest[day] = max((at for at in timed if start <= at < end), default=start)
    deal.facts = [
        extracted._replace(occurred=latest[extracted.day])
        if extracted.day is not None and not extracted.fact.is_opening
        else extracted
        for extracted in deal.facts
    ]


def _undated(event: Event) -> bool:
    return event.fact.inferred is not None and event.occurred == event.recorded


def _date_openings(deal: ExtractedDeal) -> None:
    """Date an opening without a date with the first fact that has one."""
    for i, extracted in enumerate(deal.facts):
        if not (extracted.fact.is_opening and extracted.undated):
            continue
        first = _first(deal)
        if first is not None:
            fact = extracted.fact.model_copy(update={"inferred": NO_OPENING_DATE})
            deal.facts[i] = extracted._replace(
                fact=fact, occurred=first.occurred, precision=first.precision, day=first.day
            )


def _first(deal: ExtractedDeal) -> ExtractedFact | None:
    dated = [t for t in deal.facts if t.occurred is not None and t.stream_id == deal.stream_id]
    return min(dated, key=in_order, default=None)


def _inferred_opening(deal: ExtractedDeal, source: ImportSource) -> ExtractedFact:
    first = _first(deal)
    opening = source.open_deal(deal.object, NO_OPENING if first else NO_DATE)
    stage = _first_stage(deal, source, opening.stage)
    opening = opening.model_copy(update={"stage": stage})
    return ExtractedFact(
        deal.stream_id,
        fact_source_id(deal.object, OPENED),
        opening,
        first.occurred if first else None,
        first.precision if first else "microsecond",
        first.day if first else None,
        None,
        first.line if first else deal.facts[0].line,
        FactOrder(-1),
        first is None,
    )


def _first_stage(deal: ExtractedDeal, source: ImportSource, otherwise: str) -> str:
    """Return the stage its first fact puts it in, so that no visit to a stage is made up."""
    first = min(deal.facts, key=in_order)
    if not isinstance(first.fact, StageMoved):
        return otherwise
    is_open = source.process_of(deal).categories[first.fact.target] == "open"
    return first.fact.target if is_open else otherwise


# Deals that a source says were merged: taken last, and never into what does not exist.
#
# A merge hides a deal behind another one. Where that is the deal itself, is hidden behind the
# first in turn, or was never opened, its money would be in no figure. Such a merge is left out,
# and the row says why; see `salesflow.domain.deal.merge_checks`.

MERGING = get_args(MergingFact)


def merges(deal: ExtractedDeal) -> bool:
    """Return whether its rows say that a deal was merged, or is no more."""
    return any(isinstance(extracted.fact, MERGING) for extracted in deal.facts)


def components(deals: Sequence[ExtractedDeal]) -> Iterator[list[ExtractedDeal]]:
    """Group the deals that merges connect."""
    number_of = {deal.stream_id: number for number, deal in enumerate(deals)}
    linked: dict[int, set[int]] = defaultdict(set)
    by_other: dict[UUID, int] = {}
    for number, deal in enumerate(deals):
        for other in {
            extracted.stream_id
            for extracted in deal.facts
            if isinstance(extracted.fact, MERGING)
        }:
            neighbour = number_of.get(other, by_other.setdefault(other, number))
            linked[number].add(neighbour)
            linked[neighbour].add(number)
    left = dict.fromkeys(range(len(deals)))
    while left:
        group, waiting = set(), [next(iter(left))]
        while waiting:
            number = waiting.pop()
            if number in left:
                del left[number]
                group.add(number)
                waiting += linked[number]
        yield [deals[number] for number in sorted(group)]


class Survivors:
    """What is known of the deals others are merged into."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._openings: dict[UUID, list[Event]] = {}
        """Openings the file tells that are not recorded, as this is only a trial."""

    def look(
        self,
        deals: Iterable[ExtractedDeal],
        rows_by_object: RowsByObject,
        extract: Callable[[ObjectRows], ExtractedDeal],
        source: ImportSource,
    ) -> None:
        """Find in the file the deals that others are merged into, before they are recorded."""
        here = {deal.stream_id for deal in deals}
        asked = {t.stream_id for d in deals for t in d.facts if isinstance(t.fact, MERGING)}
        asked -= here
        for rows in rows_by_object.by_object() if asked else ():
            id = object_id(source.name, rows.object)
            if id not in asked:
                continue
            deal = extract(rows)
            order_facts(deal, source, self._log.stream(id))
            self._openings[id] = [
                _event(extracted) for extracted in deal.facts if extracted.fact.is_opening
            ]

    def leave_out_impossible(
        self, deals: Sequence[ExtractedDeal], known: RecordedFacts, source: ImportSource
    ) -> None:
        """Remove the merges that cannot be, and adjust or refuse their rows."""
        new = [
            extracted
            for deal in deals
            for extracted in deal.facts
            if known.find(extracted) is None
        ]
        extracted = [CandidateFact(one.stream_id, one.fact, one.occurred) for one in new]
        impossible = {
            (each.absorbed, each.into): each.because for each in self._impossible(extracted)
        }
        names = {str(id): repr(name) for deal in deals for id, name in deal.named.items()}
        names |= {str(deal.stream_id): repr(deal.object) for deal in deals}
        for deal in deals if impossible else ():
            for one in list(deal.facts):
                if not isinstance(one.fact, DealMerged):
                    continue
                because = impossible.get((one.stream_id, one.fact.into))
                if because is not None and known.find(one) is None:
                    _leave_out(deal, one, _called(because, names), source)

    def _impossible(self, extracted: Sequence[CandidateFact]) -> list[ImpossibleMerge]:
        return impossible_merges(extracted, self._stored)

    def _stored(self, id: UUID) -> Sequence[Event]:
        return self._log.stream(id) or self._openings.get(id, [])


def _called(because: Message, names: Mapping[str, str]) -> Message:
    """Return why a merge cannot be, with what the source calls the deals."""
    called = {
        name: _called(value, names)
        if isinstance(value, Message)
        else names.get(str(value), value)
        for name, value in because.arguments.items()
    }
    return Message(because.id, **called)


def _leave_out(
    deal: ExtractedDeal, merged: ExtractedFact, because: Message, source: ImportSource
) -> None:
    """Refuse the row of a merge; where it says more than that, remove the merge alone."""
    columns = source.rules[merged.order.rule].merged
    others = [t for t in deal.facts if t.line == merged.line and t.order != merged.order]
    if not others:
        deal.refuse(merged.line, RowError(because, columns))
        return
    deal.facts = [extracted for extracted in deal.facts if extracted.order != merged.order]
    left_out = Message("{reason}; the merge was left out", reason=because)
    deal.adjust(merged.line, Adjustment(left_out, columns, None))


def _event(extracted: ExtractedFact) -> Event:
    at = FOREVER if extracted.occurred is None else extracted.occurred
    return Event(extracted.fact, extracted.stream_id, 1, 1, at, FOREVER, UUID(int=1))


# Which imported facts are irregular: recorded all the same, counted by no figure, listed.
#
# A source may say that a closed deal moved on, or that an offer it never made was accepted.
# Such facts are kept (see `salesflow.domain.deal.state`); the report names them, so that a
# mapping that misreads its table is noticed at once.

NOBODY = UUID(int=0)


class IrregularFact(NamedTuple):
    """A fact that is irregular, and why."""

    extracted: ExtractedFact
    reason: str


def irregular_facts(
    new: Iterable[ExtractedFact],
    stored: Sequence[Event],
    retracted: frozenset[UUID],
    processes: Mapping[tuple[str, int], ProcessVersion],
) -> list[IrregularFact]:
    """Return the irregular ones of a deal's new facts, among those recorded already."""
    events = [event for event in stored if event.event_id not in retracted]
    by_position = {FOREVER + number: extracted for number, extracted in enumerate(new)}
    events += [
        Event(
            fact=extracted.fact,
            stream_id=extracted.stream_id,
            version=0,
            position=position,
            occurred=FOREVER if extracted.occurred is None else extracted.occurred,
            recorded=FOREVER,
            event_id=NOBODY,
        )
        for position, extracted in by_position.items()
    ]
    deal = DealState(ReplayContext(processes))
    irregular = []
    for event in believed_history(events):
        reason = deal.evolve(event)
        if reason is not None and event.position in by_position:
            irregular.append(IrregularFact(by_position[event.position], reason))
    return irregular

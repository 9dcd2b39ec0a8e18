"""A restatement: the funnel as it was known then beside the same funnel as it is known now.

Answers "why does that figure no longer say what it said?". Both sides stand at the same
`as_of`; what lies between them is what became known meanwhile, and the events that brought it
are listed: late facts and retractions of deals that count otherwise now. Leaves out what
happened after `as_of`: that is Flow.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain, islice
from typing import Annotated, ClassVar, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import field_validator

from salesflow.domain.event import Event, Fact, FactRetracted
from salesflow.domain.time import Instant, Moment, When, from_instant, instant_of
from salesflow.domain.values import Heard, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import (
    NO_VALUE,
    Total,
    local_time,
    short_id,
    totals,
    totals_text,
)
from salesflow.presentation.messages import Language, in_language, kind_name, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import NOTHING, UNKNOWN, Column, HeldRows
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.question import Limit, Question, Reader, View
from salesflow.projections.folds.deal_state import DEAL_STATE, DEAL_STATES
from salesflow.projections.scope import StageName, stage_name
from salesflow.projections.table import Processes, ReadPoint

__all__ = ["RestatedCell", "Restatement", "RestatementView", "RestatingEvent"]


Outcome = Literal["open", "won", "lost", "disqualified", "merged"]
OUTCOMES: tuple[Outcome, ...] = ("open", "won", "lost", "disqualified", "merged")
IMMEDIATE = [fact for fact in DEAL_STATES.facts if fact.is_immediate]
PLANNED = [fact for fact in DEAL_STATES.facts if not fact.is_immediate]
LISTED = 50
STREAMS = 500
"""So many deals' events are held at a time."""
UTC = ZoneInfo("UTC")

COLUMNS = (
    "Stage", "Outcome", "Deals known then", "Deals known now", "Change",
    "Amount known then", "Amount known now", "Change of amount",
)  # fmt: skip


class RestatedCell(Value):
    """The deals open in one stage, or closed with one outcome, as known then and now."""

    outcome: Outcome
    process: Reference | None
    """None beside closed deals, which stand in no stage of the funnel; so are the names."""
    stage: Reference | None
    name_en: SafeText | None
    name_zh: SafeText | None
    deals_then: int
    deals_now: int
    deals_change: int
    amounts_then: tuple[Total, ...]
    amounts_now: tuple[Total, ...]
    amounts_change: tuple[Total, ...]
    """Now less then; no entry where nothing changed in a currency."""


class RestatingEvent(Value):
    """A late fact or a retraction that makes a deal count otherwise."""

    position: Annotated[int, FieldRole.KEY]
    kind: Reference
    deal: UUID
    occurred_at: datetime
    recorded_at: datetime
    actor: Heard | None
    retracts: int | None
    """The position of what it takes back; None of what is no retraction."""


class RestatementView(View):
    """Every cell of the funnel then and now, and the events between the two."""

    population: ClassVar[str] = (
        "every deal on record at the as-of time, as recorded then or as recorded now"
    )
    formula: ClassVar[str] = (
        "change = figure as recorded now - figure as recorded then, both for the same as-of"
        " time; events: those recorded or retracted since then that changed a deal's stage,"
        " outcome or amount"
    )
    known_then: datetime
    cells: tuple[RestatedCell, ...]
    deals_restated: int
    """How many deals stand in another cell or with another amount now."""
    events: tuple[RestatingEvent, ...]
    events_total: int
    """How many there are in all, the listed ones included."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay both sides out: a row per cell, then the events in the order of the log."""
        zone, word = ZoneInfo(self.timezone), in_language
        sides = (
            f"{word('then: data recorded up to', language)} {local_time(self.known_then, zone)}"
            f" · {word('now: data recorded up to', language)}"
            f" {local_time(self.moment.known_at, zone)}"
        )
        listed = (
            f"{word('deals changed', language)} {self.deals_restated:,}"
            f" · {word('listed', language)} {len(self.events):,}"
            f" · {word('in all', language)} {self.events_total:,}"
        )
        one = say(
            "then and now are the same instant, so that nothing can differ; name an earlier"
            " --known-then, or a later --known-at",
            language,
        )
        notes = (sides, one) if self.known_then == self.moment.known_at else (sides,)
        cells = tuple(_cell_text(cell, language) for cell in self.cells)
        events = tuple(_event_text(event, zone, language) for event in self.events)
        told = (
            "Event no.", "Event", "Deal", "Occurred", "Recorded", "Actor", "Retracts event no.",
        )  # fmt: skip
        return [
            TableOfView(
                "Late changes (as recorded then and now)",
                COLUMNS,
                cells,
                notes=notes,
                words=("Outcome",),
            ),
            TableOfView("Events behind the changes", told, events, notes=(listed,)),
        ]


class Restatement(Question[RestatementView]):
    """What does the funnel say otherwise than it was known to say then, and why?"""

    name: ClassVar[str] = "restatement"
    folds: ClassVar[tuple[str, ...]] = (DEAL_STATE.name,)
    known_then: When | None = None
    """What was known by this day or time, never later than --known-at. Default: as_of."""
    process: Reference | None = None
    """Only deals of this process (its key); all when left out."""
    owner: Reference | None = None
    """Only deals owned by this rep at the moment; all when left out."""
    limit: Limit = LISTED
    """How many events to list at most. Default: 50."""

    @field_validator("known_then", mode="before")
    @classmethod
    def _is_a_time(cls, when: When | None) -> When | None:
        if when is not None:
            instant_of(when, UTC)
        return when

    def answer(self, reader: Reader, moment: Moment) -> RestatementView:
        """Read the funnel at both cuts; fetch the events of the deals that differ."""
        known_then = self._known_then(reader)
        then, now = (self._deals(reader, known) for known in (known_then, None))
        restated = _restated(then, now)
        read_point = reader.read_point._replace(known_at=known_then)
        events, in_all = _explaining(restated, reader, read_point, self.limit)
        return RestatementView(
            moment=moment,
            known_then=from_instant(known_then),
            cells=tuple(_cells(_groups(then), _groups(now), reader.processes)),
            deals_restated=len(restated),
            events=tuple(events),
            events_total=in_all,
        )

    def _known_then(self, reader: Reader) -> Instant:
        wish = reader.read_point.as_of
        if self.known_then is not None:
            wish = instant_of(self.known_then, reader.timezone)
        return min(wish, reader.read_point.known_at)

    def _deals(self, reader: Reader, known_at: Instant | None) -> HeldRows:
        """Return the deals there are, as known at an instant, or at the moment."""
        deals = reader.columns(DEAL_STATE, known_at=known_at)
        return deals.where(deals.fitting({"process": self.process, "owner": self.owner}))


def _restated(then: HeldRows, now: HeldRows) -> list[UUID]:
    """Name the deals that count otherwise, or at one of both times only."""
    deals = np.union1d(then["entity_id"], now["entity_id"])
    before, after = (_standings(rows, deals) for rows in (then, now))
    changed = deals[(before != after).any(axis=0)]
    return sorted(now.words["entity_id"][code] for code in changed.tolist())


def _standings(rows: HeldRows, deals: Column) -> Column:
    """Return where each deal counts and with which amount, a row for each part of that."""
    is_open = rows["outcome"] == rows.code("outcome", "open")
    counted = [
        rows["outcome"],
        np.where(is_open, rows["process"], NOTHING),
        np.where(is_open, rows["stage"], NOTHING),
        rows["currency"],
        rows["amount"],
    ]
    found = np.full((len(counted), len(deals)), UNKNOWN)
    found[:, np.searchsorted(deals, rows["entity_id"])] = counted
    return found


def _groups(deals: HeldRows) -> list["_RestatedGroup"]:
    """Add up deals by outcome, process, stage and currency."""
    names = ("outcome", "process", "stage", "currency")
    groups = grouped(*(deals[name] for name in names))
    return [
        _RestatedGroup._make(row)
        for row in zip(
            *(deals.cells(name, groups.first) for name in names),
            *(groups.greatest(deals["process_version"]).tolist(), groups.counts().tolist()),
            groups.sums(deals.amounts()).tolist(),
            strict=True,
        )
    ]


_Cell = tuple[Outcome, str | None, str | None]


class _RestatedGroup(NamedTuple):
    outcome: Outcome
    process: str
    stage: str
    currency: str | None
    process_version: int
    deals: int
    amount: int
    """The sum of the amounts, in millionths."""

    @property
    def cell(self) -> _Cell:
        return _cell(self.outcome, self.process, self.stage)

    def part(self, share: int) -> tuple[str | None, Decimal, Decimal]:
        return self.currency, unscaled(self.amount), Decimal(share)


def _cell(outcome: Outcome, process: str, stage: str) -> _Cell:
    """Return where in the funnel a deal counts: in its stage while it is open."""
    return (outcome, process, stage) if outcome == "open" else (outcome, None, None)


def _cells(
    then: Sequence[_RestatedGroup], now: Sequence[_RestatedGroup], processes: Processes
) -> Iterator[RestatedCell]:
    """Lay both sides beside one another: stages in the order of the process, then outcomes."""
    found: dict[_Cell, tuple[list[_RestatedGroup], list[_RestatedGroup]]] = defaultdict(
        lambda: ([], [])
    )
    for side, groups in enumerate((then, now)):
        for group in groups:
            found[group.cell][side].append(group)
    named = {cell: _name(cell, chain(*sides), processes) for cell, sides in found.items()}

    def place(cell: _Cell) -> tuple[int, str, int, str]:
        name = named[cell]
        order = 0 if name is None else name.order
        return OUTCOMES.index(cell[0]), cell[1] or "", order, cell[2] or ""

    for cell in sorted(found, key=place):
        yield _restated_cell(cell, named[cell], *found[cell])


def _name(
    cell: _Cell, groups: Iterable[_RestatedGroup], processes: Processes
) -> StageName | None:
    _, process, stage = cell
    if process is None or stage is None:
        return None
    version = max(group.process_version for group in groups)
    return stage_name(stage, process, version, processes)


def _restated_cell(
    cell: _Cell,
    name: StageName | None,
    then: Sequence[_RestatedGroup],
    now: Sequence[_RestatedGroup],
) -> RestatedCell:
    before, after = (sum(group.deals for group in side) for side in (then, now))
    change = [*(group.part(1) for group in now), *(group.part(-1) for group in then)]
    return RestatedCell(
        outcome=cell[0],
        process=cell[1],
        stage=cell[2],
        name_en=None if name is None else name.name_en,
        name_zh=None if name is None else name.name_zh,
        deals_then=before,
        deals_now=after,
        deals_change=after - before,
        amounts_then=totals(group.part(1) for group in then),
        amounts_now=totals(group.part(1) for group in now),
        amounts_change=tuple(total for total in totals(change) if total.amount),
    )


def _explaining(
    deals: Sequence[UUID], reader: Reader, then: ReadPoint, limit: int
) -> tuple[list[RestatingEvent], int]:
    """Find what became known of these deals: the first so many events, and how many in all.

    The first of all events are those of the deals whose own first ones come first.
    """
    counted: dict[UUID, tuple[int, int]] = {}
    waiting = iter(deals)
    while some := list(islice(waiting, STREAMS)):
        counted |= _counted(some, reader, then)
    soonest = iter(sorted(counted, key=lambda deal: counted[deal][1])[:limit])
    first: list[RestatingEvent] = []
    while some := list(islice(soonest, STREAMS)):
        for events in reader.streams(some).values():
            first += _restating(events, then)
        first = sorted(first, key=lambda event: event.position)[:limit]
    return first, sum(count for count, _ in counted.values())


def _counted(
    deals: Sequence[UUID], reader: Reader, then: ReadPoint
) -> dict[UUID, tuple[int, int]]:
    """Count what became known of each deal, with the position of the first.

    Facts need not be read for it, except those that may have been planned ahead, and all of
    the deals in which something was taken back or cannot be read.
    """
    apart: tuple[type[Fact], ...] = (*PLANNED, FactRetracted)
    counted, others = reader.tally(deals, IMMEDIATE, apart, recorded_after=then.known_at)
    planned = reader.streams(others, *apart)
    whole = {deal for deal, events in planned.items() if _corrected(events)}
    whole |= reader.left_out() & {*deals}
    for deal in whole:
        counted.pop(deal, None)
    for deal, events in (planned | reader.streams(whole)).items():
        positions = [event.position for event in _restating(events, then)]
        if positions:
            count, first = counted.get(deal, (0, positions[0]))
            counted[deal] = count + len(positions), min(first, positions[0])
    return counted


def _corrected(events: Iterable[Event]) -> bool:
    """Return whether something was taken back."""
    return any(isinstance(event.fact, FactRetracted) for event in events)


def _restating(events: Sequence[Event], then: ReadPoint) -> Iterator[RestatingEvent]:
    """Pick what was recorded after `then` and can have moved the deal at its `as_of`.

    Taking an opening back may bring another one to light, so that counts whenever it was.
    """
    by_id = {event.event_id: event for event in events}
    for event in events:
        root, target = event, None
        while isinstance(root.fact, FactRetracted) and root.fact.event_id in by_id:
            root = by_id[root.fact.event_id]
            target = target or root
        moves = type(root.fact) in DEAL_STATES.facts
        meant = root.effective <= then.as_of or (target is not None and root.fact.is_opening)
        if event.recorded > then.known_at and moves and meant:
            yield RestatingEvent(
                position=event.position,
                kind=event.fact.kind,
                deal=event.stream_id,
                occurred_at=event.occurred_at,
                recorded_at=event.recorded_at,
                actor=event.actor,
                retracts=None if target is None else target.position,
            )


def _cell_text(cell: RestatedCell, language: Language) -> tuple[str, ...]:
    name = cell.name_zh if language == "zh" else cell.name_en
    return (
        name or NO_VALUE,
        cell.outcome,
        f"{cell.deals_then:,}",
        f"{cell.deals_now:,}",
        f"{cell.deals_change:+,}" if cell.deals_change else "",
        totals_text(cell.amounts_then),
        totals_text(cell.amounts_now),
        totals_text(cell.amounts_change) if cell.amounts_change else "",
    )


def _event_text(event: RestatingEvent, zone: ZoneInfo, language: Language) -> tuple[str, ...]:
    return (
        f"{event.position:,}",
        kind_name(event.kind, language),
        short_id(event.deal),
        local_time(event.occurred_at, zone, exact=False),
        local_time(event.recorded_at, zone, exact=False),
        event.actor or NO_VALUE,
        "" if event.retracts is None else f"{event.retracts:,}",
    )

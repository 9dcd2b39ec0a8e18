"""What the rows of one deal tell: facts with their times and keys, and what was refused.

`tell` looks at rows alone. `settle` then looks at what is recorded of the deal already: a
deal that nothing opens gets an opening that is marked as inferred, and a fact of which only
the day is known comes after what is known to have happened on that day.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple
from uuid import UUID

from salesflow.adapters.importing.conditions import FIRST, LAST
from salesflow.adapters.importing.ids import fact_source_id, object_id
from salesflow.adapters.importing.plan import OPENED, Plan, RulePlan
from salesflow.adapters.importing.problems import Adjustment, RowProblem
from salesflow.adapters.importing.spool import ObjectRows
from salesflow.adapters.importing.times import ReadTime
from salesflow.adapters.importing.values import Notes
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged, DealReleased, DealUnmerged
from salesflow.domain.deal.stages import DealOpened, StageMoved
from salesflow.domain.facts import Event, Fact, Precision
from salesflow.domain.history import standing
from salesflow.domain.moments import DAY, Instant, from_instant, start_of_day

__all__ = ["DealTold", "Told", "settle", "tell"]

NO_DATE = "no date in the row; recorded at the time of import"
NO_OPENING_DATE = "no opening date in the row; opened with its first fact"
NO_OPENING = "no row opens it; opened with its first fact"
PAIRS: dict[type[Fact], tuple[str, type[Fact], str]] = {
    DealMerged: ("into", DealAbsorbed, "absorbed"),
    DealAbsorbed: ("absorbed", DealMerged, "into"),
    DealUnmerged: ("out_of", DealReleased, "released"),
    DealReleased: ("released", DealUnmerged, "out_of"),
}
"""Facts that come in pairs: the field that names the other deal, and what happens to that."""


class Told(NamedTuple):
    """A fact as the table tells it; `occurred` None is the time of import."""

    stream_id: UUID
    source_id: str
    fact: Fact
    occurred: Instant | None
    precision: Precision
    day: date | None
    actor: str | None
    line: int
    order: int
    """Its place among the facts told of the deal: file order, then order of the rules."""
    undated: bool = False


@dataclass
class DealTold:
    """What the rows of one deal came to."""

    object: str
    stream_id: UUID
    lines: list[int]
    facts: list[Told] = field(default_factory=list)
    customers: list[Told] = field(default_factory=list)
    refused: dict[int, RowProblem] = field(default_factory=dict)
    adjusted: dict[int, list[Adjustment]] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)

    def copy(self) -> "DealTold":
        """Give another to settle, so that this one can be settled anew."""
        return replace(
            self,
            facts=list(self.facts),
            customers=list(self.customers),
            refused=dict(self.refused),
        )

    def refuse(self, line: int, problem: RowProblem) -> None:
        """Refuse a row with all it tells."""
        self.refused.setdefault(line, problem)
        self.facts = [told for told in self.facts if told.line != line]
        self.customers = [told for told in self.customers if told.line != line]


def tell(rows: ObjectRows, plan: Plan, horizon: Instant) -> DealTold:
    """Say what the rows of a deal tell; nothing may have happened after `horizon`."""
    source = plan.context.mapping.source
    deal = DealTold(
        rows.object, object_id(source, rows.object), [line for line, _ in rows.rows]
    )
    for _, cells in rows.rows:
        cells[plan.object_slot] = rows.object
    if plan.order is not None:
        _flag(rows, plan)
    keys = _Keys(rows.object, repeated=plan.context.mapping.rows == "events")
    for line, cells in rows.rows:
        because = next((why for test, why in plan.leave_out if test(cells)), None)
        if because is not None:
            deal.left_out[line] = because
            continue
        keys.begin()
        try:
            _tell_row(deal, line, cells, plan, keys, horizon)
        except RowProblem as problem:
            keys.undo()
            deal.refuse(line, problem)
    return deal


def settle(deal: DealTold, plan: Plan, stored: Sequence[Event]) -> None:
    """Bring the facts of a deal in order, in the light of what is recorded of it."""
    events = standing(stored)
    _after_timed(deal, plan, events)
    _date_openings(deal)
    opened = any(told.fact.opens for told in deal.facts) or any(e.fact.opens for e in events)
    if deal.facts and not opened:
        if plan.context.mapping.opening == "refuse":
            for line in {told.line for told in deal.facts}:
                deal.refuse(line, RowProblem("its deal is opened nowhere"))
        else:
            deal.facts.append(_inferred_opening(deal, plan))
    deal.facts.sort(key=_order)


def _order(told: Told) -> tuple[bool, Instant, bool, int]:
    late = told.occurred is None
    return (late, told.occurred or 0, not told.fact.opens, told.order)


class _Keys:
    """Gives each fact of a deal the key it is known by ever after."""

    def __init__(self, object: str, *, repeated: bool) -> None:
        self._object = object
        self._repeated = repeated
        self._counts: Counter[str] = Counter()
        self._lines: dict[str, int] = {}
        self._given: list[str] = []

    def begin(self) -> None:
        """Begin a row."""
        self._given.clear()

    def undo(self) -> None:
        """Take back the keys of a row that is refused."""
        for key in self._given:
            self._counts[key] -= 1
            if not self._counts[key]:
                self._lines.pop(key, None)

    def of(
        self, rule: RulePlan, cells: Sequence[str], told_at: str, fact: Fact, line: int
    ) -> str:
        label = rule.label
        sub = getattr(fact, rule.sub) if rule.sub else None
        if label == OPENED:
            return self._once(label, line, "opens the deal")
        event = rule.key(cells) if rule.key else ""
        tail = f"{label}/{sub}" if sub else label
        if event:
            return self._once(f"{event}/{tail}", line, "is the same event")
        if not self._repeated:
            return self._once(tail, line, "tells the same of the deal")
        key = f"{told_at}/{tail}"
        self._count(key)
        return key if self._counts[key] == 1 else f"{key}/{self._counts[key]}"

    def _once(self, key: str, line: int, what: str) -> str:
        first = self._lines.setdefault(key, line)
        if first != line:
            raise RowProblem(f"{what} as an earlier row", value=f"line {first}")
        if self._counts[key]:
            raise RowProblem(
                f"two rules tell {key!r} of this row; give one of them a name of its own"
            )
        self._count(key)
        return key

    def _count(self, key: str) -> None:
        self._counts[key] += 1
        self._given.append(key)


def _tell_row(
    deal: DealTold,
    line: int,
    cells: Sequence[str],
    plan: Plan,
    keys: _Keys,
    horizon: Instant,
) -> None:
    matched = False
    notes: Notes = []
    for number, rule in enumerate(plan.rules):
        if rule.test is None or rule.test(cells):
            matched = True
            order = line * len(plan.rules) + number
            deal.facts += _facts(deal, (line, order), cells, rule, (keys, horizon, notes))
    if not matched:
        raise RowProblem("no rule of the mapping takes this row")
    if plan.customer is not None and (id := plan.customer.id(cells)):
        deal.customers.append(_customer(id, cells, line, plan, notes))
    if notes:
        deal.adjusted.setdefault(line, []).extend(dict.fromkeys(notes))


def _facts(
    deal: DealTold,
    place: tuple[int, int],
    cells: Sequence[str],
    rule: RulePlan,
    help: tuple[_Keys, Instant, Notes],
) -> list[Told]:
    keys, horizon, notes = help
    line, order = place
    before = next((t.occurred for t in reversed(deal.facts) if t.line < line), None)
    at = rule.at(cells, notes, before) if rule.at else None
    _refuse_future(at, horizon)
    extra = rule.extra
    if at is None:
        if not rule.cls.opens and not rule.undated_import:
            raise RowProblem(f"has no time, so {rule.cls.kind} cannot be put in order")
        extra = {"inferred": NO_DATE, **extra}
    fact = rule.builder.build(cells, notes, extra)
    told_at = from_instant(at.instant).isoformat() if at else "undated"
    key = keys.of(rule, cells, told_at, fact, line)
    told = Told(
        deal.stream_id,
        fact_source_id(deal.object, key),
        fact,
        at.instant if at else None,
        at.precision if at else "microsecond",
        at.day if at else None,
        (rule.actor(cells) or None) if rule.actor else None,
        line,
        order,
        at is None,
    )
    return [told, *_other_half(told, deal)]


def _other_half(told: Told, deal: DealTold) -> list[Told]:
    """Give what happened to the other deal of a merge; the pair is one append."""
    pair = PAIRS.get(type(told.fact))
    if pair is None:
        return []
    ours, cls, theirs = pair
    other = getattr(told.fact, ours)
    if other == deal.stream_id:
        raise RowProblem("merges a deal with itself")
    because = getattr(told.fact, "because", None)
    fact = cls.model_validate(
        {theirs: deal.stream_id, "because": because, "inferred": told.fact.inferred}
    )
    return [told._replace(stream_id=other, fact=fact)]


def _refuse_future(at: ReadTime | None, horizon: Instant) -> None:
    if at is not None and at.instant > horizon:
        raise RowProblem(f"{from_instant(at.instant).isoformat()} lies in the future")


def _customer(id: str, cells: Sequence[str], line: int, plan: Plan, notes: Notes) -> Told:
    assert plan.customer is not None
    at = plan.customer.at(cells, notes) if plan.customer.at else None
    return Told(
        object_id(plan.context.mapping.source, id, "customer"),
        fact_source_id(id, "customer"),
        plan.customer.builder.build(cells, notes, {}),
        at.instant if at else None,
        at.precision if at else "microsecond",
        at.day if at else None,
        None,
        line,
        0,
        at is None,
    )


def _flag(rows: ObjectRows, plan: Plan) -> None:
    """Mark the first and the last row in time; rows without one come last."""
    assert plan.order is not None
    timed = []
    for place, (line, cells) in enumerate(rows.rows):
        try:
            at = plan.order(cells, [])
        except RowProblem:
            continue
        if at is not None:
            timed.append((at.instant, line, place))
    if timed:
        rows.rows[min(timed)[2]][1][plan.flags[FIRST]] = "1"
        rows.rows[max(timed)[2]][1][plan.flags[LAST]] = "1"


def _after_timed(deal: DealTold, plan: Plan, events: Sequence[Event]) -> None:
    """Put what is known by its day not before what is timed on that day; an opening stays."""
    zone = plan.context.zone
    days = {told.day for told in deal.facts if told.day is not None and not told.fact.opens}
    if not days or zone is None:
        return
    timed = sorted(
        [e.occurred for e in events if e.precision == "microsecond" and not _undated(e)]
        + [t.occurred for t in deal.facts if t.day is None and t.occurred is not None]
    )
    latest: dict[date, Instant] = {}
    for day in days:
        start, end = start_of_day(day, zone), start_of_day(day + DAY, zone)
        latest[day] = max((at for at in timed if start <= at < end), default=start)
    deal.facts = [
        told._replace(occurred=latest[told.day])
        if told.day is not None and not told.fact.opens
        else told
        for told in deal.facts
    ]


def _undated(event: Event) -> bool:
    return event.fact.inferred is not None and event.occurred == event.recorded


def _date_openings(deal: DealTold) -> None:
    """Let an opening without a date happen with the first fact that has one."""
    for i, told in enumerate(deal.facts):
        if not (told.fact.opens and told.undated):
            continue
        first = _first(deal)
        if first is not None:
            fact = told.fact.model_copy(update={"inferred": NO_OPENING_DATE})
            deal.facts[i] = told._replace(
                fact=fact, occurred=first.occurred, precision=first.precision, day=first.day
            )


def _first(deal: DealTold) -> Told | None:
    dated = [t for t in deal.facts if t.occurred is not None and t.stream_id == deal.stream_id]
    return min(dated, key=_order, default=None)


def _inferred_opening(deal: DealTold, plan: Plan) -> Told:
    first = _first(deal)
    cells = [""] * len(plan.context.layout.names)
    cells[plan.object_slot] = deal.object
    extra: dict[str, object] = {"inferred": NO_OPENING if first else NO_DATE}
    opening = plan.opening.build(cells, [], extra)
    opening = opening.model_copy(update={"stage": _first_stage(deal, plan, opening)})
    return Told(
        deal.stream_id,
        fact_source_id(deal.object, OPENED),
        opening,
        first.occurred if first else None,
        first.precision if first else "microsecond",
        first.day if first else None,
        None,
        first.line if first else deal.facts[0].line,
        -1,
        first is None,
    )


def _first_stage(deal: DealTold, plan: Plan, opening: Fact) -> str:
    """Open it where its first fact puts it, so that no visit to a stage is made up."""
    assert isinstance(opening, DealOpened)
    first = min(deal.facts, key=_order)
    if isinstance(first.fact, StageMoved):
        version = plan.context.process.version
        if version.category(first.fact.target) == "open":
            return first.fact.target
    return opening.stage

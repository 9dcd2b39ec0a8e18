"""Extracts the facts of one deal from its rows, with their times and keys.

Only the rows are looked at here; `order_facts` then brings in what is recorded of the deal. It
is a module of its own as the one step of an import that is about tables.
"""

import re
from collections.abc import Sequence

from salesflow.adapters.importers.errors import RowError, about, row_error
from salesflow.adapters.importers.extracted import (
    NO_DATE,
    ExtractedDeal,
    ExtractedFact,
    FactOrder,
)
from salesflow.adapters.importers.ids import (
    AN_ACTOR,
    AN_ID,
    ensure_storable,
    fact_source_id,
    object_id,
)
from salesflow.adapters.importers.keys import Keys
from salesflow.adapters.importers.rows import ObjectRows
from salesflow.adapters.importers.table.plan import CustomerPlan, ImportPlan, ReadAt, RulePlan
from salesflow.adapters.importers.table.row_order import arranged, flag_rows, order_ties
from salesflow.adapters.importers.table.values import Notes
from salesflow.adapters.importers.times import MissingZoneError, ReadTime
from salesflow.domain.deal.billing import ForecastGiven
from salesflow.domain.deal.merging import counterpart_of
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.stages import DealMigrated, DealOpened, StageMoved
from salesflow.domain.event import Fact
from salesflow.domain.time import Instant, from_instant
from salesflow.domain.wording import Message

__all__ = ["ROW_UNREADABLE", "extract"]


ROW_UNREADABLE = "cannot be taken ({why}); mend the row, or leave it out with [[leave_out]]"
UNTIMED = "has no time, so {kind} cannot be put in order"
UNPUBLISHED = "process {process} version {version} is not published"
RETURNING = (StageMoved, OwnerAssigned, ForecastGiven)
"""Facts that say what is from now on, which may be what was before."""
PARTNERS = ("into", "absorbed", "out_of", "released")
"""The fields of the facts of a merge that name the other deal."""
TOTALS = re.compile(
    r"[\W_]*(?:(?:grand|sub|report|overall)[\s-]*)?(?:totals?|sums?|summe|gesamt|gesamtsumme"
    r"|zwischensumme|somme|suma|totale|totaal|total\s+g[eé]n[eé]ral|合计|总计|小计|总和|合計|總計"
    r"|小計|итого|всего)(?:\s+(?:records?|rows?|deals?|count|amount|of\b.*))?"
    r"[\W_]*(?:(?<=[:：=] )\d+|(?<=[:：=])\d+|\([^)]*\)[\W_]*)?",
    re.IGNORECASE,
)
"""How a line of totals names itself in the column of the deal's id."""


def extract(
    rows: ObjectRows, plan: ImportPlan, horizon: Instant, *, newest_first: bool | None = None
) -> ExtractedDeal:
    """Return the facts of a deal from its rows; nothing may have happened after `horizon`.

    `newest_first` is the direction of the file, for deals whose rows do not show it.
    """
    source = plan.context.mapping.source
    deal = ExtractedDeal(
        rows.object, object_id(source, rows.object), [line for line, _ in rows.rows]
    )
    for _, cells in rows.rows:
        cells[plan.object_slot] = rows.object
    taken = arranged(rows.rows, plan)
    flag_rows(taken, plan, newest_first)
    extractor = _Extractor(deal, plan, horizon)
    for place, (line, cells) in enumerate(taken):
        for columns, id in plan.ids.items():
            deal.ids.setdefault((columns, id(cells)), []).append(line)
        extractor.take(place, line, cells)
    order_ties(deal, plan, newest_first)
    return deal


class _Extractor:
    """Takes the rows of one deal, one after the other."""

    def __init__(self, deal: ExtractedDeal, plan: ImportPlan, horizon: Instant) -> None:
        self._deal = deal
        self._plan = plan
        self._horizon = horizon
        self._keys = Keys(deal.object, repeated=plan.context.mapping.rows == "events")
        mapping = plan.context.mapping
        refused = mapping.twins == "refuse" and mapping.rows == "events"
        self._twins = Twins() if refused else None

    def take(self, place: int, line: int, cells: Sequence[str]) -> None:
        """Extract the facts of a row, leave it out, or refuse it."""
        self._keys.begin()
        notes: Notes = []
        try:
            because = self._plan.why_left_out(cells)
            if because is not None:
                self._deal.left_out[line] = because
                return
            facts = self._facts(place, line, cells, notes)
            customers = self._customers(line, cells, notes)
        except MissingZoneError:
            raise
        except Exception as error:  # noqa: BLE001 - a row never ends an import; it is listed
            self._keys.undo()
            self._deal.refuse(line, row_error(error, ROW_UNREADABLE))
            return
        self._deal.facts += facts
        self._deal.customers += customers
        if notes:
            self._deal.adjusted[line] = list(dict.fromkeys(notes))

    def _facts(
        self, place: int, line: int, cells: Sequence[str], notes: Notes
    ) -> list[ExtractedFact]:
        rules = self._plan.rules
        taken = [
            (number, rule)
            for number, rule in enumerate(rules)
            if rule.test is None or rule.test(cells)
        ]
        if not taken:
            raise RowError("no rule of the mapping takes this row")
        self._deal.rules.update(number for number, _ in taken)
        facts: list[ExtractedFact] = []
        bare = []
        for number, rule in taken:
            actor = rule.actor(cells) if rule.actor else ""
            extracted = self._fact(rule, cells, line, notes)._replace(
                order=FactOrder(place, number), actor=_actor(actor, rule)
            )
            if rule.key is None or not rule.key(cells):
                bare.append((rule.label, extracted))
            counterparts = _counterpart(extracted)
            for counterpart in counterparts:
                self._deal.named[counterpart.stream_id] = _counterpart_name(rule, cells)
            facts += (extracted, *counterparts)
        if self._twins is not None and len(bare) == len(taken):
            self._twins.refuse(bare)
        self._ensure_no_total(facts)
        return facts

    def _ensure_no_total(self, facts: Sequence[ExtractedFact]) -> None:
        """Raise RowError for a line below a table that sums it up, and is no deal."""
        mapping, object = self._plan.context.mapping, self._deal.object
        if mapping.totals == "keep" or not TOTALS.fullmatch(object):
            return
        if all(extracted.occurred is None for extracted in facts):
            column = " or ".join(mapping.object.named)
            raise RowError(
                'looks like a line of totals: it has no time; if it is a deal, totals = "keep"',
                column,
                object,
            )

    def _fact(
        self, rule: RulePlan, cells: Sequence[str], line: int, notes: Notes
    ) -> ExtractedFact:
        above = self._deal.facts[-1].occurred if self._deal.facts else None
        at = self._time(rule.at, cells, notes, above)
        extra = rule.extra
        if at is None:
            if not rule.cls.is_opening and not rule.undated_import:
                reason = Message(UNTIMED, kind=rule.cls.kind)
                raise rule.at.problem(reason, cells) if rule.at else RowError(reason)
            extra = {"inferred": NO_DATE, **extra}
        fact = rule.builder.build(cells, notes, extra)
        self._ensure_published(fact)
        occurred_at = from_instant(at.instant).isoformat() if at else "undated"
        row_id = rule.key(cells) if rule.key else ""
        key = self._keys.of(fact, rule.label, row_id, occurred_at, line)
        source_id = fact_source_id(self._deal.object, key)
        columns = self._plan.context.mapping.object.named
        source_id = ensure_storable(source_id, AN_ID, " or ".join(columns))
        return ExtractedFact.of(self._deal.stream_id, source_id, fact, at, line)

    def _customers(self, line: int, cells: Sequence[str], notes: Notes) -> list[ExtractedFact]:
        plan = self._plan.customer
        id = plan.id(cells) if plan else ""
        return [self._customer(plan, id, line, cells, notes)] if plan and id else []

    def _customer(
        self, plan: CustomerPlan, id: str, line: int, cells: Sequence[str], notes: Notes
    ) -> ExtractedFact:
        at = self._time(plan.at, cells, notes)
        stream_id = object_id(self._plan.context.mapping.source, id, "customer")
        fact = plan.builder.build(cells, notes, {})
        rule = self._plan.context.mapping.customer
        names = " or ".join(rule.id) if rule else None
        source_id = ensure_storable(fact_source_id(id, "customer"), AN_ID, names)
        return ExtractedFact.of(stream_id, source_id, fact, at, line)

    def _ensure_published(self, fact: Fact) -> None:
        if isinstance(fact, DealOpened | DealMigrated):
            version = (fact.process, fact.process_version)
            if version not in self._plan.context.published:
                process, number = version
                reason = Message(UNPUBLISHED, process=repr(process), version=number)
                raise RowError(about(fact.kind, reason))

    def _time(
        self,
        read: ReadAt | None,
        cells: Sequence[str],
        notes: Notes,
        above: Instant | None = None,
    ) -> ReadTime | None:
        at = read(cells, notes, above) if read else None
        if read is not None and at is not None and at.instant > self._horizon:
            raise read.problem("lies in the future", cells, for_now=True)
        return at


def _actor(text: str, rule: RulePlan) -> str | None:
    if not text:
        return None
    columns = " or ".join(rule.actors)
    return ensure_storable(text, AN_ACTOR, columns)


def _counterpart_name(rule: RulePlan, cells: Sequence[str]) -> str:
    """Return what the row calls the other deal of a merge."""
    getters = (rule.builder.getters.get(name) for name in PARTNERS)
    return next((g.text(cells) for g in getters if g is not None and g.text), "")


def _counterpart(extracted: ExtractedFact) -> list[ExtractedFact]:
    """Return what happened to the other deal of a merge; the pair is one append."""
    counterpart = counterpart_of(extracted.stream_id, extracted.fact)
    if counterpart is None:
        return []
    other, fact = counterpart
    if other == extracted.stream_id:
        raise RowError("merges a deal with itself")
    return [extracted._replace(stream_id=other, fact=fact)]


class Twins:
    """Finds rows that say the same of a deal, at the same time, and have no id of their own.

    A join that fans out doubles rows; nothing in them says so. A stage, an owner and a
    forecast may come back at one time (A, B, A): they are compared with what came just before.
    """

    def __init__(self) -> None:
        self._earlier: dict[tuple[object, ...], list[ExtractedFact]] = {}

    def refuse(self, row: Sequence[tuple[str, ExtractedFact]]) -> None:
        """Remember the facts of a row, by rule.

        Raises:
            RowError: when an earlier row has yielded all of them.
        """
        places = [(label, extracted.occurred, extracted.day) for label, extracted in row]
        twins = [
            self._twin(place, extracted)
            for place, (_, extracted) in zip(places, row, strict=True)
        ]
        first = twins[0]
        if first is not None and all(twin is not None for twin in twins):
            raise RowError(
                "tells the same, at the same time, as an earlier row, and has no id; if both"
                ' happened, name event_id, or say twins = "keep"',
                value=f"line {first.line}",
            )
        for place, (_, extracted) in zip(places, row, strict=True):
            self._earlier.setdefault(place, []).append(extracted)

    def _twin(
        self, place: tuple[object, ...], extracted: ExtractedFact
    ) -> ExtractedFact | None:
        before = self._earlier.get(place, [])
        if isinstance(extracted.fact, RETURNING):
            before = before[-1:]
        same = (b for b in before if b.fact == extracted.fact and b.actor == extracted.actor)
        return next(same, None)

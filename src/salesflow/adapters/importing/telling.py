"""What the rows of one deal tell: facts with their times and keys, and what was refused.

Only the rows are looked at here; `settling` then brings in what is recorded of the deal.
"""

from collections.abc import Sequence
from uuid import UUID

from salesflow.adapters.importing.conditions import FIRST, LAST
from salesflow.adapters.importing.ids import fact_source_id, object_id
from salesflow.adapters.importing.plan import CustomerPlan, Plan, ReadAt, RulePlan
from salesflow.adapters.importing.problems import RowProblem
from salesflow.adapters.importing.spool import ObjectRows
from salesflow.adapters.importing.times import ReadTime
from salesflow.adapters.importing.told import DealTold, Keys, Told
from salesflow.adapters.importing.values import Notes
from salesflow.domain.deal.merging import twin_of
from salesflow.domain.deal.stages import DealMigrated, DealOpened
from salesflow.domain.facts import Fact
from salesflow.domain.moments import Instant, from_instant

__all__ = ["NO_DATE", "tell"]

NO_DATE = "no date in the row; recorded at the time of import"
ENVELOPE_LENGTH_MAX = 500


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
    teller = _Teller(deal, plan, horizon)
    for line, cells in rows.rows:
        for columns, id in plan.ids.items():
            deal.ids.setdefault((columns, id(cells)), []).append(line)
        because = next((why for test, why in plan.leave_out if test(cells)), None)
        if because is not None:
            deal.left_out[line] = because
        else:
            teller.take(line, cells)
    return deal


class _Teller:
    """Takes the rows of one deal, one after the other."""

    def __init__(self, deal: DealTold, plan: Plan, horizon: Instant) -> None:
        self._deal = deal
        self._plan = plan
        self._horizon = horizon
        self._keys = Keys(deal.object, repeated=plan.context.mapping.rows == "events")

    def take(self, line: int, cells: Sequence[str]) -> None:
        """Tell a row, or refuse it with all it tells."""
        self._keys.begin()
        notes: Notes = []
        try:
            facts = self._facts(line, cells, notes)
            customers = self._customers(line, cells, notes)
        except RowProblem as problem:
            self._keys.undo()
            self._deal.refuse(line, problem)
            return
        self._deal.facts += facts
        self._deal.customers += customers
        if notes:
            self._deal.adjusted[line] = list(dict.fromkeys(notes))

    def _facts(self, line: int, cells: Sequence[str], notes: Notes) -> list[Told]:
        rules = self._plan.rules
        taken = [
            (number, rule)
            for number, rule in enumerate(rules)
            if rule.test is None or rule.test(cells)
        ]
        if not taken:
            raise RowProblem("no rule of the mapping takes this row")
        facts: list[Told] = []
        for number, rule in taken:
            actor = rule.actor(cells) if rule.actor else ""
            told = self._fact(rule, cells, line, notes)._replace(
                order=line * len(rules) + number, actor=_checked(actor, "an actor") or None
            )
            facts += (told, *_other_half(told))
        return facts

    def _fact(self, rule: RulePlan, cells: Sequence[str], line: int, notes: Notes) -> Told:
        above = self._deal.facts[-1].occurred if self._deal.facts else None
        at = self._time(rule.at, cells, notes, above)
        extra = rule.extra
        if at is None:
            if not rule.cls.opens and not rule.undated_import:
                reason = f"has no time, so {rule.cls.kind} cannot be put in order"
                raise rule.at.problem(reason, cells) if rule.at else RowProblem(reason)
            extra = {"inferred": NO_DATE, **extra}
        fact = rule.builder.build(cells, notes, extra)
        self._refuse_unpublished(fact)
        told_at = from_instant(at.instant).isoformat() if at else "undated"
        key = self._keys.of(rule, cells, told_at, fact, line)
        source_id = fact_source_id(self._deal.object, key)
        return _told(self._deal.stream_id, source_id, fact, at, line)

    def _customers(self, line: int, cells: Sequence[str], notes: Notes) -> list[Told]:
        plan = self._plan.customer
        id = plan.id(cells) if plan else ""
        return [self._customer(plan, id, line, cells, notes)] if plan and id else []

    def _customer(
        self, plan: CustomerPlan, id: str, line: int, cells: Sequence[str], notes: Notes
    ) -> Told:
        at = self._time(plan.at, cells, notes)
        stream_id = object_id(self._plan.context.mapping.source, id, "customer")
        fact = plan.builder.build(cells, notes, {})
        return _told(stream_id, fact_source_id(id, "customer"), fact, at, line)

    def _refuse_unpublished(self, fact: Fact) -> None:
        if isinstance(fact, DealOpened | DealMigrated):
            version = (fact.process, fact.process_version)
            if version not in self._plan.context.published:
                raise RowProblem(
                    f"{fact.kind}: process {version[0]!r} version {version[1]} is not published"
                )

    def _time(
        self,
        read: ReadAt | None,
        cells: Sequence[str],
        notes: Notes,
        above: Instant | None = None,
    ) -> ReadTime | None:
        at = read(cells, notes, above) if read else None
        if read is not None and at is not None and at.instant > self._horizon:
            raise read.problem("lies in the future", cells)
        return at


def _told(stream_id: UUID, source_id: str, fact: Fact, at: ReadTime | None, line: int) -> Told:
    return Told(
        stream_id,
        _checked(source_id, "an id"),
        fact,
        at.instant if at else None,
        at.precision if at else "microsecond",
        at.day if at else None,
        None,
        line,
        0,
        at is None,
    )


def _checked(text: str, what: str) -> str:
    """Refuse what the log could not keep in an envelope."""
    if len(text) > ENVELOPE_LENGTH_MAX:
        raise RowProblem(
            f"is too long for {what} ({ENVELOPE_LENGTH_MAX} characters)", None, text[:80]
        )
    return text


def _other_half(told: Told) -> list[Told]:
    """Give what happened to the other deal of a merge; the pair is one append."""
    twin = twin_of(told.stream_id, told.fact)
    if twin is None:
        return []
    other, fact = twin
    if other == told.stream_id:
        raise RowProblem("merges a deal with itself")
    return [told._replace(stream_id=other, fact=fact)]


def _flag(rows: ObjectRows, plan: Plan) -> None:
    """Mark the first and the last row in time, and where a column has changed."""
    assert plan.order is not None
    timed = []
    for place, (line, cells) in enumerate(rows.rows):
        try:
            at = plan.order(cells, [])
        except RowProblem:
            continue
        if at is not None:
            timed.append((at.instant, line, place))
    timed.sort()
    if timed:
        rows.rows[timed[0][2]][1][plan.flags[FIRST]] = "1"
        rows.rows[timed[-1][2]][1][plan.flags[LAST]] = "1"
    for slot, flag in plan.changes.items():
        before = ""
        for _, _, place in timed:
            cells = rows.rows[place][1]
            cells[flag] = "1" if cells[slot] != before else ""
            before = cells[slot]

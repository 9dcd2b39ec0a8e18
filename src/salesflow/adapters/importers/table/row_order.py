"""The order of the rows of one deal: which was first, what a column held before, which ties.

Facts are ordered by time. Where rows share their time the file alone can say which was first:
as they stand, from the bottom up in a file that stands newest first, or by a column. What the
mapping says goes; where it says nothing and a deal's rows plainly stand newest first, they are
taken from the bottom up, and listed.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date

from salesflow.adapters.importers.errors import Adjustment
from salesflow.adapters.importers.extracted import ExtractedDeal, ExtractedFact
from salesflow.adapters.importers.table.conditions import FIRST, LAST
from salesflow.adapters.importers.table.plan import ImportPlan, RulePlan
from salesflow.adapters.importers.times import MissingZoneError
from salesflow.domain.time import Instant

__all__ = ["Direction", "arranged", "flag_rows", "order_ties"]


Rows = list[tuple[int, list[str]]]
TURNED = (
    "shares its time with others of its deal in a file that stands newest first; taken from the"
    " bottom up (say it with order)"
)
SAMPLE = 5_000
"""So many rows of a file are compared for its direction."""


class Direction:
    """Whether rows of a deal are written oldest or newest first, as far as one has seen."""

    def __init__(self) -> None:
        self._up = self._down = False
        self._last: dict[str, Instant] = {}
        self._seen = 0

    @classmethod
    def of(cls, times: Iterable[Instant]) -> "Direction":
        """Return the direction of the times of one deal, in the order of the file."""
        direction = cls()
        for at in times:
            direction.see("", at)
        return direction

    @property
    def wants_more(self) -> bool:
        """Whether more times are needed to tell the direction."""
        return self._seen < SAMPLE and not (self._up and self._down)

    def see(self, object: str, at: Instant) -> None:
        """Compare the time of the next row with the one before of its deal."""
        before = self._last.get(object, at)
        self._up |= before < at
        self._down |= before > at
        self._last[object] = at
        self._seen += 1

    @property
    def newest_first(self) -> bool | None:
        """Whether they are written newest first; None when that cannot be known."""
        return None if self._up == self._down else self._down


def arranged(rows: Rows, plan: ImportPlan) -> Rows:
    """Sort the rows of a deal so that those of one time follow one another as they happened."""
    order, rank = plan.context.mapping.order, plan.rank
    if order == "newest_first":
        return rows[::-1]
    if rank is None or order is None or isinstance(order, str):
        return rows
    return sorted(rows, key=lambda row: rank(row[1]), reverse=order.descending)


def flag_rows(rows: Rows, plan: ImportPlan, newest_first: bool | None) -> None:
    """Mark the first and last row in time, what has changed, and what was before."""
    if plan.order is not None:
        _flag(rows, _in_time(rows, plan, newest_first), plan)
    for rule in plan.rules:
        if rule.running is not None:
            _number(rows, rule, plan, newest_first)


def _flag(rows: Rows, timed: Sequence[int], plan: ImportPlan) -> None:
    if timed:
        rows[timed[0]][1][plan.flags[FIRST]] = "1"
        rows[timed[-1]][1][plan.flags[LAST]] = "1"
    for slot in {*plan.changes, *plan.befores}:
        changed, held = plan.changes.get(slot), plan.befores.get(slot)
        before = ""
        for place in timed:
            cells = rows[place][1]
            if changed is not None:
                cells[changed] = "1" if cells[slot] != before else ""
            if held is not None:
                cells[held] = before
            before = cells[slot]


def _number(rows: Rows, rule: RulePlan, plan: ImportPlan, newest_first: bool | None) -> None:
    """Number the rows a rule takes, in order of time."""
    assert rule.running is not None
    number = 0
    for place in _in_time(rows, plan, newest_first, rule):
        cells = rows[place][1]
        try:
            taken = rule.test is None or rule.test(cells)
        except Exception:  # noqa: BLE001 - the row is refused for it when it is told
            continue
        if taken:
            number += 1
            cells[rule.running] = str(number)


def _in_time(
    rows: Rows, plan: ImportPlan, newest_first: bool | None, rule: RulePlan | None = None
) -> list[int]:
    """Return the places of the rows that have a time, in order."""
    read = plan.order if rule is None else rule.at
    timed: list[tuple[Instant, int]] = []
    late: list[int] = []
    for place, (_, cells) in enumerate(rows):
        try:
            at = read(cells, []) if read else None
        except MissingZoneError:
            raise
        except Exception:  # noqa: BLE001 - the row is refused for it when it is told
            continue
        if at is not None:
            timed.append((at.instant, place))
        else:
            late.append(place)
    if plan.context.mapping.order is None:
        own = Direction.of(at for at, _ in timed).newest_first
        if newest_first if own is None else own:
            timed.sort(key=lambda row: (row[0], -row[1]))
    timed.sort(key=lambda row: row[0])
    return [place for _, place in timed] + (late if rule is not None else [])


def order_ties(deal: ExtractedDeal, plan: ImportPlan, newest_first: bool | None) -> None:
    """Count the rows that share their time, and turn them round in a file newest first."""
    tied = _tied(deal.facts) if plan.context.mapping.rows == "events" else []
    if not tied:
        return
    deal.tied = {line for group in tied for line in group}
    if plan.context.mapping.order is not None:
        return
    times = {
        extracted.line: extracted.occurred
        for extracted in deal.facts
        if extracted.occurred is not None
    }
    own = Direction.of(times[line] for line in sorted(times)).newest_first
    if not (newest_first if own is None else own):
        return
    deal.facts = [
        extracted._replace(order=extracted.order._replace(place=-extracted.line))
        if extracted.line in deal.tied
        else extracted
        for extracted in deal.facts
    ]
    names = " or ".join(plan.clock.names) if plan.clock else None
    for group in tied:
        lines = ", ".join(str(line) for line in group[:3]) + (" …" if len(group) > 3 else "")
        for line in group:
            deal.adjust(line, Adjustment(TURNED, names, f"lines {lines}"))


def _tied(facts: Sequence[ExtractedFact]) -> list[list[int]]:
    """Group the lines of a deal that tell something of one and the same time."""
    at: dict[tuple[Instant, date | None], list[int]] = defaultdict(list)
    for extracted in facts:
        if extracted.occurred is not None and not extracted.fact.is_opening:
            lines = at[extracted.occurred, extracted.day]
            if extracted.line not in lines[-1:]:
                lines.append(extracted.line)
    return [lines for lines in at.values() if len(lines) > 1]

"""Makes steps of the lines of a deal: products, how many, at which price, since when.

Systems keep a line as it is now. It was so since it was changed last; where it was made and not
changed, since it was made. What it was before that, and lines that are gone by now, no export
says; exports of every week do, since what one of them told of the lines stands.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from salesflow.adapters.importers.crm.records import Attribute, CrmDeal, HistoryRecord
from salesflow.adapters.importers.times import ReadTime
from salesflow.domain.deal.quotes import QuoteLine, total_of
from salesflow.domain.time import Instant
from salesflow.domain.wording import Message

__all__ = ["CHANGED_LINES", "CrmLine", "add_lines"]


CHANGED_LINES = Message(
    "lines of deals that were changed after they were made are told since then; how they were"
    " before is not in the export"
)
"""What `assumed` says of an export with such lines."""


NOT_WHOLE: Final = "another line of the deal cannot be read, so that its lines say too little"


class CrmLine(NamedTuple):
    """A line of a deal as an export has it."""

    place: int
    id: str
    line: QuoteLine
    made: ReadTime | None
    changed: ReadTime | None = None
    """When it was changed last; None where it never was."""
    gone: ReadTime | None = None
    """When it was deleted; None where it stands."""
    order: int = 0
    """Its place among the lines of the deal."""
    actor: str | None = None

    @property
    def since(self) -> ReadTime | None:
        """When it came to be as the export has it."""
        return self.changed or self.made

    def is_there(self, at: Instant) -> bool:
        """Return whether it is known to be a line of the deal at a time."""
        since = self.since
        begun = since is not None and since.instant <= at
        return begun and (self.gone is None or at < self.gone.instant)


def add_lines(deal: CrmDeal, lines: Sequence[CrmLine], *, whole: bool) -> None:
    """Add what lines say of a deal to its history, which stands in order, and to its present.

    `whole` is whether all its lines could be read: else the others say too little.
    """
    if not whole:
        deal.left_out.update({each.place: NOT_WHOLE for each in lines})
        return
    if not lines:
        return
    ordered = sorted(lines, key=lambda each: (each.order, each.id, each.place))
    there = tuple(each.line for each in ordered if each.gone is None)
    deal.now["lines"] = there
    if deal.now.get("amount", 0) is None and total_of(there) is not None:
        del deal.now["amount"]  # the lines say it
    for line in ordered:
        for at in (line.since, line.gone):
            if at is not None:
                _insert(deal, _step(deal, ordered, line, at))


def _step(
    deal: CrmDeal, lines: Sequence[CrmLine], line: CrmLine, at: ReadTime
) -> HistoryRecord:
    """Return which lines there are from a time on, by the first that begins or ends then."""
    then = [
        each
        for each in lines
        if any(t is not None and t.instant == at.instant for t in (each.since, each.gone))
    ]
    for each in then[1:]:
        deal.told_with.setdefault(each.place, then[0].place)
    after: dict[Attribute, object] = {
        "lines": tuple(each.line for each in lines if each.is_there(at.instant))
    }
    amount = _amount_at(deal, at.instant)
    if amount is not None:  # which the system knows better than the sum of the lines
        after["amount"] = amount
    return HistoryRecord(then[0].place, "", at, line.actor, after)


def _amount_at(deal: CrmDeal, at: Instant) -> object:
    """Return the amount the history of a deal tells of a time; None where it tells none."""
    amount: object = None
    for step in deal.steps:
        if step.at.instant > at:
            return step.before.get("amount") if amount is None else amount
        amount = step.after.get("amount", amount)
    return amount


def _insert(deal: CrmDeal, step: HistoryRecord) -> None:
    """Put a step behind others of its time, unless one of that time has told it."""
    at = step.at.instant
    if any(each.at.instant == at and "lines" in each.after for each in deal.steps):
        return
    place = sum(each.at.instant <= at for each in deal.steps)
    deal.steps.insert(place, step)

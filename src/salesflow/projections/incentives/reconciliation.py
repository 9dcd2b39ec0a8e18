"""From a statement as it was issued to what is known now, in sums that add up.

Answers "why is it not what I was told?" in one column: what was payable as issued, how much
each kind of difference comes to, and what is payable as known now. Leaves out the lines: they
stand with the differences themselves.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from salesflow.domain.statement import DifferenceReason
from salesflow.domain.values import Value, tidy

__all__ = ["AGREED", "REASONS", "StatementReconciliation", "reconciled"]

NOTHING: Final = Decimal(0)
AGREED: Final = frozenset({"corrected", "dispute"})
"""The reasons of differences that somebody agreed on, and that no event explains."""
REASONS: Final[dict[DifferenceReason, str]] = {
    "late": "recorded after the statement",
    "retracted": "taken back since",
    "changed": "by what became known since",
    "corrected": "corrected by hand",
    "dispute": "dispute accepted",
}


class StatementReconciliation(Value):
    """What was payable as issued, what differs since by its kind, and what is payable now."""

    as_issued: Decimal
    late: Decimal
    """What was recorded after the statement."""
    retracted: Decimal
    """What is no longer believed."""
    changed: Decimal
    """What is figured anew, by the causes that stand with the differences."""
    corrected: Decimal
    """What was corrected by hand."""
    dispute: Decimal
    """What was agreed on lines in dispute."""
    draw: Decimal
    """By how much the draw advances more, or keeps back less, as the sales differ."""
    as_known_now: Decimal

    def steps(self) -> Iterable[tuple[str, Decimal]]:
        """Return the kinds of difference that there are, each with what it comes to."""
        found = [(word, getattr(self, reason)) for reason, word in REASONS.items()]
        found.append(("draw advanced or recovered otherwise", self.draw))
        return [(word, amount) for word, amount in found if amount]


def reconciled(
    as_issued: Decimal,
    differing: Iterable[tuple[DifferenceReason, Decimal]],
    draw: Decimal,
) -> StatementReconciliation:
    """Return how differences lead from what was payable as issued to what is now."""
    sums: dict[DifferenceReason, Decimal] = dict.fromkeys(REASONS, NOTHING)
    for reason, amount in differing:
        sums[reason] += amount
    known_now = as_issued + sum(sums.values(), NOTHING) + draw
    return StatementReconciliation(
        as_issued=as_issued,
        **{reason: tidy(amount) for reason, amount in sums.items()},
        draw=tidy(draw),
        as_known_now=tidy(known_now),
    )

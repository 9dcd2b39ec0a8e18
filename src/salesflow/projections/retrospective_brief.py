"""What matters most in a retrospective, in five lines.

By one rule, from the figures of the answer alone: first the three figures that moved most,
then the stage in which deals stood too long, what slipped, what stalled and the dearest reason
of losses, until there are five lines. A figure moved by its difference as a share of the larger
of its two values; counts that are below ten in both periods say nothing, and of money only
the currency counts in which most was sold or is open. Ties go in the order of the figures.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from salesflow.projections.retrospective_figures import FigureMoved

__all__ = ["LINES", "LINE_COLUMNS", "RULE", "main_currency", "moved_most"]

LINES: Final = 5
FIGURES: Final = 3
COUNT_MIN: Final = 10
LINE_COLUMNS: Final = ("What", "Period", "Before", "Change")
RULE: Final = "by relative change; small counts and minor currencies are left out"
LEFT_OUT: Final = frozenset({"open_weighted", "velocity_per_day", "win_rate_by_value"})
"""Figures that say the same as another one beside them."""


def main_currency(figures: Sequence[FigureMoved]) -> str | None:
    """Give the currency in which most deals are: the one of the largest sums, by name."""
    sums: dict[str, Decimal] = {}
    for each in figures:
        if each.figure in ("sales", "open_amount") and each.currency is not None:
            amounts = (each.value or Decimal(0)) + (each.value_before or Decimal(0))
            sums[each.currency] = sums.get(each.currency, Decimal(0)) + amounts
    return min(sums, key=lambda name: (-sums[name], name), default=None)


def moved_most(figures: Sequence[FigureMoved]) -> list[FigureMoved]:
    """Choose the figures that moved most, the one that moved most first."""
    currency = main_currency(figures)
    eligible = [each for each in figures if _says_something(each, currency)]
    order = {id(each): number for number, each in enumerate(figures)}
    found = sorted(eligible, key=lambda each: (-relative(each), order[id(each)]))
    return found[:FIGURES]


def relative(each: FigureMoved) -> Decimal:
    """Give a figure's difference as a share of the larger of its two values, 0 to 1."""
    larger = max(abs(each.value or Decimal(0)), abs(each.value_before or Decimal(0)))
    if not larger or each.difference is None:
        return Decimal(0)
    return abs(each.difference) / larger


def _says_something(each: FigureMoved, currency: str | None) -> bool:
    if each.figure in LEFT_OUT or each.currency not in (None, currency) or not relative(each):
        return False
    sides = (each.value or Decimal(0), each.value_before or Decimal(0))
    return each.unit != "count" or max(sides) >= COUNT_MIN

"""What matters most in a retrospective, in five lines.

By one rule, from the figures of the answer alone: first the three figures that moved most,
then the stage in which deals stood too long, what slipped, what stalled and the dearest
reason of losses, until there are five lines. A figure moved by its difference as a share of
the larger of its two values; counts that are below ten in both periods say nothing, and of
money only the currency counts in which most was sold or is open. Ties go in the order of the
figures. It is a module of its own: it chooses among figures, and works out none.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Final, NamedTuple

from salesflow.presentation.format import (
    NO_VALUE,
    Total,
    money_text,
    totals,
    totals_text,
)
from salesflow.presentation.messages import say
from salesflow.presentation.table import TableOfView
from salesflow.projections.cases.win_loss import (
    LossReason,
)
from salesflow.projections.core.names import Names
from salesflow.projections.review.retrospective_deals import (
    DealSlipped,
)
from salesflow.projections.review.retrospective_figures import (
    FigureMoved,
)
from salesflow.projections.review.retrospective_layout import RetrospectiveLayout
from salesflow.projections.review.retrospective_stages import (
    Bottleneck,
)

__all__ = [
    "LINES",
    "LINE_COLUMNS",
    "RULE",
    "OpeningFigures",
    "main_currency",
    "moved_most",
    "opening",
]


LINES: Final = 5
FIGURES: Final = 3
COUNT_MIN: Final = 10
LINE_COLUMNS: Final = ("Metric", "This period", "Prior period", "Change")
RULE: Final = "by relative change; small counts and minor currencies are left out"
LEFT_OUT: Final = frozenset({"open_weighted", "velocity_per_day", "win_rate_by_value"})
"""Figures that say the same as another one beside them."""


def main_currency(figures: Sequence[FigureMoved]) -> str | None:
    """Return the currency in which most deals are: the one of the largest sums, by name."""
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
    """Return a figure's difference as a share of the larger of its two values, 0 to 1."""
    larger = max(abs(each.value or Decimal(0)), abs(each.value_before or Decimal(0)))
    if not larger or each.difference is None:
        return Decimal(0)
    return abs(each.difference) / larger


def _says_something(each: FigureMoved, currency: str | None) -> bool:
    if each.figure in LEFT_OUT or each.currency not in (None, currency) or not relative(each):
        return False
    sides = (each.value or Decimal(0), each.value_before or Decimal(0))
    return each.unit != "count" or max(sides) >= COUNT_MIN


Line = tuple[str, str, str, str]


class OpeningFigures(NamedTuple):
    """What a retrospective says of which the five lines are made."""

    figures: Sequence[FigureMoved]
    bottlenecks: tuple[Bottleneck | None, Bottleneck | None]
    """Now and before."""
    slipped: Sequence[DealSlipped]
    slipped_total: int
    stalled_total: int
    stalled_amounts: Sequence[Total]
    losses: tuple[Sequence[LossReason], Sequence[LossReason]]
    """Now and before."""


def opening(figures: OpeningFigures, lay: RetrospectiveLayout, names: Names) -> TableOfView:
    """Lay out the five lines that matter most."""
    rows = tuple(islice(_lines(figures, lay, names), LINES))
    notes = (f"{lay.word('chosen')} {lay.word(RULE)}",)
    return TableOfView("What matters most", LINE_COLUMNS, rows, notes=notes)


def _lines(
    opening_figures: OpeningFigures, lay: RetrospectiveLayout, names: Names
) -> Iterator[Line]:
    for each in moved_most(opening_figures.figures):
        yield lay.figure_row(each)
    now, before = opening_figures.bottlenecks
    if now is not None:
        yield lay.word("Bottleneck"), _narrow(now, lay), _narrow(before, lay), ""
    if opening_figures.slipped:
        yield lay.word("Slipped deals"), _slipped(opening_figures, lay, names), "", ""
    if opening_figures.stalled_total:
        amounts = totals_text(opening_figures.stalled_amounts)
        stalled = f"{opening_figures.stalled_total:,} · {amounts}"
        yield lay.word("Stalled deals"), stalled, "", ""
    if opening_figures.losses[0]:
        now_lost, lost_before = (_dearest(side, lay, names) for side in opening_figures.losses)
        yield lay.word("Top loss reason (by deals)"), now_lost, lost_before, ""


def _narrow(found: Bottleneck | None, lay: RetrospectiveLayout) -> str:
    if found is None:
        return NO_VALUE
    return f"{lay.stage(found)} · {lay.days_over(found)}"


def _slipped(figures: OpeningFigures, lay: RetrospectiveLayout, names: Names) -> str:
    dearest = max(figures.slipped, key=lambda deal: deal.amount or Decimal(0))
    title = next((each.title for each in names.deals if each.deal == dearest.deal), None)
    worth = totals((d.currency, d.amount or Decimal(0), Decimal(1)) for d in figures.slipped)
    parts = [f"{figures.slipped_total:,} · {totals_text(worth)}"]
    if title:
        amount = money_text(dearest.amount, dearest.currency)
        parts.append(say("largest: {deal} {amount}", lay.language, deal=title, amount=amount))
    return " · ".join(parts)


def _dearest(losses: Sequence[LossReason], lay: RetrospectiveLayout, names: Names) -> str:
    if not losses:
        return NO_VALUE
    found = max(losses, key=lambda each: (each.deals, each.amount))
    reason = names.label(found.because or NO_VALUE, lay.language)
    return f"{reason} · {found.deals:,} · {money_text(found.amount, found.currency)}"

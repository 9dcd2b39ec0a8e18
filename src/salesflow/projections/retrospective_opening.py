"""The five lines a retrospective opens with, in words; which ones is said by its brief."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

from salesflow.projections.names import Names
from salesflow.projections.retrospective_brief import LINE_COLUMNS, LINES, RULE, moved_most
from salesflow.projections.retrospective_deals import DealSlipped
from salesflow.projections.retrospective_figures import FigureMoved
from salesflow.projections.retrospective_layout import RetrospectiveLayout
from salesflow.projections.retrospective_stages import Bottleneck
from salesflow.projections.shown import TableOfView
from salesflow.projections.totals import Total, totals, totals_text
from salesflow.projections.win_loss import LossReason
from salesflow.projections.writing import money_text, number_text

__all__ = ["Told", "opening"]

NONE = "–"
Line = tuple[str, str, str, str]


class Told(NamedTuple):
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


def opening(told: Told, lay: RetrospectiveLayout, names: Names) -> TableOfView:
    """Lay out the five lines that matter most."""
    rows = tuple(islice(_lines(told, lay, names), LINES))
    notes = (f"{lay.word('chosen')} {lay.word(RULE)}",)
    return TableOfView("What matters most", LINE_COLUMNS, rows, notes=notes)


def _lines(told: Told, lay: RetrospectiveLayout, names: Names) -> Iterator[Line]:
    for each in moved_most(told.figures):
        yield lay.figure_row(each)
    now, before = told.bottlenecks
    if now is not None:
        yield lay.word("Bottleneck"), _narrow(now, lay), _narrow(before, lay), ""
    if told.slipped:
        yield lay.word("Slipped deals"), _slipped(told, lay, names), "", ""
    if told.stalled_total:
        stalled = f"{told.stalled_total:,} · {totals_text(told.stalled_amounts)}"
        yield lay.word("Stalled deals"), stalled, "", ""
    if told.losses[0]:
        now_lost, lost_before = (_dearest(side, lay, names) for side in told.losses)
        yield lay.word("Dearest reason of losses"), now_lost, lost_before, ""


def _narrow(found: Bottleneck | None, lay: RetrospectiveLayout) -> str:
    if found is None:
        return NONE
    return f"{lay.stage(found)} · {number_text(found.days_over)} {lay.word('days over')}"


def _slipped(told: Told, lay: RetrospectiveLayout, names: Names) -> str:
    dearest = max(told.slipped, key=lambda deal: deal.amount or Decimal(0))
    title = next((each.title for each in names.deals if each.deal == dearest.deal), None)
    worth = totals((d.currency, d.amount or Decimal(0), Decimal(1)) for d in told.slipped)
    parts = [f"{told.slipped_total:,} · {totals_text(worth)}"]
    if title:
        amount = money_text(dearest.amount, dearest.currency)
        parts.append(f"{lay.word('dearest')} {title} {amount}")
    return " · ".join(parts)


def _dearest(losses: Sequence[LossReason], lay: RetrospectiveLayout, names: Names) -> str:
    if not losses:
        return NONE
    found = max(losses, key=lambda each: (each.deals, each.amount))
    reason = names.label(found.because or NONE, lay.language)
    return f"{reason} · {found.deals:,} · {money_text(found.amount, found.currency)}"

"""How KPIs are laid out for people: small tables, the period in their titles.

A period alone stands beside the one before it, a figure a row. Reps, teams or parts of the
period are rows of three tables each, since no screen is wide enough for all figures at once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from salesflow.projections.estimates import estimate_text
from salesflow.projections.kpi_figures import KpiLine
from salesflow.projections.shown import TableOfView
from salesflow.projections.totals import totals_text
from salesflow.projections.writing import number_text, percent_text, span_text

__all__ = ["kpi_tables"]

Figures = Mapping[str, Callable[[KpiLine], str]]


def _by_value(line: KpiLine) -> str:
    rates = line.win_rate_by_value
    return " + ".join(f"{percent_text(its.rate)} {its.currency}" for its in rates) or "–"


SALES: Final[Figures] = {
    "Sales": lambda line: totals_text(line.sales),
    "Orders": lambda line: f"{line.orders:,}",
    "Win rate by value": _by_value,
    "Qualified deals": lambda line: f"{line.velocity.open_deals:,}",
    "Velocity per day": lambda line: totals_text(line.velocity.per_day),
}
DEALS: Final[Figures] = {
    "Created": lambda line: f"{line.created:,}",
    "Won": lambda line: f"{line.won:,}",
    "Lost": lambda line: f"{line.lost:,}",
    "Win rate": lambda line: estimate_text(line.win_rate, percent=True),
    "Of created": lambda line: percent_text(line.win_rate_of_created),
    "Cycle days median": lambda line: number_text(line.cycle.days_median),
    "Cycle days p90": lambda line: number_text(line.cycle.days_p90),
}
CUSTOMERS: Final[Figures] = {
    "New customers": lambda line: f"{line.new_customers:,}",
    "Repeat purchase rate": lambda line: percent_text(line.repeat_rate),
    "Contacts": lambda line: f"{line.follow_ups.contacts:,}",
    "Contacts per deal": lambda line: number_text(line.follow_ups.per_deal),
    "First response days": lambda line: number_text(line.first_response.days_median),
    "CSAT top box": lambda line: estimate_text(line.csat, percent=True),
}
PARTS: Final[Mapping[str, Figures]] = {
    "Sales and pipeline": SALES,
    "Deals created and closed": DEALS,
    "Customers": CUSTOMERS,
}
FIGURES: Final[Figures] = {
    **{name: SALES[name] for name in ("Sales", "Orders")},
    **{name: DEALS[name] for name in ("Created", "Won", "Lost", "Win rate")},
    "Win rate by value": SALES["Win rate by value"],
    **DEALS,
    **SALES,
    **CUSTOMERS,
}
"""All of them, what is asked first and most told first."""


def kpi_tables(
    lines: Sequence[KpiLine], before: Sequence[KpiLine], by: str | None
) -> list[TableOfView]:
    """Lay out the lines of a period and of the one before it, by group where there is one."""
    if by is not None:
        return [*_grouped((*lines, *before), by.capitalize())]
    if len(lines) == 1:
        return [_beside((*lines, *before))]
    rows = (*lines, *before)
    return [_part(title, rows, "Period", _days) for title in PARTS]


def _grouped(lines: Iterable[KpiLine], by: str) -> Iterator[TableOfView]:
    for days, rows in groupby(lines, _days):
        group = tuple(rows)
        for title in PARTS:
            yield _part(title, group, by, lambda line: line.group or "–", about=days)


def _part(
    title: str,
    lines: Iterable[KpiLine],
    first: str,
    named: Callable[[KpiLine], str],
    about: str = "",
) -> TableOfView:
    figures = PARTS[title]
    rows = tuple((named(line), *(write(line) for write in figures.values())) for line in lines)
    return TableOfView(title, (first, *figures), rows, about=about)


def _beside(lines: Sequence[KpiLine]) -> TableOfView:
    rows = tuple((name, *map(write, lines)) for name, write in FIGURES.items())
    columns = ("Figure", *map(_days, lines))
    return TableOfView("KPIs", columns, rows, words=("Figure",))


def _days(line: KpiLine) -> str:
    return span_text(line.first, line.last)

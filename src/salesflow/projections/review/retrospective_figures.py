"""What moved: the main figures of a period beside those of the period before.

The figures are those of the KPIs and of the flow of the pipeline, whose views say what each of
them means; here they are only laid side by side.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal, localcontext
from typing import Annotated, Final, Literal

from salesflow.domain.values import EXACT_DIGITS, Currency, Reference, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import Estimate, Total
from salesflow.projections.folds.pipeline import KINDS
from salesflow.projections.metrics.kpi_figures import KpiLine, ValueRate
from salesflow.projections.pipeline.flow import FlowAccount, FlowFigures
from salesflow.projections.scope import unnamed_last

__all__ = [
    "MOVEMENTS",
    "FigureMoved",
    "MovementBeside",
    "Unit",
    "moved_figures",
    "movements_beside",
]


Unit = Literal["count", "money", "share", "days"]
Sums = Mapping[str | None, Decimal]
"""A figure by currency; under None where it has none."""

COUNTS: Final = ("orders", "created", "won", "lost", "disqualified", "new_customers")
MOVEMENTS: Final = ("opening", *KINDS, "reorganised", "closing")
NOTHING: Final = FlowFigures(deals=0, amount=Decimal(0), weighted=Decimal(0))


class FigureMoved(Value):
    """One figure of the period, and what it was in the period before."""

    figure: Annotated[Reference, FieldRole.KEY]
    currency: Annotated[Currency | None, FieldRole.KEY]
    """None for a figure that is no money, nor by value."""
    unit: Annotated[Unit, FieldRole.TRAIT]
    value: Decimal | None
    value_before: Decimal | None
    difference: Decimal | None
    """None where either is undefined."""


class MovementBeside(Value):
    """One line of the books of open deals, and what it was in the period before."""

    currency: Annotated[Currency | None, FieldRole.KEY]
    """None for deals without an amount."""
    movement: Annotated[Reference, FieldRole.KEY]
    """A kind of movement; opening and closing for what stood at the edges."""
    figures: FlowFigures
    figures_before: FlowFigures


def moved_figures(
    lines: tuple[KpiLine | None, KpiLine | None],
    accounts: tuple[Iterable[FlowAccount], Iterable[FlowAccount]],
) -> Iterator[FigureMoved]:
    """Set the figures of a period beside those before; a line is None where all is nothing."""
    now, before = (_figures(*each) for each in zip(lines, accounts, strict=True))
    for figure, unit in UNITS.items():
        current, earlier = now[figure], before[figure]
        missing = Decimal(0) if figure in ADDED_UP else None
        for currency in _in_order({*current, *earlier}) if figure in IN_MONEY else [None]:
            sides = current.get(currency, missing), earlier.get(currency, missing)
            yield _moved(figure, currency, unit, *sides)


UNITS: Final[Mapping[str, Unit]] = {
    "sales": "money",
    "orders": "count",
    "created": "count",
    "won": "count",
    "lost": "count",
    "disqualified": "count",
    "win_rate": "share",
    "win_rate_by_value": "share",
    "cycle_days_median": "days",
    "new_customers": "count",
    "repeat_purchase_rate": "share",
    "contacts": "count",
    "first_response_days": "days",
    "CSAT_top_box": "share",
    "velocity_per_day": "money",
    "open_deals": "count",
    "open_amount": "money",
    "open_weighted": "money",
}
"""The figures in their order, and what each is counted in."""
IN_MONEY: Final = frozenset(
    {"sales", "win_rate_by_value", "velocity_per_day", "open_amount", "open_weighted"}
)
"""Figures that stand in every currency by themselves."""
ADDED_UP: Final = frozenset({"sales", "open_amount", "open_weighted"})
"""Sums of money: what is not there is nothing, and not undefined."""


def movements_beside(
    now: Iterable[FlowAccount], before: Iterable[FlowAccount]
) -> Iterator[MovementBeside]:
    """Set the books of a period beside those of the period before, currency by currency."""
    current, earlier = ({a.currency: _book(a) for a in accounts} for accounts in (now, before))
    for currency in _in_order({*current, *earlier}):
        book, other = current.get(currency, {}), earlier.get(currency, {})
        for movement in sorted({*book, *other}, key=MOVEMENTS.index):
            yield MovementBeside(
                currency=currency,
                movement=movement,
                figures=book.get(movement, NOTHING),
                figures_before=other.get(movement, NOTHING),
            )


def _book(account: FlowAccount) -> dict[str, FlowFigures]:
    return {
        "opening": account.opening,
        **{each.kind: _plain(each) for each in account.movements},
        "closing": account.closing,
    }


def _plain(figures: FlowFigures) -> FlowFigures:
    """Leave out the events behind a movement."""
    return FlowFigures(deals=figures.deals, amount=figures.amount, weighted=figures.weighted)


def _figures(line: KpiLine | None, accounts: Iterable[FlowAccount]) -> dict[str, Sums]:
    books = list(accounts)
    worth = [(a.currency, a.closing) for a in books if a.currency is not None]
    return {
        **_counts(line),
        **_rates(line),
        "sales": _totals(line, lambda of: of.sales),
        "velocity_per_day": _totals(line, lambda of: of.velocity.per_day),
        "win_rate_by_value": {} if line is None else _by_value(line.win_rate_by_value),
        "open_deals": {None: Decimal(sum(account.closing.deals for account in books))},
        "open_amount": {currency: closing.amount for currency, closing in worth},
        "open_weighted": {currency: closing.weighted for currency, closing in worth},
    }


def _counts(line: KpiLine | None) -> dict[str, Sums]:
    counts = {name: 0 if line is None else getattr(line, name) for name in COUNTS}
    counts["contacts"] = 0 if line is None else line.follow_ups.contacts
    return {name: {None: Decimal(count)} for name, count in counts.items()}


def _rates(line: KpiLine | None) -> dict[str, Sums]:
    """Return the figures that can be undefined."""
    rates: dict[str, Decimal | None] = {
        "win_rate": None if line is None else _value(line.win_rate),
        "cycle_days_median": None if line is None else line.cycle.days_median,
        "repeat_purchase_rate": None if line is None else line.repeat_rate,
        "first_response_days": None if line is None else line.first_response.days_median,
        "CSAT_top_box": None if line is None else _value(line.csat),
    }
    return {name: {} if value is None else {None: value} for name, value in rates.items()}


def _totals(
    line: KpiLine | None, of: Callable[[KpiLine], Iterable[Total]]
) -> dict[str | None, Decimal]:
    return {} if line is None else {total.currency: total.amount for total in of(line)}


def _by_value(rates: Iterable[ValueRate]) -> dict[str | None, Decimal]:
    return {each.currency: each.rate for each in rates}


def _value(estimate: Estimate | None) -> Decimal | None:
    return None if estimate is None else estimate.value


def _moved(
    figure: str,
    currency: str | None,
    unit: Unit,
    now: Decimal | None,
    before: Decimal | None,
) -> FigureMoved:
    difference = None
    if now is not None and before is not None:
        with localcontext(prec=EXACT_DIGITS):
            difference = now - before
    return FigureMoved(
        figure=figure,
        currency=currency,
        unit=unit,
        value=now,
        value_before=before,
        difference=difference,
    )


def _in_order(currencies: Iterable[str | None]) -> list[str | None]:
    return sorted(currencies, key=unnamed_last)

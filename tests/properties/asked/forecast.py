"""The forecast of a period, and what a naive replay says of it."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw, moment
from oracle.forecasts import forecast_at, past_forecasts, slippage_at
from oracle.periods import period_before, period_of
from properties.asked.case import About, Case, exchange_for, with_rates
from properties.asked.periods import periods
from properties.world import instant
from salesflow.projections.forecast.forecast import Forecast, ForecastView

__all__ = ["CASE"]

ASKED: tuple[dict[str, Any], ...] = (
    {},
    {"by": "owner", "trailing_days": 1},
    {"by": "process", "periods": 2},
    {"owner": "ann", "as_known_then": True},
    {"process": "standard", "by": "owner", "trailing_days": 400},
    {"process": "crm", "periods": 0},
    {"as_known_then": True, "by": "owner", "periods": 0},
)
OF_TEAMS: tuple[dict[str, Any], ...] = (
    {"team": "east", "by": "owner"},
    {"team": "west", "as_known_then": True},
)


def asked() -> st.SearchStrategy[Forecast]:
    """Draw a forecast to ask for."""
    return st.builds(
        lambda period, given, rates: Forecast.model_validate(
            {"from_": period[0], "to": period[1], **given, **rates}
        ),
        periods(),
        st.sampled_from((*ASKED, *OF_TEAMS)),
        with_rates("period_end"),
    )


def said(view: ForecastView) -> dict[str, Any]:
    """Write a forecast as the oracle does; without its ratios where amounts are rounded."""
    found = _said(view)
    return found if view.rates is None else _without_ratios(found)


def _said(view: ForecastView) -> dict[str, Any]:
    return {
        "lines": {
            (line.group, line.currency): {
                "open": (line.deals, line.amount, line.weighted),
                "won": line.won,
                "measures": (
                    line.forecast_weighted,
                    line.forecast_commit,
                    line.forecast_best_case,
                    line.forecast_pipeline,
                ),
                "rate": line.win_rate_by_value,
                "required": line.coverage_required,
            }
            for line in view.lines
        },
        "categories": {
            (line.group, line.currency, line.forecast_category): (
                line.deals,
                line.amount,
                line.weighted,
            )
            for line in view.categories
        },
        "slippage": _slippage(view),
        "changes": {
            (line.group, line.currency): (
                line.pushes,
                line.deals_pushed,
                line.deals_pushed_again,
                line.increases,
                line.decreases,
            )
            for line in view.changes
        },
        "accuracy": _accuracy(view),
    }


def _slippage(view: ForecastView) -> dict[Any, Any]:
    return {
        (line.group, line.currency): (
            (line.expected, line.expected_amount),
            (line.won, line.left_otherwise, line.pending),
            (line.moved, line.moved_amount),
            (line.overdue, line.overdue_amount),
            (line.slipped, line.slipped_amount),
            (line.slippage, line.slippage_by_value),
        )
        for line in view.slippage
    }


def _accuracy(view: ForecastView) -> dict[Any, Any]:
    day = timedelta(days=1)
    return {
        (
            line.group, line.currency, line.first, line.last + day, line.made, line.known,
        ): (
            instant(line.made_at),
            line.deals,
            (line.forecast_weighted, line.forecast_commit, line.forecast_best_case),
            line.actual,
            (line.accuracy_weighted, line.accuracy_commit, line.accuracy_best_case),
        )
        for line in view.accuracy
    }  # fmt: skip


def wanted(raw: list[Raw], question: Forecast, as_of: int, known_at: int) -> dict[str, Any]:
    """Ask the oracle, period by period."""
    only: dict[str, Any] = {"by": question.by, "owner": question.owner}
    only |= {"process": question.process, "team": question.team, "events": raw}
    if question.report_currency is not None:
        only["exchange"] = exchange_for(raw, question, as_of, known_at)
    span = period_of(question.from_, question.to, as_of)
    start = span[0] - 1
    then = min(start, known_at) if question.as_known_then else known_at
    found = forecast_at(raw, span, as_of, known_at, only, trailing=question.trailing_days)
    found["slippage"] = {
        key: _fates(fates)
        for key, fates in slippage_at(raw, span, as_of, known_at, then, only).items()
    }
    found["accuracy"] = {}
    for _ in range(question.periods):
        first, after = (moment(at).date() for at in span)
        span = period_before(first, after, as_of)
        for key, past in past_forecasts(raw, span, as_of, known_at, only).items():
            group, currency, begins, ends, made, known = key
            days = (moment(begins).date(), moment(ends).date())
            found["accuracy"][group, currency, *days, made, known] = past[2:]
    told = {name: _decimals(part) for name, part in found.items()}
    if question.report_currency is None:
        return told
    return {name: _rounded(part) for name, part in _without_ratios(told).items()}


def _without_ratios(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out ratios, which are of the sums that are compared."""
    lines = {
        key: {name: line[name] for name in ("open", "won", "measures")}
        for key, line in found["lines"].items()
    }
    slippage = {key: fates[:-1] for key, fates in found["slippage"].items()}
    accuracy = {key: past[:-1] for key, past in found["accuracy"].items()}
    return {**found, "lines": lines, "slippage": slippage, "accuracy": accuracy}


def _rounded(found: object) -> object:
    """Let amounts differ a little that are rounded on their way, however deep they lie."""
    match found:
        case dict():
            return {key: _rounded(each) for key, each in found.items()}
        case tuple():
            return tuple(map(_rounded, found))
        case Decimal():
            return About(found)
        case _:
            return found


def _fates(fates: dict[str, tuple[int, Fraction]]) -> tuple[Any, ...]:
    nothing = (0, Fraction(0))
    won, other, pending, moved, overdue = (
        fates.get(fate, nothing) for fate in ("won", "otherwise", "pending", "moved", "overdue")
    )
    expected = [
        sum((Fraction(fate[n]) for fate in fates.values()), Fraction(0)) for n in (0, 1)
    ]
    slipped = (Fraction(moved[0] + overdue[0]), moved[1] + overdue[1])
    rates = [
        None if whole == 0 else part / whole
        for part, whole in zip(slipped, expected, strict=True)
    ]
    others = (won[0], other[0], pending[0])
    return tuple(expected), others, moved, overdue, slipped, tuple(rates)


def _decimals(found: object) -> object:
    """Write fractions as decimals of 28 digits, however deep they lie."""
    match found:
        case dict():
            return {key: _decimals(each) for key, each in found.items()}
        case list() | tuple():
            return tuple(map(_decimals, found))
        case Fraction():
            return Decimal(found.numerator) / found.denominator
        case _:
            return found


CASE = Case(asked(), said, wanted)

"""How far past ranges held, and what drawing each of them anew by plain loops gives."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import strategies as st

from oracle.beliefs import Raw, moment
from oracle.forecast_ranges import tested_in
from oracle.periods import period_before
from properties.asked.case import Case, exchange_for, said_of_rates
from properties.world import instant
from salesflow.projections.forecast.forecast_backtest import (
    ForecastBacktest,
    ForecastBacktestView,
)

__all__ = ["CASE"]

ASKED = (
    ForecastBacktest(quarters=1),
    ForecastBacktest(quarters=1, known="moment"),
    ForecastBacktest(quarters=1, known="moment", owner="ann"),
    ForecastBacktest(quarters=1, process="standard"),
    ForecastBacktest(quarters=1, known="moment", report_currency="USD"),
)


def said(view: ForecastBacktestView) -> dict[str, Any]:
    """Write the answer as the oracle does."""
    return {
        "quarters": view.quarters,
        "unknown": view.weeks_unknown,
        "ranges": {
            (each.method, each.currency, each.first, each.week): (
                instant(each.made_at),
                *(int(each.low * 10**6), int(each.middle * 10**6), int(each.high * 10**6)),
                *(int(each.actual * 10**6), each.held),
            )
            for each in view.ranges
        },
        "totals": {
            (each.method, each.currency): (
                each.ranges,
                each.held,
                each.came_below,
                each.came_above,
                _near(each.held_share),
                _near(each.error),
                _near(each.bias),
            )
            for each in view.totals
        },
        "weeks": {(w.method, w.week): (w.ranges, w.held, _near(w.error)) for w in view.weeks},
        "reps": {r.owner: (r.ranges, r.held, r.came_below, r.came_above) for r in view.reps},
        "teams": {t.team: (t.ranges, t.held, t.came_below, t.came_above) for t in view.teams},
        "rates": said_of_rates(view.rates),
        "calibration": {
            (each.method, each.band): (
                *(each.forecasts, each.deals),
                *(_near(each.given), _near(each.won)),
            )
            for each in view.calibration
        },
    }


def _near(share: Any) -> Any:  # noqa: ANN401 - a figure or nothing
    return None if share is None else pytest.approx(float(share), rel=1e-9, abs=1e-9)


def wanted(
    raw: list[Raw], question: ForecastBacktest, as_of: int, known_at: int
) -> dict[str, Any]:
    """Ask the oracle for every week, and count what held."""
    span = period_before(None, None, as_of + 1)
    only: dict[str, Any] = {"process": question.process, "owner": question.owner}
    exchange = exchange_for(raw, question, as_of, known_at)
    only["exchange"] = exchange
    found = tested_in(raw, [span], known_at, only, as_then=question.known == "then")
    ranges = found["ranges"]
    return {
        "quarters": 1,
        "unknown": found["unknown"],
        "ranges": {
            (method, currency, moment(first).date(), week): (
                *(first - 1 + (week - 1) * 7 * 86_400_000_000, *line[:4], line[4] == 0),
            )
            for (method, currency, first, week), line in ranges.items()
        },
        "totals": {
            key: _held([line for k, line in ranges.items() if k[:2] == key])
            for key in {k[:2] for k in ranges}
        },
        "weeks": {
            key: (len(lines), _sides(lines)[0], _error(lines))
            for key in {(k[0], k[3]) for k in ranges}
            for lines in [[line for k, line in ranges.items() if (k[0], k[3]) == key]]
        },
        "reps": _parts(found["parts"]["rep"]),
        "teams": _parts(found["parts"]["team"]),
        "rates": exchange.said(),
        "calibration": _calibration(found["given"]),
    }


def _parts(found: list[Any]) -> dict[Any, Any]:
    return {
        name: (len(sides), sides.count(0), sides.count(-1), sides.count(1))
        for name in {name for name, _ in found}
        for sides in [[side for each, side in found if each == name]]
    }


def _sides(lines: list[Any]) -> tuple[int, int, int]:
    sides = [line[4] for line in lines]
    return sides.count(0), sides.count(-1), sides.count(1)


def _error(lines: list[Any]) -> float | None:
    errors = [Fraction(abs(m - actual), actual) for _, m, _, actual, _ in lines if actual > 0]
    return float(sum(errors) / len(errors)) if errors else None


def _held(lines: list[Any]) -> tuple[Any, ...]:
    held, below, above = _sides(lines)
    actual, middle = (sum(line[n] for line in lines) for n in (3, 1))
    bias = float(Fraction(middle, actual) - 1) if actual > 0 else None
    return len(lines), held, below, above, held / len(lines), _error(lines), bias


def _calibration(given: list[Any]) -> dict[Any, Any]:
    bands: dict[Any, list[Any]] = {}
    for method, stream, chance, is_won in given:
        number = min(chance // 100_000, 9)
        name = f"{number * 10}–{number * 10 + 10}%"
        bands.setdefault((method, name), []).append((stream, chance, is_won))
    return {
        key: (
            len(found),
            len({stream for stream, _, _ in found}),
            sum(chance for _, chance, _ in found) / len(found) / 1_000_000,
            sum(is_won for _, _, is_won in found) / len(found),
        )
        for key, found in bands.items()
    }


CASE = Case(st.sampled_from(ASKED), said, wanted)

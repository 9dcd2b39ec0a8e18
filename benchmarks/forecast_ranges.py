"""How far do ranges of forecasts hold, over several logs together?

    python -m benchmarks.forecast_ranges URL … --as-of DAY [--quarters N] [--known moment]

Asks `forecast-backtest` of every log and adds up what it says: how often the 80 % range held,
by method and currency, by week, over all reps and teams, how far the middles lay off, and of
deals given so much how many were won.
What the last run came to stands in docs/testing-figures.md.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from salesflow import SalesFlow
from salesflow.projections.forecast.forecast_backtest import (
    ForecastBacktest,
    ForecastBacktestView,
)

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask every log, and print what all of them come to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("urls", nargs="+")
    parser.add_argument("--as-of", required=True)
    parser.add_argument("--quarters", type=int, default=8)
    parser.add_argument("--known", choices=("then", "moment"), default="then")
    given = parser.parse_args(arguments)
    question = ForecastBacktest(quarters=given.quarters, known=given.known)
    views = []
    for url in given.urls:
        with SalesFlow(url, create=False) as flow:
            views.append(flow.ask(question, as_of=given.as_of))
    for line in (*_held(views), *_middles(views), *_by_week(views), *_calibration(views)):
        print(line)


def _held(views: Iterable[ForecastBacktestView]) -> Iterator[str]:
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0] * 4)
    for view in views:
        for each in view.totals:
            found = (each.ranges, each.held, each.came_below, each.came_above)
            _add(sums[each.method, each.currency], found)
        for name, parts in (("each rep", view.reps), ("each team", view.teams)):
            for part in parts:
                found = (part.ranges, part.held, part.came_below, part.came_above)
                _add(sums["history", name], found)
    for (method, whose), (ranges, held, below, above) in sorted(sums.items()):
        counts = (
            f"{held:,.0f} of {ranges:,.0f} held, {below:,.0f} came below, {above:,.0f} above"
        )
        yield f"{method} {whose}: {held / ranges:.1%} ({counts})"


def _middles(views: Iterable[ForecastBacktestView]) -> Iterator[str]:
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0] * 2)
    for view in views:
        for each in view.ranges:
            if each.method == "history":
                _add(sums[each.currency], (float(each.middle), float(each.actual)))
    shares = (f"{name} {m / a - 1:+.1%}" for name, (m, a) in sorted(sums.items()) if a)
    yield "history, middles beside what came: " + ", ".join(shares)


def _by_week(views: Iterable[ForecastBacktestView]) -> Iterator[str]:
    weeks: dict[int, list[float]] = defaultdict(lambda: [0.0] * 2)
    for view in views:
        for each in view.weeks:
            if each.method == "history":
                _add(weeks[each.week], (each.ranges, each.held))
    shares = (f"{week}: {held / ranges:.0%}" for week, (ranges, held) in sorted(weeks.items()))
    yield "history by week, " + ", ".join(shares)


def _calibration(views: Iterable[ForecastBacktestView]) -> Iterator[str]:
    bands: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0] * 3)
    for view in views:
        for each in view.calibration:
            many = each.forecasts
            given, won = (float(share or 0) * many for share in (each.given, each.won))
            _add(bands[each.method, each.band], (many, given, won))
    for (method, band), (forecasts, given, won) in sorted(bands.items()):
        counts = f"{given / forecasts:.1%} given, {won / forecasts:.1%} won"
        yield f"{method} {band}: {counts}, {forecasts:,.0f} forecasts"


def _add(sums: list[float], more: Iterable[float]) -> None:
    for number, each in enumerate(more):
        sums[number] += each


if __name__ == "__main__":
    main()

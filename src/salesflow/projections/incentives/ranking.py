"""Who stands where by a metric: ranks in which equal figures share a place.

Leaderboards and contests rank alike. Whoever was in a team at the end of the period, or at the
moment, is ranked too, with nothing where there is nothing to be measured. Ranks go by the exact
figures.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from salesflow.domain.metric import Metric, metric_of
from salesflow.domain.values import EXACT
from salesflow.projections.core.currency import CurrencyConverter
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.metrics.metric_values import METRIC_FOLDS, Measurement, MetricFigure
from salesflow.projections.scope import EVERYTHING, MetricScope, Teams

__all__ = ["METRIC_FOLDS", "Ranked", "RankedBy", "Ranking"]

RankedBy = Literal["rep", "team"]
NOTHING: Final = Decimal(0)


class Ranked(NamedTuple):
    """On which rank somebody stands, by which figure."""

    rank: int | None
    """None for whoever has no figure."""
    participant: str
    figure: Decimal | None
    currency: str | None
    """Of a metric of amounts; ranks are those among figures of one currency."""
    n: int
    """How many bookings, deals or answers it rests on."""


class Ranking(NamedTuple):
    """By which metric reps or teams are ranked, and in which period."""

    reader: Reader
    metric: str
    span: Span
    by: RankedBy
    exchange: CurrencyConverter

    def rows(
        self, within: MetricScope = EVERYTHING, only: Collection[str] = ()
    ) -> list[Ranked]:
        """Return reps or teams in their order; `only` some, where any are named."""
        measured = Measurement(
            self.reader, [self.span], within, by=self.by, exchange=self.exchange
        )
        if only:
            measured.ask_only([(0, each) for each in only])
        figures = {each.group: each for each in measured.of(self.metric)}
        there = _there(self.reader, self.span, self.by, within)
        named = only or {*there, *(group for group in figures if group is not None)}
        its = metric_of(self.metric)
        sold: list[str | None] = [
            *sorted({total.currency for it in figures.values() for total in it.amounts})
        ]
        several = sold or [self.exchange.currency]
        return [
            row
            for currency in (several if its.unit == "money" else [None])
            for row in _in_order(its, [*_figures(its, named, figures, currency)])
        ]


def _there(reader: Reader, span: Span, by: RankedBy, within: MetricScope) -> Iterator[str]:
    """Yield who was in a team at the end of the period, or which teams somebody was in."""
    teams, at = Teams.read(reader), span.closing(reader.read_point.as_of)
    for rep in teams.reps:
        stay = teams.stay(rep, at)
        if stay is None or stay.team is None or at < stay.start:
            continue
        if within.team in (None, stay.team) and within.owner in (None, rep):
            yield rep if by == "rep" else stay.team


def _figures(
    metric: Metric,
    named: Collection[str],
    figures: Mapping[str | None, MetricFigure],
    currency: str | None,
) -> Iterator[Ranked]:
    for participant in sorted(named):
        found = figures.get(participant)
        value = metric.of_nothing if found is None else found.in_unit(metric, currency)
        yield Ranked(None, participant, value, currency, 0 if found is None else found.n)


def _in_order(metric: Metric, rows: Sequence[Ranked]) -> list[Ranked]:
    """Put rows in order, the best first, and rank them: those alike share a rank."""
    sign = 1 if metric.better == "lower" else -1

    def order(row: Ranked) -> tuple[bool, Decimal]:
        figure = NOTHING if row.figure is None else row.figure
        return row.figure is None, figure if sign > 0 else EXACT.minus(figure)

    found: list[Ranked] = []
    for place, row in enumerate(sorted(rows, key=order), 1):
        last = found[-1] if found else None
        shares = last is not None and last.figure == row.figure
        rank = last.rank if shares and last is not None else place
        found.append(row._replace(rank=None if row.figure is None else rank))
    return found

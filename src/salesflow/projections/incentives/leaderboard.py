"""Leaderboards: reps or teams in order of any metric, over a period.

Answers "who is ahead, by what, and how close is it?" for any past moment. Those with the same
figure share a rank, and the next rank leaves as many places free. Sales belong to owner and
collaborators by their shares as of the win, so that nothing is counted twice. Leaves out what
there is to win: that is a contest.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, ClassVar
from zoneinfo import ZoneInfo

from salesflow.domain.metric import MetricAsked, MetricUnit, ensure_ranked, metric_of
from salesflow.domain.time import Moment, Period
from salesflow.domain.values import Currency, Reference, SafeText, Value, tidy
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.figure_text import FigureText
from salesflow.presentation.format import NO_VALUE, days_text
from salesflow.presentation.messages import Language, say_count
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.currency import MoneyQuestion, MoneyView, RateRule
from salesflow.projections.core.question import PeriodQuestion, Reader
from salesflow.projections.incentives.ranking import METRIC_FOLDS, Ranked, RankedBy, Ranking
from salesflow.projections.scope import MetricScope

__all__ = ["Leaderboard", "LeaderboardRow", "LeaderboardView", "leaderboard_row"]


class LeaderboardRow(Value):
    """Where somebody stands."""

    rank: Annotated[int | None, FieldRole.FIGURE]
    """Shared by those with the same figure; None for whoever has none."""
    key: Annotated[Reference, FieldRole.KEY]
    """The rep's id, or the team's key."""
    currency: Annotated[Currency | None, FieldRole.KEY]
    """Of a metric of amounts; ranks are those among figures of one currency."""
    figure: Decimal | None
    count: int
    """How many bookings, deals or answers it rests on, those in all currencies together."""


class LeaderboardView(MoneyView):
    """Reps or teams in order of a metric."""

    population: ClassVar[str] = (
        "reps (or teams) of whom there is anything to be measured in the period, and those who"
        " were in a team at its end or at the moment"
    )
    formula: ClassVar[str] = (
        "rank = 1 + how many have a better figure, so equal figures share a rank; figures are"
        " those of the metric as in key figures; currencies are ranked each by itself; rests on"
        " = how many bookings, deals, customers, answers or visits of theirs the figure counts,"
        " in all currencies together"
    )
    metric: SafeText
    metric_en: SafeText
    metric_zh: SafeText
    unit: Annotated[MetricUnit, FieldRole.TRAIT]
    by: Annotated[RankedBy, FieldRole.TRAIT]
    period: Annotated[Period, FieldRole.TRAIT]
    standings: tuple[LeaderboardRow, ...]

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay it out, the best first: a row per rep or team, a table per currency.

        Of several currencies, whoever has nothing in one is counted below its table alone.
        """
        currencies = [*dict.fromkeys(each.currency for each in self.standings)]
        if len(currencies) < 2:
            return [self._table(self.standings, None, language)]
        return [
            self._table(
                [each for each in self.standings if each.currency == currency],
                currency,
                language,
            )
            for currency in currencies
        ]

    def _table(
        self, standings: Sequence[LeaderboardRow], currency: str | None, language: Language
    ) -> TableOfView:
        """Lay out one order: that of one of several currencies where it is named."""
        name = self.metric_zh if language == "zh" else self.metric_en
        counted = "Rests on" if currency is None else "Rests on, all currencies"
        heads = ("Rank", self.by.capitalize(), "Result", counted)
        shown = [each for each in standings if currency is None or each.figure]
        rows = tuple(
            (
                NO_VALUE if each.rank is None else str(each.rank),
                each.key,
                FigureText(self.unit, language, each.currency).figure(each.figure),
                f"{each.count:,}",
            )
            for each in shown
        )
        days = days_text(self.period, ZoneInfo(self.timezone))
        about = " · ".join(filter(None, (name, currency, days)))
        notes: tuple[str, ...] = ()
        if left := len(standings) - len(shown):
            one, many = "{count} more has nothing", "{count} more have nothing"
            notes = (say_count(one, many, left, language),)
        return TableOfView("Leaderboard", heads, rows, notes, about)


class Leaderboard(PeriodQuestion[LeaderboardView], MoneyQuestion[LeaderboardView]):
    """Who is ahead by a metric, in a period?"""

    name: ClassVar[str] = "leaderboard"
    folds: ClassVar[tuple[str, ...]] = METRIC_FOLDS
    rates_usual: ClassVar[RateRule] = "event"
    metric: MetricAsked = "sales"
    """By which metric, such as sales, orders, win_rate, new_customers, csat. Default: sales."""
    by: RankedBy = "rep"
    """Rank each rep or each team. Default: rep."""
    team: Reference | None = None
    """Only what counts for this team (its key); all when left out."""
    process: Reference | None = None
    """Only deals of this process (its key); all when left out."""

    def answer(self, reader: Reader, moment: Moment) -> LeaderboardView:
        """Measure everybody in the period, and rank them.

        Raises:
            InputError: for a metric that nobody can be ranked by.
        """
        metric = metric_of(self.metric)
        ensure_ranked(metric)
        span, exchange = self.span(reader), self.exchange(reader)
        within = MetricScope(team=self.team, process=self.process)
        rows = Ranking(reader, metric.key, span, self.by, exchange).rows(within)
        assert metric.unit is not None, "only a figure from outside has none"
        return LeaderboardView(
            moment=moment,
            rates=exchange.used,
            metric=metric.key,
            metric_en=metric.name_en,
            metric_zh=metric.name_zh,
            unit=metric.unit,
            by=self.by,
            period=span.period(),
            standings=tuple(map(leaderboard_row, rows)),
        )


def leaderboard_row(row: Ranked) -> LeaderboardRow:
    """Return where somebody stands as an answer shows it."""
    return LeaderboardRow(
        rank=row.rank,
        key=row.participant,
        currency=row.currency,
        figure=None if row.figure is None else tidy(row.figure),
        count=row.n,
    )

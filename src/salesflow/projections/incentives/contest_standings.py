"""Contests: who stands where, who has won which prize, and what became known since.

Answers "who is winning the contest?" while it is on, and afterwards "who has won it, and would
it be another by what we know now?". Results that were fixed stay; what is known now is beside
them. Leaves out awards that were granted: they stand with the rep.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from salesflow.domain.contest import (
    Contest,
    ContestOpened,
    ContestRank,
    ContestResults,
    ContestState,
    contest_id,
)
from salesflow.domain.metric import MetricUnit, metric_of
from salesflow.domain.time import Moment, Period
from salesflow.domain.values import Currency, Key, Reference, SafeText, Value, tidy
from salesflow.domain.wording import quoted
from salesflow.errors import InputError, NotFoundError, RuleError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.figure_text import FigureText
from salesflow.presentation.format import NO_VALUE, days_text, local_time
from salesflow.presentation.messages import Language, in_language, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.currency import CurrencyConverter, MoneyView
from salesflow.projections.core.question import Question, Reader, span_of
from salesflow.projections.core.replaying import state_of
from salesflow.projections.folds.contest import CONTEST
from salesflow.projections.incentives.ranking import METRIC_FOLDS, Ranked, RankedBy, Ranking

__all__ = ["ContestStanding", "ContestStandings", "ContestStandingsView"]

PLACES = 6


class ContestStanding(Value):
    """Where somebody stands, and on which rank the contest was closed."""

    key: Annotated[Reference, FieldRole.KEY]
    """The rep's id, or the team's key."""
    rank: Annotated[int | None, FieldRole.FIGURE]
    """As known at the moment."""
    figure: Decimal | None
    fixed_rank: Annotated[int | None, FieldRole.FIGURE]
    """As fixed when the contest was closed; None while it is not."""
    fixed_figure: Decimal | None
    prize: SafeText | None
    """What there is to win on the rank: the fixed one, where it is closed."""


class ContestStandingsView(MoneyView):
    """A contest as it stands, and as it was closed."""

    population: ClassVar[str] = (
        "those who take part; where nobody is named, all reps (or teams) of whom there is"
        " anything to be measured in the contest's days, or who were in a team at their end"
    )
    formula: ClassVar[str] = (
        "rank = 1 + how many have a better figure, so equal figures share a rank and its prize;"
        " figures are those of the metric as in key figures, amounts in the contest's currency"
        " at the rate of each booking's day"
    )
    contest: Key
    title_en: SafeText
    title_zh: SafeText
    metric: SafeText
    unit: Annotated[MetricUnit, FieldRole.TRAIT]
    currency: Annotated[Currency | None, FieldRole.TRAIT]
    by: Annotated[RankedBy, FieldRole.TRAIT]
    period: Annotated[Period, FieldRole.TRAIT]
    to_date: bool
    """Whether the contest's days are not over at the moment."""
    results_as_of: Annotated[datetime | None, FieldRole.TRAIT]
    """The moment of the results with which it was closed; None while it is not."""
    results_known_at: Annotated[datetime | None, FieldRole.TRAIT]
    standings: tuple[ContestStanding, ...]

    def results(self) -> ContestResults:
        """Return what the contest is closed with: `contest.decide(view.results())`.

        Raises:
            InputError: while its days are not over.
            RuleError: when it is closed already.
        """
        if self.results_as_of is not None:
            raise RuleError(f"contest {self.contest} is closed already; its results stand")
        if self.to_date:
            raise InputError(
                f"contest {self.contest} is not over; ask as of its last day, or later"
            )
        return ContestResults(
            as_of=self.moment.as_of,
            known_at=self.moment.known_at,
            ranks=tuple(
                ContestRank(
                    participant=each.key,
                    rank=each.rank,
                    figure=None if each.figure is None else tidy(round(each.figure, PLACES)),
                )
                for each in self.standings
            ),
        )

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay it out: a row per rep or team, the best first; fixed results beside it."""
        title = self.title_zh if language == "zh" else self.title_en
        zone = ZoneInfo(self.timezone)
        is_closed, notes = self.results_as_of is not None, []
        heads: tuple[str, ...] = ("Rank", self.by.capitalize(), "Result", "Prize")
        if is_closed:
            heads = ("Rank", self.by.capitalize(), "Result", "Prize", "Rank now", "Result now")
            at = local_time(self.results_as_of or self.moment.as_of, zone, exact=False)
            notes.append(say("closed with the figures as of {time}", language, time=at))
        elif self.moment.as_of < self.period.start:
            notes.append(in_language("contest not begun: nobody is first yet", language))
        elif self.to_date:
            notes.append(in_language("contest to date: its days are not over", language))
        rows = tuple(self._row(each, is_closed, language) for each in self.standings)
        about = f"{title} · {days_text(self.period, zone)}"
        return [TableOfView("Contest standings", heads, rows, tuple(notes), about)]

    def _row(
        self, each: ContestStanding, is_closed: bool, language: Language
    ) -> tuple[str, ...]:
        now = (_rank_text(each.rank), self._figure(each.figure, language))
        if self.moment.as_of < self.period.start:
            return NO_VALUE, each.key, now[1], NO_VALUE
        if not is_closed:
            return now[0], each.key, now[1], each.prize or NO_VALUE
        fixed = self._figure(each.fixed_figure, language)
        return _rank_text(each.fixed_rank), each.key, fixed, each.prize or NO_VALUE, *now

    def _figure(self, figure: Decimal | None, language: Language) -> str:
        return FigureText(self.unit, language, self.currency).figure(figure)


class ContestStandings(Question[ContestStandingsView]):
    """Who is winning a contest, or has won it?"""

    name: ClassVar[str] = "contest-standings"
    folds: ClassVar[tuple[str, ...]] = (*METRIC_FOLDS, CONTEST.name)
    contest: Key
    """The contest's key."""

    def answer(self, reader: Reader, moment: Moment) -> ContestStandingsView:
        """Measure all who take part, and rank them; show beside it what was fixed.

        Raises:
            NotFoundError: when there is no such contest by the moment.
        """
        state = self._contest(reader)
        opened = state.opened
        assert opened is not None, "a contest that is believed in was opened"
        metric = metric_of(opened.metric)
        span = span_of(opened.first_day, opened.last_day, reader)
        exchange = CurrencyConverter(reader, opened.currency, "event")
        ranking = Ranking(reader, metric.key, span, opened.by, exchange)
        rows = ranking.rows(only=opened.participants)
        assert metric.unit is not None, "nobody is ranked by a figure from outside"
        results = state.results
        return ContestStandingsView(
            moment=moment,
            rates=exchange.used,
            contest=opened.contest,
            title_en=opened.title_en,
            title_zh=opened.title_zh,
            metric=metric.key,
            unit=metric.unit,
            currency=opened.currency,
            by=opened.by,
            period=span.period(),
            to_date=reader.read_point.as_of < span.end - 1,
            results_as_of=None if results is None else results.as_of,
            results_known_at=None if results is None else results.known_at,
            standings=tuple(_standings(rows, results, opened)),
        )

    def _contest(self, reader: Reader) -> ContestState:
        state = state_of(Contest, ContestState, reader.events(contest_id(self.contest)), reader)
        if state.opened is None:
            known = sa.select(CONTEST.c.contest).where(CONTEST.visible_at(reader.read_point))
            names = sorted(row[0] for row in reader.rows(known))
            there = f"there are {', '.join(names)}" if names else "none was announced"
            raise NotFoundError(f"no contest {quoted(self.contest)} by then; {there}")
        return state


def _standings(
    rows: list[Ranked], results: ContestResults | None, opened: ContestOpened
) -> Iterator[ContestStanding]:
    """Yield where everybody stands: in the order that was fixed, where it was."""
    prizes = {prize.rank: prize.prize for prize in opened.prizes}
    now = {row.participant: row for row in rows}
    fixed: Mapping[str, ContestRank] = (
        {} if results is None else {each.participant: each for each in results.ranks}
    )
    for participant in dict.fromkeys((*fixed, *now)):
        row, was = now.get(participant), fixed.get(participant)
        here = None if row is None else row.rank
        counts = here
        if results is not None:
            counts = None if was is None else was.rank
        figure = None if row is None else row.figure
        yield ContestStanding(
            key=participant,
            rank=here,
            figure=None if figure is None else tidy(figure),
            fixed_rank=None if was is None else was.rank,
            fixed_figure=None if was is None else was.figure,
            prize=None if counts is None else prizes.get(counts),
        )


def _rank_text(rank: int | None) -> str:
    return NO_VALUE if rank is None else str(rank)

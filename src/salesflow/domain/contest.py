"""Contests: who does best by a metric in a period, reps or teams, and what there is to win.

Standings at any moment come from the question `contest-standings`. A contest is closed with
its results, fixed at a moment; what becomes known later changes no result, and is shown
beside it. Prizes are words here: what is not money is granted as an award (`rep_awards.py`),
what is money belongs into an incentive plan.
"""

from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Self, assert_never, get_args
from uuid import UUID

from pydantic import Field, Strict, model_validator

from salesflow.domain.aggregate import Aggregate, OccurredAt
from salesflow.domain.event import Event, Fact
from salesflow.domain.metric import MetricKey, ensure_currency, ensure_ranked, metric_of
from salesflow.domain.state import OpenedState
from salesflow.domain.time import Time, ensure_period
from salesflow.domain.values import (
    Day,
    GivenCurrency,
    Key,
    Number,
    Reason,
    Reference,
    SafeName,
    Value,
    id_of_key,
)
from salesflow.domain.wording import Message, quoted
from salesflow.errors import InputError, RuleError

__all__ = [
    "Contest",
    "ContestClosed",
    "ContestFact",
    "ContestOpened",
    "ContestRank",
    "ContestResults",
    "ContestState",
    "Contestants",
    "Prize",
    "contest_id",
]


CONTESTS = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a13")

Contestants = Literal["rep", "team"]
Rank = Annotated[int, Strict(), Field(ge=1, lt=2**31)]


class Prize(Value):
    """What there is to win on a rank."""

    rank: Rank
    prize: SafeName


class ContestRank(Value):
    """On which rank somebody came in; those with the same figure share one."""

    participant: Reference
    rank: Rank | None = None
    """None for whoever has no figure."""
    figure: Number | None = None


class ContestResults(Value):
    """Who came in how, and the moment of the figures."""

    as_of: Time
    known_at: Time
    ranks: tuple[ContestRank, ...] = ()


class ContestOpened(Fact):
    """A contest was announced."""

    kind: ClassVar[str] = "contest.opened"
    name_zh: ClassVar[str] = "销售竞赛开始"
    is_opening: ClassVar[bool] = True
    contest: Key
    title_en: SafeName
    title_zh: SafeName
    metric: MetricKey
    """The figure that decides, by its key among the metrics."""
    currency: GivenCurrency | None = None
    """The currency of a metric of amounts, to which others are converted."""
    by: Contestants = "rep"
    """Whether reps or teams are ranked."""
    first_day: Day
    last_day: Day
    participants: tuple[Reference, ...] = ()
    """Who takes part: ids of reps or keys of teams; all, where nobody is named."""
    prizes: tuple[Prize, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.last_day < self.first_day:
            raise ValueError(Message("a contest ends before it begins"))
        return self


class ContestClosed(Fact):
    """The contest was decided; these results stand, whatever becomes known later."""

    kind: ClassVar[str] = "contest.closed"
    name_zh: ClassVar[str] = "销售竞赛结束"
    results: ContestResults
    because: Reason | None = None

    @property
    def figures_seen(self) -> tuple[datetime | None, datetime | None]:
        """The moment of the figures that it rests on."""
        return self.results.as_of, self.results.known_at


ContestFact = ContestOpened | ContestClosed


class ContestState(OpenedState):
    """What a contest is about, and how it ended."""

    opened: ContestOpened | None = None
    results: ContestResults | None = None
    """None while it is not closed."""

    def _change(self, event: Event, opening: Event) -> Message | None:
        fact: ContestFact = event.fact  # type: ignore[assignment]
        if event.occurred < opening.occurred:
            return Message("before the contest was opened")
        match fact:
            case ContestOpened():
                if self.opened is not None:
                    return Message("the contest was opened before")
                if contest_id(fact.contest) != event.stream_id:
                    its = repr(fact.contest)
                    return Message("it names another contest, {contest}", contest=its)
                self.opened = fact
            case ContestClosed():
                if self.results is not None:
                    return Message("the contest was closed before")
                self.results = fact.results
            case _:
                assert_never(fact)
        return None


class Contest(Aggregate, ContestState):
    """A contest by its key; `session.get(Contest, contest_id("spring"))` finds it."""

    noun: ClassVar[str] = "contest"
    facts: ClassVar[tuple[type[Fact], ...]] = get_args(ContestFact)

    @classmethod
    def open(
        cls,
        key: str,
        *,
        name_en: str,
        name_zh: str,
        metric: str,
        first_day: date,
        last_day: date,
        by: Contestants = "rep",
        currency: str | None = None,
        participants: tuple[str, ...] = (),
        prizes: tuple[Prize, ...] = (),
        occurred_at: OccurredAt = None,
    ) -> Self:
        """Announce a contest over a period, for reps or for teams."""
        ranked_by = metric_of(metric)
        ensure_ranked(ranked_by)
        ensure_currency(ranked_by, currency)
        ranks = [each.rank for each in prizes]
        if len({*ranks}) < len(ranks):
            raise InputError("two prizes are for one rank; name both in one prize")
        fact = ContestOpened(
            contest=key,
            title_en=name_en,
            title_zh=name_zh,
            metric=metric,
            currency=currency,
            by=by,
            first_day=first_day,
            last_day=last_day,
            participants=participants,
            prizes=prizes,
        )
        ensure_period(fact.first_day, fact.last_day)
        if len({*fact.participants}) < len(fact.participants):
            raise InputError("somebody is named twice among those who take part")
        self = cls.new(contest_id(fact.contest))
        self._record(fact, occurred_at)
        return self

    def decide(
        self,
        results: ContestResults,
        *,
        because: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Fix the results, as the question contest-standings has them."""
        then = self._at(occurred_at)
        if then.results is not None:
            raise RuleError("the contest is closed already; its results stand")
        _ensure_of(then.opened, results)
        self._record(ContestClosed(results=results, because=because), occurred_at)


def _ensure_of(contest: ContestOpened | None, results: ContestResults) -> None:
    """Refuse results of a contest that is not over, or of others than took part."""
    assert contest is not None
    if results.as_of.date() < contest.last_day:  # in no time zone is it over by then
        raise RuleError(
            f"the contest goes on to {contest.last_day}; its results are as of that day, or"
            f" later, not as of {results.as_of.isoformat()}"
        )
    ranked = [each.participant for each in results.ranks]
    if len({*ranked}) < len(ranked):
        raise InputError("somebody is named twice in the results")
    strangers = {*ranked} - {*contest.participants} if contest.participants else set()
    if strangers:
        raise InputError(f"{quoted(min(strangers))} does not take part in this contest")


@lru_cache(maxsize=1024)
def contest_id(key: str) -> UUID:
    """Return the stream id of a contest; the same key is the same contest everywhere."""
    return id_of_key(CONTESTS, key)

"""Improvements: a change of the process or the strategy, and what it should move.

An improvement has a key. It is proposed with a hypothesis and the metric that should move, and
started: everywhere at once, or team by team, which alone lets anybody tell the change from what
would have changed anyway. The order of the teams can be drawn by a seed that is recorded, so
that nobody can say it was chosen. It is concluded as adopted, reverted or inconclusive; the
figures of that moment are asked for by `ImprovementEffect`, for ever the same.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from secrets import randbelow
from typing import Annotated, ClassVar, Final, Literal, Self, assert_never, get_args
from uuid import UUID

from pydantic import Field, Strict

from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.arguments import require_reason
from salesflow.domain.event import Event, Fact, PlannedFact
from salesflow.domain.metric import MetricKey, ensure_at_stage, metric_of
from salesflow.domain.planned_aggregate import PlannedAggregate
from salesflow.domain.process import VersionNumber
from salesflow.domain.state import EMPTY, OpenedState, with_item
from salesflow.domain.time import LAST_DAY, Instant, from_instant
from salesflow.domain.values import (
    Count,
    Day,
    Key,
    Number,
    Reason,
    Reference,
    Value,
    id_of_key,
    number,
)
from salesflow.domain.wording import Message, quoted
from salesflow.errors import InputError, RuleError

__all__ = [
    "Improvement",
    "ImprovementChange",
    "ImprovementConcluded",
    "ImprovementFact",
    "ImprovementOutcome",
    "ImprovementProposed",
    "ImprovementStaggered",
    "ImprovementStarted",
    "ImprovementState",
    "TeamStart",
    "drawn_order",
    "improvement_id",
]


IMPROVEMENTS = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a33")
ImprovementChange = Literal["process", "strategy"]
ImprovementOutcome = Literal["adopted", "reverted", "inconclusive"]
Stage = Literal["proposed", "running", "concluded"]
BEFORE_PROPOSING: Final = Message("before the improvement was proposed")
SEEDS: Final = 1_000_000_000
"""A seed is one of so many, unless it is named."""
EVERYWHERE: Final = ""
"""Stands for all teams that did not start by themselves."""


class TeamStart(Value):
    """When a team is to start."""

    team: Reference
    day: Day


class ImprovementProposed(Fact):
    """Somebody expects a figure to move if something is done otherwise."""

    kind: ClassVar[str] = "improvement.proposed"
    name_zh: ClassVar[str] = "提出改进"
    is_opening: ClassVar[bool] = True
    improvement: Key
    hypothesis: Reason
    """What is done otherwise, and why that should help."""
    change: ImprovementChange
    """Whether the sales process is changed, or the strategy."""
    metric: MetricKey
    """The figure that should move, such as win_rate."""
    stage: Key | None = None
    """The stage at which it is measured, where it is one of a stage."""
    expected_effect: Number | None = None
    """By how much it should move, in its own unit: 0.05 is five points of a rate."""
    process: Key | None = None
    """The sales process (its key) it is about; all when left out."""
    process_version: VersionNumber | None = None
    """The version of the process that brings the change."""
    teams: tuple[Reference, ...] = ()
    """The teams (their keys) that are to change; all when left out."""


class ImprovementStaggered(Fact):
    """The order in which the teams start was drawn by a seed, so that nobody chose it."""

    kind: ClassVar[str] = "improvement.staggered"
    name_zh: ClassVar[str] = "随机排定启动顺序"
    seed: Count
    """The number by which the order is drawn: the same one draws it again. Default: one that
    nobody chose."""
    starts: tuple[TeamStart, ...]


class ImprovementStarted(PlannedFact):
    """From now on it is done so, in one team or everywhere."""

    kind: ClassVar[str] = "improvement.started"
    name_zh: ClassVar[str] = "改进启动"
    team: Reference | None = None
    """The team (its key) that starts; everywhere else when left out."""


class ImprovementConcluded(Fact):
    """It was decided what becomes of it."""

    kind: ClassVar[str] = "improvement.concluded"
    name_zh: ClassVar[str] = "改进结论"
    outcome: ImprovementOutcome
    because: Reason | None = None


ImprovementFact = (
    ImprovementProposed | ImprovementStaggered | ImprovementStarted | ImprovementConcluded
)


class ImprovementState(OpenedState):
    """What is tried, where it has started, and what was concluded by now."""

    key: str = ""
    proposed: ImprovementProposed | None = None
    planned_starts: Mapping[str, date] = EMPTY
    """When each team is to start, as it was drawn."""
    seed: int | None = None
    starts: Mapping[str, Event] = EMPTY
    """By the teams that have started; under "" where it began everywhere else."""
    concluded: Event | None = None
    outcome: ImprovementOutcome | None = None
    because: str | None = None

    @property
    def opening(self) -> Event | None:
        """The event that proposed it."""
        return self._opening

    @property
    def teams(self) -> tuple[str, ...]:
        """The teams that are to change; all when there are none named."""
        return () if self.proposed is None else self.proposed.teams

    @property
    def progress(self) -> Stage:
        """Whether it is proposed, running or concluded."""
        if self.concluded is not None:
            return "concluded"
        return "running" if self.starts else "proposed"

    def _change(self, event: Event, opening: Event) -> Message | None:
        fact: ImprovementFact = event.fact  # type: ignore[assignment]
        if event.occurred < opening.occurred:
            return BEFORE_PROPOSING
        match fact:
            case ImprovementProposed():
                return self._propose(fact, event, opening)
            case ImprovementStaggered():
                self.seed = fact.seed
                self.planned_starts = {each.team: each.day for each in fact.starts}
            case ImprovementStarted():
                return self._start(fact.team or EVERYWHERE, event)
            case ImprovementConcluded() if self.concluded is not None:
                return Message("the improvement was concluded before")
            case ImprovementConcluded():
                self.concluded, self.outcome = event, fact.outcome
                self.because = fact.because
            case _:
                assert_never(fact)
        return None

    def _propose(
        self, fact: ImprovementProposed, event: Event, opening: Event
    ) -> Message | None:
        if event is not opening:
            return Message("the improvement was proposed before")
        if improvement_id(fact.improvement) != event.stream_id:
            return Message(
                "it names another improvement, {improvement}",
                improvement=repr(fact.improvement),
            )
        self.key, self.proposed = fact.improvement, fact
        return None

    def _start(self, team: str, event: Event) -> Message | None:
        if self.concluded is not None:
            return Message("started after it was concluded")
        if team in self.starts:
            return Message("it was started there before")
        self.starts = with_item(self.starts, team, event)
        return None


class Improvement(PlannedAggregate, ImprovementState):
    """An improvement by its key; `session.get(Improvement, improvement_id("trial"))`."""

    noun: ClassVar[str] = "improvement"
    facts: ClassVar[tuple[type[Fact], ...]] = get_args(ImprovementFact)

    @classmethod
    def propose(
        cls,
        improvement: str,
        *,
        hypothesis: str,
        change: ImprovementChange,
        metric: str,
        stage: str | None = None,
        expected_effect: Decimal | str | None = None,
        process: str | None = None,
        process_version: int | None = None,
        teams: tuple[str, ...] = (),
        occurred_at: OccurredAt = None,
    ) -> Self:
        """Propose to do something otherwise, and say which figure that should move."""
        _ensure_measurable(metric, stage)
        fact = ImprovementProposed(
            improvement=improvement,
            hypothesis=require_reason(hypothesis, "an improvement"),
            change=change,
            metric=metric,
            stage=stage,
            expected_effect=None if expected_effect is None else number(expected_effect),
            process=process,
            process_version=process_version,
            teams=teams,
        )
        _ensure_well_proposed(fact)
        self = cls.new(improvement_id(fact.improvement))
        self._record(fact, occurred_at)
        return self

    def correct(
        self,
        *,
        because: str,
        hypothesis: str | None = None,
        change: ImprovementChange | None = None,
        metric: str | None = None,
        stage: str | None = None,
        expected_effect: Decimal | str | None = None,
        process: str | None = None,
        process_version: int | None = None,
        teams: tuple[str, ...] = (),
    ) -> None:
        """Say rightly what was proposed wrongly; what is not named stays as it was.

        The proposal is retracted for that reason and stands corrected from when it was made;
        where it has started it has.
        """
        self.ensure_exists()
        opening, before = self._opening, self.proposed
        assert opening is not None
        assert before is not None
        effect = None if expected_effect is None else number(expected_effect)
        named: dict[str, object] = {"hypothesis": hypothesis, "stage": stage}
        named |= {"change": change, "metric": metric}
        named |= {"process": process, "process_version": process_version}
        named |= {"expected_effect": effect, "teams": teams or None}
        said = {name: value for name, value in named.items() if value is not None}
        fact = ImprovementProposed.model_validate({**dict(before), **said})
        if fact == before:
            raise InputError(f"nothing of improvement {self.key!r} would be otherwise")
        _ensure_well_proposed(fact)
        if fact.teams != before.teams and (self.starts or self.planned_starts):
            raise RuleError(
                f"improvement {self.key!r} has started, or its order is drawn; its teams stay,"
                " so conclude it and propose another one"
            )
        self.retract(opening.event_id, because=because)
        self._record(fact, self._when(opening))

    def stagger(
        self,
        *,
        first: date,
        seed: int | None = None,
        every_days: Annotated[int, Strict(), Field(ge=1)] = 30,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Draw the order in which the teams start, so many days apart, and record its seed.

        It is drawn once. It starts nobody: start it in each team when its day has come.
        """
        then = self._at(occurred_at)
        then._ensure_can_be_drawn(first, every_days)
        seed = randbelow(SEEDS) if seed is None else seed
        order = drawn_order(then.teams, seed)
        starts = tuple(
            TeamStart(team=team, day=first + timedelta(days=place * every_days))
            for place, team in enumerate(order)
        )
        self._record(ImprovementStaggered(seed=seed, starts=starts), occurred_at)

    def _ensure_can_be_drawn(self, first: date, every_days: int) -> None:
        """Refuse an order that cannot be drawn, or not any more."""
        self._ensure_not_concluded("draw an order")
        if every_days < 1:
            raise InputError(f"teams start at least a day apart, not {every_days}")
        if len(self.teams) < 2:
            raise RuleError(
                f"improvement {self.key!r} names {len(self.teams)} teams; an order is drawn of"
                " two or more, which are named when it is proposed"
            )
        if self.starts:
            raise RuleError(f"improvement {self.key!r} has started; its order is what it was")
        if (LAST_DAY - first).days < every_days * len(self.teams):
            raise InputError(
                f"the last of {len(self.teams)} teams, {every_days} days apart, would start"
                f" after {LAST_DAY}; let them start sooner after one another"
            )
        if self.seed is not None:
            raise RuleError(
                f"the order of improvement {self.key!r} was drawn by the seed {self.seed}; to"
                " draw another one, retract that and say why"
            )

    def _ensure_in_time(self, fact: Fact, at: Instant) -> None:
        """Refuse an order of starts that were over when it was drawn, too."""
        super()._ensure_in_time(fact, at)
        if not isinstance(fact, ImprovementStaggered) or not self._context.knows_days:
            return
        day = from_instant(at).astimezone(self._context.timezone).date()
        first = min(each.day for each in fact.starts)
        if first < day:
            raise InputError(
                f"the order is drawn on {day}, and the first team would have started on"
                f" {first} already; name that day or a later one, or say when the order was"
                " drawn, occurred_at=…"
            )

    def start(
        self,
        *,
        team: str | None = None,
        effective_from: datetime | date | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Begin to do it so in one team, or everywhere else, perhaps from a later day."""
        starts = self._effective(effective_from)
        fact = ImprovementStarted(team=team, effective_from=starts)
        then = self._planned(occurred_at, starts)
        then._ensure_not_concluded("start it")
        if fact.team is not None and then.teams and fact.team not in then.teams:
            known = ", ".join(then.teams)
            raise RuleError(
                f"team {quoted(fact.team)} is none of improvement {then.key!r}; there are"
                f" {known}"
            )
        if (fact.team or EVERYWHERE) in then.starts:
            where = "everywhere" if fact.team is None else f"in team {fact.team!r}"
            raise RuleError(f"improvement {then.key!r} has started {where} already")
        self._record(fact, occurred_at)

    def conclude(
        self,
        outcome: ImprovementOutcome,
        *,
        because: str,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Decide what becomes of it: adopted, reverted, or inconclusive, and why."""
        then = self._at(occurred_at)
        then._ensure_not_concluded("conclude it")
        if not then.starts and outcome != "inconclusive":
            raise RuleError(
                f"improvement {then.key!r} has not started by that time; start it first, or"
                " conclude it as inconclusive"
            )
        because = require_reason(because, "concluding an improvement")
        self._record(ImprovementConcluded(outcome=outcome, because=because), occurred_at)

    def _when(self, event: Event) -> datetime | date:
        """Return when something happened, a day where only that was said."""
        at = event.occurred_at
        is_day = event.precision == "day"
        return at.astimezone(self._context.timezone).date() if is_day else at

    def _ensure_not_concluded(self, asked: str) -> None:
        if self.concluded is not None:
            raise RuleError(
                f"improvement {self.key!r} is concluded as {self.outcome} at that time and you"
                f" cannot {asked}; propose another one, or retract the conclusion"
            )


def _ensure_well_proposed(fact: ImprovementProposed) -> None:
    """Refuse a proposal that nobody could judge."""
    _ensure_measurable(fact.metric, fact.stage)
    _ensure_possible(fact.metric, fact.expected_effect)
    if fact.process_version is not None and fact.process is None:
        raise InputError(f"process_version {fact.process_version} of which process? name it")
    if len({*fact.teams}) < len(fact.teams):
        raise InputError("a team is named twice; name each once")


def _ensure_possible(metric: str, effect: Decimal | None) -> None:
    """Refuse an effect on a share that no share can have, such as 20 for 20 points."""
    if effect is None or metric_of(metric).unit != "share" or abs(effect) <= 1:
        return
    written = f"{(effect / 100).normalize():f}"
    meant = f"; write {written} for {effect:f} points" if abs(effect) <= 100 else ""
    raise InputError(
        f"expected_effect: {metric} is a share, of which 0.05 is five points; {effect:f} is"
        f" more than all of it{meant}"
    )


def drawn_order(teams: Sequence[str], seed: int) -> list[str]:
    """Return teams in an order that follows from a seed alone, whatever order they are in."""
    return sorted(teams, key=lambda team: sha256(f"{seed}:{team}".encode()).digest())


def _ensure_measurable(metric: str, stage: str | None) -> None:
    """Refuse a metric that cannot be measured where it is said to be."""
    found = metric_of(metric)
    if found.is_figure:
        raise InputError(
            f"{metric} is reported from outside, and nobody can be compared by it; name a"
            " metric that is worked out from deals"
        )
    ensure_at_stage(found, stage)


@lru_cache(maxsize=1024)
def improvement_id(key: str) -> UUID:
    """Return the stream id of an improvement; the same key is the same one everywhere."""
    return id_of_key(IMPROVEMENTS, key)

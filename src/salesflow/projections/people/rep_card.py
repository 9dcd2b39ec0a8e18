"""Rep card: everything about one rep at a moment: figures, skills, trainings, level and plan.

Answers "how is she doing, what can she do by whose judgement, and what was agreed?" before a
talk. Figures are what the rep owned or is credited with in a period, the one before beside it.
What is told of a rep is read from their own stream as believed at the moment. Leaves out how
the rep compares with the team: that is Coaching.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal
from zoneinfo import ZoneInfo

from salesflow.domain.metric import METRICS, MetricKey
from salesflow.domain.rep import Rep, RepState, rep_id
from salesflow.domain.rep_development import SkillRating, TrainingTaken, next_step
from salesflow.domain.team import Team, TeamState, team_id
from salesflow.domain.time import Moment, Period
from salesflow.domain.values import Key, Number, Personal, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.figure_text import FigureText
from salesflow.presentation.format import (
    NO_VALUE,
    Total,
    days_text,
    local_day,
    totals_text,
)
from salesflow.presentation.messages import Language, in_language, key_text, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.currency import MoneyQuestion, MoneyView, RateRule
from salesflow.projections.core.question import PeriodQuestion, Reader, Span, span_of
from salesflow.projections.core.replaying import state_of
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.rep_training import REP_TRAINING
from salesflow.projections.folds.training import TRAINING
from salesflow.projections.metrics.goal_rows import GOAL_FOLDS, read_goals
from salesflow.projections.metrics.metric_values import METRIC_FOLDS, Measurement, MetricFigure
from salesflow.projections.metrics.period_goals import PeriodGoal, goal_table, period_goals
from salesflow.projections.people.trainings import trainings_known
from salesflow.projections.scope import MetricScope

__all__ = ["CARD_METRICS", "RepCard", "RepCardView"]


CARD_METRICS: Final = (
    *("sales", "orders", "created", "won", "lost", "win_rate", "cycle_days", "new_customers"),
    *("contacts", "contacts_per_deal", "first_response_days", "csat", "qualified_deals"),
)
"""What is measured of a rep, in this order."""
TrainingStatus = Literal["open", "overdue", "completed"]


class CardFigure(Value):
    """A metric of the rep, in the period and in the one before."""

    metric: Annotated[MetricKey, FieldRole.KEY]
    value: Decimal | None
    """None of money, and where it is undefined."""
    amounts: tuple[Total, ...]
    n: int
    """How many it rests on."""
    value_before: Decimal | None
    amounts_before: tuple[Total, ...]
    n_before: int


class CardSkill(Value):
    """One assessment of a skill; those of one skill are its course over time."""

    skill: Annotated[Key, FieldRole.KEY]
    number: Annotated[int, FieldRole.KEY]
    """1 for the first assessment of the skill."""
    at: datetime
    score: Number
    scale_least: Number
    scale_most: Number
    assessed_by: Annotated[Reference | None, FieldRole.TRAIT]
    evidence: Personal | None


class CardTraining(Value):
    """A training that was assigned or completed, each time by itself."""

    training: Annotated[Key, FieldRole.KEY]
    number: Annotated[int, FieldRole.KEY]
    """1 for the first time that it was assigned or completed."""
    name_en: SafeText
    name_zh: SafeText
    status: Annotated[TrainingStatus, FieldRole.TRAIT]
    assigned_at: datetime | None
    due: Annotated[date | None, FieldRole.TRAIT]
    completed_at: datetime | None
    score: Number | None
    score_most: Number | None


class CardStep(Value):
    """A level of the career plan."""

    level: Annotated[Key, FieldRole.KEY]
    due: Annotated[date | None, FieldRole.TRAIT]
    is_next: bool
    """Whether it is the one that comes behind the level the rep has; never of one who left."""
    reached_at: datetime | None
    """When the level was given, the last time; None where it never was."""


class RepCardView(MoneyView):
    """One rep: who they are, what they reached, what they can, and what was agreed."""

    population: ClassVar[str] = (
        "what the rep owned, or is credited with, in the period by the moment; what is told of"
        " the rep by the moment, and counts: that is what happened while they were in a team"
    )
    formula: ClassVar[str] = (
        "figures as in KPIs; a training is overdue that was not completed by the end of the day"
        " it was due; the next level is the one of the career plan that comes behind the rep's;"
        " goals: those of the rep alone, attained as in goal-attainment"
    )
    rep: Annotated[Reference, FieldRole.TRAIT]
    period: Period
    before: Period
    is_known: bool
    """Whether anybody of that id had joined a team by then."""
    team: Annotated[Reference | None, FieldRole.TRAIT]
    team_en: SafeText | None
    team_zh: SafeText | None
    left_at: datetime | None
    """When they left; None of somebody in a team."""
    lead: Annotated[Reference | None, FieldRole.TRAIT]
    """Who leads the team."""
    level: Annotated[Key | None, FieldRole.TRAIT]
    level_since: datetime | None
    figures: tuple[CardFigure, ...]
    skills: tuple[CardSkill, ...]
    trainings: tuple[CardTraining, ...]
    career_plan: tuple[CardStep, ...]
    goals: tuple[PeriodGoal, ...]
    """Those of the rep whose period and the card's have a day in common."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the card out: who it is, figures, skills, trainings, the career plan."""
        return [*_CardLayout(self, language).tables()]


class RepCard(MoneyQuestion[RepCardView], PeriodQuestion[RepCardView]):
    """How is a rep doing, what can they do, and what was agreed with them?"""

    name: ClassVar[str] = "rep-card"
    folds: ClassVar[tuple[str, ...]] = (
        *METRIC_FOLDS,
        *GOAL_FOLDS,
        MEMBERSHIP.name,
        TRAINING.name,
        REP_TRAINING.name,
    )
    rates_usual: ClassVar[RateRule] = "event"
    rep: Reference
    """The rep, by the id that deals name as owner."""

    def answer(self, reader: Reader, moment: Moment) -> RepCardView:
        """Measure the rep, and replay what is told of them."""
        span, before = self.spans(reader)
        exchange = self.exchange(reader)
        measurement = Measurement(
            reader, (span, before), MetricScope(owner=self.rep), exchange=exchange
        )
        rep, team = _rep(reader, self.rep), TeamState()
        if rep.team is not None:
            team = _team(reader, rep.team)
        is_known = rep.reference is not None
        return RepCardView(
            moment=moment,
            rep=self.rep,
            period=span.period(),
            before=before.period(),
            is_known=is_known,
            team=rep.team,
            team_en=team.name_en or rep.team,
            team_zh=team.name_zh or rep.team,
            left_at=rep.left_at,
            lead=team.lead,
            level=rep.level,
            level_since=rep.level_since,
            figures=tuple(_figure(key, measurement.of(key)) for key in CARD_METRICS),
            skills=tuple(_skills(rep.ratings)),
            trainings=tuple(_trainings(rep.trainings_taken, reader, self.day(reader))),
            career_plan=tuple(_plan(rep)),
            goals=tuple(_goals(reader, span, self.rep)),
            rates=exchange.used,
        )


# What other subjects know of a rep joins here, as goals do: awards, and actions of reviews.


def _goals(reader: Reader, span: Span, rep: str) -> list[PeriodGoal]:
    """Return the goals of a rep, of whatever days they are, that have a day of a period."""
    spans = {
        span_of(goal.first_day, goal.last_day, reader)
        for goal in read_goals(reader)
        if goal.scope.rep == rep and goal.first_day <= span.last and span.first <= goal.last_day
    }
    return period_goals(reader, sorted(spans), None, MetricScope(owner=rep))


def _rep(reader: Reader, reference: str) -> RepState:
    """Replay what is told of a rep up to the moment."""
    return state_of(Rep, RepState, reader.events(rep_id(reference)), reader)


def _team(reader: Reader, key: str) -> TeamState:
    return state_of(Team, TeamState, reader.events(team_id(key)), reader)


def _figure(key: str, found: Sequence[MetricFigure]) -> CardFigure:
    metric, values = METRICS[key], {each.span: each for each in found}
    nothing = None if metric.unit == "money" else metric.of_nothing
    now, then = (values.get(span, MetricFigure(span, None, nothing, (), 0)) for span in (0, 1))
    return CardFigure(
        metric=key,
        value=now.value,
        amounts=now.amounts,
        n=now.n,
        value_before=then.value,
        amounts_before=then.amounts,
        n_before=then.n,
    )


def _skills(ratings: Iterable[SkillRating]) -> list[CardSkill]:
    """List assessments skill by skill, each in its order."""
    found: dict[str, list[CardSkill]] = {}
    for rating in ratings:
        course = found.setdefault(rating.skill, [])
        course.append(
            CardSkill(
                skill=rating.skill,
                number=len(course) + 1,
                at=rating.at,
                score=rating.score,
                scale_least=rating.scale_least,
                scale_most=rating.scale_most,
                assessed_by=rating.assessed_by,
                evidence=rating.evidence,
            )
        )
    return [each for skill in sorted(found) for each in found[skill]]


def _trainings(
    taken: Iterable[TrainingTaken], reader: Reader, today: date
) -> Iterator[CardTraining]:
    """Yield trainings, those that are open first; what was taken more than once, in order."""
    known, numbers = trainings_known(reader), Counter[str]()
    numbered = []
    for each in taken:
        numbers[each.training] += 1
        numbered.append((each, numbers[each.training]))
    for each, number in sorted(
        numbered, key=lambda it: (not it[0].is_open, it[0].training, it[1])
    ):
        offered = known.get(each.training)
        overdue = each.due is not None and each.due < today
        yield CardTraining(
            training=each.training,
            number=number,
            name_en=each.training if offered is None else offered.name_en,
            name_zh=each.training if offered is None else offered.name_zh,
            status="completed" if not each.is_open else "overdue" if overdue else "open",
            assigned_at=each.assigned_at,
            due=each.due,
            completed_at=each.completed_at,
            score=each.score,
            score_most=each.score_most,
        )


def _plan(rep: RepState) -> Iterator[CardStep]:
    coming = None if rep.team is None else next_step(rep.level, rep.career_plan)
    for step in rep.career_plan:
        yield CardStep(
            level=step.level,
            due=step.due,
            is_next=step is coming,
            reached_at=rep.levels_reached.get(step.level),
        )


class _CardLayout:
    """Lays a card out for people."""

    def __init__(self, view: RepCardView, language: Language) -> None:
        self._view = view
        self._language = language
        self._zone = ZoneInfo(view.timezone)

    def tables(self) -> Iterator[TableOfView]:
        """Yield a table for each part of the card that says anything."""
        yield self._head()
        yield self._figures()
        if self._view.goals:
            yield goal_table(self._view.goals, self._language)
        if self._view.skills:
            yield self._skills()
        if self._view.trainings:
            yield self._trainings()
        if self._view.career_plan:
            yield self._plan()

    def _day(self, at: datetime | None) -> str:
        return NO_VALUE if at is None else local_day(at, self._zone)

    def _head(self) -> TableOfView:
        view = self._view
        team = view.team_zh if self._language == "zh" else view.team_en
        row = (
            view.rep,
            team or NO_VALUE,
            view.lead or NO_VALUE,
            NO_VALUE if view.level is None else key_text(view.level, self._language),
            self._day(view.level_since),
            self._state(),
        )
        said = "nobody of this id had joined a team by then; figures are those of deals alone"
        notes = () if view.is_known else (say(said, self._language),)
        columns = ("Rep", "Team", "Team lead", "Level", "Since", "State")
        return TableOfView("Rep card", columns, (row,), notes=notes)

    def _state(self) -> str:
        if self._view.left_at is not None:
            left = in_language("left", self._language)
            return f"{left} {self._day(self._view.left_at)}"
        active = in_language("active", self._language)
        return active if self._view.team is not None else NO_VALUE

    def _figures(self) -> TableOfView:
        view = self._view
        rows = tuple(
            (
                METRICS[each.metric].name(self._language),
                self._value(each.metric, each.value, each.amounts),
                f"{each.n:,}",
                self._value(each.metric, each.value_before, each.amounts_before),
                f"{each.n_before:,}",
            )
            for each in view.figures
        )
        days, before = (days_text(it, self._zone) for it in (view.period, view.before))
        return TableOfView(
            "Figures of the rep", ("Metric", days, "Rests on", before, "Rests on before"), rows
        )

    def _value(self, metric: str, value: Decimal | None, amounts: tuple[Total, ...]) -> str:
        if METRICS[metric].unit == "money":
            return totals_text(amounts) if amounts else NO_VALUE
        return FigureText(METRICS[metric].unit, self._language).figure(value)

    def _skills(self) -> TableOfView:
        rows = tuple(
            (
                in_language(each.skill, self._language),
                self._day(each.at),
                f"{each.score} ({each.scale_least} … {each.scale_most})",
                each.assessed_by or NO_VALUE,
                each.evidence or NO_VALUE,
            )
            for each in self._view.skills
        )
        columns = ("Skill", "Assessed", "Score", "Assessed by", "Evidence")
        return TableOfView("Skills over time", columns, rows)

    def _trainings(self) -> TableOfView:
        rows = tuple(
            (
                each.name_zh if self._language == "zh" else each.name_en,
                each.status,
                self._day(each.assigned_at),
                NO_VALUE if each.due is None else each.due.isoformat(),
                self._day(each.completed_at),
                _score(each),
            )
            for each in self._view.trainings
        )
        columns = ("Training", "Status", "Assigned", "Due", "Completed", "Score")
        return TableOfView("Trainings", columns, rows, words=("Status",))

    def _plan(self) -> TableOfView:
        rows = tuple(
            (
                key_text(each.level, self._language),
                NO_VALUE if each.due is None else each.due.isoformat(),
                self._day(each.reached_at),
                "next level" if each.is_next else NO_VALUE,
            )
            for each in self._view.career_plan
        )
        columns = ("Level", "Due", "Reached", "Next")
        return TableOfView("Career plan", columns, rows, words=("Next",))


def _score(each: CardTraining) -> str:
    if each.score is None:
        return NO_VALUE
    return f"{each.score}" if each.score_most is None else f"{each.score} / {each.score_most}"

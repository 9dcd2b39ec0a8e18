"""The strategy review: once a month, all that the strategy is judged by, side by side.

Answers "are we where we wanted to be, what do the market and our customers say, what did we
learn, and do our changes help?" for a month, or any period, at any past moment. Every figure is
that of the question it comes from, and is defined there: goals (`GoalAttainment`), what moved
(`Retrospective`), the funnel (`Funnel`), feedback (`Feedback`), cases (`CaseLibrary`) and
improvements (`ImprovementEffect`). Beside them the figures of the market that were reported,
and what is still to be done of reviews. Leaves out what is to be concluded: that is for people.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.time import Instant, Moment, Period, from_instant
from salesflow.domain.values import Personal, Reference, SafeText, Value
from salesflow.errors import InputError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import (
    NO_VALUE,
    Estimate,
    days_text,
    local_day,
    short_id,
    span_text,
)
from salesflow.presentation.messages import Language, key_text
from salesflow.presentation.table import TableOfView
from salesflow.projections.cases.case_library import CaseLibrary
from salesflow.projections.cases.library_cases import read_cases, read_deals
from salesflow.projections.core.currency import unscaled
from salesflow.projections.core.earlier_reader import EarlierReader
from salesflow.projections.core.question import (
    Limit,
    PeriodQuestion,
    Reader,
    Span,
    View,
    span_of,
)
from salesflow.projections.feedback.feedback import (
    FIGURE_COLUMNS,
    Feedback,
    FeedbackFigures,
    FeedbackView,
    figures_text,
)
from salesflow.projections.feedback.follow_up import (
    DetractorFollowUps,
    FeedbackTheme,
    follow_up_tables,
)
from salesflow.projections.folds.case import CASE
from salesflow.projections.folds.figure import FIGURE_REPORT
from salesflow.projections.folds.improvement import IMPROVEMENT
from salesflow.projections.folds.review_action import REVIEW_ACTION
from salesflow.projections.goals.goal_attainment import GoalAttainment
from salesflow.projections.goals.goal_layout import GoalLayout
from salesflow.projections.goals.goal_lines import GoalLine
from salesflow.projections.improvement.improvement_effect import (
    ImprovementEffect,
    ImprovementEffectView,
)
from salesflow.projections.improvement.improvement_verdicts import (
    ImprovementVerdict,
    MovedTowards,
    Unmatched,
    said_of,
)
from salesflow.projections.pipeline.funnel import Funnel, FunnelStage, FunnelView
from salesflow.projections.review.retrospective import Retrospective, RetrospectiveView
from salesflow.projections.review.retrospective_figures import FigureMoved
from salesflow.projections.review.retrospective_layout import RetrospectiveLayout
from salesflow.projections.scope import Meant, named

__all__ = ["StrategyReview", "StrategyReviewView"]


LISTED: Final = 20


class CaseLearned(Value):
    """A case that was published in the period, and what is to be learned from it."""

    case: Annotated[Reference, FieldRole.KEY]
    deal: Annotated[UUID, FieldRole.TRAIT]
    outcome: Annotated[Reference | None, FieldRole.TRAIT]
    because: SafeText | None
    published_at: datetime
    lessons: tuple[Personal, ...]


class MarketFigure(Value):
    """A figure from outside of days that reach into the period, and the one before it."""

    figure: Annotated[Reference, FieldRole.KEY]
    first: Annotated[date, FieldRole.KEY]
    last: Annotated[date, FieldRole.KEY]
    value: Decimal
    value_before: Decimal | None
    """Of the latest days before these that were reported."""
    unit: Annotated[SafeText | None, FieldRole.TRAIT]
    source: Annotated[SafeText | None, FieldRole.TRAIT]


class ImprovementStanding(Value):
    """An improvement that ran, or was concluded, in the period, and what it moved so far."""

    improvement: Annotated[Reference, FieldRole.KEY]
    state: Annotated[Reference, FieldRole.TRAIT]
    outcome: Annotated[Reference | None, FieldRole.TRAIT]
    metric: Annotated[Reference, FieldRole.TRAIT]
    verdict: Annotated[ImprovementVerdict | None, FieldRole.TRAIT]
    """None where its amounts are in several currencies: ask `improvement-effect` for one."""
    unmatched: Annotated[Unmatched | None, FieldRole.TRAIT]
    """Why nobody can be compared, where not everybody changed at once."""
    towards: Annotated[MovedTowards | None, FieldRole.TRAIT]
    """Which way the figure went, by what was expected, else by which direction is better."""
    changes: Estimate | None
    """The difference of mean changes, with its interval."""


class OpenAction(Value):
    """An action of a review that is still to be done."""

    review: Annotated[Reference, FieldRole.KEY]
    action: Annotated[Reference, FieldRole.KEY]
    owner: Annotated[Reference, FieldRole.TRAIT]
    due: Annotated[date, FieldRole.TRAIT]
    overdue: bool


class StrategyReviewView(View):
    """Goals, figures, funnel, feedback, cases, market and improvements of a period."""

    population: ClassVar[str] = (
        "of the period and of the one before it: as in the questions whose figures these are;"
        " goals whose periods reach into it; the funnel at its end, or at the moment; cases"
        " published in it; outside figures of days that reach into it; improvements that ran,"
        " or were concluded, in it; actions of reviews that are open at the moment"
    )
    formula: ClassVar[str] = (
        "every figure is that of goal-attainment, retrospective, funnel, feedback, case-library"
        " or improvement-effect, and is defined there; overdue = open past the day it is due"
    )
    period: Period
    before: Period
    goals: tuple[GoalLine, ...]
    figures: tuple[FigureMoved, ...]
    funnel: tuple[FunnelStage, ...]
    feedback: FeedbackFigures
    feedback_before: FeedbackFigures
    follow_up: DetractorFollowUps
    follow_up_before: DetractorFollowUps
    themes: tuple[FeedbackTheme, ...]
    cases: tuple[CaseLearned, ...]
    market: tuple[MarketFigure, ...]
    improvements: tuple[ImprovementStanding, ...]
    actions: tuple[OpenAction, ...]
    """Those due first come first."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the review out; what there is nothing to say of is left out."""
        lay = _StrategyLayout(self, ZoneInfo(self.timezone), language)
        tables = [*lay.tables()]
        return [tables[0], *(table for table in tables[1:] if table.rows)]


class StrategyReview(PeriodQuestion[StrategyReviewView]):
    """Are we where we wanted to be, what did we learn, and do our changes help?"""

    name: ClassVar[str] = "strategy-review"
    folds: ClassVar[tuple[str, ...]] = tuple(
        dict.fromkeys(
            (
                *(*GoalAttainment.folds, *Retrospective.folds, *Funnel.folds),
                *(*Feedback.folds, *CaseLibrary.folds, *ImprovementEffect.folds),
                *(FIGURE_REPORT.name, REVIEW_ACTION.name),
            )
        )
    )
    limit: Limit = LISTED
    """How many cases and actions to list at most. Default: 20."""

    def span(self, reader: Reader) -> Span:
        """Cut the period asked about; the fiscal month of the moment where none is named."""
        if self.from_ is not None or self.to is not None:
            return super().span(reader)
        days = reader.calendar.span("month", self.day(reader))
        return span_of(days.first, days.last, reader)

    def answer(self, reader: Reader, moment: Moment) -> StrategyReviewView:
        """Ask each question of the period, and put the answers side by side."""
        span, before = self.spans(reader)
        days = span.parameters()
        looked: RetrospectiveView = Retrospective.model_validate(days).answer(reader, moment)
        said: FeedbackView = Feedback.model_validate(days).answer(reader, moment)
        closing = EarlierReader(reader, as_of=span.closing(reader.read_point.as_of))
        funnel: FunnelView = Funnel().answer(closing, moment)
        goals = GoalAttainment.model_validate(days).answer(reader, moment)
        cases = tuple(_cases(span, reader))[: self.limit]
        return StrategyReviewView(
            moment=moment,
            period=span.period(),
            before=before.period(),
            goals=goals.goals,
            figures=looked.figures,
            funnel=funnel.stages,
            feedback=said.total,
            feedback_before=said.total_before,
            follow_up=said.follow_up,
            follow_up_before=said.follow_up_before,
            themes=said.themes,
            cases=cases,
            names=named(_reasons(cases, reader), reader.processes),
            market=tuple(_market(span, reader)),
            improvements=tuple(_improvements(span, reader, moment)),
            actions=tuple(_actions(reader, self.day(reader)))[: self.limit],
        )


def _cases(span: Span, reader: Reader) -> Iterator[CaseLearned]:
    """Yield the cases published in a period, the newest first."""
    rows = reader.columns(CASE).among("state", "published")
    cases = read_cases(reader, rows.between("published", span.start, span.end))
    deals = read_deals(reader, [case.deal for case in cases if case.deal is not None])
    for case in cases:
        assert case.opening is not None, "its row holds"
        assert case.deal is not None, "its row holds"
        deal = deals.get(case.deal)
        yield CaseLearned(
            case=case.key,
            deal=case.deal,
            outcome=deal and deal.outcome,
            because=deal and deal.because,
            published_at=from_instant(case.opening.effective),
            lessons=tuple(lesson.text for lesson in case.lessons),
        )


def _reasons(cases: Sequence[CaseLearned], reader: Reader) -> Iterator[Meant]:
    """Yield the reasons of cases, with the processes under which their deals closed."""
    for deal in read_deals(reader, [case.deal for case in cases]).values():
        yield Meant(deal.process, deal.process_version, deal.because)


def _market(span: Span, reader: Reader) -> Iterator[MarketFigure]:
    """Yield the outside figures of days that reach into a period."""
    names = ("figure", "first_day", "last_day", "value", "unit", "source")
    rows = sorted(reader.columns(FIGURE_REPORT).records(*names))
    for figure, first, last, value, unit, source in rows:
        if last < span.first.isoformat() or first > span.last.isoformat():
            continue
        earlier = [row for row in rows if row[0] == figure and row[2] < first]
        before = max(earlier, key=lambda row: row[2], default=None)
        yield MarketFigure(
            figure=figure,
            first=date.fromisoformat(first),
            last=date.fromisoformat(last),
            value=unscaled(value),
            value_before=None if before is None else unscaled(before[3]),
            unit=unit,
            source=source,
        )


def _improvements(span: Span, reader: Reader, moment: Moment) -> Iterator[ImprovementStanding]:
    """Yield the improvements that ran, or were concluded, in a period."""
    names = ("improvement", "state", "outcome", "metric", "started", "concluded")
    for key, state, outcome, metric, *times in sorted(
        reader.columns(IMPROVEMENT).records(*names), key=lambda row: str(row[0])
    ):
        if not _ran_in(span, *times):
            continue
        try:
            view: ImprovementEffectView | None = ImprovementEffect(improvement=key).answer(
                reader, moment
            )
        except InputError:
            view = None
        effect = None if view is None else view.effect
        yield ImprovementStanding(
            improvement=key,
            state=state,
            outcome=outcome,
            metric=metric,
            verdict=None if view is None else view.verdict,
            unmatched=None if view is None else view.unmatched,
            towards=None if view is None else view.towards,
            changes=None if effect is None else effect.changes,
        )


def _ran_in(span: Span, started: Instant | None, concluded: Instant | None) -> bool:
    """Return whether what began and ended then reaches into a period, or ended in it."""
    if concluded is not None and concluded < span.end:
        return concluded >= span.start
    return started is not None and started < span.end


def _actions(reader: Reader, today: date) -> list[OpenAction]:
    """Return the actions of reviews that are open at the moment, those due first first."""
    rows = reader.columns(REVIEW_ACTION).among("state", "open")
    found = [
        OpenAction(
            review=review,
            action=action,
            owner=owner,
            due=date.fromisoformat(due),
            overdue=today > date.fromisoformat(due),
        )
        for review, action, owner, due in rows.records("review", "action", "owner", "due")
    ]
    return sorted(found, key=lambda each: (each.due, each.review, each.action))


class _StrategyLayout:
    """Lays the review out for people."""

    def __init__(self, view: StrategyReviewView, zone: ZoneInfo, language: Language) -> None:
        self._view = view
        self._zone = zone
        self._language: Language = language

    def tables(self) -> Iterator[TableOfView]:
        """Yield the tables in their order."""
        view, zone, language = self._view, self._zone, self._language
        yield self._figures()
        yield GoalLayout(zone, language).goals(view.goals, ())
        yield self._funnel()
        yield self._market()
        yield self._feedback()
        told = view.follow_up, view.follow_up_before
        yield from follow_up_tables(told, view.themes, (), 7, (zone, language))
        yield self._cases()
        yield self._improvements()
        yield self._actions()

    def _figures(self) -> TableOfView:
        view = self._view
        lay = RetrospectiveLayout(self._zone, self._language)
        table = lay.figures(view.figures, view.period, view.before, "")
        return table._replace(title="Strategy review")

    def _funnel(self) -> TableOfView:
        zh = self._language == "zh"
        rows = tuple(
            (each.name_zh if zh else each.name_en, f"{each.deals:,}")
            for each in self._view.funnel
        )
        return TableOfView("Funnel", ("Stage", "Deals"), rows)

    def _market(self) -> TableOfView:
        rows = tuple(
            (
                each.figure,
                span_text(each.first, each.last),
                f"{each.value:,}",
                NO_VALUE if each.value_before is None else f"{each.value_before:,}",
                each.unit or NO_VALUE,
                each.source or NO_VALUE,
            )
            for each in self._view.market
        )
        columns = ("Figure", "Reported for", "Value", "Before", "Unit", "Source")
        return TableOfView("Market figures", columns, rows)

    def _feedback(self) -> TableOfView:
        view = self._view
        sides = (view.period, view.feedback), (view.before, view.feedback_before)
        rows = tuple(
            (days_text(period, self._zone), *figures_text(its))
            for period, its in sides
            if any(side.responses or side.sent for _, side in sides)
        )
        return TableOfView("Feedback", ("Period", *FIGURE_COLUMNS), rows)

    def _cases(self) -> TableOfView:
        view = self._view
        rows = tuple(
            (
                each.case,
                short_id(each.deal),
                each.outcome or NO_VALUE,
                view.names.label(each.because, self._language) if each.because else NO_VALUE,
                local_day(each.published_at, self._zone),
                " · ".join(each.lessons) or NO_VALUE,
            )
            for each in view.cases
        )
        columns = ("Case", "Deal", "Outcome", "Reason", "Published", "Lessons")
        return TableOfView("Cases published", columns, rows, words=("Outcome",))

    def _improvements(self) -> TableOfView:
        rows = tuple(
            (
                each.improvement,
                each.state,
                each.outcome or NO_VALUE,
                key_text(each.metric, self._language),
                " · ".join(said_of(each.verdict, each.unmatched, each.towards, self._language))
                or NO_VALUE,
            )
            for each in self._view.improvements
        )
        columns = ("Improvement", "State", "Conclusion", "Metric", "What can be said")
        return TableOfView("Improvements", columns, rows, words=("State", "Conclusion"))

    def _actions(self) -> TableOfView:
        rows = tuple(
            (
                each.review,
                each.action,
                each.owner,
                str(each.due) + (" !" if each.overdue else ""),
            )
            for each in self._view.actions
        )
        columns = ("Review", "Action", "Responsible", "Due")
        return TableOfView("Open actions of reviews", columns, rows)

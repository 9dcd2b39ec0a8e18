"""A retrospective: a period looked back on, beside the period before.

Answers "what moved, where did deals get stuck, which slipped and which stalled, why did we
lose, what do customers say, and how right were our forecasts?" for a rep, a team, a process or
all, at any past moment. Every figure is that of the question it comes from (`Kpis`, `Flow`,
`Conversion`, `StageTimes`, `Forecast`, `WinLoss`, `Feedback`), and is defined there.

Goals of the very same period and scope stand beside what they came to. Where a review is named,
the period is the review's, and all of that is as its figures were fixed; beside it stand the
same figures as known now, what was found and what is done about it.

Leaves out the forecasts that people submitted.
"""

from typing import Any, ClassVar, Final, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, model_validator

from salesflow.domain.review import ReviewState
from salesflow.domain.time import Moment, Period
from salesflow.domain.values import Reference
from salesflow.presentation.format import (
    Total,
    days_text,
)
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView
from salesflow.projections.cases.win_loss import (
    LossReason,
    closed_groups,
    loss_reasons,
    meant_under,
)
from salesflow.projections.core.currency import CurrencyConverter
from salesflow.projections.core.earlier_reader import EarlierReader
from salesflow.projections.core.question import (
    Limit,
    PeriodQuestion,
    Reader,
    Span,
    View,
)
from salesflow.projections.feedback.feedback import Verbatim
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.folds.feedback import FEEDBACK
from salesflow.projections.folds.membership import MEMBERSHIP
from salesflow.projections.folds.review import REVIEW
from salesflow.projections.folds.stage_visit import STAGE_VISIT
from salesflow.projections.forecast.forecast_figures import SlippageLine
from salesflow.projections.metrics.kpi_figures import KpiLine
from salesflow.projections.metrics.period_goals import PeriodGoal, goal_table, period_goals
from salesflow.projections.metrics.visits import Steps, read_steps
from salesflow.projections.performance.kpis import Kpis
from salesflow.projections.pipeline.flow import Flow, FlowAccount
from salesflow.projections.review.retrospective_brief import OpeningFigures, opening
from salesflow.projections.review.retrospective_deals import (
    DealSlipped,
    DealStalled,
    slippage_of,
    slipped_deals,
    stalled_deals,
)
from salesflow.projections.review.retrospective_figures import (
    FigureMoved,
    MovementBeside,
    moved_figures,
    movements_beside,
)
from salesflow.projections.review.retrospective_forecasts import (
    ForecastJudged,
    judged_forecasts,
)
from salesflow.projections.review.retrospective_layout import RetrospectiveLayout
from salesflow.projections.review.retrospective_stages import (
    Bottleneck,
    StagePassed,
    bottleneck,
    stages_passed,
)
from salesflow.projections.review.retrospective_voices import (
    ScoreMoved,
    Theme,
    Voices,
)
from salesflow.projections.review.review_scope import ReviewScope
from salesflow.projections.review.reviewed_period import (
    ReviewedPeriod,
    agreed_tables,
    closings_restated,
    earlier,
    figures_restated,
    read_review,
    reviewed_period,
    reviewed_tables,
)
from salesflow.projections.scope import Meant, MetricScope, Teams, named

__all__ = ["Retrospective", "RetrospectiveView"]


LISTED: Final = 20


class RetrospectiveView(View):
    """What moved, what got stuck, what was lost, what was said, and how right we were."""

    population: ClassVar[str] = (
        "what happened in the period by the moment, and in the period before; figures, open"
        " deals and losses: as in the KPIs, the flow and the loss reasons; stages: visits of"
        " deals to open stages that lie in the period; slipped: deals open at the period's"
        " start and expected in it; stalled: deals at the period's end, or at the moment;"
        " feedback: received in the period; what happened belongs to whoever had the deal then,"
        " what stands at a time to whoever has it at that time"
    )
    formula: ClassVar[str] = (
        "difference = period - period before; bottleneck = open stage with the most days past"
        " limit, ties to the lower conversion, null where no deal stood too long; days past"
        " limit = sum of the time that visits spent in the period beyond the stage limit, of"
        " the process version entered under; conversion (left) = moved on / (moved on + left"
        " without moving on) of deals that entered in the period, by the moment; slipped ="
        " neither won nor otherwise closed by the period's end, pushed out of it or overdue;"
        " stalled = end - entered > the stage limit; forecast = booked so far + measure of open"
        " deals expected in the period, as of its start (its first instant - 1 microsecond) and"
        " its middle, as known at the moment; accuracy = 1 - |forecast - actual bookings| /"
        " actual bookings, null unless those are above 0 and the period is over; score ="
        " NPS, CSAT top box or mean CES of a survey; detractors = scores 0-6 of 10; per"
        " currency"
    )
    period: Period
    before: Period
    """The period to compare with."""
    owner: Reference | None
    team: Reference | None
    process: Reference | None
    figures: tuple[FigureMoved, ...]
    movements: tuple[MovementBeside, ...]
    """The books of open deals, from opening to closing."""
    bottleneck: Bottleneck | None
    bottleneck_before: Bottleneck | None
    stages: tuple[StagePassed, ...]
    """The open stages any deal was in, in either period."""
    slippage: tuple[SlippageLine, ...]
    slippage_before: tuple[SlippageLine, ...]
    slipped: tuple[DealSlipped, ...]
    slipped_total: int
    """How many there are in all, the listed ones included; so are the other totals."""
    stalled: tuple[DealStalled, ...]
    stalled_total: int
    stalled_amounts: tuple[Total, ...]
    losses: tuple[LossReason, ...]
    losses_before: tuple[LossReason, ...]
    forecasts: tuple[ForecastJudged, ...]
    scores: tuple[ScoreMoved, ...]
    themes: tuple[Theme, ...]
    detractors: tuple[Verbatim, ...]
    """The newest words, by stage."""
    detractors_total: int
    before_joining: bool
    """Whether a rep's first team stands for a time before they joined it."""
    goals: tuple[PeriodGoal, ...]
    """Those of the same days and scope, and what they came to; abandoned ones are left out."""
    review: ReviewedPeriod | None = None
    """The review asked about; all other figures are then as they were fixed for it."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the retrospective out; what there is nothing to say of is left out."""
        lay = RetrospectiveLayout(ZoneInfo(self.timezone), language)
        zone = ZoneInfo(self.timezone)
        review = [] if self.review is None else reviewed_tables(self.review, zone, language)
        found = [
            self._opening(language),
            lay.figures(self.figures, self.period, self.before, self._part()),
            goal_table(self.goals, language),
            lay.movements(self.movements),
            lay.stages(self.stages, self.bottleneck, self.bottleneck_before),
            *lay.slippage(self.slippage, self.slippage_before),
            lay.slipped(self.slipped, self.slipped_total),
            lay.stalled(self.stalled, self.stalled_total, self.stalled_amounts),
            *lay.losses(self.losses, self.losses_before),
            lay.forecasts(self.forecasts),
            lay.scores(self.scores),
            lay.themes(self.themes),
            lay.detractors(self.detractors, self.detractors_total),
        ]
        if self.before_joining:
            found[1] = found[1]._replace(notes=(lay.joined_later(),))
        return [*review, *(table for table in found if table.rows)]

    def brief_tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay out the five lines that matter most, after what a review found and agreed on."""
        zone = ZoneInfo(self.timezone)
        review = [] if self.review is None else agreed_tables(self.review, zone, language)
        return [*review, self._opening(language)]

    def _opening(self, language: Language) -> TableOfView:
        lay = RetrospectiveLayout(ZoneInfo(self.timezone), language)
        opening_figures = OpeningFigures(
            figures=self.figures,
            bottlenecks=(self.bottleneck, self.bottleneck_before),
            slipped=self.slipped,
            slipped_total=self.slipped_total,
            stalled_total=self.stalled_total,
            stalled_amounts=self.stalled_amounts,
            losses=(self.losses, self.losses_before),
        )
        days = days_text(self.period, ZoneInfo(self.timezone))
        return opening(opening_figures, lay, self.names)._replace(about=days)

    def _part(self) -> str:
        return " · ".join(each for each in (self.owner, self.team, self.process) if each)


class Retrospective(PeriodQuestion[RetrospectiveView]):
    """What moved in a period, what got stuck, what was lost and said, and how right were we?"""

    name: ClassVar[str] = "retrospective"
    folds: ClassVar[tuple[str, ...]] = tuple(
        dict.fromkeys(
            (
                *(*Kpis.folds, *Flow.folds, CLOSING.name, DEAL_STATE.name),
                *(FEEDBACK.name, MEMBERSHIP.name, REVIEW.name, STAGE_VISIT.name),
            )
        )
    )
    owner: Reference | None = None
    """Only deals of this rep, and sales credited to them; all when left out."""
    team: Reference | None = None
    """Only what belonged to the reps of this team (its key) when they were in it."""
    process: Reference | None = None
    """Only deals of this process (its key); all when left out."""
    limit: Limit = LISTED
    """How many slipped deals, stalled deals and words to list at most. Default: 20."""
    review: Reference | None = None
    """A review (its key): its period, as its figures were fixed and as they are known now, with
    what was found and agreed in it. Instead of a period, a rep, a team or a process."""

    @model_validator(mode="after")
    def _ensure_one_way(self) -> Self:
        """Refuse a review together with what it says itself."""
        said = (self.from_, self.to, self.owner, self.team, self.process)
        if self.review is not None and any(each is not None for each in said):
            raise ValueError(
                "a review says itself which period it is of, and of whom; name it alone, or"
                " leave it out"
            )
        return self

    def answer(self, reader: Reader, moment: Moment) -> RetrospectiveView:
        """Look back on the period and on the one before.

        Raises:
            NotFoundError: when no such review is believed to exist at the moment.
        """
        if self.review is not None:
            return self._reviewed(read_review(self.review, reader), reader, moment)
        steps = read_steps(reader)
        span, before = self.spans(reader)
        part = ReviewScope(
            Teams.read(reader), owner=self.owner, team=self.team, process=self.process
        )
        parts = (
            self._moved((span, before), reader, moment),
            _stages(steps, (span, before), part, reader),
            self._deals(steps, span, part, reader),
            self._said((span, before), part, reader),
        )
        lost, lost_before = (_Losses(each, part, reader) for each in (span, before))
        within = MetricScope(process=self.process, owner=self.owner, team=self.team)
        return RetrospectiveView(
            moment=moment,
            period=span.period(),
            before=before.period(),
            owner=self.owner,
            team=self.team,
            process=self.process,
            slippage=tuple(slippage_of(span, part, reader)),
            slippage_before=tuple(slippage_of(before, part, reader)),
            losses=lost.reasons(),
            losses_before=lost_before.reasons(),
            names=named(lost.meant() | lost_before.meant(), reader.processes),
            forecasts=tuple(judged_forecasts(span, part, reader)),
            before_joining=part.before_joining,
            goals=tuple(period_goals(reader, [span], None, within)),
            **{name: it for found in parts for name, it in found.items()},
        )

    def _reviewed(
        self, review: ReviewState, reader: Reader, moment: Moment
    ) -> RetrospectiveView:
        """Look back as when the figures of a review were fixed, and once more as known now."""
        only = {"owner": review.owner, "team": review.team, "process": review.process}
        days = {"from_": review.from_, "to": review.to}
        asked = Retrospective.model_validate({**days, **only, "limit": self.limit})
        fixed = earlier(review, reader)
        today = EarlierReader(reader, as_of=fixed.read_point.as_of)
        then, now = (asked.answer(each, moment) for each in (fixed, today))
        deals = closings_restated(asked.span(reader), only, (fixed, today), self.limit)
        figures = figures_restated(then.figures, now.figures)
        told = reviewed_period(review, figures, deals, (fixed, reader))
        return BaseModel.model_copy(then, update={"review": told})

    def _moved(
        self, periods: tuple[Span, Span], reader: Reader, moment: Moment
    ) -> dict[str, Any]:
        now, before = (self._flow(span, reader, moment) for span in periods)
        lines = self._kpis(periods[0], reader, moment)
        return {
            "figures": tuple(moved_figures(lines, (now, before))),
            "movements": tuple(movements_beside(now, before)),
        }

    def _deals(
        self, steps: Steps, span: Span, part: ReviewScope, reader: Reader
    ) -> dict[str, Any]:
        slipped, in_all = slipped_deals(span, part, reader, self.limit)
        stalled = stalled_deals(steps, span, part, reader, self.limit)
        return {
            "slipped": tuple(slipped),
            "slipped_total": in_all,
            "stalled": stalled.listed,
            "stalled_total": stalled.total,
            "stalled_amounts": stalled.amounts,
        }

    def _said(
        self, periods: tuple[Span, Span], part: ReviewScope, reader: Reader
    ) -> dict[str, Any]:
        voices = Voices.read(periods, part, reader)
        detractors, worded = voices.detractors(self.limit)
        return {
            "scores": tuple(voices.scores()),
            "themes": tuple(voices.themes()),
            "detractors": tuple(detractors),
            "detractors_total": worded,
        }

    def _kpis(
        self, span: Span, reader: Reader, moment: Moment
    ) -> tuple[KpiLine | None, KpiLine | None]:
        """Return the KPIs of the period and the one before; None where the team has none."""
        asked = {"owner": self.owner, "process": self.process}
        asked["by"] = None if self.team is None else "team"
        view = Kpis.model_validate({**span.parameters(), **asked}).answer(reader, moment)
        now, before = (
            next((line for line in lines if line.group == self.team), None)
            for lines in (view.lines, view.lines_before)
        )
        return now, before

    def _flow(self, span: Span, reader: Reader, moment: Moment) -> tuple[FlowAccount, ...]:
        asked = {"owner": self.owner, "team": self.team, "process": self.process}
        question = Flow.model_validate({**span.parameters(), **asked})
        return question.answer(reader, moment).accounts


def _stages(
    steps: Steps, periods: tuple[Span, Span], part: ReviewScope, reader: Reader
) -> dict[str, Any]:
    stages = stages_passed(steps, periods, part, reader)
    return {
        "stages": tuple(stages),
        "bottleneck": bottleneck(stages, lambda stage: stage.figures),
        "bottleneck_before": bottleneck(stages, lambda stage: stage.figures_before),
    }


class _Losses:
    """What was lost in a period, by reason, and what its processes call the reasons."""

    def __init__(self, span: Span, part: ReviewScope, reader: Reader) -> None:
        rows = reader.columns(CLOSING).among("outcome", "lost")
        rows = rows.between("closed", span.start, span.end)
        rows = rows.where(part.of_process(rows))
        self._rows = rows.where(part.owned(rows, rows["closed"]))
        self._as_they_are = CurrencyConverter(reader)
        self._end = span.end

    def reasons(self) -> tuple[LossReason, ...]:
        """Return the reasons, the dearest first."""
        return tuple(loss_reasons(closed_groups(self._rows, self._as_they_are, self._end)))

    def meant(self) -> set[Meant]:
        """Return each reason with the process versions it was given under."""
        return set(meant_under(self._rows, self._rows["because"]))

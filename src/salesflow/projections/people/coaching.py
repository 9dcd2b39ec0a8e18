"""Coaching: where a rep differs most from the rest of the team, and what has helped there.

Answers "what should we talk about?" before a talk with a rep: at which stages more or fewer of
their deals go on than of the others', stay longer or shorter, or are followed up more or less,
each with its interval, the deals that show it, and the trainings after which others changed
there. Many things are compared at once, and one in twenty differs by chance; the answer says
how many were. Leaves out why: that is what the talk is for.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.metric import METRICS, MetricUnit
from salesflow.domain.time import Moment, Period
from salesflow.domain.values import Key, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.figure_text import FigureText
from salesflow.presentation.format import NO_VALUE, Estimate, Interval, days_text, short_id
from salesflow.presentation.messages import Language, in_language, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.effects import Verdict, estimate_effect
from salesflow.projections.core.question import Limit, PeriodQuestion, Reader, View
from salesflow.projections.core.statistics import decimal_of
from salesflow.projections.folds.contact import CONTACT
from salesflow.projections.folds.rep_training import REP_TRAINING
from salesflow.projections.folds.training import TRAINING
from salesflow.projections.metrics.effect_windows import (
    MetricAt,
    WindowDays,
    figures_around,
    windows_around,
)
from salesflow.projections.metrics.metric_values import METRIC_FOLDS
from salesflow.projections.people.coaching_figures import (
    MEASURES,
    CoachedDifference,
    Measure,
    StageDifferences,
    WantedReps,
)
from salesflow.projections.people.training_effect import WINDOW
from salesflow.projections.people.trainings import completions, trainings_known
from salesflow.projections.scope import Teams, early_reps_note

__all__ = ["Coaching", "CoachingView"]


LISTED: Final = 10
UNITS: Final[Mapping[Measure, MetricUnit]] = {
    "conversion": "share",
    "days": "days",
    "follow_ups": "number",
}
CALLED: Final[Mapping[Measure, str]] = {
    "conversion": "Conversion of deals that left",
    "days": "Days in stage, mean",
    "follow_ups": "Follow-ups per visit, mean",
}


class CoachingPoint(Value):
    """A rep differs from the others of the team at one stage, by one measure."""

    rep: Annotated[Reference, FieldRole.KEY]
    team: Annotated[Reference | None, FieldRole.KEY]
    process: Annotated[Reference, FieldRole.KEY]
    stage: Annotated[Reference, FieldRole.KEY]
    measure: Annotated[Measure, FieldRole.KEY]
    stage_en: SafeText
    stage_zh: SafeText
    own: Decimal
    own_count: int
    """Of how many deals or visits."""
    others: Decimal
    others_count: int
    difference: Estimate
    is_clear: Annotated[bool, FieldRole.TRAIT]
    """Whether the interval of the difference excludes 0."""
    deals: tuple[UUID, ...]
    """Some that show it."""


class HelpfulTraining(Value):
    """A training after which those who took it changed at a stage, and others did not."""

    training: Annotated[Key, FieldRole.KEY]
    stage: Annotated[Reference, FieldRole.KEY]
    measure: Annotated[Measure, FieldRole.KEY]
    name_en: SafeText
    name_zh: SafeText
    trained: int
    changes: Estimate | None
    adjusted: Estimate | None
    range: Interval | None
    verdict: Annotated[Verdict, FieldRole.TRAIT]
    completed_by: tuple[Reference, ...]
    """Who completed it by now; of those whom the points are about."""


class CoachingView(View):
    """The points that lie furthest beyond chance, first; and what has helped others there."""

    population: ClassVar[str] = (
        "conversion: deals that entered a stage in the period and are there no more; days and"
        " follow-ups: visits that ended in it, but by no merge or migration; of who owned the"
        " deal on entering the stage, in the team they were in then; compared with the others"
        " of that team; compared only where both sides have 3 deals or visits at least"
    )
    formula: ClassVar[str] = (
        "conversion = moved on / (moved on + left), difference with Newcombe's interval; days"
        " and follow-ups: difference of means with Welch's interval; sorted by how many times"
        " its own margin a difference lies from 0; clear = the interval excludes 0; trainings,"
        " where a point is clear: as in training-effect, by that figure at that stage, those"
        " with evidence"
    )
    period: Period
    points: tuple[CoachingPoint, ...]
    compared: int
    """How many differences there are in all, those listed included."""
    clear: int
    """How many of them are clear; by chance alone about one in twenty would be."""
    trainings: tuple[HelpfulTraining, ...]
    before_joining: int
    """Of how many reps the first team stands for a time before they joined it."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out: points, the deals that show them, and trainings that helped."""
        return [*_CoachingLayout(self, language).tables()]


class Coaching(PeriodQuestion[CoachingView]):
    """Where does a rep differ most from the rest of the team, and what has helped there?"""

    name: ClassVar[str] = "coaching"
    folds: ClassVar[tuple[str, ...]] = (
        *METRIC_FOLDS,
        CONTACT.name,
        TRAINING.name,
        REP_TRAINING.name,
    )
    rep: Reference | None = None
    """Only this rep, in the team they are in at the moment; all reps when left out."""
    team: Reference | None = None
    """Only reps of this team (its key); all teams when left out."""
    process: Reference | None = None
    """Only stages of this process (its key); all when left out."""
    window: WindowDays = WINDOW
    """Days before and after a training that are compared. Default: 90."""
    limit: Limit = LISTED
    """How many differences to list at most. Default: 10."""

    def answer(self, reader: Reader, moment: Moment) -> CoachingView:
        """Compare every rep with the others of the team at every stage."""
        span = self.span(reader)
        differences = StageDifferences(reader, span, self.process)
        found = [*differences.found(self._wanted(reader))]
        found.sort(key=lambda each: (-_margins(each.apart), _place(each)))
        points = [_point(each, differences) for each in found[: self.limit]]
        return CoachingView(
            moment=moment,
            period=span.period(),
            points=tuple(points),
            compared=len(found),
            clear=sum(_margins(each.apart) > 1 for each in found),
            trainings=tuple(self._trainings(points, reader)),
            before_joining=differences.before_joining,
        )

    def _wanted(self, reader: Reader) -> "WantedReps":
        team = self.team
        if self.rep is not None and team is None:
            stay = Teams.read(reader).stay(self.rep, reader.read_point.as_of)
            return WantedReps(self.rep, None if stay is None else stay.team, any_team=False)
        return WantedReps(self.rep, team, any_team=team is None)

    def _trainings(
        self, points: Sequence[CoachingPoint], reader: Reader
    ) -> Iterator[HelpfulTraining]:
        """Yield the trainings with evidence for the better, where points are clear."""
        clear = [each for each in points if each.is_clear]
        asked = [*dict.fromkeys((each.stage, each.measure) for each in clear)]
        completed = completions(reader) if asked else {}
        if not completed:
            return
        known, reps = trainings_known(reader), {each.rep for each in points}
        began = {
            key: {rep: day + timedelta(days=1) for rep, day in days.items()}
            for key, days in sorted(completed.items())
        }
        windows = [windows_around(reader, each, self.window) for each in began.values()]
        measured = [MetricAt(MEASURES[measure], stage) for stage, measure in asked]
        every = figures_around(reader, windows, measured)
        for (key, days), of_training in zip(began.items(), every, strict=True):
            for (stage, measure), around in zip(asked, of_training, strict=True):
                effect = estimate_effect(around.figures, permuted=False)
                if effect.verdict != "evidence" or not _is_better(measure, effect.changes):
                    continue
                offered = known[key]
                yield HelpfulTraining(
                    training=key,
                    stage=stage,
                    measure=measure,
                    name_en=offered.name_en,
                    name_zh=offered.name_zh,
                    trained=effect.treated.people,
                    changes=effect.changes,
                    adjusted=effect.adjusted,
                    range=effect.range,
                    verdict=effect.verdict,
                    completed_by=tuple(sorted(reps & days.keys())),
                )


def _is_better(measure: Measure, estimate: Estimate | None) -> bool:
    """Return whether a change is for the better, as the metric has it."""
    if estimate is None:
        return False
    higher = METRICS[MEASURES[measure]].better == "higher"
    return estimate.value > 0 if higher else estimate.value < 0


def _margins(apart: Estimate) -> float:
    """Return how many times its margin a difference lies from 0; 0 where it has no interval."""
    if apart.interval is None:
        return 0.0
    value = float(apart.value)
    limit = float(apart.interval.low if value > 0 else apart.interval.high)
    margin = abs(value - limit)
    return abs(value) / margin if margin else 0.0


def _place(each: CoachedDifference) -> tuple[str, str, str, str, str]:
    return (each.rep, each.team or "", *each.stage, each.measure)


def _point(each: CoachedDifference, differences: StageDifferences) -> CoachingPoint:
    names = differences.names[each.stage]
    return CoachingPoint(
        rep=each.rep,
        team=each.team,
        process=each.stage[0],
        stage=each.stage[1],
        measure=each.measure,
        stage_en=names.en,
        stage_zh=names.zh,
        own=decimal_of(each.own),
        own_count=each.own_count,
        others=decimal_of(each.others),
        others_count=each.others_count,
        difference=each.apart,
        is_clear=_margins(each.apart) > 1,
        deals=tuple(differences.deals(each)),
    )


class _CoachingLayout:
    """Lays the answer out for people."""

    def __init__(self, view: CoachingView, language: Language) -> None:
        self._view = view
        self._language = language

    def tables(self) -> Iterator[TableOfView]:
        """Yield the points, the deals behind them, and the trainings."""
        yield self._points()
        if any(each.is_clear for each in self._view.points):
            yield self._deals()
        if self._view.trainings:
            yield self._trainings()

    def _stage(self, each: CoachingPoint) -> str:
        several = len({point.process for point in self._view.points}) > 1
        name = each.stage_zh if self._language == "zh" else each.stage_en
        return f"{each.process}: {name}" if several else name

    def _points(self) -> TableOfView:
        rows = []
        for each in self._view.points:
            text = FigureText(UNITS[each.measure], self._language)
            rows.append(
                (
                    each.rep,
                    each.team or NO_VALUE,
                    self._stage(each),
                    CALLED[each.measure],
                    f"{text.figure(each.own)} ({each.own_count:,})",
                    f"{text.figure(each.others)} ({each.others_count:,})",
                    text.difference(each.difference.value),
                    text.interval(each.difference.interval),
                    "yes" if each.is_clear else "no",
                )
            )
        columns = (
            "Rep", "Team", "Stage", "Measure", "Rep (n)", "Others of the team (n)",
            "Difference", "95% interval", "Clear",
        )  # fmt: skip
        return TableOfView(
            "Coaching points",
            columns,
            tuple(rows),
            notes=tuple(self._notes()),
            about=days_text(self._view.period, ZoneInfo(self._view.timezone)),
            words=("Measure", "Clear"),
        )

    def _notes(self) -> Iterator[str]:
        view, language = self._view, self._language
        if not view.compared:
            yield say(
                "nothing can be compared: it takes 3 deals or visits of a rep at a stage, and 3"
                " of others of the team",
                language,
            )
            return
        yield say(
            "{clear} of {compared} differences are clear; by chance alone about {chance} would"
            " be",
            language,
            clear=f"{view.clear:,}",
            compared=f"{view.compared:,}",
            chance=f"{view.compared / 20:,.1f}",
        )
        if view.before_joining:
            yield early_reps_note(view.before_joining, language)

    def _deals(self) -> TableOfView:
        rows = tuple(
            (each.rep, self._stage(each), CALLED[each.measure], short_id(deal))
            for each in self._view.points
            if each.is_clear
            for deal in each.deals
        )
        columns = ("Rep", "Stage", "Measure", "Deal")
        return TableOfView("Deals that show what is clear", columns, rows, words=("Measure",))

    def _trainings(self) -> TableOfView:
        stages = {each.stage: self._stage(each) for each in self._view.points}
        rows = tuple(
            (
                each.name_zh if self._language == "zh" else each.name_en,
                stages[each.stage],
                in_language(CALLED[each.measure], self._language),
                f"{each.trained:,}",
                FigureText(UNITS[each.measure], self._language).interval(each.range),
                ", ".join(each.completed_by) or NO_VALUE,
            )
            for each in self._view.trainings
        )
        columns = ("Training", "Stage", "Measure", "Reps trained", "Range", "Completed by")
        return TableOfView("Trainings that helped others there", columns, rows)

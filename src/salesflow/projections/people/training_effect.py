"""Training effect: whether a figure of reps changed more where they had a training.

Answers "did it help?" as far as that can be said: those who completed a training are compared
with reps who had not yet, in the same windows, by two estimates side by side and with a placebo
(`core.effects`). Nothing is concluded from a rise alone: everybody's figures move, and those
sent to a training are seldom chosen at random. Leaves out what a training costs, and what it
does after the window.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Annotated, ClassVar, Final, Literal
from zoneinfo import ZoneInfo

from salesflow.domain.event import believed_history
from salesflow.domain.metric import Metric, MetricAsked, MetricKey, metric_of
from salesflow.domain.time import Moment, from_instant
from salesflow.domain.training import training_id
from salesflow.domain.values import Currency, Day, Key, Reference, SafeText, Value
from salesflow.errors import InputError, NotFoundError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.figure_text import FigureText
from salesflow.presentation.format import percent_text
from salesflow.presentation.messages import Language, key_text, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.currency import MoneyQuestion, MoneyView, RateRule
from salesflow.projections.core.effects import (
    Effect,
    estimate_effect,
    verdict_text,
)
from salesflow.projections.core.question import Reader
from salesflow.projections.folds.rep_training import REP_TRAINING
from salesflow.projections.folds.training import TRAINING
from salesflow.projections.metrics.effect_tables import estimates_table, groups_table
from salesflow.projections.metrics.effect_windows import (
    EffectWindows,
    FiguresAround,
    MetricAt,
    WindowDays,
    compared_around,
    figures_around,
    windows_around,
)
from salesflow.projections.metrics.metric_values import METRIC_FOLDS
from salesflow.projections.people.trainings import (
    OfferedTraining,
    completions,
    stage_called,
    trainings_known,
)

__all__ = ["TrainingEffect", "TrainingEffectView"]


WINDOW: Final = 90
Group = Literal["trained", "not_yet_trained"]
Why = Literal["window_not_over", "not_in_a_team", "no_figure", "nobody_to_compare"]


class EffectPerson(Value):
    """A rep in the windows of one start, with the figures that count."""

    start: Annotated[date, FieldRole.KEY]
    """The day after which the window after begins: on it somebody completed the training."""
    rep: Annotated[Reference, FieldRole.KEY]
    group: Group
    earlier: Decimal | None
    before: Decimal
    after: Decimal
    change: Decimal


class NotCompared(Value):
    """A rep who completed the training and counts for nothing here, and why."""

    rep: Reference
    completed: date
    why: Annotated[Why, FieldRole.TRAIT]


class TrainingEffectView(MoneyView):
    """Two estimates with a placebo, who is in which group, and what follows."""

    population: ClassVar[str] = (
        "reps who completed the training for the first time, by the moment, and whose window"
        " after that is over; compared with reps who had not completed it by the end of the"
        " same window; a rep counts who was in a team all the time of both windows and has a"
        " figure in both"
    )
    formula: ClassVar[str] = (
        "one figure per rep in the days up to the day of completion, and one in as many days"
        " after it; difference of mean changes with Welch's interval; difference after at the"
        " same figure before, with its HC3 interval; several days of completion: each is"
        " compared within its own windows, intervals by leaving out each rep in turn; placebo ="
        " the same one window earlier; range = where the effect lies if it is between both"
        " estimates (Imbens and Manski), 95%; evidence = both intervals exclude 0 on the same"
        " side and neither of the placebo does; with fewer than 10 reps in a group also p: the"
        " share of all choices of as many reps that lie as far apart; smallest effect that"
        " would have been seen: 5% level, power 80%"
    )
    training: Key
    name_en: SafeText
    name_zh: SafeText
    metric: MetricKey
    stage: Reference | None
    stage_en: SafeText | None
    stage_zh: SafeText | None
    days: int
    """How long each window is."""
    currency: Currency | None
    """Of amounts."""
    offered_later: Annotated[Day | None, FieldRole.TRAIT]
    """The day on which it was first offered, where that is after the moment."""
    effect: Effect
    people: tuple[EffectPerson, ...]
    not_compared: tuple[NotCompared, ...]

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out: estimates, groups, the people in them, and who is left out."""
        return [*_Layout(self, language).tables()]


class TrainingEffect(MoneyQuestion[TrainingEffectView]):
    """Did a training move the figures of those who took it?"""

    name: ClassVar[str] = "training-effect"
    folds: ClassVar[tuple[str, ...]] = (*METRIC_FOLDS, TRAINING.name, REP_TRAINING.name)
    rates_usual: ClassVar[RateRule] = "event"
    training: Key
    """The training (its key)."""
    metric: MetricAsked | None = None
    """The figure of a rep to look at, such as win_rate. Default: the one it should move."""
    stage: Reference | None = None
    """Measure it at this stage, where it is one of a stage."""
    window: WindowDays = WINDOW
    """Days before completion and as many after it, which are compared. Default: 90."""

    def answer(self, reader: Reader, moment: Moment) -> TrainingEffectView:
        """Measure everybody in all windows, and estimate.

        Raises:
            NotFoundError: when nobody knows of such a training.
            InputError: when no figure is named, or it cannot be measured so.
        """
        offered = self._offered(reader)
        measured = self._measured(offered)
        completed = completions(reader, self.training).get(self.training, {})
        began = {rep: day + timedelta(days=1) for rep, day in completed.items()}
        windows = windows_around(reader, began, self.window)
        exchange = self.exchange(reader)
        [[around]] = figures_around(reader, [windows], [measured], exchange)
        people = [*_people(windows, around)]
        stage_en, stage_zh = (
            (None, None) if measured.stage is None else stage_called(measured.stage, reader)
        )
        return TrainingEffectView(
            moment=moment,
            training=self.training,
            name_en=offered.name_en,
            name_zh=offered.name_zh,
            metric=measured.metric,
            stage=measured.stage,
            stage_en=stage_en,
            stage_zh=stage_zh,
            days=self.window,
            currency=around.currency,
            offered_later=self._offered_later(reader),
            effect=estimate_effect(around.figures),
            people=tuple(people),
            not_compared=tuple(_not_compared(windows, around, people)),
            rates=exchange.used,
        )

    def _offered(self, reader: Reader) -> OfferedTraining:
        known = trainings_known(reader)
        if self.training not in known:
            names = ", ".join(sorted(known)) or "none"
            raise NotFoundError(f"there is no training {self.training!r}; there are: {names}")
        return known[self.training]

    def _offered_later(self, reader: Reader) -> date | None:
        offered = believed_history(reader.events(training_id(self.training)))[:1]
        if not offered or offered[0].occurred <= reader.read_point.as_of:
            return None
        return from_instant(offered[0].occurred).astimezone(reader.timezone).date()

    def _measured(self, offered: OfferedTraining) -> MetricAt:
        if self.metric is not None:
            return MetricAt(self.metric, self.stage)
        if offered.metric is None:
            raise InputError(
                f"training {self.training!r} does not say what it should move; name a figure:"
                " metric"
            )
        return MetricAt(offered.metric, self.stage or offered.stage)


def _people(windows: EffectWindows, around: FiguresAround) -> Iterator[EffectPerson]:
    """Yield who is compared at each start that has people in both groups, the trained first."""
    for start, units in groupby(compared_around(windows, around), key=attrgetter("start")):
        compared = [*units]
        if len({each.has_started for each in compared}) < 2:
            continue
        for each in compared:
            yield EffectPerson(
                start=start - timedelta(days=1),
                rep=each.unit,
                group="trained" if each.has_started else "not_yet_trained",
                earlier=each.earlier,
                before=each.before,
                after=each.after,
                change=each.after - each.before,
            )


def _not_compared(
    windows: EffectWindows, around: FiguresAround, people: Sequence[EffectPerson]
) -> Iterator[NotCompared]:
    """Yield who completed it and is compared with nobody."""
    counted = {person.rep for person in people if person.group == "trained"}
    for rep in sorted(windows.began.keys() - counted):
        start = windows.began[rep]
        yield NotCompared(
            rep=rep, completed=start - timedelta(days=1), why=_why(rep, start, windows, around)
        )


def _why(rep: str, start: date, windows: EffectWindows, around: FiguresAround) -> Why:
    if start not in windows.starts:
        return "window_not_over"
    place = windows.starts.index(start)
    if not all(windows.was_there[rep][3 * place + 1 : 3 * place + 3]):
        return "not_in_a_team"
    return "no_figure" if None in around.of(rep, place)[1:] else "nobody_to_compare"


class _Layout:
    """Lays the answer out for people."""

    def __init__(self, view: TrainingEffectView, language: Language) -> None:
        self._view = view
        self._language = language
        self._zone = ZoneInfo(view.timezone)
        self._metric: Metric = metric_of(view.metric)
        self._text = FigureText(self._metric.unit, language, view.currency)

    def tables(self) -> Iterator[TableOfView]:
        effect, text = self._view.effect, self._text
        notes = tuple(self._notes(effect))
        yield estimates_table("Training effect", effect, text, about=self._about(), notes=notes)
        groups = ("trained", "not yet trained")
        yield groups_table("Groups, mean per rep", effect, text, groups=groups, counted="Reps")
        if self._view.people:
            yield self._people()
        if self._view.not_compared:
            yield self._left_out()

    def _about(self) -> str:
        view, language = self._view, self._language
        name = view.name_zh if language == "zh" else view.name_en
        parts = [name, self._metric.name(language)]
        if view.stage is not None:
            parts.append((view.stage_zh if language == "zh" else view.stage_en) or view.stage)
        parts.append(say("windows of {days} days", language, days=view.days))
        return " · ".join(parts)

    def _notes(self, effect: Effect) -> Iterator[str]:
        if self._view.offered_later is not None:
            yield say(
                "training {training} was offered on {day} only, after that",
                self._language,
                training=self._view.training,
                day=self._view.offered_later,
            )
        language = self._language
        yield say(verdict_text(effect.verdict), language)
        if effect.detectable is not None:
            yield say(
                "Groups of {trained} and {others} could only have shown an effect above"
                " {least}",
                language,
                trained=effect.treated.people,
                others=effect.compared.people,
                least=self._text.size(effect.detectable),
            )
        chance = effect.permutations
        if chance is not None:
            exact = (
                "Had others been trained, groups would lie as far apart in {p} of all {ways}"
            )
            drawn = (
                "Had others been trained, groups would lie as far apart in {p} of {ways} drawn"
            )
            yield say(
                f"{exact} choices" if chance.is_exact else f"{drawn} choices",
                language,
                p=percent_text(chance.p),
                ways=f"{chance.ways:,}",
            )

    def _people(self) -> TableOfView:
        rows = tuple(
            (
                each.start.isoformat(),
                each.rep,
                each.group,
                self._text.figure(each.earlier),
                self._text.figure(each.before),
                self._text.figure(each.after),
                self._text.difference(each.change),
            )
            for each in self._view.people
        )
        columns = ("Completed", "Rep", "Group", "Earlier", "Before", "After", "Change")
        return TableOfView("Reps compared", columns, rows, words=("Group",))

    def _left_out(self) -> TableOfView:
        rows = tuple(
            (each.rep, each.completed.isoformat(), key_text(each.why, self._language))
            for each in self._view.not_compared
        )
        return TableOfView("Trained and not compared", ("Rep", "Completed", "Why"), rows)

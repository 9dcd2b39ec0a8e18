"""Improvement effect: whether a change of the process or the strategy moved its figure.

Answers "did it help?" as far as that can be said, for any past moment. Teams that have started
are compared with teams that had not yet, in the same windows, by two estimates side by side
and with a placebo (`core.effects`). Where everybody changed at once there is nobody to compare
with: then it is before and after, and is said to be no more than that. A concluded improvement
is told twice, as of its conclusion and now. Leaves out what a change costs.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, ClassVar, Final
from zoneinfo import ZoneInfo

from salesflow.domain.improvement import (
    Improvement,
    ImprovementChange,
    ImprovementOutcome,
    ImprovementState,
    improvement_id,
)
from salesflow.domain.metric import MetricKey, metric_of
from salesflow.domain.time import Moment, from_instant
from salesflow.domain.values import Currency, Key, Personal, Reference, Value
from salesflow.errors import NotFoundError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.figure_text import FigureText
from salesflow.presentation.format import (
    NO_VALUE,
    Estimate,
    percent_text,
)
from salesflow.presentation.messages import Language, in_language, say, say_count
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.currency import MoneyQuestion, MoneyView, RateRule
from salesflow.projections.core.earlier_reader import EarlierReader
from salesflow.projections.core.effects import Effect
from salesflow.projections.core.question import Reader
from salesflow.projections.core.replaying import state_of
from salesflow.projections.folds.improvement import IMPROVEMENT
from salesflow.projections.improvement.improvement_figures import (
    BeforeAfter,
    ImprovementMeasured,
    Unit,
    UnitAround,
    VersionRate,
    figures_moved,
    version_rates,
    what_was_measured,
)
from salesflow.projections.improvement.improvement_verdicts import (
    ImprovementVerdict,
    MovedTowards,
    Unmatched,
    said_of,
    said_of_direction,
    said_of_verdict,
)
from salesflow.projections.metrics.effect_tables import estimates_table, groups_table
from salesflow.projections.metrics.effect_windows import WindowDays
from salesflow.projections.metrics.metric_values import METRIC_FOLDS

__all__ = ["ImprovementEffect", "ImprovementEffectView"]


WINDOW: Final = 60
NAMED: Final = 3
"""So many teams or reps are named in a row; of more their number is said."""
NARROW: Final = (
    "Reps of one team changed together: the intervals are too narrow for what can be told of"
    " teams"
)


class TeamStarted(Value):
    """When a team started, or is to start."""

    team: Annotated[Reference | None, FieldRole.KEY]
    """None for everybody not named."""
    started: date | None
    planned: date | None
    """As the order was drawn."""


class AtConclusion(Value):
    """What could be said when the improvement was concluded."""

    outcome: ImprovementOutcome
    because: Personal | None
    verdict: ImprovementVerdict
    unmatched: Unmatched | None
    towards: MovedTowards | None
    effect: Effect | None
    before_after: BeforeAfter | None


class ImprovementEffectView(MoneyView):
    """What an improvement moved, by whom it is told, and what was concluded."""

    population: ClassVar[str] = (
        "teams in which somebody was at the first and at the last instant of both windows (or"
        " reps who were in a team all the time of them); those that started, where the window"
        " after is over by the moment, and those that had not started by the end of the same"
        " windows; of deals of the process, where one is named; before and after: those that"
        " started first and were there in both windows, all their deals together, or the whole"
        " company where everybody changed at once; by version: deals that closed since the"
        " first start"
    )
    formula: ClassVar[str] = (
        "windows: so many days up to the day of a start, and as many from it on; difference of"
        " mean changes with Welch's interval; difference after at the same figure before, with"
        " its HC3 interval; placebo = the same one window earlier; range = where the effect"
        " lies if it is between both estimates (Imbens and Manski); evidence = both intervals"
        " exclude 0 on the same side and none of the placebo does; before and after: change ="
        " after - before of the same deals, of a rate with its Newcombe interval; beside it the"
        " mean change of those that started and have both figures, with Student's t;"
        " by version: win rate under the version - under all others, Newcombe; 95%"
    )
    improvement: Key
    hypothesis: Personal
    change: ImprovementChange
    metric: MetricKey
    stage: Reference | None
    process: Reference | None
    process_version: Annotated[int | None, FieldRole.TRAIT]
    expected_effect: Decimal | None
    state: Reference
    seed: Annotated[int | None, FieldRole.TRAIT]
    """By which the order of the teams was drawn."""
    starts: tuple[TeamStarted, ...]
    by: Unit
    days: int
    """How long each window is."""
    currency: Currency | None
    verdict: ImprovementVerdict
    unmatched: Unmatched | None
    """Why nobody can be compared, where not everybody changed at once."""
    towards: MovedTowards | None
    """Which way the figure went, by what was expected, else by which direction is better."""
    effect: Effect | None
    """None where no window after a start is over."""
    units: tuple[UnitAround, ...]
    before_after: BeforeAfter | None
    versions: tuple[VersionRate, ...]
    version_change: Estimate | None
    concluded: AtConclusion | None

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out: what was tried, what moved, who is compared with whom."""
        found = [*_EffectLayout(self, language).tables()]
        return [found[0], *(table for table in found[1:] if table.rows)]


class ImprovementEffect(MoneyQuestion[ImprovementEffectView]):
    """Did a change of the process or the strategy move the figure it should move?"""

    name: ClassVar[str] = "improvement-effect"
    folds: ClassVar[tuple[str, ...]] = (*METRIC_FOLDS, IMPROVEMENT.name)
    rates_usual: ClassVar[RateRule] = "event"
    improvement: Key
    """The improvement (its key)."""
    window: WindowDays = WINDOW
    """Days before each start and as many from it on, which are compared. Default: 60."""
    by: Unit = "team"
    """Compare by team, which changes as a whole, or by rep, whose intervals are then too
    narrow. Default: team."""

    def answer(self, reader: Reader, moment: Moment) -> ImprovementEffectView:
        """Measure everybody around the starts, now and as of the conclusion.

        Raises:
            NotFoundError: when there is no such improvement by then.
            InputError: when amounts are in several currencies and none is named.
        """
        found = _read(self.improvement, reader)
        fact, exchange = found.proposed, self.exchange(reader)
        assert fact is not None, "it was proposed"
        moved = figures_moved(found, reader, exchange, by=self.by, days=self.window)
        versions, version_change = version_rates(found, reader)
        return ImprovementEffectView(
            moment=moment,
            improvement=found.key,
            hypothesis=fact.hypothesis,
            change=fact.change,
            metric=fact.metric,
            stage=fact.stage,
            process=fact.process,
            process_version=fact.process_version,
            expected_effect=fact.expected_effect,
            state=found.progress,
            seed=found.seed,
            starts=tuple(_starts(found, reader)),
            by=self.by,
            days=self.window,
            currency=moved.currency,
            verdict=moved.verdict,
            unmatched=moved.unmatched,
            towards=moved.towards,
            effect=moved.effect,
            units=moved.units,
            before_after=moved.before_after,
            versions=tuple(versions),
            version_change=version_change,
            concluded=self._concluded(found, reader),
            rates=exchange.used,
        )

    def _concluded(self, found: ImprovementState, reader: Reader) -> AtConclusion | None:
        event = found.concluded
        if event is None or found.outcome is None:
            return None
        then = EarlierReader.fixed_by(reader, event, as_of=None, known_at=None)
        started = _state(self.improvement, then)  # by what was known of the starts then
        moved: ImprovementMeasured = figures_moved(
            started, then, self.exchange(then), by=self.by, days=self.window
        )
        return AtConclusion(
            outcome=found.outcome,
            because=found.because,
            verdict=moved.verdict,
            unmatched=moved.unmatched,
            towards=moved.towards,
            effect=moved.effect,
            before_after=moved.before_after,
        )


def _read(key: str, reader: Reader) -> ImprovementState:
    """Return an improvement as believed at the moment, if there is one."""
    state = _state(key, reader)
    if state.proposed is None:
        known = sorted(filter(None, reader.columns(IMPROVEMENT).cells("improvement")))
        names = ", ".join(known) or "none"
        raise NotFoundError(f"there is no improvement {key!r} by then; there are {names}")
    return state


def _state(key: str, reader: Reader) -> ImprovementState:
    """Return an improvement as believed at the moment, which may be nothing."""
    return state_of(Improvement, ImprovementState, reader.events(improvement_id(key)), reader)


def _starts(found: ImprovementState, reader: Reader) -> Iterator[TeamStarted]:
    days = {
        team: from_instant(event.effective).astimezone(reader.timezone).date()
        for team, event in found.starts.items()
    }
    order = {**found.planned_starts, **days, **dict.fromkeys(found.teams)}
    for team in order:
        yield TeamStarted(
            team=team or None, started=days.get(team), planned=found.planned_starts.get(team)
        )


class _EffectLayout:
    """Lays the answer out for people."""

    def __init__(self, view: ImprovementEffectView, language: Language) -> None:
        self._view = view
        self._language: Language = language
        self._zone = ZoneInfo(view.timezone)
        self._metric = metric_of(view.metric)
        self._text = FigureText(self._metric.unit, language, view.currency)

    def tables(self) -> Iterator[TableOfView]:
        """Yield the tables in their order."""
        view = self._view
        yield self._head()
        yield self._starts()
        if view.effect is not None and view.effect.verdict != "no_comparison":
            yield self._estimates("What it moved", view.effect)
            yield self._groups(view.effect)
        if view.before_after is not None:
            yield self._before_after("Before and after", view.before_after)
        yield self._versions()
        yield self._units()
        if view.concluded is not None:
            yield from self._concluded(view.concluded)

    def _head(self) -> TableOfView:
        view, language = self._view, self._language
        expected = view.expected_effect
        said = {
            "Hypothesis": view.hypothesis,
            "Kind of change": in_language(view.change, language),
            "Metric": self._metric.name(language),
            "Stage": view.stage,
            "Process": view.process,
            "Version": None if view.process_version is None else f"{view.process_version}",
            "Expected effect": None if expected is None else self._text.difference(expected),
            "State": in_language(view.state, language),
            "Seed of the order": None if view.seed is None else f"{view.seed}",
        }
        rows = tuple((in_language(name, language), text) for name, text in said.items() if text)
        notes = [said_of_verdict(view.verdict, view.unmatched, language)]
        if view.towards is not None:
            notes.append(self._direction(view.towards))
        effect = view.effect
        if effect is not None and effect.detectable is not None:
            notes.append(
                say(
                    "Groups of {started} and {others} could only have shown an effect above"
                    " {least}",
                    language,
                    started=effect.treated.people,
                    others=effect.compared.people,
                    least=self._text.size(effect.detectable),
                )
            )
        if view.by == "rep":
            notes.append(in_language(NARROW, language))
        return TableOfView(
            "Improvement", ("Figure", "Value"), rows, tuple(notes), view.improvement
        )

    def _direction(self, towards: MovedTowards) -> str:
        """Write which way it went, and what was expected and measured."""
        view, text = self._view, self._text
        measured, interval = text.estimate(what_was_measured(view.effect, view.before_after))
        between = "" if interval == NO_VALUE else f" ({interval})"
        said = say("measured {measured}", self._language, measured=f"{measured}{between}")
        if view.expected_effect:
            expected = text.difference(view.expected_effect)
            said = say("expected {expected}", self._language, expected=expected) + ", " + said
        return f"{said_of_direction(towards, self._language)}: {said}"

    def _starts(self) -> TableOfView:
        everybody = in_language("everybody else", self._language)
        rows = tuple(
            (each.team or everybody, _day(each.planned), _day(each.started))
            for each in self._view.starts
        )
        drawn = [it for it in self._view.starts if it.planned is not None]
        moved = sum(it.started not in (None, it.planned) for it in drawn)
        notes = []
        if moved:
            note = say_count(
                "{count:,} team started on another day than was drawn, which chance did not"
                " choose",
                "{count:,} teams started on other days than were drawn, which chance did not"
                " choose",
                moved,
                self._language,
            )
            notes.append(note)
        columns = ("Team", "Planned start", "Started")
        return TableOfView("Starts", columns, rows, notes=tuple(notes))

    def _estimates(self, title: str, effect: Effect) -> TableOfView:
        return estimates_table(title, effect, self._text, about=self._windows())

    def _windows(self) -> str:
        return say("windows of {days} days", self._language, days=self._view.days)

    def _groups(self, effect: Effect) -> TableOfView:
        title = "Teams compared, means" if self._view.by == "team" else "Reps compared, means"
        groups = ("started", "not yet started")
        return groups_table(title, effect, self._text, groups=groups, counted="Count")

    def _before_after(self, title: str, it: BeforeAfter) -> TableOfView:
        text, mean = self._text, it.mean
        rows = [
            (
                self._whose(it), text.figure(it.before), f"{it.n_before:,}",
                text.figure(it.after), f"{it.n_after:,}", *text.estimate(it.change),
            )
        ]  # fmt: skip
        if mean is not None and mean.count > 1:
            rows.append(
                (
                    self._mean_of(mean.count), text.figure(mean.before), NO_VALUE,
                    text.figure(mean.after), NO_VALUE, *text.estimate(mean.change),
                )
            )  # fmt: skip
        columns = (
            "Of", "Before", "Rests on, before", "After", "Rests on, after", "Change",
            "95% interval",
        )  # fmt: skip
        start = say("first start {day}", self._language, day=it.start)
        return TableOfView(title, columns, tuple(rows), about=f"{start}, {self._windows()}")

    def _whose(self, it: BeforeAfter) -> str:
        """Write of whom figures before and after are."""
        if it.everybody:
            return in_language("whole company", self._language)
        if len(it.started) <= NAMED:
            return ", ".join(it.started) or NO_VALUE
        return self._counted(len(it.started))

    def _counted(self, units: int) -> str:
        if self._view.by == "team":
            return say_count("{count:,} team", "{count:,} teams", units, self._language)
        return say_count("{count:,} rep", "{count:,} reps", units, self._language)

    def _mean_of(self, units: int) -> str:
        return say("mean of {units}", self._language, units=self._counted(units))

    def _versions(self) -> TableOfView:
        view = self._view
        rows = tuple(
            (f"{it.version}", f"{it.won:,}", f"{it.lost:,}", percent_text(it.win_rate))
            for it in view.versions
        )
        change, interval = FigureText("share", self._language).estimate(view.version_change)
        if interval != NO_VALUE:
            change = f"{change} ({interval})"
        note = f"{in_language('New version - others', self._language)}: {change}"
        columns = ("Version", "Won", "Lost", "Win rate")
        return TableOfView("Closed since the start, by version", columns, rows, notes=(note,))

    def _units(self) -> TableOfView:
        rows = tuple(
            (
                str(it.start),
                it.unit,
                it.group.replace("_", " "),
                *(self._text.figure(value) for value in (it.earlier, it.before, it.after)),
                self._text.difference(it.change),
            )
            for it in self._view.units
        )
        unit = "Team" if self._view.by == "team" else "Rep"
        columns = ("Start", unit, "Group", "Earlier", "Before", "After", "Change")
        return TableOfView("Compared one by one", columns, rows, words=("Group",))

    def _concluded(self, it: AtConclusion) -> Iterator[TableOfView]:
        language = self._language
        row = (
            in_language(it.outcome, language),
            it.because or NO_VALUE,
            " · ".join(said_of(it.verdict, it.unmatched, it.towards, language)),
        )
        columns = ("Conclusion", "Reason", "What could be said then")
        yield TableOfView("Conclusion", columns, (row,))
        if it.effect is not None and it.effect.verdict != "no_comparison":
            yield self._estimates("What it moved, as concluded", it.effect)
        if it.before_after is not None:
            yield self._before_after("Before and after, as concluded", it.before_after)


def _day(day: date | None) -> str:
    return NO_VALUE if day is None else str(day)

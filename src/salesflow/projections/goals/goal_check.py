"""Whether a goal would be well set: the past of its metric, and every letter of SMART.

Answers "was so much ever reached, and what is missing for a SMART goal?" before a goal is set.
The answer is handed in where it is set, `Goal.set(…, check=flow.ask(GoalCheck(…)))`, and kept
with the goal: what the past showed, and the moment at which somebody looked. The past is that
of the comparable periods before the goal's that are over, as believed at the moment. Leaves out
how far goals are attained: that is `GoalAttainment`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationInfo, field_validator, model_validator

from salesflow.domain.calendar import Days
from salesflow.domain.digits import without_thousands
from salesflow.domain.metric import Metric, MetricAsked, MetricKey, ensure_currency, metric_of
from salesflow.domain.smart import (
    Basis,
    GoalScope,
    GoalStatement,
    Letter,
    PastRange,
    PastValue,
    baseline_of,
    ensure_target,
    is_beyond_target,
    judged_letters,
)
from salesflow.domain.time import Moment, Period, from_instant
from salesflow.domain.values import (
    GivenCurrency,
    Key,
    Money,
    Number,
    Reason,
    Reference,
    SafeName,
    Value,
    number,
    tidy,
)
from salesflow.domain.wording import Message
from salesflow.errors import InputError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.figure_text import FigureText
from salesflow.presentation.format import days_text, span_text
from salesflow.presentation.messages import Language, in_language, key_text, say
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.columns import NO_NUMBER
from salesflow.projections.core.currency import CurrencyConverter, MoneyView
from salesflow.projections.core.question import (
    PeriodQuestion,
    Reader,
    Span,
    span_before,
)
from salesflow.projections.folds.closing import CLOSING
from salesflow.projections.goals.smart_text import basis_text
from salesflow.projections.metrics.attainment import scope_of
from salesflow.projections.metrics.goal_rows import GOAL_FOLDS, read_goals
from salesflow.projections.metrics.metric_values import METRIC_FOLDS, Measurement
from salesflow.projections.metrics.outside_figures import OutsideFigures

__all__ = ["COUNTED", "GoalCheck", "GoalCheckView", "LetterJudged", "past_notes"]

PERIODS: Final = 4
PERIODS_MOST: Final = 40
AMOUNT: Final = re.compile(r"(.+[0-9]) *([A-Za-z]{3})|(.+) ([A-Za-z]+)").fullmatch
COUNTED: Final = {"count": "whole numbers", "number": "plain numbers"}
"""What people call the units that have no name of their own."""


class LetterJudged(Value):
    """Whether a goal passes one letter of SMART, and by what."""

    letter: Annotated[Letter, FieldRole.KEY]
    passed: bool | None
    """None of what cannot be judged yet, as without a target."""
    basis: Basis


class GoalCheckView(MoneyView):
    """The past of a metric, and how the letters of a goal come out."""

    population: ClassVar[str] = (
        "comparable periods before the goal's, as many days long, that are over at the moment"
        " and had begun to be known; what happened belongs to whoever had the deal then"
    )
    formula: ClassVar[str] = (
        "achievable = the target was reached in one of the periods before, or somebody says why"
        " it can be; relevant = a parent goal or a strategy is named; specific, measurable,"
        " time-bound = metric, scope, unit and period are named; amounts in the goal's currency"
        " at the last rate on or before the day of each booking"
    )
    metric: MetricKey
    unit: Key | None
    """Of a figure from outside, as it was named."""
    target: Number | None
    baseline: Number | None
    """As named, or what the last period came to, where that does not lie beyond the target."""
    period: Period
    quarter: SafeName | None
    """What the period is called where it is a fiscal quarter, as 2026-Q3."""
    quarters_past: tuple[SafeName | None, ...]
    """The same of each past period."""
    evidence: PastRange
    """What the past shows; `Goal.set` keeps it as its check."""
    low: Number | None
    high: Number | None
    """The range of the past; None where nothing is known."""
    letters: tuple[LetterJudged, ...]
    parent_known: bool | None
    """Whether the goal named as parent is set at the moment; None where none is named."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out: the letters, and the past they rest on."""
        metric = metric_of(self.metric)
        return [self._letters(metric, language), self._past(metric, language)]

    def _letters(self, metric: Metric, language: Language) -> TableOfView:
        said = {True: "yes", False: "no", None: "not judged"}
        rows = tuple(
            (
                key_text(each.letter, language),
                in_language(said[each.passed], language),
                basis_text(each.basis, language),
            )
            for each in self.letters
        )
        days = self.quarter or days_text(self.period, ZoneInfo(self.timezone))
        target = self._text(metric, language).beside_target(self.target)
        about = " · ".join((metric.name(language), target, days))
        known = self.evidence.known
        named = self.baseline is not None and self.baseline not in known[-1:]
        notes = [*past_notes(self, self.evidence, language, named=named)]
        if self.parent_known is False:
            notes.append(in_language("the parent goal is not set at that moment", language))
        columns = ("SMART", "Passed", "Because of")
        return TableOfView("Goal check", columns, rows, about=about, notes=tuple(notes))

    def _past(self, metric: Metric, language: Language) -> TableOfView:
        text = self._text(metric, language)
        rows = tuple(
            (
                quarter or span_text(past.first_day, past.last_day),
                text.beside_target(past.value),
                f"{past.count:,}",
            )
            for quarter, past in zip(self.quarters_past, self.evidence.values, strict=True)
        )
        low, high = map(text.beside_target, (self.low, self.high))
        note = say("range of the past: {low} … {high}", language, low=low, high=high)
        notes = (note,) if self.low is not None else ()
        return TableOfView("Past periods", ("Period", "Result", "Rests on"), rows, notes=notes)

    def _text(self, metric: Metric, language: Language) -> FigureText:
        return FigureText(metric.unit or self.unit, language, self.evidence.currency)


class _Stood(Protocol):
    """A goal, or the check of one."""

    @property
    def metric(self) -> str: ...
    @property
    def unit(self) -> str | None: ...
    @property
    def target(self) -> Decimal | None: ...
    @property
    def baseline(self) -> Decimal | None: ...


def past_notes(
    goal: _Stood, past: PastRange, language: Language, *, named: bool = False
) -> Iterator[str]:
    """Say what follows from the past of a goal, where nobody would expect it.

    `named` is whether somebody named its baseline.
    """
    note = _baseline_note(goal, past, language, named=named)
    if note is None:
        note = _past_beyond_note(goal, past, language)
    if note is not None:
        yield note


def _past_beyond_note(goal: _Stood, past: PastRange, language: Language) -> str | None:
    """Say that every past period came further than the target."""
    metric, target, known = metric_of(goal.metric), goal.target, past.known
    if target is None or not known or metric.better is None:
        return None
    low, high = min(known), max(known)
    if not (low > target if metric.better == "higher" else high < target):
        return None
    text = FigureText(metric.unit or goal.unit, language, past.currency)
    ends = dict.fromkeys(map(text.beside_target, (low, high)))
    return say(
        "the past lies beyond the target already: the periods before came to {range}",
        language,
        range=" … ".join(ends),
    )


def _baseline_note(
    goal: _Stood, past: PastRange, language: Language, *, named: bool
) -> str | None:
    """Say what follows from where a goal stood before."""
    metric, target, known = metric_of(goal.metric), goal.target, past.known
    before = known[-1] if goal.baseline is None and known else goal.baseline
    if target is None or before is None or named:
        return None
    unit = metric.unit or goal.unit
    stood = FigureText(unit, language, past.currency).beside_target(before)
    if is_beyond_target(metric, target, before):
        return say(
            "where it stood before, {stood}, lies beyond the target already: the level is held"
            " or not held, without a percentage",
            language,
            stood=stood,
        )
    if metric.better is None and target < before:
        return say(
            "less is taken to be better, since it stood at {stood} before; name a baseline"
            " below the target where more is better",
            language,
            stood=stood,
        )
    return None


class GoalCheck(PeriodQuestion[GoalCheckView]):
    """Would a goal be well set, and was so much ever reached?"""

    name: ClassVar[str] = "goal-check"
    folds: ClassVar[tuple[str, ...]] = tuple(sorted({*METRIC_FOLDS, *GOAL_FOLDS}))
    metric: MetricAsked = "won"
    """What is measured: sales, orders, win_rate …, or figure:<key>. Default: won."""
    target: Number | None = None
    """What is to be reached: 12, '700000 CNY', of shares 0.35 or 35%. Left out, only the past
    is shown."""
    currency: GivenCurrency | None = None
    """Of money: such as CNY. Default: the report currency of the settings."""
    unit: Key | None = None
    """Of a figure from outside: the unit it is reported in."""
    baseline: Number | None = None
    """Where it stands before. Default: what the last period came to."""
    team: Reference | None = None
    """Of this team (its key); of all when left out, as with the next ones."""
    rep: Reference | None = None
    """Of this rep."""
    customer: UUID | None = None
    """Of this customer."""
    product: SafeName | None = None
    """Only of this product, as lines of quotes and agreements name it; sales and won can be."""
    channel: Reference | None = None
    """Of deals from this lead source."""
    process: Reference | None = None
    """Of deals of this process (its key)."""
    stage: Reference | None = None
    """Measured at this stage."""
    parent: Reference | None = None
    """The key of the goal it serves."""
    strategy: SafeName | None = None
    """The strategy it serves."""
    why_achievable: Reason | None = None
    """Why it can be reached, where the past does not show it."""
    periods: Annotated[int, Field(ge=1, le=PERIODS_MOST, strict=True)] = PERIODS
    """How many periods before to look at. Default: 4."""

    @model_validator(mode="before")
    @classmethod
    def _with_currency(cls, given: object) -> object:
        """Take an amount with its currency for the target, as a goal takes it."""
        if not isinstance(given, Mapping):
            return given
        target, currency = given.get("target"), given.get("currency")
        amount, code = target, None
        if isinstance(target, Money):
            amount, code = target.amount, target.currency
        elif isinstance(target, str) and (found := AMOUNT(target.strip())):
            amount, code = (found[1] or found[3]).strip(), (found[2] or found[4]).upper()
            amount = without_thousands(amount)
        if code is None:
            return given
        if currency not in (None, code):
            raise InputError(f"the target is in {code}, the goal in {currency}")
        return {**given, "target": amount, "currency": code}

    @field_validator("target", "baseline", mode="before")
    @classmethod
    def _share(cls, given: object, info: ValidationInfo) -> object:
        """Read a percentage of what is a share."""
        if not isinstance(given, str) or not given.strip().endswith("%"):
            return given
        metric = metric_of(info.data.get("metric", "won"))
        if metric.unit not in (None, "share"):
            counted = COUNTED.get(metric.unit, metric.unit)
            raise ValueError(
                Message(
                    "a percentage is a share, and {metric} is counted in {unit}",
                    metric=metric.key,
                    unit=counted,
                )
            )
        return number(given.strip().removesuffix("%").strip()) / 100

    def answer(self, reader: Reader, moment: Moment) -> GoalCheckView:
        """Look at the past, and judge every letter."""
        metric, span, currency = metric_of(self.metric), self.span(reader), self._in(reader)
        exchange = CurrencyConverter(reader, currency)
        values = tuple(
            self._reported(reader, span)
            if metric.is_figure
            else self._measured(metric, span, reader, exchange)
        )
        evidence = PastRange(
            metric=metric.key,
            scope=self._scope(),
            currency=currency,
            values=values,
            as_of=moment.as_of,
            known_at=moment.known_at,
            position=moment.position,
        )
        known, unit = evidence.known, self._unit(metric, reader)
        if self.target is not None:
            ensure_target(metric, unit, self.target, self.baseline)
        baseline = baseline_of(metric, self.target, self.baseline, evidence)
        parents = {goal.key for goal in read_goals(reader) if goal.standing != "abandoned"}
        return GoalCheckView(
            moment=moment,
            metric=metric.key,
            unit=unit,
            target=self.target,
            baseline=baseline,
            period=span.period(),
            quarter=reader.calendar.quarter_name(Days(span.first, span.last)),
            quarters_past=_quarters(values, reader),
            evidence=evidence,
            low=min(known, default=None),
            high=max(known, default=None),
            letters=tuple(self._letters(metric, evidence, baseline)),
            parent_known=None if self.parent is None else self.parent in parents,
            rates=exchange.used,
        )

    def _unit(self, metric: Metric, reader: Reader) -> str | None:
        """Return the unit that was named, or that an outside figure is reported in."""
        if self.unit is None and metric.is_figure:
            return OutsideFigures.read(reader).unit(self.metric)
        return self.unit

    def _in(self, reader: Reader) -> str | None:
        """Return the currency of a metric of money; none of any other."""
        metric, found = metric_of(self.metric), self.currency
        if metric.unit == "money":
            found = found or reader.report_currency
        ensure_currency(metric, found)
        return found

    def _scope(self) -> GoalScope:
        return GoalScope(**{name: getattr(self, name) for name in GoalScope.model_fields})

    def _measured(
        self, metric: Metric, span: Span, reader: Reader, exchange: CurrencyConverter
    ) -> Iterator[PastValue]:
        spans = [*_spans_before(span, self.periods, reader)]
        if not spans:
            return
        measured = Measurement(reader, spans, scope_of(self._scope()), exchange=exchange)
        for figure, past in zip(measured.of(metric.key), spans, strict=True):
            value = figure.in_unit(metric, exchange.currency)
            yield PastValue(
                first_day=past.first,
                last_day=past.last,
                value=None if value is None else tidy(round(value, 6)),
                count=max(figure.n, 0),
            )

    def _reported(self, reader: Reader, span: Span) -> Iterator[PastValue]:
        reports = OutsideFigures.read(reader).before(self.metric, span.first)
        if self.unit is not None:
            reports = [each for each in reports if each.unit == self.unit]
        for each in reports[-self.periods :]:
            yield PastValue(
                first_day=each.first_day, last_day=each.last_day, value=each.value, count=1
            )

    def _letters(
        self, metric: Metric, past: PastRange, baseline: Decimal | None
    ) -> Iterator[LetterJudged]:
        its = (self.parent, self.strategy, self.why_achievable)
        stated = GoalStatement(metric, self.target, baseline, *its)
        for letter, passed, basis in judged_letters(stated, past):
            yield LetterJudged(letter=letter, passed=passed, basis=basis)


def _quarters(values: Iterable[PastValue], reader: Reader) -> tuple[str | None, ...]:
    days = (Days(past.first_day, past.last_day) for past in values)
    return tuple(map(reader.calendar.quarter_name, days))


def _spans_before(span: Span, periods: int, reader: Reader) -> Sequence[Span]:
    """Return the periods before one that are over, the oldest first, as far as any is known."""
    opened = reader.columns(CLOSING)["opened"]
    known = opened[opened != NO_NUMBER]
    first = int(known.min()) if len(known) else None
    found: list[Span] = []
    while len(found) < periods:
        try:
            span = span_before(span, reader)
        except InputError:  # it lies before the first day there is
            break
        if first is None or span.end <= first or from_instant(span.start).year <= 1:
            break
        if span.end - 1 <= reader.read_point.as_of:
            found.append(span)
    return found[::-1]

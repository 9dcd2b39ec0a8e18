"""Whether a goal would be well set: the past of its metric, and every letter of SMART.

Answers "was so much ever reached, and what is missing for a SMART goal?" before a goal is set.
The answer is handed in where it is set, `Goal.set(…, check=flow.ask(GoalCheck(…)))`, and kept
with the goal: what the past showed, and the moment at which somebody looked. The past is that
of the comparable periods before the goal's that are over, as believed at the moment. Leaves out
how far goals are attained: that is `GoalAttainment`.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import Field

from salesflow.domain.metric import Metric, MetricAsked, MetricKey, ensure_currency, metric_of
from salesflow.domain.smart import (
    Basis,
    GoalScope,
    Letter,
    PastRange,
    PastValue,
    Stated,
    judged_letters,
)
from salesflow.domain.time import Moment, Period, from_instant
from salesflow.domain.values import (
    Currency,
    Key,
    Number,
    Reason,
    Reference,
    SafeName,
    SafeText,
    Value,
    tidy,
)
from salesflow.presentation.fields import FieldRole
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
from salesflow.projections.metrics.figure_text import FigureText
from salesflow.projections.metrics.goal_rows import GOAL_FOLDS, read_goals
from salesflow.projections.metrics.metric_values import METRIC_FOLDS, Measurement
from salesflow.projections.metrics.outside_figures import OutsideFigures

__all__ = ["GoalCheck", "GoalCheckView", "LetterJudged"]

PERIODS: Final = 4
PERIODS_MOST: Final = 40
PLACES: Final = Decimal("0.000001")


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
    target: Number | None
    baseline: Number | None
    """As named, or what the last period came to."""
    period: Period
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
        days = days_text(self.period, ZoneInfo(self.timezone))
        target = self._text(metric, language).beside_target(self.target)
        about = " · ".join((metric.name(language), target, days))
        notes: tuple[str, ...] = ()
        if self.parent_known is False:
            notes = (in_language("the parent goal is not set at that moment", language),)
        columns = ("SMART", "Passed", "Because of")
        return TableOfView("Goal check", columns, rows, about=about, notes=notes)

    def _past(self, metric: Metric, language: Language) -> TableOfView:
        text = self._text(metric, language)
        rows = tuple(
            (
                span_text(past.first_day, past.last_day),
                text.beside_target(past.value),
                f"{past.count:,}",
            )
            for past in self.evidence.values
        )
        low, high = map(text.beside_target, (self.low, self.high))
        note = say("range of the past: {low} … {high}", language, low=low, high=high)
        notes = (note,) if self.low is not None else ()
        return TableOfView("Past periods", ("Period", "Result", "Rests on"), rows, notes=notes)

    def _text(self, metric: Metric, language: Language) -> FigureText:
        return FigureText(metric.unit, language, self.evidence.currency)


class GoalCheck(PeriodQuestion[GoalCheckView]):
    """Would a goal be well set, and was so much ever reached?"""

    name: ClassVar[str] = "goal-check"
    folds: ClassVar[tuple[str, ...]] = tuple(sorted({*METRIC_FOLDS, *GOAL_FOLDS}))
    metric: MetricAsked = "won"
    """What is measured: sales, orders, win_rate …, or figure:<key>. Default: won."""
    target: Number | None = None
    """What is to be reached; of shares 0.35 is 35%. Left out, only the past is shown."""
    currency: Currency | None = None
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
    product: SafeText | None = None
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
        known = evidence.known
        baseline = known[-1] if self.baseline is None and known else self.baseline
        parents = {goal.key for goal in read_goals(reader) if goal.standing != "abandoned"}
        return GoalCheckView(
            moment=moment,
            metric=metric.key,
            target=self.target,
            baseline=baseline,
            period=span.period(),
            evidence=evidence,
            low=min(known, default=None),
            high=max(known, default=None),
            letters=tuple(self._letters(metric, evidence, baseline)),
            parent_known=None if self.parent is None else self.parent in parents,
            rates=exchange.used,
        )

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
        stated = Stated(metric, self.target, baseline, *its)
        for letter, passed, basis in judged_letters(stated, past):
            yield LetterJudged(letter=letter, passed=passed, basis=basis)


def _spans_before(span: Span, periods: int, reader: Reader) -> Sequence[Span]:
    """Return the periods before one that are over, the oldest first, as far as any is known."""
    opened = reader.columns(CLOSING)["opened"]
    known = opened[opened != NO_NUMBER]
    first = int(known.min()) if len(known) else None
    found: list[Span] = []
    while len(found) < periods:
        span = span_before(span, reader)
        if first is None or span.end <= first or from_instant(span.start).year <= 1:
            break
        if span.end - 1 <= reader.read_point.as_of:
            found.append(span)
    return found[::-1]

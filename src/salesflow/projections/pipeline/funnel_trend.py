"""The trend of the funnel: what stood in the pipeline at the end of every month of a period.

Answers "is our pipeline growing, and in which stage?" for any past moment on both time axes:
every end is what is believed of it at one and the same `known_at`. All ends are read in one
go. Leaves out what moved between them (Flow), and every part of the pipeline but a process.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Annotated, ClassVar, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from salesflow.domain.time import (
    MICROSECOND,
    ONE_DAY,
    Instant,
    Moment,
    Period,
    from_instant,
)
from salesflow.domain.unchecked import unchecked_all
from salesflow.domain.values import Day, Reference, Value
from salesflow.errors import InputError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import RowOfValues, Total, local_time, written_rows
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.currency import MoneyQuestion, MoneyView, RateRule
from salesflow.projections.core.question import PeriodQuestion, Reader, Span, span_of
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.pipeline.funnel import (
    CLOSED,
    ClosedDeals,
    FunnelStage,
    PipelineCells,
    PipelineSums,
    closed_deals,
    stages_by_group,
)

__all__ = ["FunnelEnd", "FunnelTrend", "FunnelTrendView"]


Every = Literal["day", "week", "month", "quarter", "year"]
ENDS_MAX = 400


class FunnelEnd(Value):
    """What stood in the pipeline at the end of one month (day, week, quarter, year)."""

    first: Annotated[date, FieldRole.KEY]
    last: Annotated[date, FieldRole.TRAIT]
    as_of: datetime
    """The end of its last day, or the moment where that comes first."""
    open_deals: int
    deals_without_amount: int
    amounts: tuple[Total, ...]
    weighted: tuple[Total, ...]
    stages: tuple[FunnelStage, ...]
    closed: tuple[ClosedDeals, ...]

    def named(self, zone: ZoneInfo) -> str:
        """Return its last day, or the moment where the day was not over by then."""
        after = (self.as_of + MICROSECOND).astimezone(zone)
        whole = after.date() > self.last
        return str(self.last) if whole else local_time(self.as_of, zone, exact=False)


_ends: Final = unchecked_all(FunnelEnd)


class FunnelTrendView(MoneyView):
    """A funnel for each end, oldest first."""

    population: ClassVar[str] = (
        "every deal on record at each period end; a period that has not ended is shown as of"
        " the as-of time"
    )
    formula: ClassVar[str] = (
        "per end and stage: count and sum of amount of open deals; weighted amount = sum of"
        " amount x probability of the deal's process version (or its own forecast); won, lost,"
        " disqualified, merged = deals closed so by each period end, since the start; per"
        " currency"
    )
    period: Period
    every: Every
    ends: tuple[FunnelEnd, ...]

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the trend out: a row per end, then the open deals of each stage."""
        zone = ZoneInfo(self.timezone)
        named = [end.named(zone) for end in self.ends]
        rows: list[RowOfValues] = [
            (
                at,
                end.open_deals,
                end.amounts,
                end.weighted,
                *(each.deals for each in end.closed),
            )
            for at, end in zip(named, self.ends, strict=True)
        ]
        outcomes = (
            "Won so far", "Lost so far", "Disqualified so far",
            "Merged so far",
        )  # fmt: skip
        columns = ("Period end", "Open deals", "Amount", "Weighted amount", *outcomes)
        trend = TableOfView("Funnel trend", columns, written_rows(rows))
        return [trend, *self._by_stage(named, language)]

    def _by_stage(self, named: Sequence[str], language: Language) -> Iterator[TableOfView]:
        """Yield a table for each process: a row per end, a column per stage."""
        names: dict[str, dict[str, str]] = {}
        for end in self.ends:
            for stage in end.stages:
                name = stage.name_zh if language == "zh" else stage.name_en
                names.setdefault(stage.process, {})[stage.stage] = name
        for process, stages in names.items():
            rows = list[RowOfValues]()
            for at, end in zip(named, self.ends, strict=True):
                deals = {s.stage: s.deals for s in end.stages if s.process == process}
                rows.append((at, *(deals.get(stage, 0) for stage in stages)))
            columns = ("Period end", *stages.values())
            yield TableOfView("Open deals by stage", columns, written_rows(rows), about=process)


class FunnelTrend(MoneyQuestion[FunnelTrendView], PeriodQuestion[FunnelTrendView]):
    """What stood in the pipeline at the end of every month?"""

    name: ClassVar[str] = "funnel-trend"
    folds: ClassVar[tuple[str, ...]] = (PIPELINE.name,)
    rates_usual: ClassVar[RateRule] = "period_end"
    rates: Literal["period_end", "fixed"] | None = None
    """Of which day the rate is: period_end (the day of each end) or fixed."""
    from_: Day | None = None
    """The first day of the period. Default: of the fiscal year before that of the moment."""
    every: Every = "month"
    """Ends of fiscal months, quarters or years, of weeks (Sundays) or of days."""
    process: Reference | None = None
    """Only deals of this process (its key); all when left out."""

    def answer(self, reader: Reader, moment: Moment) -> FunnelTrendView:
        """Read what stood at every end, all in one go."""
        span, exchange = self._span(reader), self.exchange(reader)
        ends = list(self._ends(span, reader))
        found: list[FunnelEnd] = []
        if ends:
            cells = PipelineCells.booked(reader, [end.at for end in ends], self.process)
            found = _funnel_ends(ends, cells.converted(exchange), reader)
        return FunnelTrendView(
            moment=moment,
            period=span.period(),
            every=self.every,
            ends=tuple(found),
            rates=exchange.used,
        )

    def _span(self, reader: Reader) -> Span:
        """Cut the period; where none is named, the fiscal year to date and the one before."""
        if self.from_ is not None or self.to is not None:
            return self.span(reader)
        day = self.day(reader)
        first = reader.calendar.before("year", day).first
        return span_of(first, reader.calendar.span("quarter", day).last, reader)

    def _ends(self, span: Span, reader: Reader) -> Iterator["_End"]:
        first, today, number = span.first, self.day(reader), 0
        while first <= min(span.last, today):
            last = min(self._last(first, reader), span.last)
            at = span_of(first, last, reader).closing(reader.read_point.as_of)
            yield _End(first, last, at)
            first, number = last + ONE_DAY, number + 1
            if number > ENDS_MAX:
                raise InputError(
                    f"more than {ENDS_MAX} ends of a {self.every} from {span.first}"
                    f" to {span.last}; ask for fewer, or for longer steps"
                )

    def _last(self, first: date, reader: Reader) -> date:
        if self.every == "day":
            return first
        if self.every == "week":
            return first + (6 - first.weekday()) * ONE_DAY
        return reader.calendar.span(self.every, first).last


class _End(NamedTuple):
    first: date
    last: date
    at: Instant


def _funnel_ends(ends: Sequence[_End], cells: PipelineCells, reader: Reader) -> list[FunnelEnd]:
    """Return what stood at each end; its number is the group of its cells."""
    sums = PipelineSums.of([None] * len(ends), cells)
    opened = cells.where(cells.outcome.has("open"))
    figures = opened.figures(opened.group, len(ends))
    stages = stages_by_group(sums, reader.processes)
    closed, each = closed_deals(sums), len(CLOSED)
    return _ends(
        [
            {
                "first": end.first,
                "last": end.last,
                "as_of": from_instant(end.at),
                "open_deals": fields.pop("deals"),
                **fields,
                "stages": in_stages,
                "closed": tuple(closed[number * each : (number + 1) * each]),
            }
            for number, (end, fields, in_stages) in enumerate(
                zip(ends, figures, stages, strict=True)
            )
        ]
    )

"""The fiscal calendar: how a tenant cuts its years into quarters and months.

Either calendar months from any day of any month, or weeks: 4-4-5, 4-5-4 or 5-4-4 weeks to the
months of each quarter, where a year has 52 weeks and, every five or six years, a 53rd in its
last month. Days in, days out; `domain.time` cuts days into instants.
"""

from datetime import date, timedelta
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import Field, Strict, model_validator

from salesflow.domain.values import Day, Value
from salesflow.domain.wording import Message
from salesflow.errors import InputError

__all__ = ["Days", "FiscalCalendar", "Pattern", "Span", "YearBegins"]

Pattern = Literal["months", "4-4-5", "4-5-4", "5-4-4"]
YearBegins = Literal["nearest", "on_or_before"]
Span = Literal["month", "quarter", "year"]
MONTHS_OF: Final = {"month": 1, "quarter": 3, "year": 12}
SPANS: Final[tuple[Span, ...]] = ("year", "quarter", "month")
WEEK = timedelta(weeks=1)
DAY = timedelta(days=1)
QUARTERS = 4


class Days(NamedTuple):
    """The days of a span, the first and the last, both included."""

    first: date
    last: date


class FiscalCalendar(Value):
    """How a year is cut: by months from `start_month`, or by weeks from an `anchor`.

    Months may begin on another day than the first (`start_day`): a year from 6 April has the
    months 6 April to 5 May, 6 May to 5 June and so on.

    The anchor is the first day of any one fiscal year of weeks. Every year begins on its
    weekday: the one nearest to the first of the month (as retailers and ISO 8601 count), or
    the last one on or before it. A fiscal year is named after the calendar year in which its
    last month begins.

    Raises:
        InputError: when a pattern of weeks has no anchor (or one of months has) or a
            `start_day`, or the anchor lies where no year can begin by its rule.
    """

    start_month: Annotated[int, Strict(), Field(ge=1, le=12)] = 1
    """The month a year of months begins with."""
    start_day: Annotated[int, Strict(), Field(ge=1, le=28)] = 1
    """The day on which each of its months begins; every month has 28 days."""
    pattern: Pattern = "months"
    anchor: Day | None = None
    year_begins: YearBegins = "nearest"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.pattern == "months") != (self.anchor is None):
            raise ValueError(
                Message("a pattern of weeks needs an anchor, one of months has none")
            )
        if self.pattern != "months" and self.start_day != 1:
            raise ValueError(
                Message("a year of weeks begins by its anchor and has no start_day")
            )
        if self.anchor is not None and self._start_near(self._month_first) != self.anchor:
            raise ValueError(
                Message(
                    "no year begins on {day}: it must be the weekday {year_begins} the first of"
                    " a month",
                    day=self.anchor,
                    year_begins=self.year_begins,
                )
            )
        return self

    def span(self, kind: Span, day: date) -> Days:
        """Return the fiscal month, quarter or year a day lies in.

        Raises:
            InputError: where the calendar ends before its year does.
        """
        starts = self._starts(day)
        size = MONTHS_OF[kind]
        here = max(i for i in range(12) if starts[i] <= day) // size * size
        return Days(starts[here], starts[here + size] - DAY)

    def before(self, kind: Span, day: date) -> Days:
        """Return the span before the one a day lies in.

        Raises:
            InputError: where the calendar begins or ends with that one.
        """
        here = self.span(kind, day)
        if here.first == date.min:
            raise InputError(f"the calendar begins with {day}; there is nothing before it")
        return self.span(kind, here.first - DAY)

    def days_before(self, days: Days) -> Days:
        """Return the days to compare some with: the fiscal span or as many days before them.

        Raises:
            InputError: where the calendar begins or ends with them.
        """
        for kind in SPANS:
            if self.span(kind, days.first) == days:
                return self.before(kind, days.first)
        last = days.first - DAY
        return Days(last - (days.last - days.first), last)

    def year(self, number: int) -> Days:
        """Return the days of the fiscal year of a number.

        Raises:
            ValueError: when the calendar does not reach so far.
        """
        middles = (date(number, month, 15) for month in range(1, 13))
        return next(self.span("year", day) for day in middles if self.numbers(day)[0] == number)

    def quarter(self, year: int, number: int) -> Days:
        """Return the days of a quarter, 1 to 4, of the fiscal year of a number.

        Raises:
            ValueError: when there is none.
        """
        if not 1 <= number <= QUARTERS:
            raise ValueError(f"there is no quarter {number}")
        found = self.span("quarter", self.year(year).first)
        for _ in range(number - 1):
            found = self.span("quarter", found.last + DAY)
        return found

    def quarter_name(self, days: Days) -> str | None:
        """Return what some days are called where they are a fiscal quarter, as 2026-Q3.

        None where they are not one.
        """
        try:
            if self.span("quarter", days.first) != days:
                return None
        except InputError:
            return None
        year, quarter, _ = self.numbers(days.first)
        return f"{year}-Q{quarter}"

    def numbers(self, day: date) -> tuple[int, int, int]:
        """Return the number of the fiscal year, quarter and month a day lies in."""
        starts = self._starts(day)
        month = max(i for i in range(12) if starts[i] <= day) + 1
        return starts[11].year, (month + 2) // 3, month

    def _starts(self, day: date) -> list[date]:
        """Return the first days of the months of a day's year, and of the next year."""
        try:
            return self._month_starts(self._year_start(day))
        except (ValueError, OverflowError) as error:
            raise InputError(
                f"the fiscal year of {day} reaches beyond the calendar; name an earlier day"
                if day.year > 1
                else f"the fiscal year of {day} begins before the calendar; name a later day"
            ) from error

    def _year_start(self, day: date) -> date:
        years = range(max(day.year - 1, date.min.year), min(day.year + 1, date.max.year) + 1)
        return max(start for start in map(self._start_in, years) if start <= day)

    def _start_in(self, year: int) -> date:
        """Return the first day of the fiscal year that begins in a year, or near its edge."""
        if self.anchor is None:
            return date(year, self.start_month, self.start_day)
        return self._start_near(date(year, self._month_first.month, 1))

    @property
    def _month_first(self) -> date:
        """Return the first of the month that the anchor stands next to."""
        anchor = self.anchor or date(1, 1, 1)
        first = anchor.replace(day=1)
        if anchor - first <= 3 * DAY and self.year_begins == "nearest":
            return first
        return first if anchor == first else (first + 32 * DAY).replace(day=1)

    def _start_near(self, first: date) -> date:
        """Return the day of the anchor's weekday that begins a year around a first of month."""
        after = ((self.anchor or first).weekday() - first.weekday()) % 7
        if self.year_begins == "nearest":
            return first + (after if after <= 3 else after - 7) * DAY
        return first + (after - 7 if after else 0) * DAY

    def _month_starts(self, year: date) -> list[date]:
        """Return the first days of the twelve months of a fiscal year, and of the next year."""
        if self.anchor is None:
            months = [(year.year * 12 + year.month - 1 + i) for i in range(13)]
            return [date(month // 12, month % 12 + 1, self.start_day) for month in months]
        weeks = [int(w) for w in self.pattern.split("-")] * 4
        starts = [year]
        for count in weeks[:-1]:
            starts.append(starts[-1] + count * WEEK)
        return [*starts, self._year_start(starts[-1] + (weeks[-1] + 2) * WEEK)]

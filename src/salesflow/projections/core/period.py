"""Periods of questions: which days are asked about, and which ones stand beside them.

A question over a period takes the days `from_` (the first) and `to` (the first one after it),
cut in the business time zone as known at the moment. Left out, it is the fiscal quarter of
the moment, to date. Beside a fiscal month, quarter or year stands the one before it, beside
any other period as many days before. What a period holds ends with the moment.
"""

from datetime import date
from typing import NamedTuple, TypeVar

from salesflow.domain.calendar import Days
from salesflow.domain.time import ONE_DAY, Instant, Period, from_instant, start_and_end
from salesflow.domain.values import Day
from salesflow.errors import InputError
from salesflow.projections.core.question import Question, Reader, View

__all__ = ["PeriodQuestion", "Span", "span_before", "span_of"]


ViewT = TypeVar("ViewT", bound=View)


class Span(NamedTuple):
    """A period in the units of the tables: `[start, end)`, and the days it was cut from."""

    start: Instant
    end: Instant
    first: date
    last: date

    @property
    def opening(self) -> Instant:
        """The instant before it: where its opening balances stand."""
        return self.start - 1

    def holds(self, at: Instant) -> bool:
        """Say whether an instant lies in it."""
        return self.start <= at < self.end

    def closing(self, as_of: Instant) -> Instant:
        """Give its last instant, or the moment's where that comes first."""
        return min(self.end - 1, as_of)

    def period(self) -> Period:
        """Give it as people read it."""
        return Period.between(self.start, self.end)

    def parameters(self) -> dict[str, date]:
        """Give the parameters of a question that asks about it."""
        return {"from_": self.first, "to": self.last + ONE_DAY}


class PeriodQuestion(Question[ViewT]):
    """The base of questions over a period."""

    from_: Day | None = None
    """The first day of the period. Default: of the fiscal quarter of the moment."""
    to: Day | None = None
    """The first day after the period. Default: the day after the fiscal quarter ends."""

    def span(self, reader: Reader) -> Span:
        """Cut the period asked about.

        Raises:
            InputError: when it ends before it begins.
        """
        if self.from_ is None and self.to is None:
            days = reader.calendar.span("quarter", self.day(reader))
            return span_of(days.first, days.last, reader)
        if self.to == date.min:
            raise InputError(f"a period up to {self.to} holds no day")
        first = self.from_
        if first is None:
            assert self.to is not None
            first = reader.calendar.span("quarter", self.to - ONE_DAY).first
        after = self.to
        if after is None:
            after = reader.calendar.span("quarter", max(first, self.day(reader))).last + ONE_DAY
        if after <= first:
            raise InputError(
                f"a period from {first} to {after} holds no day; `to` is the first day after it"
            )
        return span_of(first, after - ONE_DAY, reader)

    def day(self, reader: Reader) -> date:
        """Give the business day of the moment."""
        return from_instant(reader.read_point.as_of).astimezone(reader.timezone).date()


def span_of(first: date, last: date, reader: Reader) -> Span:
    """Cut whole business days, the first and the last included."""
    return Span(*start_and_end(first, last, reader.timezone), first, last)


def span_before(span: Span, reader: Reader) -> Span:
    """Cut the period to compare one with: the fiscal one before, or as many days before."""
    return span_of(*reader.calendar.days_before(Days(span.first, span.last)), reader)

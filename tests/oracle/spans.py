"""Days and calendar quarters as instants, in UTC, where the random histories play."""

from datetime import UTC, date, datetime, timedelta

__all__ = ["quarter_before", "quarter_of", "span_between"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Span = tuple[int, int]
"""The first instant of a span and the first one after it."""


def span_between(first: date, after: date) -> Span:
    """Give the span from one midnight to another."""
    return _midnight(first), _midnight(after)


def quarter_of(as_of: int) -> Span:
    """Give the calendar quarter an instant lies in."""
    day = (EPOCH + timedelta(microseconds=as_of)).date()
    first = date(day.year, {1: 1, 2: 4, 3: 7, 4: 10}[(day.month + 2) // 3], 1)
    after = (
        date(day.year + 1, 1, 1) if first.month == 10 else first.replace(month=first.month + 3)
    )
    return span_between(first, after)


def quarter_before(as_of: int) -> Span:
    """Give the calendar quarter before that."""
    first, _ = quarter_of(as_of)
    return quarter_of(first - 1)


def _midnight(day: date) -> int:
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return (at - EPOCH) // timedelta(microseconds=1)

"""Periods of whole days, cut in UTC, in calendar quarters."""

from datetime import UTC, date, datetime, timedelta

from oracle.beliefs import instant, moment

__all__ = ["period_before", "period_of"]


def period_of(first: date | None, after: date | None, as_of: int) -> tuple[int, int]:
    """Give the first instant of a period and the first one after it."""
    today = moment(as_of).date()
    if first is None:
        first = _quarter(today if after is None else after - timedelta(days=1))[0]
        after = after or _quarter(today)[1]
    elif after is None:
        after = _quarter(max(first, today))[1]
    return _start(first), _start(after)


def period_before(first: date | None, after: date | None, as_of: int) -> tuple[int, int]:
    """Give the month, quarter or year before one of those, else as many days before."""
    start, end = (moment(at).date() for at in period_of(first, after, as_of))
    months = (end.year - start.year) * 12 + end.month - start.month
    whole = start.day == end.day == 1 and months in (1, 3, 12)
    if whole and (start.month - 1) % months == 0:
        number = start.year * 12 + start.month - 1 - months
        return _start(date(number // 12, number % 12 + 1, 1)), _start(start)
    return _start(start - (end - start)), _start(start)


def _quarter(day: date) -> tuple[date, date]:
    month = (day.month - 1) // 3 * 3 + 1
    first = date(day.year, month, 1)
    return first, (date(day.year, month, 1) + timedelta(days=95)).replace(day=1)


def _start(day: date) -> int:
    return instant(datetime(day.year, day.month, day.day, tzinfo=UTC).isoformat())

"""Fiscal months, quarters and years: of calendar months, or of weeks, at times with a 53rd."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salesflow.domain.calendar import Days, FiscalCalendar, Pattern, Span, YearBegins
from salesflow.errors import InputError

PLAIN = FiscalCalendar()
APRIL = FiscalCalendar(start_month=4)
WEEKS = FiscalCalendar(pattern="4-4-5", anchor=date(2024, 12, 30))
RETAIL = FiscalCalendar(pattern="4-5-4", anchor=date(2024, 2, 4))
"""The retail calendar of the United States: years begin on the Sunday nearest to 1 February."""

APPLES = FiscalCalendar(pattern="5-4-4", anchor=date(2024, 9, 29), year_begins="on_or_before")
"""Years end on the last Saturday of September."""


@pytest.mark.parametrize(
    ("calendar", "kind", "first", "last"),
    [
        (PLAIN, "month", "2026-02-01", "2026-02-28"),
        (PLAIN, "quarter", "2026-01-01", "2026-03-31"),
        (PLAIN, "year", "2026-01-01", "2026-12-31"),
        (APRIL, "quarter", "2026-01-01", "2026-03-31"),
        (APRIL, "year", "2025-04-01", "2026-03-31"),
        (WEEKS, "month", "2026-01-26", "2026-02-22"),
        (WEEKS, "quarter", "2025-12-29", "2026-03-29"),
        (WEEKS, "year", "2025-12-29", "2027-01-03"),
        (RETAIL, "quarter", "2026-02-01", "2026-05-02"),
        (APPLES, "year", "2025-09-28", "2026-09-26"),
        (APPLES, "quarter", "2025-12-28", "2026-03-28"),
    ],
)
def test_the_span_a_day_lies_in(
    calendar: FiscalCalendar, kind: Span, first: str, last: str
) -> None:
    wanted = Days(date.fromisoformat(first), date.fromisoformat(last))
    assert calendar.span(kind, date(2026, 2, 15)) == wanted


def test_the_span_before() -> None:
    day = date(2026, 2, 15)
    assert PLAIN.before("quarter", day) == Days(date(2025, 10, 1), date(2025, 12, 31))
    assert APRIL.before("year", day) == Days(date(2024, 4, 1), date(2025, 3, 31))


def test_a_year_of_weeks_has_a_53rd_week_in_its_last_month_now_and_then() -> None:
    lengths = []
    day = date(2020, 6, 1)
    for _ in range(30):
        year = WEEKS.span("year", day)
        lengths.append(((year.last - year.first).days + 1) // 7)
        month = WEEKS.span("month", year.last)
        assert ((month.last - month.first).days + 1) // 7 == (6 if lengths[-1] == 53 else 5)
        day = year.last + timedelta(days=30)
    assert set(lengths) == {52, 53}
    assert lengths.count(53) in {5, 6}


def test_the_retail_years_with_53_weeks_are_the_known_ones() -> None:
    long_years = []
    for year in range(2000, 2031):
        span = RETAIL.span("year", date(year, 6, 1))
        if (span.last - span.first).days == 53 * 7 - 1:
            long_years.append(year)
    assert long_years == [2000, 2006, 2012, 2017, 2023, 2028]


@pytest.mark.parametrize(
    ("calendar", "numbers"),
    [
        (PLAIN, (2026, 1, 2)),
        (APRIL, (2026, 4, 11)),
        (WEEKS, (2026, 1, 2)),
        (RETAIL, (2027, 1, 1)),
    ],
)
def test_years_quarters_and_months_are_numbered(
    calendar: FiscalCalendar, numbers: tuple[int, int, int]
) -> None:
    assert calendar.numbers(date(2026, 2, 15)) == numbers


@settings(deadline=None)
@given(
    st.dates(date(1990, 1, 1), date(2060, 12, 31)),
    st.sampled_from(["4-4-5", "4-5-4", "5-4-4"]),
    st.dates(date(2000, 1, 1), date(2030, 12, 31)),
    st.sampled_from(["nearest", "on_or_before"]),
)
def test_spans_of_weeks_lie_end_to_end_and_hold_their_day(
    day: date, pattern: Pattern, anchor: date, year_begins: YearBegins
) -> None:
    try:
        calendar = FiscalCalendar(pattern=pattern, anchor=anchor, year_begins=year_begins)
    except InputError:
        assert 1 < anchor.day < 29
        return
    assert calendar.span("year", anchor).first == anchor
    for kind in ("month", "quarter", "year"):
        span = calendar.span(kind, day)
        assert span.first <= day <= span.last
        assert calendar.span(kind, span.first) == calendar.span(kind, span.last) == span
        assert calendar.before(kind, day).last == span.first - timedelta(days=1)
    year = calendar.span("year", day)
    assert (year.last - year.first).days + 1 in {52 * 7, 53 * 7}


def test_the_anchor_stands_next_to_the_first_of_a_month() -> None:
    with pytest.raises(InputError, match="no year begins on 2026-01-15"):
        FiscalCalendar(pattern="4-4-5", anchor=date(2026, 1, 15))
    with pytest.raises(InputError, match="weekday on_or_before the first of a month"):
        FiscalCalendar(pattern="4-4-5", anchor=date(2026, 1, 3), year_begins="on_or_before")
    leap_day = FiscalCalendar(pattern="4-4-5", anchor=date(2024, 2, 29))
    assert leap_day.span("year", date(2025, 6, 1)).first == date(2025, 2, 27)


def test_weeks_need_an_anchor_and_months_have_none() -> None:
    with pytest.raises(InputError, match="a pattern of weeks needs an anchor"):
        FiscalCalendar(pattern="4-4-5")
    with pytest.raises(InputError, match="a pattern of weeks needs an anchor"):
        FiscalCalendar(anchor=date(2026, 1, 1))

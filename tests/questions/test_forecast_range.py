"""What a period may bring, and how far such ranges held: from what was known, and no more."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest

from given import cny, opened
from questions.shop import Shop, shop
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.event import Fact
from salesflow.projections.forecast import weeks_drawn
from salesflow.projections.forecast.forecast_backtest import (
    ForecastBacktest,
    ForecastBacktestView,
)
from salesflow.projections.forecast.forecast_range import ForecastRange, RangeLine

APRIL = {"from_": date(2026, 4, 1), "to": date(2026, 5, 1)}


@pytest.fixture(scope="module")
def books() -> Iterator[Shop]:
    """Two deals a week from September on, won after 20 days and lost after 40, by turns."""
    with shop() as found:
        number, day = 1, date(2025, 9, 1)
        while day < date(2026, 4, 1):
            endings: tuple[tuple[Fact, int], ...] = (
                (DealWon(), 20),
                (DealLost(because="price"), 40),
            )
            for ended, days in endings:
                told: list[tuple[str, Fact]] = [
                    (str(day), opened(amount=cny("100"), expected_close=date(2026, 4, 20)))
                ]
                end = date.fromordinal(day.toordinal() + days)
                if end < date(2026, 4, 1):
                    told.append((str(end), ended))
                found.tell(number, *told)
                number += 1
            day = date.fromordinal(day.toordinal() + 7)
        yield found


def line(books: Shop, when: str, method: str = "history", **more: object) -> RangeLine:
    view = books.flow.ask(ForecastRange.model_validate({**APRIL, **more}), as_of=when)
    [found] = [each for each in view.lines if each.method == method]
    return found


def test_a_deal_is_as_likely_as_deals_that_stood_as_long_were(books: Shop) -> None:
    found = line(books, "2026-03-31")
    assert found.deals == 9, "six of 40 days, three of 20"
    assert Decimal(2) < found.deals_expected < Decimal(4), "the three young ones of each pair"
    assert found.low <= found.middle <= found.high


def test_deals_that_nobody_has_opened_yet_are_in_the_range_as_in_past_windows(
    books: Shop,
) -> None:
    open_alone = line(books, "2026-03-31", "process")
    assert line(books, "2026-03-31").high > open_alone.deals_expected * 100


def test_a_period_that_is_over_came_to_what_was_won_in_it(books: Shop) -> None:
    march = ForecastRange.model_validate({"from_": date(2026, 3, 1), "to": date(2026, 4, 1)})
    for found in books.flow.ask(march, as_of="2026-03-31").lines:
        assert found.low == found.middle == found.high == found.won == 100 * found.won_deals
        assert found.won_deals == 5


def test_the_same_moment_gives_the_same_range_whatever_is_recorded_later(books: Shop) -> None:
    question = ForecastRange.model_validate({**APRIL, "by": "owner"})
    before = books.flow.ask(question, as_of="2026-03-31")
    books.tell(900, ("2026-03-02", opened(amount=cny("5000"))), ("2026-03-03", DealWon()))
    assert books.flow.ask(question, at=before.moment) == before
    assert books.flow.ask(question, as_of="2026-03-31") != before


def test_a_deal_without_an_amount_brings_what_wins_of_its_process_brought() -> None:
    with shop() as books:
        for number in range(1, 30):
            books.tell(
                number, ("2026-01-01", opened()), ("2026-01-20", DealWon(amount=cny("70")))
            )
        books.tell(50, ("2026-03-30", opened()))
        found = line(books, "2026-03-31")
        assert (found.deals, found.currency) == (1, "CNY")
        assert found.high == 70


def test_a_range_without_any_past_window_says_that_it_is_too_narrow() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-30", opened(amount=cny("10"), expected_close=date(2026, 4, 9))))
        view = books.flow.ask(ForecastRange.model_validate(APRIL), as_of="2026-03-31")
        assert view.windows == 0
        assert "the range is too narrow" in view.table()


def test_weeks_of_which_nothing_was_known_then_are_left_out_and_named(books: Shop) -> None:
    view = books.flow.ask(ForecastBacktest(quarters=1), as_of="2026-03-31")
    assert (view.weeks_unknown, view.totals) == (13, ())
    assert "--known moment" in view.table()
    now = books.flow.ask(ForecastBacktest(quarters=1, known="moment"), as_of="2026-03-31")
    assert now.weeks_unknown == 0
    assert {each.ranges for each in now.totals} == {13}


def test_what_came_is_laid_beside_every_week_of_a_quarter_that_is_over(books: Shop) -> None:
    view = books.flow.ask(ForecastBacktest(quarters=2, known="moment"), as_of="2026-05-09")
    assert {each.first for each in view.ranges} == {date(2025, 10, 1), date(2026, 1, 1)}
    for each in view.totals:
        assert each.ranges == each.held + each.came_below + each.came_above
    last = [each for each in view.ranges if each.week == 13 and each.method == "history"]
    assert all(each.low <= each.actual for each in last), "what is won by then cannot be less"


def test_the_second_half_of_a_quarter_is_no_quarter_that_is_over(books: Shop) -> None:
    before = books.flow.ask(ForecastBacktest(quarters=1, known="moment"), as_of="2026-03-30")
    assert {each.first for each in before.ranges} == {date(2025, 10, 1)}


@pytest.mark.parametrize("held", [weeks_drawn.HELD_MOST, 0])
def test_what_is_told_later_changes_what_came_and_no_week_as_known_then(
    monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(weeks_drawn, "HELD_MOST", held)
    with shop() as books:
        for number, day in enumerate(range(5, 30), 1):
            when = f"2025-12-{day:02}"
            books.turn(when).tell(number, (when, opened(amount=cny("100"))))
            if number % 2:
                books.tell(number, (when, DealWon()))
        books.turn("2026-02-16").tell(2, ("2026-02-16", DealWon()))
        then, known = ForecastBacktest(quarters=1), ForecastBacktest(quarters=1, known="moment")
        asked = books.turn("2026-05-01").flow.ask
        before = asked(then), asked(known)
        books.tell(4, ("2026-01-20", DealWon(amount=cny("7000"))))
        after = asked(then), asked(known)

    def ranges(view: ForecastBacktestView) -> list[tuple[Decimal, ...]]:
        return [(each.low, each.middle, each.high) for each in view.ranges]

    assert len(before[0].ranges) == 26
    assert ranges(after[0]) == ranges(before[0])
    assert {each.actual for each in before[0].ranges} == {Decimal(100)}
    assert {each.actual for each in after[0].ranges} == {Decimal(7100)}
    assert ranges(after[1]) != ranges(before[1])

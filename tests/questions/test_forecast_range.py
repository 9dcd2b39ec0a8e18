"""What a period may bring, and how far such ranges held: from what was known, and no more."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest

from given import cny, opened
from questions.shop import Shop, deal_id, publish, shop, told
from salesflow import Rep
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.event import Fact
from salesflow.domain.rep import rep_id
from salesflow.errors import NotFoundError
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


def test_of_a_period_that_is_over_the_range_says_so_and_nothing_of_windows(
    books: Shop,
) -> None:
    over = (
        "the period is over: what was won in it is all there is, and nothing is drawn any more"
    )
    for when, said in (("2026-05-20", True), ("2026-04-30", True), ("2026-04-29", False)):
        notes = (
            books.flow.ask(ForecastRange.model_validate(APRIL), as_of=when).tables()[0].notes
        )
        assert (over in notes) == said
        assert any("window" in each for each in notes) != said


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


def test_a_team_that_signs_at_the_end_of_a_quarter_is_expected_to_do_so_again() -> None:
    """Three deals a week stand open; all are won in the last week of a quarter, if ever."""
    with shop() as books:
        number, day = 1, date(2025, 1, 6)
        while day < date(2026, 3, 20):
            for _ in range(3):
                books.tell(number, (str(day), opened(amount=cny("100"))))
                end = _last_week_after(day)
                if number % 2 and end < date(2026, 3, 20):
                    books.tell(number, (str(end), DealWon()))
                number += 1
            day += timedelta(days=7)
        last = range_of(books, "2026-03-24", date(2026, 4, 1))
        early = range_of(books, "2026-02-03", date(2026, 2, 11))
    assert last.deals_expected > 4 * early.deals_expected, "of as many days"


def _last_week_after(day: date) -> date:
    """Give a day in the last week of a quarter, a month later at least."""
    ends = (date(2025, 3, 27), date(2025, 6, 26), date(2025, 9, 25), date(2025, 12, 26))
    return next((end for end in ends if end > day + timedelta(days=30)), date(2026, 3, 27))


def range_of(books: Shop, when: str, to: date) -> RangeLine:
    first = date.fromisoformat(when)
    view = books.flow.ask(ForecastRange.model_validate({"from_": first, "to": to}), as_of=when)
    [found] = [each for each in view.lines if each.method == "history"]
    return found


def test_a_win_for_ten_times_what_its_deal_stood_at_is_in_doubt_and_named() -> None:
    with shop() as books:
        wins_of_a_year(books)
        books.tell(900, ("2026-03-02", opened(amount=cny("100"))))
        books.tell(900, ("2026-04-03", DealWon(amount=cny("1000"))))
        view = books.flow.ask(ForecastRange.model_validate(APRIL), as_of="2026-04-05")
        [doubt] = view.in_doubt
        assert (doubt.deal, *told(doubt.won, doubt.stood)) == (deal_id(900), *told(1000, 100))
        assert view.corrected == Decimal("0.5"), "nothing is known of such wins"
        [line] = [each for each in view.lines if each.method == "history"]
        assert line.won == 1000
        assert line.low < 1000, "in half of the runs it is 100"
        assert "Wins in doubt" in view.table()
        over = books.flow.ask(ForecastRange.model_validate(APRIL), as_of="2026-05-05")
        assert over.corrected is None
        assert {each.low for each in over.lines} == {1000}, "what is over is what is recorded"


def test_how_often_such_wins_were_corrected_says_how_much_it_is_in_doubt() -> None:
    with shop() as books:
        wins_of_a_year(books)
        for number, day in ((901, "2026-01-10"), (902, "2026-01-12")):
            books.turn("2026-01-15")
            books.tell(number, ("2025-12-02", opened(amount=cny("100"))))
            books.tell(number, (day, DealWon(amount=cny("1000"))))
        books.turn("2026-03-01")
        books.retract(books.events(901)[-1])
        books.tell(901, ("2026-01-10", DealWon(amount=cny("90"))))
        books.turn("2026-06-01")
        books.tell(903, ("2026-03-02", opened(amount=cny("100"))))
        books.tell(903, ("2026-04-10", DealWon(amount=cny("20"))))
        view = books.flow.ask(ForecastRange.model_validate(APRIL), as_of="2026-04-20")
    assert [each.deal for each in view.in_doubt] == [deal_id(903)], "as little as too much"
    assert view.corrected == Decimal("0.5"), "one of two: (1 + 1) ÷ (2 + 2)"


def wins_of_a_year(books: Shop) -> None:
    """Record a deal each week, won after twenty days, in a log that begins in 2025."""
    books.turn("2025-12-31")
    day = date(2025, 1, 6)
    for number in range(1, 50):
        won = str(day + timedelta(days=20))
        books.tell(number, (str(day), opened(amount=cny("100"))), (won, DealWon()))
        day += timedelta(days=7)
    books.turn("2026-06-01")


def test_ranges_of_teams_are_those_of_the_reps_who_are_in_them_at_the_moment() -> None:
    with shop() as books:
        books.turn("2025-01-01")
        with books.flow.session() as session:
            for rep, team in (("ann", "east"), ("bob", "west"), ("cho", "west")):
                session.add(Rep.join(rep, team=team, name=rep))
        books.turn("2026-02-01")
        with books.flow.session() as session:
            session.get(Rep, rep_id("cho")).move("east")
        books.turn("2026-06-01")
        for number, owner in enumerate(("ann", "bob", "cho", "dan"), 1):
            books.tell(number, ("2026-01-05", opened(owner=owner, amount=cny("100"))))
            books.tell(number, ("2026-01-20", DealWon()))
        asked = {"from_": date(2026, 1, 1), "to": date(2026, 4, 1), "by": "team"}
        for when, sums in (
            ("2026-01-25", {"east": 100, "west": 200, None: 100}),
            ("2026-02-25", {"east": 200, "west": 100, None: 100}),
        ):
            view = books.flow.ask(ForecastRange.model_validate(asked), as_of=when)
            assert {each.team: each.won for each in view.teams} == sums
            assert view.reps == ()


def test_a_range_of_a_team_is_of_the_deals_of_those_who_are_in_it_at_the_moment() -> None:
    with shop() as books:
        books.turn("2025-12-01")
        with books.flow.session() as session:
            for rep, team in (("ann", "east"), ("bob", "west")):
                session.add(Rep.join(rep, team=team, name=rep))
        books.turn("2026-06-01")
        for number, owner in enumerate(("ann", "bob", "bob", None), 1):
            deal = opened(amount=cny(f"{number}00"), owner=owner)
            books.tell(number, ("2026-01-05", deal), ("2026-01-20", DealWon()))
            books.tell(number + 10, ("2026-02-05", deal))
        quarter = {"from_": date(2026, 1, 1), "to": date(2026, 4, 1), "team": "west"}

        def of_west(as_of: str, **more: object) -> list[tuple[object, ...]]:
            question = ForecastRange.model_validate({**quarter, **more})
            lines = books.flow.ask(question, as_of=as_of).lines
            return [(it.deals, it.won_deals, it.won) for it in lines]

        assert of_west("2026-02-20") == [told(2, 2, 500)] * 2, "by history and by process"
        assert of_west("2026-02-20", owner="ann") == [], "who is in another team"
        with books.flow.session() as session:
            session.get(Rep, rep_id("ann")).move(team="west", occurred_at=date(2026, 2, 25))
        assert of_west("2026-02-27") == [told(3, 3, 600)] * 2
        assert of_west("2026-02-20") == [told(2, 2, 500)] * 2
        with pytest.raises(NotFoundError, match="nobody has been in a team 'wets'"):
            of_west("2026-02-20", team="wets")


def test_a_range_in_one_currency_is_at_the_rates_of_the_last_day(books: Shop) -> None:
    whole = line(books, "2026-03-31")
    publish(books, "2026-03-31", CNY="7")
    publish(books, "2026-04-15", CNY="8")
    found = line(books, "2026-03-31", report_currency="USD")
    assert found.currency == "USD"
    for one, other in zip(
        (found.low, found.middle, found.high),
        (whole.low, whole.middle, whole.high),
        strict=True,
    ):
        assert abs(one * 7 - other) < Decimal("0.01")
    late = line(books, "2026-04-16", report_currency="USD")
    assert late.high * 8 == pytest.approx(line(books, "2026-04-16").high, abs=Decimal("0.01"))


def test_amounts_without_a_rate_are_left_out_of_a_range_and_counted() -> None:
    with shop() as books:
        books.tell(1, ("2026-03-01", opened(amount=cny("100"))))
        books.tell(2, ("2026-03-01", opened(amount=cny("100"))), ("2026-03-09", DealWon()))
        asked = ForecastRange.model_validate({**APRIL, "report_currency": "USD"})
        view = books.flow.ask(asked, as_of="2026-04-05")
    assert view.lines == ()
    assert view.rates is not None
    assert [each.amounts for each in view.rates.without_rate] == [2]


def test_weeks_of_which_nothing_was_known_then_are_left_out_and_named(books: Shop) -> None:
    view = books.flow.ask(ForecastBacktest(quarters=1), as_of="2026-03-31")
    assert (view.weeks_unknown, view.totals) == (13, ())
    assert "--known moment" in view.table()
    now = books.flow.ask(ForecastBacktest(quarters=1, known="moment"), as_of="2026-03-31")
    assert now.weeks_unknown == 0
    assert {each.ranges for each in now.totals} == {13}


def test_weeks_before_anything_known_now_are_named_without_a_way_out(books: Shop) -> None:
    early = ForecastBacktest(quarters=1, known="moment")
    view = books.flow.ask(early, as_of="2024-03-31")
    assert view.weeks_unknown == 13
    assert "13 weeks left out: no deal that is known now was open" in view.table()
    assert "--known moment" not in view.table()


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

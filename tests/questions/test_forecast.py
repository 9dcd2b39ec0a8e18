"""Forecasts, slippage and the accuracy of past forecasts, worked out by hand."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from given import PLAIN, cny, line, opened
from questions.shop import Shop, deal_id, shop, told
from salesflow import Money
from salesflow.domain.deal.billing import ForecastGiven, LineItemsAgreed, RefundGiven
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged
from salesflow.domain.deal.outcomes import DealDisqualified, DealLost, DealReopened, DealWon
from salesflow.domain.deal.people import CollaboratorJoined, OwnerAssigned
from salesflow.domain.event import Fact
from salesflow.errors import InputError
from salesflow.projections.forecast.forecast import Forecast, ForecastView
from salesflow.projections.forecast.forecast_figures import (
    ForecastLine,
    PastForecast,
    SlippageLine,
)

FIRST_QUARTER = {"from_": date(2026, 1, 1), "to": date(2026, 4, 1)}
SECOND_QUARTER = {"from_": date(2026, 4, 1), "to": date(2026, 7, 1)}
MARCH = date(2026, 3, 10)


def ask(
    sales: Shop, period: Mapping[str, object], as_of: str = "2026-02-28", **asked: object
) -> ForecastView:
    return sales.flow.ask(Forecast.model_validate({**period, **asked}), as_of=as_of)


def expected(amount: str, close: date | None = MARCH, **changes: object) -> Fact:
    said = {"amount": cny(amount), "expected_close": close, **changes}
    return opened(PLAIN, **said)


def category(name: str) -> Fact:
    return ForecastGiven.model_validate({"category": name})


def until(year: int, month: int, day: int) -> Fact:
    return ForecastGiven(expected_close=date(year, month, day))


def only(view: ForecastView) -> ForecastLine:
    [found] = view.lines
    return found


def slipped(view: ForecastView) -> SlippageLine:
    [found] = view.slippage
    return found


def fates(view: ForecastView) -> tuple[int, ...]:
    """Give those expected, won, left otherwise, pending, moved and overdue."""
    it = slipped(view)
    return it.expected, it.won, it.left_otherwise, it.pending, it.moved, it.overdue


def measures(found: ForecastLine | PastForecast) -> tuple[Decimal, ...]:
    return found.forecast_weighted, found.forecast_commit, found.forecast_best_case


def changes(view: ForecastView) -> tuple[int, ...]:
    """Give pushes, deals pushed, deals pushed again, increases, decreases."""
    [found] = view.changes
    counts = (found.pushes, found.deals_pushed, found.deals_pushed_again)
    return *counts, found.increases, found.decreases


def test_a_forecast_is_what_is_won_and_the_measure_of_what_is_open() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-01-05", opened(amount=cny("1000"))), ("2026-02-01", DealWon()))
        sales.tell(2, ("2026-01-05", expected("100")), ("2026-01-06", category("commit")))
        sales.tell(3, ("2026-01-05", expected("200")), ("2026-01-06", category("best_case")))
        sales.tell(4, ("2026-01-05", expected("400")))
        sales.tell(5, ("2026-01-05", expected("800")), ("2026-01-06", category("omitted")))
        view = ask(sales, FIRST_QUARTER)
        it = only(view)
        assert (it.deals, it.amount, it.weighted) == told(4, 1500, 150)
        assert (it.won, *measures(it), it.forecast_pipeline) == told(
            1000, 1150, 1100, 1300, 1700
        )
        assert [
            told(it.forecast_category, it.amount, it.weighted) for it in view.categories
        ] == [
            ("commit", 100, 10),
            ("best_case", 200, 20),
            ("pipeline", 400, 40),
            ("omitted", 800, 80),
        ]


def test_an_open_deal_that_is_called_closed_is_as_sure_as_a_commitment() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-01-05", expected("100")), ("2026-01-06", category("closed")))
        it = only(ask(sales, FIRST_QUARTER))
        assert (it.won, *measures(it)) == told(0, 10, 100, 100)


def test_a_deal_without_an_expected_date_is_in_no_forecast() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-01-05", expected("100", None)))
        assert ask(sales, FIRST_QUARTER).lines == ()
        sales.tell(1, ("2026-01-06", ForecastGiven(expected_close=MARCH)))
        assert only(ask(sales, FIRST_QUARTER)).deals == 1


def test_a_deal_counts_on_the_first_and_the_last_day_of_a_period_and_not_beside_them() -> None:
    with shop() as sales:
        for number, day in enumerate(
            (date(2025, 12, 31), date(2026, 1, 1), date(2026, 3, 31), date(2026, 4, 1))
        ):
            sales.tell(number, ("2025-12-01", expected(str(10**number), day)))
        assert only(ask(sales, FIRST_QUARTER)).amount == 110


def test_a_deal_without_an_amount_counts_and_brings_nothing() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-01-05", opened(expected_close=MARCH)))
        it = only(ask(sales, FIRST_QUARTER))
        assert (it.currency, it.deals, *measures(it)) == (None, *told(1, 0, 0, 0))


def test_nothing_is_added_across_currencies_when_that_of_a_deal_changes() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-01-05", expected("700")),
            ("2026-01-20", ForecastGiven(amount=Money("100", "USD"))),
        )
        sales.tell(2, ("2026-01-05", expected("40")))
        view = ask(sales, FIRST_QUARTER)
        assert {each.currency: each.amount for each in view.lines} == {"CNY": 40, "USD": 100}
        assert view.changes == ()


def test_a_closing_date_pushed_three_times_and_pulled_back_once_has_not_slipped() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2025-12-05", expected("100")),
            ("2026-01-05", until(2026, 4, 10)),
            ("2026-01-06", until(2026, 5, 10)),
            ("2026-01-07", until(2026, 6, 10)),
            ("2026-01-08", until(2026, 3, 20)),
        )
        sales.tell(2, ("2025-12-05", expected("50")), ("2026-01-05", until(2026, 4, 10)))
        view = ask(sales, FIRST_QUARTER)
        assert changes(view) == (4, 2, 1, 0, 0)
        assert fates(view) == (2, 0, 0, 1, 1, 0)
        it = slipped(view)
        assert (it.slipped_amount, it.slippage) == told(50, Decimal("0.5"))
        assert it.slippage_by_value == Decimal(50) / 150
        between = ask(sales, FIRST_QUARTER, as_of="2026-01-07")
        assert (changes(between), fates(between)) == ((4, 2, 1, 0, 0), (2, 0, 0, 0, 2, 0))


def test_taking_the_date_away_is_a_push_and_a_slip() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2025-12-05", expected("100")),
            ("2026-02-05", ForecastGiven(cleared=("expected_close",))),
        )
        view = ask(sales, FIRST_QUARTER)
        assert (changes(view), fates(view)) == ((1, 1, 0, 0, 0), (1, 0, 0, 0, 1, 0))


def test_a_push_counts_in_the_currency_before_a_forecast_that_changes_both() -> None:
    pushed, euros = date(2026, 4, 10), Money("90", "EUR")
    with shop() as sales:
        sales.tell(
            1,
            ("2025-12-05", opened(PLAIN, expected_close=MARCH)),
            ("2026-02-05", ForecastGiven(amount=cny("100"), expected_close=pushed)),
        )
        [first] = ask(sales, FIRST_QUARTER).changes
        assert (first.currency, first.pushes, first.increases) == (None, 1, 0)
        sales.tell(
            2,
            ("2025-12-05", expected("100")),
            ("2026-02-06", ForecastGiven(amount=euros, expected_close=pushed)),
        )
        lines = {line.currency: line.pushes for line in ask(sales, FIRST_QUARTER).changes}
        assert lines == {None: 1, "CNY": 1}


def test_what_was_expected_at_the_start_was_won_lost_merged_or_slipped() -> None:
    with shop() as sales:
        for number in range(1, 8):
            sales.tell(number, ("2025-12-05", expected(str(number))))
        sales.tell(8, ("2026-01-05", expected("1000")))
        sales.tell(1, ("2026-02-01", DealWon(amount=cny("500"))))
        sales.tell(2, ("2026-02-01", DealLost(because="price")))
        sales.tell(3, ("2026-02-01", DealDisqualified(because="no budget")))
        sales.tell_all(
            (4, "2026-02-01", DealMerged(into=deal_id(8))),
            (8, "2026-02-01", DealAbsorbed(absorbed=deal_id(4))),
        )
        sales.tell(
            5,
            ("2026-02-01", DealLost(because="price")),
            ("2026-02-02", DealReopened()),
            ("2026-02-03", until(2026, 4, 1)),
        )
        sales.tell(6, ("2026-02-01", DealWon()), ("2026-02-02", DealReopened()))
        view = ask(sales, FIRST_QUARTER, as_of="2026-05-31")
        assert fates(view) == (7, 1, 3, 0, 1, 2)
        it = slipped(view)
        assert (it.expected_amount, it.moved_amount, it.overdue_amount) == told(28, 5, 13)
        assert it.slippage == Decimal(3) / 7
        assert it.slippage_by_value == Decimal(18) / 28
        assert only(view).won == 500


def test_a_deal_is_overdue_from_the_end_of_its_day_and_not_before() -> None:
    with shop(timezone="Asia/Shanghai") as sales:
        sales.tell(1, ("2025-12-05", expected("100")))
        assert fates(ask(sales, FIRST_QUARTER, "2026-03-09")) == (1, 0, 0, 1, 0, 0)
        assert fates(ask(sales, FIRST_QUARTER, "2026-03-10T23:59:59+08:00")) == (
            1, 0, 0, 1, 0, 0,
        )  # fmt: skip
        assert fates(ask(sales, FIRST_QUARTER, "2026-03-10")) == (1, 0, 0, 0, 0, 1)
        assert fates(ask(sales, FIRST_QUARTER, "2026-03-11T00:00:00+08:00")) == (
            1, 0, 0, 0, 0, 1,
        )  # fmt: skip


def test_a_day_of_23_hours_is_over_at_its_own_midnight() -> None:
    with shop(timezone="Europe/Berlin") as sales:
        sales.tell(1, ("2025-12-05", expected("100", date(2026, 3, 29))))
        before, after = "2026-03-29T21:59:59.999998+00:00", "2026-03-29T21:59:59.999999+00:00"
        assert fates(ask(sales, FIRST_QUARTER, before)) == (1, 0, 0, 1, 0, 0)
        assert fates(ask(sales, FIRST_QUARTER, after)) == (1, 0, 0, 0, 0, 1)


def test_the_middle_of_a_period_is_the_end_of_half_its_days_in_the_business_time_zone() -> None:
    days = {"from_": date(2026, 4, 4), "to": date(2026, 4, 11)}
    with shop(timezone="Europe/Berlin") as sales:
        sales.tell(1, ("2026-03-05", expected("100", date(2026, 3, 30))))
        middle = past(ask(sales, days, "2026-05-01"), "middle", "moment")
        assert (middle.first, middle.last) == (date(2026, 3, 28), date(2026, 4, 3))
        assert middle.made_at == datetime(2026, 3, 30, 21, 59, 59, 999999, tzinfo=UTC)


def test_what_slipped_stays_as_it_was_at_the_end_of_the_period() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2025-12-05", expected("100")),
            ("2026-03-31 12:00", until(2026, 4, 20)),
            ("2026-04-10", DealWon()),
        )
        assert fates(ask(sales, FIRST_QUARTER, "2026-05-31")) == (1, 0, 0, 0, 1, 0)


def test_the_start_is_the_last_instant_before_the_period_in_the_business_time_zone() -> None:
    with shop(timezone="Asia/Shanghai") as sales:
        sales.tell(1, ("2025-12-31 23:59:59.999999", expected("100")))
        sales.tell(2, ("2026-01-01 00:00", expected("10")))
        sales.tell(3, ("2025-12-05", expected("1")), ("2026-01-01 00:00", until(2026, 4, 1)))
        view = ask(sales, FIRST_QUARTER)
        assert view.period.start == datetime(2025, 12, 31, 16, tzinfo=UTC)
        assert fates(view) == (2, 0, 0, 1, 1, 0)
        assert slipped(view).expected_amount == 101
        assert changes(view) == (1, 1, 0, 0, 0)
        at_the_start = ask(sales, FIRST_QUARTER, "2025-12-31")
        assert fates(at_the_start) == (2, 0, 0, 2, 0, 0)
        assert ask(sales, FIRST_QUARTER, "2025-12-31T23:59:59+08:00").slippage == ()


def test_a_win_exactly_at_midnight_belongs_to_the_period_that_begins() -> None:
    with shop(timezone="Asia/Shanghai") as sales:
        sales.tell(1, ("2026-02-05", expected("100")), ("2026-04-01 00:00", DealWon()))
        assert ask(sales, FIRST_QUARTER, "2026-05-31").lines == ()
        assert fates(ask(sales, {"from_": date(2026, 3, 1), "to": date(2026, 4, 1)})) == (
            1, 0, 0, 1, 0, 0,
        )  # fmt: skip
        assert only(ask(sales, SECOND_QUARTER, "2026-05-31")).won == 100


def test_a_period_that_lies_ahead_has_a_forecast_and_no_slippage_yet() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-01-05", expected("100", date(2026, 5, 5))))
        view = ask(sales, SECOND_QUARTER)
        assert measures(only(view)) == told(10, 0, 0)
        assert (view.slippage, view.accuracy) == ((), ())


def test_before_anything_happened_there_is_nothing_to_forecast() -> None:
    with shop() as sales:
        sales.tell(1, ("2026-01-05", expected("100")))
        view = ask(sales, FIRST_QUARTER, "2026-01-04")
        found = (view.lines, view.categories, view.slippage, view.changes, view.accuracy)
        assert found == ((), (), (), (), ())


def test_amounts_that_are_agreed_are_changes_and_those_that_are_signed_are_not() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-01-05", opened(expected_close=MARCH)),
            ("2026-01-06", ForecastGiven(amount=cny("100"))),
            ("2026-01-07", ForecastGiven(amount=cny("150"))),
            ("2026-01-08", LineItemsAgreed(lines=(line("120"),))),
            ("2026-01-09", DealWon(amount=cny("500"))),
        )
        assert changes(ask(sales, FIRST_QUARTER)) == (0, 0, 0, 1, 1)


def test_the_forecast_of_a_closed_deal_is_no_push() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-01-05", expected("100")),
            ("2026-01-06", DealLost(because="price")),
            ("2026-01-07", until(2026, 6, 10)),
        )
        assert ask(sales, FIRST_QUARTER).changes == ()


def test_the_required_coverage_is_one_by_the_win_rate_by_value_of_the_trailing_days() -> None:
    with shop() as sales:
        sales.tell(1, ("2025-11-01", opened(amount=cny("100"))), ("2025-12-01", DealWon()))
        sales.tell(
            2,
            ("2025-11-01", opened(amount=cny("300"))),
            ("2025-12-02", DealLost(because="price")),
        )
        sales.tell(3, ("2026-01-05", expected("40")))
        it = only(ask(sales, FIRST_QUARTER))
        assert (it.win_rate_by_value, it.coverage_required) == told(Decimal("0.25"), 4)
        assert (it.goal_remaining, it.coverage) == (None, None)
        later = only(ask(sales, FIRST_QUARTER, as_of="2026-03-01"))
        assert (later.win_rate_by_value, later.coverage_required) == told(0, None)
        longer = only(ask(sales, FIRST_QUARTER, as_of="2026-03-01", trailing_days=91))
        assert longer.coverage_required == 4
        assert only(ask(sales, FIRST_QUARTER, trailing_days=30)).win_rate_by_value is None


def past(view: ForecastView, made: str, known: str) -> PastForecast:
    [found] = [each for each in view.accuracy if (each.made, each.known) == (made, known)]
    return found


def accuracy(found: PastForecast) -> tuple[Decimal | None, ...]:
    return found.accuracy_weighted, found.accuracy_commit, found.accuracy_best_case


def test_past_forecasts_are_judged_by_what_was_sold() -> None:
    with shop() as sales:
        sales.turn("2025-12-05").tell(1, ("2025-12-05", expected("100")))
        sales.turn("2025-12-06").tell(1, ("2025-12-06", category("commit")))
        sales.turn("2026-02-01").tell(2, ("2026-01-10", opened(amount=cny("30"))))
        sales.turn("2026-02-02").tell(2, ("2026-02-02", DealWon()))
        sales.turn("2026-03-20").tell(1, ("2026-03-20", DealWon(amount=cny("50"))))
        view = ask(sales, SECOND_QUARTER, "2026-05-31")
        start = past(view, "start", "then")
        assert start.made_at == datetime(2025, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
        assert (start.deals, start.actual, *measures(start)) == told(1, 80, 10, 100, 100)
        assert accuracy(start) == told(Decimal("0.125"), Decimal("0.75"), Decimal("0.75"))
        middle = past(view, "middle", "then")
        assert middle.made_at == datetime(2026, 2, 14, 23, 59, 59, 999999, tzinfo=UTC)
        assert measures(middle) == told(40, 130, 130)
        assert accuracy(middle) == told(Decimal("0.5"), Decimal("0.375"), Decimal("0.375"))


def test_a_forecast_is_as_wrong_as_what_was_known_when_it_was_made() -> None:
    with shop() as sales:
        sales.turn("2026-02-20").tell(
            1, ("2025-12-05", expected("100")), ("2025-12-06", category("commit"))
        )
        sales.turn("2026-03-20").tell(1, ("2026-03-20", DealWon()))
        view = ask(sales, SECOND_QUARTER, "2026-05-31")
        assert accuracy(past(view, "start", "then")) == told(0, 0, 0)
        assert accuracy(past(view, "start", "moment")) == told(Decimal("0.1"), 1, 1)
        assert accuracy(past(view, "middle", "then")) == told(0, 0, 0)


def test_a_forecast_more_than_twice_too_high_has_a_negative_accuracy() -> None:
    with shop() as sales:
        sales.tell(1, ("2025-12-05", expected("300")), ("2025-12-06", category("commit")))
        sales.tell(2, ("2026-01-05", opened(amount=cny("100"))), ("2026-01-06", DealWon()))
        start = past(ask(sales, SECOND_QUARTER, "2026-05-31"), "start", "moment")
        assert (start.forecast_commit, start.accuracy_commit) == told(300, -1)


def test_without_sales_a_forecast_is_neither_right_nor_wrong() -> None:
    with shop() as sales:
        sales.tell(1, ("2025-12-05", expected("300")))
        start = past(ask(sales, SECOND_QUARTER, "2026-05-31"), "start", "moment")
        assert (start.actual, *accuracy(start)) == told(0, None, None, None)


def test_the_actual_is_that_known_at_the_moment() -> None:
    with shop() as sales:
        sales.turn("2026-03-20").tell(
            1, ("2025-12-05", expected("100")), ("2026-03-20", DealWon())
        )
        sales.turn("2026-05-10").tell(1, ("2026-03-25", RefundGiven(amount=cny("20"))))
        now = ask(sales, SECOND_QUARTER, "2026-05-31")
        assert past(now, "start", "moment").actual == 80
        question = Forecast.model_validate(SECOND_QUARTER)
        then = sales.flow.ask(question, as_of="2026-05-31", known_at="2026-05-01")
        assert past(then, "start", "moment").actual == 100


def test_several_periods_back_are_those_of_the_calendar() -> None:
    with shop() as sales:
        sales.tell(1, ("2025-01-05", opened(amount=cny("1"))), ("2025-08-06", DealWon()))
        sales.tell(2, ("2025-01-05", opened(amount=cny("2"))), ("2025-11-06", DealWon()))
        view = ask(sales, SECOND_QUARTER, "2026-05-31", periods=3)
        actual = {(each.first, each.last): each.actual for each in view.accuracy}
        assert actual == {
            (date(2025, 10, 1), date(2025, 12, 31)): 2,
            (date(2025, 7, 1), date(2025, 9, 30)): 1,
        }
        assert ask(sales, SECOND_QUARTER, "2026-05-31", periods=0).accuracy == ()


def test_a_period_that_is_not_over_has_no_accuracy_yet() -> None:
    with shop() as sales:
        sales.tell(1, ("2025-12-05", expected("100")), ("2026-02-01", DealWon()))
        view = ask(sales, SECOND_QUARTER, "2026-02-10")
        [start] = {(each.made, each.actual, accuracy(each)) for each in view.accuracy}
        assert start == ("start", Decimal(100), (None, None, None))


def test_reps_get_their_share_of_what_is_won_and_all_of_what_is_open() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2026-01-05", opened(amount=cny("100"), owner="ann")),
            ("2026-01-06", CollaboratorJoined(person="bob", credit=Decimal("0.25"))),
            ("2026-02-01", DealWon()),
        )
        sales.tell(2, ("2026-01-05", expected("40", owner="bob")))
        sales.tell(3, ("2026-01-05", expected("8", owner=None)))
        lines = {each.group: each for each in ask(sales, FIRST_QUARTER, by="owner").lines}
        assert {name: (each.won, each.amount) for name, each in lines.items()} == {
            "ann": told(75, 0), "bob": told(25, 40), None: told(0, 8),
        }  # fmt: skip
        assert list(lines) == ["ann", "bob", None]
        bob = only(ask(sales, FIRST_QUARTER, owner="bob"))
        assert (bob.won, bob.amount, bob.forecast_weighted) == told(25, 40, 29)
        assert ask(sales, FIRST_QUARTER, process="imported").lines == ()


def test_what_slipped_is_charged_to_whoever_owned_it_at_the_start() -> None:
    with shop() as sales:
        sales.tell(
            1,
            ("2025-12-05", expected("100", owner="ann")),
            ("2026-01-10", OwnerAssigned(owner="bob")),
            ("2026-01-11", until(2026, 5, 5)),
        )
        view = ask(sales, FIRST_QUARTER, by="owner")
        assert (slipped(view).group, slipped(view).moved) == ("ann", 1)
        assert [each.group for each in view.changes] == ["bob"]


def test_the_start_is_asked_for_as_it_was_known_then() -> None:
    with shop() as sales:
        sales.turn("2025-12-20").tell(1, ("2025-12-05", expected("100")))
        sales.turn("2026-01-20").tell(1, ("2025-12-25", until(2026, 5, 5)))
        assert ask(sales, FIRST_QUARTER).slippage == ()
        then = ask(sales, FIRST_QUARTER, as_known_then=True)
        assert (then.opening_known_at, fates(then)) == ("then", (1, 0, 0, 0, 1, 0))


def test_a_deal_that_never_was_is_neither_won_nor_slipped() -> None:
    with shop() as sales:
        sales.turn("2025-12-20").tell(1, ("2025-12-05", expected("100")))
        sales.turn("2026-01-20").retract(sales.events(1)[0])
        then = ask(sales, FIRST_QUARTER, as_known_then=True)
        assert fates(then) == (1, 0, 1, 0, 0, 0)


def test_the_answer_stays_what_it_was() -> None:
    with shop() as sales:
        sales.turn("2026-01-20").tell(1, ("2025-12-05", expected("100")))
        before = ask(sales, FIRST_QUARTER)
        sales.turn("2026-02-20").tell(1, ("2026-01-10", DealWon()))
        question = Forecast.model_validate(FIRST_QUARTER)
        assert sales.flow.ask(question, at=before.moment) == before
        assert only(ask(sales, FIRST_QUARTER)).won == 100


def test_tables_leave_out_what_there_is_nothing_to_say_of() -> None:
    with shop() as sales:
        sales.tell(1, ("2025-12-05", expected("100")), ("2026-01-06", until(2026, 5, 5)))
        view = ask(sales, FIRST_QUARTER, by="process")
        tables = {table.title: table for table in view.tables()}
        assert list(tables) == ["Forecast", "Slippage", "Forecast changes"]
        assert tables["Forecast"].about == "2026-01-01 … 2026-03-31"
        assert tables["Slippage"].rows == (
            ("plain", "1", "100 CNY", "0", "0", "1", "0", "0", "100 CNY", "100%", "100%"),
        )


def test_a_sum_of_years_ago_and_a_hundred_periods_are_refused() -> None:
    for wrong in ({"periods": 41}, {"periods": -1}, {"trailing_days": 0}):
        with pytest.raises(InputError):
            Forecast.model_validate(wrong)

"""Amounts in one currency, at rates worked out by hand."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from given import cny, opened
from questions.shop import Shop, publish, shop, told
from salesflow import ExternalEvent, Money
from salesflow.domain.deal.after_sales import RepeatOrderPlaced
from salesflow.domain.deal.billing import ContractAmended, ForecastGiven
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.event import FactRetracted
from salesflow.domain.exchange_rates import RATES_ID, Rate, RatesPublished
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.time import to_instant
from salesflow.errors import InputError
from salesflow.projections.cases.win_loss import WinLoss
from salesflow.projections.core.currency import RatesUsed, WithoutRate
from salesflow.projections.forecast.forecast import Forecast
from salesflow.projections.metrics.kpi_figures import KpiLine
from salesflow.projections.performance.kpis import Kpis, KpisView
from salesflow.projections.pipeline.flow import Flow
from salesflow.projections.pipeline.funnel import Funnel, FunnelView

QUARTER: Mapping[str, object] = {"from_": date(2026, 1, 1), "to": date(2026, 4, 1)}


def usd(amount: str) -> Money:
    return Money(amount, "USD")


def rising_dollar(sales: Shop) -> None:
    publish(sales, "2026-01-02", CNY="7.0")
    publish(sales, "2026-02-02", CNY="7.1")
    publish(sales, "2026-03-02", CNY="7.2")


def kpis(sales: Shop, as_of: str = "2026-05-31", **asked: object) -> KpisView:
    known_at = asked.pop("known_at", None)
    question = Kpis.model_validate({**QUARTER, "report_currency": "CNY", **asked})
    assert known_at is None or isinstance(known_at, str)
    return sales.flow.ask(question, as_of=as_of, known_at=known_at)


def only(view: KpisView) -> KpiLine:
    [line] = view.lines
    return line


def sold(view: KpisView) -> dict[str, Decimal]:
    return {total.currency: total.amount for total in only(view).sales}


def yuan(amount: str) -> dict[str, Decimal]:
    return {"CNY": Decimal(amount)}


@pytest.mark.parametrize(
    ("rule", "sales_of_quarter"),
    [
        # the win of 1,000 on 15 February at 7.1, 200 more on 10 March at 7.2
        ({"rates": "event"}, "8540"),
        # both at the rate of the day of the win
        ({"rates": "closing"}, "8520"),
        # all 1,200 at 7.2, that of 31 March
        ({"rates": "period_end"}, "8640"),
        # all 1,200 at 7.0, that of 10 January, when the deal was opened
        ({"rates": "fixed", "rates_on": date(2026, 1, 10)}, "8400"),
    ],
)
def test_a_rate_that_changes_between_creation_closing_and_report(
    rule: dict[str, Any], sales_of_quarter: str
) -> None:
    with shop() as sales:
        rising_dollar(sales)
        publish(sales, "2026-04-02", CNY="9.9")
        sales.tell(
            1,
            ("2026-01-10", opened(amount=usd("1000"))),
            ("2026-02-15", DealWon()),
            ("2026-03-10", ContractAmended(amount=usd("1200"))),
        )
        assert sold(kpis(sales, **rule)) == yuan(sales_of_quarter)


def test_a_deal_whose_currency_changed_counts_each_booking_at_its_own_rate() -> None:
    with shop() as sales:
        rising_dollar(sales)
        sales.tell(
            1,
            ("2026-01-10", opened(amount=usd("1000"))),
            ("2026-02-15", DealWon()),
            ("2026-03-10", ContractAmended(amount=cny("7500"))),
        )
        # 1,000 USD booked at 7.1, taken back at 7.2, and 7,500 CNY booked
        assert sold(kpis(sales, rates="event")) == yuan("7400")
        # booked and taken back at the rate of the win
        assert sold(kpis(sales, rates="closing")) == yuan("7500")
        sales.tell(
            2,
            ("2026-01-10", opened(amount=usd("1000"))),
            ("2026-02-01", ForecastGiven(amount=cny("6000"))),
            ("2026-02-15", DealWon()),
        )
        assert sold(kpis(sales, rates="closing")) == yuan("13500")


def test_nothing_is_converted_unless_it_is_asked_for() -> None:
    with shop() as sales:
        rising_dollar(sales)
        sales.tell(1, ("2026-01-10", opened(amount=usd("10"))), ("2026-02-15", DealWon()))
        with sales.flow.session() as session:
            session.get(Settings, SETTINGS_ID).change(report_currency="CNY")
        view = sales.flow.ask(Kpis.model_validate(QUARTER), as_of="2026-05-31")
        assert (sold(view), view.rates) == ({"USD": Decimal(10)}, None)
        # a rule alone asks for the report currency of the settings
        assert sold(kpis(sales, report_currency=None, rates="event")) == yuan("71")


def test_a_rule_without_a_currency_needs_one_in_the_settings() -> None:
    with shop() as sales, pytest.raises(InputError, match="no report currency is set"):
        kpis(sales, report_currency=None, rates="event")


def test_fixed_rates_need_a_day_and_others_take_none() -> None:
    with shop() as sales:
        with pytest.raises(InputError, match="day of fixed rates; name it for fixed"):
            kpis(sales, rates="fixed")
        with pytest.raises(InputError, match="leave it out for event"):
            kpis(sales, rates="event", rates_on=date(2026, 1, 2))
        with pytest.raises(InputError, match="'event', 'closing', 'period_end' or 'fixed'"):
            Kpis(rates="average")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("won_on", "worth"),
    [
        ("2026-01-09", "690"),
        ("2026-01-10", "690"),
        ("2026-01-11", "690"),
        ("2026-01-12", "710"),
    ],
)
def test_a_weekend_takes_the_rate_of_friday_and_never_that_of_monday(
    won_on: str, worth: str
) -> None:
    with shop() as sales:
        publish(sales, "2026-01-09", CNY="6.9")
        publish(sales, "2026-01-12", CNY="7.1")
        sales.tell(1, ("2026-01-05", opened(amount=usd("100"))), (won_on, DealWon()))
        assert sold(kpis(sales)) == yuan(worth)


def test_the_day_of_a_rate_is_one_of_the_business_time_zone() -> None:
    with shop(timezone="Asia/Shanghai") as sales:
        publish(sales, "2026-01-09", CNY="6.9")
        publish(sales, "2026-01-10", CNY="7.1")
        sales.tell(1, ("2026-01-05", opened(amount=usd("1"))), ("2026-01-09 23:59", DealWon()))
        sales.tell(2, ("2026-01-05", opened(amount=usd("10"))), ("2026-01-10 00:00", DealWon()))
        assert sold(kpis(sales)) == yuan("77.9")


def test_a_rate_published_late_counts_only_for_who_knows_of_it() -> None:
    with shop() as sales:
        publish(sales.turn("2026-02-03 09:00"), "2026-02-02", CNY="7.1")
        sales.turn("2026-03-20 09:00").tell(
            1, ("2026-01-10", opened(amount=usd("1000"))), ("2026-03-10", DealWon())
        )
        publish(sales.turn("2026-05-04 09:00"), "2026-03-02", CNY="7.2")
        known = {at: sold(kpis(sales, known_at=at)) for at in ("2026-04-30", "2026-05-31")}
        assert known == {"2026-04-30": yuan("7100"), "2026-05-31": yuan("7200")}
        # whatever as_of is: a rate is a fact of its own
        assert sold(kpis(sales, as_of="2026-03-31", known_at="2026-05-31")) == yuan("7200")


def test_a_retracted_rate_does_not_count_and_one_published_again_replaces_it() -> None:
    with shop() as sales:
        publish(sales, "2026-02-02", CNY="7.1")
        publish(sales, "2026-03-02", CNY="72")
        sales.tell(1, ("2026-01-10", opened(amount=usd("1000"))), ("2026-03-10", DealWon()))
        assert sold(kpis(sales)) == yuan("72000")
        wrong = sales.flow.history(RATES_ID)[-1]
        sales.flow.record(
            [ExternalEvent(RATES_ID, FactRetracted(event_id=wrong.event_id, because="slip"))]
        )
        assert sold(kpis(sales)) == yuan("7100")
        publish(sales, "2026-03-02", CNY="7.3")
        publish(sales, "2026-03-02", CNY="7.2")
        assert sold(kpis(sales)) == yuan("7200")


@pytest.mark.parametrize("before", [False, True])
def test_an_own_rate_outlasts_an_older_one_imported_later_whichever_opened_the_table(
    *, before: bool
) -> None:
    with shop() as sales:
        if before:
            publish(sales.turn("2026-01-03 09:00"), "2026-01-02", CNY="7")
        publish(sales.turn("2026-03-05 09:00"), "2026-03-02", CNY="7.3")
        told = Rate(currency="CNY", rate=Decimal("7.1"))
        bank = RatesPublished(day=date(2026, 3, 2), base="USD", rates=(told,), source="bank")
        on_its_day = to_instant(datetime(2026, 3, 2, tzinfo=UTC))
        sales.flow.record([ExternalEvent(RATES_ID, bank, on_its_day, precision="day")])
        sales.turn("2026-04-01").tell(
            1, ("2026-01-10", opened(amount=usd("1000"))), ("2026-03-10", DealWon())
        )
        assert sold(kpis(sales)) == yuan("7300")


def test_an_amount_without_a_rate_is_left_out_and_counted() -> None:
    with shop() as sales:
        publish(sales, "2026-02-02", CNY="7.1")
        sales.tell(1, ("2026-01-10", opened(amount=usd("1000"))), ("2026-02-01", DealWon()))
        sales.tell(2, ("2026-01-10", opened(amount=usd("10"))), ("2026-02-02", DealWon()))
        sales.tell(3, ("2026-01-10", opened(amount=cny("5"))), ("2026-02-02", DealWon()))
        sales.tell(
            4,
            ("2026-01-10", opened(amount=Money("9", "JPY"))),
            ("2026-02-02", DealLost(because="price")),
        )
        view = kpis(sales)
        assert (sold(view), only(view).won) == (yuan("76"), 3)
        assert view.rates == RatesUsed(
            report_currency="CNY",
            rule="event",
            rates_on=None,
            sources=("bank",),
            oldest=date(2026, 2, 2),
            newest=date(2026, 2, 2),
            without_rate=(
                WithoutRate(currency="JPY", amounts=1),
                # a booking and a deal won
                WithoutRate(currency="USD", amounts=2),
            ),
        )
        said = view.meaning()[1]
        assert said.endswith(
            "; in CNY at the last rate on or before the event date (rates of 2026-02-02),"
            " source bank"
        )
        left_out = "amounts left out without a rate: 1 in JPY, 2 in USD"
        assert view.moment_lines()[0] == left_out
        assert left_out in view.table()
        assert left_out in view._repr_html_()
        assert "因无汇率未计入的金额数： JPY 1 笔, USD 2 笔" in view.table("zh")
        assert view.to_dict()["formula"] == said
        assert "折算为 CNY，按事件日或之前最近公布的汇率" in view.table("zh")


def test_what_is_not_asked_about_lacks_no_rate() -> None:
    with shop() as sales:
        sales.tell(
            1, ("2026-01-10", opened(amount=usd("1"), owner="bob")), ("2026-02-01", DealWon())
        )
        sales.tell(2, ("2026-01-10", opened(amount=cny("5"))), ("2026-02-02", DealWon()))
        view = kpis(sales, owner="ann")
        assert sold(view) == yuan("5")
        assert view.rates is not None
        assert view.rates.without_rate == ()


def test_a_cross_rate_is_an_exact_quotient_and_each_amount_is_rounded_once() -> None:
    with shop() as sales:
        publish(sales, "2026-02-02", base="EUR", source="ECB", USD="1.2", CNY="7.7")
        # 1 USD is 7.7 ÷ 1.2 = 6.41666… CNY, 3 USD are 19.25
        sales.tell(1, ("2026-01-10", opened(amount=usd("1"))), ("2026-02-03", DealWon()))
        assert sold(kpis(sales)) == yuan("6.416667")
        sales.tell(2, ("2026-01-10", opened(amount=usd("3"))), ("2026-02-03", DealWon()))
        assert sold(kpis(sales)) == yuan("25.666667")
        # back by the same rates: 7.7 CNY are 1.2 USD
        sales.tell(3, ("2026-01-10", opened(amount=cny("7.7"))), ("2026-02-03", DealWon()))
        assert sold(kpis(sales, report_currency="USD")) == {"USD": Decimal("5.2")}


def test_half_a_millionth_is_rounded_to_the_even_one() -> None:
    with shop() as sales:
        publish(sales, "2026-02-02", CNY="0.5")
        for number, amount in enumerate(("0.000001", "0.000003")):
            worth = opened(amount=usd(amount))
            sales.tell(number, ("2026-01-10", worth), ("2026-02-03", DealWon()))
        # 0.0000005 to 0, 0.0000015 to 0.000002
        assert sold(kpis(sales)) == yuan("0.000002")


def test_each_month_has_its_own_end_and_the_one_that_is_not_over_the_rate_of_the_moment() -> (
    None
):
    with shop() as sales:
        rising_dollar(sales)
        for number, day in enumerate(("2026-01-20", "2026-02-20", "2026-03-03")):
            sales.tell(number, ("2026-01-10", opened(amount=usd("10"))), (day, DealWon()))
        publish(sales, "2026-03-20", CNY="8")
        lines = kpis(sales, as_of="2026-03-15", each="month", rates="period_end").lines
        assert [line.sales[0].amount for line in lines] == [70, 71, 72]


def test_velocity_and_the_win_rate_by_value_are_worked_out_in_the_one_currency() -> None:
    with shop() as sales:
        rising_dollar(sales)
        sales.tell(1, ("2026-02-01", opened(amount=usd("10"))), ("2026-02-11", DealWon()))
        sales.tell(2, ("2026-02-01", opened(amount=cny("29"))), ("2026-02-11", DealWon()))
        sales.tell(
            3,
            ("2026-02-01", opened(amount=cny("100"))),
            ("2026-02-11", DealLost(because="price")),
        )
        sales.tell(4, ("2026-03-01", opened(amount=cny("1"))))
        line = only(kpis(sales, as_of="2026-03-31"))
        [by_value] = line.win_rate_by_value
        # 71 and 29 won, 100 lost
        assert (by_value.currency, by_value.rate) == ("CNY", Decimal("0.5"))
        [mean], [speed] = line.velocity.won_mean, line.velocity.per_day
        assert (mean.currency, mean.amount) == ("CNY", Decimal(50))
        # 1 open deal x 50 x 2/3 ÷ 10 days
        assert round(speed.amount, 6) == Decimal("3.333333")


def test_a_repeat_order_closes_on_its_own_day() -> None:
    with shop() as sales:
        rising_dollar(sales)
        sales.tell(
            1,
            ("2026-01-10", opened(amount=usd("10"))),
            ("2026-01-15", DealWon()),
            ("2026-03-10", RepeatOrderPlaced(amount=usd("10"))),
        )
        assert sold(kpis(sales, rates="closing")) == yuan("142")


def test_an_answer_in_one_currency_is_the_same_when_asked_again() -> None:
    with shop() as sales:
        publish(sales.turn("2026-02-03 09:00"), "2026-02-02", CNY="7.1")
        sales.tell(1, ("2026-01-10", opened(amount=usd("10"))), ("2026-02-03", DealWon()))
        question = Kpis.model_validate({**QUARTER, "report_currency": "CNY"})
        view = sales.flow.ask(question)
        publish(sales.turn("2026-06-03 09:00"), "2026-02-03", CNY="9")
        assert sales.flow.ask(question, at=view.moment) == view
        assert sold(sales.flow.ask(question)) == yuan("90")


def funnel(sales: Shop, as_of: str, **asked: object) -> FunnelView:
    return sales.flow.ask(
        Funnel.model_validate({"report_currency": "CNY", **asked}), as_of=as_of
    )


def test_a_funnel_takes_the_rate_of_its_moment_for_open_and_closed_deals() -> None:
    with shop() as sales:
        rising_dollar(sales)
        sales.tell(1, ("2026-01-10", opened(amount=usd("1000"))))
        sales.tell(2, ("2026-01-10", opened(amount=cny("500"))))
        sales.tell(3, ("2026-01-10", opened(amount=Money("9", "JPY"))))
        sales.tell(4, ("2026-01-10", opened(amount=usd("10"))), ("2026-01-20", DealWon()))
        for asked in ({}, {"owner": "ann"}):
            worth = []
            for as_of in ("2026-01-31", "2026-02-28", "2026-03-31"):
                view = funnel(sales, as_of, **asked)
                [amount], [weighted] = view.stages[0].amounts, view.stages[0].weighted
                assert (amount.currency, weighted.amount) == ("CNY", amount.amount / 10)
                worth.append((amount.amount, view.closed[0].amounts[0].amount))
                assert (view.open_deals, view.stages[0].deals_without_amount) == (3, 1)
                assert view.rates is not None
                assert view.rates.without_rate == (WithoutRate(currency="JPY", amounts=1),)
            assert worth == [told(7500, 70), told(7600, 71), told(7700, 72)]
        fixed = funnel(sales, "2026-03-31", rates_on=date(2026, 1, 31))
        assert fixed.stages[0].amounts[0].amount == 7500


def test_a_funnel_knows_no_event_and_no_closing() -> None:
    with pytest.raises(InputError, match="'period_end' or 'fixed'"):
        Funnel(rates="event")  # type: ignore[arg-type]


def test_fixed_rates_may_be_of_a_day_after_the_moment_to_compare_years_alike() -> None:
    with shop() as sales:
        rising_dollar(sales)
        sales.tell(1, ("2026-01-10", opened(amount=usd("1000"))))
        fixed = funnel(sales, "2026-01-31", rates="fixed", rates_on=date(2026, 3, 31))
        assert fixed.stages[0].amounts[0].amount == 7200


def test_a_flow_takes_one_rate_for_all_and_balances() -> None:
    with shop() as sales:
        rising_dollar(sales)
        publish(sales, "2026-02-02", base="EUR", CNY="7.7", USD="1.1")
        sales.tell(1, ("2026-01-10", opened(amount=usd("100"))), ("2026-02-20", DealWon()))
        sales.tell(
            2,
            ("2026-02-10", opened(amount=usd("3"))),
            ("2026-02-11", ForecastGiven(amount=cny("10"))),
        )
        sales.tell(3, ("2026-02-10", opened(amount=Money("1.1", "EUR"))))
        sales.tell(4, ("2026-02-10", opened(amount=Money("9", "JPY"))))
        asked = {"from_": date(2026, 2, 1), "to": date(2026, 3, 1), "report_currency": "CNY"}
        flow = sales.flow.ask(Flow.model_validate(asked))
        books = {account.currency: account for account in flow.accounts}
        assert set(books) == {"CNY", None}
        yuans = books["CNY"]
        moved = {each.kind: (each.deals, each.amount) for each in yuans.movements}
        # 7.1 for a dollar on 28 February; 7.7 for a euro
        assert yuans.opening.amount == 710
        assert moved == {
            "created": (2, Decimal("29.77")),
            "increased": (0, Decimal("49.7")),
            "redenominated": (0, Decimal(-61)),
            "won": (-1, Decimal(-710)),
        }
        total = yuans.opening.amount + sum(each.amount for each in yuans.movements)
        assert total == yuans.closing.amount == Decimal("18.47")
        # what has no rate has no amount
        assert (books[None].closing.deals, books[None].closing.amount) == told(1, 0)
        assert flow.rates is not None
        assert flow.rates.without_rate == (WithoutRate(currency="JPY", amounts=1),)


def test_reasons_of_losses_are_put_in_order_in_the_one_currency() -> None:
    with shop() as sales:
        rising_dollar(sales)
        lost = (
            ("price", usd("10"), "2026-02-10"),
            ("price", usd("10"), "2026-03-10"),
            ("timing", cny("150"), "2026-02-10"),
            ("timing", Money("1", "JPY"), "2026-02-10"),
        )
        for number, (because, amount, day) in enumerate(lost):
            opening = ("2026-01-10", opened(amount=amount))
            sales.tell(number, opening, (day, DealLost(because=because)))
        asked = {**QUARTER, "report_currency": "CNY"}
        view = sales.flow.ask(WinLoss.model_validate(asked), as_of="2026-05-31")
        # 71 and 72 for the price, 150 for the timing, and one in yen that nobody can tell
        assert [(loss.currency, loss.because, loss.amount) for loss in view.losses] == [
            ("CNY", "timing", Decimal(150)),
            ("CNY", "price", Decimal(143)),
            (None, "timing", Decimal(0)),
        ]
        assert view.losses[0].share == Decimal(150) / 293
        assert view.rates is not None
        assert view.rates.rule == "closing"
        assert view.rates.without_rate == (WithoutRate(currency="JPY", amounts=1),)
        end = {**asked, "rates": "period_end"}
        view = sales.flow.ask(WinLoss.model_validate(end), as_of="2026-05-31")
        assert view.losses[1].amount == 144


def test_a_forecast_takes_the_rate_of_the_day_it_is_made_and_sales_that_of_their_end() -> None:
    with shop() as sales:
        rising_dollar(sales)
        publish(sales, "2026-05-04", CNY="7.5")
        close: dict[str, Any] = {"amount": usd("100"), "expected_close": date(2026, 3, 20)}
        sales.tell(1, ("2025-12-10", opened(**close)), ("2026-03-10", DealWon()))
        later: dict[str, Any] = {"amount": usd("10"), "expected_close": date(2026, 6, 20)}
        sales.tell(2, ("2025-12-10", opened(**later)))
        sales.tell(3, ("2025-12-10", opened(**{**later, "amount": cny("5")})))
        sales.tell(4, ("2025-12-10", opened(**{**later, "amount": Money("9", "JPY")})))
        asked = {"from_": date(2026, 4, 1), "to": date(2026, 7, 1), "report_currency": "CNY"}
        view = sales.flow.ask(Forecast.model_validate(asked), as_of="2026-05-31")
        lines = {line.currency: line for line in view.lines}
        # 10 dollars at 7.5, that of the moment, and 5
        assert (lines["CNY"].deals, lines["CNY"].amount) == (2, Decimal(80))
        assert (lines[None].deals, lines[None].amount) == (1, Decimal(0))
        past = {each.made: each for each in view.accuracy if each.known == "moment"}
        # made before any rate was published; sold at 7.2, that of 31 March
        start = past["start"]
        assert (start.forecast_weighted, start.actual) == told(0, 720)
        # 10 % of 100 dollars at 7.1 in the middle of February
        assert past["middle"].forecast_weighted == 71
        assert view.rates is not None
        assert {each.currency for each in view.rates.without_rate} == {"JPY", "USD"}
        [slipped] = [each for each in view.slippage if each.currency == "CNY"]
        assert slipped.expected_amount == 80

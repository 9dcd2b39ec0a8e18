"""Exact rates, over a base or two, with the days and sources behind them."""

from datetime import date
from fractions import Fraction

from salesflow.domain.exchange_rates import ExactRate, RateTable

MARCH_2, MARCH_4, MARCH_9 = date(2026, 3, 2), date(2026, 3, 4), date(2026, 3, 9)


def monthly_euro() -> RateTable:
    return RateTable.begin(
        day=MARCH_2, base="EUR", rates={"CNY": "7.7", "USD": "1.2"}, source="ECB"
    )


def test_a_rate_over_a_base_is_the_exact_quotient_of_two() -> None:
    found = monthly_euro().exact("USD", "CNY", MARCH_9)
    assert found == ExactRate(Fraction(77, 12), (MARCH_2, MARCH_2), ("ECB", "ECB"))


def test_each_side_takes_its_own_last_rate_and_never_a_later_one() -> None:
    rates = monthly_euro()
    rates.publish(day=MARCH_4, base="EUR", rates={"CNY": "8.4"}, source="bank")
    found = rates.exact("USD", "CNY", MARCH_4)
    assert found == ExactRate(Fraction(7), (MARCH_2, MARCH_4), ("ECB", "bank"))
    assert rates.exact("USD", "CNY", date(2026, 3, 3)) == monthly_euro().exact(
        "USD", "CNY", MARCH_9
    )
    assert rates.exact("USD", "CNY", date(2026, 3, 1)) is None


def test_the_base_with_the_most_recent_rates_leads() -> None:
    rates = monthly_euro()
    rates.publish(day=MARCH_4, base="USD", rates={"CNY": "7.1"}, source="bank")
    newer = ExactRate(Fraction(71, 10), (MARCH_4,), ("bank",))
    assert rates.exact("USD", "CNY", MARCH_9) == newer
    assert rates.exact("CNY", "USD", MARCH_9) == newer._replace(rate=Fraction(10, 71))
    rates.publish(day=MARCH_4, base="EUR", rates={"CNY": "7.8", "USD": "1.3"}, source="ECB")
    # as recent as the other: the base that was published first
    found = rates.exact("USD", "CNY", MARCH_9)
    assert found is not None
    assert found.rate == 6


def test_between_a_currency_and_itself_no_rate_is_needed() -> None:
    assert monthly_euro().exact("JPY", "JPY", MARCH_2) == ExactRate(Fraction(1), (), ())


def test_the_last_rates_of_a_day_are_listed_by_base_and_currency() -> None:
    rates = monthly_euro()
    rates.publish(day=MARCH_4, base="EUR", rates={"CNY": "7.8"}, source="bank")
    listed = [(each.base, each.currency, each.day) for each in rates.quoted(MARCH_9)]
    assert listed == [("EUR", "CNY", MARCH_4), ("EUR", "USD", MARCH_2)]
    assert rates.quoted(date(2026, 3, 1)) == []

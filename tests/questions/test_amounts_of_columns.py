"""Amounts of whole columns come to what plain Python makes of one after the other."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from salesflow.domain.values import EXACT
from salesflow.projections.core.amounts import Amounts, multiplied

CURRENCIES = (None, "USD", "CNY")
GROUPS = 3
LONG = 2**80
AMOUNT = st.integers(-(2**63), 2**63 - 1)
ROW = st.tuples(AMOUNT, st.integers(0, 2), st.integers(0, GROUPS - 1), st.integers(-9, 9))


def amounts_of(rows: list[tuple[int, int, int, int]], times: int = 1) -> Amounts:
    amount = [row[0] * times for row in rows]
    kind = np.int64 if times == 1 else object
    currency = np.array([row[1] for row in rows], np.int64)
    return Amounts(np.array(amount, kind), currency, CURRENCIES)


@given(st.lists(ROW))
def test_sums_are_exact_by_group_and_currency(rows: list[tuple[int, int, int, int]]) -> None:
    groups, factors = (np.array([row[n] for row in rows], np.int64) for n in (2, 3))
    wanted: list[dict[str, int]] = [{} for _ in range(GROUPS)]
    for amount, place, group, factor in rows:
        if (currency := CURRENCIES[place]) is not None:
            wanted[group][currency] = wanted[group].get(currency, 0) + amount * factor
    found = amounts_of(rows).sums(groups, GROUPS, factors)
    assert found == wanted
    assert [[*each] for each in found] == [sorted(each) for each in wanted]
    longer = amounts_of(rows, LONG).sums(groups, GROUPS, factors)
    assert longer == [{name: sum * LONG for name, sum in each.items()} for each in wanted]


@given(st.lists(ROW), st.sampled_from([6, 12]))
def test_totals_are_the_same_sums_in_units_in_order_of_their_currencies(
    rows: list[tuple[int, int, int, int]], places: int
) -> None:
    groups, factors = (np.array([row[n] for row in rows], np.int64) for n in (2, 3))
    amounts = amounts_of(rows)
    sums = amounts.sums(groups, GROUPS, factors)
    totals = amounts.totals(groups, GROUPS, factors, places=places)
    assert [[(each.currency, each.amount) for each in several] for several in totals] == [
        [(name, Decimal(each[name]).scaleb(-places, EXACT)) for name in sorted(each)]
        for each in sums
    ]


@given(st.lists(ROW))
def test_an_amount_without_a_currency_is_not_known(
    rows: list[tuple[int, int, int, int]],
) -> None:
    assert amounts_of(rows).known.tolist() == [row[1] != 0 for row in rows]


@given(AMOUNT, st.fractions(min_value=0, max_denominator=10**6))
def test_an_amount_is_converted_as_a_fraction_is_rounded(amount: int, rate: Fraction) -> None:
    assert multiplied(amount, rate) == round(amount * rate)


def test_half_a_millionth_is_rounded_to_even() -> None:
    half = Fraction(1, 2)
    assert [multiplied(each, half) for each in (1, 3, -1, -3, 5)] == [0, 2, 0, -2, 2]

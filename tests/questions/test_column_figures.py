"""Figures of whole columns are those that plain Python finds, row by row."""

from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from salesflow.domain.time import microseconds_between
from salesflow.projections.core.column_figures import (
    elapsed,
    exact_product_sums,
    exact_products,
    first_rows,
    halves,
    places_among,
    whole,
)

GROUPS = 4
AMOUNT = st.integers(-(2**63), 2**63 - 1)
FACTOR = st.integers(-(2**31) + 1, 2**31 - 1)
GROUP = st.integers(0, GROUPS - 1)
SHANGHAI, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")
INSTANT = st.integers(1_700_000_000_000_000, 1_800_000_000_000_000)


def column(numbers: object) -> np.ndarray:
    return np.array(list(numbers), np.int64)  # type: ignore[call-overload]


@given(st.lists(st.tuples(AMOUNT, FACTOR, GROUP)))
def test_sums_of_products_are_exact(rows: list[tuple[int, int, int]]) -> None:
    amounts, factors, groups = (column(row[place] for row in rows) for place in range(3))
    sums = [0] * GROUPS
    for amount, factor, group in rows:
        sums[group] += amount * factor
    assert exact_product_sums(amounts, factors, groups, GROUPS).tolist() == sums
    longer = np.array([amount << 70 for amount in amounts.tolist()], object)
    found = exact_product_sums(longer, factors, groups, GROUPS)
    assert found.tolist() == [each << 70 for each in sums]


@given(st.lists(st.tuples(AMOUNT, FACTOR)))
def test_products_are_exact(rows: list[tuple[int, int]]) -> None:
    amounts, factors = (column(row[place] for row in rows) for place in range(2))
    wanted = [amount * factor for amount, factor in rows]
    assert exact_products(amounts, factors).tolist() == wanted
    longer = np.array([amount << 70 for amount in amounts.tolist()], object)
    assert exact_products(longer, factors).tolist() == [each << 70 for each in wanted]


@given(st.lists(st.tuples(AMOUNT, AMOUNT)))
def test_halves_are_put_together_however_long_both_are(rows: list[tuple[int, int]]) -> None:
    upper, lower = (column(row[place] for row in rows) for place in range(2))
    assert whole(upper, lower).tolist() == [(high << 32) + low for high, low in rows]


@given(AMOUNT)
def test_numbers_of_64_bits_stay_numbers_of_64_bits(amount: int) -> None:
    found = whole(*halves(column([amount // 2])))
    assert found.dtype == np.int64
    assert found.tolist() == [amount // 2]


def test_sums_of_products_that_no_64_bits_hold_are_exact() -> None:
    many, share = np.full(10_000, 2**63 - 1), np.full(10_000, 1_000_000)
    found = exact_product_sums(many, share, np.zeros(10_000, np.int64), 1)
    assert found.tolist() == [10_000 * 1_000_000 * (2**63 - 1)]


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1)))
def test_the_first_row_of_each_run_is_found(runs: list[list[tuple[int, int]]]) -> None:
    rows = [(key, *row) for key, run in enumerate(runs) for row in run]
    key, early, late = (column(row[place] for row in rows) for place in range(3))
    wanted: dict[int, tuple[int, int, int]] = {}
    for number, (of, *order) in enumerate(rows):
        wanted[of] = min(wanted.get(of, (9, 9, 9)), (order[0], order[1], number))
    assert first_rows(key, early, late).tolist() == [number for *_, number in wanted.values()]


@given(st.lists(st.integers(0, 9), unique=True), st.lists(st.integers(-1, 9)))
def test_codes_are_found_where_they_stand(codes: list[int], wanted: list[int]) -> None:
    assert places_among(column(codes), column(wanted)).tolist() == [
        codes.index(code) if code in codes else -1 for code in wanted
    ]


@given(
    st.lists(st.tuples(INSTANT, INSTANT, st.booleans())),
    st.sampled_from((SHANGHAI, NEW_YORK)),
)
def test_times_between_are_those_of_single_ones(
    rows: list[tuple[int, int, bool]], timezone: ZoneInfo
) -> None:
    start, end = (column(row[place] for row in rows) for place in range(2))
    days_only = np.array([row[2] for row in rows], np.bool_)
    assert elapsed(start, end, days_only, timezone).tolist() == [
        microseconds_between(first, last, timezone, days_only=only)
        for first, last, only in rows
    ]

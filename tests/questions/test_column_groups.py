"""Rows of columns in groups, as plain Python puts them together."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesflow.projections.core import column_groups
from salesflow.projections.core.column_figures import exact_sum, exact_sums
from salesflow.projections.core.column_groups import Groups, foremost, grouped, rows_in

CODES = st.integers(-1, 6)
LEAST, MOST = -(2**63), 2**63 - 1


def columns(rows: Iterable[tuple[int, ...]], width: int) -> list[np.ndarray]:
    return [np.array([row[n] for row in rows], np.int32) for n in range(width)]


@pytest.mark.parametrize("sparse", [0, 1 << 20], ids=["sorted", "counted"])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_rows_with_the_same_codes_are_one_group(
    width: int, sparse: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_groups, "SPARSE", sparse)

    @given(st.lists(st.tuples(*[CODES] * width), max_size=20))
    def are_grouped(rows: list[tuple[int, ...]]) -> None:
        found = grouped(*columns(rows, width))
        alike: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for number, row in enumerate(rows):
            alike[row].append(number)
        assert [rows[first] for first in found.first[found.of].tolist()] == rows
        assert found.first.tolist() == [alike[rows[n]][0] for n in found.first.tolist()]
        counts = zip(found.first.tolist(), found.counts().tolist(), strict=True)
        assert {rows[first]: count for first, count in counts} == Counter(rows)
        assert sorted(each.tolist() for each in found.rows()) == sorted(alike.values())

    are_grouped()


def test_codes_of_any_size_are_grouped() -> None:
    found = grouped(np.array([2**40, -1, 2**40, 3]), np.array([1, 1, 1, 2**31]))
    assert found.of[0] == found.of[2]
    assert len(found.first) == 3
    scores = np.array([LEAST, 3, LEAST, -4])
    assert grouped(scores).counts()[grouped(scores).of].tolist() == [2, 1, 2, 1]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4)), max_size=12))
def test_the_rows_of_ranges_are_told_one_range_behind_the_other(
    ranges: list[tuple[int, int]],
) -> None:
    first = np.array([begin for begin, _ in ranges], np.int64)
    after = np.array([begin + lasts for begin, lasts in ranges], np.int64)
    rows, number = rows_in(first, after)
    assert list(zip(number.tolist(), rows.tolist(), strict=True)) == [
        (n, row)
        for n, (begin, lasts) in enumerate(ranges)
        for row in range(begin, begin + lasts)
    ]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.one_of(st.sampled_from([LEAST, MOST]), st.integers(LEAST, MOST)),
        ),
        max_size=12,
    )
)
def test_sums_by_group_are_exact_beyond_64_bits(rows: list[tuple[int, int]]) -> None:
    numbers = np.array([number for _, number in rows], np.int64)
    groups = np.array([group for group, _ in rows], np.int64)
    wanted = [sum(number for group, number in rows if group == n) for n in range(4)]
    assert exact_sums(numbers, groups, 4).tolist() == wanted
    assert exact_sum(numbers) == sum(wanted)
    by_group = Groups(groups, np.arange(4))
    assert by_group.sums(numbers).tolist() == wanted
    above = np.maximum(numbers, 0)
    most = [max([0, *(n for group, n in rows if group == each)]) for each in range(4)]
    assert by_group.greatest(above).tolist() == most


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12), st.integers(0, 5)
)
def test_the_foremost_rows_are_so_many_and_those_like_the_last(
    rows: list[tuple[int, int]], count: int
) -> None:
    found = foremost(count, *columns(rows, 2)) if rows else np.arange(0)
    first = sorted(rows)[:count]
    like_them = [number for number, row in enumerate(rows) if row in first]
    assert sorted(found.tolist()) == like_them

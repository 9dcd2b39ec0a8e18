"""Which words rows have in a column, and which of them have any, as plain Python says it."""

from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from salesflow.projections.core.columns import (
    Column,
    HeldRows,
    HexadecimalIds,
    Part,
    Words,
)

WORD = st.one_of(st.none(), st.sampled_from(["won", "lost", "open"]))
NUMBER = st.one_of(st.none(), st.integers(-3, 3))
NONE = np.iinfo(np.int64).min


def held(told: list[tuple[str | None, int | None]]) -> HeldRows:
    words = Words()
    columns: dict[str, Column] = {
        "outcome": words.codes([word for word, _ in told]),
        "amount": np.array([NONE if n is None else n for _, n in told], np.int64),
    }
    part = Part(columns, len(told))
    return HeldRows([(part, np.arange(len(told)))], {"outcome": words})


@given(
    st.lists(st.tuples(WORD, NUMBER), max_size=12),
    st.lists(st.one_of(WORD, st.just("never")), unique=True, max_size=4),
)
def test_rows_tell_which_of_some_words_they_have(
    told: list[tuple[str | None, int | None]], words: list[str | None]
) -> None:
    rows = held(told)
    numbers = [words.index(word) if word in words else -1 for word, _ in told]
    assert rows.numbers("outcome", words).tolist() == numbers
    assert rows.has("outcome", *words).tolist() == [word in words for word, _ in told]
    few = rows.among("outcome", *words)
    assert few.cells("outcome") == [word for word, _ in told if word in words]
    assert few.cells("amount") == [number for word, number in told if word in words]
    for word in words:
        wanted = {"outcome": word}
        same = [word is None or word == each for each, _ in told]
        assert rows.fitting(wanted).tolist() == same
    several = rows.fitting({"outcome": tuple(each for each in words if each is not None)})
    assert several.tolist() == [word is not None and word in words for word, _ in told]
    assert rows.words["outcome"].of(rows["outcome"]) == [word for word, _ in told]
    assert rows.known("outcome").tolist() == [word is not None for word, _ in told]
    assert rows.known("amount").tolist() == [number is not None for _, number in told]


@given(st.lists(st.one_of(st.none(), st.uuids()), max_size=12))
def test_ids_are_those_that_were_put_in_and_are_written_as_such(
    told: list[UUID | None],
) -> None:
    ids = HexadecimalIds()
    codes = ids.codes([None if id is None else id.hex for id in told])
    assert ids.of(codes) == told
    assert ids.texts(codes) == [None if id is None else str(id) for id in told]


LONG = st.one_of(
    st.none(), st.sampled_from([-(2**40), 0, 2**45, 2**63 - 1]), st.integers(-(2**62), 2**62)
)


@given(st.lists(LONG, max_size=30), st.lists(LONG, min_size=1, max_size=4), st.integers(1, 40))
def test_long_numbers_in_a_list_are_what_they_were(
    told: list[int | None], instants: list[int | None], often: int
) -> None:
    numbers = [NONE if each is None else each for each in told * often]
    columns: dict[str, Column] = {
        "at": np.array(numbers, np.int64),
        "occurred": np.array(sorted(numbers), np.int64),
        "few": np.zeros(len(numbers), np.int8),
    }
    plain = Part(columns, len(numbers))
    packed = Part.packed([Part(dict(columns), len(numbers))])
    none = Part({name: np.empty(0, np.int64) for name in columns}, 0)
    joined = Part.packed([none.joined(plain)])
    assert joined.cut("few", slice(None)).tolist() == [0] * len(numbers)
    assert "few" not in joined.by_place or not numbers
    some = slice(1, None, 2)
    for name, column in columns.items():
        assert packed.cut(name, some).tolist() == column[some].tolist()
    for instant in (NONE if each is None else each for each in instants):
        assert packed.after("at", instant).tolist() == [each > instant for each in numbers]
        assert packed.happened_by(instant) == sum(each <= instant for each in numbers)
    twice = packed.joined(plain)
    assert twice.cut("at", slice(None)).tolist() == numbers * 2
    if len(numbers) > 200 and len({*numbers}) < 20:
        assert packed.columns["at"].dtype.itemsize == 1


@given(
    st.lists(st.lists(st.tuples(LONG, NUMBER), max_size=12), min_size=1, max_size=4),
    st.integers(1, 40),
)
def test_rows_packed_as_they_come_are_what_they_are_packed_at_once(
    batches: list[list[tuple[int | None, int | None]]], often: int
) -> None:
    parts = [
        Part(
            {
                "at": np.array([NONE if at is None else at for at, _ in rows], np.int64),
                "times": np.array([0 if n is None else n for _, n in rows], np.int8),
            },
            len(rows),
        )
        for rows in (batch * often for batch in batches)
    ]
    names = ("at", "times")
    told = {name: [each for p in parts for each in p.columns[name].tolist()] for name in names}
    plain: dict[str, Column] = {
        "at": np.array(told["at"], np.int64),
        "times": np.array(told["times"], np.int8),
    }
    at_once = Part.packed([Part(plain, len(told["at"]))])
    as_they_come = Part.packed([Part.packed([part]) for part in parts])
    assert as_they_come.by_place == at_once.by_place
    assert as_they_come.listed.tolist() == at_once.listed.tolist()
    for name in names:
        assert as_they_come.cut(name, slice(None)).tolist() == told[name]
        assert as_they_come.columns[name].dtype == at_once.columns[name].dtype

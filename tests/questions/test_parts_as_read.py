"""Rows read so many at a time stand in a part as plain Python has them, in order, whole."""

import tracemalloc
from collections.abc import Sequence
from itertools import repeat
from typing import Any
from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from salesflow.projections.core.columns import (
    EVENT_ID,
    NO_NUMBER,
    HexadecimalIds,
    Kind,
    Part,
    Words,
)

EDGES = [2**7 - 1, 2**7, 2**15 - 1, 2**15, 2**31 - 1, 2**31, 2**63 - 1]
SMALL = st.integers(-5, 5)
NUMBER = st.one_of(SMALL, st.none(), st.sampled_from([*EDGES, *(-each for each in EDGES)]))
INSTANT = st.integers(0, 20).map(lambda tick: 1_700_000_000_000_000 + tick * 1_000_000)
HEXADECIMAL = st.uuids().map(lambda id: id.hex)
ROW = st.tuples(
    st.integers(0, 8).map(lambda number: UUID(int=number).hex),
    INSTANT,
    NUMBER,
    SMALL,
    st.sampled_from([None, "won", "lost", "open"]),
    HEXADECIMAL,
)
Row = tuple[str, int, int | None, int, str | None, str]
BATCHES = st.lists(st.lists(ROW, max_size=8), max_size=5)
NUMBERS = np.dtype(np.int64)
LONG = ("valid_from", "amount")
KEYS = ("entity_id", "valid_from")


def kinds() -> dict[str, Kind]:
    """Give the kind of each column of these rows, by name."""
    return {
        "entity_id": HexadecimalIds(),
        "valid_from": NUMBERS,
        "amount": NUMBERS,
        "times": NUMBERS,
        "outcome": Words(),
        "event_id": EVENT_ID,
    }


def told(part: Part, name: str, kind: Kind) -> list[Any]:
    """Give what a column holds as the rows had it."""
    column = part.cut(name, slice(None))
    if isinstance(kind, HexadecimalIds):
        return [None if id is None else id.hex for id in kind.of(column)]
    if isinstance(kind, Words):
        return kind.of(column)
    if kind == EVENT_ID:
        return [bytes(each).hex() for each in column.tolist()]
    return [None if each == NO_NUMBER else each for each in column.tolist()]


def shape(part: Part) -> tuple[object, ...]:
    """Give how a part holds what it holds."""
    types = {name: column.dtype for name, column in part.columns.items()}
    return part.rows, part.by_place, part.listed.tolist(), types


@given(BATCHES, st.integers(1, 60))
def test_rows_read_in_batches_are_the_rows_in_order(
    drawn: Sequence[Sequence[Row]], often: int
) -> None:
    batches = [[*batch] * often for batch in drawn]
    known = kinds()
    part = Part.read(iter(batches), known, KEYS)
    rows = [row for batch in batches for row in batch]
    entities, codes = known["entity_id"], dict[str, int]()
    assert isinstance(entities, HexadecimalIds)
    for row in rows:
        codes.setdefault(row[0], len(codes))
    rows.sort(key=lambda row: (codes[row[0]], row[1]))
    assert part.rows == len(rows)
    columns = {name: told(part, name, kind) for name, kind in known.items()}
    assert [*zip(*columns.values(), strict=True)] == rows
    for name in LONG:
        numbers = [NO_NUMBER if each is None else each for each in columns[name]]
        for instant in (0, NO_NUMBER, 1_700_000_010_000_000, *EDGES):
            assert part.after(name, instant).tolist() == [each > instant for each in numbers]


@given(BATCHES, st.integers(1, 60), st.data())
def test_a_batch_without_rows_changes_nothing_in_how_the_others_are_held(
    drawn: Sequence[Sequence[Row]], often: int, data: st.DataObject
) -> None:
    batches: list[Sequence[Row]] = [[*batch] * often for batch in drawn if batch]
    plain = shape(Part.read(iter(batches), kinds(), KEYS))
    place = data.draw(st.integers(0, len(batches)))
    among = [*batches[:place], [], *batches[place:], []]
    assert shape(Part.read(iter(among), kinds(), KEYS)) == plain


def test_instants_of_many_rows_take_a_byte_each_and_small_numbers_are_no_places() -> None:
    row = (UUID(int=1).hex, 1_700_000_000_000_000, 7, 1, None, UUID(int=2).hex)
    part = Part.read([[row] * 300, [], [row] * 300], kinds(), KEYS)
    assert part.by_place == {"valid_from"}
    sizes = {name: column.dtype.itemsize for name, column in part.columns.items()}
    assert (sizes["valid_from"], sizes["amount"], sizes["times"]) == (1, 1, 1)


def test_places_of_a_column_take_as_much_as_the_last_of_them() -> None:
    row = (UUID(int=1).hex, 1_700_000_000_000_000)
    rows = [(*row, 2**60 + number, 0, None, UUID(int=3).hex) for number in range(300)]
    part = Part.read([rows] * 3, kinds(), KEYS)
    assert part.by_place == {"valid_from", "amount"}
    sizes = {name: part.columns[name].dtype.itemsize for name in part.by_place}
    assert sizes == {"valid_from": 1, "amount": 2}


def test_rows_read_stand_as_wide_as_they_come_for_one_batch_alone() -> None:
    names = [f"at_{number}" for number in range(6)]
    batch, times = [(2**50,) * len(names)] * 1_000, 100
    tracemalloc.start()
    try:
        part = Part.read(repeat(batch, times), dict.fromkeys(names, NUMBERS), names[:1])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert part.rows == len(batch) * times
    assert most < part.rows * len(names) * NUMBERS.itemsize // 2

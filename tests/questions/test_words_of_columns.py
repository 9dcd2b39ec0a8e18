"""Which words rows have in a column, and which of them have any, as plain Python says it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from salesflow.projections.core.columns import Column, HeldRows, Part, Words

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
    few = rows.where(rows.has("outcome", *words))
    assert few.cells("outcome") == [word for word, _ in told if word in words]
    for word in words:
        wanted = {"outcome": word}
        same = [word is None or word == each for each, _ in told]
        assert rows.fitting(wanted).tolist() == same
    assert rows.words["outcome"].of(rows["outcome"]) == [word for word, _ in told]
    assert rows.known("outcome").tolist() == [word is not None for word, _ in told]
    assert rows.known("amount").tolist() == [number is not None for _, number in told]

"""A ledger in memory adds up exactly, however long the sums are."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.effort import examples
from salesflow.projections.core import ledger_columns
from salesflow.projections.core.balances import CellSums
from salesflow.projections.core.columns import NOTHING, Column, Part, Words
from salesflow.projections.core.ledger_columns import Checkpoints, LedgerColumns
from salesflow.projections.folds.pipeline import PIPELINE

CELL = ("sales", 1, "proposal", "open", "CNY")
GREATEST = 2**63 - 1
WHOLE = 1_000_000


def ledger(
    amounts: Sequence[int],
    signs: Sequence[int],
    share: int,
    recorded: Sequence[int] | None = None,
) -> LedgerColumns:
    """Return movements into one cell, one a microsecond, recorded as they happen or as said."""
    count, words = len(amounts), Words()

    def filled(value: int) -> Column:
        return np.full(count, value)

    columns = {name: np.arange(count) for name in ("occurred", "recorded", "position")}
    if recorded is not None:
        columns["recorded"] = np.array(recorded)
    columns["sign"] = np.array(signs)
    for side, there in (("left", False), ("entered", True)):
        for name, cell in zip(PIPELINE.cells, CELL, strict=True):
            code = cell if isinstance(cell, int) else int(words.codes([cell])[0])
            columns[f"{side}_{name}"] = filled(code if there else NOTHING)
        columns[f"{side}_amount"] = np.array(amounts, np.int64) if there else filled(0)
        columns[f"{side}_probability"] = filled(share if there else 0)
    texts = [name for name in PIPELINE.cells if name != "process_version"]
    of = {f"{side}_{name}": words for side in ("left", "entered") for name in texts}
    return LedgerColumns(Checkpoints(Part(columns, count), PIPELINE, of), of)


@pytest.mark.parametrize("block", [1, 2, 1_024])
def test_sums_beyond_64_bits_are_exact(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(ledger_columns, "BLOCK", block)
    amounts = [GREATEST, GREATEST - 1, -7, GREATEST, GREATEST]
    signs = [1, 1, 1, 1, -1]
    share = WHOLE - 1
    books = ledger(amounts, signs, share)
    for at in range(len(amounts)):
        total = sum(a * s for a, s in zip(amounts[: at + 1], signs, strict=False))
        found = books.balances(len(amounts), [at]).at(0)
        assert found == {CELL: CellSums(sum(signs[: at + 1]), total, total * share)}


def test_what_was_recorded_later_is_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_columns, "BLOCK", 2)
    books = ledger([WHOLE] * 5, [1] * 5, WHOLE)
    known = [books.balances(at, [4]).at(0) for at in range(5)]
    wanted = [CellSums(n, n * WHOLE, n * WHOLE * WHOLE) for n in range(1, 6)]
    assert known == [{CELL: sums} for sums in wanted]
    assert books.balances(-1, [4]).at(0) == {}


late, in_time, ahead = st.integers(20, 40), st.integers(0, 3), st.integers(-20, 0)


@examples(200)
@given(
    delays=st.one_of(
        *(st.lists(told, min_size=1, max_size=30) for told in (late, in_time, ahead)),
        st.lists(st.one_of(late, in_time, ahead), min_size=1, max_size=30),
    ),
    known_at=st.integers(-5, 60),
    instants=st.lists(st.integers(-2, 32), min_size=1, max_size=5),
)
def test_what_stood_is_the_sum_of_what_had_happened_and_was_known(
    delays: list[int], known_at: int, instants: list[int]
) -> None:
    """Of logs that were told in time, imported later, or know much of what is to come."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ledger_columns, "BLOCK", 4)
        amounts = [3**n for n in range(len(delays))]
        recorded = [n + delay for n, delay in enumerate(delays)]
        books = ledger(amounts, [1] * len(delays), WHOLE, recorded)
        found = books.balances(known_at, instants)
    for number, at in enumerate(instants):
        known = [
            amount
            for happened, amount in enumerate(amounts)
            if happened <= at and recorded[happened] <= known_at
        ]
        sums = CellSums(len(known), sum(known), sum(known) * WHOLE)
        assert found.at(number) == ({CELL: sums} if known else {})

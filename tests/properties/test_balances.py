"""Balances: what stood in a cell is the sum of its movements, however it is carried forward.

Bins hold five movements here, and twelve rows of bins are carried forward; in memory there is a
checkpoint every four (see `conftest`), so that short histories go through everything that long
ones do.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.effort import TALLY, examples
from properties.moments import instants, knowledge
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log, rows_of
from salesflow.adapters.projector import columns
from salesflow.adapters.projector.balances import Balancer
from salesflow.engine import SalesFlow
from salesflow.projections.core import balances as balances_module
from salesflow.projections.core.balances import (
    BIN,
    BINNED,
    CARRIED,
    DAYS,
    OFFSET,
    SPAN,
    CellSums,
    balances,
)
from salesflow.projections.core.ledger_columns import Checkpoints, LedgerColumns
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.table import ReadPoint

Cells = dict[tuple[Any, ...], CellSums]
seeds = st.integers(0, 10_000)


@pytest.mark.parametrize("share", [0, 8], ids=["never read anew", "as always"])
def test_balances_are_the_sums_of_the_movements(
    database_url: str, monkeypatch: pytest.MonkeyPatch, share: int
) -> None:
    """However seldom all movements are held in one part."""
    monkeypatch.setattr(columns, "TAIL_SHARE", share)
    levels: set[int] = set()
    balances_agree(database_url, levels)
    every = {BIN, DAYS, SPAN, OFFSET, BINNED, CARRIED}
    assert levels == every, "of the other kinds of rows this property says nothing"


def balances_agree(url: str, levels: set[int]) -> None:
    @examples(15, shrink=False)
    @given(history=acts(3, least=12), every=st.integers(1, 4), seed=seeds)
    def agree(history: list[Act], every: int, seed: int) -> None:
        begun = seed % len(history)
        with Player(url) as player:
            player.play_kept_up(history[:begun], PIPELINE, every=every)
            held(player.flow, [0], 0)
            player.play_kept_up(history[begun:], PIPELINE, every=every)
            check(player.flow, seed)
            table = f"{PIPELINE.name}_balance"
            levels.update(row["level"] for row in rows_of(player.flow, table))

    agree()


def check(flow: SalesFlow, seed: int) -> None:
    """Ask for several instants at once, and for each by itself, as known at several times."""
    raw, rows = raw_log(flow), rows_of(flow, PIPELINE.name)
    times, known = instants(raw), knowledge(raw)
    asked = sorted({times[(seed + n * 7919) % len(times)] for n in range(4)})
    for number in range(3):
        known_at = known[(seed + number * 104_729) % len(known)]
        wanted = [summed(rows, at, known_at) for at in asked]
        TALLY["balances summed up"] += len(asked)
        assert read(flow, asked, known_at) == wanted
        assert [read(flow, [at], known_at)[0] for at in asked] == wanted
        assert held(flow, asked, known_at) == wanted, "in memory"


def read(flow: SalesFlow, times: list[int], known_at: int) -> list[Cells]:
    """Ask for balances in a snapshot."""
    read_point = ReadPoint(flow.log.tenant, max(times), known_at)
    with flow.log.database.read() as connection:
        return balances(lambda s: connection.execute(s).all(), PIPELINE, read_point, times)


def held(flow: SalesFlow, times: list[int], known_at: int) -> list[Cells]:
    """Ask for balances in memory, in a snapshot."""
    runner = flow._tables()
    runner.catch_up([PIPELINE.name])
    with flow.log.database.read() as connection:
        stored = runner.stored([PIPELINE.name], connection)
        ledger = runner.columns.in_snapshot(stored, connection).of(PIPELINE)
        assert isinstance(ledger, LedgerColumns)
        found = ledger.balances(known_at, times)
        return [found.at(number) for number in range(len(times))]


def summed(rows: list[dict[str, Any]], as_of: int, known_at: int) -> Cells:
    """Add the legs up with a loop."""
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        if row["occurred"] > as_of or row["recorded"] > known_at:
            continue
        for side, sign in (("left", -row["sign"]), ("entered", row["sign"])):
            if row[f"{side}_outcome"] is None:
                continue
            sums = found[tuple(row[f"{side}_{cell}"] for cell in PIPELINE.cells)]
            amount = row[f"{side}_amount"]
            sums[0] += sign
            sums[1] += sign * amount
            sums[2] += sign * amount * row[f"{side}_probability"]
    return {cell: CellSums(*sums) for cell, sums in found.items() if any(sums)}


def puts_a_movement_into_the_day_before(patch: pytest.MonkeyPatch) -> None:
    right = balances_module.day_of
    patch.setattr(balances_module, "day_of", lambda *at: right(*at) - 1)


def forgets_what_is_in_no_bin_yet(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(balances_module._Parts, "_fresh", lambda _: [])


def forgets_the_day_of_the_moment(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(balances_module._Parts, "_edges", lambda _: [])


def takes_a_later_bin(patch: pytest.MonkeyPatch) -> None:
    right = balances_module._marks

    def wrong(rows: Any, table: Any, read_point: ReadPoint) -> Any:  # noqa: ANN401 - as it is
        return right(
            rows, table, read_point._replace(known_at=read_point.known_at + 3_600_000_000)
        )

    patch.setattr(balances_module, "_marks", wrong)


def carries_nothing_forward_but_bins(patch: pytest.MonkeyPatch) -> None:
    right = Balancer._add

    def wrong(self: Balancer, connection: Any, level: int, end: int, parts: Any) -> None:  # noqa: ANN401
        right(self, connection, level, end, parts[:1])

    patch.setattr(Balancer, "_add", wrong)


def forgets_the_checkpoint(patch: pytest.MonkeyPatch) -> None:
    right = Checkpoints._checkpoints.__get__

    def wrong(self: Checkpoints) -> Any:  # noqa: ANN401 - as it is
        return np.zeros_like(right(self, Checkpoints))

    patch.setattr(Checkpoints, "_checkpoints", property(wrong))


def forgets_that_it_became_known_later(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Checkpoints, "_newest", 0)


def forgets_what_was_recorded_since(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LedgerColumns, "tail", LedgerColumns.base)


@pytest.mark.parametrize(
    "mistake",
    [
        puts_a_movement_into_the_day_before,
        forgets_what_is_in_no_bin_yet,
        forgets_the_day_of_the_moment,
        takes_a_later_bin,
        carries_nothing_forward_but_bins,
        forgets_the_checkpoint,
        forgets_that_it_became_known_later,
        forgets_what_was_recorded_since,
    ],
)
def test_balances_with_one_mistake_would_be_noticed(
    sqlite_url: str,
    mistake: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(columns, "TAIL_SHARE", 0)
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        balances_agree(sqlite_url, set())

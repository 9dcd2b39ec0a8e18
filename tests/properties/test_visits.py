"""The table of visits holds the way of every deal, moments of no length too, at any moment."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.deals import deals_of
from oracle.visits import Step, deals_way
from properties.effort import TALLY, examples
from properties.mistakes import late_facts_as_they_come
from properties.moments import instants, knowledge
from properties.playing import Act, Player, acts
from properties.raw_log import raw_log, rows_of
from properties.readable import shown
from salesflow.adapters.projector.interval_tables import (
    VALID_FROM,
    IntervalBatch,
    PendingRow,
)
from salesflow.engine import SalesFlow
from salesflow.projections.folds.stage_visit import STAGE_VISIT

Mistake = Callable[[pytest.MonkeyPatch], None]
FOREVER = 2**62
MILLION = 1_000_000


@examples(6)
@given(history=acts(3, least=8), every=st.integers(1, 4))
def test_the_way_of_a_deal_is_what_a_naive_replay_says_at_every_moment(
    database_url: str, history: list[Act], every: int
) -> None:
    with Player(database_url) as player:
        player.play_kept_up(history, STAGE_VISIT, every=every)
        check_ways(player.flow)


def check_ways(flow: SalesFlow) -> None:
    """Compare all visits begun by every moment that could matter, with the ends known then."""
    raw = raw_log(flow)
    rows = rows_of(flow, STAGE_VISIT.name)
    for stream in deals_of(raw):
        own = [row for row in rows if UUID(row["entity_id"]) == UUID(stream)]
        for known_at in knowledge(raw):
            believed = [r for r in own if r["known_from"] <= known_at < r["known_to"]]
            believed.sort(key=lambda r: (r["valid_from"], r["entered"] != "opened", r["begun"]))
            found = [said(row, known_at) for row in believed]
            wanted = [told(step) for step in deals_way(raw, stream, known_at)]
            TALLY["beliefs of ways of deals"] += 1
            assert found == wanted, (known_at, stream, shown(raw))
            for as_of in instants(raw):
                standing = [r for r in believed if holds(r, as_of, known_at)]
                longer = [r for r in believed if r["valid_from"] <= as_of][-1:]
                assert standing == longer, (as_of, known_at, shown(raw))


def holds(row: dict[str, Any], as_of: int, known_at: int) -> bool:
    open_then = row["collapsed"] and known_at < row["valid_to"]
    return bool(row["valid_from"] <= as_of and (as_of < row["valid_to"] or open_then))


def said(row: dict[str, Any], known_at: int) -> tuple[Any, ...]:
    open_then = row["valid_to"] == FOREVER or (row["collapsed"] and known_at < row["valid_to"])
    amount = None
    if row["amount"] is not None:
        amount = (Decimal(row["amount"]) / MILLION, row["currency"])
    return (
        row["begun"],
        row["valid_from"],
        None if open_then else row["valid_to"],
        bool(row["day_only"]),
        row["outcome"],
        (row["process"], row["process_version"], row["stage"]),
        row["entered"],
        row["owner"],
        amount,
        None if row["customer_id"] is None else UUID(row["customer_id"]),
    )


def told(step: Step) -> tuple[Any, ...]:
    return (
        step["begun"],
        step["at"],
        step["end"],
        step["day_only"],
        step["outcome"],
        (step["process"], step["version"], step["stage"]),
        step["entered"],
        step["owner"],
        step["amount"],
        None if step["customer"] is None else UUID(step["customer"]),
    )


def forgets_moments(patch: pytest.MonkeyPatch) -> None:
    right = IntervalBatch.end

    def wrong(self: IntervalBatch, row: PendingRow, valid_to: int, now: int) -> None:
        if row[VALID_FROM] == valid_to:
            self.close(row, now)
        else:
            right(self, row, valid_to, now)

    patch.setattr(IntervalBatch, "end", wrong)


@pytest.mark.parametrize("mistake", [forgets_moments, late_facts_as_they_come])
def test_visits_kept_with_a_mistake_would_be_noticed(
    sqlite_url: str, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        ways_agree(sqlite_url)


@examples(80, shrink=False)
@given(history=acts(2, least=8))
def ways_agree(url: str, history: list[Act]) -> None:
    with Player(url) as player:
        player.play_all(history)
        player.flow.catch_up()
        check_ways(player.flow)

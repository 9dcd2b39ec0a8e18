"""A table of somebody's own whose fold gives what is no row of it stops alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from databases import tamper
from salesflow import STANDARD, Customer, Deal, SalesFlow
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Event
from salesflow.errors import ProjectionError
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.table import (
    Change,
    IntervalFold,
    IntervalTable,
    Ledger,
    LedgerTable,
    Row,
)

LABEL = "wrong_cells_of_this_test"


class Giving:
    """Gives one row for every deal opened."""

    def __init__(self, row: tuple[Any, ...]) -> None:
        self.row = row

    def apply(self, event: Event) -> Iterator[Change]:
        if isinstance(event.fact, DealOpened):
            yield (), self.row


def giving(row: tuple[object, ...]) -> IntervalFold:
    column: sa.Column[Any] = sa.Column("amount", sa.BigInteger)
    table = IntervalTable(LABEL, 1, attributes=(column,))
    return IntervalFold(table, frozenset({DealOpened}), lambda _: Giving(row))


@pytest.mark.parametrize(
    "row",
    [([1],), (object(),), (2**70,), (), (7, 7)],
    ids=["list", "object", "too big", "too few", "too many"],
)
def test_what_is_no_row_of_a_table_stops_that_table_alone(
    database_url: str, row: tuple[object, ...]
) -> None:
    with SalesFlow(database_url, folds=[giving(row)]) as flow:
        flow.run(lambda s: s.add(Customer.register(name="Acme")))
        flow.catch_up()
        before = flow.log.head().position
        flow.run(lambda s: s.add(Deal.open(STANDARD, title="ERP", owner="ann")))
        for _ in range(2):
            with pytest.raises(ProjectionError, match=f"{LABEL} cannot hold"):
                flow.catch_up()
            stands = {label: each.position for label, each in flow.standings().items()}
            assert stands.pop(LABEL) == before
            assert set(stands.values()) == {flow.log.head().position}
            with pytest.raises(ProjectionError, match=f"{LABEL} cannot hold"):
                flow.rebuild(LABEL)
    with SalesFlow(database_url, folds=[giving((7,))]) as mended:
        mended.catch_up()
        assert mended.standings()[LABEL].position == mended.log.head().position


class Counting:
    """Gives a row for every deal opened; in that of one title the second cell is a list."""

    def __init__(self, wrong: str) -> None:
        self.wrong = wrong

    def apply(self, event: Event) -> Iterator[Change]:
        if isinstance(event.fact, DealOpened):
            rate: Any = [1] if event.fact.title == self.wrong else 2
            yield (), (7, rate)


def test_sqlite_tells_in_which_column_a_row_among_many_cannot_be_held(tmp_path: Path) -> None:
    columns: list[sa.Column[Any]] = [sa.Column(name, sa.BigInteger) for name in ("sum", "rate")]
    table = IntervalTable(LABEL, 1, attributes=tuple(columns))
    fold = IntervalFold(table, frozenset({DealOpened}), lambda _: Counting("Deal 73"))
    with SalesFlow(f"sqlite:///{tmp_path / 'many.db'}", folds=[fold]) as flow:
        with flow.session() as s:
            for number in range(100):
                s.add(Deal.open(STANDARD, title=f"Deal {number}", owner="ann"))
        with pytest.raises(ProjectionError, match="gives: rate: type 'list' is not supported;"):
            flow.catch_up()


class Booking:
    """Books one row for every deal opened, or fails."""

    def __init__(self, row: Row | None) -> None:
        self.row = row

    def apply(self, event: Event) -> Iterator[Row]:
        if isinstance(event.fact, DealOpened):
            if self.row is None:
                raise LookupError("no such rate")
            yield self.row


def booking(row: Row | None) -> Ledger:
    column: sa.Column[Any] = sa.Column("amount", sa.BigInteger)
    table = LedgerTable(LABEL, 1, attributes=(column,))
    return Ledger(table, frozenset({DealOpened}), lambda _: Booking(row))


@pytest.mark.parametrize(
    ("row", "why"),
    [((), "values in a row of"), ((7, 7), "values in a row of"), (None, "no such rate")],
    ids=["too few", "too many", "fails"],
)
def test_a_ledger_whose_fold_gives_other_rows_now_is_named_with_all_else_that_is_wrong(
    database_url: str, row: Row | None, why: str
) -> None:
    with SalesFlow(database_url, folds=[booking((7,))]) as flow:
        flow.run(lambda s: s.add(Deal.open(STANDARD, title="ERP", owner="ann")))
        flow.catch_up()
        assert flow.check().problems == ()
    tamper(database_url, f"DELETE FROM {DEAL_STATE.name}")
    with SalesFlow(database_url, folds=[booking(row)]) as changed:
        told = {each.subject: each.where for each in changed.check().problems}
    assert set(told) == {LABEL, DEAL_STATE.label}
    assert why in told[LABEL]

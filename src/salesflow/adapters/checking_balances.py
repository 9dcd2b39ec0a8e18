"""Compares the balances of a ledger with sums made afresh: bins, what is carried, spans."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from salesflow.adapters.balancing import Balancer
from salesflow.adapters.checking_tables import Add
from salesflow.adapters.eventlog import EventLog
from salesflow.domain.moments import Instant
from salesflow.projections.balances import (
    BIN,
    BINNED,
    CARRIED,
    DAYS,
    OFFSET,
    SPAN,
    by_cell,
    legs_by_day,
)
from salesflow.projections.tables import FIGURES, LedgerTable, ReadTable

__all__ = ["balances_that_differ"]

SAMPLE_BINS = 32
"""So many of the last bins are summed afresh where not all are."""

BEFORE_ALL: Final = -(2**62)


def balances_that_differ(
    log: EventLog, table: ReadTable, connection: sa.Connection, add: Add, *, whole: bool
) -> int:
    """Name the balances that are not the sums of their movements; give how many bins were."""
    assert isinstance(table, LedgerTable)
    return _Balances(log, table, connection, add).compare(whole=whole)


class _Balances:
    def __init__(
        self, log: EventLog, ledger: LedgerTable, connection: sa.Connection, add: Add
    ) -> None:
        self._ledger = ledger
        self._balance = ledger.balance
        self._balancer = Balancer(ledger, ledger.name, log)
        self._tenant = log.tenant
        self._connection = connection
        self._add = add
        self._shown = [self._balance.c[n] for n in ("day", *ledger.cells, *FIGURES)]

    def compare(self, *, whole: bool) -> int:
        """Compare bins, and what was carried forward."""
        binned, carried = self._marks(BINNED), self._marks(CARRIED)
        edges = list(zip([BEFORE_ALL, *binned], binned, strict=False))
        chosen = edges if whole else edges[-SAMPLE_BINS:]
        offset = next(iter(self._marks(OFFSET)), 0)
        for first, last in chosen:
            self._compare_bin(first, last, offset)
        for level, marks in ((BIN, binned), (DAYS, carried), (SPAN, carried)):
            for upto in sorted({*self._uptos(level)} - {*marks}):
                self._wrong(level, upto)
        for upto in carried if whole else carried[-1:]:
            self._compare_carry(upto)
        return len(chosen)

    def _compare_bin(self, first: Instant, last: Instant, offset: Instant) -> None:
        c = self._ledger.table.c
        new = (c.tenant == self._tenant, c.recorded > first, c.recorded <= last)
        fresh = by_cell(
            legs_by_day(self._ledger, self._ledger.table, offset, *new), self._ledger
        )
        self._compare(BIN, last, fresh)

    def _compare_carry(self, upto: Instant) -> None:
        """Compare what was carried with all bins up to it, and spans with what was carried."""
        c = self._balance.c
        bins = sa.select(*self._shown).where(*self._mine(BIN), c.upto <= upto)
        self._compare(DAYS, upto, by_cell([bins], self._ledger))
        self._compare(SPAN, upto, by_cell([self._balancer.spans(upto)], self._ledger))

    def _compare(self, level: int, upto: Instant, fresh: sa.Select[Any]) -> None:
        c = self._balance.c
        stored = sa.select(*self._shown).where(*self._mine(level), c.upto == upto)
        if self._rows(stored) != self._rows(fresh):
            self._wrong(level, upto)

    def _rows(self, select: sa.Select[Any]) -> Counter[tuple[Any, ...]]:
        return Counter(tuple(row) for row in self._connection.execute(select))

    def _wrong(self, level: int, upto: Instant) -> None:
        what = {BIN: "bin", DAYS: "days carried", SPAN: "spans carried"}[level]
        self._add("balance", self._ledger.label, f"{what} up to {upto}")

    def _marks(self, level: int) -> Sequence[Instant]:
        return sorted(self._uptos(level))

    def _uptos(self, level: int) -> list[Instant]:
        select = sa.select(self._balance.c.upto).where(*self._mine(level)).distinct()
        return list(self._connection.scalars(select))

    def _mine(self, level: int) -> tuple[sa.ColumnElement[bool], ...]:
        c = self._balance.c
        return c.tenant == self._tenant, c.level == level

"""Keeps the balances of a ledger: bins of new movements, carried forward every so often.

Everything is summed by the database. What a bin or a carry holds never changes afterwards,
since movements are only ever added; so a balance of any past moment stays what it was. Where
the rows of a stream are begun anew, so are the balances.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from salesflow.adapters.event_store.log import EventLog
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.time import MICROSECOND, Instant
from salesflow.projections.core.balances import (
    BIN,
    BINNED,
    CARRIED,
    DAYS,
    OFFSET,
    SPAN,
    SPAN_DAYS,
    by_cell,
    legs_by_day,
)
from salesflow.projections.table import FIGURES, LedgerTable

__all__ = ["Balancer", "utc_offset_of"]


BIN_MOVEMENTS = 4_096
CARRY_ROWS = 16_384
BINS_AT_ONCE = 64


class Balancer:
    """Keeps the balances of one tenant beside a ledger's table of this name."""

    def __init__(self, ledger: LedgerTable, name: str, log: EventLog) -> None:
        self._ledger = ledger
        self._log = log
        self._tenant = log.tenant
        self._table, self._balance = ledger.table, ledger.balance
        if name != ledger.name:
            metadata = sa.MetaData()
            self._table = ledger.shaped(name, metadata)
            self._balance = ledger.balances(name, metadata)

    def begin_anew(self, connection: sa.Connection) -> None:
        """Drop all balances, since movements of the past have changed; `keep` makes them."""
        c = self._balance.c
        connection.execute(sa.delete(self._balance).where(c.tenant == self._tenant))

    def keep(self, connection: sa.Connection) -> bool:
        """Put all movements into bins but the last few, and carry bins forward.

        After so many bins there may be more to do, and True is given. The table must hold
        every movement recorded up to its last one.
        """
        binned, offset = self._last(connection, BINNED), None
        for _ in range(BINS_AT_ONCE):
            end = self._end_of_bin(connection, binned)
            if end is None:
                return False
            if offset is None:
                offset = self._offset(connection)
            self._bin(connection, binned, end, offset)
            self._carry(connection, end)
            binned = end
        return True

    def _last(self, connection: sa.Connection, level: int) -> Instant:
        last = sa.select(sa.func.max(self._balance.c.upto)).where(*self._rows(level))
        found: Instant | None = connection.execute(last).scalar_one()
        return -(2**62) if found is None else found

    def _end_of_bin(self, connection: sa.Connection, binned: Instant) -> Instant | None:
        """Find the append with which enough movements for a bin are there, if they are."""
        c = self._table.c
        end = (
            sa.select(c.recorded)
            .where(c.tenant == self._tenant, c.recorded > binned)
            .order_by(c.recorded)
            .offset(BIN_MOVEMENTS - 1)
            .limit(1)
        )
        found: Instant | None = connection.execute(end).scalar()
        return found

    def _offset(self, connection: sa.Connection) -> Instant:
        """Return how days are cut: as when the first bin was made, for ever."""
        c = self._balance.c
        found: Instant | None = connection.execute(
            sa.select(c.upto).where(*self._rows(OFFSET))
        ).scalar()
        if found is not None:
            return found
        offset = utc_offset_of(self._log)
        self._note(connection, OFFSET, offset)
        return offset

    def _note(self, connection: sa.Connection, level: int, through: Instant) -> None:
        """Write a row that says how far something goes, and holds no figures."""
        text = {
            each.name: "" if isinstance(each.type, sa.String) else 0 for each in self._balance.c
        }
        text |= {"tenant": self._tenant, "level": level, "upto": through}
        connection.execute(sa.insert(self._balance).values(**text))

    def _bin(
        self, connection: sa.Connection, binned: Instant, end: Instant, offset: Instant
    ) -> None:
        c = self._table.c
        new = (c.tenant == self._tenant, c.recorded > binned, c.recorded <= end)
        self._add(connection, BIN, end, legs_by_day(self._ledger, self._table, offset, *new))
        self._note(connection, BINNED, end)

    def _carry(self, connection: sa.Connection, end: Instant) -> None:
        """Carry everything forward to a bin's end, when there is as much to carry as before."""
        c = self._balance.c
        carried = self._last(connection, CARRIED)
        bins = (*self._rows(BIN), c.upto > carried)
        days = (*self._rows(DAYS), c.upto == carried)
        if self._count(connection, bins) < max(CARRY_ROWS, self._count(connection, days)):
            return
        shown = [c.day, *(c[name] for name in (*self._ledger.cells, *FIGURES))]
        every = [sa.select(*shown).where(*bins), sa.select(*shown).where(*days)]
        self._add(connection, DAYS, end, every)
        self._add(connection, SPAN, end, [self.spans(end)])
        self._note(connection, CARRIED, end)

    def spans(self, end: Instant) -> sa.Select[Any]:
        """Sum up what stood at the beginning of each span that something moved before."""
        c = self._balance.c
        start = ((c.day // SPAN_DAYS + 1) * SPAN_DAYS).label("start")
        cells = [c[name] for name in self._ledger.cells]
        moved = (
            sa.select(start, *cells, *(_sum(c[name]).label(name) for name in FIGURES))
            .where(*self._rows(DAYS), c.upto == end)
            .group_by(start, *cells)
            .cte("moved")
        )
        starts = sa.select(moved.c.start.label("start")).distinct().subquery("starts")
        shown = [moved.c[name] for name in (*self._ledger.cells, *FIGURES)]
        return sa.select(starts.c.start, *shown).join_from(
            starts, moved, moved.c.start <= starts.c.start
        )

    def _add(
        self,
        connection: sa.Connection,
        level: int,
        end: Instant,
        parts: Sequence[sa.Select[Any]],
    ) -> None:
        sums = by_cell(parts, self._ledger).subquery("sums")
        text = (sa.literal(self._tenant), sa.literal(level), sa.literal(end, sa.BigInteger))
        names = ("tenant", "level", "upto", "day", *self._ledger.cells, *FIGURES)
        select = sa.select(*text, *sums.c)
        connection.execute(sa.insert(self._balance).from_select(names, select))

    def _count(self, connection: sa.Connection, where: Sequence[sa.ColumnElement[bool]]) -> int:
        count = sa.select(sa.func.count()).select_from(self._balance).where(*where)
        return connection.execute(count).scalar_one()

    def _rows(self, level: int) -> tuple[sa.ColumnElement[bool], ...]:
        c = self._balance.c
        return c.tenant == self._tenant, c.level == level


def utc_offset_of(log: EventLog) -> Instant:
    """Return how far ahead of UTC the business time zone is in winter."""
    zone = Settings.load(SETTINGS_ID, log.stream(SETTINGS_ID)).timezone
    ahead = datetime(2000, 1, 1, tzinfo=zone).utcoffset()
    return 0 if ahead is None else ahead // MICROSECOND


def _sum(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.sum(column), sa.BigInteger)

"""Balances of a ledger: what stands in each cell at an instant, as a sum of few rows.

The sum of all legs in a cell, of movements that happened by `as_of` and were recorded by
`known_at`, is what stood there. Summing all of them anew would cost more with every year, so a
table beside the ledger holds what they come to:

* a *bin* holds the legs recorded after the bin before it and up to `upto`, net by day, as
  days are in the business time zone in winter when the first bin is made; a row of its own
  marks each, since movements within one cell (another owner) net to nothing;
* every so often all bins are carried forward: *days* hold all legs recorded up to `upto`,
  net by day of occurrence, and *spans* what stands at the beginning of every 32 days.

A balance is then one span, the days since, the bins since, and the movements themselves for
what is newer than the last bin and for the part of a day. What is summed is exact: amounts
apart in units and millionths, weighted amounts in units, millionths and their millionths.

The cells of a balance are those attributes of a leg that the ledger names (`cells`). Leaves
out all others, such as owners: there are more cells of all of them than movements.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple, TypeAlias

import sqlalchemy as sa

from salesflow.domain.time import DAY, Instant
from salesflow.projections.table import AMOUNT_SCALE, FIGURES, LedgerTable, ReadPoint

__all__ = [
    "BIN",
    "BINNED",
    "CARRIED",
    "DAYS",
    "OFFSET",
    "SPAN",
    "SPAN_DAYS",
    "CellSums",
    "Cells",
    "balances",
    "by_cell",
    "legs_by_day",
]


BIN, DAYS, SPAN, OFFSET, BINNED, CARRIED = range(6)
"""The kinds of rows. A bin, and all days carried forward, may net to nothing and leave no row:
BINNED and CARRIED say that they were made, up to which append."""
SPAN_DAYS: Final = 32
FIRST_DAY: Final = 40_000
"""Days are counted from so many before 1970, so that none is negative."""
NO_CURRENCY: Final = ""
Column: TypeAlias = "sa.ColumnElement[Any]"
Rows: TypeAlias = "Callable[[sa.Select[Any]], Sequence[sa.Row[Any]]]"
Cells: TypeAlias = tuple[Any, ...]


class CellSums(NamedTuple):
    """What stands in a cell: deals, what they are worth and likely worth."""

    deals: int
    amount: int
    """In millionths."""
    weighted: int
    """Amount x probability, in millionths of millionths."""


class Marks(NamedTuple):
    """Up to which appends was carried forward and binned, before a moment on the known axis."""

    carried: Instant
    binned: Instant
    offset: Instant
    """How far the days of this ledger begin before those of UTC."""


def day_of(occurred: Column, offset: Instant) -> Column:
    """Return the day of an instant, as balances number it."""
    return (occurred + sa.literal_column(str(FIRST_DAY * DAY + offset), sa.BigInteger)) // DAY


def legs_by_day(
    ledger: LedgerTable, table: sa.Table, offset: Instant, *where: Column
) -> list[sa.Select[Any]]:
    """Return day, cell and figures of the legs of movements, each side by itself."""
    day = day_of(table.c.occurred, offset)
    return [_legs(ledger, table, day, side, *where) for side in (-1, 1)]


def by_cell(parts: Sequence[sa.Select[Any]], ledger: LedgerTable) -> sa.Select[Any]:
    """Add up the figures of several selects by their first column and cell; drop zeros."""
    every = sa.union_all(*parts).subquery("every")
    first, *columns = every.c
    by, figures = columns[: len(ledger.cells)], columns[len(ledger.cells) :]
    sums = [sa.cast(sa.func.sum(figure), sa.BigInteger) for figure in figures]
    named = [total.label(name) for total, name in zip(sums, FIGURES, strict=True)]
    is_not_empty = sa.or_(*(total != 0 for total in sums))
    return sa.select(first, *by, *named).group_by(first, *by).having(is_not_empty)


def balances(
    rows: Rows, ledger: LedgerTable, read_point: ReadPoint, instants: Sequence[Instant]
) -> list[dict[Cells, CellSums]]:
    """Return what stood in each cell of a ledger at each of some instants, oldest first.

    All are asked for the cut's tenant, at its known_at. Cells in which nothing stood are
    left out; a missing currency is None. The number of queries is the same for any number of
    instants.
    """
    wanted = sorted(set(instants))
    read_point = read_point._replace(as_of=wanted[-1])
    parts = _Parts(ledger, read_point, _marks(rows, ledger.balance, read_point), wanted)
    sums_by_cell: list[dict[Cells, list[int]]] = [{} for _ in range(2 * len(wanted))]
    width = 1 + len(ledger.cells)
    for row in rows(by_cell(parts.all(rows), ledger)):
        sums_by_cell[row[0]][tuple(row[1:width])] = list(row[width:])
    found = accumulate(sums_by_cell[: len(wanted)], _added)
    edges = parts.by_day(sums_by_cell[len(wanted) :])
    at = {
        instant: _sums(_added(whole, edge))
        for instant, whole, edge in zip(wanted, found, edges, strict=True)
    }
    return [at[instant] for instant in instants]


class _Parts:
    """The selects that make up balances; their first column says which instant they add to.

    A number below the count of instants adds to that one and all after it; from the count on,
    it adds to one and those after it on the same day.
    """

    def __init__(
        self,
        ledger: LedgerTable,
        read_point: ReadPoint,
        marks: Marks,
        wanted: Sequence[Instant],
    ) -> None:
        self._ledger = ledger
        self._table = ledger.balance
        self._read_point = read_point
        self._marks = marks
        self._wanted = wanted
        self._days = [(at + 1 + marks.offset) // DAY + FIRST_DAY for at in wanted]
        """The day of each instant that is not over at it."""

    def all(self, rows: Rows) -> list[sa.Select[Any]]:
        """Return all of them."""
        span = self._span(rows)
        return [*self._carried(span), self._binned(), *self._fresh(), *self._edges()]

    def by_day(self, edges: Sequence[dict[Cells, list[int]]]) -> Iterator[dict[Cells, Any]]:
        """Add what happened in the day of each instant up to it, from one to the next."""
        before: tuple[int, dict[Cells, list[int]]] = (-1, {})
        for day, edge in zip(self._days, edges, strict=True):
            before = day, _added(before[1], edge) if before[0] == day else edge
            yield before[1]

    def _span(self, rows: Rows) -> int | None:
        """Find the last span that begins before the first instant; None where none does."""
        c = self._table.c
        last = sa.select(sa.func.max(c.day)).where(
            *self._rows(SPAN), c.upto == self._marks.carried, c.day <= self._days[0]
        )
        found: int | None = rows(last)[0][0]
        return found

    def _carried(self, span: int | None) -> list[sa.Select[Any]]:
        c, is_carried = self._table.c, self._table.c.upto == self._marks.carried
        days = self._shown(self._by_day(c.day)).where(
            *self._rows(DAYS), is_carried, c.day >= (span or 0), c.day < self._days[-1]
        )
        if span is None:
            return [days]
        opening_sums = self._shown(_number(0)).where(
            *self._rows(SPAN), is_carried, c.day == span
        )
        return [opening_sums, days]

    def _binned(self) -> sa.Select[Any]:
        c = self._table.c
        return self._shown(self._by_day(c.day)).where(
            *self._rows(BIN),
            c.upto > self._marks.carried,
            c.upto <= self._marks.binned,
            c.day < self._days[-1],
        )

    def _fresh(self) -> list[sa.Select[Any]]:
        """Read what was recorded after the last bin from the movements themselves."""
        c = self._ledger.table.c
        number = _place(c.occurred, _numbered(at + 1 for at in self._wanted))
        return self._legs(number, self._read_point, c.recorded > self._marks.binned)

    def _edges(self) -> list[sa.Select[Any]]:
        """Read the days that instants lie in from the movements of those days.

        All days in one select a side, however many: SQLite takes 500 selects at most.
        """
        c = self._ledger.table.c
        open_days: dict[Instant, Instant] = {}
        ends: list[tuple[Instant, int]] = []
        for number, (at, day) in enumerate(zip(self._wanted, self._days, strict=True)):
            midnight = (day - FIRST_DAY) * DAY - self._marks.offset
            if at >= midnight:
                open_days[midnight] = at
                ends.append((at + 1, len(self._wanted) + number))
        if not ends or self._marks.binned < 0:
            return []
        mine = (
            c.tenant == self._read_point.tenant
        )  # with each day, so that its index is searched
        days = sa.or_(*(sa.and_(mine, c.occurred.between(*d)) for d in open_days.items()))
        columns = (days, c.recorded <= self._marks.binned)
        first, ledger = _place(c.occurred, ends), self._ledger
        return [_legs(ledger, ledger.table, first, side, *columns) for side in (-1, 1)]

    def _legs(
        self, number: Column, read_point: ReadPoint, *where: Column
    ) -> list[sa.Select[Any]]:
        ledger = self._ledger
        columns = (ledger.posted_by(read_point), *where)
        return [_legs(ledger, ledger.table, number, side, *columns) for side in (-1, 1)]

    def _by_day(self, day: Column) -> Column:
        return _place(day, _numbered(self._days))

    def _shown(self, number: Column) -> sa.Select[Any]:
        c = self._table.c
        return sa.select(
            number.label("number"), *(c[name] for name in (*self._ledger.cells, *FIGURES))
        )

    def _rows(self, level: int) -> tuple[Column, Column]:
        c = self._table.c
        return c.tenant == self._read_point.tenant, c.level == level


def _marks(rows: Rows, table: sa.Table, read_point: ReadPoint) -> Marks:
    """Find the last carry and the last bin that were whole at the moment."""
    c = table.c

    def last(level: int) -> Column:
        whole = (c.tenant == read_point.tenant, c.level == level, c.upto <= read_point.known_at)
        return sa.select(sa.func.max(c.upto)).where(*whole).scalar_subquery()

    offset = sa.select(c.upto).where(c.tenant == read_point.tenant, c.level == OFFSET)
    found = rows(sa.select(last(CARRIED), last(BINNED), offset.scalar_subquery()))[0]
    nothing = (-FIRST_DAY * DAY, -FIRST_DAY * DAY, 0)
    return Marks(
        *(n if through is None else through for through, n in zip(found, nothing, strict=True))
    )


def _legs(
    ledger: LedgerTable, table: sa.Table, first: Column, side: int, *where: Column
) -> sa.Select[Any]:
    """Return the legs of one side: left ones count against a cell, entered ones for it."""
    c, prefix = table.c, "left" if side < 0 else "entered"
    sign = c.sign if side > 0 else -c.sign
    cells = [_cell(c[f"{prefix}_{name}"], name).label(name) for name in ledger.cells]
    whole, rest = _split(c[f"{prefix}_amount"])
    share = c[f"{prefix}_probability"]
    likely, likely_rest = _split(whole * share)
    more, more_rest = _split(rest * share)
    figures = (sign, *(sign * f for f in (whole, rest, likely, likely_rest + more, more_rest)))
    shown = [figure.label(name) for figure, name in zip(figures, FIGURES, strict=True)]
    return sa.select(first.label("number"), *cells, *shown).where(
        *where, c[f"{prefix}_outcome"].is_not(None)
    )


def _cell(column: Column, name: str) -> Column:
    return sa.func.coalesce(column, NO_CURRENCY) if name == "currency" else column


def _split(column: Column) -> tuple[Column, Column]:
    scale = sa.literal_column(str(AMOUNT_SCALE), sa.BigInteger)
    return column // scale, column % scale


def _number(number: int) -> Column:
    return sa.literal_column(str(number), sa.Integer)


def _numbered(ends: Iterable[int]) -> list[tuple[int, int]]:
    return [(end, number) for number, end in enumerate(ends)]


def _place(column: Column, ends: Sequence[tuple[int, int]]) -> Column:
    """Return the number of the first of some rising ends that lies after a value."""
    if len(ends) == 1:
        return _number(ends[0][1])
    return sa.case(*((column < end, _number(number)) for end, number in ends))


def _added(
    one: Mapping[Cells, list[int]], other: Mapping[Cells, list[int]]
) -> dict[Cells, list[int]]:
    total = dict(one)
    for cell, figures in other.items():
        before = total.get(cell)
        total[cell] = (
            figures if before is None else [a + b for a, b in zip(before, figures, strict=True)]
        )
    return total


def _sums(found: Mapping[Cells, list[int]]) -> dict[Cells, CellSums]:
    named = ((tuple(c or None for c in cell), _put(sums)) for cell, sums in found.items())
    return {cell: sums for cell, sums in named if any(sums)}


def _put(figures: Sequence[int]) -> CellSums:
    """Put the parts of figures together, which the database sums apart."""
    deals, amount, rest, *likely = figures
    weighted = (likely[0] * AMOUNT_SCALE + likely[1]) * AMOUNT_SCALE + likely[2]
    return CellSums(deals, amount * AMOUNT_SCALE + rest, weighted)

"""SQL views for analysts, and making anew whatever table or view is missing.

Every read table has a view whose name stays the same when its revision grows:
`salesflow_deal_state` shows `salesflow_deal_state_1`. Instants are timestamps, ids are text,
amounts and shares are decimals with their whole millionths beside them. A row that is stored
once for two beliefs (see `IntervalTable`) is shown as two, so that the moment is four plain
comparisons, the same on both databases; `select_at` writes them.

A view is made where its table is made, and made anew by the first process that has a higher
revision or another form of it, never by one that has a lower one. Rows are filled and
swapped below it. What it leaves out: catching up, which plain SQL cannot do.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from salesflow.adapters.database.schema import (
    EVENT_VIEW,
    STORE,
    STORE_TABLES,
    lacking,
    postgres_time,
    sqlite_time,
    sqlite_uuid,
)
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.projector.read_tables import (
    LEFT_OUT,
    POSITIONS,
    PROJECTIONS,
    forget_left_out,
    positions_of,
    start_position,
)
from salesflow.adapters.reactors import REACTORS
from salesflow.adapters.reports.made import MADE_REPORTS, REPORT_STANDINGS
from salesflow.domain.time import FOREVER, from_instant
from salesflow.errors import InputError
from salesflow.projections.table import (
    Fold,
    Instants,
    IntervalTable,
    Millionths,
    ReadPoint,
    ReadTable,
    Shares,
)

__all__ = [
    "Mending",
    "select_at",
]


OUTBOX_TABLES: Final = (
    *("salesflow_outbox", "salesflow_outbox_queues", "salesflow_outbox_endpoints"),
)
"""What the outbox keeps beside the log; see `adapters/outbox/store.py`."""
VIEW_FORM = 2
"""Raise it whenever a view of the same revision would read differently."""

END: Final = "9999-12-31 00:00:00.000000+00:00"
"""How the end of what has not ended is shown: a time, so that it can be compared; no moment
lies so late."""

STANDING_VIEW: Final = "salesflow_standing"
INSTANTS: Final = {"valid_from", "valid_to", "known_from", "known_to", "occurred", "recorded"}
MARK: Final = re.compile(r"revision (\d+) form (\d+)")


class Mark(NamedTuple):
    """Which revision of a table a view shows, and in which form."""

    revision: int
    form: int

    def __str__(self) -> str:
        return f"revision {self.revision} form {self.form}"


def select_at(table: ReadTable, read_point: ReadPoint) -> str:
    """Write the select that shows a read table as it is seen at a moment."""
    then, known = (from_instant(at).isoformat(" ", "microseconds") for at in read_point[1:])
    moment = [f"recorded_at <= '{known}'", f"occurred_at <= '{then}'"]
    if isinstance(table, IntervalTable):
        moment = [f"known_from <= '{known}'", f"known_to > '{known}'"]
        moment += [f"valid_from <= '{then}'", f"valid_to > '{then}'"]
    where = "\n   AND ".join([f"tenant = '{read_point.tenant}'", *moment])
    return f"SELECT *\n  FROM {table.view}\n WHERE {where};"


def _ensure_free_names(tables: Iterable[ReadTable]) -> None:
    taken = {*STORE.tables, PROJECTIONS.name, REACTORS.name, EVENT_VIEW, STANDING_VIEW}
    taken |= {MADE_REPORTS.name, REPORT_STANDINGS.name, *OUTBOX_TABLES}
    taken |= {table.name for table in tables}
    for table in tables:
        if table.view in taken:
            raise InputError(
                f"a read table cannot be called {table.label!r}: {table.view} is taken"
            )


def _make(connection: sa.Connection, name: str, mark: Mark, select: str) -> None:
    """Make a view, in the place of an older one."""
    if connection.dialect.name != "postgresql":
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
        connection.exec_driver_sql(f"CREATE VIEW {name} AS /* {mark} */ {select}")
        return
    try:
        with connection.begin_nested():  # keeps what was granted, and views upon this one
            connection.exec_driver_sql(f"CREATE OR REPLACE VIEW {name} AS {select}")
    except sa.exc.ProgrammingError:  # other columns
        connection.exec_driver_sql(f"DROP VIEW {name}")
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {select}")
    connection.exec_driver_sql(f"COMMENT ON VIEW {name} IS 'salesflow: {mark}'")


def _select(dialect: sa.Dialect, shape: ReadTable) -> str:
    shown = (
        each
        for column in shape.table.columns
        if column.name != "collapsed"
        for each in _shown(dialect, column)
    )
    return f"SELECT {', '.join(shown)} FROM {_rows(dialect, shape)}"


def _rows(dialect: sa.Dialect, shape: ReadTable) -> str:
    """Return the rows, those that stand for two beliefs in two halves.

    Until the append that ended it a collapsed row was known without an end, and from that
    append on with it.
    """
    if not isinstance(shape, IntervalTable):
        return shape.name
    quote = dialect.identifier_preparer.quote
    names = [column.name for column in shape.table.columns if column.name != "collapsed"]

    def half(other: Mapping[str, str]) -> str:
        columns = (f"{other[n]} AS {n}" if n in other else quote(n) for n in names)
        return f"SELECT {', '.join(columns)} FROM {shape.name}"

    before = {
        "valid_to": f"CASE WHEN collapsed = 1 THEN {FOREVER} ELSE valid_to END",
        "known_to": "CASE WHEN collapsed = 1 AND valid_to < known_to THEN valid_to"
        " ELSE known_to END",
    }
    after = half({"known_from": "valid_to"}) + " WHERE collapsed = 1 AND valid_to < known_to"
    return f"({half(before)} UNION ALL {after}) AS halves"


def _shown(dialect: sa.Dialect, column: sa.Column[object]) -> Iterable[str]:
    """Return the columns by which one column is shown."""
    postgres, name = dialect.name == "postgresql", column.name
    plain, kind = dialect.identifier_preparer.quote(name), column.type
    if isinstance(kind, Instants) or name in INSTANTS:
        as_ = name if name.endswith(("_from", "_to")) else f"{name}_at"
        time = postgres_time(plain) if postgres else sqlite_time(plain)
        end = f"timestamptz '{END}'" if postgres else f"'{END}'"
        if not name.endswith("_to"):
            return (f"{time} AS {as_}",)
        return (f"CASE WHEN {plain} >= {FOREVER} THEN {end} ELSE {time} END AS {as_}",)
    if isinstance(kind, Millionths | Shares):
        decimal = _postgres_decimal(plain) if postgres else _sqlite_decimal(plain)
        return (f"{decimal} AS {plain}", f"{plain} AS {name}_millionths")
    if isinstance(kind, sa.Uuid) and not postgres:
        return (f"{sqlite_uuid(plain, hexed=True)} AS {plain}",)
    return (plain,)


def _postgres_decimal(column: str) -> str:
    return f"CAST({column} * 0.000001 AS numeric(19, 6))"


def _sqlite_decimal(column: str) -> str:
    """Write an amount's digits; SQLite has no exact decimal."""
    sign = f"CASE WHEN {column} < 0 THEN '-' ELSE '' END"
    digits = f"printf('%d.%06d', abs({column}) / 1000000, abs({column}) % 1000000)"
    return f"CASE WHEN {column} IS NOT NULL THEN {sign} || {digits} END"


def _standing() -> str:
    """Return of every read table of every tenant how far it stands behind the log."""
    ending = "'_' || CAST(p.revision AS TEXT)"
    length = f"length(p.name) - length({ending})"
    return (
        f"SELECT p.tenant, substr(p.name, 1, {length}) AS read_table, p.revision, p.position,"
        f" h.position AS head, h.position - p.position AS behind FROM {PROJECTIONS.name} AS p"
        " JOIN salesflow_head AS h ON h.tenant = p.tenant"
        f" WHERE substr(p.name, 1 + {length}) = {ending}"
    )


# Makes the read tables that are missing, and what lies beside them: balances, indexes, views.
#
# A read table is derived: whoever dropped one, or put a log back without them, finds it made
# anew by the next command that reads it. Where nothing can be missing nothing is locked, so
# that a question never waits for writers: on SQLite the file says whether its tables have
# changed, on PostgreSQL one short select names what is there.
#
# Leaves out rows that are wrong: see `checks`.

OBJECTS = {
    "sqlite": "SELECT type, name, CASE type WHEN 'view' THEN sql ELSE tbl_name END"
    " FROM sqlite_master"
    " WHERE tbl_name LIKE 'salesflow%' AND (type <> 'index' OR sql IS NOT NULL)",
    "postgresql": "SELECT CASE c.relkind WHEN 'i' THEN 'index' WHEN 'v' THEN 'view'"
    " ELSE 'table' END, c.relname::text, CASE c.relkind WHEN 'v'"
    " THEN obj_description(c.oid, 'pg_class') ELSE t.relname::text END"
    " FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid"
    " LEFT JOIN pg_class AS t ON t.oid = i.indrelid"
    " WHERE c.relname >= 'salesflow_' AND c.relname < 'salesflow`'"
    " AND c.relkind IN ('r', 'p', 'v', 'i') AND i.indisprimary IS NOT true"
    " AND pg_table_is_visible(coalesce(t.oid, c.oid))",
}
"""Selects kind and name of what there is, with the table of an index and the mark of a view."""


class Objects(NamedTuple):
    """What there is in the database."""

    tables: frozenset[str]
    views: Mapping[str, Mark]
    """What each view shows; nothing where that is not known."""
    indexed: Mapping[str, int]
    """How many indexes a table has beside its key."""


class Mending:
    """What the read tables of one tenant need to be there."""

    def __init__(self, log: EventLog, folds: Mapping[str, Fold]) -> None:
        self._log = log
        self._database = log.database
        self._shapes = {name: folds[name].table.parts for name in sorted(folds)}
        """In the order in which everybody locks positions."""
        self._tables: dict[str, ReadTable] = {name: fold.table for name, fold in folds.items()}
        _ensure_free_names(self._tables.values())
        self._views = {table.view: table for table in self._tables.values()}
        self._begun = False

    def mend(self) -> list[str]:
        """Make what is missing, and name the read tables that were or had missing parts.

        Another process may do so at the same time.

        Raises:
            UnwritableError: when something is missing and nothing can be written.
            DamagedError: when a table of the store itself is missing.
        """
        existing = self._there(None)
        dialect = self._database.dialect
        if not STORE_TABLES[dialect] <= existing.tables:
            raise lacking(self._database.shown, dialect, existing.tables)
        absent = self._lacking(existing)
        if absent or not POSITIONS.tables.keys() <= existing.tables or not self._all_begun():
            absent = self._make()
            existing = self._there(None)
        if self._outdated(existing):
            self._make_views()
        self._begun = True
        return absent

    def has_positions(self) -> bool:
        """Return whether it can be read where tables stand."""
        return POSITIONS.tables.keys() <= self._there(None).tables

    def restart(self) -> None:
        """Look again at everything the next time."""
        self._begun = False

    def _there(self, connection: sa.Connection | None) -> Objects:
        rows = self._database.rows(OBJECTS[self._database.dialect], (), connection)
        tables: set[str] = set()
        views: dict[str, Mark] = {}
        indexed: dict[str, int] = {}
        for kind, name, more in rows:
            if kind == "index":
                indexed[more] = indexed.get(more, 0) + 1
            elif kind == "table":
                tables.add(name)
            elif kind == "view" and (mark := MARK.search(more or "")):
                views[name] = Mark(int(mark[1]), int(mark[2]))
        return Objects(frozenset(tables), views, indexed)

    def _outdated(self, existing: Objects) -> dict[str, Mark]:
        """Return what views are to show that are missing, or show less."""
        wanted = {name: Mark(table.revision, VIEW_FORM) for name, table in self._views.items()}
        wanted[STANDING_VIEW] = Mark(1, VIEW_FORM)
        there = existing.views
        return {name: m for name, m in wanted.items() if there.get(name, Mark(0, 0)) < m}

    def _make_views(self) -> None:
        """Make those; others may have been here."""
        with self._database.whole(), self._database.creating() as connection:
            for name, mark in self._outdated(self._there(connection)).items():
                shape = self._views.get(name)
                select = _standing() if shape is None else _select(connection.dialect, shape)
                _make(connection, name, mark, select)

    def _lacking(self, existing: Objects) -> list[str]:
        return [name for name, shape in self._shapes.items() if _lacks(shape, existing)]

    def _all_begun(self) -> bool:
        if self._begun:
            return True
        return len(positions_of(self._log, list(self._tables))) == len(self._tables)

    def _make(self) -> list[str]:
        tenant, names = self._log.tenant, list(self._tables)
        with self._database.creating() as connection:
            existing = self._there(connection)
            forgotten = (
                PROJECTIONS.name in existing.tables and LEFT_OUT.name not in existing.tables
            )
            if forgotten:  # nobody knows what they leave out, of any tenant and program
                connection.execute(sa.delete(PROJECTIONS))
            POSITIONS.create_all(connection)
            lacking = self._lacking(existing)
            for name in lacking:
                self._make_one(connection, name, existing)
            begun = positions_of(self._log, names, connection)
            for name, table in self._tables.items():
                if name not in begun:
                    if name in existing.tables:  # else it was made just now
                        self._empty(connection, name)
                    start_position(connection, tenant, name, table.revision)
        return names if forgotten else lacking

    def _make_one(self, connection: sa.Connection, name: str, existing: Objects) -> None:
        """Make a read table, or what is missing beside it; without its rows all begins anew."""
        shape = self._shapes[name]
        if name not in existing.tables:
            shape.drop_all(connection)
            if PROJECTIONS.name in existing.tables:
                forget_left_out(connection, name)
                from_the_start = {"position": 0, "recorded": 0}
                c = PROJECTIONS.c
                connection.execute(
                    sa.update(PROJECTIONS).where(c.name == name).values(**from_the_start)
                )
        for table in shape.sorted_tables:
            if table.name in existing.tables and name in existing.tables:
                if existing.indexed.get(table.name, 0) < len(table.indexes):
                    _make_indexes(connection, table.indexes)
            else:
                table.create(connection)

    def _empty(self, connection: sa.Connection, name: str) -> None:
        """Take away the rows of a table of which nobody knows where they stand."""
        forget_left_out(connection, name, self._log.tenant)
        for table in self._shapes[name].sorted_tables:
            mine: sa.Column[Any] = table.c.tenant
            connection.execute(sa.delete(table).where(mine == self._log.tenant))


def _lacks(shape: sa.MetaData, existing: Objects) -> bool:
    return any(
        table.name not in existing.tables
        or existing.indexed.get(table.name, 0) < len(table.indexes)
        for table in shape.tables.values()
    )


def _make_indexes(connection: sa.Connection, indexes: Iterable[sa.Index]) -> None:
    for index in indexes:
        index.create(connection, checkfirst=True)

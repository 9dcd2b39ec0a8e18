"""Makes the read tables that are missing, and what lies beside them: balances, indexes, views.

A read table is derived: whoever dropped one, or put a log back without them, finds it made anew
by the next command that reads it. Where nothing can be missing nothing is locked, so that a
question never waits for writers: on SQLite the file says whether its tables have changed, on
PostgreSQL one short select names what is there.

Leaves out rows that are wrong: see `checks`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from salesflow.adapters.database.damage import lacking, tables_of_store
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.projector.left_out import LEFT_OUT, forget_left_out, stands_and_notes
from salesflow.adapters.projector.read_tables import (
    POSITIONS,
    PROJECTIONS,
    positions_of,
    start_position,
)
from salesflow.adapters.projector.sql_views import STANDING_VIEW, refresh_views
from salesflow.projections.table import Fold, ReadTable

__all__ = ["Mending"]


OBJECTS = {
    "sqlite": "SELECT type, name, tbl_name FROM sqlite_master"
    " WHERE tbl_name LIKE 'salesflow%' AND (type <> 'index' OR sql IS NOT NULL)",
    "postgresql": "SELECT CASE c.relkind WHEN 'i' THEN 'index' WHEN 'v' THEN 'view'"
    " ELSE 'table' END, c.relname::text, coalesce(t.relname, c.relname)::text"
    " FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid"
    " LEFT JOIN pg_class AS t ON t.oid = i.indrelid"
    " WHERE c.relname >= 'salesflow_' AND c.relname < 'salesflow`'"
    " AND c.relkind IN ('r', 'v', 'i') AND i.indisprimary IS NOT true"
    " AND pg_table_is_visible(coalesce(t.oid, c.oid))",
}
VERSION = "PRAGMA schema_version"


class Objects(NamedTuple):
    """What there is in the database."""

    tables: frozenset[str]
    views: frozenset[str]
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
        self._views = {table.view for table in self._tables.values()} | {STANDING_VIEW}
        self._version: object = None
        self._begun = False

    def mend(self) -> list[str]:
        """Make what is missing, and name the read tables that were or had missing parts.

        Another process may do so at the same time.

        Raises:
            UnwritableError: when something is missing and nothing can be written.
            DamagedError: when a table of the store itself is missing.
        """
        version = self._schema_version()
        if self._begun and version is not None and version == self._version:
            return []
        there = self._there(None)
        lost = sorted(tables_of_store(self._database.dialect) - there.tables)
        if lost:
            raise lacking(self._database.shown, lost)
        absent = self._lacking(there)
        if absent or not POSITIONS.tables.keys() <= there.tables or not self._all_begun():
            absent = self._make()
        if not self._begun or not self._views <= there.views or absent:
            refresh_views(self._database, self._tables.values())
        self._begun, self._version = True, self._schema_version()
        return absent

    def has_positions(self) -> bool:
        """Say whether it can be read where tables stand."""
        return POSITIONS.tables.keys() <= self._there(None).tables

    def restart(self) -> None:
        """Look again at everything the next time."""
        self._begun = False

    def _schema_version(self) -> object:
        """Give what SQLite changes with its tables; None where nothing tells."""
        if self._database.dialect != "sqlite":
            return None
        return self._database.rows(VERSION, ())[0][0]

    def _there(self, connection: sa.Connection | None) -> Objects:
        rows = self._database.rows(OBJECTS[self._database.dialect], (), connection)
        of: dict[str, set[str]] = {"table": set(), "view": set()}
        indexed: dict[str, int] = {}
        for kind, name, table in rows:
            if kind == "index":
                indexed[table] = indexed.get(table, 0) + 1
            elif kind in of:
                of[kind].add(name)
        return Objects(frozenset(of["table"]), frozenset(of["view"]), indexed)

    def _lacking(self, there: Objects) -> list[str]:
        return [name for name, shape in self._shapes.items() if _lacks(shape, there)]

    def _all_begun(self) -> bool:
        if self._begun:
            return True
        stands, _ = stands_and_notes(self._log, list(self._tables))
        return len(stands) == len(self._tables)

    def _make(self) -> list[str]:
        tenant = self._log.tenant
        with self._database.creating() as connection:
            there = self._there(connection)
            forgotten = PROJECTIONS.name in there.tables and LEFT_OUT.name not in there.tables
            if forgotten:  # nobody knows what they leave out, of any tenant and program
                connection.execute(sa.delete(PROJECTIONS))
            POSITIONS.create_all(connection)
            lacking = self._lacking(there)
            for name in lacking:
                self._make_one(connection, name, there)
            begun = positions_of(connection, tenant, self._tables)
            for name, table in self._tables.items():
                if name not in begun:
                    if name in there.tables:  # else it was made just now
                        self._empty(connection, name)
                    start_position(connection, tenant, name, table.revision)
        return list(self._tables) if forgotten else lacking

    def _make_one(self, connection: sa.Connection, name: str, there: Objects) -> None:
        """Make a read table, or what is missing beside it; without its rows all begins anew."""
        shape = self._shapes[name]
        if name not in there.tables:
            shape.drop_all(connection)
            if PROJECTIONS.name in there.tables:
                forget_left_out(connection, name)
                from_the_start = {"position": 0, "recorded": 0}
                c = PROJECTIONS.c
                connection.execute(
                    sa.update(PROJECTIONS).where(c.name == name).values(**from_the_start)
                )
        for table in shape.sorted_tables:
            if table.name in there.tables and name in there.tables:
                if there.indexed.get(table.name, 0) < len(table.indexes):
                    _make_indexes(connection, table.indexes)
            else:
                table.create(connection)

    def _empty(self, connection: sa.Connection, name: str) -> None:
        """Take away the rows of a table of which nobody knows where they stand."""
        forget_left_out(connection, name, self._log.tenant)
        for table in self._shapes[name].sorted_tables:
            mine: sa.Column[Any] = table.c.tenant
            connection.execute(sa.delete(table).where(mine == self._log.tenant))


def _lacks(shape: sa.MetaData, there: Objects) -> bool:
    return any(
        table.name not in there.tables or there.indexed.get(table.name, 0) < len(table.indexes)
        for table in shape.tables.values()
    )


def _make_indexes(connection: sa.Connection, indexes: Iterable[sa.Index]) -> None:
    for index in indexes:
        index.create(connection, checkfirst=True)

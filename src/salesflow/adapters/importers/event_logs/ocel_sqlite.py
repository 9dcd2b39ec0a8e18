"""Reads OCEL 2.0 kept in a SQLite database into a store.

The database is a stranger's: it is opened for reading alone, nothing of its schema is trusted,
views and virtual tables are refused where a table belongs, and a value that is larger than any
cell ends the import.

It is a module of its own, as one of three ways in which OCEL is written.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from salesflow.adapters.importers.csv import COLUMNS_MAX
from salesflow.adapters.importers.event_logs.log_bytes import LogBytes
from salesflow.adapters.importers.event_logs.ocel_store import (
    ObjectChange,
    OcelStore,
    Related,
    ToldEvent,
)
from salesflow.domain.time import Instant
from salesflow.domain.wording import quoted, shortened
from salesflow.errors import InputError

__all__ = ["read_sqlite"]


VALUE_MAX: Final = 1_000_000
TYPES_MAX: Final = 5_000
COLUMNS: Final = {
    "event": ("ocel_id", "ocel_type"),
    "object": ("ocel_id", "ocel_type"),
    "event_object": ("ocel_event_id", "ocel_object_id"),
    "event_map_type": ("ocel_type", "ocel_type_map"),
    "object_map_type": ("ocel_type", "ocel_type_map"),
}
"""What every OCEL 2.0 database has."""
QUALIFIER: Final = "ocel_qualifier"
NOTHING_TAKEN: Final = "nothing of it was taken"
ReadInstant = Callable[[str], Instant | None]


def read_sqlite(file: LogBytes, store: OcelStore, instant_of: ReadInstant) -> None:
    """Read a database into a store.

    Raises:
        InputError: when it has other tables than OCEL 2.0, or is damaged.
    """
    if file.packed:
        raise InputError("is a database packed by gzip; unpack it first")
    try:
        with closing(_connected(file)) as database:
            _Reader(database, store, instant_of).read()
    except InputError:
        raise
    except (sqlite3.Error, ValueError, OverflowError) as error:
        raise InputError(
            f"cannot be read as a database: {shortened(str(error))}; {NOTHING_TAKEN}"
        ) from error


def _connected(file: LogBytes) -> sqlite3.Connection:
    path = quote(str(file.at_rest.resolve()))
    waiting = file.at_rest.with_name(f"{file.at_rest.name}-wal")
    how = "mode=ro" if waiting.exists() else "mode=ro&immutable=1"
    database = sqlite3.connect(f"file:{path}?{how}", uri=True)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_MAX)
    database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    for setting in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
        database.execute(f"PRAGMA {setting}")
    return database


class _Reader:
    """Reads one database."""

    def __init__(
        self, database: sqlite3.Connection, store: OcelStore, instant_of: ReadInstant
    ) -> None:
        self._database = database
        self._store = store
        self._instant_of = instant_of
        self._tables = self._all_tables()
        for table, columns in COLUMNS.items():
            self._ensure(table, columns)

    def read(self) -> None:
        """Read all of it: objects, what they were, events, and how they are related."""
        self._read_objects()
        types = self._types("object_map_type")
        for type, table in types:
            self._read_values(type, table)
        self._read_events()

    def _read_objects(self) -> None:
        for id, type in self._rows("object", COLUMNS["object"]):
            self._store.add_object(id, type)
        if "object_object" not in self._tables:
            return
        ends = ("ocel_source_id", "ocel_target_id")
        for source, target, *qualifier in self._rows(
            "object_object", self._qualified("object_object", ends)
        ):
            self._store.relate_objects(source, Related(target, "", *(qualifier or [""])))

    def _read_values(self, type: str, table: str) -> None:
        names = self._attributes(table)
        self._store.declare_object(type, names)
        changed = [each for each in ("ocel_changed_field",) if each in self._tables[table]]
        for id, time, *cells in self._rows(table, ("ocel_id", "ocel_time", *names, *changed)):
            field = cells.pop() if changed else ""
            at = self._instant_of(time) if time else 0
            for name, value in zip(names, cells, strict=True):
                if (field and name != field) or (not field and not value):
                    continue
                change = ObjectChange(None, name, time, at)
                self._store.add_change(Related(id, type, ""), change, value)

    def _read_events(self) -> None:
        store = self._store
        for type, table in self._types("event_map_type"):
            names = self._attributes(table)
            store.declare_event(names)
            for id, time, *cells in self._rows(table, ("ocel_id", "ocel_time", *names)):
                told = {n: each for n, each in zip(names, cells, strict=True) if each}
                store.tell_apart(ToldEvent(None, id, type, time, told, ()))
        columns = self._qualified("event_object", COLUMNS["event_object"])
        for event, object, *qualifier in self._rows("event_object", columns):
            store.relate_apart(event, Related(object, "", *(qualifier or [""])))
        for id, type in self._rows("event", COLUMNS["event"]):
            store.event_apart(id, type)
        store.join()

    def _all_tables(self) -> dict[str, list[str]]:
        """Return the columns of every real table."""
        listed = self._database.execute(
            "SELECT CAST(name AS TEXT), CAST(sql AS TEXT) FROM sqlite_master"
            " WHERE type = 'table' AND name IS NOT NULL AND sql IS NOT NULL LIMIT ?",
            (TYPES_MAX,),
        ).fetchall()
        return {
            name: [
                row[1] for row in self._database.execute(f"PRAGMA table_info({_name(name)})")
            ]
            for name, sql in listed
            if not sql.lstrip().upper().startswith("CREATE VIRTUAL")
        }

    def _ensure(self, table: str, columns: Sequence[str]) -> None:
        if table not in self._tables:
            there = shortened(", ".join(sorted(self._tables))) or "none"
            raise InputError(
                f"is a database, but no OCEL 2.0: it has no table {quoted(shortened(table))}"
                f" (tables: {there}); {NOTHING_TAKEN}"
            )
        for name in columns:
            if name not in self._tables[table]:
                raise InputError(
                    f"is no OCEL 2.0: its table {quoted(shortened(table))} has no column"
                    f" {name}; {NOTHING_TAKEN}"
                )

    def _types(self, table: str) -> list[tuple[str, str]]:
        """Return the types and the tables that their attributes stand in."""
        kind = table.partition("_")[0]
        types = [(type, f"{kind}_{short}") for type, short in self._rows(table, COLUMNS[table])]
        for _, name in types:
            self._ensure(name, ("ocel_id", "ocel_time"))
        return types

    def _attributes(self, table: str) -> list[str]:
        return [name for name in self._tables[table] if not name.startswith("ocel_")]

    def _qualified(self, table: str, columns: Sequence[str]) -> tuple[str, ...]:
        return (*columns, QUALIFIER) if QUALIFIER in self._tables[table] else tuple(columns)

    def _rows(self, table: str, columns: Sequence[str]) -> Iterator[list[str]]:
        """Read columns of a table as texts."""
        if len(columns) > COLUMNS_MAX:
            raise InputError(f"has a table of more than {COLUMNS_MAX:,} columns")
        listed = ", ".join(map(_name, columns))
        for row in self._database.execute(f"SELECT {listed} FROM {_name(table)}"):
            yield [_text(value, table) for value in row]


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: Any, table: str) -> str:  # noqa: ANN401 - whatever SQLite holds
    match value:
        case None:
            return ""
        case str():
            return value
        case float():
            return f"{Decimal(repr(value)):f}" if abs(value) < 1e40 else repr(value)
        case bytes():
            raise InputError(
                f"holds bytes where a text belongs, in table {quoted(shortened(table))};"
                f" {NOTHING_TAKEN}"
            )
        case _:
            return str(value)

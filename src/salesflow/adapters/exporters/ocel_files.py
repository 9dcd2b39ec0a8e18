"""The three formats of OCEL 2.0: JSON, XML and SQLite, written from what was gathered."""

import json
import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from json.encoder import encode_basestring as json_quoted
from typing import Any, Final, NamedTuple

from salesflow.adapters.exporters.ocel import (
    GATHERED_OBJECTS,
    LONG_FLOAT,
    RECORDED_BY,
    utc_text,
)
from salesflow.adapters.exporters.xml_text import xml_quoted as _q
from salesflow.adapters.exporters.xml_text import xml_text

__all__ = ["Write", "write_ocel_json", "write_ocel_sqlite", "write_ocel_xml"]


Write = Callable[[bytes], object]

EVENT_TYPES: Final = "SELECT DISTINCT type FROM event ORDER BY type"
EVENT_ATTRIBUTES: Final = (
    "SELECT type, name, kind FROM event_attribute ORDER BY type, name, kind"
)
OBJECT_ATTRIBUTES: Final = (
    "SELECT DISTINCT o.type, a.name, a.kind FROM object AS o"
    " JOIN object_attribute AS a ON a.object = o.id ORDER BY o.type, a.name, a.kind"
)
EVENTS: Final = "SELECT id, type, time, actor, said, related FROM event ORDER BY time, number"
EVENTS_BY_ID: Final = EVENTS.replace("time, number", "id")
"""As they go into tables whose keys begin with the id: in its order that is twice as fast."""
OBJECTS: Final = "SELECT id, type FROM object ORDER BY type, id"
OF_OBJECT: Final = (
    "SELECT name, value, time, number FROM object_attribute WHERE object = ?"
    " ORDER BY number, name"
)
CONNECTED: Final = (
    "SELECT target, qualifier FROM object_object WHERE source = ? ORDER BY target, qualifier"
)


class OcelType(NamedTuple):
    """A type of events or objects, and the names and types of its attributes."""

    name: str
    attributes: list[tuple[str, str]]
    table: str
    """What its table is called in SQLite, behind its kind, as in DealQuoteIssued."""
    long: frozenset[str]
    """Attributes of which some numbers have more digits than a float keeps."""


class GatheredEvent(NamedTuple):
    """An event as it was gathered; what is said of it and its relations are JSON."""

    id: str
    type: str
    time: int
    actor: str | None
    """Who recorded it, where that is a rep."""
    said: str
    related: str

    def attributes(self) -> list[tuple[str, str]]:
        """Return the names and values of what is said of it."""
        return [(each["name"], each["value"]) for each in json.loads(self.said)]

    def relations(self) -> list[tuple[str, str]]:
        """Return the objects it is about, and as what."""
        given = [(each["objectId"], each["qualifier"]) for each in json.loads(self.related)]
        return given if self.actor is None else [*given, (f"rep:{self.actor}", RECORDED_BY)]


def _events(gathered: sqlite3.Connection, asked: str = EVENTS) -> Iterator[GatheredEvent]:
    return map(GatheredEvent._make, gathered.execute(asked))


def _event_types(gathered: sqlite3.Connection) -> list[OcelType]:
    names = [name for (name,) in gathered.execute(EVENT_TYPES)]
    return _types(names, gathered.execute(EVENT_ATTRIBUTES))


def _object_types(gathered: sqlite3.Connection) -> list[OcelType]:
    return _types(GATHERED_OBJECTS, gathered.execute(OBJECT_ATTRIBUTES))


def _types(names: Iterable[str], attributes: Iterable[tuple[str, str, str]]) -> list[OcelType]:
    kinds: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    for of, name, kind in attributes:
        kinds[of].setdefault(name, []).append(kind)
    found = {
        of: [(name, _kind_of(told)) for name, told in each.items()]
        for of, each in kinds.items()
    }
    tables: list[str] = []
    for name in found:
        table = "".join(part.capitalize() for part in re.split(r"\W|_", name))
        tables.append(table if table not in tables else f"{table}{len(tables)}")
    return [
        OcelType(of, found[of], table, frozenset(n for n, k in each.items() if LONG_FLOAT in k))
        for (of, each), table in zip(kinds.items(), tables, strict=True)
    ]


def _kind_of(told: Collection[str]) -> str:
    """Return the type of an attribute: a text where it is told in several."""
    kinds = {"float" if kind == LONG_FLOAT else kind for kind in told}
    return kinds.pop() if len(kinds) == 1 else "string"


# JSON.


def write_ocel_json(gathered: sqlite3.Connection, write: Write) -> None:
    """Write what was gathered as JSON, valid by the schema of the standard."""
    for key, types in (
        ("eventTypes", _event_types(gathered)),
        ("objectTypes", _object_types(gathered)),
    ):
        listed = [
            {"name": each.name, "attributes": [{"name": n, "type": t} for n, t in each[1]]}
            for each in types
        ]
        write(f"{'{' if key == 'eventTypes' else ','}{_json(key)}:{_json(listed)}".encode())
    write(b',"objects":[')
    _write_items(write, map(_json, _json_objects(gathered)))
    write(b'],"events":[')
    _write_items(write, map(_json_event, _events(gathered)))
    write(b"]}\n")


def _write_items(write: Write, items: Iterator[str]) -> None:
    for number, item in enumerate(items):
        write(f"{',' if number else ''}\n{item}".encode())


_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _json_objects(gathered: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    for id, kind in gathered.execute(OBJECTS):
        yield {
            "id": id,
            "type": kind,
            "attributes": [
                {"name": name, "value": value, "time": utc_text(time)}
                for name, value, time, _ in gathered.execute(OF_OBJECT, (id,))
            ],
            "relationships": _json_relations(gathered.execute(CONNECTED, (id,))),
        }


def _json_event(event: GatheredEvent) -> str:
    """Return an event as JSON; most of it was gathered as such."""
    related = event.related
    if event.actor is not None:
        by = {"objectId": f"rep:{event.actor}", "qualifier": RECORDED_BY}
        related = f"{related[:-1]}{',' if len(related) > len('[]') else ''}{_json(by)}]"
    begins = f'{{"id":{json_quoted(event.id)},"type":{json_quoted(event.type)}'
    told = f'"attributes":{event.said},"relationships":{related}'
    return f'{begins},"time":"{utc_text(event.time)}",{told}}}'


def _json_relations(rows: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"objectId": object, "qualifier": qualifier} for object, qualifier in rows]


# XML.


def write_ocel_xml(gathered: sqlite3.Connection, write: Write) -> None:
    """Write what was gathered as XML."""
    write(b'<?xml version="1.0" encoding="UTF-8"?>\n<log>\n')
    for tag, types in (
        ("object-type", _object_types(gathered)),
        ("event-type", _event_types(gathered)),
    ):
        listed = "".join(_xml_type(tag, each) for each in types)
        write(f"<{tag}s>\n{listed}</{tag}s>\n".encode())
    write(b"<objects>\n")
    for id, kind in gathered.execute(OBJECTS):
        said = "".join(
            f"<attribute name={_q(name)} time={_q(utc_text(time))}>{xml_text(value)}"
            "</attribute>"
            for name, value, time, _ in gathered.execute(OF_OBJECT, (id,))
        )
        opening = f"object id={_q(id)} type={_q(kind)}"
        write(_xml_item(opening, said, gathered.execute(CONNECTED, (id,))))
    write(b"</objects>\n<events>\n")
    for event in _events(gathered):
        said = "".join(
            f"<attribute name={_q(name)}>{xml_text(value)}</attribute>"
            for name, value in event.attributes()
        )
        opening = f"event id={_q(event.id)} type={_q(event.type)}"
        opening += f" time={_q(utc_text(event.time))}"
        write(_xml_item(opening, said, event.relations()))
    write(b"</events>\n</log>\n")


def _xml_item(opening: str, attributes: str, related: Iterable[tuple[str, str]]) -> bytes:
    """Write an object or event, its attributes and relations."""
    tag, objects = opening.partition(" ")[0], _xml_relations(related)
    inside = f"<attributes>{attributes}</attributes><objects>{objects}</objects>"
    return f"<{opening}>{inside}</{tag}>\n".encode()


def _xml_type(tag: str, of: OcelType) -> str:
    attributes = "".join(
        f"<attribute name={_q(name)} type={_q(kind)}/>" for name, kind in of.attributes
    )
    return f"<{tag} name={_q(of.name)}><attributes>{attributes}</attributes></{tag}>\n"


def _xml_relations(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(
        f"<relationship object-id={_q(object)} qualifier={_q(qualifier)}/>"
        for object, qualifier in rows
    )


# SQLite.

COLUMN_TYPES: Final = {
    "string": "TEXT",
    "float": "REAL",
    "integer": "INTEGER",
    "boolean": "BOOLEAN",
    "time": "TIMESTAMP",
}
ROWS_TOGETHER: Final = 10_000
EXACT: Final = "_exact"
"""Ends the name of the column of texts beside one of numbers too long for SQLite's REAL."""
NO_TIME: Final = "1970-01-01 00:00:00"
"""The time of what an object was at first, by the standard."""
RELATIONS: Final = """
CREATE TABLE event_map_type (ocel_type TEXT PRIMARY KEY, ocel_type_map TEXT);
CREATE TABLE object_map_type (ocel_type TEXT PRIMARY KEY, ocel_type_map TEXT);
CREATE TABLE event (ocel_id TEXT PRIMARY KEY,
    ocel_type TEXT REFERENCES event_map_type (ocel_type)) WITHOUT ROWID;
CREATE TABLE object (ocel_id TEXT PRIMARY KEY,
    ocel_type TEXT REFERENCES object_map_type (ocel_type)) WITHOUT ROWID;
CREATE TABLE event_object (ocel_event_id TEXT REFERENCES event (ocel_id),
    ocel_object_id TEXT REFERENCES object (ocel_id), ocel_qualifier TEXT,
    PRIMARY KEY (ocel_event_id, ocel_object_id, ocel_qualifier)) WITHOUT ROWID;
CREATE TABLE object_object (ocel_source_id TEXT REFERENCES object (ocel_id),
    ocel_target_id TEXT REFERENCES object (ocel_id), ocel_qualifier TEXT,
    PRIMARY KEY (ocel_source_id, ocel_target_id, ocel_qualifier)) WITHOUT ROWID;
"""


def write_ocel_sqlite(gathered: sqlite3.Connection, out: sqlite3.Connection) -> None:
    """Write what was gathered into an empty SQLite file."""
    out.executescript(RELATIONS)
    out.execute("BEGIN")
    events = {each.name: each for each in _event_types(gathered)}
    objects = {each.name: each for each in _object_types(gathered)}
    for kind, types in (("event", events), ("object", objects)):
        for each in types.values():
            out.execute(f"INSERT INTO {kind}_map_type VALUES (?, ?)", (each.name, each.table))
            out.execute(_table_of(kind, each))
    rows = _RowsTogether(out)
    for id, kind in gathered.execute(OBJECTS):
        rows.add("object", id, kind)
        _put_object(gathered, rows, id, objects[kind])
    for row in gathered.execute("SELECT * FROM object_object"):
        rows.add("object_object", *row)
    for event in _events(gathered, EVENTS_BY_ID):
        rows.add("event", event.id, event.type)
        known = [event.id, _time(event.time)]
        of = events[event.type]
        rows.add(f"event_{of.table}", *known, *_cells(of, dict(event.attributes())))
        for related in event.relations():
            rows.add("event_object", event.id, *related)
    rows.write()
    out.execute("COMMIT")


class _RowsTogether:
    """Rows on their way into tables, thousands at a time."""

    def __init__(self, out: sqlite3.Connection) -> None:
        self._out = out
        self._rows: dict[str, list[tuple[object, ...]]] = {}
        self._count = 0

    def add(self, table: str, *row: object) -> None:
        """Add a row with a value for each column."""
        self._rows.setdefault(table, []).append(row)
        self._count += 1
        if self._count == ROWS_TOGETHER:
            self.write()

    def write(self) -> None:
        """Write the rows that are there."""
        for table, rows in self._rows.items():
            marks = ", ".join("?" * len(rows[0]))
            self._out.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        self._rows, self._count = {}, 0


def _table_of(kind: str, of: OcelType) -> str:
    columns = ["ocel_id TEXT", "ocel_time TIMESTAMP"]
    if kind == "object":
        columns.append("ocel_changed_field TEXT")
    columns += [f'"{name}" {COLUMN_TYPES[type]}' for name, type in of.attributes]
    columns += [f'"{name}{EXACT}" TEXT' for name in sorted(of.long)]
    return f"CREATE TABLE {kind}_{of.table} ({', '.join(columns)})"


def _put_object(
    gathered: sqlite3.Connection, rows: _RowsTogether, id: str, of: OcelType
) -> None:
    """Put in an object, and a row for each thing that was said of it, with its time.

    The row of an object itself says nothing: what stands there would hold since 1970.
    """
    table = f"object_{of.table}"
    rows.add(table, id, NO_TIME, None, *_cells(of, {}))
    for name, value, at, _ in gathered.execute(OF_OBJECT, (id,)):
        cells = _cells(of, {name: value})
        rows.add(table, id, _time(at), name, *cells)
        if name in of.long:
            rows.add(table, id, _time(at), f"{name}{EXACT}", *cells)


def _cells(of: OcelType, said: Mapping[str, str]) -> list[str | None]:
    """Return what is said, column by column; a long number as a text too."""
    cells = [_cell(said[name], kind) if name in said else None for name, kind in of.attributes]
    return [*cells, *(said.get(name) for name in sorted(of.long))]


def _cell(value: str, kind: str) -> str:
    if kind == "time":
        return value.replace("T", " ").replace("Z", "")
    return {"true": "1", "false": "0"}.get(value, value) if kind == "boolean" else value


def _time(at: int) -> str:
    return _cell(utc_text(at), "time")

"""The three formats of OCEL 2.0: JSON, XML and SQLite, written from what was gathered."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from salesflow.adapters.exporters.ocel import GATHERED_OBJECTS, utc_text
from salesflow.adapters.exporters.xml_text import xml_quoted as _q
from salesflow.adapters.exporters.xml_text import xml_text

__all__ = ["Write", "write_ocel_json", "write_ocel_sqlite", "write_ocel_xml"]


Write = Callable[[bytes], object]

EVENT_TYPES: Final = "SELECT DISTINCT type FROM event ORDER BY type"
EVENT_ATTRIBUTES: Final = (
    "SELECT e.type, a.name, CASE WHEN count(DISTINCT a.kind) = 1 THEN min(a.kind)"
    " ELSE 'string' END FROM event AS e JOIN event_attribute AS a ON a.event = e.number"
    " GROUP BY e.type, a.name ORDER BY e.type, a.name"
)
OBJECT_ATTRIBUTES: Final = (
    "SELECT o.type, a.name, CASE WHEN count(DISTINCT a.kind) = 1 THEN min(a.kind)"
    " ELSE 'string' END FROM object AS o JOIN object_attribute AS a ON a.object = o.id"
    " GROUP BY o.type, a.name ORDER BY o.type, a.name"
)
EVENTS: Final = "SELECT number, id, type, time FROM event ORDER BY time, number"
OBJECTS: Final = "SELECT id, type FROM object ORDER BY type, id"
OF_EVENT: Final = "SELECT name, value FROM event_attribute WHERE event = ? ORDER BY name"
OF_OBJECT: Final = (
    "SELECT name, value, time, number FROM object_attribute WHERE object = ?"
    " ORDER BY number, name"
)
RELATED: Final = (
    "SELECT object, qualifier FROM event_object WHERE event = ? ORDER BY object, qualifier"
)
ALL_RELATED: Final = (
    "SELECT e.id, r.object, r.qualifier FROM event_object AS r"
    " JOIN event AS e ON e.number = r.event"
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


def _event_types(gathered: sqlite3.Connection) -> list[OcelType]:
    names = [name for (name,) in gathered.execute(EVENT_TYPES)]
    return _types(names, gathered.execute(EVENT_ATTRIBUTES))


def _object_types(gathered: sqlite3.Connection) -> list[OcelType]:
    return _types(GATHERED_OBJECTS, gathered.execute(OBJECT_ATTRIBUTES))


def _types(names: Iterable[str], attributes: Iterable[tuple[str, str, str]]) -> list[OcelType]:
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in names}
    for of, name, kind in attributes:
        found[of].append((name, kind))
    tables: list[str] = []
    for name in found:
        table = "".join(part.capitalize() for part in re.split(r"\W|_", name))
        tables.append(table if table not in tables else f"{table}{len(tables)}")
    return [OcelType(*each, table) for each, table in zip(found.items(), tables, strict=True)]


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
    _write_items(write, _json_objects(gathered))
    write(b'],"events":[')
    _write_items(write, _json_events(gathered))
    write(b"]}\n")


def _write_items(write: Write, items: Iterator[dict[str, Any]]) -> None:
    for number, item in enumerate(items):
        write(f"{',' if number else ''}\n{_json(item)}".encode())


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


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


def _json_events(gathered: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    for number, id, kind, time in gathered.execute(EVENTS):
        yield {
            "id": id,
            "type": kind,
            "time": utc_text(time),
            "attributes": [
                {"name": name, "value": value}
                for name, value in gathered.execute(OF_EVENT, (number,))
            ],
            "relationships": _json_relations(gathered.execute(RELATED, (number,))),
        }


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
    for number, id, kind, time in gathered.execute(EVENTS):
        said = "".join(
            f"<attribute name={_q(name)}>{xml_text(value)}</attribute>"
            for name, value in gathered.execute(OF_EVENT, (number,))
        )
        opening = f"event id={_q(id)} type={_q(kind)} time={_q(utc_text(time))}"
        write(_xml_item(opening, said, gathered.execute(RELATED, (number,))))
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
NO_TIME: Final = "1970-01-01 00:00:00"
"""The time of what an object was at first, by the standard."""
RELATIONS: Final = """
CREATE TABLE event_map_type (ocel_type TEXT PRIMARY KEY, ocel_type_map TEXT);
CREATE TABLE object_map_type (ocel_type TEXT PRIMARY KEY, ocel_type_map TEXT);
CREATE TABLE event (ocel_id TEXT PRIMARY KEY,
    ocel_type TEXT REFERENCES event_map_type (ocel_type));
CREATE TABLE object (ocel_id TEXT PRIMARY KEY,
    ocel_type TEXT REFERENCES object_map_type (ocel_type));
CREATE TABLE event_object (ocel_event_id TEXT REFERENCES event (ocel_id),
    ocel_object_id TEXT REFERENCES object (ocel_id), ocel_qualifier TEXT,
    PRIMARY KEY (ocel_event_id, ocel_object_id, ocel_qualifier));
CREATE TABLE object_object (ocel_source_id TEXT REFERENCES object (ocel_id),
    ocel_target_id TEXT REFERENCES object (ocel_id), ocel_qualifier TEXT,
    PRIMARY KEY (ocel_source_id, ocel_target_id, ocel_qualifier));
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
    for id, kind in gathered.execute(OBJECTS):
        out.execute("INSERT INTO object VALUES (?, ?)", (id, kind))
        _put_object(gathered, out, id, objects[kind])
    _put_related(out, "object_object", gathered.execute("SELECT * FROM object_object"))
    for number, id, kind, time in gathered.execute(EVENTS):
        out.execute("INSERT INTO event VALUES (?, ?)", (id, kind))
        said = dict(gathered.execute(OF_EVENT, (number,)))
        _put(out, "event", events[kind], {"ocel_id": id, "ocel_time": _time(time)}, said)
    _put_related(out, "event_object", gathered.execute(ALL_RELATED))
    out.execute("COMMIT")


def _put_related(
    out: sqlite3.Connection, table: str, rows: Iterable[tuple[str, str, str]]
) -> None:
    out.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)


def _table_of(kind: str, of: OcelType) -> str:
    columns = ["ocel_id TEXT", "ocel_time TIMESTAMP"]
    if kind == "object":
        columns.append("ocel_changed_field TEXT")
    columns += [f'"{name}" {COLUMN_TYPES[type]}' for name, type in of.attributes]
    return f"CREATE TABLE {kind}_{of.table} ({', '.join(columns)})"


def _put_object(
    gathered: sqlite3.Connection, out: sqlite3.Connection, id: str, of: OcelType
) -> None:
    """Put in an object, and a row for each thing that was said of it, with its time.

    The row of an object itself says nothing: what stands there would hold since 1970.
    """
    _put(out, "object", of, {"ocel_id": id, "ocel_time": NO_TIME}, {})
    for name, value, at, _ in gathered.execute(OF_OBJECT, (id,)):
        change = {"ocel_id": id, "ocel_time": _time(at), "ocel_changed_field": name}
        _put(out, "object", of, change, {name: value})


def _put(
    out: sqlite3.Connection,
    kind: str,
    of: OcelType,
    known: dict[str, str],
    said: dict[str, str],
) -> None:
    types = dict(of.attributes)
    cells = known | {name: _cell(value, types[name]) for name, value in said.items()}
    names, marks = ", ".join(f'"{name}"' for name in cells), ", ".join("?" * len(cells))
    statement = f"INSERT INTO {kind}_{of.table} ({names}) VALUES ({marks})"
    out.execute(statement, [*cells.values()])


def _cell(value: str, kind: str) -> str:
    if kind == "time":
        return value.replace("T", " ").replace("Z", "")
    return {"true": "1", "false": "0"}.get(value, value) if kind == "boolean" else value


def _time(at: int) -> str:
    return _cell(utc_text(at), "time")

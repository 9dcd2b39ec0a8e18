"""Small event logs, written by hand: XES, and OCEL 2.0 in its three forms."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from importing.desk import Desk
from salesflow.adapters.importers import ImportReport
from salesflow.adapters.importers.event_logs.importer import import_ocel, import_xes

__all__ = [
    "OCEL_MAPPING",
    "ORDERS",
    "XES_MAPPING",
    "Log",
    "bring_ocel",
    "bring_xes",
    "ocel_json",
    "ocel_sqlite",
    "ocel_xml",
    "xes",
    "xes_event",
]

XES_MAPPING = """
source = "log"
rows = "events"
object = "case:concept:name"
at = "time:timestamp"
actor = "org:resource"
timezone = "Europe/Berlin"
currency = "EUR"
twins = "keep"

[[facts]]
kind = "deal.opened"
when = { column = "concept:name", is = "opened" }

[facts.fields]
amount = { column = "case:amount", on_error = "refuse" }

[[facts]]
kind = "deal.message_posted"
when = { not = { column = "concept:name", is = "opened" } }

[facts.fields]
text = "concept:name"
by = "org:resource"

[columns."case:amount"]
optional = true

[columns."org:resource"]
optional = true
"""


def xes_event(name: str, time: str = "2026-03-02T10:00:00+01:00", *more: str) -> str:
    return (
        f'<event>\n<string key="concept:name" value={quoteattr(name)}/>\n'
        f'<date key="time:timestamp" value={quoteattr(time)}/>\n'
        + "".join(f"{each}\n" for each in more)
        + "</event>\n"
    )


def xes(traces: Mapping[str, Iterable[str]], *, of_case: str = "", before: str = "") -> str:
    """Write a log: the events of each case, and what stands in every trace or before all."""
    body = "".join(
        f'<trace>\n<string key="concept:name" value={quoteattr(case)}/>\n{of_case}'
        + "".join(events)
        + "</trace>\n"
        for case, events in traces.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<log xes.version="1.0" xmlns="http://www.xes-standard.org/">\n{before}{body}</log>\n'
    )


def bring_xes(
    desk: Desk,
    content: str | bytes,
    *,
    mapping: str = XES_MAPPING,
    name: str = "log.xes",
    strict: bool = False,
    apply_changes: bool = False,
    trial: bool = False,
) -> ImportReport:
    report = import_xes(
        desk.file(name, content if isinstance(content, bytes) else content.encode()),
        desk.file("mapping.toml", mapping),
        log=desk.log,
        strict=strict,
        apply_changes=apply_changes,
        trial=trial,
    )
    assert report.check(), report
    return report


OCEL_MAPPING = """
source = "orders"
rows = "events"
object = ["ocel:type:order", "ocel:type:order via invoice"]
at = "ocel:timestamp"
event_id = "ocel:eid"
timezone = "Europe/Berlin"
currency = "EUR"

[[facts]]
kind = "deal.opened"
when = { column = "ocel:activity", is = "place" }

[facts.fields]
amount = "ocel:type:order/total"
owner = "ocel:type:rep[owner]"

[[facts]]
kind = "deal.forecast_given"
when = { column = "ocel:field", is = "total" }

[facts.fields]
amount = "ocel:type:order/total"

[[facts]]
kind = "deal.message_posted"
when = { column = "ocel:activity", is_not = "place", filled = true }

[facts.fields]
text = "ocel:activity"
to = { column = "ocel:type:rep", split = "\\n" }

[[leave_out]]
when = { column = ["ocel:type:order", "ocel:type:order via invoice"], empty = true }
because = "about no order"
"""

Log = dict[str, list[Any]]

ORDERS: Log = {
    "eventTypes": [{"name": "place", "attributes": [{"name": "note", "type": "string"}]}],
    "objectTypes": [
        {"name": "order", "attributes": [{"name": "total", "type": "float"}]},
        {"name": "rep", "attributes": []},
        {"name": "invoice", "attributes": []},
    ],
    "events": [
        {
            "id": "e1",
            "type": "place",
            "time": "2026-03-02T10:00:00Z",
            "attributes": [{"name": "note", "value": "by phone"}],
            "relationships": [
                {"objectId": "o1", "qualifier": "placed"},
                {"objectId": "r1", "qualifier": "owner"},
                {"objectId": "r1", "qualifier": "author"},
                {"objectId": "r2", "qualifier": "helper"},
            ],
        },
        {
            "id": "e2",
            "type": "place",
            "time": "2026-03-02T11:00:00Z",
            "relationships": [
                {"objectId": "o2", "qualifier": "placed"},
                {"objectId": "r2", "qualifier": "owner"},
            ],
        },
        {
            "id": "e3",
            "type": "pack",
            "time": "2026-03-03T10:00:00Z",
            "relationships": [
                {"objectId": "o1", "qualifier": ""},
                {"objectId": "o2", "qualifier": ""},
                {"objectId": "r1", "qualifier": "packer"},
                {"objectId": "r2", "qualifier": "packer"},
            ],
        },
        {
            "id": "e4",
            "type": "remind",
            "time": "2026-03-09T10:00:00Z",
            "relationships": [{"objectId": "i1", "qualifier": "sent"}],
        },
        {"id": "e5", "type": "close books", "time": "2026-03-31T10:00:00Z"},
    ],
    "objects": [
        {
            "id": "o1",
            "type": "order",
            "attributes": [
                {"name": "total", "time": "1970-01-01T00:00:00Z", "value": "100.50"},
                {"name": "total", "time": "2026-03-05T08:00:00Z", "value": "120.00"},
            ],
            "relationships": [{"objectId": "i1", "qualifier": "billed"}],
        },
        {
            "id": "o2",
            "type": "order",
            "attributes": [{"name": "total", "time": "1970-01-01T00:00:00Z", "value": "7"}],
        },
        {"id": "r1", "type": "rep"},
        {"id": "r2", "type": "rep"},
        {"id": "i1", "type": "invoice"},
    ],
}
"""Two orders packed in one event, a rep with two qualifiers, an invoice, a changed total."""


def ocel_json(log: Log = ORDERS) -> bytes:
    return json.dumps(log).encode()


def _values(told: Sequence[Mapping[str, str]]) -> str:
    return "".join(
        f"<attribute name={quoteattr(a['name'])}"
        + (f" time={quoteattr(a['time'])}" if "time" in a else "")
        + f">{a['value']}</attribute>\n"
        for a in told
    )


def _related(told: Sequence[Mapping[str, str]]) -> str:
    return "".join(
        f"<relationship object-id={quoteattr(r['objectId'])}"
        f" qualifier={quoteattr(r['qualifier'])}/>\n"
        for r in told
    )


def ocel_xml(log: Log = ORDERS) -> bytes:
    """Write the same log in XML."""

    def record(kind: str, each: Mapping[str, Any]) -> str:
        time = f" time={quoteattr(str(each['time']))}" if "time" in each else ""
        return (
            f"<{kind} id={quoteattr(str(each['id']))} type={quoteattr(str(each['type']))}"
            f"{time}>\n<attributes>{_values(each.get('attributes', []))}</attributes>\n"
            f"<objects>{_related(each.get('relationships', []))}</objects>\n</{kind}>\n"
        )

    def declared(kind: str, each: Mapping[str, Any]) -> str:
        named: list[dict[str, str]] = each["attributes"]
        names = "".join(f"<attribute name={quoteattr(a['name'])}/>" for a in named)
        name = quoteattr(str(each["name"]))
        return f"<{kind} name={name}><attributes>{names}</attributes></{kind}>\n"

    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<log>\n<object-types>'
        + "".join(declared("object-type", each) for each in log["objectTypes"])
        + "</object-types>\n<event-types>"
        + "".join(declared("event-type", each) for each in log["eventTypes"])
        + "</event-types>\n<events>\n"
        + "".join(record("event", each) for each in log["events"])
        + "</events>\n<objects>\n"
        + "".join(record("object", each) for each in log["objects"])
        + "</objects>\n</log>\n"
    ).encode()


def ocel_sqlite(folder: Path, log: Log = ORDERS) -> bytes:
    """Write the same log as a database."""
    path = folder / "written.sqlite"
    path.unlink(missing_ok=True)
    file = sqlite3.connect(path)
    for kind in ("event", "object"):
        _tell_all(file, kind, log[f"{kind}Types"], log[f"{kind}s"])
    file.execute("CREATE TABLE event_object (ocel_event_id, ocel_object_id, ocel_qualifier)")
    file.execute("CREATE TABLE object_object (ocel_source_id, ocel_target_id, ocel_qualifier)")
    for kind in ("event", "object"):
        for each in log[f"{kind}s"]:
            for to in each.get("relationships", []):
                row = (each["id"], to["objectId"], to["qualifier"])
                file.execute(f"INSERT INTO {kind}_object VALUES (?, ?, ?)", row)
    file.commit()
    file.close()
    return path.read_bytes()


def _tell_all(
    file: sqlite3.Connection,
    kind: str,
    types: Sequence[dict[str, Any]],
    records: Sequence[dict[str, Any]],
) -> None:
    file.execute(f"CREATE TABLE {kind} (ocel_id TEXT PRIMARY KEY, ocel_type TEXT)")
    file.execute(f"CREATE TABLE {kind}_map_type (ocel_type TEXT, ocel_type_map TEXT)")
    names: dict[str, list[str]] = {each["type"]: [] for each in records}
    names |= {each["name"]: [a["name"] for a in each["attributes"]] for each in types}
    for i, (type, columns) in enumerate(names.items()):
        file.execute(f"INSERT INTO {kind}_map_type VALUES (?, ?)", (type, f"T{i}"))
        own = "".join(f', "{name}" TEXT' for name in columns)
        own += ", ocel_changed_field TEXT" if kind == "object" else ""
        file.execute(f"CREATE TABLE {kind}_T{i} (ocel_id TEXT, ocel_time TEXT{own})")
    places = {type: i for i, type in enumerate(names)}
    for each in records:
        file.execute(f"INSERT INTO {kind} VALUES (?, ?)", (each["id"], each["type"]))
        _tell(file, f"{kind}_T{places[each['type']]}", kind, each)


def _tell(file: sqlite3.Connection, table: str, kind: str, each: Mapping[str, Any]) -> None:
    told = each.get("attributes", [])
    if kind == "event":
        columns = ["ocel_id", "ocel_time", *(a["name"] for a in told)]
        _insert(file, table, columns, [each["id"], each["time"], *(a["value"] for a in told)])
        return
    for a in told:
        first = a["time"].startswith("1970")
        columns = ["ocel_id", "ocel_time", a["name"], "ocel_changed_field"]
        changed = None if first else a["name"]
        _insert(file, table, columns, [each["id"], a["time"], a["value"], changed])


def _insert(
    file: sqlite3.Connection, table: str, columns: Sequence[str], row: Sequence[str | None]
) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join("?" for _ in row)
    file.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", row)


def bring_ocel(
    desk: Desk,
    content: bytes,
    *,
    mapping: str = OCEL_MAPPING,
    name: str = "log.ocel",
    strict: bool = False,
    apply_changes: bool = False,
) -> ImportReport:
    report = import_ocel(
        desk.file(name, content),
        desk.file("mapping.toml", mapping),
        log=desk.log,
        strict=strict,
        apply_changes=apply_changes,
    )
    assert report.check(), report
    return report

"""Event logs of objects, OCEL 2.0: which are deals, how events name them, what changes."""

import gzip
import json
import sqlite3
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from importing.desk import Desk
from importing.event_logs import (
    OCEL_MAPPING,
    ORDERS,
    Log,
    bring_ocel,
    ocel_json,
    ocel_sqlite,
    ocel_xml,
)
from salesflow.adapters.importers.event_logs.importer import import_ocel, instant_reader
from salesflow.adapters.importers.event_logs.ocel import OcelFile
from salesflow.adapters.importers.report import ImportReport
from salesflow.errors import InputError

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT.parent / "shared" / "data" / "ocel"
KINDS = ("json", "xml", "sqlite")
Row = dict[str, str]


def written(kind: str, folder: Path, log: Log = ORDERS) -> bytes:
    if kind == "json":
        return ocel_json(log)
    return ocel_xml(log) if kind == "xml" else ocel_sqlite(folder, log)


def rows_of(path: Path, *deals: str, zone: str = "Europe/Berlin") -> list[Row]:
    file = OcelFile(path, deals, instant_of=instant_reader(ZoneInfo(zone)))
    return [
        {name: cell for name, cell in zip(file.header, row.cells, strict=True) if cell}  # type: ignore[union-attr]
        for row in file.rows()
    ]


def changed(change: Callable[[Log], object]) -> Log:
    log = deepcopy(ORDERS)
    change(log)
    return log


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_tells_the_same_in_each_of_its_three_forms(desk: Desk, kind: str) -> None:
    report = bring_ocel(desk, written(kind, desk.folder), strict=True)
    assert (report.rows_read, report.rows_recorded, report.rows_left_out) == (7, 6, 1)
    assert desk.kinds("o1", "orders") == [
        "opened",
        "message_posted",
        "forecast_given",
        "message_posted",
    ]
    assert desk.kinds("o2", "orders") == ["opened", "message_posted"]
    opened, packed, forecast, reminded = (e.fact for e in desk.events("o1", "orders"))
    assert (str(opened.amount), opened.owner) == ("100.50 EUR", "r1")  # type: ignore[attr-defined]
    assert packed.to == ("r1", "r2")  # type: ignore[attr-defined]
    assert str(forecast.amount) == "120.00 EUR"  # type: ignore[attr-defined]
    assert reminded.text == "remind"  # type: ignore[attr-defined]


def test_the_same_log_again_records_nothing_in_whatever_form(either_desk: Desk) -> None:
    for i, kind in enumerate(KINDS):
        report = bring_ocel(either_desk, written(kind, either_desk.folder))
        assert (report.facts_recorded, report.facts_known) == ((6, 0) if i == 0 else (0, 6))


def test_an_event_about_several_deals_is_a_row_for_each(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_bytes(ocel_json())
    packed = [r for r in rows_of(path, "ocel:type:order") if r.get("ocel:activity") == "pack"]
    assert [row["ocel:type:order"] for row in packed] == ["o1", "o2"]
    assert [row["ocel:type:order/total"] for row in packed] == ["100.50", "7"]
    (alone,) = [r for r in rows_of(path) if r.get("ocel:activity") == "pack"]
    assert alone["ocel:type:order"] == "o1\no2"


def test_several_qualifiers_of_one_pair_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_bytes(ocel_json())
    first = rows_of(path)[0]
    assert first["ocel:type:rep"] == "r1\nr2"
    by_qualifier = {name: first[name] for name in first if name.startswith("ocel:type:rep[")}
    assert by_qualifier == {
        "ocel:type:rep[owner]": "r1",
        "ocel:type:rep[author]": "r1",
        "ocel:type:rep[helper]": "r2",
    }


def test_attributes_of_objects_are_those_of_the_time_of_the_event(tmp_path: Path) -> None:
    log = changed(lambda log: log["events"][3]["relationships"].append(
        {"objectId": "o1", "qualifier": ""}
    ))  # fmt: skip
    path = tmp_path / "log.json"
    path.write_bytes(ocel_json(log))
    rows = {row.get("ocel:eid"): row for row in rows_of(path, "ocel:type:order")}
    assert rows["e1"]["ocel:type:order/total"] == "100.50"
    assert rows["e4"]["ocel:type:order/total"] == "120.00"
    assert rows[None]["ocel:field"] == "total"
    assert rows[None]["ocel:timestamp"] == "2026-03-05T08:00:00Z"


def test_what_the_log_leaves_open_is_named(desk: Desk) -> None:
    def more(log: Log) -> None:
        log["events"][0]["relationships"].append({"objectId": "ghost", "qualifier": ""})
        log["objects"] += [{"id": "r9", "type": "rep"}, {"id": "r1", "type": "rep"}]

    assumed = "; ".join(bring_ocel(desk, ocel_json(changed(more))).assumed)
    assert "relations to objects that the file does not hold, such as ghost: 1" in assumed
    assert "objects that no event names and that never change, such as r9: 1" in assumed
    assert "objects whose id stands there twice; the first counts: 1" in assumed
    assert "the number of the event" in assumed


def test_a_bad_event_or_object_is_refused_in_its_place(desk: Desk) -> None:
    def spoilt(log: Log) -> None:
        log["events"][1] = {"id": "e2", "type": "place"}
        log["events"].append("nothing")
        log["objects"].append({"type": "rep"})

    report = bring_ocel(desk, ocel_json(changed(spoilt)))
    assert [(each.line, each.reason) for each in report.refused] == [
        (2, "time is missing"),
        (6, "is no object of JSON"),
        (7, "id is missing"),
    ]


def test_an_event_in_xml_is_refused_with_its_line(desk: Desk) -> None:
    text = ocel_xml().replace(b'time="2026-03-03T10:00:00Z"', b'time="soon"')
    refused = bring_ocel(desk, text).refused
    line = text[: text.index(b'"soon"')].count(b"\n") + 1
    assert [(each.line, each.value) for each in refused] == [(line, "soon"), (line, "soon")]


def test_local_times_are_in_the_zone_that_is_said(desk: Desk) -> None:
    local = json.dumps(ORDERS).replace("Z", "").replace("T", " ").encode()
    bring_ocel(desk, local)
    assert desk.times("o1", "orders")[0] == "2026-03-02T09:00:00+00:00"


def test_numbers_of_json_stay_as_they_are_written(desk: Desk) -> None:
    numbers = json.dumps(ORDERS).replace('"100.50"', "100.10").replace('"7"', "1.2E3").encode()
    bring_ocel(desk, numbers)
    amounts = [desk.events(each, "orders")[0].fact.amount for each in ("o1", "o2")]  # type: ignore[attr-defined]
    assert [str(each) for each in amounts] == ["100.10 EUR", "1,200 EUR"]


def test_a_packed_log_is_the_same_log(desk: Desk) -> None:
    bring_ocel(desk, ocel_json())
    assert bring_ocel(desk, gzip.compress(ocel_xml())).facts_known == 6


def test_a_later_change_of_an_object_is_told_and_nothing_else(desk: Desk) -> None:
    bring_ocel(desk, ocel_json())
    later = {"name": "total", "time": "2026-03-20T08:00:00Z", "value": "130"}
    log = changed(lambda log: log["objects"][0]["attributes"].append(later))
    report = bring_ocel(desk, ocel_json(log))
    assert (report.facts_recorded, report.facts_known, report.facts_changed) == (1, 6, 0)


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        (b'{"ocel:global-log": {}, "ocel:events": {}}', "OCEL 1.0"),
        (b"[]", "is a list of JSON"),
        (b'{"events": {}}', "'events' is no list"),
        (b'{"events": []}', "no list 'objects'"),
        (b'{"events": [], "objects": []}', "holds no event"),
        (b'{"events": [{"id": "e1"', "no JSON to its end"),
        (b'{"events": [{"id": "a", "id": "b"}], "objects": []}', "has 'id' twice"),
        (b'{"events": [' + b'{"a":' * 20, "nested deeper"),
        (b"<log><trace/></log>", "salesflow import xes"),
        (b"<logs/>", "begins with <logs>"),
        (b"<log><event id='1'><event/></event></log>", "stands within"),
        (b"a,b\n1,2\n", "salesflow import table"),
        (b"   ", "is empty"),
        (b"SQLite format 3\0" + bytes(200), "cannot be read as a database"),
        (b"PK\x03\x04", "zip archive"),
    ],
)
def test_a_file_that_is_no_such_log_is_refused_whole(
    desk: Desk, content: bytes, refused: str
) -> None:
    with pytest.raises(InputError, match=refused):
        bring_ocel(desk, content)
    assert desk.log.head().position == 0


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ("DROP TABLE event_object", "has no table 'event_object'"),
        ("ALTER TABLE event DROP COLUMN ocel_type", "has no column ocel_type"),
        ("DROP TABLE event_T0", "has no table 'event_T0'"),
        ("DROP TABLE event; CREATE VIEW event AS SELECT 1 ocel_id", "has no table 'event'"),
        ("INSERT INTO event VALUES (x'00ff', 'place')", "holds bytes"),
        ("INSERT INTO event VALUES (hex(zeroblob(1000000)), 'place')", "too big"),
        (
            "DROP TABLE object; CREATE TABLE object (ocel_id TEXT, ocel_type TEXT GENERATED"
            " ALWAYS AS (hex(zeroblob(90000000)))); INSERT INTO object VALUES ('1')",
            "has no column ocel_type",
        ),
    ],
)
def test_a_database_with_another_schema_is_refused_whole(
    desk: Desk, change: str, refused: str
) -> None:
    path = desk.file("log.sqlite", ocel_sqlite(desk.folder))
    file = sqlite3.connect(path)
    file.executescript(change)
    file.close()
    with pytest.raises(InputError, match=refused):
        bring_ocel(desk, path.read_bytes())
    assert desk.log.head().position == 0


def test_a_mapping_that_names_a_type_alone_learns_the_column(desk: Desk) -> None:
    mapping = OCEL_MAPPING.replace('"ocel:type:order", ', '"order", ')
    with pytest.raises(InputError, match="did you mean 'ocel:type:order'"):
        bring_ocel(desk, ocel_json(), mapping=mapping)


real = pytest.mark.skipif(not EXAMPLES.is_dir(), reason=f"there is no {EXAMPLES.name}")

PURCHASES = """
source = "erp"
rows = "events"
object = ["ocel:type:Purchase Order", "ocel:type:Purchase Order via Invoice"]
at = "ocel:timestamp"
event_id = "ocel:eid"
timezone = "Europe/Berlin"

[[leave_out]]
when = [
    { column = "ocel:type:Purchase Order", empty = true },
    { column = "ocel:type:Purchase Order via Invoice", empty = true },
]
because = "about no order"

[[facts]]
kind = "deal.opened"
when = { column = "ocel:activity", is = "Create Purchase Order" }
fields = { title = "ocel:type:Purchase Order/po_product", owner = "po_creator" }

[[facts]]
kind = "deal.message_posted"
when = { not = { column = "ocel:activity", is = "Create Purchase Order" } }

[facts.fields]
text = { template = "{ocel:activity}{ocel:field} {ocel:type:Purchase Order/po_quantity}" }
"""


@real
@pytest.mark.parametrize("ending", ["jsonocel", "xmlocel", "sqlite"])
def test_the_example_of_the_standard_is_imported_with_every_row(
    desk: Desk, ending: str
) -> None:
    mapping = desk.file("mapping.toml", PURCHASES)
    file = EXAMPLES / f"ocel20_example.{ending}"
    bring = partial(import_ocel, file, mapping, log=desk.log, strict=True)
    report: ImportReport = bring()
    assert report.check()
    assert (report.rows_read, report.rows_recorded, report.rows_left_out) == (16, 14, 2)
    assert (report.objects_new, report.facts_recorded) == (2, 14)
    assert report.assumed[1:] == []
    assert desk.times("PO1", "erp")[0] == "2022-01-10T08:15:00+00:00"
    texts = [getattr(event.fact, "text", "opened") for event in desk.events("PO1", "erp")]
    assert "po_quantity 600" in texts
    assert "Change PO Quantity 600" in texts
    assert bring().facts_known == 14


@real
def test_the_three_forms_of_the_example_have_the_same_rows() -> None:
    deals = ("ocel:type:Purchase Order", "ocel:type:Purchase Order via Invoice")
    read = [
        [
            {name: cell for name, cell in row.items() if name != "ocel:timestamp"}
            for row in rows_of(EXAMPLES / f"ocel20_example.{ending}", *deals)
        ]
        for ending in ("jsonocel", "xmlocel", "sqlite")
    ]
    ordered = [sorted(rows, key=lambda row: sorted(row.items())) for rows in read]
    assert ordered[0] == ordered[1] == ordered[2]
    assert len(read[0]) == 16

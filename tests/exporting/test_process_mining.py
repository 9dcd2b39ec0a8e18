"""XES and OCEL 2.0, read back by r4pm, a reader in Rust that nobody here wrote."""

import gzip
import json
import re
import sqlite3
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from exporting.shop import DEAL, OTHER, SECRET, Clock, shop
from salesflow import Customer, Deal, Money, SalesFlow
from salesflow.domain.event import Event, believed_history
from salesflow.errors import InputError

ROOT = Path(__file__).parent.parent.parent
SCHEMA = ROOT.parent / "shared" / "data" / "ocel" / "schema_ocel2.json"
XES_SCHEMA = ROOT.parent / "shared" / "data" / "xes" / "xes-ieee-1849-2016.xsd"
OCEL = [".json", ".xml", ".sqlite", ".xml.gz"]


@pytest.fixture
def flow(sqlite_url: str) -> Iterator[SalesFlow]:
    with shop(sqlite_url) as opened:
        yield opened


def read_by_r4pm(kind: str, file: Path) -> Any:  # noqa: ANN401 - JSON
    """Return what the reader made of a file, as the JSON that it writes itself."""
    r4pm = pytest.importorskip("r4pm", reason="r4pm is not installed")
    again = file.with_name("read.json")
    r4pm.export_item(r4pm.import_item(kind, str(file)), str(again))
    return json.loads(again.read_text(encoding="utf-8"))


def said(record: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: each["value"]["content"] for each in record["attributes"]}


def believed(flow: SalesFlow, stream: UUID) -> list[Event]:
    return believed_history(flow.log.stream(stream))


@pytest.mark.parametrize("ending", [".xes", ".xes.gz"])
def test_a_trace_is_the_believed_history_of_a_deal(
    ending: str, flow: SalesFlow, tmp_path: Path
) -> None:
    done = flow.exports.xes(tmp_path / f"deals{ending}")
    log = read_by_r4pm("EventLog", tmp_path / f"deals{ending}")
    assert {each["prefix"] for each in log["extensions"]} == {
        *("concept", "time", "lifecycle", "org", "identity"),
    }
    assert len(log["traces"]) == done.counts["traces"] == 2
    for trace in log["traces"]:
        history = believed(flow, UUID(said(trace)["concept:name"]))
        events = [said(event) for event in trace["events"]]
        assert [event["concept:name"] for event in events] == [e.fact.kind for e in history]
        times = [datetime.fromisoformat(event["time:timestamp"]) for event in events]
        assert times == [event.effective_at for event in history]
        assert [event["identity:id"] for event in events] == [str(e.event_id) for e in history]
        assert {event["lifecycle:transition"] for event in events} == {"complete"}
        assert [event["org:resource"] for event in events] == [e.actor for e in history]


def test_times_keep_the_offset_of_the_business_time_zone(
    sqlite_url: str, tmp_path: Path
) -> None:
    """The clocks of Berlin are put forward between the first events and the last."""
    clock = Clock()
    with shop(sqlite_url, clock=clock) as flow:
        clock.now = datetime(2026, 4, 1, tzinfo=UTC)
        with flow.session(actor="u-2") as s:
            s.get(Deal, DEAL).log_contact(channel="call", direction="in")
        flow.exports.xes(tmp_path / "deals.xes")
    found = ET.parse(tmp_path / "deals.xes").iter("{http://www.xes-standard.org/}date")
    dates = [each.get("value", "") for each in found if each.get("key") == "time:timestamp"]
    assert {date[:7]: date[-6:] for date in dates} == {
        "1970-01": "+00:00",
        "2026-03": "+01:00",
        "2026-04": "+02:00",
    }


def test_a_retracted_win_is_in_no_trace_but_in_one_of_the_time_before(
    flow: SalesFlow, tmp_path: Path
) -> None:
    taken_back = next(e for e in flow.history(DEAL) if e.fact.kind == "fact.retracted")
    before = taken_back.recorded - 1
    flow.exports.xes(tmp_path / "now.xes")
    then = datetime.fromtimestamp(before / 1e6, UTC)
    flow.exports.xes(tmp_path / "then.xes", as_of=then, known_at=then)
    now, then_text = ((tmp_path / f"{n}.xes").read_text("utf-8") for n in ("now", "then"))
    won = next(e for e in flow.history(DEAL) if e.fact.kind == "deal.won")
    assert str(won.event_id) not in now
    assert str(won.event_id) in then_text
    assert "fact.retracted" not in now


@pytest.mark.parametrize("ending", OCEL)
def test_every_format_of_ocel_reads_the_same(
    ending: str, flow: SalesFlow, tmp_path: Path
) -> None:
    flow.exports.ocel(tmp_path / "first.json")
    wanted = json.loads((tmp_path / "first.json").read_text(encoding="utf-8"))
    flow.exports.ocel(tmp_path / f"log{ending}")
    found = read_by_r4pm("OCEL", tmp_path / f"log{ending}")
    for kind in ("events", "objects"):
        assert relations(found[kind]) == relations(wanted[kind])
    assert times(found) == times(wanted)
    assert attribute_times(found) == attribute_times(wanted)


def relations(items: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted(
        (each["id"], each["type"], each_one["objectId"], each_one["qualifier"])
        for each in items
        for each_one in (*each["relationships"], {"objectId": "", "qualifier": ""})
    )


def times(log: dict[str, Any]) -> dict[str, datetime]:
    return {each["id"]: datetime.fromisoformat(each["time"]) for each in log["events"]}


def attribute_times(log: dict[str, Any]) -> list[tuple[Any, ...]]:
    return sorted(
        (each["id"], one["name"], datetime.fromisoformat(one["time"]), plain(one["value"]))
        for each in log["objects"]
        for one in each["attributes"]
    )


def plain(value: object) -> str:
    if value in (None, ""):
        return ""
    if isinstance(value, bool) or value in ("true", "false"):
        return str(value).lower()
    try:
        return str(float(str(value)))
    except ValueError:
        return str(value)


def test_events_and_objects_of_ocel_are_facts_and_what_they_are_about(
    flow: SalesFlow, tmp_path: Path
) -> None:
    done = flow.exports.ocel(tmp_path / "log.json")
    log = json.loads((tmp_path / "log.json").read_text(encoding="utf-8"))
    streams = {event.stream_id for event in flow.log.page(0, 1_000)}
    facts = [
        event
        for stream in streams
        for event in believed(flow, stream)
        if event.fact.kind.startswith(("deal.", "customer.", "rep."))
    ]
    assert times(log) == {str(event.event_id): event.effective_at for event in facts}
    kinds = [each["type"] for each in log["objects"]]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "deal": 2, "customer": 1, "contact person": 1, "rep": 2, "quote": 1, "product": 2,
    }  # fmt: skip
    assert done.counts["events"] == len(facts)
    amounts = [
        (one["value"], one["time"])
        for each in log["objects"]
        if each["id"] == f"deal:{DEAL}"
        for one in each["attributes"]
        if one["name"] == "amount"
    ]
    won = believed(flow, DEAL)[-1]
    at = won.effective_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert amounts[-1] == ("95000.50", at)
    assert amounts[0][0] == "98000"


def test_several_qualifiers_of_one_pair_are_kept(flow: SalesFlow, tmp_path: Path) -> None:
    for ending in OCEL:
        flow.exports.ocel(tmp_path / f"log{ending}")
    message = next(e for e in flow.history(DEAL) if e.fact.kind == "deal.message_posted")
    log = json.loads((tmp_path / "log.json").read_text(encoding="utf-8"))
    [event] = [each for each in log["events"] if each["id"] == str(message.event_id)]
    as_what = {
        one["qualifier"] for one in event["relationships"] if one["objectId"] == "rep:u-2"
    }
    assert as_what == {"owner", "by", "to"}
    with sqlite3.connect(tmp_path / "log.sqlite") as database:
        rows = database.execute(
            "SELECT ocel_qualifier FROM event_object WHERE ocel_event_id = ?"
            " AND ocel_object_id = 'rep:u-2'",
            (str(message.event_id),),
        ).fetchall()
        assert {each for (each,) in rows} == as_what
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()
    text = gzip.decompress((tmp_path / "log.xml.gz").read_bytes())
    [found] = [e for e in ET.fromstring(text).iter("event") if e.get("id") == event["id"]]
    given = {r.get("qualifier") for r in found.iter("relationship")
             if r.get("object-id") == "rep:u-2"}  # fmt: skip
    assert given == as_what


def test_ocel_json_is_valid_by_the_schema_of_the_standard(
    flow: SalesFlow, tmp_path: Path
) -> None:
    if not SCHEMA.is_file():
        pytest.skip("the schema of the standard is not there")
    validating = pytest.importorskip("fastjsonschema", reason="fastjsonschema is not installed")
    validate = validating.compile(json.loads(SCHEMA.read_text(encoding="utf-8")))
    flow.exports.ocel(tmp_path / "log.json")
    log = json.loads((tmp_path / "log.json").read_text(encoding="utf-8"))
    validate(log)
    del log["events"][0]["time"]
    with pytest.raises(validating.JsonSchemaException):
        validate(log)


@pytest.mark.parametrize("name", ["log.xes", "log.json", "log.xml", "log.sqlite"])
def test_texts_about_people_are_left_out_unless_asked_for(
    name: str, flow: SalesFlow, tmp_path: Path
) -> None:
    export = flow.exports.xes if name.endswith(".xes") else flow.exports.ocel
    assert not export(tmp_path / name).personal
    assert SECRET.encode() not in (tmp_path / name).read_bytes()
    assert b"please call" not in (tmp_path / name).read_bytes()
    assert export(tmp_path / name, personal=True, force=True).personal
    assert SECRET.encode() in (tmp_path / name).read_bytes()


LEAVES = {"string", "date", "int", "float", "boolean", "id"}
INSIDE = {
    "log": ("extension", "global", "classifier", "attribute", "trace", "event"),
    "trace": ("attribute", "event"),
    "event": ("attribute",),
    "global": ("attribute",),
}
"""What may stand inside of each part of XES, in this order."""
NC_NAME = re.compile(r"[A-Za-z_][\w.-]*")
NAME = re.compile(r"[A-Za-z_:][\w.:-]*")
GIVEN = {
    "extension": {"name": NC_NAME, "prefix": NC_NAME, "uri": re.compile(r"\S+")},
    "classifier": {"name": NC_NAME, "keys": re.compile(r"\S+( \S+)*")},
    "global": {"scope": NC_NAME},
    "log": {"xes.version": re.compile(r"\d+\.\d+"), "xes.features": re.compile(r"")},
}
VALUES = {
    "date": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
    "int": re.compile(r"-?\d{1,19}"),
    "float": re.compile(r"-?\d+(\.\d+)?"),
    "boolean": re.compile("true|false"),
}


def breaks_of_xes(part: ET.Element) -> list[str]:
    """Say where a file breaks the rules of the schema of IEEE 1849, in our own words."""
    tag = part.tag.rpartition("}")[2]
    found = []
    for name, shape in GIVEN.get(tag, {}).items():
        if shape.fullmatch(part.get(name, "")) is None:
            found.append(f"{tag} {name}={part.get(name)!r}")
    if tag in LEAVES:
        if NAME.fullmatch(part.get("key", "")) is None:
            found.append(f"{tag} key={part.get('key')!r}")
        if (
            VALUES.get(tag, re.compile(".*", re.DOTALL)).fullmatch(part.get("value", "-"))
            is None
        ):
            found.append(f"{tag} value={part.get('value')!r}")
    order = INSIDE.get(tag, ("attribute",) if tag in LEAVES else ())
    kinds = [each.tag.rpartition("}")[2] for each in part]
    places = ["attribute" if kind in LEAVES else kind for kind in kinds]
    if any(place not in order for place in places):
        found.append(f"{tag} holds {sorted(set(places) - set(order))}")
    elif places != sorted(places, key=order.index):
        found.append(f"{tag} is out of order")
    return [*found, *(each for child in part for each in breaks_of_xes(child))]


def test_xes_keeps_the_rules_of_its_schema(flow: SalesFlow, tmp_path: Path) -> None:
    flow.exports.xes(tmp_path / "log.xes", personal=True)
    text = (tmp_path / "log.xes").read_text(encoding="utf-8")
    assert breaks_of_xes(ET.fromstring(text)) == []
    for right, wrong in (
        ('name="Activity"', 'name="Activity and all"'),
        ('key="position" value="', 'key="position" value="x'),
        ("<trace>", "<trace><event/>"),
        ('xes.version="1849.2016"', ""),
        ('key="concept:name"', 'key="1st"'),
    ):
        assert breaks_of_xes(ET.fromstring(text.replace(right, wrong))) != [], wrong


def test_xes_is_valid_by_the_schema_of_the_standard(flow: SalesFlow, tmp_path: Path) -> None:
    if not XES_SCHEMA.is_file():
        pytest.skip("the schema of the standard is not there")
    validating = pytest.importorskip("lxml.etree", reason="lxml is not installed")
    schema = validating.XMLSchema(validating.parse(str(XES_SCHEMA)))
    flow.exports.xes(tmp_path / "log.xes", personal=True)
    text = (tmp_path / "log.xes").read_text(encoding="utf-8")
    plain = text.replace(' xmlns="http://www.xes-standard.org/"', "").encode()
    schema.assertValid(validating.fromstring(plain))


def test_a_number_too_long_for_sqlite_stands_as_a_text_beside(
    flow: SalesFlow, tmp_path: Path
) -> None:
    exact = "123456789012.345678"
    with flow.session(actor="u-2") as s:
        s.get(Deal, OTHER).forecast(amount=Money(exact, "CNY"))
    flow.exports.ocel(tmp_path / "log.sqlite")
    with closing(sqlite3.connect(tmp_path / "log.sqlite")) as database:
        asked = (
            "SELECT amount_exact FROM object_Deal WHERE ocel_id = ? AND ocel_changed_field = ?",
            "SELECT amount_exact FROM event_DealForecastGiven WHERE amount_exact IS NOT NULL",
        )
        changed = database.execute(asked[0], (f"deal:{OTHER}", "amount_exact")).fetchall()
        told = database.execute(asked[1]).fetchall()
    assert changed == told == [(exact,)]
    found = read_by_r4pm("OCEL", tmp_path / "log.sqlite")
    [deal] = [each for each in found["objects"] if each["id"] == f"deal:{OTHER}"]
    assert exact in {one["value"] for one in deal["attributes"]}


def test_signs_that_xml_cannot_hold_spoil_no_file(flow: SalesFlow, tmp_path: Path) -> None:
    hostile = "a<b>&\"'\n\t]]>\ufffe"
    with flow.session(actor="u-1") as s:
        customer = s.add(Customer.register(name="B", segment='<&"'))
        s.get(Deal, DEAL).post_message(hostile.removesuffix("\ufffe"), by="u-1")
        s.get(Deal, DEAL).change_customer(customer, because="moved")
    flow.exports.xes(tmp_path / "log.xes", personal=True)
    flow.exports.ocel(tmp_path / "log.xml", personal=True)
    texts = {e.get("value") for e in ET.parse(tmp_path / "log.xes").iter()}
    assert hostile.removesuffix("\ufffe") in texts
    assert '<&"' in {e.text for e in ET.parse(tmp_path / "log.xml").iter("attribute")}


def test_a_name_that_says_no_format_is_refused(flow: SalesFlow, tmp_path: Path) -> None:
    for export in (flow.exports.xes, flow.exports.ocel):
        with pytest.raises(InputError, match="does not say in which format"):
            export(tmp_path / "log.txt")
    assert [*tmp_path.glob("log*")] == []

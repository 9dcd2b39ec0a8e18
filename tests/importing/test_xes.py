"""Event logs in XES: every event a row, as exact as it is written, and nothing in silence."""

import csv
import gzip
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

from importing.desk import Desk
from importing.event_logs import XES_MAPPING, bring_xes, xes, xes_event
from salesflow.adapters.importers import import_table
from salesflow.adapters.importers.event_logs.importer import import_xes
from salesflow.adapters.importers.event_logs.xes import XesFile
from salesflow.errors import InputError

ROOT = Path(__file__).parent.parent.parent
LOANS = ROOT.parent / "shared" / "data" / "bpi2017_mini" / "bpic2017_5cases.csv"
LOAN_MAPPING = ROOT / "examples" / "mappings" / "bpi2017.toml"
OPENED = xes_event("opened")


def texts(desk: Desk, object: str = "1") -> list[str]:
    return [getattr(event.fact, "text", "opened") for event in desk.events(object, "log")]


def table_of(folder: Path, text: str) -> list[dict[str, str]]:
    path = folder / "read.xes"
    path.write_text(text, encoding="utf-8")
    file = XesFile(path)
    return [dict(zip(file.header, row.cells, strict=True)) for row in file.rows()]  # type: ignore[union-attr]


def test_an_event_is_a_row_with_what_its_trace_says(either_desk: Desk) -> None:
    log = xes(
        {"1": [OPENED, xes_event("call", "2026-03-03T10:00:00.123456+01:00")], "2": [OPENED]},
        of_case='<float key="amount" value="1250.50"/>\n',
    )
    report = bring_xes(either_desk, log, strict=True)
    assert (report.rows_read, report.rows_recorded, report.objects_new) == (3, 3, 2)
    assert either_desk.times("1", "log")[1] == "2026-03-03T09:00:00.123456+00:00"
    amount = either_desk.deal("1", "log").amount
    assert amount is not None
    assert str(amount) == "1,250.50 EUR"
    again = bring_xes(either_desk, log)
    assert (again.facts_recorded, again.facts_known) == (0, 3)


def test_an_export_of_next_week_adds_what_is_new(desk: Desk) -> None:
    bring_xes(desk, xes({"1": [OPENED]}))
    later = xes({"1": [OPENED, xes_event("call", "2026-03-03T10:00:00+01:00")], "2": [OPENED]})
    report = bring_xes(desk, later)
    assert (report.facts_recorded, report.facts_known, report.objects_new) == (2, 1, 1)


def test_what_is_told_otherwise_waits_for_apply_changes(desk: Desk) -> None:
    value = '<float key="amount" value="{}"/>\n'
    bring_xes(desk, xes({"1": [OPENED]}, of_case=value.format("5")))
    changed = xes({"1": [OPENED]}, of_case=value.format("6"))
    assert bring_xes(desk, changed).facts_changed_only_listed == 1
    assert bring_xes(desk, changed, apply_changes=True).facts_retracted == 1
    amount = desk.deal("1", "log").amount
    assert amount is not None
    assert amount.amount == 6


def test_a_packed_log_is_the_same_log(desk: Desk) -> None:
    log = xes({"1": [OPENED]}).encode()
    bring_xes(desk, log)
    assert bring_xes(desk, gzip.compress(log), name="log.xes.gz").facts_known == 1


def test_a_trial_and_a_strict_import_with_a_problem_record_nothing(desk: Desk) -> None:
    assert not bring_xes(desk, xes({"1": [OPENED]}), trial=True).recorded
    bad = xes({"1": [OPENED, xes_event("call", "soon")]})
    assert not bring_xes(desk, bad, strict=True).recorded
    assert desk.events("1", "log") == []


def test_a_bad_event_is_refused_with_its_line_and_the_others_recorded(desk: Desk) -> None:
    log = xes({"1": [OPENED, xes_event("call", "soon"), xes_event("mail")]})
    (refused,) = bring_xes(desk, log).refused
    line = log.splitlines().index('<date key="time:timestamp" value="soon"/>') + 1
    assert (refused.line, refused.column, refused.value) == (line - 2, "time:timestamp", "soon")
    assert texts(desk) == ["opened", "mail"]


def test_events_of_one_time_keep_the_order_of_the_file(desk: Desk) -> None:
    names = ["d", "a", "c", "b"]
    report = bring_xes(desk, xes({"1": [OPENED, *map(xes_event, names)]}))
    assert texts(desk) == ["opened", *names]
    assert report.rows_tied == 4


def test_a_night_in_which_clocks_are_put_back_is_exact(desk: Desk) -> None:
    log = xes(
        {
            "1": [
                xes_event("opened", "2025-10-26T02:30:00.001+02:00"),
                xes_event("call", "2025-10-26T02:30:00.000+01:00"),
                xes_event("mail", "2026-03-29T03:00:00.000+02:00"),
            ]
        }
    )
    assert bring_xes(desk, log, strict=True).rows_adjusted == 0
    assert desk.times("1", "log") == [
        "2025-10-26T00:30:00.001000+00:00",
        "2025-10-26T01:30:00+00:00",
        "2026-03-29T01:00:00+00:00",
    ]


def test_a_default_of_the_log_is_taken_where_an_event_lacks_the_attribute(desk: Desk) -> None:
    before = (
        '<global scope="event"><string key="org:resource" value="desk"/>'
        '<date key="time:timestamp" value="1970-01-01T00:00:00Z"/></global>\n'
        '<global scope="trace"><string key="concept:name" value="UNKNOWN"/>'
        '<float key="amount" value="7"/></global>\n'
    )
    log = xes({"1": [OPENED]}, before=before)
    report = bring_xes(desk, log)
    assert desk.events("1", "log")[0].actor == "desk"
    found = {(each.column, each.value) for each in report.findings if "default" in each.finding}
    assert found == {("org:resource", "desk"), ("case:amount", "7")}


def test_no_default_says_when_something_happened_or_whose_it_is(desk: Desk) -> None:
    before = (
        '<global scope="event"><date key="time:timestamp" value="1970-01-02T00:00:00Z"/>'
        '</global><global scope="trace"><string key="concept:name" value="UNKNOWN"/></global>'
    )
    event = '<event><string key="concept:name" value="call"/></event>\n'
    log = xes({"1": [OPENED, event]}, before=before)
    log += ""
    report = bring_xes(desk, log.replace("</log>", f"<trace>{event}</trace></log>"))
    assert [each.reason for each in report.refused] == [
        "has no time, so deal.message_posted cannot be put in order",
        "has no deal id",
    ]


def test_nested_attributes_and_lists_have_columns_of_their_own(tmp_path: Path) -> None:
    rows = table_of(
        tmp_path,
        xes(
            {
                "1": [
                    xes_event(
                        "a",
                        "2026-03-02",
                        '<float key="cost" value="5"><string key="unit" value="EUR"/></float>',
                        '<list key="items"><values>',
                        '<string key="item" value="x"><int key="no" value="1"/></string>',
                        '<string key="item" value="y;z"><int key="no" value="2"/></string>',
                        "</values></list>",
                        '<container key="box"><int key="w" value="3"/></container>',
                    )
                ]
            }
        ),
    )
    assert rows == [
        {
            "case:concept:name": "1",
            "concept:name": "a",
            "time:timestamp": "2026-03-02",
            "cost": "5",
            "cost/unit": "EUR",
            "items": "x\ny;z",
            "items/no": "1\n2",
            "box/w": "3",
        }
    ]


@pytest.mark.parametrize(
    ("written", "read"),
    [("1.0E7", "10000000"), ("1.25E-2", "0.0125"), ("12.50", "12.50"), ("NaN", "NaN")],
)
def test_a_number_as_java_writes_it_is_read_exactly(
    tmp_path: Path, written: str, read: str
) -> None:
    event = xes_event("a", "2026-03-02", f'<float key="amount" value="{written}"/>')
    (row,) = table_of(tmp_path, xes({"1": [event]}))
    assert row["amount"] == read
    assert read == "NaN" or Decimal(read) == Decimal(written)


def test_what_a_trace_says_behind_its_events_counts_too(tmp_path: Path) -> None:
    log = xes({"1": [OPENED]}).replace("</trace>", '<int key="amount" value="9"/></trace>')
    assert table_of(tmp_path, log)[0]["case:amount"] == "9"


def test_events_that_share_a_line_are_numbered_and_the_report_says_so(desk: Desk) -> None:
    log = xes({"1": [OPENED, xes_event("call", "soon"), xes_event("mail")]}).replace("\n", "")
    report = bring_xes(desk, log)
    assert [each.line for each in report.refused] == [2]
    assert "the number of the event" in report.assumed[0]


def test_what_is_in_no_row_is_named(desk: Desk) -> None:
    log = xes(
        {"1": [OPENED], "2": []},
        before='<string key="concept:name" value="Loans"/><logo><string key="x"/></logo>',
    )
    assumed = "; ".join(bring_xes(desk, log).assumed)
    assert "traces without events, which tell nothing: 1" in assumed
    assert "attributes of the log as a whole, which are in no row: concept:name" in assumed
    assert "elements that XES does not know were passed over: logo" in assumed


def test_an_event_that_contradicts_itself_is_refused(desk: Desk) -> None:
    twice = '<string key="org:resource" value="a"/><string key="org:resource" value="b"/>'
    log = xes({"1": [OPENED, xes_event("x", "2026-03-02", twice, '<int value="5"/>')]})
    (refused,) = bring_xes(desk, log).refused
    assert refused.reason == "has two attributes named 'org:resource'"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030", "iso-8859-1"])
def test_a_log_is_read_in_the_encoding_it_declares(desk: Desk, encoding: str) -> None:
    name = "商机" if encoding == "gb18030" else "Gebühr"
    text = xes({"1": [OPENED, xes_event(name)]})
    declared = text.replace("UTF-8", encoding.removesuffix("-sig"))
    bring_xes(desk, declared.encode(encoding), strict=True)
    assert texts(desk)[1] == name


def test_the_mapping_may_name_the_encoding_the_file_hides(desk: Desk) -> None:
    log = xes({"1": [OPENED, xes_event("Gebühr")]}).encode("cp1252")
    with pytest.raises(InputError, match=r"not UTF-8 text \(line 10\).* \[file\] encoding"):
        bring_xes(desk, log)
    bring_xes(desk, log, mapping=f'{XES_MAPPING}\n[file]\nencoding = "cp1252"\n')
    assert texts(desk)[1] == "Gebühr"


@pytest.mark.parametrize(
    ("says", "refused"),
    [
        (('rows = "events"', 'rows = "deals"'), 'write rows = "events"'),
        (
            ("[[facts]]", '[file]\ndelimiter = ";"\n\n[[facts]]'),
            "file.delimiter: is said of CSV",
        ),
        (("case:concept:name", "case"), "there is no column 'case'"),
    ],
)
def test_a_mapping_of_another_kind_of_file_is_refused(
    desk: Desk, says: tuple[str, str], refused: str
) -> None:
    with pytest.raises(InputError, match=refused):
        bring_xes(desk, xes({"1": [OPENED]}), mapping=XES_MAPPING.replace(*says, 1))


def test_an_interrupted_import_goes_on_where_it_stopped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("salesflow.adapters.importers.pipeline.ROWS_MAX", 10)
    log = xes({str(case): [OPENED, xes_event("call")] for case in range(30)})
    append, calls = desk.log.append_many, []

    def interrupted(appends: object) -> object:
        calls.append(appends)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return append(appends)  # type: ignore[arg-type]

    monkeypatch.setattr(desk.log, "append_many", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bring_xes(desk, log)
    report = bring_xes(desk, log)
    assert report.rows_resumed > 0
    assert (report.facts_known + report.facts_recorded, report.objects) == (60, 30)


real = pytest.mark.skipif(not LOANS.is_file(), reason=f"there is no {LOANS.name}")


def as_xes(path: Path) -> str:
    """Write the rows of a CSV of an event log as XES."""
    cases: dict[str, list[str]] = {}
    of_case: dict[str, str] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            case = row["case:concept:name"]
            told = {name: value for name, value in row.items() if value}
            of_case[case] = "".join(
                f"<string key={quoteattr(name[5:])} value={quoteattr(value)}/>\n"
                for name, value in told.items()
                if name.startswith("case:")
            )
            event = "".join(
                f"<{'date' if name.startswith('time:') else 'string'} key={quoteattr(name)}"
                f" value={quoteattr(value)}/>\n"
                for name, value in told.items()
                if not name.startswith("case:")
            )
            cases.setdefault(case, []).append(f"<event>\n{event}</event>\n")
    traces = "".join(
        f"<trace>\n{of_case[case]}{''.join(events)}</trace>\n" for case, events in cases.items()
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<log>\n{traces}</log>\n'


@real
def test_the_loan_log_as_xes_tells_what_it_tells_as_a_table(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "loans.xes"
    file.write_text(as_xes(LOANS), encoding="utf-8")
    report = import_xes(file, LOAN_MAPPING, log=desk.log, strict=True)
    assert report.check()
    assert (report.rows_read, report.rows_left_out, report.rows_refused) == (94, 6, 0)
    deals = [desk.deal(each, "bpi2017") for each in report_objects(file)]
    assert Counter(deal.outcome for deal in deals) == {"won": 1, "lost": 3, "open": 1}
    quotes = Counter(quote.state for deal in deals for quote in deal.quotes.values())
    assert quotes == {"issued": 1, "accepted": 1, "rejected": 1, "withdrawn": 3}
    again = import_table(LOANS, LOAN_MAPPING, log=desk.log)
    assert (again.facts_recorded, again.facts_changed) == (0, 0)


def report_objects(file: Path) -> list[str]:
    read = XesFile(file)
    place = read.header.index("case:concept:name")
    return list(dict.fromkeys(row.cells[place] for row in read.rows()))  # type: ignore[union-attr]


Clock = Callable[[], datetime]


def test_an_event_that_lies_ahead_is_refused_until_it_has_happened(desk: Desk) -> None:
    log = xes({"1": [OPENED, xes_event("call", "2026-06-03T10:00:00Z")]})
    assert bring_xes(desk, log).rows_refused == 1
    desk.now = datetime(2026, 6, 4, tzinfo=UTC)
    assert bring_xes(desk, log).facts_recorded == 1

"""Event logs at the terminal: imported with a mapping, and a mapping to begin with."""

import json
from pathlib import Path
from subprocess import run
from sys import executable

import pytest

from simulated import Ran, ran

LOGS = Path(__file__).parent.parent.parent / "examples" / "event_logs"
KINDS = [("xes", "leads.xes", "leads.toml", 7), ("ocel", "orders.json", "orders.toml", 6)]


def imported(kind: str, file: str, *more: str) -> Ran:
    return ran("import", kind, str(LOGS / file), *more)


@pytest.mark.parametrize(("kind", "file", "mapping", "rows"), KINDS)
def test_a_log_is_imported_once_with_a_report(
    tmp_path: Path, kind: str, file: str, mapping: str, rows: int
) -> None:
    how = ("--mapping", str(LOGS / mapping), "--db", str(tmp_path / "logs.db"), "--json")
    report = tmp_path / "report.json"
    trial = json.loads(imported(kind, file, *how, "--trial").out)
    first = json.loads(imported(kind, file, *how, "--report", str(report)).out)
    again = json.loads(imported(kind, file, *how).out)
    assert (trial["recorded"], first["rows_read"]) == (False, rows)
    assert trial["facts_recorded"] == first["facts_recorded"] == again["facts_known"] > 0
    assert again["facts_recorded"] == 0
    assert json.loads(report.read_text(encoding="utf-8"))["import_id"] == first["import_id"]


def test_a_strict_import_with_a_refused_event_ends_with_2(tmp_path: Path) -> None:
    how = ("--mapping", str(LOGS / "leads.toml"), "--db", str(tmp_path / "logs.db"))
    told = imported("xes", "leads.xes", *how, "--strict")
    assert told.code == 2
    assert "nothing was recorded" in told.err
    assert not (tmp_path / "logs.db").exists()


@pytest.mark.parametrize(("kind", "file", "mapping", "rows"), KINDS)
def test_without_a_mapping_the_columns_and_a_mapping_to_begin_with_are_shown(
    kind: str, file: str, mapping: str, rows: int
) -> None:
    del mapping, rows
    told = imported(kind, file)
    assert told.code == 2
    assert "with --mapping FILE.toml" in told.err
    column = "case:concept:name" if kind == "xes" else "ocel:type:order"
    assert column in told.err
    assert f'object = "{column}"' in told.out
    as_json = json.loads(imported(kind, file, "--json").out)
    assert column in as_json["columns"]


@pytest.mark.parametrize(("kind", "file", "mapping", "rows"), KINDS)
def test_the_mapping_to_begin_with_takes_every_event_that_has_a_deal_and_a_time(
    tmp_path: Path, kind: str, file: str, mapping: str, rows: int
) -> None:
    del mapping
    begun = tmp_path / "begun.toml"
    assert imported(kind, file, "--skeleton", str(begun)).code == 0
    how = ("--mapping", str(begun), "--db", str(tmp_path / "logs.db"), "--json")
    done = json.loads(imported(kind, file, *how).out)
    assert done["rows_recorded"] + done["rows_left_out"] + done["rows_refused"] == rows
    assert [each["value"] for each in done["refused"]] == (["soon"] if kind == "xes" else [])
    assert (done["facts_recorded"], done["irregular"]) == (6 if kind == "xes" else 4, [])
    assert imported(kind, file, "--skeleton", str(begun)).code == 2, "it would be overwritten"


def test_a_mapping_is_begun_for_activities_of_any_script(tmp_path: Path) -> None:
    log = tmp_path / "商机.xes"
    names = [
        "创建",
        'with "quotes" \\ and {braces}',
        "\u202ereversed",
        "Offer",
        "Offer!",
        "x" * 300,
    ]
    events = "".join(
        f"<event><string key='concept:name' value='{name}'/>"
        f"<string key='lifecycle:transition' value='{step}'/>"
        f"<date key='time:timestamp' value='2026-03-0{i + 1}T10:00:00'/></event>\n"
        for i, name in enumerate(names)
        for step in ("start", "complete")
    )
    case = f"<trace><string key='concept:name' value='1'/>{events}</trace>"
    log.write_text(f"<log>{case}</log>", encoding="utf-8")
    begun = tmp_path / "begun.toml"
    assert ran("import", "xes", str(log), "--skeleton", str(begun)).code == 0
    assert '# timezone = "' in begun.read_text(encoding="utf-8")
    how = ("--mapping", str(begun), "--timezone", "Asia/Shanghai", "--json")
    told = ran("import", "xes", str(log), *how, "--db", str(tmp_path / "logs.db"))
    done = json.loads(told.out)
    assert done["rows_read"] == 12
    assert all("reversed" in each["value"] for each in done["refused"])
    assert done["rows_recorded"] >= 10


def test_a_log_comes_through_a_pipe(tmp_path: Path) -> None:
    how = ["--mapping", str(LOGS / "leads.toml"), "--db", str(tmp_path / "logs.db"), "--json"]
    command = [executable, "-m", "salesflow", "import", "xes", "-", *how]
    with (LOGS / "leads.xes").open("rb") as log:
        done = run(command, stdin=log, capture_output=True, check=True)
    assert json.loads(done.stdout)["rows_recorded"] == 6


def test_a_mapping_is_taken_or_written_but_not_both(tmp_path: Path) -> None:
    how = ("--mapping", str(LOGS / "leads.toml"), "--skeleton", str(tmp_path / "new.toml"))
    told = imported("xes", "leads.xes", *how)
    assert told.code == 2
    assert "say one of the two" in told.err


@pytest.mark.parametrize("kind", ["xes", "ocel"])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, kind: str) -> None:
    told = ran("import", kind, str(tmp_path / "none"))
    assert told.code == 2
    assert "there is no file" in told.err

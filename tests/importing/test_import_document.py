"""The documents on imports name every key and every fact, and examples are as shown."""

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from documents import blocks
from importing.desk import Desk
from salesflow.adapters.importers import import_table, read_mapping
from salesflow.adapters.importers.report import ImportReport, Remark, ReportedChange
from salesflow.adapters.importers.table import mapping
from salesflow.adapters.importers.table.mapping_file import mapping_of
from salesflow.adapters.importers.table.reference import facts_as_markdown
from salesflow.domain.process import ProcessVersion, Stage
from stored_format import HOW, table_shown

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = [ROOT / "docs" / f"{name}.md" for name in ("import-a-table", "import-reference")]
TEXT = "".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
EXAMPLES = ROOT / "examples"
PARTS: tuple[type[BaseModel], ...] = (
    mapping.TableMapping,
    mapping.FileFormat,
    mapping.TimesRule,
    mapping.Numbers,
    mapping.ColumnRule,
    mapping.Lookup,
    mapping.Condition,
    mapping.TimeRule,
    mapping.ValueSpec,
    mapping.FactRule,
    mapping.CustomerRule,
    mapping.LeaveOut,
    ProcessVersion,
    Stage,
    ImportReport,
    Remark,
    ReportedChange,
)


def toml_blocks() -> list[str]:
    shown = [block for document in DOCUMENTS for block in blocks(document)]
    return [block.text for block in shown if block.language == "toml"]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_key_is_described(part: type[BaseModel]) -> None:
    keys = {field.alias or name for name, field in part.model_fields.items()}
    if part is ImportReport:
        keys -= {"source", "file", "mapping"}
    assert {key for key in keys if f"`{key}`" not in TEXT} == set()


def test_the_table_of_facts_is_made_from_the_facts() -> None:
    assert table_shown() == facts_as_markdown(), HOW


@pytest.mark.parametrize(
    "name",
    [
        *("first.csv", "first.toml", "deals.csv", "customers.csv", "deals.toml"),
        *("history.csv", "history.toml"),
    ],
)
def test_an_example_is_shown_as_it_is(name: str) -> None:
    content = (EXAMPLES / "tables" / name).read_text(encoding="utf-8")
    assert f"```{name.partition('.')[2]}\n{content}```" in TEXT


def test_every_piece_of_a_mapping_that_is_shown_can_be_written() -> None:
    base = tomllib.loads(
        'source = "s"\nrows = "events"\nobject = "o"\nat = "t"\n[[facts]]\nkind = "deal.won"\n'
    )
    for text in toml_blocks():
        pieces = text.splitlines() if text.startswith("when =") else [text]
        for piece in pieces:
            raw = tomllib.loads(piece)
            if "when" in raw or "fact" in raw:
                raw = {"facts": [{"kind": "deal.won", **raw}]}
            elif isinstance(raw.get("facts"), dict):
                raw = {"facts": [{"kind": "deal.won", **raw["facts"]}]}
            mapping_of({**base, **raw})


@pytest.mark.parametrize(
    "path",
    sorted(path for path in EXAMPLES.rglob("*.toml") if path.name != "pyproject.toml"),
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_every_example_is_a_mapping(path: Path) -> None:
    assert read_mapping(path).mapping.source


def test_the_first_table_comes_out_without_a_remark(desk: Desk) -> None:
    folder = EXAMPLES / "tables"
    report = import_table(folder / "first.csv", folder / "first.toml", log=desk.log)
    assert (report.rows_read, report.rows_recorded, report.facts_recorded) == (3, 3, 7)
    remarks = [report.refused, report.adjusted, report.inferred, report.unknown_columns]
    assert remarks == [[], [], [], []]
    outcomes = [desk.deal(id).outcome for id in ("1001", "1002", "1003")]
    assert outcomes == ["won", "lost", "open"]


def test_the_table_of_deals_comes_out_as_described(desk: Desk) -> None:
    folder = EXAMPLES / "tables"
    report = import_table(folder / "deals.csv", folder / "deals.toml", log=desk.log)
    assert report.check()
    assert (report.rows_read, report.rows_recorded, report.facts_recorded) == (5, 4, 10)
    assert [(r.line, r.column, r.value) for r in report.refused] == [
        (6, "Closed", "31.02.2026")
    ]
    assert [(i.line, i.object) for i in report.inferred] == [(5, "4714")]
    assert report.unknown_columns == ["Remark"]
    assert report.customers_registered == 2
    assert str(desk.deal("4711", "sales_sheet").amount) == "12,500.00 EUR"


def test_the_event_log_comes_out_as_described(desk: Desk) -> None:
    folder = EXAMPLES / "tables"
    report = import_table(folder / "history.csv", folder / "history.toml", log=desk.log)
    assert report.check()
    assert desk.kinds("L-1", "lead_log") == [
        "opened",
        "stage_moved",
        "stage_moved",
        "quote_issued",
        "contact_logged",
        "quote_accepted",
        "won",
    ]
    times = desk.times("L-1", "lead_log")
    assert times[3:5] == ["2025-10-26T00:40:00+00:00", "2025-10-26T01:10:00+00:00"]
    assert [r.line for r in report.adjusted] == [5, 6]
    assert desk.deal("L-1", "lead_log").quotes["e4"].state == "accepted"
    assert desk.deal("L-2", "lead_log").lost_because == "no_need"
    assert desk.deal("L-3", "lead_log").stage == "offer"
    assert report.left_out[0].rows == 1
    assert desk.events("L-1", "lead_log")[5].actor is None

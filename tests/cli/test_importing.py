"""Importing at the terminal: a readable report, nothing twice, nothing half."""

import json
from pathlib import Path

import pytest

from salesflow import SalesFlow
from simulated import Ran, ran

TABLES = Path(__file__).parent.parent.parent / "examples" / "tables"

MAPPING = """
source = "crm"
rows = "deals"
object = "No"
timezone = "UTC"
currency = "EUR"
facts = [{ kind = "deal.opened", at = "Opened" }]
"""


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    return tmp_path / "sheet.db"


def imported(sheet: Path, *more: str) -> Ran:
    return ran(
        "import", "table", str(TABLES / "deals.csv"), "--mapping", str(TABLES / "deals.toml"),
        "--db", str(sheet), *more,
    )  # fmt: skip


def test_a_table_is_imported_with_a_report(sheet: Path) -> None:
    told = imported(sheet)
    assert told.code == 0
    assert "Rows read" in told.out
    assert "Refused" in told.out
    with SalesFlow(f"sqlite:///{sheet}", create=False) as flow:
        assert flow.settings().timezone.key == "Europe/Vienna"


def test_the_same_table_again_records_nothing(sheet: Path) -> None:
    first, again = (json.loads(imported(sheet, "--json").out) for _ in range(2))
    assert first["facts_recorded"] == again["facts_known"] > 0
    assert again["facts_recorded"] == 0


@pytest.mark.parametrize("flag", ["--trial", "--dry-run"])
def test_a_trial_tells_what_an_import_would_and_makes_no_database(
    sheet: Path, tmp_path: Path, flag: str
) -> None:
    told = imported(sheet, flag, "--report", str(tmp_path / "trial.json"))
    assert told.code == 0
    assert "nothing was recorded" in told.out
    assert list(tmp_path.iterdir()) == [tmp_path / "trial.json"]
    trial = json.loads((tmp_path / "trial.json").read_text(encoding="utf-8"))
    done = json.loads(imported(sheet, "--json").out)
    assert (trial["recorded"], done["recorded"]) == (False, True)
    for counted in ("rows_read", "rows_refused", "facts_recorded", "refused", "inferred"):
        assert trial[counted] == done[counted] != 0


@pytest.mark.parametrize(
    ("flags", "lang", "said", "unsaid"),
    [
        (("--trial",), "en", "that would be recorded", "Rows recorded"),
        (("--strict",), "en", "Customers that would be registered", "Customers registered"),
        (("--dry-run",), "zh", "将新记录的行", " 新记录的行"),
        ((), "en", "Rows recorded", "would"),
    ],
)
def test_a_report_of_what_was_not_recorded_says_what_would_be(
    sheet: Path, flags: tuple[str, ...], lang: str, said: str, unsaid: str
) -> None:
    told = imported(sheet, *flags, "--lang", lang)
    assert said in told.out
    assert unsaid not in told.out


def test_a_trial_on_an_old_database_records_nothing_there(sheet: Path) -> None:
    imported(sheet)
    with SalesFlow(f"sqlite:///{sheet}") as flow:
        before = flow.log.head()
    trial = json.loads(imported(sheet, "--trial", "--json").out)
    assert (trial["facts_recorded"], trial["recorded"]) == (0, False)
    assert trial["facts_known"] > 0
    with SalesFlow(f"sqlite:///{sheet}") as flow:
        assert flow.log.head() == before


def test_a_strict_trial_of_a_file_with_a_problem_is_wrong_use(sheet: Path) -> None:
    told = imported(sheet, "--trial", "--strict", "--lang", "zh")
    assert told.code == 2
    assert "未记录任何内容" in told.out


def test_the_report_is_written_where_asked(sheet: Path, tmp_path: Path) -> None:
    imported(sheet, "--report", str(tmp_path / "report.json"))
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["rows_read"] == 5


def test_a_strict_import_with_a_problem_records_nothing_and_leaves_no_database(
    sheet: Path, tmp_path: Path
) -> None:
    told = imported(sheet, "--strict", "--report", str(tmp_path / "r.json"))
    assert told.code == 2
    assert "nothing was recorded" in told.err
    assert told.err.count("\n") == 1
    assert "Refused" in told.out
    assert list(tmp_path.iterdir()) == [tmp_path / "r.json"]


def test_a_strict_import_that_is_refused_leaves_an_old_database_as_it_was(sheet: Path) -> None:
    imported(sheet)
    assert imported(sheet, "--strict").code == 2
    assert sheet.exists()


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_read(
    sheet: Path,
) -> None:
    told = imported(sheet, "--report", "no/such/folder/r.json")
    assert told.code == 2
    assert "there is no folder" in told.err
    assert not sheet.exists()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table, its mapping and its lookup, to be overwritten by nobody."""
    for name in ("deals.csv", "deals.toml", "customers.csv"):
        (tmp_path / name).write_bytes((TABLES / name).read_bytes())
    return tmp_path


def imported_in(folder: Path, *more: str) -> Ran:
    table, mapping = str(folder / "deals.csv"), str(folder / "deals.toml")
    database = str(folder / "sheet.db")
    return ran("import", "table", table, "--mapping", mapping, "--db", database, *more)


@pytest.mark.parametrize(
    "name", ["deals.csv", "deals.toml", "customers.csv", "sheet.db", "sheet.db-wal", "linked"]
)
@pytest.mark.parametrize("more", [[], ["--trial"]], ids=["import", "trial"])
def test_a_report_never_overwrites_what_it_is_made_of(
    folder: Path, name: str, more: list[str]
) -> None:
    (folder / "linked").hardlink_to(folder / "deals.csv")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    told = imported_in(folder, "--report", str(folder / "." / name), *more)
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "would overwrite" in told.err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_report_never_overwrites_a_lookup_beside_the_mapping(folder: Path) -> None:
    maps = folder / "maps"
    maps.mkdir()
    for name in ("deals.toml", "customers.csv"):
        (folder / name).rename(maps / name)
    lookup = maps / "customers.csv"
    before = lookup.read_bytes()
    given = ("--mapping", str(maps / "deals.toml"), "--report", str(lookup))
    told = ran(
        "import", "table", str(folder / "deals.csv"), *given, "--db", str(folder / "s.db")
    )
    assert (told.code, "would overwrite" in told.err) == (2, True)
    assert lookup.read_bytes() == before


def test_a_report_never_overwrites_a_database_that_was_there(folder: Path) -> None:
    imported_in(folder)
    told = imported_in(folder, "--report", str(folder / "sheet.db"))
    assert (told.code, "would overwrite" in told.err) == (2, True)
    assert json.loads(imported_in(folder, "--json").out)["facts_known"] == 10


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder that nobody may fill")
def test_a_report_that_may_not_be_written_is_refused_before_anything_is_recorded(
    folder: Path,
) -> None:
    told = imported_in(folder, "--report", "/proc/report.json")
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "cannot be written" in told.err
    assert not (folder / "sheet.db").exists()


def test_a_table_of_which_every_row_is_refused_is_no_success(folder: Path) -> None:
    table = folder / "deals.csv"
    header = table.read_text(encoding="utf-8").splitlines()[0]
    table.write_text(f"{header}\n4711;;anna;Win;;;;1;;\n", encoding="utf-8")
    for more in ([], ["--trial"]):
        told = imported_in(folder, *more)
        assert (told.code, told.err.count("\n")) == (1, 1)
        assert "every row" in told.err
        assert not (folder / "sheet.db").exists()
    assert imported_in(folder, "--strict").code == 2


def test_another_time_zone_than_that_of_the_mapping_is_refused(sheet: Path) -> None:
    told = imported(sheet, "--timezone", "Asia/Tokyo")
    assert told.code == 2
    assert not sheet.exists()
    told = imported(sheet, "--timezone", "Middle/Earth")
    assert (told.code, sheet.exists()) == (2, False)


def test_a_mapping_that_makes_no_sense_is_explained_in_one_line(
    sheet: Path, tmp_path: Path
) -> None:
    mapping = tmp_path / "odd.toml"
    mapping.write_text("source = 3\n", encoding="utf-8")
    told = ran(
        "import",
        "table",
        str(TABLES / "deals.csv"),
        "--mapping",
        str(mapping),
        "--db",
        str(sheet),
    )
    assert told.code == 2
    assert told.err.count("\n") == 1
    assert not sheet.exists()


def test_the_report_is_in_chinese_when_asked_for(sheet: Path) -> None:
    assert imported(sheet, "--lang", "zh").out != imported(sheet).out


@pytest.mark.parametrize(
    ("flags", "last"),
    [
        (
            (),
            "1 of 5 rows was refused, nothing of it is recorded; --report FILE writes",
        ),
        (("--trial",), "1 of 5 rows would be refused, nothing of it would be recorded; "),
        (
            ("--report", "r.json"),
            "nothing of it is recorded; r.json names each, --strict refuses",
        ),
        (("--lang", "zh"), "5 行中有 1 行被拒绝，其内容均未记录；"),
        (("--lang", "zh", "--dry-run"), "5 行中有 1 行会被拒绝，其内容不会记录；"),
    ],
)
def test_the_last_line_says_how_many_rows_were_refused(
    sheet: Path, flags: tuple[str, ...], last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sheet.parent)
    told = imported(sheet, *flags)
    assert (told.code, told.err) == (0, "")
    assert last in told.out.splitlines()[-1]


def test_an_import_of_which_nothing_was_refused_says_no_such_thing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("No,Opened\n1,2026-01-05\n", encoding="utf-8")
    (tmp_path / "t.toml").write_text(MAPPING, encoding="utf-8")
    told = ran(
        "import", "table", f"{tmp_path}/t.csv", "--mapping", f"{tmp_path}/t.toml",
        "--db", f"{tmp_path}/t.db",
    )  # fmt: skip
    assert told.code == 0
    assert "--strict" not in told.out


def test_the_help_of_an_import_tells_its_exit_codes() -> None:
    told = " ".join(ran("import", "table", "--help").out.replace("│", "").split())
    assert "Ends with 0 when the file was taken, even when rows of it were refused;" in told
    assert "Record nothing of the file, and end with 2, when anything in it is refused" in told

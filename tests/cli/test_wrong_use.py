"""Wrong use ends in one clear line and exit code 2, and nothing is made or changed."""

import os
import sqlite3
import sys
from pathlib import Path

import pytest

from salesflow import SalesFlow
from salesflow.cli import main
from salesflow.cli.context import CommandContext
from salesflow.errors import BusyError, RuleError
from simulated import demo, ran

ERP = "e4900000-0000-4000-8000-000000000001"

TABLES = Path(__file__).parent.parent.parent / "examples" / "tables"
IMPORT = ("import", "table", f"{TABLES}/deals.csv", "--mapping", f"{TABLES}/deals.toml")

WRONG = {
    "no such command": (("bogus",), "No such command 'bogus'"),
    "a misspelt question": (("ask", "funel"), "Did you mean 'funnel'"),
    "an unknown option": (("ask", "funnel", "--nope"), "No such option: --nope"),
    "a bad day": (("ask", "funnel", "--as-of", "2025-13-41"), "'2025-13-41' is not a time"),
    "another language": (("status", "--lang", "fr"), "'fr' is not one of"),
    "no such file": (("ask", "funnel", "--db", "none.db"), "there is no database none.db"),
    "no such tenant": (("status", "--tenant", "other"), "nothing has been recorded of tenant"),
    "no name of a tenant": (("status", "--tenant", "a b"), "cannot name a tenant"),
    "an empty database": (("status", "--db", " "), "--db is empty; name a file such as"),
    "a folder": (("status", "--db", "."), "it is a folder; name a file in it"),
    "a demo in a folder": (("demo", "--db", "."), "it is a folder; name a file in it"),
    "no such folder": (
        ("ask", "funnel", "--db", "none/x.db"),
        "/none for the database x.db; make that folder, or name another file with --db",
    ),
    "a demo in no folder": (("demo", "--db", "none/x.db"), "there is no folder "),
    "an import in no folder": (
        (*IMPORT, "--trial", "--db", "none/x.db"),
        "there is no folder ",
    ),
    "a folder of one's own": (("status", "--db", "~/none/x.db"), "~ is not expanded"),
    "a device": (("status", "--db", "/dev/null"), "it is a pipe or a device; name a file"),
    "another kind of database": (("status", "--db", "mysql://x/y"), "mysql is not supported"),
    "no deal at all": (("deal", "show"), "Missing argument 'DEAL'"),
    "no id": (("deal", "show", "zzzz"), "'zzzz' is not a deal"),
    "too few digits": (("deal", "show", "e4"), "'e4' is not a deal"),
    "no such deal": (("deal", "show", "ffffffff"), "there is no deal ffffffff"),
    "several deals": (("deal", "show", "3e50"), "several deals begin with 3e50"),
    "nothing imported": (("deal", "show", "crm:17"), "no deal crm:17 has been imported"),
    "half a source": (("deal", "show", ":17"), "is not SOURCE:OBJECT"),
    "before the opening": (
        ("deal", "show", ERP, "--as-of", "2020-01-01"),
        "no deal 'ERP 上线'",
    ),
    "no such table": (("rebuild", "nope"), "no read table 'nope'"),
    "no such process": (
        ("process", "show", "nope"),
        "no process 'nope' has been published; there are standard",
    ),
    "no such version": (("process", "show", "standard", "--version", "9"), "no version 9"),
    "no number": (
        ("process", "show", "standard", "--version", "x"),
        "--version: 'x' is not a whole number",
    ),
    "half a number": (("log", "--late-by", "5x"), "--late-by: '5x' is not a whole number"),
    "none at all": (("log", "--limit", "0"), "--limit: must be at least 1"),
    "a plural": (("ask", "leaderboard", "--by", "teams"), "(perhaps team)"),
    "no choice": (("ask", "kpis", "--by", "x"), "--by: 'x' is not one of 'rep', 'team'"),
    "an end alone": (
        ("ask", "kpis", "--to", "2026-03-31"),
        "name the first day too",
    ),
    "a short year": (
        ("ask", "kpis", "--year", "26"),
        "'26' is not a year; write one",
    ),
    "a short month": (("ask", "flow", "--month", "26-04"), "'26-04' is not a month"),
    "a short quarter": (("ask", "flow", "--quarter", "26-Q1"), "'26-Q1' is not a quarter"),
    "the log backwards": (
        ("log", "--from", "2026-03-05", "--to", "2026-03-04"),
        "lies before the beginning",
    ),
    "known backwards": (
        ("log", "--known-from", "2026-03-05", "--known-to", "2026-03-04"),
        "lies before the",
    ),
    "a blank actor": (("log", "--actor", " "), "must not be blank"),
    "a day too early": (("ask", "funnel", "--as-of", "1800-01-01"), "lies before 1900"),
    "an as_of by its flag": (("deal", "list", "--as-of", "x"), "--as-of: 'x' is not a time"),
    "a known_at by its flag": (
        ("rates", "list", "--known-at", "x"),
        "--known-at: 'x' is not a",
    ),
    "a first day by its flag": (("ask", "kpis", "--from", "x"), "--from: 'x' is not a day"),
    "a last day by its flag": (("ask", "kpis", "--to", "x"), "--to: 'x' is not a day"),
    "another moment": (
        ("ask", "kpis", "--compare-to", "2026-01-01@x"),
        "--compare-to: 'x' is not a time",
    ),
    "a time of the log": (("log", "--known-to", "2026"), "--known-to: '2026' is not a time"),
    "a day of rates": (("rates", "list", "--on", "2026-02-30"), "--on: '2026-02-30' is not a"),
    "no reason": (("clock", "accept"), "Missing option '--because'"),
    "a demo in memory": (("demo", "--db", "sqlite:///:memory:"), "would be lost at once"),
    "an import in memory": ((*IMPORT, "--db", "sqlite:///:memory:"), "would be lost at once"),
    "two months": (
        ("ask", "kpis", "--month", "2026-01", "--month", "2026-02"),
        "--month is given twice and takes one value; give it once",
    ),
    "two moments": (
        ("deal", "list", "--as-of=2026-03-05", "--json", "--as-of", "2026-03-05"),
        "--as-of is given twice and takes one value",
    ),
    "three databases": (
        ("status", "--db", "a", "--db", "b", "--db", "c"),
        "--db is given 3 times and takes one value",
    ),
    "no table": (("import", "table", "no.csv", "--mapping", "no.toml"), "does not exist"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.usefixtures("db")
def test_wrong_use_is_told_in_one_line(case: str, tmp_path: Path) -> None:
    arguments, said = WRONG[case]
    before = sorted(tmp_path.iterdir())
    told = ran(*arguments)
    assert told.code == 2
    assert said in told.err
    assert told.err.startswith("salesflow: ")
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert [path for path in sorted(tmp_path.iterdir()) if path not in before] == []


def test_a_blank_variable_is_named_where_it_names_no_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SALESFLOW_DB", " ")
    told = ran("status")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("salesflow: $SALESFLOW_DB is empty; name a file such as")


@pytest.mark.parametrize("command", ["status", "rebuild", "ask funnel", "process list"])
def test_asking_never_makes_a_database(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SALESFLOW_DB", raising=False)
    monkeypatch.chdir(tmp_path)
    assert ran(*command.split()).code == 2
    assert list(tmp_path.iterdir()) == []


def test_asking_never_makes_tables_in_an_empty_database(
    tmp_path: Path, postgres_url: str
) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    assert "holds no log" in ran("status", "--db", str(empty)).err
    assert "nothing has been recorded" in ran("status", "--db", postgres_url).err


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "junk.db").write_text("x" * 2000)
    told = ran("status", "--db", str(tmp_path / "junk.db"))
    assert told.code == 2
    assert f"{tmp_path}/junk.db is not a SQLite database" in told.err


def test_a_file_that_may_not_be_written_is_refused_and_told_why(
    db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    told = ran("status", "--db", db)
    assert told.code == 2
    assert (
        "a file must be readable to be asked, and it, what stands beside it (-wal, -shm) and"
        in told.err
    )


def test_a_trial_import_may_be_in_memory() -> None:
    assert ran(*IMPORT, "--trial", "--db", "sqlite:///:memory:").code == 0


def test_somebody_elses_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    told = ran("demo", "--db", str(path))
    assert told.code == 2
    assert "not a salesflow database: it holds theirs. Name another one" in told.err


def test_an_unreachable_server_is_told_without_its_password() -> None:
    told = ran("status", "--db", "postgresql://u:secret@127.0.0.1:1/x")
    assert told.code == 2
    assert "secret" not in told.err


def test_without_a_command_the_help_is_shown() -> None:
    assert "demo" in ran().out


def test_the_demo_refuses_a_database_that_holds_a_log() -> None:
    told = ran("demo", "--db", demo().url)
    assert told.code == 2
    assert "holds a log already" in told.err


def test_the_demo_without_a_database_uses_a_file_of_its_own(db: str) -> None:
    os.rename(db, "salesflow-demo.db")
    told = ran("demo")
    assert told.code == 2
    assert "sqlite:///salesflow-demo.db holds a log already" in told.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BusyError("another writer held the log"), 1),
        (RuleError("refused"), 1),
        (PermissionError(13, "Permission denied", "report.json"), 2),
        (OSError("disk\nfull"), 2),
    ],
)
def test_what_the_engine_cannot_do_is_told_in_one_line_too(
    error: Exception, code: int, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: SalesFlow) -> None:
        raise error

    monkeypatch.setattr(SalesFlow, "standings", fail)
    told = ran("status", "--db", db)
    assert told.code == code
    assert told.err.count("\n") == 1


def test_a_stop_in_the_middle_is_told_in_one_line(
    db: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(_: SalesFlow) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SalesFlow, "standings", stop)
    assert main(["status", "--db", db]) == 130
    assert capsys.readouterr().err == "salesflow: stopped; what was recorded stays\n"


def test_an_extra_that_is_missing_is_named_in_the_language_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "salesflow.adapters.database.postgres", None)
    asked = ("ask", "funnel", "--db", "postgresql://db.example.com/sales")
    english, chinese = ran(*asked), ran(*asked, "--lang", "zh")
    assert (english.code, chinese.code) == (2, 2)
    assert "PostgreSQL needs psycopg; run: pip install 'salesflow[postgres]'" in english.err
    assert "PostgreSQL 需要 psycopg；请运行：pip install 'salesflow[postgres]'" in chinese.err


def test_no_part_of_a_password_is_ever_shown() -> None:
    url = "postgresql+psycopg://sales:s3c@r3t@db.example.com/sales"
    desk = CommandContext(db=url, tenant="main", language="en", as_json=False)
    assert desk.shown_url == "postgresql+psycopg://sales:***@db.example.com/sales"


@pytest.mark.usefixtures("db")
def test_an_option_that_takes_several_values_or_none_may_be_given_again() -> None:
    ecb = ("import", "ecb", "--since", "2026-01-02", "--currency", "USD", "--currency", "CNY")
    assert ran(*ecb, "--help").code == 0
    several = ("rebuild", "deal_state", "customer", "--json", "--json")
    assert ran(*several).code == 0

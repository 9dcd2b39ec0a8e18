"""A refused import leaves no file of its own behind, and takes none away of anybody else."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import copyfile
from threading import Thread

import pytest

from salesflow import Customer, SalesFlow
from salesflow.adapters.database.new_file import NewFile
from salesflow.cli import main
from simulated import ran

MAPPING = """
source = "crm"
rows = "deals"
object = "No"
timezone = "UTC"
currency = "EUR"

[[facts]]
kind = "deal.opened"
at = "Opened"

[facts.fields]
title = "Title"
"""
GOOD = "No,Title,Opened\n1,One,2026-01-05\n"
RATES = "day,base,currency,rate\n2026-01-05,EUR,CNY,7.8\n"
REFUSED = {
    "every row is refused": (("table", "none.csv", "--mapping", "deals.toml"), 1),
    "a column is missing": (("table", "short.csv", "--mapping", "deals.toml"), 2),
    "strict": (("table", "half.csv", "--mapping", "deals.toml", "--strict"), 2),
    "rates with another header": (("rates", "good.csv"), 2),
    "every rate is refused": (("rates", "none-rates.csv"), 1),
    "strict rates": (("rates", "half-rates.csv", "--strict"), 2),
}
ENDINGS = ("", "-wal", "-shm")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tables that can and that cannot be imported."""
    for name, text in {
        "deals.toml": MAPPING,
        "good.csv": GOOD,
        "none.csv": GOOD.replace("2026-01-05", "soon"),
        "half.csv": GOOD + "2,Two,soon\n",
        "rates.csv": RATES,
        "none-rates.csv": RATES.replace("7.8", "-"),
        "half-rates.csv": RATES + "2026-01-06,EUR,CNY,-\n",
        "short.csv": GOOD.replace("Opened", "Begun"),
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def imported(what: tuple[str, ...], *more: str) -> int:
    return ran("import", *what, "--db", "crm.db", *more).code


def left(folder: Path) -> list[str]:
    return [f"crm.db{end}" for end in ENDINGS if (folder / f"crm.db{end}").exists()]


@contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection, connection:
        yield connection


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_import_leaves_no_new_file(case: str, folder: Path) -> None:
    what, code = REFUSED[case]
    assert imported(what) == code
    assert left(folder) == []


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_import_of_another_tenant_leaves_the_log_of_the_first(
    case: str, folder: Path
) -> None:
    assert imported(("table", "good.csv", "--mapping", "deals.toml")) == 0
    with database(folder / "crm.db") as host:
        host.execute("CREATE TABLE orders (id INTEGER)")
        host.execute("INSERT INTO orders VALUES (17)")
    what, code = REFUSED[case]
    assert imported(what, "--tenant", "south") == code
    assert ran("status", "--db", "crm.db", "--tenant", "south").code == 2, "nothing is left"
    with SalesFlow("sqlite:///crm.db", create=False) as flow:
        kinds = [event.fact.kind for event in flow.log.page(0, 100)]
    assert "deal.opened" in kinds
    with database(folder / "crm.db") as host:
        assert host.execute("SELECT id FROM orders").fetchall() == [(17,)]


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_import_leaves_an_empty_file_that_was_there(case: str, folder: Path) -> None:
    (folder / "crm.db").touch()
    assert imported(REFUSED[case][0]) == REFUSED[case][1]
    assert left(folder)[0] == "crm.db"


def test_a_stopped_import_leaves_no_new_file_without_anything_in_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("salesflow.adapters.importers.import_table", stop)
    what = ("import", "table", "good.csv", "--mapping", "deals.toml", "--db", "crm.db")
    assert main(what) == 130
    assert left(folder) == []


def fresh(folder: Path) -> NewFile:
    made = NewFile.make(f"sqlite:///{folder / 'new.db'}")
    assert made is not None
    return made


def founded(made: NewFile) -> int:
    with SalesFlow(f"sqlite:///{made.path}") as flow:
        return flow.log.head().position


def test_a_file_that_holds_no_more_than_a_founding_is_taken_away(folder: Path) -> None:
    made = fresh(folder)
    assert made.take_away(events_max=founded(made))
    assert list(folder.glob("new.db*")) == []


def test_a_file_that_was_there_is_nobodys_to_take_away(folder: Path) -> None:
    (folder / "old.db").touch()
    assert NewFile.make(f"sqlite:///{folder / 'old.db'}") is None


def test_a_file_that_a_service_opened_meanwhile_stays(folder: Path) -> None:
    made = fresh(folder)
    position = founded(made)
    with SalesFlow(f"sqlite:///{made.path}", create=False) as service:
        assert not made.take_away(events_max=position)
        with service.session() as s:
            s.add(Customer.register(name="Acme"))
    assert not made.take_away(events_max=position), "now it holds a customer"
    with SalesFlow(f"sqlite:///{made.path}", create=False) as service:
        assert service.log.head().position > position


def test_a_file_with_the_log_of_another_tenant_stays(folder: Path) -> None:
    made = fresh(folder)
    position = founded(made)
    with SalesFlow(f"sqlite:///{made.path}", tenant="south"):
        pass
    assert not made.take_away(events_max=position)
    assert made.path.exists()


def test_a_file_with_tables_of_a_host_stays(folder: Path) -> None:
    made = fresh(folder)
    position = founded(made)
    with database(made.path) as host:
        host.execute("CREATE TABLE orders (id INTEGER)")
    assert not made.take_away(events_max=position)
    assert made.path.exists()


def test_a_file_put_in_its_place_stays(folder: Path) -> None:
    made = fresh(folder)
    position = founded(made)
    copyfile(made.path, folder / "other.db")
    (folder / "other.db").replace(made.path)
    assert not made.take_away(events_max=position)
    assert made.path.exists()


@pytest.mark.parametrize("size", [1, 2, 511])
def test_a_file_too_small_for_a_database_is_refused_and_left_as_it_is(
    size: int, folder: Path
) -> None:
    (folder / "crm.db").write_bytes(b"\n" * size)
    assert imported(("table", "good.csv", "--mapping", "deals.toml")) == 2
    assert ran("status", "--db", "crm.db").code == 2
    assert (folder / "crm.db").read_bytes() == b"\n" * size


@pytest.mark.parametrize("case", ["every row is refused", "strict"])
def test_a_refused_import_from_standard_input_leaves_nothing_of_its_tenant(
    case: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert imported(("table", "good.csv", "--mapping", "deals.toml")) == 0
    what, code = REFUSED[case]
    for table, expected in ((folder / what[1], code), (folder / "good.csv", 0)):
        with table.open(encoding="utf-8") as given:
            monkeypatch.setattr("sys.stdin", given)
            assert imported(("table", "-", *what[2:]), "--tenant", "south") == expected
        told = ran("status", "--db", "crm.db", "--tenant", "south").code
        assert told == (2 if expected else 0)


def test_rates_can_be_tried_without_recording_them(folder: Path) -> None:
    told = ran("import", "rates", "rates.csv", "--db", "crm.db", "--dry-run", "--json")
    assert told.code == 0
    shown = json.loads(told.out)
    assert (shown["trial"], shown["rates_recorded"]) == (True, 1)
    assert left(folder) == []
    assert imported(("rates", "rates.csv")) == 0
    with SalesFlow("sqlite:///crm.db", create=False) as flow:
        head = flow.log.head()
    again = ran("import", "rates", "half-rates.csv", "--db", "crm.db", "--trial")
    assert "a trial: nothing was recorded" in again.out
    with SalesFlow("sqlite:///crm.db", create=False) as flow:
        assert flow.log.head() == head


@pytest.mark.usefixtures("folder")
def test_a_refused_row_says_why_in_the_language_asked_for() -> None:
    what = ("import", "table", "half.csv", "--mapping", "deals.toml", "--db", "crm.db")
    assert "Opened: is not a time written as" in ran(*what, "--trial").out
    assert "Opened：不是按 " in ran(*what, "--trial", "--lang", "zh").out


@pytest.mark.parametrize(
    "command", [("table", "pipe", "--mapping", "deals.toml"), ("rates", "pipe")]
)
def test_a_pipe_is_imported_for_a_new_tenant_of_a_database_that_is_there(
    folder: Path, command: tuple[str, ...]
) -> None:
    SalesFlow(f"sqlite:///{folder}/sales.db").close()
    os.mkfifo(folder / "pipe")
    text = RATES if command[0] == "rates" else GOOD
    writer = Thread(target=(folder / "pipe").write_text, args=(text,))
    writer.start()
    told = ran("import", *command, "--db", f"sqlite:///{folder}/sales.db", "--tenant", "new")
    writer.join()
    assert (told.code, told.err) == (0, "")
    with SalesFlow(f"sqlite:///{folder}/sales.db", tenant="new") as flow:
        kinds = {event.fact.kind for event in flow.log.page(0, 99)}
    assert kinds & {"deal.opened", "rates.published"}


@pytest.mark.usefixtures("folder")
def test_rates_that_were_refused_are_told_in_the_last_line() -> None:
    told = ran("import", "rates", "half-rates.csv", "--trial", "--db", "crm.db")
    assert told.code == 0
    assert "Rates that would be recorded" in told.out
    assert told.out.splitlines()[-1].startswith("1 line would be refused; --strict")
    done = ran("import", "rates", "half-rates.csv", "--db", "crm.db", "--lang", "zh")
    assert done.out.splitlines()[-1] == "1 行被拒绝，未记录；用 --strict 则拒绝整个文件"

"""A SQLite file that is no longer whole is refused with the way out, and never made anew."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from salesflow import STANDARD, Customer, Deal, Money, SalesFlow
from salesflow.errors import (
    DamagedError,
    DatabaseError,
    NotFoundError,
    ReplacedError,
    SchemaError,
)
from salesflow.projections.pipeline.funnel import Funnel

PAGE = 4096
WAY_OUT = "put the database back from a backup"
KILLED = """
import os, sys
from salesflow import Customer, SalesFlow
flow = SalesFlow(sys.argv[1])
flow.run(lambda s: s.add(Customer.register(name="Acme")))
os._exit(0)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "sales.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        with flow.session() as s:
            s.add(Deal.open(STANDARD, title="ERP", owner="ann", amount=Money(7, "EUR")))
        flow.ask(Funnel())
    return path


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_off_in_a_page(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 1_000)


def cut_off_after_its_first_page(path: Path) -> None:
    os.truncate(path, PAGE)


def written_over(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(b"\x7f" * (path.stat().st_size - PAGE))


def zeroed(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(bytes(path.stat().st_size - PAGE))


def letter(path: Path) -> None:
    path.write_text("Dear customer, " * 100)


def header_written_over(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\x7f" * 100)


def one_byte(path: Path) -> None:
    path.write_bytes(b"x")


HARMS: dict[Callable[[Path], None], type[DatabaseError]] = {
    cut_off: DamagedError,
    cut_off_in_a_page: DamagedError,
    cut_off_after_its_first_page: DamagedError,
    written_over: DamagedError,
    zeroed: DamagedError,
    letter: SchemaError,
    header_written_over: SchemaError,
    one_byte: SchemaError,
}


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("harm", HARMS)
def test_a_file_that_is_not_whole_is_refused_with_the_way_out(
    path: Path, harm: Callable[[Path], None], create: bool
) -> None:
    harm(path)
    before = path.read_bytes()
    with pytest.raises(HARMS[harm], match=f"{path.name}.*{WAY_OUT}"):
        ask(path, create=create)
    assert path.read_bytes() == before


def ask(path: Path, *, create: bool) -> None:
    with SalesFlow(f"sqlite:///{path}", create=create) as flow:
        flow.ask(Funnel())


def test_a_page_of_the_log_that_was_written_over_is_named_by_who_meets_it(path: Path) -> None:
    file = sqlite3.connect(path)
    [(page,)] = file.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'salesflow_commands'"
    )
    file.close()
    with path.open("r+b") as damaged:
        damaged.seek((page - 1) * PAGE)
        damaged.write(b"\x7f" * PAGE)
    with SalesFlow(f"sqlite:///{path}") as flow:
        with pytest.raises(DamagedError, match=f"sales.db is damaged.*{WAY_OUT}"):
            flow.run(lambda s: s.add(Customer.register(name="Acme")), command_id="c")
        assert {each.kind for each in flow.check().problems} == {"damaged"}
        copy = path.with_name("copy.db")
        with pytest.raises(DamagedError, match=f"sales.db is damaged.*{WAY_OUT}"):
            flow.backup(copy)
        assert not copy.exists()


def killed(path: Path) -> None:
    """Record something in a process that ends without a word."""
    subprocess.run([sys.executable, "-c", KILLED, f"sqlite:///{path}"], check=True)


def test_commits_in_a_log_that_was_taken_away_are_missed(path: Path) -> None:
    killed(path)
    log, index = Path(f"{path}-wal"), Path(f"{path}-shm")
    kept = log.read_bytes()
    log.unlink()
    for create in (True, False):
        with pytest.raises(DamagedError, match=r"sales\.db-wal is missing.*put it back where"):
            SalesFlow(f"sqlite:///{path}", create=create)
    log.write_bytes(kept)
    with SalesFlow(f"sqlite:///{path}") as flow:
        assert flow.log.head().position == 4
    killed(path)
    log.unlink()
    index.unlink()
    with SalesFlow(f"sqlite:///{path}") as flow:
        assert flow.log.head().position == 4


def test_an_empty_file_is_a_new_database_for_who_records_and_none_for_who_asks(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sales.db"
    path.touch()
    with pytest.raises(NotFoundError, match=f"the file is empty.*{WAY_OUT}"):
        SalesFlow(f"sqlite:///{path}", create=False)
    assert path.stat().st_size == 0
    with SalesFlow(f"sqlite:///{path}") as flow:
        assert flow.log.head().position == 2


def test_an_empty_file_beside_a_log_with_commits_is_refused(path: Path) -> None:
    killed(path)
    path.write_bytes(b"")
    log = Path(f"{path}-wal")
    before = log.read_bytes()
    for create in (True, False):
        with pytest.raises(DamagedError, match=f"sales.db is empty.*{WAY_OUT}"):
            SalesFlow(f"sqlite:///{path}", create=create)
    assert log.read_bytes() == before


def test_a_new_connection_to_a_file_whose_log_was_taken_away_is_refused(path: Path) -> None:
    with SalesFlow(f"sqlite:///{path}") as flow:
        flow.run(lambda s: s.add(Customer.register(name="Acme")))
        Path(f"{path}-wal").unlink()
        with pytest.raises(DamagedError, match=r"sales\.db-wal is missing"):
            SalesFlow(f"sqlite:///{path}")
        with pytest.raises(ReplacedError, match=r"sales\.db-wal was removed"):
            flow.run(lambda s: s.add(Customer.register(name="Bolt")))

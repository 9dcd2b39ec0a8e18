"""A backup is one whole file, made while others write; a bare copy says what it lacks."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import pytest

from databases import Postgres
from salesflow import STANDARD, Deal, SalesFlow
from salesflow.cli import main
from salesflow.errors import DatabaseError, InputError, NotFoundError
from salesflow.projections.pipeline.funnel import Funnel


def open_a_deal(flow: SalesFlow) -> None:
    with flow.session(actor="ann") as s:
        s.add(Deal.open(STANDARD, title="ERP", owner="ann"))


@pytest.fixture
def flow(sqlite_url: str) -> Iterator[SalesFlow]:
    with SalesFlow(sqlite_url) as opened:
        open_a_deal(opened)
        yield opened


def test_a_backup_holds_all_that_was_recorded_when_it_was_begun(
    flow: SalesFlow, tmp_path: Path
) -> None:
    with SalesFlow(str(flow.log.database.url), tenant="south") as south:
        open_a_deal(south)
    made = flow.backup(tmp_path / "备份 1.db")
    assert (made.position, made.recorded) == flow.log.head()
    assert made.bytes == made.file.stat().st_size
    assert made.file.stat().st_mode & 0o777 == 0o600
    open_a_deal(flow)
    for tenant in ("main", "south"):
        with SalesFlow(f"sqlite:///{made.file}", tenant=tenant, create=False) as restored:
            assert restored.log.head().position == 3
            assert restored.ask(Funnel()).open_deals == 1
            open_a_deal(restored)


def test_backups_made_while_others_write_are_each_a_prefix_of_the_log(
    flow: SalesFlow, tmp_path: Path
) -> None:
    stop = Flag()

    def record() -> None:
        while not stop.is_set():
            open_a_deal(flow)

    writer = Thread(target=record)
    writer.start()
    try:
        made = [flow.backup(tmp_path / f"{number}.db") for number in range(4)]
    finally:
        stop.set()
        writer.join()
    events = flow.log.page(0, 100_000)
    positions = [each.position for each in made]
    assert positions == sorted(positions)
    for each in made:
        with SalesFlow(f"sqlite:///{each.file}", create=False) as restored:
            assert restored.log.page(0, 100_000) == events[: each.position]


def test_a_backup_is_one_file_that_opens_where_nothing_can_be_written(
    flow: SalesFlow, tmp_path: Path
) -> None:
    made = flow.backup(tmp_path / "backup.db")
    assert made.file.read_bytes()[18:20] == b"\x01\x01"
    alone = sqlite3.connect(f"file:{made.file}?mode=ro&immutable=1", uri=True)
    assert alone.execute("SELECT count(*) FROM salesflow_events").fetchone() == (3,)
    alone.close()
    assert sorted(p.name for p in tmp_path.iterdir() if "backup" in p.name) == ["backup.db"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sales.db", "is there already"),
        ("there.db", "is there already"),
        ("dangling", "is there already"),
        ("folder", "is a folder; name a new file in it"),
        ("none/backup.db", "there is no folder .*none"),
        ("a\0b", "cannot name a file"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_backup_overwrites_nothing_and_leaves_nothing_half_made(
    name: str, said: str, flow: SalesFlow, tmp_path: Path
) -> None:
    (tmp_path / "there.db").write_text("precious")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(InputError, match=said):
        flow.backup(str(tmp_path / name))
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "there.db").read_text() == "precious"


def test_a_damaged_database_is_not_passed_off_as_a_backup(
    flow: SalesFlow, tmp_path: Path
) -> None:
    for _ in range(60):
        open_a_deal(flow)
    url = str(flow.log.database.url)
    flow.close()
    path = tmp_path / "sales.db"
    pages = bytearray(path.read_bytes())
    with sqlite3.connect(path) as found:
        [root] = found.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'salesflow_commands'"
        ).fetchone()
    found.close()
    pages[(root - 1) * 4096 : root * 4096] = b"\xff" * 4096
    path.write_bytes(pages)
    with SalesFlow(url) as damaged, pytest.raises(DatabaseError, match=r"damaged|malformed"):
        damaged.backup(tmp_path / "backup.db")
    assert not [each for each in os.listdir(tmp_path) if "backup" in each]


def test_postgresql_is_left_to_its_own_tools(postgres_url: str, tmp_path: Path) -> None:
    with SalesFlow(postgres_url) as flow, pytest.raises(InputError, match="pg_dump"):
        flow.backup(tmp_path / "backup.db")


def test_a_copy_without_its_write_ahead_log_says_what_was_left_behind(
    flow: SalesFlow, tmp_path: Path
) -> None:
    bare, both = tmp_path / "bare.db", tmp_path / "both.db"
    shutil.copy(tmp_path / "sales.db", bare)
    shutil.copy(tmp_path / "sales.db", both)
    shutil.copy(tmp_path / "sales.db-wal", tmp_path / "both.db-wal")
    with pytest.raises(NotFoundError, match=r"bare\.db-wal was left behind.*salesflow backup"):
        SalesFlow(f"sqlite:///{bare}", create=False)
    with SalesFlow(f"sqlite:///{both}", create=False) as whole:
        assert whole.log.head() == flow.log.head()


def test_the_command_line_backs_up_while_the_service_runs(
    flow: SalesFlow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["backup", str(tmp_path / "backup.db"), "--db", str(tmp_path / "sales.db")]
    assert main(command) == 0
    assert "up to position 3, recorded at" in " ".join(capsys.readouterr().out.split())
    assert main(command) == 2
    assert "is there already" in capsys.readouterr().err
    assert flow.log.head().position == 3


def test_a_dump_of_postgresql_is_the_same_log_when_it_is_restored(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    dump, plain = tmp_path / "sales.dump", postgres_url.replace("+psycopg", "")
    with SalesFlow(postgres_url) as flow, postgres.database(template="template0") as other:
        open_a_deal(flow)
        assert flow.ask(Funnel()).open_deals == 1
        postgres.client("pg_dump", "--format=custom", f"--file={dump}", plain)
        postgres.client("pg_restore", f"--dbname={other.replace('+psycopg', '')}", str(dump))
        with SalesFlow(other, create=False) as restored:
            assert restored.log.page(0, 10) == flow.log.page(0, 10)
            open_a_deal(restored)
            assert restored.ask(Funnel()).open_deals == 2
            with (
                pytest.raises(DatabaseError, match="stays as it is"),
                restored.log.database.begin() as connection,
            ):
                connection.exec_driver_sql("DELETE FROM salesflow_events")

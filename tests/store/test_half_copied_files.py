"""A SQLite file of which a checkpoint was cut off is healed by its log, and is not refused."""

import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from salesflow import Customer, SalesFlow
from salesflow.adapters.database.sqlite_file import is_copied_in_part, is_half_copied
from salesflow.errors import ReplacedError

PAGE = 4_096
READERS = 12


def record(flow: SalesFlow, count: int = 1, name: str = "A") -> None:
    with flow.session() as s:
        for number in range(count):
            s.add(Customer.register(name=f"{name}{number}"))


@contextmanager
def no_room_after(pages: int) -> Iterator[None]:
    """Let nothing be written behind so many pages of any file, as a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (pages * PAGE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def checkpoint(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other, suppress(sqlite3.Error):
        other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


@contextmanager
def read_meanwhile(path: Path) -> Iterator[None]:
    """Let somebody see the log as it stands, who goes on to do so until the end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM salesflow_events").fetchall()
        yield


def make_room(path: Path) -> None:
    """Leave pages free in the middle of the file, which is not to grow any more."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE much (x)")
        other.executemany("INSERT INTO much VALUES (?)", [("y" * 3_000,)] * 100)
        other.execute("DROP TABLE much")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def test_a_checkpoint_that_was_cut_off_is_no_writing_over(tmp_path: Path) -> None:
    path, halves = tmp_path / "sales.db", 0
    with ExitStack() as opened:
        urls = [(f"sqlite:///{path}", tenant) for tenant in "abc"]
        flows = [opened.enter_context(SalesFlow(url, tenant=t)) for url, t in urls]
        for flow in flows:
            record(flow, 100, "x" * 300)
        make_room(path)
        for pages in range(5, path.stat().st_size // PAGE, 8):
            for flow in flows:
                record(flow, 5, "z" * 300)
            with no_room_after(pages):
                checkpoint(path)
            halves += is_half_copied(str(path))
            for flow in flows:
                flow.log.head()
                record(flow)
            checkpoint(path)
            assert not is_half_copied(str(path))
        assert halves > 5
        assert all(flow.check().whole for flow in flows)


def half_copied(flow: SalesFlow, path: Path) -> None:
    record(flow, 100, "x" * 300)
    with no_room_after(3):
        checkpoint(path)
    assert is_half_copied(str(path))
    record(flow)


def test_a_backup_is_noticed_also_over_a_file_that_is_half_copied(tmp_path: Path) -> None:
    path, kept = tmp_path / "sales.db", tmp_path / "kept.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        record(flow)
        flow.backup(kept)
        half_copied(flow, path)
        shutil.copyfile(kept, path)
        with pytest.raises(ReplacedError, match="it is a backup now"):
            record(flow)


def test_what_is_copied_over_a_half_copied_file_is_noticed_after_the_next_checkpoint(
    tmp_path: Path,
) -> None:
    path, kept = tmp_path / "sales.db", tmp_path / "kept.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        record(flow)
        half_copied(flow, path)
        flow.log.head()
        checkpoint(path)
        shutil.copyfile(path, kept)
        record(flow, 100, "x" * 300)
        checkpoint(path)
        flow.log.head()
        shutil.copyfile(kept, path)
        with pytest.raises(ReplacedError, match="no longer up to position"):
            record(flow)


def test_after_a_crash_an_older_copy_is_noticed_at_once(tmp_path: Path) -> None:
    path, kept, crashed = (tmp_path / name for name in ("sales.db", "kept.db", "crashed.db"))
    with SalesFlow(f"sqlite:///{path}") as flow:
        record(flow)
        checkpoint(path)
        shutil.copyfile(path, kept)
        record(flow, 100, "x" * 300)
        shutil.copyfile(path, crashed)
        shutil.copyfile(f"{path}-wal", f"{crashed}-wal")
    with SalesFlow(f"sqlite:///{crashed}") as flow:
        assert flow.log.head().position > 100
        shutil.copyfile(kept, crashed)
        with pytest.raises(ReplacedError, match="no longer up to position"):
            flow.log.head()


def test_a_checkpoint_that_a_reader_kept_from_copying_all_is_no_writing_over(
    tmp_path: Path,
) -> None:
    path, parts = tmp_path / "sales.db", 0
    url = f"sqlite:///{path}"
    with SalesFlow(url) as asking, SalesFlow(url) as recording:
        for _ in range(READERS):
            record(recording, 60)
            checkpoint(path)
            assert asking.log.head().position == recording.log.head().position
            record(recording, 300)
            with read_meanwhile(path):
                record(recording, 300)
                checkpoint(path)
                parts += is_copied_in_part(str(path))
                assert asking.log.head().position == recording.log.head().position
        assert parts == READERS
        assert asking.check().whole


def test_a_file_copied_over_one_of_which_a_part_was_copied_is_noticed(tmp_path: Path) -> None:
    path, kept = tmp_path / "sales.db", tmp_path / "kept.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        record(flow)
        checkpoint(path)
        shutil.copyfile(path, kept)
        record(flow, 60)
        checkpoint(path)
        record(flow, 30)
        with read_meanwhile(path):
            record(flow, 60)
            checkpoint(path)
            record(flow, 60)
            assert is_copied_in_part(str(path))
            flow.log.head()
            shutil.copyfile(kept, path)
            with pytest.raises(ReplacedError, match="no longer up to position"):
                record(flow)

"""A write-ahead log has room before it is full; what is behind its end tells nothing."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from salesflow import Customer, SalesFlow

PAGES = 4_096
FILES_MAY_HAVE = 150_000
UNTIL_FULL = """
import resource, sys
from salesflow import Customer, SalesFlow
from salesflow.errors import SalesflowError

flow = SalesFlow(sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
try:
    for number in range(1_000):
        flow.run(lambda s: s.add(Customer.register(name=f"customer {number}")))
        print(number, flush=True)
except SalesflowError as error:
    print(error, file=sys.stderr)
"""


def record(flow: SalesFlow, times: int) -> None:
    for _ in range(times):
        flow.run(lambda s: s.add(Customer.register(name="A")))


def log_of(path: Path) -> Path:
    return Path(f"{path}-wal")


def test_a_log_is_longer_than_what_was_written_to_it(tmp_path: Path) -> None:
    path = tmp_path / "sales.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        record(flow, 1)
        size = log_of(path).stat().st_size
        record(flow, 5)
        assert log_of(path).stat().st_size >= size
        assert log_of(path).stat().st_size > 40 * PAGES
        record(flow, 60)
        assert log_of(path).stat().st_size > 640 * PAGES
        assert log_of(path).read_bytes()[-100 * PAGES :].strip(b"\0") == b""


@pytest.mark.parametrize("times", [5, 20, 60, 230])
def test_what_lies_behind_the_end_of_the_log_tells_nothing(tmp_path: Path, times: int) -> None:
    path, copy = tmp_path / "sales.db", tmp_path / "copy.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        record(flow, times)
        head = flow.log.head()
        shutil.copy(path, copy)
        shutil.copy(log_of(path), log_of(copy))
    raw = sqlite3.connect(copy)
    assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    raw.close()
    with SalesFlow(f"sqlite:///{copy}") as found:
        assert found.log.head() == head
        assert found.check(all=True).whole
        record(found, 3)


def test_two_processes_write_into_the_room_of_one_another(tmp_path: Path) -> None:
    path = tmp_path / "sales.db"
    with SalesFlow(f"sqlite:///{path}") as flow:
        before = flow.log.head().position
        code = (
            "import sys; from salesflow import *\n"
            "flow = SalesFlow(sys.argv[1])\n"
            "for _ in range(150): flow.run(lambda s: s.add(Customer.register(name='B')))"
        )
        other = subprocess.Popen([sys.executable, "-c", code, f"sqlite:///{path}"])
        record(flow, 150)
        assert other.wait(timeout=60) == 0
        assert flow.log.head().position == before + 300
        assert flow.check(all=True).whole


def test_a_log_without_room_on_the_disk_keeps_all_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "sales.db"
    SalesFlow(f"sqlite:///{path}").close()
    limit = path.stat().st_size + FILES_MAY_HAVE
    done = subprocess.run(
        [sys.executable, "-c", UNTIL_FULL, f"sqlite:///{path}", str(limit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    acknowledged = len(done.stdout.split())
    assert 0 < acknowledged < 1_000, done.stderr
    with SalesFlow(f"sqlite:///{path}", create=False) as flow:
        names = [e.fact.name for e in flow.log.page(0, 2_000) if hasattr(e.fact, "name")]
        assert [f"customer {n}" for n in range(acknowledged)] == names[:acknowledged]
        assert flow.check(all=True).whole

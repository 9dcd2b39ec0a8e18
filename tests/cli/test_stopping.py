"""Ctrl-C and broken pipes: what was recorded stays, and the database opens."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from salesflow import SalesFlow

COMMAND = (sys.executable, "-m", "salesflow")
ROOT = Path(__file__).parent.parent.parent
WAIT_SECONDS = 60

STOPPED_LOADING = """
import sys

class CtrlC:
    def find_spec(self, name, *_):
        if name == wanted:
            raise KeyboardInterrupt

wanted = sys.argv.pop(1)
sys.meta_path.insert(0, CtrlC())
from salesflow.cli import main
sys.exit(main())
"""
"""A command line during which Ctrl-C is pressed when a module is about to be loaded."""


def begun(path: Path) -> bool:
    """Look whether something has been recorded beyond the founding."""
    try:
        with SalesFlow(f"sqlite:///{path}", create=False) as flow:
            return flow.log.head().position > 50
    except Exception:  # noqa: BLE001 - half made, or just being written
        return False


def interrupted(command: tuple[str, ...], path: Path) -> subprocess.CompletedProcess[str]:
    """Run a command, press Ctrl-C once it has begun to record, and wait for its end."""
    with subprocess.Popen(
        (*COMMAND, *command, "--db", str(path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None and not begun(path):
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT_SECONDS)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def test_the_demo_can_be_stopped_and_its_database_opens(tmp_path: Path) -> None:
    path = tmp_path / "demo.db"
    done = interrupted(("demo",), path)
    assert done.returncode == 130
    assert done.stderr == "salesflow: stopped; what was recorded stays\n"
    with SalesFlow(f"sqlite:///{path}", create=False) as flow:
        assert flow.log.head().position == len(flow.log.page(0, 1_000_000)) > 50
        flow.catch_up()


def test_an_import_can_be_stopped_and_its_database_opens(tmp_path: Path) -> None:
    path, table = tmp_path / "sheet.db", tmp_path / "many.csv"
    rows = (f"{n};Hofer;anna;Open;08.01.2026;;;1,00;;" for n in range(200_000))
    header = "Deal no;Customer;Rep;Status;Opened;Offer sent;Closed;Value;Lost because;Remark"
    table.write_text("\n".join([header, *rows]), encoding="utf-8")
    for name in ("deals.toml", "customers.csv"):
        (tmp_path / name).write_bytes((ROOT / "examples" / "tables" / name).read_bytes())
    done = interrupted(
        ("import", "table", str(table), "--mapping", str(tmp_path / "deals.toml")), path
    )
    assert done.returncode == 130
    assert done.stderr == "salesflow: stopped; what was recorded stays\n"
    with SalesFlow(f"sqlite:///{path}", create=False) as flow:
        assert flow.log.head().position > 50


@pytest.mark.parametrize("json", [(), ("--json",)])
def test_a_reader_that_goes_away_is_no_reason_to_complain(
    json: tuple[str, ...], db: str
) -> None:
    command = (*COMMAND, "deal", "history", "e490", "--db", db, *json)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(WAIT_SECONDS) in (0, 1)
        assert process.stderr.read() == b""


def test_output_in_an_old_encoding_is_no_reason_to_fail(db: str) -> None:
    done = subprocess.run(
        (*COMMAND, "deal", "show", "e490", "--db", db),
        env={"PYTHONIOENCODING": "ascii", "PATH": ""},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert b"ERP" in done.stdout


@pytest.mark.parametrize(
    "loading",
    [
        "salesflow.cli.run",
        "salesflow.domain.wording",
        "salesflow.errors",
        "rich",
        "typer",
        "salesflow.cli.context",
        "salesflow.cli.app",
        "salesflow.cli.admin.status",
        "salesflow.engine",
        "sqlalchemy",
    ],
)
def test_a_stop_while_everything_is_being_loaded_is_one_line(loading: str, db: str) -> None:
    done = subprocess.run(
        (sys.executable, "-c", STOPPED_LOADING, loading, "status", "--db", db),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130
    assert done.stdout == ""
    assert done.stderr.startswith("salesflow: stopped")
    assert done.stderr.count("\n") == 1

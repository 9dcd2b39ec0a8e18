"""Streams that are closed, full, left by their reader or of an old encoding."""

import io
import json
import os
import signal
import subprocess
import sys

import pytest

from cli.conftest import ERP
from salesflow import Deal, SalesFlow
from salesflow.cli import main
from salesflow.presentation.format import harmless
from simulated import ran

COMMAND = (sys.executable, "-m", "salesflow")
OLD = ("ascii", "cp1252", "gbk", "utf-16")
SHOW = ("deal", "show", "e490")


def printed(encoding: str, *line: str) -> tuple[int, bytes, str]:
    """Run a command line at a terminal of some encoding."""
    out, err = io.BytesIO(), io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stdout := io.TextIOWrapper(out, encoding))
        patch.setattr(sys, "stderr", stderr := io.TextIOWrapper(err, encoding))
        code = main(line)
        stdout.flush()
        stderr.flush()
    return code, out.getvalue(), err.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", OLD)
@pytest.mark.usefixtures("db")
def test_json_is_utf_8_whatever_the_terminal_is_set_to(encoding: str) -> None:
    code, out, err = printed(encoding, *SHOW, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out.decode("utf-8"))["title"] == "ERP 上线"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.usefixtures("db")
def test_what_a_terminal_cannot_show_is_replaced_in_sight_and_said_once(encoding: str) -> None:
    code, out, err = printed(encoding, *SHOW)
    assert code == 0
    assert "ERP ????" in out.decode(encoding), "as wide as it was"
    assert err.startswith("salesflow: ")
    assert f"characters cannot be shown in {encoding} and stand as ?" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("db")
def test_nothing_is_said_where_everything_can_be_shown() -> None:
    assert printed("utf-8", *SHOW)[2] == ""
    code, out, err = printed("ascii", "status")
    assert (code, err) == (0, "")
    assert b"?" not in out


@pytest.mark.parametrize("settings", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "cp1252"}])
def test_a_process_in_an_old_locale_writes_utf_8_json_too(
    settings: dict[str, str], db: str
) -> None:
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", **settings}
    done = subprocess.run(
        (*COMMAND, *SHOW, "--db", db, "--json"),
        env={**os.environ, **plain},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout.decode("utf-8"))["title"] == "ERP 上线"


@pytest.mark.parametrize(
    "redirection", [">&- 2>&-", ">/dev/full", "--json >/dev/full", "| head -c 1"]
)
def test_a_stream_that_cannot_be_written_ends_in_one_line_at_most(
    redirection: str, db: str
) -> None:
    line = f"{sys.executable} -m salesflow deal history e490 --db {db} {redirection}"
    done = subprocess.run(line, shell=True, capture_output=True, check=False, text=True)
    assert done.returncode in (0, 1, 2)
    assert done.stderr.count("\n") <= 1
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("argument", ["x:\udcff", "\ud800", "a\0b"])
@pytest.mark.usefixtures("db")
def test_an_argument_that_is_no_text_is_refused(argument: str) -> None:
    told = ran("deal", "replay", argument)
    assert told.code == 2
    assert "argument 3" in told.err
    assert told.err.isprintable() or told.err.count("\n") == 1


@pytest.mark.usefixtures("db")
def test_an_argument_read_as_bytes_of_another_encoding_is_read_as_utf_8() -> None:
    bytes_read = "李".encode().decode("ascii", "surrogateescape")
    assert "'李'" in ran("deal", "show", bytes_read).err


@pytest.mark.usefixtures("db")
def test_a_message_repeats_no_more_than_a_little_of_what_was_typed() -> None:
    for line in (
        ("deal", "show", "x" * 50_000),
        ("x" * 50_000,),
        ("ask", "kpis", "--by", "x" * 50_000),
    ):
        told = ran(*line)
        assert told.code == 2
        assert len(told.err) < 1_000


@pytest.mark.parametrize(
    "escape", ["\x1b]0;owned\x07", "\x1b[31m", "\u202e", "\x9b31m", "\u2066"]
)
def test_what_a_terminal_obeys_is_written_out(escape: str) -> None:
    shown = harmless(f"kim{escape}lee")
    assert escape not in shown
    assert shown.startswith("kim\\")
    assert shown.isprintable()


def test_a_text_without_escapes_is_shown_as_it_is() -> None:
    text = "ERP 上线 · Müller\nzweite Zeile — ok"
    assert harmless(text) == text


def test_an_actor_with_escapes_in_the_log_reaches_no_terminal(db: str) -> None:
    raw = "\x1b]0;owned\x07kim\u202e"
    with SalesFlow(f"sqlite:///{db}", create=False) as flow:
        connection = flow.log.database
        with flow.session(actor="kim") as s:
            s.get(Deal, ERP).log_contact(channel="call", direction="out")
        with connection.begin() as write:
            write.exec_driver_sql("DROP TRIGGER salesflow_events_update")
            write.exec_driver_sql(
                "UPDATE salesflow_events SET actor = ? WHERE actor = 'kim'", (raw,)
            )
    for line in (("deal", "history", "e490"), ("deal", "history", "e490", "--json")):
        told = ran(*line)
        assert told.code == 0
        assert "owned" in told.out
        assert not set("\x1b\x07\u202e") & set(told.out)


@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_ctrl_c_ends_in_one_line_at_any_time(seconds: float, db: str) -> None:
    line = (*COMMAND, "ask", "retrospective", "--db", db)
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        said = process.stderr.read().decode()
    assert process.returncode in (0, 130, -signal.SIGINT)
    stopped = "salesflow: stopped"  # before it has begun, or in the middle
    assert said in ("", f"{stopped}\n", f"{stopped}; what was recorded stays\n")

"""`export`, `restore` and `digest` as they are typed."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulated import ran

pytestmark = pytest.mark.usefixtures("db")


def test_a_log_is_exported_and_restored(db: str, tmp_path: Path) -> None:
    file, again = tmp_path / "log.jsonl.gz", str(tmp_path / "again.db")
    told = ran("export", "log", str(file))
    assert (told.code, told.err) == (0, "")
    assert "exported" in told.out
    digest = json.loads(ran("digest", "--json").out)
    assert ran("restore", str(file), "--db", again, "--trial").code == 0
    assert not Path(again).exists()
    restored = json.loads(ran("restore", str(file), "--db", again, "--json").out)
    assert restored["log_sha256"] == digest["log_sha256"]
    assert restored["unknown_kinds"] == {}
    assert json.loads(ran("digest", "--json", "--db", again).out) == digest
    funnel = ("ask", "funnel", "--as-of", "2026-03-20", "--known-at", "2026-03-20")
    assert ran(*funnel, "--db", again).out == ran(*funnel, "--db", db).out
    assert ran("check", "--db", again).code == 0


def test_a_log_goes_through_a_pipe(db: str, tmp_path: Path) -> None:
    again = str(tmp_path / "again.db")
    salesflow = [sys.executable, "-m", "salesflow"]
    piped = subprocess.run(
        [*salesflow, "export", "log", "-", "--db", db], check=True, capture_output=True
    )
    assert piped.stderr == b""
    done = subprocess.run(
        [*salesflow, "restore", "-", "--db", again], input=piped.stdout, check=False
    )
    assert done.returncode == 0
    cut = subprocess.run(
        [*salesflow, "restore", "-", "--db", f"{again}2"],
        input=piped.stdout[:-10],
        check=False,
        capture_output=True,
    )
    assert (cut.returncode, cut.stdout) == (2, b"")
    assert b"nothing of it is recorded" in cut.stderr
    assert not Path(f"{again}2").exists()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("export log -  --json", "both are standard output"),
        ("export log there.jsonl", "is there already"),
        ("export log x.txt", "does not say in which format"),
        ("export log x.jsonl --to-position 3 --known-at 2026-03-01", "in one way"),
        ("export log x.jsonl --to-position 9999", "ends at position"),
        ("export tables there.jsonl", "is a file"),
        ("export tables x --table nothing", "no read table"),
        ("export tables x --excel", "--excel is for CSV"),
        ("export tables x --all-beliefs --as-of 2026-03-01", "no one moment"),
        ("export xes x.xml", "does not say in which format"),
        ("export ocel x.xes", "does not say in which format"),
        ("restore none.jsonl --db new.db", "there is no file"),
        ("restore there.jsonl --db new.db", "is no exported log"),
        ("restore there.jsonl --db sqlite://", "would be lost at once"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    line: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.jsonl").write_text("precious", encoding="utf-8")
    told = ran(*line.split())
    assert told.code == 2
    assert why in told.err
    assert told.out == ""
    assert Path("there.jsonl").read_text(encoding="utf-8") == "precious"
    assert [name for name in os.listdir() if not name.startswith("house.db")] == ["there.jsonl"]


def test_tables_are_exported_at_a_moment(tmp_path: Path) -> None:
    folder = tmp_path / "march"
    told = ran("export", "tables", str(folder), "--format", "csv", "--as-of", "2026-03-10")
    assert told.code == 0
    assert "deal_state.csv" in told.out
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["as_of"] == "2026-03-10T15:59:59.999999+00:00"
    everything = ran(
        "export", "tables", str(tmp_path / "all"), "--all-beliefs", "--json", "--table", "goal"
    )
    assert json.loads(everything.out)["as_of"] is None


def test_histories_are_exported_and_say_what_is_left_out(tmp_path: Path) -> None:
    for name in ("x.xes", "x.xes.gz", "x.json", "x.xml", "x.sqlite"):
        kind = "xes" if ".xes" in name else "ocel"
        told = ran("export", kind, str(tmp_path / name))
        assert told.code == 0, told.err
        assert "--personal adds them" in told.out
        with_texts = ran(
            "export", kind, str(tmp_path / name), "--personal", "--force", "--json"
        )
        assert json.loads(with_texts.out)["personal_texts"] is True
    assert b"<trace>" in gzip.decompress((tmp_path / "x.xes.gz").read_bytes())


def test_exports_speak_chinese(tmp_path: Path) -> None:
    told = ran("export", "log", str(tmp_path / "x.jsonl"), "--lang", "zh")
    assert "已导出" in told.out
    told = ran("export", "ocel", str(tmp_path / "x.json"), "--lang", "zh")
    assert "事件" in told.out
    assert "--personal" in told.out
    assert "已恢复" in ran(
        "restore", str(tmp_path / "x.jsonl"), "--db", str(tmp_path / "y.db"), "--lang", "zh"
    ).out  # fmt: skip

"""A database URL means what it says, or is refused with what to write instead."""

import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from salesflow.adapters.database.database import Database
from salesflow.cli import main
from salesflow.errors import DatabaseError, InputError, NotFoundError

NO_FILE = {
    "sqlite://x.db": "sqlite:///x.db",
    "sqlite://x.db/y": "sqlite:///x.db/y",
    "sqlite://localhost/x.db": "SQLite has none",
    "sqlite://:secret@/x.db": r"sqlite://:\*\*\*@/x.db names a host",
    "sqlite://:3306/x.db": "SQLite has none",
    "sqlite+pysqlite://x.db": "sqlite:///x.db",
    "sqlite:x.db": "write sqlite:///x.db",
    "sqlite:/srv/x.db": "write sqlite:////srv/x.db",
    "SQLite:///x.db": "write sqlite:// in small letters",
    "sqlite:///": "names no file",
    "x.db": "write sqlite:///x.db",
    "": "write sqlite:///sales.db",
    "sqlite:///x.db ": "begins or ends with white space",
    "sqlite:///x.db\n": "begins or ends with white space",
    "\tsqlite:///x.db": "begins or ends with white space",
    "sqlite:///%20x.db": "cannot name a file",
    "sqlite:///a%00b.db": "cannot name a file",
    "sqlite:///a\udcffb.db": "holds a character that no URL has",
    "sqlite:///x.db?mode=memory": "takes no options",
    "sqlite:///x.db?timeout=30": "takes no options",
    "sqlite:///x.db?": "takes no options",
    "sqlite:///why?.db": "%3F for a question mark",
    "sqlite:///file:x.db?mode=memory&cache=shared&uri=true": "for a passing database",
    "sqlite:///file::memory:": "for a passing database",
    "file:x.db": "write sqlite:///x.db",
}
OTHER = {
    "sqlite+aiosqlite:///x.db": r"asyncio; salesflow opens sqlite:// .*to_thread",
    "postgresql+asyncpg://host/sales": r"asyncio; salesflow opens postgresql\+psycopg://",
    "postgresql+psycopg_async://host/sales": "asyncio",
    "postgresql+pg8000://host/sales": r"use sqlite:///… or postgresql\+psycopg://…",
    "mysql://me:secret@host/sales": "mysql is not supported",
    "postgresql://me:sec/ret@host:port/sales": r"me:\*\*\*@host:port.*the port in digits",
}


@pytest.mark.parametrize("url", NO_FILE)
def test_a_sqlite_url_of_which_a_part_would_be_lost_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=NO_FILE[url]) as refusal:
        Database(url)
    assert "secret" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", OTHER)
def test_another_kind_of_database_is_refused_with_the_way_out(url: str) -> None:
    with pytest.raises(InputError, match=OTHER[url]) as refusal:
        Database(url)
    assert not {"secret", "sec/ret"} & set(str(refusal.value).split(":"))


@pytest.mark.parametrize("given", [Path("sales.db"), b"sqlite:///sales.db", None, 5])
def test_what_is_no_text_is_no_url(given: object) -> None:
    with pytest.raises(InputError, match=r"sqlite:///sales\.db"):
        Database(given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///sales.db", "sales.db"),
        ("sqlite+pysqlite:///sales.db", "sales.db"),
        ("sqlite:///./up/../sales.db", "sales.db"),
        ("sqlite:///销售 数据.db", "销售 数据.db"),
        ("sqlite:///%E9%94%80%E5%94%AE.db", "销售.db"),
        ("sqlite:///100%25 new%3F.db", "100% new?.db"),
        ("sqlite:///a#b;c&d=e.db", "a#b;c&d=e.db"),
        (sa.URL.create("sqlite", database="what?%20.db"), "what?%20.db"),
    ],
)
def test_a_file_may_have_any_name(
    url: str | sa.URL, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "up").mkdir()
    monkeypatch.chdir(tmp_path)
    Database(url).close()
    assert (tmp_path / file).is_file()
    with Database(url, create=False) as database:
        monkeypatch.chdir("/")
        with database.read():
            pass
    assert {each.name for each in tmp_path.iterdir()} == {"up", file}


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_passing_database_leaves_nothing_and_holds_no_log_yet(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Database(url) as database, database.read():
        pass
    with pytest.raises(NotFoundError, match="a database in memory is new and holds no log"):
        Database(url, create=False)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none/sales.db", "there is no folder .*none$"),
        ("~/sales.db", "~ is not expanded"),
        ("folder", "it is a folder; name a file in it"),
        ("none/", "it is a folder"),
        ("pipe", "it is a pipe or a device; name a file"),
        ("/dev/null", "it is a pipe or a device"),
        ("x" * 5000, "File name too long"),
        ("x/" * 5000 + "x", "File name too long"),
    ],
)
def test_where_no_file_can_be_made_the_reason_is_named(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatabaseError, match=said) as refusal:
        Database(f"sqlite:///{name}")
    assert len(str(refusal.value)) < 600


def test_a_password_that_reaches_nobody_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError) as refusal:
        Database(f"postgresql://me:secret@/sales?host={tmp_path}")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("command", "url"),
    [
        (["demo"], "sqlite://"),
        (["status"], ":memory:"),
        (["demo"], "sqlite://sales.db"),
        (["ask", "funnel"], "sqlite:sales.db"),
        (["rebuild"], "sqlite:///"),
    ],
)
def test_the_command_line_takes_no_database_that_would_be_gone(
    command: list[str],
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*command, "--db", url]) == 2
    assert capsys.readouterr().err.startswith("salesflow: ")
    assert os.listdir(tmp_path) == []


def test_a_path_on_the_command_line_names_the_file_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Database(sa.URL.create("sqlite", database=str(tmp_path / "a%20b?.db"))).close()
    monkeypatch.chdir(tmp_path)
    assert main(["status", "--db", "a%20b?.db"]) == 2
    assert "nothing has been recorded of tenant 'main'" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["a%20b?.db"]

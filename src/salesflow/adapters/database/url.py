"""Database URLs: what may be written, and what is meant by what may not.

    sqlite:///sales.db                      a file, relative to the working folder
    sqlite:////srv/data/sales.db            a file by its whole path
    sqlite://  or  sqlite:///:memory:       a passing database, gone when it is closed
    postgresql+psycopg://user@host/name     a PostgreSQL database

SQLAlchemy reads much more than that, and reads some slips as something else: `sqlite://x.db`
with two slashes is a host without a file, which means memory. So a URL is refused when any
part of it would be left out of account, and the message says what to write instead.
"""

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import sqlalchemy as sa

from salesflow.adapters.database.schema import WAY_OUT
from salesflow.domain.wording import shortened
from salesflow.errors import DatabaseError, InputError, NotFoundError

__all__ = [
    "SQLITE",
    "hint_of_copy",
    "parsed_url",
    "shown_url",
    "sqlite_path",
    "without_password",
]


IN_MEMORY: Final = ":memory:"
SQLITE: Final = ("sqlite", "sqlite+pysqlite")
POSTGRESQL: Final = "postgresql+psycopg"
ALIASES: Final = {
    "postgres": POSTGRESQL,
    "postgresql": POSTGRESQL,
    "postgresql+psycopg2": POSTGRESQL,
}
ASYNC: Final = {
    "sqlite+aiosqlite": "sqlite",
    "postgresql+asyncpg": POSTGRESQL,
    "postgresql+psycopg_async": POSTGRESQL,
}
EXAMPLES: Final = "write sqlite:///sales.db or postgresql+psycopg://user@host/name"

PASSWORD: Final = re.compile(r"(//[^:/@]*):.*@")
DECODES: Final = sa.make_url("sqlite:///%25").database == "%"
"""Whether this SQLAlchemy reads a percent sign in the name of a database: from 2.1 on."""
UNFIT: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]|^\s|\s$")


def parsed_url(url: object, *, must_exist: bool = False) -> sa.URL:
    """Read a database URL, with the driver that is used.

    Raises:
        InputError: for what is no URL, names another database or driver, or holds a part
            that would be left out of account.
        NotFoundError: when it must exist and is a SQLite file that is not there, which opening
            it would make, or is in memory, where nothing can be yet.
    """
    if isinstance(url, sa.URL):
        parsed = url
    elif isinstance(url, str):
        parsed = _read(url)
    else:
        raise InputError(_not_text(url))
    name = ALIASES.get(parsed.drivername, parsed.drivername)
    if name not in (*SQLITE, POSTGRESQL):
        raise InputError(_other_driver(parsed))
    if name in SQLITE:
        options = "?" in url if isinstance(url, str) else bool(parsed.query)
        _ensure_no_lost_parts(parsed, options=options)
        if must_exist:
            _ensure_file_exists(parsed)
    return parsed.set(drivername=name)


def sqlite_path(url: sa.URL) -> Path | None:
    """Return the file a SQLite URL names; None when it is a passing one.

    Raises:
        InputError: when no file can have that name.
        DatabaseError: when the folder is missing, or what has that name is no file.
    """
    name = url.database or IN_MEMORY
    if name == IN_MEMORY:
        return None
    path = Path(name).absolute()
    try:
        is_folder, has_home = path.is_dir(), path.parent.is_dir()
        is_odd = path.exists() and not (is_folder or path.is_file())
    except OSError as error:
        raise DatabaseError(f"{shortened(path)} cannot be opened: {error.strerror}") from error
    if is_folder or name.endswith(os.sep):
        raise DatabaseError(
            f"{shortened(path)} cannot be opened: it is a folder; name a file in it"
        )
    if is_odd:
        raise DatabaseError(
            f"{shortened(path)} cannot be opened: it is a pipe or a device; name a file"
        )
    if not has_home:
        home = "; ~ is not expanded, write the folder out" if name.startswith("~") else ""
        raise DatabaseError(
            f"{shortened(path)} cannot be opened: there is no folder"
            f" {shortened(path.parent)}{home}"
        )
    return path


def _ensure_file_exists(url: sa.URL) -> None:
    name = url.database or IN_MEMORY
    if name == IN_MEMORY:
        raise NotFoundError("a database in memory is new and holds no log; name a file")
    if not Path(name).is_file():
        raise NotFoundError(f"there is no database {shortened(name)}")


def hint_of_copy(url: sa.URL) -> str:
    """Return what may be missing where a SQLite file holds less than somebody expects.

    A database in use whose newest commits lie in its write-ahead log still has the mark of
    that, and may hold nothing otherwise.
    """
    if url.drivername not in SQLITE or url.database in (None, IN_MEMORY):
        return ""
    path = Path(url.database or "")
    if not path.stat().st_size:
        return f"; the file is empty, and if a log was in it {WAY_OUT}"
    if not _has_a_log(path):
        return ""
    return (
        f"; if it was copied from a database in use, {shortened(path.name)}-wal was left"
        " behind, in which the newest commits lie: copy with `salesflow backup`"
    )


def _has_a_log(path: Path) -> bool:
    """Whether a SQLite file was last written with a write-ahead log.

    Asked of SQLite: whoever reads the file past it drops the locks this process holds on it.
    """
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
        return [*file.execute("PRAGMA journal_mode")] == [("wal",)]


def without_password(url: str) -> str:
    """Write a URL, or what somebody took for one, without what may be its password."""
    return PASSWORD.sub(r"\1:***@", url)


def shown_url(url: sa.URL) -> str:
    """Write a URL for people: without the password, a file's name as it is."""
    if url.drivername in SQLITE:
        return shortened(f"sqlite:///{url.database or IN_MEMORY}")
    return shortened(url.render_as_string(hide_password=True))


def _read(url: str) -> sa.URL:
    if UNFIT.search(url):
        raise InputError(
            f"{_shown(url)!r} is not a database URL: it begins or ends with white space, or"
            f" holds a character that no URL has; {EXAMPLES}"
        )
    try:
        read = sa.make_url(url)
        return (
            read if DECODES or not read.database else read.set(database=unquote(read.database))
        )
    except (sa.exc.ArgumentError, ValueError) as error:
        raise InputError(f"{_shown(url)!r} is not a database URL; {_meant(url)}") from error


def _meant(url: str) -> str:
    """Return what somebody meant who wrote what is no URL."""
    scheme, colon, rest = url.partition(":")
    if not url:
        return EXAMPLES
    if not colon:
        return f"for a file of that name write sqlite:///{shortened(url)}"
    if scheme.lower() in (*SQLITE, "file"):
        slash = "/" if rest.startswith("/") else ""
        return f"write sqlite:///{slash}{shortened(rest.strip('/'))}"
    if "://" in rest or scheme.lower().startswith("postgres"):
        return "write postgresql+psycopg://user@host:5432/name, the port in digits"
    return EXAMPLES


def _other_driver(url: sa.URL) -> str:
    name = url.drivername
    if name in ASYNC:
        return (
            f"{name} is a driver for asyncio; salesflow opens {ASYNC[name]}:// and is called"
            " in a thread (asyncio.to_thread)"
        )
    lower = ALIASES.get(name.lower(), name.lower())
    if lower in (*SQLITE, POSTGRESQL):
        return f"{name} is not a kind of database; write {lower}:// in small letters"
    return f"{shortened(name)} is not supported; use sqlite:///… or postgresql+psycopg://…"


def _ensure_no_lost_parts(url: sa.URL, *, options: bool) -> None:
    """Refuse a SQLite URL of which a part would have no meaning."""
    name, host = url.database, url.host
    if host or url.port or url.username or url.password:
        shown = _shown(url.render_as_string(hide_password=True))
        file = "/".join(part for part in (host, name) if part) or "sales.db"
        raise InputError(
            f"{shown} names a host, and SQLite has none; write three slashes,"
            f" sqlite:///{shortened(file)}, or four for a whole path, sqlite:////{shortened(file)}"
        )
    if name is not None and name.startswith("file:"):
        raise InputError(
            f"{shortened(name)} is a file: URI; write sqlite:///path/to/sales.db, or"
            " sqlite:// for a passing database in memory"
        )
    if options:
        raise InputError(
            f"a SQLite URL takes no options, and {_shown(url.render_as_string())} has some"
            f" behind its question mark; write sqlite:///{shortened(name or 'sales.db')}, and"
            " %3F for a question mark in the name of a file"
        )
    if name == "":
        raise InputError(
            "sqlite:/// names no file; write sqlite:///sales.db, or sqlite:// for a passing"
            " database in memory"
        )
    if name is not None and UNFIT.search(name):
        raise InputError(
            f"{shortened(name)!r} cannot name a file: it begins or ends with white space, or"
            " holds a character that no name should have"
        )


def _not_text(url: object) -> str:
    if isinstance(url, os.PathLike):
        return f"a path is not a database URL; write sqlite:///{shortened(os.fspath(url))}"
    return f"a database URL is text, not {type(url).__name__}; {EXAMPLES}"


def _shown(url: str) -> str:
    return shortened(without_password(url))

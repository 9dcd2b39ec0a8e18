"""The database behind the log and the read tables: SQLite or PostgreSQL, by URL alone.

`Database("sqlite:///sales.db")` or `Database("postgresql+psycopg://user@host/name")` opens,
checks that the database is ours and of this schema version, and creates the tables in an
empty one. `read()` gives one consistent snapshot, `begin()` a write transaction that commits
at the end of the block; both are SQLAlchemy connections.

    sqlite:///sales.db                      a file, relative to the working folder
    sqlite:////srv/data/sales.db            a file by its whole path
    sqlite://  or  sqlite:///:memory:       a passing database, gone when it is closed
    postgresql+psycopg://user@host/name     a PostgreSQL database

SQLAlchemy reads much more than that, and reads some slips as something else: `sqlite://x.db`
with two slashes is a host without a file, which means memory. So a URL is refused when any
part of it would be left out of account, and the message says what to write instead.

A database that holds other tables is refused, so that a mistyped URL harms nobody; pass
`shared=True` to keep the log beside the tables of your own service. With `create=False` only
a database that holds a log already is opened, and nothing is made.

Copies of read tables may lie in files, so that a process need not read all rows to begin.
Where nothing is said they lie beside a SQLite database, and there are none of any other: whose
disk may hold what a server holds is for its owner to say. `columns_folder="/srv/columns"` keeps
them there, in a folder for each database; `columns_folder=""` keeps none. Where it is not
given, the environment variable SALESFLOW_COLUMNS_FOLDER says so.

What it leaves out: events (see `event_store.log`), and every table's meaning (see `schema`).
"""

import os
import re
import sqlite3
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple, Self
from urllib.parse import unquote

import sqlalchemy as sa

from salesflow.adapters.database import schema
from salesflow.adapters.database.connections import IN_MEMORY, Block, Connections
from salesflow.adapters.database.schema import STORE_TABLES, TABLES_THERE, WAY_OUT, lacking
from salesflow.adapters.database.schema_version import READABLE
from salesflow.adapters.database.sqlite import SqliteDatabase
from salesflow.adapters.logs import DATABASE
from salesflow.domain.values import shown
from salesflow.domain.wording import shortened
from salesflow.errors import (
    DatabaseError,
    InputError,
    NotFoundError,
    SalesflowError,
    SchemaError,
)

__all__ = [
    "COLUMNS_ENDING",
    "SQLITE",
    "WAIT_SECONDS",
    "ColumnsPlace",
    "Database",
    "file_of",
    "parsed_url",
    "sqlite_path",
    "without_password",
]


COLUMNS_ENDING: Final = "-columns"
"""How the name of the folder beside a SQLite file ends in which copies of its tables lie."""
WAIT_SECONDS = 5.0
WAIT_SECONDS_MAX: Final = 86_400
COLUMNS_VARIABLE: Final = "SALESFLOW_COLUMNS_FOLDER"
COLUMNS_DIGITS: Final = 32
NOT_OURS: Final = "is not a salesflow database"
VERSION: Final = str(sa.select(schema.schema_row.c.version))

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


class ColumnsPlace(NamedTuple):
    """Where copies of read tables may lie as files."""

    folder: Path
    rights_of: Path | None
    """The file whose rights they get; None where nobody else may read them."""


class Database:
    """One database, open. Close it, or use it as a context manager."""

    def __init__(
        self,
        url: str | sa.URL,
        *,
        shared: bool = False,
        create: bool = True,
        wait_seconds: float = WAIT_SECONDS,
        columns_folder: str | None = None,
    ) -> None:
        _ensure_bounded_waiting(wait_seconds)
        _ensure_text(columns_folder)
        self.url = parsed_url(url, must_exist=not create)
        self.connections: Final = _connections(self.url, wait_seconds)
        """What opens and uses it, each database in its own way; most is handed out here."""
        self.dialect: Final[str] = self.connections.name
        """`sqlite` or `postgresql`."""
        self.wait_seconds: Final[float] = self.connections.wait_seconds
        self.read: Final = partial(Block, self.connections, "read")
        """A connection on which all selects see one and the same snapshot."""
        self.begin: Final = partial(Block, self.connections, "write")
        """A connection in a write transaction: committed at the end, or rolled back."""
        self.derive: Final = partial(Block, self.connections, "derive")
        """The same for what follows from the log: a power failure may take it back, whole."""
        self.creating: Final = partial(Block, self.connections, "create")
        """A connection in a write transaction that keeps other creators out."""
        self.whole: Final = self.connections.whole
        self.rows: Final = self.connections.rows
        self.change: Final = self.connections.change
        self.tables_version: Final = self.connections.tables_version
        self.ensure_not_replaced: Final = self.connections.ensure_not_replaced
        self.waiter: Final = self.connections.waiter
        self.translate_error: Final = self.connections.translate_error
        self.close: Final = self.connections.close
        try:
            self._check(shared=shared, create=create)
            self.columns_place: Final = self._columns_place(columns_folder)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def engine(self) -> sa.Engine:
        """The SQLAlchemy engine, for those who need one of their own transactions."""
        return self.connections.engine

    @property
    def shown(self) -> str:
        """The URL for people: without a password."""
        return self.connections.shown

    def create_tables(self, metadata: sa.MetaData) -> None:
        """Create the tables that are missing; two processes may do so at once."""
        with self.creating() as connection:
            metadata.create_all(connection)

    def _columns_place(self, folder: str | None) -> ColumnsPlace | None:
        """Return where copies of read tables may lie; None for nowhere."""
        if folder is None:
            folder = os.environ.get(COLUMNS_VARIABLE)
        if folder is None:
            if self.connections.beside is None:
                return None
            file = Path(self.connections.beside)
            return ColumnsPlace(Path(f"{file}{COLUMNS_ENDING}"), file)
        known_as = self.connections.known_as() if folder else None
        if known_as is None:
            return None
        digits = sha256("\0".join(known_as).encode()).hexdigest()[:COLUMNS_DIGITS]
        return ColumnsPlace(Path(folder).expanduser().absolute() / f"columns-{digits}", None)

    def _check(self, *, shared: bool, create: bool) -> None:
        ready = self._holds_a_log()
        if not ready:
            with self.read() as connection:
                ready = self._is_ready(connection, shared=shared)
        if not ready and not create:
            raise NotFoundError(
                f"{self.shown} holds no log of salesflow{hint_of_copy(self.url)}"
            )
        self.connections.prepare()
        if not ready:
            self._make(shared=shared)

    def _make(self, *, shared: bool) -> None:
        with self.creating() as connection:
            if not self._is_ready(connection, shared=shared):
                _create(connection, self.connections.ddl)
                DATABASE.info("made the tables of a new log in %s", self.dialect)

    def _is_ready(self, connection: sa.Connection, *, shared: bool) -> bool:
        """Return whether the tables are there; refuse a database that is not ours to use."""
        if self._holds_a_log(connection):
            return True
        self._ensure_usable(connection, shared=shared)
        return False

    def _holds_a_log(self, connection: sa.Connection | None = None) -> bool:
        """Return whether the tables are there, all of them and of this schema version."""
        there = {name for (name,) in self.rows(TABLES_THERE[self.dialect], (), connection)}
        if schema.schema_row.name not in there:
            return False
        version = self._version(connection)
        if not isinstance(version, int):
            raise SchemaError(f"{self.shown} {NOT_OURS}: it has no schema version")
        if version not in READABLE[self.dialect]:
            raise SchemaError(f"{self.shown} has schema version {version}, {_way_out(version)}")
        if not STORE_TABLES[self.dialect] <= there:
            raise lacking(self.shown, self.dialect, there)
        return True

    def _version(self, connection: sa.Connection | None) -> object:
        """Return what the table of the schema version holds, None where it holds nothing."""
        driver = self.engine.dialect.loaded_dbapi
        try:
            rows = self.rows(VERSION, (), connection)
        except SalesflowError as error:
            if isinstance(error.__cause__, driver.OperationalError | driver.ProgrammingError):
                raise SchemaError(f"{self.shown} {NOT_OURS}: {error.__cause__}") from error
            raise
        return rows[0][0] if rows else None

    def _ensure_usable(self, connection: sa.Connection, *, shared: bool) -> None:
        """Refuse to make tables beside those of others, or where some of ours are left."""
        inspector = sa.inspect(connection)
        others = sorted({*inspector.get_table_names(), *inspector.get_view_names()})
        left = [name for name in others if name.startswith(schema.TABLE_PREFIX)]
        if left:
            raise SchemaError(
                f"{self.shown} {NOT_OURS}, or no whole one any more: it holds {_some(left)},"
                f" and no {schema.schema_row.name}. If its tables were dropped (by a migration,"
                " say), put it back from a backup"
            )
        if others and not shared:
            raise SchemaError(
                f"{self.shown} {NOT_OURS}: it holds {_some(others)}."
                " Name another one; only a program of your own can put the log beside them"
                " (SalesFlow(url, shared=True))"
            )


def _connections(url: sa.URL, wait_seconds: float) -> Connections:
    """Choose by URL; what needs psycopg is imported only where PostgreSQL is meant."""
    if url.drivername in SQLITE:
        return SqliteDatabase(url, sqlite_path(url), wait_seconds)
    try:
        from salesflow.adapters.database.postgres import PostgresDatabase
    except ImportError as error:
        raise DatabaseError(
            "PostgreSQL needs psycopg; run: pip install 'salesflow[postgres]'"
        ) from error
    return PostgresDatabase(url, wait_seconds)


def _way_out(version: int) -> str:
    """Return what to do about a database of another schema version."""
    ours = f"than this salesflow ({schema.SCHEMA_VERSION})"
    if version > schema.SCHEMA_VERSION:
        return f"newer {ours}; install the newer one"
    return (
        f"older {ours} can read; no release wrote it and there is no upgrade, so make it anew"
        " from its source"
    )


def _ensure_bounded_waiting(seconds: object) -> None:
    if isinstance(seconds, int | float) and not 0 <= seconds <= WAIT_SECONDS_MAX:
        raise InputError(
            f"wait_seconds is {shown(seconds)}; write a number of seconds, 0 to"
            f" {WAIT_SECONDS_MAX:,}"
        )


def _ensure_text(folder: object) -> None:
    if folder is not None and not isinstance(folder, str):
        raise InputError(
            f'columns_folder is {shown(folder)}; write a folder as text, or "" for none'
        )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more tables"


def _create(connection: sa.Connection, ddl: tuple[str, ...]) -> None:
    here = connection.dialect.name
    tables = [t for t in schema.STORE.sorted_tables if t.info.get("only", here) == here]
    schema.STORE.create_all(connection, tables=tables, checkfirst=False)
    for statement in ddl:
        connection.exec_driver_sql(statement)
    connection.execute(schema.schema_row.insert().values(id=1, version=schema.SCHEMA_VERSION))


# Database URLs: what may be written, and what is meant by what may not.


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


def file_of(url: str) -> Path | None:
    """Return the file a URL names; None where it is none of SQLite's, or a passing one."""
    parsed = parsed_url(url)
    return sqlite_path(parsed) if parsed.drivername in SQLITE else None


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

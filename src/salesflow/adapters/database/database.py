"""The database behind the log and the read tables: SQLite or PostgreSQL, by URL alone.

`Database("sqlite:///sales.db")` or `Database("postgresql+psycopg://user@host/name")` opens,
checks that the database is ours and of this schema version, and creates the tables in an
empty one. `read()` gives one consistent snapshot, `begin()` a write transaction that commits
at the end of the block; both are SQLAlchemy connections. `sqlite://` without a file is a
temporary file that is gone after `close()`.

A database that holds other tables is refused, so that a mistyped URL harms nobody; pass
`shared=True` to keep the log beside the tables of your own service. With `create=False` only
a database that holds a log already is opened, and nothing is made.

What it leaves out: events (see `event_store.log`), and every table's meaning (see `schema`).
"""

from collections.abc import Callable
from typing import Any, Final, Protocol, Self

import sqlalchemy as sa

from salesflow.adapters.database import schema
from salesflow.adapters.database.connections import Block, Holds, Kind, Owner, Patience, Whole
from salesflow.adapters.database.schema import ensure_tables, tables_there
from salesflow.adapters.database.sqlite import SqliteDatabase
from salesflow.adapters.database.url import (
    SQLITE,
    ensure_file_exists,
    hint_of_copy,
    parsed_url,
    shown_url,
)
from salesflow.adapters.logs import DATABASE
from salesflow.domain.values import shown
from salesflow.errors import (
    DatabaseError,
    InputError,
    NotFoundError,
    SchemaError,
)

__all__ = ["WAIT_SECONDS", "Connections", "Database"]


WAIT_SECONDS = 5.0
WAIT_SECONDS_MAX: Final = 86_400

Row = tuple[Any, ...]


class CommitListener(Protocol):
    """Waits for somebody's commit: a hint, which may come for nothing or be missed."""

    def listen(self) -> None:
        """Begin to listen, when not listening yet; what is committed later is heard."""

    def wait(self, seconds: float) -> None:
        """Return when something was committed, when woken, or when the time is up."""

    def wake(self) -> None:
        """End a wait in another thread."""

    def close(self) -> None:
        """Stop listening."""


class Connections(Owner, Protocol):
    """What differs between SQLite and PostgreSQL when a database is opened and used."""

    name: str
    engine: sa.Engine
    ddl: tuple[str, ...]
    holds: Holds

    def prepare(self) -> None:
        """Set what the database itself remembers, once it is known to be ours."""

    def watch(self) -> None:
        """Look from now on whether somebody else changes what is not theirs."""

    def rows(
        self,
        statement: str,
        parameters: Row,
        connection: sa.Connection | None = None,
        look: bool = True,
    ) -> list[Row]:
        """Run one select straight through the driver, its parameters marked `?`.

        Who appends afterwards, or calls `ensure_not_replaced`, may leave out to `look` whether
        the database is still the one that was opened.
        """

    def ensure_not_replaced(self) -> None:
        """Insist that the database is the one that was opened.

        Raises:
            ReplacedError: when its file was removed, or another lies in its place.
        """

    def change(
        self,
        statement: str,
        parameters: Row,
        connection: sa.Connection,
        patience: Patience | None = None,
    ) -> int:
        """Change rows that others may hold, their parameters marked `?`; give how many.

        Raises:
            BusyError: when others were waited for longer than the patience, or as long as
                writers wait.
        """

    def waiter(self) -> CommitListener:
        """Give what waits for commits of anybody; see `event_store.subscription`."""

    def announce(self) -> None:
        """Wake who waits in this process: something was committed."""

    def ensure_unchanged(self) -> None:
        """Refuse what was read while somebody changed what cannot be read safely then."""

    def close(self) -> None:
        """Close every connection."""


class Database:
    """One database, open. Close it, or use it as a context manager."""

    def __init__(
        self,
        url: str | sa.URL,
        *,
        shared: bool = False,
        create: bool = True,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self.url = parsed_url(url)
        _ensure_bounded_waiting(wait_seconds)
        if not create:
            ensure_file_exists(self.url)
        self.wait_seconds = wait_seconds
        """How long a writer waits for another one before it is told BusyError."""
        self.connections: Final = _kind_of(self.url)(self.url, wait_seconds)
        """What opens and uses it."""
        self.dialect: Final[str] = self.connections.name
        """`sqlite` or `postgresql`."""
        self.rows: Final = self.connections.rows
        self.change: Final = self.connections.change
        self.ensure_not_replaced: Final = self.connections.ensure_not_replaced
        self.waiter: Final = self.connections.waiter
        self.announce: Final = self.connections.announce
        self.translated: Final = self.connections.translated
        self._closed = False
        try:
            self._check(shared=shared, create=create)
        except BaseException:
            self.connections.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def engine(self) -> sa.Engine:
        """The SQLAlchemy engine, for those who need one of their own transactions."""
        return self.connections.engine

    def read(self) -> Block:
        """Give a connection on which all selects see one and the same snapshot."""
        return self._block("read", self.connections.ensure_unchanged)

    def begin(self, patience: Patience | None = None) -> Block:
        """Give a connection in a write transaction: committed at the end, or rolled back."""
        return self._block("write", self.announce, patience)

    def creating(self) -> Block:
        """Give a connection in a write transaction that keeps other creators out."""
        return self._block("create")

    def whole(self) -> Whole:
        """Do something as a whole: what interrupts it leaves no transaction open."""
        blocks = self.connections.holds.blocks
        return Whole(blocks, len(blocks))

    def create_tables(self, metadata: sa.MetaData) -> None:
        """Create the tables that are missing; two processes may do so at once."""
        with self.creating() as connection:
            metadata.create_all(connection)

    def close(self) -> None:
        """Close every connection."""
        self._closed = True
        self.connections.close()

    def _block(
        self,
        kind: Kind,
        then: Callable[[], None] | None = None,
        patience: Patience | None = None,
    ) -> Block:
        self.ensure_open()
        blocks = self.connections.holds.blocks
        return Block(self.connections, kind, blocks, then, patience)

    def ensure_open(self) -> None:
        """Insist that it is open.

        Raises:
            DatabaseError: when it is closed.
        """
        if self._closed:
            raise DatabaseError(f"{self.shown} is closed; open a SalesFlow anew")

    @property
    def shown(self) -> str:
        """The URL for people: without a password."""
        return shown_url(self.url)

    def _check(self, *, shared: bool, create: bool) -> None:
        with self.read() as connection:
            ready = _is_ready(connection, self.shown, shared=shared)
        if not ready and not create:
            raise NotFoundError(
                f"{self.shown} holds no log of salesflow{hint_of_copy(self.url)}"
            )
        self.connections.prepare()
        if not ready:
            self._make(shared=shared)
        self.connections.watch()

    def _make(self, *, shared: bool) -> None:
        with self.creating() as connection:
            if not _is_ready(connection, self.shown, shared=shared):
                _create(connection, self.connections.ddl)
                DATABASE.info("made the tables of a new log in %s", self.dialect)


def _kind_of(url: sa.URL) -> Callable[[sa.URL, float], Connections]:
    """Choose by URL; what needs psycopg is imported only where PostgreSQL is meant."""
    if url.drivername in SQLITE:
        return SqliteDatabase
    try:
        from salesflow.adapters.database.postgres import PostgresDatabase
    except ImportError as error:
        raise DatabaseError(
            "PostgreSQL needs psycopg; run: pip install 'salesflow[postgres]'"
        ) from error
    return PostgresDatabase


def _is_ready(connection: sa.Connection, where: str, *, shared: bool) -> bool:
    """Say whether the tables are there; refuse a database that is not ours to use."""
    there = tables_there(connection)
    if schema.schema_row.name not in there:
        inspector = sa.inspect(connection)
        others = sorted({*inspector.get_table_names(), *inspector.get_view_names()})
        left = [name for name in others if name.startswith(schema.TABLE_PREFIX)]
        if left:
            raise SchemaError(
                f"{where} is not a salesflow database, or no whole one any more: it holds"
                f" {_some(left)}, and no {schema.schema_row.name}. If its tables were dropped"
                " (by a migration, say), put it back from a backup"
            )
        if others and not shared:
            raise SchemaError(
                f"{where} is not a salesflow database: it holds {_some(others)}."
                " Name another one; only a program of your own can put the log beside them"
                " (SalesFlow(url, shared=True))"
            )
        return False
    try:
        version = connection.execute(sa.select(schema.schema_row.c.version)).scalar()
    except (sa.exc.OperationalError, sa.exc.ProgrammingError) as error:
        raise SchemaError(f"{where} is not a salesflow database: {error.orig}") from error
    if not isinstance(version, int):
        raise SchemaError(f"{where} is not a salesflow database: it has no schema version")
    if version > schema.SCHEMA_VERSION:
        raise SchemaError(
            f"{where} has schema version {version}, newer than this salesflow"
            f" ({schema.SCHEMA_VERSION}); install the newer one"
        )
    if version < schema.SCHEMA_VERSION:
        raise SchemaError(
            f"{where} has schema version {version}, older than this salesflow"
            f" ({schema.SCHEMA_VERSION}) can read; no release wrote it and there is no upgrade,"
            " so make it anew from its source"
        )
    ensure_tables(connection.dialect.name, there, where)
    return True


def _ensure_bounded_waiting(seconds: object) -> None:
    if isinstance(seconds, int | float) and not 0 <= seconds <= WAIT_SECONDS_MAX:
        raise InputError(
            f"wait_seconds is {shown(seconds)}; write a number of seconds, 0 to"
            f" {WAIT_SECONDS_MAX:,}"
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

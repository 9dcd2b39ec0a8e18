"""A host's own connection: what may be handed in, and whether it leads to this very log.

A host records facts inside a transaction of its own by handing in its SQLAlchemy connection or
ORM session. Anything else that could be meant (an engine, a driver's connection, an async
session) is refused in a sentence that says what to pass instead; and so is a connection that
commits every statement by itself, and one to another database, where facts would be recorded
in somebody else's log without a word.

A database is known by what it is and not by its URL: a SQLite file by its place on the disk, a
PostgreSQL log by the server's start, the database and the table that the name of the log finds
there, whatever search path is set. That is asked each time, since a host may set the path
anew for each transaction; where a connection to SQLite leads is asked once.
"""

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, ref

import sqlalchemy as sa

from salesflow.adapters.database import schema
from salesflow.adapters.database.database import Database
from salesflow.errors import InputError

__all__ = [
    "Host",
    "Opener",
    "host_connection",
    "host_savepoint",
    "host_transaction",
    "lost_race",
]


if TYPE_CHECKING:
    from sqlalchemy import orm

    Host = sa.Connection | orm.Session | orm.scoped_session[Any]
    Opener = sa.Engine | orm.sessionmaker[Any] | orm.scoped_session[Any]
else:  # the ORM is loaded by hosts that use it, and not by us
    Host = Opener = object


NAMES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
DRIVERS: Final = {"sqlite": "pysqlite", "postgresql": "psycopg"}
OUTSIDE: Final = "give it one of sqlalchemy.create_engine(…) or an ORM Session"
IN_A_THREAD: Final = (
    "make a second engine with sqlalchemy.create_engine(…) and write rows and facts in a"
    " thread: await asyncio.to_thread(flow.run, function, engine=engine)"
)
WHICH_LOG: Final = (
    "SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8, d.oid::int8,"
    f" to_regclass('{schema.events.name}')::oid::int8, current_database(), current_schema()"
    " FROM pg_database AS d WHERE d.datname = current_database()"
)
LEADS_TO: Final = "salesflow leads to"
LOST_RACES: Final = frozenset({"40001", "40P01"})
COMMITS_BY_ITSELF: Final = (
    "the connection commits by itself (AUTOCOMMIT), so that rows and facts would not share a"
    " transaction; pass one with another isolation level, in a transaction"
)


def host_connection(given: object, database: Database) -> sa.Connection:
    """Return the connection behind what a host hands in, its transaction begun.

    Raises:
        InputError: for what is no connection or session, or one that is async, closed,
            commits by itself, or leads to another database.
    """
    connection = _connection_of(given)
    _ensure_usable(connection, database)
    if not connection.in_transaction():
        connection.begin()
    if database.dialect == "sqlite":
        _check_sqlite(connection, database)
    else:
        _check_postgres(connection, database)
    return connection


@contextmanager
def host_savepoint(given: object, database: Database) -> Iterator[sa.Connection]:
    """Return a part of a host's transaction that can be undone by itself.

    On SQLite the whole file is locked for writing first: nobody else can be first then.
    """
    connection = host_connection(given, database)
    _lock_sqlite(connection, database)
    with (_orm_session(given) or connection).begin_nested():
        yield connection


@contextmanager
def host_transaction(opener: object, database: Database) -> Iterator[tuple[Any, sa.Connection]]:
    """Begin a transaction of a host by its engine or sessionmaker; commit it at the end.

    Gives the connection or ORM session, and the connection that is. On SQLite the file is
    locked for writing first.

    Raises:
        InputError: for what opens no transaction, or one that cannot be recorded in.
    """
    if isinstance(opener, sa.Engine):
        opened: Any = opener.connect()
    else:
        opened = _new_session(opener)
    with opened, opened.begin():
        connection = host_connection(opened, database)
        _lock_sqlite(connection, database)
        yield opened, connection


def lost_race(error: BaseException) -> bool:
    """Return whether a transaction of a host failed only since others were at it, too.

    PostgreSQL says so of one that could not be serialized, also at its commit, and of one that
    waited for another in a circle; to begin anew is the way out of both.
    """
    met: BaseException | None = error
    while met is not None:
        driver = met.orig if isinstance(met, sa.exc.DBAPIError) else met
        if getattr(driver, "sqlstate", None) in LOST_RACES:
            return True
        met = met.__cause__
    return False


def _lock_sqlite(connection: sa.Connection, database: Database) -> None:
    raw: object = connection.connection.dbapi_connection
    if isinstance(raw, sqlite3.Connection) and not raw.in_transaction:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except sa.exc.DBAPIError as error:
            raise database.translate_error(error) from error


def _connection_of(given: object) -> sa.Connection:
    if isinstance(given, sa.Connection):
        return given
    session = _orm_session(given)
    if session is None:
        raise InputError(_said_of(given))
    try:
        return session.connection()
    except sa.exc.UnboundExecutionError as error:
        raise InputError(
            "this Session names no single database of its own; pass"
            " session.connection(bind_arguments=…)"
        ) from error
    except sa.exc.InvalidRequestError as error:
        raise InputError(
            f"this Session has no transaction to record in: {error}; pass one that is open"
        ) from error


def _orm_session(given: object) -> "orm.Session | None":
    """Return the ORM session something is or stands for; the ORM is not loaded for that."""
    loaded: Any = sys.modules.get("sqlalchemy.orm")
    if loaded is None:
        return None
    session: Any = given() if isinstance(given, loaded.scoped_session) else given
    return session if isinstance(session, loaded.Session) else None


def _new_session(opener: object) -> "orm.Session":
    loaded: Any = sys.modules.get("sqlalchemy.orm")
    if loaded is not None:
        factory: Any = opener
        if isinstance(opener, loaded.scoped_session):
            factory = factory.session_factory
        if isinstance(factory, loaded.sessionmaker):
            session: orm.Session = factory()
            return session
    if _is_async(opener):
        raise InputError(f"{_named(opener)} is async and salesflow is not; {IN_A_THREAD}")
    raise InputError(
        "engine= takes an Engine or a sessionmaker, which begin a new transaction for every"
        f" attempt, not {_named(opener)}; a transaction that is open goes to connection="
    )


def _said_of(given: object) -> str:
    """Return what to pass instead of something that is not a connection."""
    name = _named(given)
    if isinstance(given, sa.Engine):
        return (
            f"{name} has no transaction; write `with engine.begin() as connection:` and pass"
            " that connection, or flow.run(function, engine=engine)"
        )
    if isinstance(given, sa.Transaction):
        return f"{name} is no connection; pass the connection that it was begun on"
    if _is_async(given):
        return f"{name} is async and salesflow is not; {IN_A_THREAD}"
    if type(given).__module__.startswith("sqlalchemy.orm") or isinstance(given, type):
        return f"{name} makes sessions; pass one of them, or flow.run(function, engine=…)"
    if hasattr(given, "cursor"):
        return (
            f"{name} is a driver's own connection; salesflow shares a transaction with"
            f" SQLAlchemy only: {OUTSIDE}"
        )
    return f"{name} is no connection of SQLAlchemy; {OUTSIDE}"


def _named(given: object) -> str:
    kind = given if isinstance(given, type) else type(given)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__.split('.')[0]}."
    return f"{module}{kind.__name__}"


def _is_async(given: object) -> bool:
    """Return whether something is of SQLAlchemy's asyncio, which is not loaded for that."""
    kind = given if isinstance(given, type) else type(given)
    return kind.__module__.startswith("sqlalchemy.ext.asyncio")


def _ensure_usable(connection: sa.Connection, database: Database) -> None:
    theirs, ours = connection.dialect.name, database.dialect
    if theirs != ours:
        raise InputError(
            f"this log lies in {NAMES[ours]} ({database.shown}), the connection leads to"
            f" {NAMES.get(theirs, theirs)}; pass one to the same database"
        )
    if connection.closed:
        raise InputError("the connection is closed; pass one in an open transaction")
    driver = connection.dialect.driver
    if connection.dialect.is_async:
        raise InputError(
            f"the connection belongs to an async engine ({driver}) and salesflow is not async;"
            f" {IN_A_THREAD}"
        )
    if driver != DRIVERS[ours]:
        raise InputError(
            f"the connection speaks to {NAMES[ours]} through {driver}, salesflow through"
            f" {DRIVERS[ours]}; make its engine with {ours}+{DRIVERS[ours]}://"
        )


def _check_sqlite(connection: sa.Connection, database: Database) -> None:
    raw: object = connection.connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection), "the driver is pysqlite"
    alone = raw.isolation_level is None or getattr(raw, "autocommit", None) is True
    if alone and not raw.in_transaction:
        raise InputError(COMMITS_BY_ITSELF)
    if connection.info.get(LEADS_TO) == ref(database):
        return
    file = next((row[2] for row in raw.execute("PRAGMA database_list") if row[1] == "main"), "")
    ours = str(database.engine.url.database)
    try:
        same = bool(file) and os.path.samestat(os.stat(file), os.stat(ours))
    except OSError:
        same = False
    if not same:
        raise InputError(
            f"the connection leads to {file or 'a database in memory'}, this log lies in"
            f" {ours}; pass a connection to the same file (the engine"
            " flow.log.database.engine leads there)"
        )
    connection.info[LEADS_TO] = ref(database)


def _check_postgres(connection: sa.Connection, database: Database) -> None:
    raw: Any = connection.connection.dbapi_connection
    if raw.autocommit:
        raise InputError(COMMITS_BY_ITSELF)
    try:
        theirs = tuple(connection.exec_driver_sql(WHICH_LOG).one())
    except sa.exc.DBAPIError as error:
        raise database.translate_error(error) from error
    ours = _ours.get(database)
    if ours is None or theirs[:3] != ours[:3]:  # the server may have been restarted since
        ours = _ours[database] = database.rows(WHICH_LOG, ())[0]
    if theirs[:3] != ours[:3]:
        lost = "" if theirs[2] else " (where its search path finds no log)"
        raise InputError(
            f"the connection leads to database {theirs[3]}, schema {theirs[4]}{lost}; this log"
            f" lies in database {ours[3]}, schema {ours[4]}, at {database.shown}. Pass a"
            " connection to the same database and schema"
        )


_ours: Final[WeakKeyDictionary[Database, tuple[Any, ...]]] = WeakKeyDictionary()
"""What each PostgreSQL database answered when it was last asked which log it is."""

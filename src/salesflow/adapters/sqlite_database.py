"""SQLite: how its connections are opened, locked, checkpointed and closed.

One connection writes the log, guarded by a lock, so writers of one process queue up fairly
instead of polling the file. Connections never checkpoint by themselves: SQLite before 3.51.3
can corrupt a write-ahead log when one connection checkpoints while another starts it anew
(https://sqlite.org/wal.html#walresetbug). Here a checkpoint runs only while the same process
holds the write lock, so nobody can start the log anew meanwhile.

`synchronous=FULL`: what was acknowledged is on the disk.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EROFS
from pathlib import Path
from threading import Event as Flag
from threading import Lock
from time import monotonic, sleep
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa

from salesflow.adapters.database_url import sqlite_path
from salesflow.adapters.idle import Idle
from salesflow.adapters.schema import SQLITE_DDL
from salesflow.errors import BusyError, DatabaseError, InputError, SalesflowError, SchemaError

__all__ = ["SqliteDatabase", "sqlite_connection", "translate_sqlite"]

Row = tuple[Any, ...]

PRAGMAS = (
    "synchronous=FULL",
    "foreign_keys=ON",
    "recursive_triggers=ON",
    "wal_autocheckpoint=0",
    "cache_size=-65536",
)
CHECKPOINT_AFTER = 600
"""Pages written, by estimate, until the write-ahead log is copied back.

While that file still grows a commit costs twice as much as one that writes over an old part, so
it is kept short.
"""

PAGES_A_COMMIT, ROWS_A_PAGE = 3, 8

LOOK_SECONDS = 0.02
"""How often a waiter looks whether another process has committed."""

IMMEDIATE = {"salesflow_begin": "BEGIN IMMEDIATE"}
NOT_A_DATABASE = 26
BUSY, LOCKED = 5, 6
READONLY, CANNOT_OPEN = 8, 14
WRITABLE = "the file and its folder must be writable, also for asking"
PAGE_SIZE_MIN = 512
"""No database of SQLite is smaller, but for one that is empty."""


class SqliteDatabase:
    """The connections to one SQLite file."""

    name = "sqlite"
    ddl = SQLITE_DDL

    def __init__(self, url: sa.URL, wait_seconds: float) -> None:
        self.wait_seconds = wait_seconds
        self._folder: str | None = None
        self.path = self._file(url)
        self.lock = Lock()
        self._writer: sqlite3.Connection | None = None
        self._checkpointer: sqlite3.Connection | None = None
        self.waiting: WeakSet[Flag] = WeakSet()
        self._idle: Idle[sqlite3.Connection] = Idle(self.connect, sqlite3.Connection.close)
        self._written = 0
        self._closed = False
        self.engine = sa.create_engine(
            f"sqlite:///{self.path}", creator=self.connect, pool_size=8, max_overflow=32
        )
        sa.event.listen(self.engine, "begin", _begin)

    def prepare(self) -> None:
        """Turn the write-ahead log on, which the file then remembers."""
        try:
            _use_wal(self.path, self.wait_seconds)
        except sqlite3.Error as error:
            raise translate_sqlite(error, self.path) from error

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Give a connection in one consistent snapshot."""
        with self.engine.connect() as connection, connection.begin() as transaction:
            yield connection
            transaction.rollback()

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Give a connection that holds the write lock of the file."""
        self._acquire()
        try:
            with self.engine.connect() as connection:
                raw = sqlite_connection(connection.connection)
                before = raw.total_changes
                with connection.execution_options(**IMMEDIATE).begin():
                    yield connection
                changes = raw.total_changes - before
            self.wrote(changes)
        finally:
            self.lock.release()

    creating = begin

    def rows(
        self, statement: str, parameters: Row, connection: sa.Connection | None
    ) -> list[Row]:
        """Run one select through the driver, on the caller's connection or an idle one."""
        try:
            if connection is not None:
                raw = sqlite_connection(connection.connection)
                return raw.execute(statement, parameters).fetchall()
            raw = self._idle.take()
            try:
                rows = raw.execute(statement, parameters).fetchall()
            except BaseException:
                self._idle.drop(raw)
                raise
            self._idle.give_back(raw)
        except sqlite3.Error as error:
            raise translate_sqlite(error, self.path) from error
        return rows

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the one connection that writes the log, in a transaction; commit at the end."""
        self._acquire()
        try:
            writer = self._writer = self._writer or self.connect()
            before = writer.total_changes
            writer.execute("BEGIN IMMEDIATE")
            try:
                yield writer
                writer.execute("COMMIT")
            except BaseException:
                if writer.in_transaction:
                    writer.execute("ROLLBACK")
                raise
            self.wrote(writer.total_changes - before)
        finally:
            self.lock.release()

    def waiter(self) -> "SqliteWaiter":
        """Give what waits for commits of this process and of others."""
        return SqliteWaiter(self)

    def announce(self) -> None:
        """Wake who waits in this process."""
        if self.waiting:
            for flag in tuple(self.waiting):
                flag.set()

    def wrote(self, changes: int) -> None:
        """Count what was written and copy the write-ahead log back when it is long."""
        self._written += PAGES_A_COMMIT + changes // ROWS_A_PAGE
        if self._written >= CHECKPOINT_AFTER:
            self._checkpoint()

    def connect(self) -> sqlite3.Connection:
        """Open a connection with everything set that a connection forgets."""
        connection = sqlite3.connect(
            self.path,
            timeout=self.wait_seconds,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            for pragma in PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def translated(self, error: Exception) -> SalesflowError:
        """Turn an error of SQLAlchemy around a driver's error into ours."""
        if isinstance(error, sa.exc.DBAPIError) and isinstance(error.orig, sqlite3.Error):
            return translate_sqlite(error.orig, self.path)
        return DatabaseError(str(error))

    def close(self) -> None:
        """Close every connection, the last one copying the write-ahead log back."""
        self._closed = True
        self.engine.dispose()
        self._idle.close()
        for connection in (self._checkpointer, self._writer):
            if connection is not None:
                connection.close()
        self._writer = self._checkpointer = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _acquire(self) -> None:
        if self._closed:
            raise DatabaseError(f"{self.path} is closed")
        if not self.lock.acquire(timeout=self.wait_seconds):
            raise BusyError(
                f"another writer of this process held {self.path} for longer than"
                f" {self.wait_seconds} s; inside a transaction of your own pass connection="
            )

    def _checkpoint(self) -> None:
        self._writer = self._writer or self.connect()
        self._checkpointer = self._checkpointer or self.connect()
        # What fails here (another process writes just now, the disk is full) must not look as
        # if the commit before it had failed; the next commit tries again.
        with suppress(sqlite3.Error):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                self._checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                self._written = 0
            finally:
                self._writer.execute("ROLLBACK")

    def _file(self, url: sa.URL) -> str:
        path = sqlite_path(url)
        if path is None:
            self._folder = tempfile.mkdtemp(prefix="salesflow-")
            path = Path(self._folder) / "memory.db"
        else:
            _refuse_scrap(path)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            locked = isinstance(error, PermissionError) or error.errno == EROFS
            more = f"; {WRITABLE}" if locked else ""
            raise DatabaseError(f"{path} cannot be opened: {error.strerror}{more}") from error
        return str(path)


class SqliteWaiter:
    """Looks at the file's `data_version`, which every commit of another connection changes."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._flag = Flag()
        self._connection: sqlite3.Connection | None = None
        self._seen = 0

    def listen(self) -> None:
        """Note the version of the file before it is looked at."""
        self._flag.clear()
        if self._connection is None:
            self._connection = self._database.connect()
            self._database.waiting.add(self._flag)
        self._seen = self._version(self._connection)

    def wait(self, seconds: float) -> None:
        """Return when the version changed, when woken, or when the time is up."""
        deadline = monotonic() + seconds
        while not self._flag.wait(LOOK_SECONDS) and monotonic() < deadline:
            if self._connection is None or self._version(self._connection) != self._seen:
                return

    def wake(self) -> None:
        """End a wait in another thread."""
        self._flag.set()

    def close(self) -> None:
        """Close the connection."""
        self._database.waiting.discard(self._flag)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _version(self, connection: sqlite3.Connection) -> int:
        try:
            return int(connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as error:
            raise translate_sqlite(error) from error


def translate_sqlite(error: sqlite3.Error, file: str = "the file") -> SalesflowError:
    """Turn an error of the driver into one of ours."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (BUSY, LOCKED):
        return BusyError(f"another process held the SQLite file for too long: {error}")
    if code == NOT_A_DATABASE:
        return SchemaError(f"{file} is not a SQLite database: {error}")
    if code in (READONLY, CANNOT_OPEN):
        return DatabaseError(f"{file}: {error}; {WRITABLE}")
    return DatabaseError(f"SQLite: {error}")


def sqlite_connection(pooled: sa.PoolProxiedConnection) -> sqlite3.Connection:
    """Give the driver's connection behind one of SQLAlchemy's."""
    raw: object = pooled.dbapi_connection
    if not isinstance(raw, sqlite3.Connection):
        raise InputError(f"this database is SQLite, the connection is one of {type(raw)}")
    return raw


def _refuse_scrap(path: Path) -> None:
    """Refuse a file too small for a database, which SQLite might take for an empty one."""
    with suppress(OSError, ValueError):  # said by whoever opens it
        size = path.stat().st_size
        if path.is_file() and 0 < size < PAGE_SIZE_MIN:
            raise SchemaError(f"{path} is not a SQLite database: it holds {size} bytes")


def _begin(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(str(options.get("salesflow_begin", "BEGIN")))


def _use_wal(path: str, wait_seconds: float) -> None:
    """Turn the write-ahead log on; a neighbour that opens at the same time is waited for."""
    deadline = monotonic() + wait_seconds
    connection = sqlite3.connect(path, timeout=wait_seconds, isolation_level=None)
    try:
        while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            try:
                connection.execute("PRAGMA journal_mode=WAL").fetchone()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != BUSY or monotonic() > deadline:
                    raise
                sleep(0.005)
    finally:
        connection.close()

"""SQLite: how its connections are opened, locked, checkpointed and closed.

One connection writes the log, guarded by a lock, so writers of one process queue up fairly
instead of polling the file. Connections never checkpoint by themselves: SQLite before 3.51.3
can corrupt a write-ahead log when one connection checkpoints while another starts it anew
(https://sqlite.org/wal.html#walresetbug). Here a checkpoint runs only while the same process
holds the write lock, so nobody can start the log anew meanwhile.

`synchronous=FULL`: what was acknowledged is on the disk. Transactions that only write what
follows from the log do not wait for it (`NORMAL`): they are there with the next that does, and
where the power fails before, the file is as it was before them.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from operator import attrgetter
from threading import RLock
from time import monotonic, sleep
from typing import Any, TypeVar
from weakref import ref

import sqlalchemy as sa

from salesflow.adapters.database.connections import Block, Patience, Row
from salesflow.adapters.database.lent_connections import LENT, has_written, lend
from salesflow.adapters.database.sqlite_connections import (
    MAKE_ROOM,
    NO_ROOM,
    Archive,
    SqliteConnection,
    SqliteConnections,
    use_wal,
)
from salesflow.adapters.database.sqlite_errors import is_without_index, translate_sqlite
from salesflow.errors import (
    BusyError,
    DatabaseError,
    InputError,
    OwnTransactionError,
    SalesflowError,
)

__all__ = ["SqliteDatabase", "insert_rows", "sqlite_connection"]


DoneT = TypeVar("DoneT")

PRAGMAS = (
    "synchronous=FULL",
    "foreign_keys=ON",
    "recursive_triggers=ON",
    "wal_autocheckpoint=0",
    "secure_delete=FAST",  # or a table that is dropped would be written over, page by page
)
WRITERS_CACHE = "PRAGMA cache_size=-8192"
"""Whoever appends meets pages of an index all over it; readers keep as much as SQLite gives."""
CHECKPOINT_AFTER = 600
"""Pages written, by estimate, until the write-ahead log is copied back.

The log has room for a little more than this, see `sqlite_file.ROOM`.
"""

PAGES_A_COMMIT, ROWS_A_PAGE = 3, 8
FINISH_SECONDS = 1.0
"""So long whoever opens a file waits for others to finish a checkpoint that was cut off."""

ROWS_A_STATEMENT, PARAMETERS_MAX = 40, 999
"""So many rows one statement inserts, of so many values at most, as some builds of SQLite."""

IDLE_MAX, CURSORS_MAX = 16, 100
"""So many connections are kept; among so many cursors those that are gone are forgotten."""

HELD_LOCK = attrgetter("lock")

LOOK_SECONDS = 0.001
TURN_SECONDS = 0.005
IMMEDIATE = {"salesflow_begin": "BEGIN IMMEDIATE"}
DERIVED = {**IMMEDIATE, "salesflow_synchronous": "NORMAL"}
SNAPSHOT = {"salesflow_begin": "BEGIN"}


class SqliteDatabase(SqliteConnections):
    """One SQLite file: its statements and transactions."""

    def prepare(self) -> None:
        """Turn the write-ahead log on, and look from now on whether the file is written over.

        The file remembers that it has one.
        """
        if self._archive is not None:
            return
        if self.rows("PRAGMA journal_mode", ()) != [("wal",)]:
            use_wal(self.path, self.wait_seconds)
        if self._folder is None:
            self.file.watch(self._open_alone, self.rows, self._finish_copying)

    def _finish_copying(self) -> None:
        """Finish a checkpoint that was cut off, so that the file tells something by itself."""
        self._written = CHECKPOINT_AFTER
        with suppress(sqlite3.Error, SalesflowError):  # somebody else is at it
            self.write(lambda _: None, monotonic() + FINISH_SECONDS)

    def _open_alone(self, uri: str) -> sqlite3.Connection:
        """Open the file without its write-ahead log; nothing of it is locked."""
        with self._open_at_no_fork():
            connection = sqlite3.connect(uri, uri=True, factory=SqliteConnection)
            self._all.add(connection)
        return connection

    @contextmanager
    def _open_at_no_fork(self) -> Iterator[None]:
        """Open a connection while nobody gets ready to fork.

        Who holds a connection or the lock already is in the middle of something that the fork
        waits for, and goes on.
        """
        me = object()
        try:
            while True:
                self._opening.add(me)
                if not self._forking or self.holds.blocks or self._owns_lock():
                    break
                self._opening.discard(me)
                sleep(LOOK_SECONDS)
            yield
        finally:
            self._opening.discard(me)

    def _owns_lock(self) -> bool:
        return bool(self.lock._is_owned())  # type: ignore[attr-defined]  # noqa: SLF001

    def acquire_write_lock(self, block: Block) -> None:
        """Take the lock of writers, once whoever has it gives it back."""
        self.ensure_not_replaced()
        self.ensure_no_own_transaction()
        block.lock = self.lock
        self._acquire(block.deadline)

    def enter(self, block: Block, connection: sa.Connection) -> None:
        """Begin a snapshot, or a transaction that holds the write lock of the file."""
        if block.kind == "read":
            self.ensure_not_replaced()
            connection.execution_options(**SNAPSHOT).begin()
            return
        raw = sqlite_connection(connection.connection)
        assert isinstance(raw, SqliteConnection)
        self._set_patience(raw, block.deadline)
        block.changes = raw.total_changes
        options = DERIVED if block.kind == "derive" else IMMEDIATE
        connection.execution_options(**options).begin()

    def finish(self, block: Block) -> None:
        """Commit what was written, and wake who waits for it; a snapshot is let go.

        Raises:
            BusyError: when somebody changed a file that is read as one that does not change.
        """
        connection = block.connection
        assert connection is not None
        if block.kind == "read":
            connection.rollback()
            self.leave(block)
            self._ensure_unchanged()
            return
        raw = sqlite_connection(connection.connection)
        self._make_room()
        connection.commit()
        self.leave(block)
        self.count_written(raw, raw.total_changes - block.changes)
        self.announce()

    def leave(self, block: Block) -> None:
        """Close what somebody stopped to read in the middle, which would keep its snapshot."""
        connection = block.connection
        if connection is None or connection.closed or connection.invalidated:
            return
        raw: object = connection.connection.dbapi_connection
        if isinstance(raw, SqliteConnection):
            for cursor in [each() for each in raw.cursors]:
                if cursor is not None:
                    cursor.close()
            raw.cursors = []

    def ensure_not_replaced(self) -> None:
        """Raise unless the file is the one that was opened, and not written over since.

        Raises:
            ReplacedError: when it is not.
            ForkedError: when this process inherited it in the middle of a use.
        """
        try:
            found = os.stat(self.path)
        except OSError:
            self.file.look()
        else:
            if (found.st_dev, found.st_ino, found.st_ctime_ns) != self.file.seen:
                self.file.look()

    def _ensure_log_in_place(self) -> None:
        """Raise unless the write-ahead log is where it was, before something is committed.

        It is as long as nothing is made, moved or removed in its folder. To look at itself
        each time would slow its writing down: on Linux 6.13 and later a write notes its time
        exactly, and has more to write, when somebody has asked for that of the last.

        Raises:
            ReplacedError: when it is not.
        """
        try:
            found = os.stat(self.file.folder)
        except OSError:
            self.file.look_for_log()
        else:
            if (found.st_ino, found.st_mtime_ns) != self.file.folder_seen:
                self.file.look_for_log()

    def rows(
        self,
        statement: str,
        parameters: Row,
        connection: sa.Connection | None = None,
        look: bool = True,
    ) -> list[Row]:
        """Run one select through the driver, on the caller's connection or an idle one."""
        try:
            if connection is not None:
                raw = sqlite_connection(connection.connection)
                return raw.execute(statement, parameters).fetchall()
            if not look:
                return self._read_in_turn(statement, parameters)
            self.ensure_not_replaced()
            rows = self._read(statement, parameters)
            self._ensure_unchanged()
            return rows
        except sqlite3.Error as error:
            if connection is None and not look:
                self.ensure_not_replaced()
            raise translate_sqlite(error, self.path) from error

    def _read(self, statement: str, parameters: Row) -> list[Row]:
        raw = self._take()
        try:
            rows = raw.execute(statement, parameters).fetchall()
        except BaseException:
            raw.close()
            raise
        self._give_back(raw)
        return rows

    def _take(self) -> SqliteConnection:
        """Take an idle connection, or a new one."""
        try:
            return self._idle.pop()
        except IndexError:
            if self.closed:
                raise self.closed_error() from None
            return self.connect()

    def _give_back(self, raw: SqliteConnection) -> None:
        """Keep a connection, which is outside of any transaction, for the next who needs it."""
        self._idle.append(raw)
        if self.closed or len(self._idle) > IDLE_MAX:
            self._idle.pop().close()

    def _read_in_turn(self, statement: str, parameters: Row) -> list[Row]:
        """Read while no other thread is at work in SQLite, unless one is for long.

        Each step of a statement gives the interpreter's lock away and takes it back, which
        costs more than the step when others run for it; while they wait for a turn they do not.
        """
        turn, got = self._turn, False
        try:
            got = turn.acquire(False) or self._wait_for(turn)
            rows = self._read(statement, parameters)
            if got:
                got = False
                turn.release()
        except BaseException:
            _leave(turn, got)
            raise
        return rows

    def _wait_for(self, turn: RLock) -> bool:
        """Wait for a turn, but not for long: whoever has it is slow, or was cut off twice."""
        got = turn.acquire(timeout=TURN_SECONDS)
        if not got:
            self._turn = RLock()  # nobody else waits for that one
        return got

    def change(
        self,
        statement: str,
        parameters: Row,
        connection: sa.Connection,
        patience: Patience | None = None,  # noqa: ARG002 - there is nobody to wait for
    ) -> int:
        """Change rows; nobody else can hold any while this transaction writes."""
        raw = sqlite_connection(connection.connection)
        try:
            return raw.execute(statement, parameters).rowcount
        except sqlite3.Error as error:
            raise translate_sqlite(error, self.path) from error

    def tables_version(self) -> int:
        """Return what changes whenever a table is made or dropped."""
        return int(self.rows("PRAGMA schema_version", ())[0][0])

    def write(self, work: Callable[[sqlite3.Connection], DoneT], deadline: float) -> DoneT:
        """Do something in a transaction of the connection that wrote last, if it is idle.

        Its cache holds what was written, so who reads takes it too. An exception at any instant
        leaves it outside of any transaction and the lock free: all up to the release stands in
        the `try`, undoing may be repeated, and what is not given back is closed unused.
        """
        self.ensure_no_own_transaction()
        writer, turn, got = None, self._turn, False
        try:
            self._acquire(deadline)
            got = turn.acquire(False) or self._wait_for(turn)
            writer = self._writer = self._take_writer()
            self._set_patience(writer, deadline)
            before = writer.total_changes
            writer.execute("BEGIN IMMEDIATE")
            done = work(writer)
            self._ensure_log_in_place()
            if got:
                got = False
                turn.release()
            self._make_room()
            writer.execute("COMMIT")
            self.ensure_not_replaced()
            self.count_written(writer, writer.total_changes - before)
            if writer.patience < self._patience:
                self._set_patience(writer, monotonic() + self.wait_seconds)
            self.lock.release()
        except BaseException:
            _leave(turn, got)
            self._abandon(writer)
            raise
        self._give_back(writer)
        self.announce()
        return done

    def _make_room(self) -> None:
        """Make the write-ahead log longer before a commit that would have to do it."""
        if self._written >= self.file.full_at:
            self.file.make_room()

    def _set_patience(self, connection: SqliteConnection, deadline: float) -> None:
        """Let a connection wait for other writers no longer than to a point in time."""
        left, patience = (deadline - monotonic()) * 1000, connection.patience
        if not patience * 0.95 - 5 <= left <= patience * 1.05 + 5:
            connection.patience = max(0, int(left))
            connection.execute(f"PRAGMA busy_timeout = {connection.patience}")

    def _take_writer(self) -> SqliteConnection:
        """Take the connection that wrote last; it is not idle while somebody reads by it."""
        last = self._writer
        if last is None:
            return self._take_new_writer()
        if _is_writing(last):
            last.execute("ROLLBACK")  # it was left behind by what was interrupted twice
            return last
        try:
            self._idle.remove(last)
        except ValueError:  # somebody reads by it
            return self._take_new_writer()
        return last

    def _take_new_writer(self) -> SqliteConnection:
        """Take a connection to write by from now on."""
        writer = self._take()
        writer.execute(WRITERS_CACHE)
        return writer

    def _abandon(self, writer: SqliteConnection | None) -> None:
        """Undo what was not finished: the transaction first, then the lock."""
        try:
            if writer is not None:
                if writer.in_transaction:
                    writer.execute("ROLLBACK")
                self._give_back(writer)
        except sqlite3.Error:
            self._writer = None  # of no use any more; closed with its last reference
        finally:
            with suppress(RuntimeError):  # it was not got, or is released already
                self.lock.release()

    def announce(self) -> None:
        """Wake who waits in this process."""
        if self.waiting:
            for flag in tuple(self.waiting):
                flag.set()

    def count_written(self, by: sqlite3.Connection, changes: int) -> None:
        """Count what was written and copy the write-ahead log back when it is long."""
        self._written += PAGES_A_COMMIT + changes // ROWS_A_PAGE
        if self._written >= CHECKPOINT_AFTER:
            self._checkpoint(by)

    def connect(self) -> SqliteConnection:
        """Open a connection with everything set that a connection forgets."""
        self.ensure_not_replaced()
        archive = self._archive
        if archive is not None and archive.has_changed():
            self._close_idle()
        with self._open_at_no_fork():
            connection = sqlite3.connect(
                self.path if archive is None else archive.uri(),
                uri=archive is not None,
                timeout=self.wait_seconds,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
                factory=SqliteConnection,
            )
            self._all.add(connection)
        connection.patience = self._patience
        connection.cursors = []
        try:
            for pragma in PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            connection.close()
            if archive is not None or not is_without_index(error):
                raise
            self._archive = Archive(self.path, NO_ROOM, MAKE_ROOM)
            return self.connect()
        return connection

    def _ensure_unchanged(self) -> None:
        """Refuse what was read of a file that only this process takes for unchanging."""
        if self._archive is not None and self._archive.has_changed():
            self._close_idle()
            self._archive.ensure_unchanged()

    def translate_error(self, error: Exception) -> SalesflowError:
        """Turn an error of SQLAlchemy around a driver's error into ours."""
        if isinstance(error, sa.exc.DBAPIError) and isinstance(error.orig, sqlite3.Error):
            return translate_sqlite(error.orig, self.path)
        return DatabaseError(str(error))

    def ensure_no_own_transaction(self) -> None:
        """Refuse to wait for a transaction of this very thread, which would never end.

        Raises:
            OwnTransactionError: when this thread is in a transaction that writes.
        """
        if any(map(HELD_LOCK, self.holds.blocks)) or any(
            map(partial(has_written, owner=self, wrote=_wrote), LENT.get())
        ):
            raise OwnTransactionError(
                f"a transaction of your own has written to {self.path} and is still open, so"
                " nothing can be written beside it; end it first, or hand in its connection"
                " (connection=)"
            )
        while self._owns_lock():
            self.lock.release()  # left behind by what was interrupted twice

    def _acquire(self, deadline: float) -> None:
        if self._archive is not None:
            self._archive.raise_unwritable()
        if not self.lock.acquire(timeout=max(0.0, deadline - monotonic())):
            raise BusyError(
                f"another writer of this process held {self.path} for longer than"
                f" {self.wait_seconds} s; inside a transaction of your own pass connection="
            )

    def _checkpoint(self, holder: sqlite3.Connection) -> None:
        self._checkpointer = self._checkpointer or self.connect()
        # What fails here (another process writes just now, the disk is full) must not look as
        # if the commit before it had failed; the next commit tries again.
        with suppress(sqlite3.Error):
            self.file.copy_back(self._checkpointer, holder)
            self._written = 0

    def _begin(self, connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        synchronous = options.get("salesflow_synchronous", "FULL")
        raw = sqlite_connection(connection.connection)
        if isinstance(raw, SqliteConnection) and raw.synchronous != synchronous:
            raw.synchronous = ""  # until it is known, should this be cut off
            raw.execute(f"PRAGMA synchronous = {synchronous}")
            raw.synchronous = str(synchronous)
        connection.exec_driver_sql(str(options.get("salesflow_begin", "BEGIN")))
        if "salesflow_begin" not in options:  # a transaction of whoever uses our engine
            lend(self, connection, raw.total_changes, False)

    def _note_cursor(self, _: sa.Connection, cursor: object, *_others: object) -> None:
        """Remember a cursor of the transaction under way.

        A set of weak references would run code where a cursor is let go, in which Python loses
        the exception of an interrupt.
        """
        if isinstance(cursor, sqlite3.Cursor) and isinstance(
            cursor.connection, SqliteConnection
        ):
            known = cursor.connection.cursors
            known.append(ref(cursor))
            if len(known) > CURSORS_MAX:
                known[:] = [each for each in known if each() is not None]


def sqlite_connection(pooled: sa.PoolProxiedConnection) -> sqlite3.Connection:
    """Return the driver's connection behind one of SQLAlchemy's."""
    raw: object = pooled.dbapi_connection
    if not isinstance(raw, sqlite3.Connection):
        raise InputError(f"this database is SQLite, the connection is one of {type(raw)}")
    return raw


def insert_rows(
    by: Any,  # noqa: ANN401 - a connection of the driver, or a cursor
    table: str,
    marks: str,
    values: Sequence[Any],
) -> None:
    """Insert rows into a table, given value after value, as many as the marks of a row take.

    Each statement inserts many, since the driver resets one, and gives the interpreter's lock
    away, each time that it runs it; those left over are inserted one by one.
    """
    width = marks.count("?")
    many = min(ROWS_A_STATEMENT, max(PARAMETERS_MAX // width, 1))
    whole = len(values) - len(values) % (many * width)
    for rows, first, end in ((many, 0, whole), (1, whole, len(values))):
        if first < end:
            size = rows * width
            statement = f"INSERT INTO {table} VALUES {','.join([marks] * rows)}"
            parts = (values[start : start + size] for start in range(first, end, size))
            by.executemany(statement, parts)


def _leave(turn: RLock, got: bool) -> None:
    """Give a turn back; one that an exception caught on its way is waited for once, briefly."""
    if got:
        with suppress(RuntimeError):  # another thread's
            turn.release()


def _is_writing(connection: sqlite3.Connection) -> bool:
    try:
        return connection.in_transaction
    except sqlite3.ProgrammingError:  # it is closed
        return False


def _wrote(connection: sa.Connection, changes: int) -> bool:
    raw = sqlite_connection(connection.connection)
    return raw.in_transaction and raw.total_changes > changes

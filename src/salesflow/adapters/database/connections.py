"""Connections: kept in pools, held by threads, and given back whatever interrupts them.

Ctrl-C, a time limit's signal handler or another thread may raise an exception at any instant,
also between the last line of a `with` block and the first line of what ends it. Therefore every
transaction stands in a list of its thread from before it begins. Who does something whole (asks
a question, brings tables up) notes how long that list is, and afterwards lets go of whatever is
on it in addition. One exception can skip the end of the block or that of the whole, not both.
"""

import gc
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from threading import RLock, get_ident
from time import monotonic, sleep
from traceback import walk_tb
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from salesflow.adapters.database.forks import FORKABLE, Forkable
from salesflow.domain.wording import shortened
from salesflow.errors import BusyError, DatabaseError, SalesflowError

__all__ = [
    "IN_MEMORY",
    "OLD_AT_ONCE",
    "WORTH_A_PAUSE",
    "Block",
    "Connections",
    "Patience",
    "Row",
    "gc_paused",
]


# Holds Python's garbage collector off while a batch makes many objects that live on.
#
# The collector walks all living objects whenever many new ones have come; in a batch of a
# thousand events that finds nothing and costs as much as the work itself.

WORTH_A_PAUSE = 100
"""More facts than these are worth holding it off, when they are recorded or read at once."""

OLD_AT_ONCE = 50_000
"""More objects than these left by a pause count as old at once: an answer or tables, which
live on."""

WALKED_AFTER = 2_000_000
"""Once so many objects were counted as old the collector walks all that is there."""

_aged = 0
"""So many objects were counted as old since all were walked."""
_is_aging = False
"""Whether what is there is frozen for a moment, to be counted as old."""

_pauses: set[object] = set()
"""The blocks that hold it off at the moment, of all threads."""
_is_off = False
"""Whether they have switched it off, and not somebody else."""


@contextmanager
def gc_paused() -> Iterator[None]:
    """Hold the garbage collector of this process off until the end of the block.

    It works again when the last of all such blocks ends, on whatever thread. Then it walks what
    the block left, unless that is more than `OLD_AT_ONCE`. No lock is taken: an exception
    between two lines would keep it for ever. Where two threads are between the same lines it
    may work again too early, and never stays off.
    """
    global _is_off
    pause = object()
    try:
        if _is_off or gc.isenabled():
            _pauses.add(pause)
            _is_off = True
            gc.disable()
        yield
    finally:
        if pause in _pauses:
            _pauses.discard(pause)
            if not _pauses:
                try:
                    _count_as_old(gc.get_count()[0])
                finally:
                    gc.enable()
                    _is_off = False


def _count_as_old(new: int) -> None:
    """Put what is much into the oldest generation, unless somebody else keeps things frozen.

    The collector does not know of it when it says whether to walk that one, so after so many
    objects it is told to.
    """
    global _aged, _is_aging
    if _is_aging:  # and was cut off between the two
        gc.unfreeze()
        _is_aging = False
    if new <= OLD_AT_ONCE or gc.get_freeze_count():
        return
    _is_aging = True
    try:
        gc.freeze()
    finally:
        gc.unfreeze()
        _is_aging = False
    _aged += new
    if _aged > WALKED_AFTER:
        _aged = 0
        gc.collect()


def _gc_resumed() -> None:
    """Let the collector work again where blocks were cut off, or threads did not come along."""
    global _is_off, _is_aging
    if _is_aging:
        gc.unfreeze()
        _is_aging = False
    if _is_off:
        _pauses.clear()
        gc.enable()
        _is_off = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_gc_resumed)


# A pool of connections that an exception at any instant leaves whole.
#
# SQLAlchemy's own pool waits on Python's condition variables, whose lock stays held for ever
# when an exception of a signal handler arrives between taking it and the next line. Here a
# connection is a pop from a list, and giving it back an append; nothing is counted, so nothing
# can be miscounted. What is lost on the way is closed by whoever notes the exception
# (`reclaim`), since its traceback may be kept, and the connection with it. A connection in the
# middle of something is closed instead of kept.

OPEN_MAX = 40
IDLE_MAX = 8
LOOK_SECONDS = 0.005


class Checkout(NamedTuple):
    """Which thread took a connection, and its number among all takings."""

    thread: int
    number: int


NOBODY = Checkout(0, 0)


class ListPool(Pool):
    """Keeps at most eight idle connections, and opens at most forty."""

    def __init__(
        self,
        creator: Any,  # noqa: ANN401 - as theirs
        in_transaction: Callable[[Any], bool],
        wait_seconds: float,
        **options: Any,  # noqa: ANN401 - as theirs
    ) -> None:
        """Take what says whether a driver's connection is in the middle of something."""
        super().__init__(creator, **options)
        self._options = options
        self._in_transaction: Final = in_transaction
        self._wait_seconds: Final = wait_seconds
        self._idle: list[ConnectionPoolEntry] = []
        self._open: WeakKeyDictionary[ConnectionPoolEntry, Checkout] = WeakKeyDictionary()
        """By whom each of them was taken last, and when, as numbers count."""

    def recreate(self) -> "ListPool":
        """Return an empty pool of the same kind."""
        return type(self)(
            self._creator,
            self._in_transaction,
            self._wait_seconds,
            **{**self._options, "_dispatch": self.dispatch, "dialect": self._dialect},
        )

    def dispose(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def status(self) -> str:
        """Return how many connections there are."""
        return f"{len(self._open)} connections, {len(self._idle)} of them idle"

    def _do_get(self) -> ConnectionPoolEntry:
        deadline = monotonic() + self._wait_seconds
        while True:
            try:
                entry = self._idle.pop()
            except IndexError:
                if len(self._open) < OPEN_MAX:
                    return self._take(self._create_connection())
                if monotonic() > deadline:
                    raise BusyError(
                        f"all {OPEN_MAX} connections of this process are in use, and none was"
                        f" given back within {self._wait_seconds} s"
                    ) from None
                sleep(LOOK_SECONDS)
            else:
                return self._take(entry)

    def _take(self, entry: ConnectionPoolEntry) -> ConnectionPoolEntry:
        self._open[entry] = Checkout(get_ident(), _takes())
        return entry

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        raw = record.dbapi_connection
        clean = record in self._open and (raw is None or not self._in_transaction(raw))
        if len(self._idle) < IDLE_MAX and clean:
            self._open[record] = NOBODY
            self._idle.append(record)
            return
        self._open.pop(record, None)
        record.close()

    def reclaim(self, since: int, until: int) -> None:
        """Close what this thread has taken between two numbers and never gave back."""
        me = get_ident()
        for known in self._open.keyrefs():  # a copy: other threads go on
            entry = known()
            taken = NOBODY if entry is None else self._open.get(entry, NOBODY)
            if entry is not None and taken.thread == me and since < taken.number < until:
                self._open.pop(entry, None)
                # What is kept of it has nothing to give back.
                entry.fairy_ref = None  # type: ignore[attr-defined]
                entry.close()


_takes: Final = partial(next, count(1))
"""Gives the next of the numbers by which takings of all pools are told from one another."""


Kind = Literal["read", "write", "derive", "create"]
"""What derives writes only what follows from the log, and is made again where it is lost."""


@dataclass(eq=False)
class Block(AbstractContextManager[sa.Connection]):
    """The scope of one transaction: from taking its connection to giving that back."""

    owner: "Connections"
    kind: Kind
    patience: "Patience | None" = None
    """How long it waits for others; None for as long as any writer does."""
    deadline: float = 0.0
    """Until when it waits."""
    blocks: "list[Block]" = field(default_factory=list)
    """Those its thread is in."""
    connection: sa.Connection | None = None
    lock: "RLock | None" = None
    """The lock of writers, when it holds that or is about to."""
    changes: int = 0
    since: int = sys.maxsize
    until: int = sys.maxsize
    """What was taken in between is its own connection; see `ListPool.reclaim`."""
    cut_off: bool = False
    """Whether its connection was found in the middle of a statement."""
    handled: BaseException | None = field(default_factory=sys.exception)
    """What was being handled when it was begun, and has not come of it."""

    def __enter__(self) -> sa.Connection:
        owner = self.owner
        if owner.closed:
            raise owner.closed_error()
        patience = self.patience or Patience(owner.wait_seconds)
        self.blocks = owner.holds.blocks
        self.blocks.append(self)
        try:
            with patience.waiting():
                self.deadline = monotonic() + patience.left
                if self.kind != "read":
                    owner.acquire_write_lock(self)
                self.since = _takes()
                connection = self.connection = owner.engine.connect()
                self.until = _takes()
                owner.enter(self, connection)
                return connection
        except BaseException as error:
            self.let_go()
            self._translate(error)
            raise

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.owner.finish(self)
                self._give_all_back()
            else:
                self.let_go()
        except BaseException as late:
            self.let_go()
            self._translate(late)
            raise
        self._translate(error)

    def let_go(self) -> None:
        """Give everything back; what is not finished is undone. May be called again."""
        self.owner.leave(self)
        self._give_all_back()

    def _give_all_back(self) -> None:
        self._give_back()
        if self.lock is not None:
            with suppress(RuntimeError):  # it was not got, or is released already
                self.lock.release()
            self.lock = None
        pool = self.owner.engine.pool
        if isinstance(pool, ListPool):
            pool.reclaim(self.since, self.until)
        if self in self.blocks:
            self.blocks.remove(self)

    def _give_back(self) -> None:
        """Give the connection back to its pool, rolled back where it is not committed."""
        if self.connection is None:
            return
        try:
            self.connection.close()
        except sa.exc.SQLAlchemyError:  # of no use any more
            with suppress(sa.exc.SQLAlchemyError):
                self.connection.invalidate()
        self.connection = None

    def _translate(self, error: BaseException | None) -> None:
        if isinstance(error, sa.exc.DBAPIError | sa.exc.TimeoutError):
            if self.cut_off:
                _raise_cause(error, self.handled)
            raise self.owner.translate_error(error) from error
        if isinstance(error, AssertionError) and error.__context__ and _is_sqlalchemys(error):
            raise error.__context__  # what cut off the end of a transaction
        if isinstance(error, sa.exc.StatementError) and error.orig is not None:
            raise error.orig from error  # somebody's own, raised while SQLAlchemy worked


class Holds(threading.local):
    """The transactions' scopes (`Block`) that a thread is in, the innermost last."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []


@dataclass(eq=False)
class Whole(AbstractContextManager["Whole"]):
    """A scope around several transactions: what its thread holds more afterwards is let go."""

    blocks: list[Block]
    before: int
    """How many it was in."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            _gc_resumed()
        while len(self.blocks) > self.before:
            self.blocks[-1].let_go()


def _raise_cause(error: BaseException, handled: BaseException | None) -> None:
    """Raise what cut a statement off, rather than what came of that."""
    cause: BaseException | None = error
    while cause is not None and cause is not handled:
        if not isinstance(cause, sa.exc.SQLAlchemyError) and isinstance(
            error, sa.exc.DBAPIError
        ):
            module = type(cause).__module__
            if not module.startswith(("psycopg", "sqlite3", "salesflow")):
                raise cause
        cause = cause.__context__


def _is_sqlalchemys(error: BaseException) -> bool:
    """Return whether it was raised by a line of SQLAlchemy."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_globals.get("__name__", "").startswith("sqlalchemy")


# How long something that takes many transactions may wait for others in all of them.

NOTED_SECONDS = 0.02
"""What takes less was no wait."""


@dataclass(eq=False)
class Patience:
    """A budget of time: what is left of that in which others may be waited for."""

    left: float
    """Seconds."""

    @property
    def milliseconds(self) -> int:
        """What is left, as databases take it; never nothing, which they take for no limit."""
        return max(1, int(self.left * 1000))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Do what may have to wait, and count how long that took."""
        begun = monotonic()
        try:
            yield
        finally:
            took = monotonic() - begun
            if took > NOTED_SECONDS:
                self.left = max(0.0, self.left - took)


Row = tuple[Any, ...]

IN_MEMORY: Final = ":memory:"
"""What SQLAlchemy calls a SQLite database without a file."""


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


class Connections(Forkable, ABC):
    """The connections to one database: what SQLite and PostgreSQL do each in its own way."""

    name: str
    ddl: tuple[str, ...]
    beside: str | None = None
    """What the names of files beside the database begin with; None where none lie there."""

    def __init__(
        self,
        url: sa.URL,
        wait_seconds: float,
        place: sa.URL,
        in_transaction: Callable[[Any], bool],
        **options: Any,  # noqa: ANN401 - SQLAlchemy's, of engines
    ) -> None:
        """Make the engine; called when all else is there, since forks are told from then on."""
        self.url: Final = url
        self.wait_seconds: Final = wait_seconds
        """How long a writer waits for another one before it is told BusyError."""
        self.holds: Final = Holds()
        self.closed = False
        """Whether it was closed, and opens no connection any more."""
        self.engine: Final = sa.create_engine(
            place,
            poolclass=ListPool,
            in_transaction=in_transaction,
            wait_seconds=wait_seconds,
            **options,
        )
        FORKABLE.add(self)

    def whole(self) -> Whole:
        """Do something as a whole: what interrupts it leaves no transaction open."""
        blocks = self.holds.blocks
        return Whole(blocks, len(blocks))

    @property
    def shown(self) -> str:
        """The URL for people: without the password, a file's name as it is."""
        if self.name == "sqlite":
            return shortened(f"sqlite:///{self.url.database or IN_MEMORY}")
        return shortened(self.url.render_as_string(hide_password=True))

    def closed_error(self) -> DatabaseError:
        """Return the error of whoever uses what is closed."""
        return DatabaseError(f"{self.shown} is closed; open a SalesFlow anew")

    @abstractmethod
    def known_as(self) -> Sequence[str] | None:
        """Return what tells it, and whose rights it is asked with, from others.

        None of a passing one.
        """

    @abstractmethod
    def prepare(self) -> None:
        """Set what the database remembers, once it is known that it is or can be ours.

        From then on it is noticed when somebody else changes what is not theirs.
        """

    @abstractmethod
    def acquire_write_lock(self, block: Block) -> None:
        """Take the lock of writers, before a connection is taken to write by."""

    @abstractmethod
    def enter(self, block: Block, connection: sa.Connection) -> None:
        """Begin the transaction of a block on the connection it has taken."""

    @abstractmethod
    def finish(self, block: Block) -> None:
        """End well: commit what was written, or let a snapshot go that is still whole.

        Its connection is in the middle of nothing afterwards.
        """

    @abstractmethod
    def leave(self, block: Block) -> None:
        """Stop what its connection is in the middle of, before that is given back."""

    @abstractmethod
    def rows(
        self,
        statement: str,
        parameters: Row,
        connection: sa.Connection | None = None,
        look: bool = True,
    ) -> list[Row]:
        """Run one select straight through the driver, its parameters marked `?`.

        It runs on the caller's connection, or on an idle one. Who appends afterwards, or calls
        `ensure_not_replaced`, may leave out to `look` whether the database is still the one
        that was opened.
        """

    @abstractmethod
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

    @abstractmethod
    def tables_version(self) -> int | None:
        """Return what changes whenever a table is made or dropped; None where nothing tells."""

    @abstractmethod
    def ensure_not_replaced(self) -> None:
        """Raise unless the database is the one that was opened.

        Raises:
            ReplacedError: when its file was removed, or another lies in its place.
        """

    @abstractmethod
    def waiter(self) -> CommitListener:
        """Return what waits for commits of anybody; see `event_store.subscription`."""

    @abstractmethod
    def translate_error(self, error: Exception) -> SalesflowError:
        """Turn an error of SQLAlchemy around a driver's error into ours."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection."""

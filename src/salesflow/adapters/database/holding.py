"""What a thread holds of a database, and gives back whatever interrupts it.

Ctrl-C, a time limit's signal handler or another thread may raise an exception at any instant,
also between the last line of a `with` block and the first line of what ends it. Therefore every
transaction stands in a list of its thread from before it begins. Who does something whole (asks
a question, brings tables up) notes how long that list is, and afterwards lets go of whatever is
on it in addition. One exception can skip the end of the block or that of the whole, not both.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from time import monotonic
from traceback import walk_tb
from types import TracebackType
from typing import Literal, Protocol, Self
from weakref import WeakSet, ref

import sqlalchemy as sa

from salesflow.adapters.database.gc_paused import gc_resumed
from salesflow.errors import SalesflowError

__all__ = [
    "Block",
    "Forkable",
    "Holds",
    "Kind",
    "Owner",
    "Patience",
    "Whole",
    "give_back",
    "lend",
    "lent_by",
    "survive_forks",
]


Kind = Literal["read", "write", "create"]


class Owner(Protocol):
    """What begins and ends the transaction of a block."""

    def enter(self, block: "Block") -> sa.Connection:
        """Begin; what is taken on the way is noted in the block."""

    def finish(self, block: "Block") -> None:
        """End well: commit what was written."""

    def leave(self, block: "Block") -> None:
        """Undo what is not finished and give everything back; may be called again."""

    def translated(self, error: Exception) -> SalesflowError:
        """Turn an error of SQLAlchemy around a driver's error into ours."""


class Block(AbstractContextManager[sa.Connection]):
    """One transaction, from taking its connection to giving that back."""

    def __init__(
        self,
        owner: Owner,
        kind: Kind,
        blocks: "list[Block]",
        then: Callable[[], None] | None = None,
    ) -> None:
        self.kind = kind
        self.connection: sa.Connection | None = None
        self.locks = False
        """Whether it holds the lock of writers, or is about to."""
        self.patience: Patience | None = None
        """How long it waits for others; None for as long as writers do."""
        self.changes = 0
        self.since = self.until = sys.maxsize
        """What was taken in between is its own connection; see `pool.reclaim`."""
        self.cut_off = False
        """Whether its connection was found in the middle of a statement."""
        self._handled = sys.exception()
        self._owner = owner
        self._blocks = blocks
        self._then = then

    def __enter__(self) -> sa.Connection:
        self._blocks.append(self)
        try:
            return self._owner.enter(self)
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
                self._owner.finish(self)
            self.let_go()
        except BaseException as late:
            self.let_go()
            self._translate(late)
            raise
        self._translate(error)
        if self._then is not None and error is None:
            self._then()

    def let_go(self) -> None:
        """Give everything back; what is not finished is undone."""
        self._owner.leave(self)
        if self in self._blocks:
            self._blocks.remove(self)

    def _translate(self, error: BaseException | None) -> None:
        if isinstance(error, sa.exc.DBAPIError | sa.exc.TimeoutError):
            if self.cut_off:
                _raise_cause(error, self._handled)
            raise self._owner.translated(error) from error
        if isinstance(error, AssertionError) and error.__context__ and _is_sqlalchemys(error):
            raise error.__context__  # what cut off the end of a transaction
        if isinstance(error, sa.exc.StatementError) and error.orig is not None:
            raise error.orig from error  # somebody's own, raised while SQLAlchemy worked


class Holds(threading.local):
    """The blocks a thread is in, the innermost last."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []


class Whole(AbstractContextManager["Whole"]):
    """Something done as a whole: afterwards its thread holds what it held before."""

    def __init__(self, holds: Holds) -> None:
        self._blocks = holds.blocks
        self._before = len(self._blocks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            gc_resumed()
        while len(self._blocks) > self._before:
            self._blocks[-1].let_go()


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
    """Say whether it was raised by a line of SQLAlchemy."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_globals.get("__name__", "").startswith("sqlalchemy")


def give_back(block: Block) -> None:
    """Give the connection of a block back to its pool, rolled back; may be called again."""
    connection = block.connection
    if connection is None:
        return
    try:
        connection.close()
    except sa.exc.SQLAlchemyError:  # of no use any more
        with suppress(sa.exc.SQLAlchemyError):
            connection.invalidate()
    block.connection = None


# What an engine does when its process is forked (gunicorn, Celery, multiprocessing).
#
# Connections belong to the process that opened them. PostgreSQL's would be written to by both
# processes at once, and SQLite's locks, which the system keeps for one process alone, would be
# taken for held by the other. So everything that holds connections or locks is told before a
# fork and after it. Only the thread that forks lives on in the child; locks of others begin
# anew.


class Forkable:
    """Something that has to do with connections or locks; told when its process is forked."""

    def before_fork(self) -> None:
        """Get ready in the parent, briefly."""

    def after_fork_in_parent(self) -> None:
        """Go on in the parent."""

    def after_fork_in_child(self) -> None:
        """Begin anew in the child, where no other thread lives."""


_ALL: WeakSet[Forkable] = WeakSet()
_TOLD: list[Forkable] = []


def survive_forks(thing: Forkable) -> None:
    """Have something told of forks for as long as it is there."""
    _ALL.add(thing)


def _before() -> None:
    _TOLD[:] = list(_ALL)
    for thing in _TOLD:
        thing.before_fork()


def _in_parent() -> None:
    while _TOLD:
        _TOLD.pop().after_fork_in_parent()


def _in_child() -> None:
    while _TOLD:
        _TOLD.pop().after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)


# How long something that takes many transactions may wait for others in all of them.

NOTED_SECONDS = 0.02
"""What takes less was no wait."""


class Patience:
    """What is left of the time in which others may be waited for."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

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


# Transactions of the caller's own, remembered while they are open.
#
# Whoever has written in a transaction of their own and then, before its end, asks the engine to
# write in another one waits for themselves. It is remembered per context (thread or task), so
# that nobody is taken for somebody else.

Lent = tuple[object, sa.RootTransaction | None, int]

_LENT: ContextVar[tuple[ref[sa.Connection], ...]] = ContextVar("salesflow_lent", default=())
_KEY = "_salesflow_lent"


def lend(
    owner: object, connection: sa.Connection, changes: int, transaction: bool = True
) -> None:
    """Remember a connection whose transaction is or may become one that writes.

    `changes` is what the driver has counted so far; without `transaction` it stands for
    whatever transaction is under way.
    """
    known = connection.get_transaction() if transaction else None
    lent: Lent = (owner, known, changes)
    vars(connection)[_KEY] = lent
    others = [each for each in _LENT.get() if _is_open(each(), connection)]
    _LENT.set((*others, ref(connection)))


def lent_by(owner: object, wrote: Callable[[sa.Connection, int], bool]) -> bool:
    """Say whether a transaction of the caller's own is open that has written."""
    found = _LENT.get()
    if not found:
        return False
    for each in found:
        connection = each()
        if connection is None or connection.closed or not connection.in_transaction():
            continue
        whose, transaction, changes = vars(connection)[_KEY]
        same = transaction is None or transaction is connection.get_transaction()
        if whose is owner and same and wrote(connection, changes):
            return True
    return False


def _is_open(connection: sa.Connection | None, besides: sa.Connection) -> bool:
    return connection is not None and connection is not besides and not connection.closed

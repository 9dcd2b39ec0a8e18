"""What a thread holds of a database, and gives back whatever interrupts it.

Ctrl-C, a time limit's signal handler or another thread may raise an exception at any instant,
also between the last line of a `with` block and the first line of what ends it. Therefore every
transaction stands in a list of its thread from before it begins. Who does something whole (asks
a question, brings tables up) notes how long that list is, and afterwards lets go of whatever is
on it in addition. One exception can skip the end of the block or that of the whole, not both.
"""

import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from traceback import walk_tb
from types import TracebackType
from typing import Literal, Protocol, Self

import sqlalchemy as sa

from salesflow.adapters.collector import collector_back
from salesflow.adapters.patience import Patience
from salesflow.errors import SalesflowError

__all__ = ["Block", "Holds", "Kind", "Owner", "Whole", "give_back"]

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
            collector_back()
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

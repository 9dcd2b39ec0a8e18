"""A pool of connections that an exception at any instant leaves whole.

SQLAlchemy's own pool waits on Python's condition variables, whose lock stays held for ever when
an exception of a signal handler arrives between taking it and the next line. Here a connection
is a pop from a list, and giving it back an append; nothing is counted, so nothing can be
miscounted. What is lost on the way is closed by whoever notes the exception (`reclaim`), since
its traceback may be kept, and the connection with it. A connection in the middle of something
is closed instead of kept.
"""

from collections.abc import Callable
from functools import partial
from itertools import count
from threading import get_ident
from time import monotonic, sleep
from typing import Any, Final, Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from salesflow.errors import BusyError, DatabaseError

__all__ = ["ConnectionPool", "ListPool", "reclaim", "takes", "tell_pool"]


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

    def __init__(self, creator: Any, **options: Any) -> None:  # noqa: ANN401 - as theirs
        super().__init__(creator, **options)
        self._options = options
        self._idle: list[ConnectionPoolEntry] = []
        self._open: WeakKeyDictionary[ConnectionPoolEntry, Checkout] = WeakKeyDictionary()
        """By whom each of them was taken last, and when, as numbers count."""
        self.is_clean: Callable[[Any], bool] = lambda _: True
        """Says whether a driver's connection stands outside of any transaction."""
        self.wait_seconds = 5.0

    def recreate(self) -> "ListPool":
        """Give an empty pool of the same kind."""
        fresh = type(self)(
            self._creator,
            **{**self._options, "_dispatch": self.dispatch, "dialect": self._dialect},
        )
        fresh.is_clean, fresh.wait_seconds = self.is_clean, self.wait_seconds
        return fresh

    def dispose(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def status(self) -> str:
        """Say how many connections there are."""
        return f"{len(self._open)} connections, {len(self._idle)} of them idle"

    def _do_get(self) -> ConnectionPoolEntry:
        deadline = monotonic() + self.wait_seconds
        while True:
            try:
                entry = self._idle.pop()
            except IndexError:
                if len(self._open) < OPEN_MAX:
                    return self._take(self._create_connection())
                if monotonic() > deadline:
                    raise BusyError(
                        f"all {OPEN_MAX} connections of this process are in use, and none was"
                        f" given back within {self.wait_seconds} s"
                    ) from None
                sleep(LOOK_SECONDS)
            else:
                return self._take(entry)

    def _take(self, entry: ConnectionPoolEntry) -> ConnectionPoolEntry:
        self._open[entry] = Checkout(get_ident(), takes())
        return entry

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        raw = record.dbapi_connection
        clean = record in self._open and (raw is None or self.is_clean(raw))
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


takes: Final = partial(next, count(1))
"""Gives the next of the numbers by which takings of all pools are told from one another."""


def reclaim(engine: sa.Engine, since: int, until: int) -> None:
    """Close what this thread has taken between two numbers, given by `takes`, and still has.

    To be called once that was given back, as far as anybody knows it; what is left was caught
    by an exception on its way.
    """
    pool = engine.pool
    if isinstance(pool, ListPool):
        pool.reclaim(since, until)


def tell_pool(engine: sa.Engine, is_clean: Callable[[Any], bool], wait_seconds: float) -> None:
    """Tell the pool of a new engine what it has to know."""
    pool = engine.pool
    assert isinstance(pool, ListPool)
    pool.is_clean, pool.wait_seconds = is_clean, wait_seconds


# Driver connections that wait to be used again.
#
# SQLAlchemy's pool does much for each checkout (events, resets, invalidation); reading a stream
# through it costs a tenth more. Here a connection is a pop from a list, and giving it back an
# append, both atomic in Python. Connections in it must be outside any transaction.

KEPT_MAX = 16

ItemT = TypeVar("ItemT")


class ConnectionPool(Generic[ItemT]):
    """Opens when none is idle, keeps at most sixteen of them."""

    def __init__(self, connect: Callable[[], ItemT], close: Callable[[ItemT], None]) -> None:
        self._connect = connect
        self._close = close
        self._idle: list[ItemT] = []
        self._closed = False

    def forget(self) -> list[ItemT]:
        """Give up those that are idle without closing them."""
        idle, self._idle = self._idle, []
        return idle

    def take(self, wanted: ItemT | None = None) -> ItemT:
        """Give the one wanted if it is idle, else another, or a new one.

        Give it back or drop it.
        """
        try:
            if wanted is not None:
                self._idle.remove(wanted)
                return wanted
            return self._idle.pop()
        except ValueError:  # somebody else has it
            return self.take()
        except IndexError:
            if self._closed:
                raise DatabaseError("the database is closed; open a SalesFlow anew") from None
            return self._connect()

    def give_back(self, item: ItemT) -> None:
        """Keep one for the next who needs it."""
        self._idle.append(item)
        if self._closed or len(self._idle) > KEPT_MAX:
            self._close(self._idle.pop())

    def drop(self, item: ItemT) -> None:
        """Close one that failed."""
        self._close(item)

    def close(self) -> None:
        """Close those that are idle; those in use close when they are given back."""
        self._closed = True
        self.clear()

    def clear(self) -> None:
        """Close those that are idle; others will be opened."""
        while self._idle:
            self._close(self._idle.pop())

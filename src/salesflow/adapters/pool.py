"""A pool of connections that an exception at any instant leaves whole.

SQLAlchemy's own pool waits on Python's condition variables, whose lock stays held for ever when
an exception of a signal handler arrives between taking it and the next line. Here a connection
is a pop from a list, and giving it back an append; nothing is counted, so nothing can be
miscounted. What is lost on the way is closed by Python itself. A connection in the middle of
something is closed instead of kept.
"""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from salesflow.errors import BusyError

__all__ = ["ListPool", "tell_pool"]

OPEN_MAX = 40
IDLE_MAX = 8
LOOK_SECONDS = 0.005


class ListPool(Pool):
    """Keeps at most eight idle connections, and opens at most forty."""

    def __init__(self, creator: Any, **options: Any) -> None:  # noqa: ANN401 - as theirs
        super().__init__(creator, **options)
        self._options = options
        self._idle: list[ConnectionPoolEntry] = []
        self._open: WeakSet[ConnectionPoolEntry] = WeakSet()
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
                return self._idle.pop()
            except IndexError:
                if len(self._open) < OPEN_MAX:
                    return self._opened()
                if monotonic() > deadline:
                    raise BusyError(
                        f"all {OPEN_MAX} connections of this process are in use, and none was"
                        f" given back within {self.wait_seconds} s"
                    ) from None
                sleep(LOOK_SECONDS)

    def _opened(self) -> ConnectionPoolEntry:
        entry = self._create_connection()
        self._open.add(entry)
        return entry

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        raw = record.dbapi_connection
        if len(self._idle) < IDLE_MAX and (raw is None or self.is_clean(raw)):
            self._idle.append(record)
            return
        self._open.discard(record)
        record.close()


def tell_pool(engine: sa.Engine, is_clean: Callable[[Any], bool], wait_seconds: float) -> None:
    """Tell the pool of a new engine what it has to know."""
    pool = engine.pool
    assert isinstance(pool, ListPool)
    pool.is_clean, pool.wait_seconds = is_clean, wait_seconds

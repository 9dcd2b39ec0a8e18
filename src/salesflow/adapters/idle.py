"""Driver connections that wait to be used again.

SQLAlchemy's pool does much for each checkout (events, resets, invalidation); reading a stream
through it costs a tenth more. Here a connection is a pop from a list, and giving it back an
append, both atomic in Python. Connections in it must be outside any transaction.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from salesflow.errors import DatabaseError

__all__ = ["Idle"]

IDLE_MAX = 16

ItemT = TypeVar("ItemT")


class Idle(Generic[ItemT]):
    """Opens when none is idle, keeps at most sixteen of them."""

    def __init__(self, connect: Callable[[], ItemT], close: Callable[[ItemT], None]) -> None:
        self._connect = connect
        self._close = close
        self._idle: list[ItemT] = []
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[ItemT]:
        """Give one for the block; one that failed is closed and not used again."""
        item = self._taken()
        try:
            yield item
        except BaseException:
            self._close(item)
            raise
        if self._closed or len(self._idle) >= IDLE_MAX:
            self._close(item)
        else:
            self._idle.append(item)

    def close(self) -> None:
        """Close those that are idle; those in use close when they are given back."""
        self._closed = True
        self.clear()

    def clear(self) -> None:
        """Close those that are idle; others will be opened."""
        while self._idle:
            self._close(self._idle.pop())

    def _taken(self) -> ItemT:
        if self._closed:
            raise DatabaseError("the database is closed")
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

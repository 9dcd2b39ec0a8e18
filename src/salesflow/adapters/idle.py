"""Driver connections that wait to be used again.

SQLAlchemy's pool does much for each checkout (events, resets, invalidation); reading a stream
through it costs a tenth more. Here a connection is a pop from a list, and giving it back an
append, both atomic in Python. Connections in it must be outside any transaction.
"""

from collections.abc import Callable
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
        if self._closed or len(self._idle) > IDLE_MAX:
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

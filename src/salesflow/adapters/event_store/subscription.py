"""Following the log: an iterator that gives every event once, in order, and then waits.

`with log.subscribe(after=position) as events`, then a `for` over them.

A wake-up is only a hint (NOTIFY on PostgreSQL; on SQLite a commit in this process, or the
file's `data_version`); the log is looked at every second whatever happens, and listening
begins before the first look, so nothing can be missed. There is no thread: what goes wrong is
raised where the events are read. `stop()`, from any thread, ends a waiting reader at once.

What it leaves out: remembering the position between runs. `position` is that of the last
event given; keep it in the same transaction as what you did with the event.
"""

from collections import deque
from collections.abc import Callable, Iterator
from threading import Event as Flag
from typing import Generic, Protocol, Self, TypeVar

from salesflow.adapters.database.database import Database

__all__ = ["POLL_SECONDS", "Subscription"]


POLL_SECONDS = 1.0
PAGE_EVENTS = 500


class Positioned(Protocol):
    """Anything read from the log in order of position."""

    @property
    def position(self) -> int:
        """Its place in the log."""


ItemT = TypeVar("ItemT", bound=Positioned)


class Subscription(Iterator[ItemT], Generic[ItemT]):
    """Gives what `pull(after, limit)` finds, page after page, for ever."""

    def __init__(
        self, database: Database, pull: Callable[[int, int], list[ItemT]], after: int
    ) -> None:
        self.position = after
        """Position of the last event given."""
        self._pull = pull
        self._pulled = after
        self._ahead: deque[ItemT] = deque()
        self._stopped = Flag()
        self._waiter = database.waiter()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ItemT:
        while not self._stopped.is_set():
            if self._ahead:
                item = self._ahead.popleft()
                self.position = item.position
                return item
            self._waiter.listen()
            self._ahead.extend(self._pull(self._pulled, PAGE_EVENTS))
            if self._ahead:
                self._pulled = self._ahead[-1].position
            elif not self._stopped.is_set():
                self._waiter.wait(POLL_SECONDS)
        self._waiter.close()
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._waiter.close()

    def stop(self) -> None:
        """End the iteration, also one that waits in another thread."""
        self._stopped.set()
        self._waiter.wake()

"""Taking turns: threads that met others again and again try one after another.

Waiting has an end, so that nobody who holds a turn for long holds up everybody: whoever has
waited long enough goes on without.
"""

from collections.abc import Callable
from contextlib import suppress
from threading import RLock
from typing import TypeVar

from salesflow.adapters.forking import Forkable, survive_forks

__all__ = ["Turns"]

DoneT = TypeVar("DoneT")


class Turns(Forkable):
    """One turn at a time."""

    def __init__(self, wait_seconds: float) -> None:
        self._wait_seconds = wait_seconds
        self._lock = RLock()  # which knows its owner, so that it can be released twice
        survive_forks(self)

    def after_fork_in_child(self) -> None:
        """Let nobody wait for a thread that lives in the parent alone."""
        self._lock = RLock()

    def take(self, work: Callable[[], DoneT]) -> DoneT:
        """Do something in a turn; an exception at any instant gives the turn back."""
        lock = self._lock
        try:
            lock.acquire(timeout=self._wait_seconds)
            done = work()
            lock.release()
        except BaseException:
            with suppress(RuntimeError):  # it was not got, or is released already
                lock.release()
            raise
        return done

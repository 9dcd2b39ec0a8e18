"""Group commit: threads that append at the same time share one transaction.

The first thread to come leads: it commits what waits, hands each follower its own result and
then hands the lead to the first in the queue. While one group is being written to the disk,
the next one gathers by itself, so more threads make larger groups and not longer queues.

The committing function gets a group of requests and must settle each of them (`answer` or
`error`). What it raises itself reaches everybody it has not settled.
"""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from salesflow.errors import DatabaseError

__all__ = ["GroupCommit", "Request"]

AskedT = TypeVar("AskedT")
AnswerT = TypeVar("AnswerT")

GROUP_MAX = 128


class Request(Generic[AskedT, AnswerT]):
    """What one thread wants committed, and what became of it."""

    __slots__ = ("answer", "asked", "error", "leads", "turn")

    def __init__(self, asked: AskedT) -> None:
        self.asked = asked
        self.answer: AnswerT | None = None
        self.error: BaseException | None = None
        self.leads = False
        self.turn: Lock | None = None
        """Held while a follower waits; released when it is settled or is to lead."""


class GroupCommit(Generic[AskedT, AnswerT]):
    """Gathers requests of many threads into groups, one group at a time."""

    def __init__(self, commit: Callable[[list[Request[AskedT, AnswerT]]], None]) -> None:
        self._commit = commit
        self._mutex = Lock()
        self._queue: list[Request[AskedT, AnswerT]] = []
        self._led = False

    def submit(self, asked: AskedT) -> AnswerT:
        """Commit a request, alone or with others; give its answer or raise its error."""
        request: Request[AskedT, AnswerT] = Request(asked)
        with self._mutex:
            if self._led:
                request.turn = Lock()
                request.turn.acquire()
                self._queue.append(request)
            else:
                self._led = request.leads = True
        if request.turn is not None:
            self._wait(request, request.turn)
        if request.leads:
            self._lead(request)
        if request.error is not None:
            raise request.error
        if request.answer is None:
            raise DatabaseError(
                "the append was interrupted; whether it was recorded is unknown"
            )
        return request.answer

    def _wait(self, request: Request[AskedT, AnswerT], turn: Lock) -> None:
        try:
            turn.acquire()
        except BaseException:
            with self._mutex:
                waits = request in self._queue
                if waits:
                    self._queue.remove(request)
            if request.leads and not waits:
                self._hand_over([])
            raise

    def _lead(self, request: Request[AskedT, AnswerT]) -> None:
        with self._mutex:
            group = [request, *self._queue[: GROUP_MAX - 1]]
            del self._queue[: GROUP_MAX - 1]
        try:
            self._commit(group)
        except BaseException as error:
            for each in group[1:]:
                if each.answer is None and each.error is None:
                    each.error = DatabaseError(f"the group's append failed: {error!r}")
            raise
        finally:
            self._hand_over(group)

    def _hand_over(self, group: list[Request[AskedT, AnswerT]]) -> None:
        with self._mutex:
            next_one = self._queue.pop(0) if self._queue else None
            self._led = next_one is not None
            if next_one is not None:
                next_one.leads = True
        for each in [next_one, *group]:
            if each is not None:
                _wake(each)


def _wake(request: Request[AskedT, AnswerT]) -> None:
    if request.turn is not None and request.turn.locked():
        request.turn.release()

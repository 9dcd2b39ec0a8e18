"""Group commit: threads that append at the same time share one transaction.

Whoever gets the lead commits its own request and those that wait, hands the lead on to the
first of those who came meanwhile, and wakes all whose request is settled. While one group is
being written to the disk, the next one gathers by itself, so more threads make larger groups
and not longer queues.

The committing function gets a group of requests and the time by which it has to be written, and
must settle each of them (`answer` or `error`), or say that it is to be tried `again`. Nobody
depends on anybody: who waits looks now and then whether the lead is free, so a leader that an
exception hit at any instant holds up nobody, and those who wait commit what it left behind.
"""

from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter
from threading import Lock, RLock
from time import monotonic
from typing import Generic, TypeVar

from salesflow.errors import BusyError, DatabaseError

__all__ = ["GroupCommit", "Request"]


AskedT = TypeVar("AskedT")
AnswerT = TypeVar("AnswerT")

GROUP_MAX = 128
DEADLINE = attrgetter("deadline")
LOOK_SECONDS = 0.05
"""How often who waits looks whether the lead was left behind."""


class Request(Generic[AskedT, AnswerT]):
    """What one thread wants committed, by when, and what became of it."""

    __slots__ = ("again", "answer", "asked", "deadline", "error", "impatient", "tries", "turn")

    def __init__(self, asked: AskedT, deadline: float) -> None:
        self.asked = asked
        self.deadline = deadline
        self.answer: AnswerT | None = None
        self.error: BaseException | None = None
        self.again = False
        """Whether nothing became of it, and it is to be tried once more."""
        self.tries = 0
        """How often it was given to be committed; an earlier time may have been cut off."""
        self.impatient = False
        """Whether it waited in vain for a while, and may lead in place of who does not come."""
        self.turn: Lock | None = None
        """Held while its thread waits; released when it is settled or may lead."""

    @property
    def settled(self) -> bool:
        """Whether it is known what became of it."""
        return self.answer is not None or self.error is not None


class GroupCommit(Generic[AskedT, AnswerT]):
    """Gathers requests of many threads into groups, one group at a time."""

    def __init__(
        self,
        commit: Callable[[list[Request[AskedT, AnswerT]], float], None],
        wait_seconds: float = 5.0,
    ) -> None:
        self._commit = commit
        self._wait_seconds = wait_seconds
        self._look_seconds = min(LOOK_SECONDS, wait_seconds)
        self._queue: list[Request[AskedT, AnswerT]] = []
        self._lead = RLock()  # which knows its owner, so that it can be released twice
        self._heir: Request[AskedT, AnswerT] | None = None
        """Who is to lead next; others only when it does not come."""

    def submit(self, asked: AskedT) -> AnswerT:
        """Commit a request, alone or with others; give its answer or raise its error.

        Raises:
            BusyError: when its turn did not come in time; then nothing is committed.
        """
        request: Request[AskedT, AnswerT] = Request(asked, monotonic() + self._wait_seconds)
        lead = self._lead
        try:
            while request.answer is None and request.error is None:
                heir = self._heir
                may_lead = heir is None or heir is request or request.impatient
                if may_lead and lead.acquire(blocking=False):
                    group = [] if request.settled else self._commit_group(request)
                    self._hand_over(lead)
                    for each in group:
                        if each.turn is not None:
                            _wake(each.turn)
                else:
                    self._wait(request)
        except BaseException as error:
            self._withdraw(request)
            if self._heir is request:
                self._heir = None
            with suppress(RuntimeError):  # it was not got, or is released already
                lead.release()
            self._wake_first()
            request.error = request.error or DatabaseError(f"it was withdrawn: {error!r}")
            raise
        if request.answer is not None:
            return request.answer
        assert request.error is not None
        raise request.error

    def forget(self) -> None:
        """Begin anew in a child process, where nobody waits."""
        self._queue = []
        self._lead, self._heir = RLock(), None

    def _commit_group(
        self, request: Request[AskedT, AnswerT]
    ) -> list[Request[AskedT, AnswerT]]:
        """Commit a request and those that wait; give all of them."""
        group = self._gathered(request)
        try:
            self._commit([*group], min(map(DEADLINE, group)))
        except BaseException:
            self._queue[:0] = [each for each in group[1:] if not each.settled]
            raise
        for each in group:
            if each.answer is not None or each.error is not None:
                continue
            if not each.again:
                each.error = DatabaseError("whether the append was recorded is unknown")
            elif each.turn is not None:  # else its thread gets in line by itself
                self._queue.append(each)
        return group

    def _gathered(self, request: Request[AskedT, AnswerT]) -> list[Request[AskedT, AnswerT]]:
        queue, group = self._queue, [request]
        if request.turn is not None:  # it may stand in the queue
            self._withdraw(request)
        request.tries, request.again = request.tries + 1, False
        while queue and len(group) < GROUP_MAX:
            try:
                each = queue.pop(0)
            except IndexError:  # it was the last one, and is withdrawn
                break
            each.tries, each.again = each.tries + 1, False
            group.append(each)
        return group

    def _wait(self, request: Request[AskedT, AnswerT]) -> None:
        if request.turn is None:
            request.turn = Lock()
            request.turn.acquire()
            self._queue.append(request)
            return  # the lead may have become free before anybody saw this request
        request.impatient = not request.turn.acquire(timeout=self._look_seconds)
        if not request.impatient or monotonic() < request.deadline or request.settled:
            return
        if self._withdraw(request):
            if request.tries and not request.again:  # an exception cut its leader off
                raise DatabaseError("whether the append was recorded is unknown")
            raise BusyError(
                "writers of this process waited for one another for longer than"
                f" {self._wait_seconds} s, and this one's turn did not come; nothing of it is"
                " recorded"
            )

    def _withdraw(self, request: Request[AskedT, AnswerT]) -> bool:
        """Take a request out of the queue; False when it was not in it."""
        try:
            self._queue.remove(request)
        except ValueError:
            return False
        return True

    def _hand_over(self, lead: RLock) -> None:
        """Give the lead to the first of those who wait."""
        self._heir = next(iter(self._queue), None)
        lead.release()
        if self._queue:  # perhaps one that came after it was seen that nobody waits
            self._wake_first()

    def _wake_first(self) -> None:
        first = next(iter(self._queue), None)
        if first is not None and first.turn is not None:
            _wake(first.turn)


def _wake(turn: Lock) -> None:
    try:
        turn.release()
    except RuntimeError:  # it is awake already
        return

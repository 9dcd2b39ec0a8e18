"""Delivering: a worker sends what is due, in order per key, and different keys side by side.

One thread alone speaks with the database: it claims queues, hands them to threads that send,
and settles what became of them. What was sent and not settled, since the worker was killed or
the database could not be reached, is sent again with the same id when the claim has run out.

A claimed message is only sent while its claim lasts long enough for an answer, so that no two
workers send messages of one key at once.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from random import Random
from threading import Event as Flag
from time import monotonic
from typing import Final, NamedTuple
from uuid import uuid4

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.subscription import POLL_SECONDS
from salesflow.adapters.logs import OUTBOX, tell_lost
from salesflow.adapters.outbox.endpoints import Endpoint
from salesflow.adapters.outbox.messages import OutgoingMessage
from salesflow.adapters.outbox.patience import Outcome, rest_after, settled_after
from salesflow.adapters.outbox.store import Claimed, EndpointRow, OutboxStore
from salesflow.adapters.outbox.transports import DeliveryError, Transport, transport_of
from salesflow.domain.time import FOREVER, Instant
from salesflow.errors import BusyError, DisconnectedError, HistoryError, ReactorError

__all__ = ["Delivered", "Deliverer", "Fill"]


Fill = Callable[[], bool]
"""Puts a page of the log into the outbox of an endpoint; False when there was none."""

SECOND: Final = 1_000_000
WINDOW_MESSAGES: Final = 10_000
"""So many messages of an endpoint wait in its outbox at most, a page of the log aside; the rest
waits in the log."""
MESSAGES_AT_ONCE: Final = 20
"""So many messages of a queue are sent one after another before they are settled."""
QUEUES_AHEAD: Final = 2
"""So many queues for every thread are claimed."""
MARGIN_SECONDS: Final = 5.0
"""A claim lasts so much longer than an answer may take: clocks of hosts differ."""
FILL_SECONDS: Final = 0.2
STUCK_SECONDS: Final = 5.0
"""How long an endpoint waits for new messages, and when an event cannot be read."""
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.1, 10.0


class Delivered(NamedTuple):
    """What a worker has done so far."""

    delivered: dict[str, int]
    """So many messages were taken by each endpoint."""
    failed: dict[str, int]
    """So many attempts failed."""
    dead: dict[str, int]
    """So many messages were given up."""
    problems: dict[str, str]
    """What went wrong last at an endpoint, until a message is taken again."""


class Lane:
    """The way to one endpoint, as one worker sees it."""

    def __init__(
        self, log: EventLog, endpoint: Endpoint, fill: Fill, transport: Transport
    ) -> None:
        self.endpoint = endpoint
        self.name: Final = endpoint.name
        self.holder: Final = uuid4().hex
        self.outcomes: list[Outcome] = []
        """What is known and not settled yet."""
        self._with_threads: set[str] = set()
        """Keys of the queues that are being sent."""
        self.delivered = self.failed = self.dead = 0
        self.problem = self.unfilled = ""
        self._log, self._fill, self._transport = log, fill, transport
        self._store: Final = OutboxStore(log)
        self._stopping = Flag()
        self._fill_again = 0.0
        self._pool: Final = ThreadPoolExecutor(endpoint.concurrency, f"outbox {self.name}")

    def fill(self) -> bool:
        """Put a page of the log into the outbox where there is room; say whether it was."""
        if monotonic() < self._fill_again or self._rests(self._store.row(self.name)):
            return False
        self._fill_again = monotonic() + FILL_SECONDS
        if self._store.room(self.name, WINDOW_MESSAGES) <= 0:
            return False
        try:
            filled = self._fill()
        except (ReactorError, HistoryError) as error:
            self.unfilled = str(error)
            self._fill_again = monotonic() + STUCK_SECONDS
            return False
        self.unfilled = ""
        if filled:
            self._fill_again = 0.0
        return filled

    def look_again(self) -> None:
        """Look for new events at once, since something was recorded."""
        self._fill_again = 0.0

    def claim(self, done: "Done") -> bool:
        """Claim what is due and hand it to the threads; say whether there was anything."""
        row = self._store.row(self.name)
        if self._rests(row) or self._stopping.is_set():
            return False
        queues, messages = self.endpoint.concurrency * QUEUES_AHEAD, MESSAGES_AT_ONCE
        if row.pauses:
            queues = messages = 1  # to see whether it is there again
        queues -= self.sending
        if queues <= 0:
            return False
        lasts = (2 * self.endpoint.timeout + 2 * MARGIN_SECONDS) * SECOND
        until = self._log.now() + int(lasts)
        claimed = self._store.claim(
            self.name, self.holder, until, queues=queues, messages=messages
        )
        for each in claimed:
            if each.ordering_key in self._with_threads:
                continue  # its answer takes longer than the claim did
            self._with_threads.add(each.ordering_key)
            sent = self._pool.submit(self._send, each)
            sent.add_done_callback(partial(self._hand_in, done, each.ordering_key))
        return bool(claimed)

    @property
    def sending(self) -> int:
        """So many queues are with the threads."""
        return len(self._with_threads)

    def take(self, sent: "Future[Outcome]", ordering_key: str) -> None:
        """Take down what became of a queue."""
        self._with_threads.discard(ordering_key)
        self.outcomes.append(sent.result())

    def settle(self, chance: Callable[[], float]) -> None:
        """Write down what became of the messages that were sent."""
        if not self.outcomes:
            return
        now = self._log.now()
        settled = [settled_after(each, self.endpoint, now, chance) for each in self.outcomes]

        def judged(row: EndpointRow) -> EndpointRow:
            for each in self.outcomes:
                row = rest_after(row, each, self.endpoint, now, chance)
            return row

        self._store.settle(self.name, self.holder, settled, judged)
        self.dead += sum("dead_since" in each.changes for each in settled)
        for each in self.outcomes:
            self._note(each)
        self.outcomes = []

    def next_due(self) -> Instant:
        """Return when there is something to send again; never while the endpoint is off."""
        row = self._store.row(self.name)
        if row.off_since is not None:
            return FOREVER
        return max(self._store.next_due(self.name), row.paused_until)

    def stop(self) -> None:
        """Begin no message any more; those that are on their way come to their end."""
        self._stopping.set()

    def close(self) -> None:
        """End the threads, and give back the connections."""
        self._pool.shutdown()
        self._transport.close()

    def _hand_in(self, done: "Done", ordering_key: str, sent: "Future[Outcome]") -> None:
        done.put((self, ordering_key, sent))

    def _rests(self, row: EndpointRow) -> bool:
        return row.off_since is not None or row.paused_until > self._log.now()

    def _send(self, claimed: Claimed) -> Outcome:
        """Send the messages of a queue in order, up to the first that is not taken."""
        longest = int((self.endpoint.timeout + MARGIN_SECONDS) * SECOND)
        delivered: list[int] = []
        for number, body in claimed.messages:
            if self._stopping.is_set() or self._log.now() + longest > claimed.held_until:
                break
            try:
                message = OutgoingMessage.from_bytes(body, number=number)
                self._transport.send(message, body)
            except DeliveryError as error:
                return Outcome(claimed, tuple(delivered), error)
            delivered.append(number)
        return Outcome(claimed, tuple(delivered), None)

    def _note(self, outcome: Outcome) -> None:
        self.delivered += len(outcome.delivered)
        if outcome.delivered:
            self.problem = ""
        if outcome.failure is not None:
            self.failed += 1
            self.problem = outcome.failure.reason
            OUTBOX.info("endpoint %s: an attempt failed", self.name)


Done = SimpleQueue[tuple[Lane, str, "Future[Outcome]"]]
"""Queues that are back from the threads, each with its way and its key."""


class Deliverer:
    """A worker that delivers to some endpoints, beside any number of others."""

    def __init__(
        self,
        log: EventLog,
        endpoints: Sequence[tuple[Endpoint, Fill]],
        *,
        chance: Callable[[], float] | None = None,
    ) -> None:
        """Take the endpoints, and what fills the outbox of each.

        Raises:
            InputError: when a secret or a package is missing.
        """
        self._log = log
        self._chance: Final = chance or Random().random
        self._done: Done = SimpleQueue()
        made = [(each, fill, transport_of(each)) for each, fill in endpoints]
        self._lanes: Final = [Lane(log, *each) for each in made]

    def run(
        self, stop: Flag, *, follow: bool, report: Callable[[Delivered], object]
    ) -> Delivered:
        """Deliver what is due: all of it once, or until stopped whatever comes.

        `report` is called whenever something was settled.
        """
        with self._ending():
            if follow:
                self._follow(stop, report)
            else:
                self._once(stop, report)
        report(self._delivered())
        return self._delivered()

    def _once(self, stop: Flag, report: Callable[[Delivered], object]) -> None:
        while not stop.is_set():
            if not self._turn(report):
                self._look_again()
                if not self._turn(report):
                    return

    def _look_again(self) -> None:
        for lane in self._lanes:
            lane.look_again()

    def _follow(self, stop: Flag, report: Callable[[Delivered], object]) -> None:
        waiter, pause = self._log.database.waiter(), PAUSE_SECONDS
        try:
            while not stop.is_set():
                try:
                    waiter.listen()
                    if not self._turn(report):
                        waiter.wait(self._idle_seconds())
                        self._look_again()
                    pause = PAUSE_SECONDS
                except (BusyError, DisconnectedError) as error:
                    waiter.close()
                    tell_lost(type(error.__cause__ or error).__name__, pause)
                    stop.wait(pause)
                    pause = min(2 * pause, PAUSE_SECONDS_MAX)
        finally:
            waiter.close()

    def _turn(self, report: Callable[[Delivered], object]) -> bool:
        """Fill, claim and settle; say whether anything was done or is being done."""
        with self._log.database.whole():
            filled = [lane.fill() for lane in self._lanes]
            claimed = [lane.claim(self._done) for lane in self._lanes]
            if self._sending():
                self._gather(FILL_SECONDS)
            self._settle(report)
            return any(filled) or any(claimed) or self._sending() > 0

    def _sending(self) -> int:
        return sum(lane.sending for lane in self._lanes)

    def _gather(self, seconds: float) -> None:
        """Wait for a queue to come back, and take all that are back by then."""
        with suppress(Empty):
            lane, ordering_key, sent = self._done.get(timeout=seconds)
            while True:
                lane.take(sent, ordering_key)
                lane, ordering_key, sent = self._done.get_nowait()

    def _settle(self, report: Callable[[Delivered], object]) -> None:
        settling = [lane for lane in self._lanes if lane.outcomes]
        for lane in settling:
            lane.settle(self._chance)
        if settling:
            report(self._delivered())

    def _idle_seconds(self) -> float:
        """Return how long nothing is due, a second at most."""
        now = self._log.now()
        left = min((lane.next_due() - now for lane in self._lanes), default=FOREVER) / SECOND
        return min(max(left, 0.001), POLL_SECONDS)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Let what is on its way come to its end afterwards, and settle it."""
        try:
            yield
        finally:
            for lane in self._lanes:
                lane.stop()
            for lane in self._lanes:
                lane.close()
            self._gather(0)
            self._settle(_tell_nobody)

    def _delivered(self) -> Delivered:
        lanes = self._lanes
        problems = {lane.name: lane.unfilled or lane.problem for lane in lanes}
        return Delivered(
            {lane.name: lane.delivered for lane in lanes},
            {lane.name: lane.failed for lane in lanes},
            {lane.name: lane.dead for lane in lanes},
            {name: said for name, said in problems.items() if said},
        )


def _tell_nobody(_: Delivered) -> None:
    """Tell nobody: whoever is told is told at the end."""

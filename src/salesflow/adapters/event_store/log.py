"""The event log: appended to by groups of writers, read by position, and followed.

Append drafts and get a receipt; read streams, pages or the whole log. Positions are gapless
and in commit order, so a reader that has seen position n has seen everything before it.
`recorded` strictly increases from append to append and is the same within one. An append is
atomic, whatever number of streams it touches.

    log = EventLog(Database("sqlite:///sales.db"))
    receipt = log.append([NewEvent(…)], command_id="order-17")

Threads that append at the same time share a transaction without noticing. What it leaves
out: business rules (see the aggregates) and read tables (see `runner`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import islice
from operator import attrgetter
from threading import Lock, RLock
from time import monotonic
from typing import Final, Generic, TypeVar
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.database.database import Database
from salesflow.adapters.database.forks import FORKABLE, Forkable
from salesflow.adapters.database.sqlite import SqliteDatabase
from salesflow.adapters.event_store.append import (
    Append,
    Appending,
    Head,
    NewEvent,
    Receipt,
    Recheck,
    Rejected,
    SqliteAppending,
    all_new_events,
    host_clock,
    receipts_of,
    version_error,
)
from salesflow.adapters.event_store.append_checks import AppendChecks
from salesflow.adapters.event_store.reading import EventReading, StoredEvent
from salesflow.adapters.event_store.subscription import Subscription
from salesflow.domain.catalogue import CATALOGUE, FactCatalogue
from salesflow.domain.event import Event, UnreadableFact, first_unreadable, unreadable_message
from salesflow.domain.time import Instant, to_instant
from salesflow.domain.values import shown
from salesflow.errors import (
    AlreadyRecordedError,
    BusyError,
    DatabaseError,
    HistoryError,
    InputError,
    SalesflowError,
)

__all__ = [
    "EventLog",
    "GroupCommit",
    "Head",
    "NewEvent",
    "Receipt",
    "Request",
    "StoredEvent",
    "ensure_tenant",
]


# Group commit: threads that append at the same time share one transaction.
#
# Whoever gets the lead commits its own request and those that wait, hands the lead on to the
# first of those who came meanwhile, and wakes all whose request is settled. While one group is
# being written to the disk, the next one gathers by itself, so more threads make larger groups
# and not longer queues. Threads that write all the time would take turns in two groups of half
# their number, though. On a slow disk a leader therefore waits for those of the groups before,
# who are about to come again; on a quick one that would cost more than it saves.
#
# The committing function gets a group of requests and the time by which it has to be written,
# and must settle each of them (`answer` or `error`), or say that it is to be tried `again`.
# Nobody depends on anybody: who waits looks now and then whether the lead is free, so a leader
# that an exception hit at any instant holds up nobody, and those who wait commit what it left
# behind.

AskedT = TypeVar("AskedT")
AnswerT = TypeVar("AnswerT")

GROUP_MAX = 128
DEADLINE, MERGES = attrgetter("deadline"), attrgetter("merges")
LOOK_SECONDS = 0.05
"""How often who waits looks whether the lead was left behind."""
SLOW_SECONDS = 0.002
"""A leader waits for others where the last two groups both took longer."""
GATHER_SECONDS_MAX = 0.005
"""It waits half as long as the quicker of them took, and no longer than this."""


class Request(Generic[AskedT, AnswerT]):
    """What one thread wants committed, by when, and what became of it."""

    answer: AnswerT | None = None
    error: BaseException | None = None
    again = False
    """Whether nothing became of it, and it is to be tried once more."""
    tries = 0
    """How often it was given to be committed; an earlier time may have been cut off."""
    impatient = False
    """Whether it waited in vain for a while, and may lead in place of who does not come."""
    wakeup: "Lock | None" = None
    """Held while its thread waits; released when it is settled or may lead."""

    def __init__(self, asked: AskedT, deadline: float) -> None:
        self.asked = asked
        self.deadline = deadline

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
        self._next_leader: Request[AskedT, AnswerT] | None = None
        """Who is to lead next; others only when it does not come."""
        self._expected = 1
        """How many wrote or waited a moment ago, and may come again."""
        self._took = 0.0, 0.0
        """How many seconds the last two groups took to be written."""
        self._complete: Lock | None = None
        """Held while a leader waits for others; released by the last one who comes."""

    def submit(self, asked: AskedT) -> AnswerT:
        """Commit a request, alone or with others; give its answer or raise its error.

        Raises:
            BusyError: when its turn did not come in time; then nothing is committed.
        """
        request: Request[AskedT, AnswerT] = Request(asked, monotonic() + self._wait_seconds)
        lead = self._lead
        try:
            while request.answer is None and request.error is None:
                next_leader = self._next_leader
                may_lead = next_leader is None or next_leader is request or request.impatient
                if may_lead and lead.acquire(blocking=False):
                    group = [] if request.settled else self._commit_group(request)
                    self._hand_over(lead)
                    for each in group:
                        if each.wakeup is not None:
                            _wake(each.wakeup)
                else:
                    self._wait(request)
        except BaseException as error:
            self._withdraw(request)
            if self._next_leader is request:
                self._next_leader = None
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
        self._lead, self._next_leader, self._expected = RLock(), None, 1

    def _commit_group(
        self, request: Request[AskedT, AnswerT]
    ) -> list[Request[AskedT, AnswerT]]:
        """Commit a request and those that wait; give all of them."""
        group = self._gathered(request)
        begun = monotonic()  # without the wait for others
        try:
            self._commit([*group], min(map(DEADLINE, group)))
        except BaseException:
            self._queue[:0] = [each for each in group[1:] if not each.settled]
            raise
        self._took = self._took[1], monotonic() - begun
        self._expected = min(GROUP_MAX, len(group) + len(self._queue))
        for each in group:
            if each.answer is not None or each.error is not None:
                continue
            if not each.again:
                each.error = DatabaseError("whether the append was recorded is unknown")
            elif each.wakeup is not None:  # else its thread gets in line by itself
                self._queue.append(each)
        return group

    def _gathered(self, request: Request[AskedT, AnswerT]) -> list[Request[AskedT, AnswerT]]:
        """Take a request and those in the queue; on a slow disk wait for others first."""
        queue, group = self._queue, [request]
        if request.wakeup is not None:  # it may stand in the queue
            self._withdraw(request)
        request.tries, request.again = request.tries + 1, False
        if min(self._took) > SLOW_SECONDS:
            self._await_others(request.deadline - monotonic())
        while queue and len(group) < GROUP_MAX:
            try:
                each = queue.pop(0)
            except IndexError:  # it was the last one, and is withdrawn
                break
            each.tries, each.again = each.tries + 1, False
            group.append(each)
        return group

    def _await_others(self, left: float) -> None:
        """Wait a moment for those who wrote or waited last and have not come again.

        Of the seconds that are left half are waited at most.
        """
        self._complete = complete = Lock()
        complete.acquire()
        if len(self._queue) < self._expected - 1:
            longest = min(min(self._took) / 2, GATHER_SECONDS_MAX, left / 2)
            complete.acquire(timeout=max(longest, 0))
        self._complete = None

    def _wait(self, request: Request[AskedT, AnswerT]) -> None:
        if request.wakeup is None:
            request.wakeup = Lock()
            request.wakeup.acquire()
            self._queue.append(request)
            complete = self._complete
            if complete is not None and len(self._queue) >= self._expected - 1:
                _wake(complete)
            return  # the lead may have become free before anybody saw this request
        request.impatient = not request.wakeup.acquire(timeout=self._look_seconds)
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
        self._next_leader = next(iter(self._queue), None)
        lead.release()
        if self._queue:  # perhaps one that came after it was seen that nobody waits
            self._wake_first()

    def _wake_first(self) -> None:
        first = next(iter(self._queue), None)
        if first is not None and first.wakeup is not None:
            _wake(first.wakeup)


def _wake(wakeup: Lock) -> None:
    try:
        wakeup.release()
    except RuntimeError:  # it is awake already
        return


TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Appends = Sequence[Append]
Receipts = list[Receipt]

_new = tuple.__new__


def ensure_tenant(name: str) -> None:
    """Refuse what cannot name a tenant.

    Raises:
        InputError: saying what can.
    """
    if not TENANT.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name a tenant; use up to 64 letters, digits, '.', '_', '-'"
        )


class EventLog(EventReading, Forkable):
    """The log of one tenant in one database; safe to share between threads."""

    def __init__(
        self,
        database: Database,
        *,
        tenant: str = "main",
        clock: Callable[[], datetime] | None = None,
        catalogue: FactCatalogue = CATALOGUE,
    ) -> None:
        ensure_tenant(tenant)
        super().__init__(database, tenant, catalogue)
        instants = _instants(clock)
        self._checks = AppendChecks(self)
        self._appending = _appending_of(database, tenant, instants)
        self.now: Final[Callable[[], Instant]] = instants or host_clock
        """The clock the log was given, or the host's; PostgreSQL's own may differ a little."""
        self._group: GroupCommit[Appends, Receipts] = GroupCommit(
            self._commit, database.wait_seconds
        )
        FORKABLE.add(self)

    def after_fork_in_child(self) -> None:
        """Let nobody wait for a thread that lives in the parent alone."""
        self._group.forget()

    def append(  # noqa: PLR0913 - all by keyword
        self,
        drafts: Sequence[NewEvent],
        *,
        command_id: str | None = None,
        fingerprint: str | None = None,
        first_topics: Mapping[UUID, str] | None = None,
        nouns: tuple[str, ...] = (),
        connection: sa.Connection | None = None,
        accept_clock: bool = False,
    ) -> Receipt:
        """Record events, all or none, at one instant.

        With `connection` it happens inside the caller's own transaction: nothing is recorded
        until that commits, and other writers wait, so append last. `first_topics` begin the
        streams that were read, `nouns` name what the receipt is of, `fingerprint` the request.

        Raises:
            ConcurrentChangeError: somebody else appended to one of the streams first.
            AlreadyRecordedError: this command id was recorded before; holds its receipt.
            ClockError: the clock is more than five seconds behind the log.
            InputError: a value that cannot be stored or read back, or a fact from the future.
            RuleError: a merge that cannot be; see `append_checks`.
            BusyError: another writer held the log for too long.
        """
        given = (drafts, (), None, command_id, accept_clock, fingerprint, nouns, False)
        append = _new(Append, given)
        (append,) = self._checks.check(
            (append,), first_topics=first_topics, connection=connection
        )
        if connection is not None:
            return self._append_in(connection, append)
        receipts = self._group.submit((append,))
        if first_topics is None:  # else the next writer reads the streams too
            self._checks.remember((append,))
        return receipts[0]

    def _append_in(self, connection: sa.Connection, append: Append) -> Receipt:
        recheck = self._recheck((append,), connection)
        try:
            return self._appending.write_in(connection, append, recheck)
        except Rejected as refusal:
            raise self._reason((append,), refusal, connection) from refusal

    def append_many(self, appends: Sequence[Sequence[NewEvent]]) -> list[Receipt]:
        """Record several appends in one transaction, at consecutive instants; for imports.

        Each stays an append of its own (one instant, one receipt); all are recorded or none.
        """
        if not appends:
            return []
        checked = self._checks.check([Append(drafts) for drafts in appends])
        receipts = self._group.submit(checked)
        self._checks.remember(checked)
        return receipts

    def known_command(
        self,
        command_id: str | None,
        *,
        actor: str | None,
        fingerprint: str | None,
        connection: sa.Connection | None = None,
    ) -> AlreadyRecordedError | None:
        """Return the error of a command that was recorded before, perhaps by somebody else.

        None when it was not, or has no id.
        """
        if command_id is None:
            return None
        found = self.command(command_id, connection)
        if found is None:
            return None
        receipt, before, print_before = found
        positions = f"at positions {receipt.first} to {receipt.last}"
        text = f"command {shown(command_id)} was recorded before, {positions}"
        if before != actor:
            return AlreadyRecordedError(
                f"{text}, by {shown(before) if before else 'nobody named'} and not by"
                f" {shown(actor) if actor else 'nobody named'}; give each request an id of"
                " its own, such as one that begins with who sends it",
                receipt,
                "actor",
            )
        if fingerprint is not None and print_before not in (None, fingerprint):
            return AlreadyRecordedError(
                f"{text}, for another request: its fingerprint differs; give each request an"
                " id of its own",
                receipt,
                "fingerprint",
            )
        return AlreadyRecordedError(text, receipt)

    def subscribe(self, after: int = 0) -> Subscription[Event]:
        """Return every event after a position, and then those to come; see `Subscription`."""
        return Subscription(self.database, self._readable, after)

    def _readable(self, after: int, limit: int) -> list[Event]:
        """Return a page up to what cannot be read; from there on raise what is wrong.

        What was retracted since is given as it is: whoever reads on is told of that too.
        """
        events = self.page(after, limit)
        for number, event in enumerate(events):
            if isinstance(event.fact, UnreadableFact):
                wrong = first_unreadable(self.stream(event.stream_id))
                if wrong is not None and wrong.position <= event.position:
                    if not number:
                        raise HistoryError(unreadable_message(wrong))
                    return events[:number]
        return events

    def _commit(self, group: list[Request[Appends, Receipts]], deadline: float) -> None:
        """Settle a group in one transaction; when that fails, each in one of its own."""
        if len(group) == 1 or any(r.tries > 1 or r.asked[0].accept_clock for r in group):
            return self._commit_alone(group)
        try:
            receipts = self._write([a for request in group for a in request.asked], deadline)
        except BusyError as error:
            for request in group:
                _settle_busy(request, error)
        except (Rejected, SalesflowError) as error:
            if type(error) is DatabaseError:
                raise
            self._commit_alone(group)
        else:
            waiting = iter(receipts)
            for request in group:
                request.answer = list(islice(waiting, len(request.asked)))
        return None

    def _commit_alone(self, group: list[Request[Appends, Receipts]]) -> None:
        for request in group:
            request.tries += len(group) > 1  # together it may have been cut off
            try:
                request.answer = self._write(request.asked, request.deadline)
            except Rejected as refusal:
                if request.tries > 1:
                    request.answer = self._recorded_before(request.asked)
                if request.answer is None:
                    request.error = self._reason(request.asked, refusal, None)
                    request.error.__cause__ = refusal
            except BusyError as error:
                _settle_busy(request, error)
            except SalesflowError as error:
                request.error = error

    def _write(self, appends: Appends, deadline: float) -> Receipts:
        recheck = self._recheck(appends)
        self._appending.position_min = self._committed.position
        receipts = self._appending.write(appends, deadline, recheck)
        _, position, recorded, *_ = receipts[-1]
        if position > self._committed.position:
            self._committed = _new(Head, (position, recorded))
        if recorded > self.seen:
            self.seen = recorded
        return receipts

    def _recheck(self, appends: Appends, connection: sa.Connection | None = None) -> Recheck:
        """Return what checks merges again once nobody else can append; None where none is."""
        merging = [*filter(MERGES, appends)]
        if not merging:
            return None
        return partial(self._checks.ensure_possible_merges, all_new_events(merging), connection)

    def _recorded_before(self, appends: Appends) -> Receipts | None:
        """Find what an earlier try recorded that was cut off before it could say so."""
        receipts = []
        for append in appends:
            first = append.drafts[0]
            there = self.event_at(first.stream_id, first.version)
            if there is None or there[0] != first.event_id:
                return None
            receipts += receipts_of([append], there[1] - 1, there[2])
        return receipts

    def _reason(
        self, appends: Appends, refusal: Rejected, connection: sa.Connection | None
    ) -> SalesflowError:
        """Find out why the database refused a row."""
        for append in appends:
            known = self.known_command(
                append.command_id,
                actor=append.drafts[0].actor,
                fingerprint=append.fingerprint,
                connection=connection,
            )
            if known is not None:
                return known
        stored = self.versions([i for a in appends for i in a.stream_ids], connection)
        for append in appends:
            for draft in append.drafts:
                current = stored.get(draft.stream_id, -1)
                if current >= draft.version:
                    return version_error(draft.stream_id, draft.version, current)
                stored[draft.stream_id] = draft.version
        return DatabaseError(f"the database refused the append: {refusal}")


def _appending_of(
    database: Database, tenant: str, clock: Callable[[], Instant] | None
) -> Appending:
    """Choose what writes appends; what needs psycopg is imported only for PostgreSQL."""
    connections = database.connections
    if isinstance(connections, SqliteDatabase):
        return SqliteAppending(connections, tenant, clock)
    from salesflow.adapters.database.postgres import PostgresDatabase
    from salesflow.adapters.event_store.postgres_append import PostgresAppending

    assert isinstance(connections, PostgresDatabase)
    return PostgresAppending(connections, tenant, clock)


def _settle_busy(request: Request[Appends, Receipts], error: BusyError) -> None:
    """Tell who has waited long enough; others of its group may try again."""
    if monotonic() < request.deadline:
        request.again = True
    else:
        request.error = type(error)(str(error))


def _instants(clock: Callable[[], datetime] | None) -> Callable[[], Instant] | None:
    if clock is None:
        return None
    return lambda: to_instant(clock())

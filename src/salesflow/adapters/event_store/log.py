"""The event log: what happened, in the order in which it became known.

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
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from time import monotonic
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.database.database import Database
from salesflow.adapters.database.holding import Forkable, survive_forks
from salesflow.adapters.database.sqlite import SqliteDatabase
from salesflow.adapters.event_store.append import (
    Append,
    Appending,
    Head,
    NewEvent,
    Receipt,
    Rejected,
    checked,
    host_clock,
    receipts_of,
    version_error,
)
from salesflow.adapters.event_store.gate import Gate
from salesflow.adapters.event_store.group_commit import GroupCommit, Request
from salesflow.adapters.event_store.reading import EventReading, StoredEvent
from salesflow.adapters.event_store.sqlite_append import SqliteAppending
from salesflow.adapters.event_store.subscription import Subscription
from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.event import Event, FactCatalogue, UnreadableFact
from salesflow.domain.history import first_unreadable, unreadable_message
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

__all__ = ["EventLog", "Head", "NewEvent", "Receipt", "StoredEvent", "Subscription"]


TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Appends = Sequence[Append]
Receipts = list[Receipt]


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
        if not TENANT.fullmatch(tenant):
            raise InputError(
                f"{tenant!r} cannot name a tenant; use up to 64 letters, digits, '.', '_', '-'"
            )
        super().__init__(database, tenant, catalogue)
        instants = _instants(clock)
        self._gate = Gate(self)
        self._appending = _appending_of(database, tenant, instants)
        self.now: Final[Callable[[], Instant]] = instants or host_clock
        """The clock the log was given, or the host's; PostgreSQL's own may differ a little."""
        self._group: GroupCommit[Appends, Receipts] = GroupCommit(
            self._commit, database.wait_seconds
        )
        survive_forks(self)

    def after_fork_in_child(self) -> None:
        """Let nobody wait for a thread that lives in the parent alone."""
        self._group.forget()

    def append(  # noqa: PLR0913 - all by keyword
        self,
        drafts: Sequence[NewEvent],
        *,
        command_id: str | None = None,
        fingerprint: str | None = None,
        home_of: Callable[[UUID], str | None] | None = None,
        nouns: tuple[str, ...] = (),
        connection: sa.Connection | None = None,
        accept_clock: bool = False,
    ) -> Receipt:
        """Record events, all or none, at one instant.

        With `connection` it happens inside the caller's own transaction: nothing is recorded
        until that commits, and other writers wait, so append last. `home_of` says what a stream
        that the caller has read is about, `nouns` what the receipt says of each; `fingerprint`
        tells the request behind the command from another one.

        Raises:
            ConcurrentChangeError: somebody else appended to one of the streams first.
            AlreadyRecordedError: this command id was recorded before; holds its receipt.
            ClockError: the clock is more than five seconds behind the log.
            InputError: a value that cannot be stored or read back, or a fact from the future.
            RuleError: a merge that cannot be; see `gate`.
            BusyError: another writer held the log for too long.
        """
        append = checked(
            drafts, command_id, accept_clock=accept_clock, fingerprint=fingerprint, nouns=nouns
        )
        (append,) = self._gate.admit((append,), home_of=home_of, connection=connection)
        if connection is None:
            receipts = self._group.submit((append,))
            if home_of is None:  # else the next writer reads the streams too
                self._gate.remember((append,))
            return receipts[0]
        look = self._gate.look_again((append,), connection)
        try:
            return self._appending.write_in(connection, append, look)
        except Rejected as refusal:
            raise self._reason((append,), refusal, connection) from refusal

    def append_many(self, appends: Sequence[Sequence[NewEvent]]) -> list[Receipt]:
        """Record several appends in one transaction, at consecutive instants; for imports.

        Each stays an append of its own (one instant, one receipt); all are recorded or none.
        """
        if not appends:
            return []
        admitted = self._gate.admit([checked(drafts) for drafts in appends])
        receipts = self._group.submit(admitted)
        self._gate.remember(admitted)
        return receipts

    def known_command(
        self,
        command_id: str | None,
        *,
        actor: str | None,
        fingerprint: str | None,
        connection: sa.Connection | None = None,
    ) -> AlreadyRecordedError | None:
        """Say that a command was recorded before, and whether by somebody or of something else.

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
        """Give every event after a position, and then those to come; see `Subscription`."""
        return Subscription(self.database, self._readable, after)

    def _readable(self, after: int, limit: int) -> list[Event]:
        """Give a page up to what cannot be read; from there on raise what is wrong.

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
        look = self._gate.look_again(appends)
        self._appending.least = self._committed.position
        receipts = self._appending.write(appends, deadline, look)
        last = receipts[-1]
        if last.last > self._committed.position:
            self._committed = Head(last.last, last.recorded)
        if last.recorded > self.seen:
            self.seen = last.recorded
        self.database.announce()
        return receipts

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
        stands = self.versions([i for a in appends for i in a.stream_ids], connection)
        for append in appends:
            for draft in append.drafts:
                current = stands.get(draft.stream_id, -1)
                if current >= draft.version:
                    return version_error(draft.stream_id, draft.version, current)
                stands[draft.stream_id] = draft.version
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

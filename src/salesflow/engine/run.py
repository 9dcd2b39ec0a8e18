"""Sessions, and running functions in them until that is recorded, once per command id.

Three shapes: in a transaction of the log's own; inside an open transaction of the host, each
attempt in a savepoint of it (`connection=`); and in a transaction begun for each attempt on the
host's engine (`engine=`), so that rows of the host are written anew with every attempt and
recorded together with the facts.

It is a module of its own: it opens sessions and ends them, `flow` puts all together.
"""

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import RLock
from typing import Any, TypeVar, overload
from uuid import UUID

from sqlalchemy import Connection

from salesflow.adapters.database.forks import FORKABLE, Forkable
from salesflow.adapters.database.host_connections import (
    Host,
    Opener,
    host_connection,
    host_savepoint,
    host_transaction,
    lost_race,
)
from salesflow.adapters.event_store.log import EventLog, Receipt
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.adapters.logs import tell_retry
from salesflow.domain.arguments import called, guarded_host, internal
from salesflow.domain.ids import new_id, new_ids
from salesflow.domain.pending import give_up
from salesflow.domain.settings import Settings
from salesflow.domain.time import FOREVER, Instant
from salesflow.domain.values import shown
from salesflow.engine.session import CommandMetadata, Session
from salesflow.errors import (
    AlreadyRecordedError,
    ConcurrentChangeError,
    InputError,
    StaleTransactionError,
)

__all__ = ["CommandRunner"]


# Taking turns: threads that met others again and again try one after another.
#
# Waiting has an end, so that nobody who holds a turn for long holds up everybody: whoever has
# waited long enough goes on without.

DoneT = TypeVar("DoneT")


class RetryQueue(Forkable):
    """One turn at a time."""

    def __init__(self, wait_seconds: float) -> None:
        self._wait_seconds = wait_seconds
        self._lock = RLock()  # which knows its owner, so that it can be released twice
        FORKABLE.add(self)

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


ATTEMPTS_MAX = 100
FUNCTION = "the function that is run"
HASTY_ATTEMPTS = 3
"""Attempts after which the threads of this process that met others queue up for the rest."""


class ActiveSessions(threading.local):
    """The sessions of the runs a thread is in, the innermost last."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []


@guarded_host
class CommandRunner:
    """The part of the engine that opens sessions and runs functions in them."""

    log: EventLog
    _processes: PublishedProcesses

    @internal
    def __init__(self, wait_seconds: float, event_ids: Callable[[], UUID]) -> None:
        self._event_ids = (
            new_ids
            if event_ids is new_id
            else lambda count: [event_ids() for _ in range(count)]
        )
        self._retry_queue = RetryQueue(wait_seconds)
        self._active = ActiveSessions()

    @contextmanager
    def session(
        self,
        *,
        actor: str | UUID | None = None,
        command_id: str | UUID | None = None,
        correlation_id: str | UUID | None = None,
        causation_id: str | UUID | None = None,
        fingerprint: str | bytes | None = None,
        connection: Host | None = None,
    ) -> Iterator[Session]:
        """Open a unit of work: what it records is appended at its end, all or nothing.

        With `connection`, a SQLAlchemy connection or ORM session of the caller, it reads and
        appends inside that one's transaction; the log stays locked for other writers until
        the caller commits, so do that last. For `fingerprint` see `run`.

        Raises:
            AlreadyRecordedError: at entry, when the command id was recorded before; its
                `differs` says whether by another actor, or of another request.
            ConcurrentChangeError: at the end, when somebody else changed a stream first.
        """
        metadata = CommandMetadata.of(
            actor, command_id, correlation_id, causation_id, fingerprint=fingerprint
        )
        inside = None if connection is None else host_connection(connection, self.log.database)
        with self._working(metadata, inside) as session:
            yield session

    @overload
    def run(
        self,
        function: Callable[[Session], object],
        *,
        actor: str | UUID | None = None,
        command_id: str | UUID | None = None,
        fingerprint: str | bytes | None = None,
        attempts: int = ATTEMPTS_MAX,
        connection: Host | None = None,
    ) -> Receipt | None: ...

    @overload
    def run(
        self,
        function: Callable[[Session, Any], object],
        *,
        actor: str | UUID | None = None,
        command_id: str | UUID | None = None,
        fingerprint: str | bytes | None = None,
        attempts: int = ATTEMPTS_MAX,
        engine: Opener,
    ) -> Receipt | None: ...

    def run(  # noqa: PLR0913 - all by keyword
        self,
        function: Callable[..., object],
        *,
        actor: str | UUID | None = None,
        command_id: str | UUID | None = None,
        fingerprint: str | bytes | None = None,
        attempts: int = ATTEMPTS_MAX,
        connection: Host | None = None,
        engine: Opener | None = None,
    ) -> Receipt | None:
        """Run a function in a session, again when somebody else was first, and once per id.

        Called with a command id recorded before, it gives the first receipt (`again` true)
        without running the function, also when that meets what its twin has done meanwhile;
        None when nothing was recorded. `fingerprint` tells requests of one id apart.

        With `engine`, a SQLAlchemy engine or sessionmaker of yours, every attempt is a new
        transaction of it, committed with the facts; the function is given session and
        connection (or ORM session). With `connection`, every attempt is a savepoint of yours.

        Raises:
            AlreadyRecordedError: the command was another actor's or request's; see `differs`.
            ConcurrentChangeError: all attempts met a change by somebody else.
            InputError: a connection or engine leads elsewhere or commits by itself.
        """
        if type(attempts) is not int or attempts < 1:
            raise InputError(f"attempts is {shown(attempts)}; write a whole number, 1 or more")
        if connection is not None and engine is not None:
            raise InputError("pass connection= or engine=, not both: each names a transaction")
        metadata = CommandMetadata.of(actor, command_id, fingerprint=fingerprint)
        running = self._active.sessions
        around = len(running)
        try:
            return self._tried(function, metadata, attempts, connection, engine)
        finally:
            del running[around:]

    def _tried(
        self,
        function: Callable[..., object],
        metadata: CommandMetadata,
        attempts: int,
        connection: Host | None,
        engine: Opener | None,
    ) -> Receipt | None:
        attempt = 1
        while True:
            try:
                if attempt <= HASTY_ATTEMPTS or connection is not None:
                    return self._attempt(function, metadata, connection, engine)
                return self._retry_queue.take(
                    lambda: self._attempt(function, metadata, connection, engine)
                )
            except ConcurrentChangeError:
                if attempt >= attempts:
                    raise
                tell_retry(attempt, attempts)
                attempt += 1

    def _attempt(
        self,
        function: Callable[..., object],
        metadata: CommandMetadata,
        connection: Host | None,
        engine: Opener | None,
    ) -> Receipt | None:
        try:
            return self._once(function, metadata, connection, engine)
        except AlreadyRecordedError as known:
            return _receipt(known)
        except ConcurrentChangeError:
            raise
        except Exception as error:
            # What it met may be the work of its twin, which was recorded in the meantime: a row
            # that is there already, a deal that is won.
            first = self._first(metadata)
            if first is not None:
                return first
            if engine is not None and _began_too_early(error):
                raise ConcurrentChangeError(
                    "the transaction of this attempt was undone, since others changed what it"
                    f" had read: {getattr(error, 'orig', None) or error}"
                ) from error
            raise  # only the host can begin its own transaction anew

    def _once(
        self,
        function: Callable[..., object],
        metadata: CommandMetadata,
        connection: Host | None,
        engine: Opener | None,
    ) -> Receipt | None:
        if engine is not None:
            with (
                host_transaction(engine, self.log.database) as (opened, inside),
                self._working(metadata, inside) as session,
            ):
                called(function, FUNCTION, {"a session": session, "a connection": opened})
        elif connection is not None:
            with (
                host_savepoint(connection, self.log.database) as inside,
                self._working(metadata, inside) as session,
            ):
                called(function, FUNCTION, {"a session": session})
        else:
            session = self._session(metadata)
            self._active.sessions.append(session)
            try:
                called(function, FUNCTION, {"a session": session})
                session.commit()
            except BaseException as error:
                self._give_up(session, error)
                raise
        return session.receipt

    def _first(self, metadata: CommandMetadata) -> Receipt | None:
        known = self.log.known_command(
            metadata.command_id, actor=metadata.actor, fingerprint=metadata.fingerprint
        )
        return None if known is None else _receipt(known)

    @contextmanager
    def _working(
        self, metadata: CommandMetadata, connection: Connection | None = None
    ) -> Iterator[Session]:
        """Open a session, and append at its end what it recorded."""
        session = self._session(metadata, connection=connection)
        try:
            yield session
            session.commit()
        except BaseException as error:
            self._give_up(session, error, connection)
            raise

    def _give_up(
        self, session: Session, error: BaseException, connection: Connection | None = None
    ) -> None:
        """Let go of what was made; say so when what was read is of a database that is gone."""
        session.end()
        give_up(error)
        if connection is None and isinstance(error, Exception):
            self.log.database.ensure_not_replaced()

    def _session(
        self,
        metadata: CommandMetadata,
        *,
        connection: Connection | None = None,
        accept_clock: bool = False,
    ) -> Session:
        connections = self.log.database.connections
        if connections.closed:
            raise connections.closed_error()
        if metadata.command_id is not None:
            self._ensure_new_command(metadata, connection)
        processes = self._processes
        if connection is not None:  # what the caller may still roll back is not remembered
            processes = PublishedProcesses(self.log, connection, self._processes)
        return Session(
            self.log,
            lambda: self.settings().timezone,
            processes,
            metadata=metadata,
            connection=connection,
            accept_clock=accept_clock,
            event_ids=self._event_ids,
            within=tuple(self._active.sessions),
        )

    def _ensure_new_command(
        self, metadata: CommandMetadata, connection: Connection | None
    ) -> None:
        known = self.log.known_command(
            metadata.command_id,
            actor=metadata.actor,
            fingerprint=metadata.fingerprint,
            connection=connection,
        )
        if known is not None:
            raise known

    @abstractmethod
    def settings(self, known_at: Instant = FOREVER) -> Settings:
        """Return the tenant's settings as known at an instant."""


def _began_too_early(error: Exception) -> bool:
    """Return whether the same may go well in a transaction that begins now."""
    return isinstance(error, StaleTransactionError) or lost_race(error)


def _receipt(known: AlreadyRecordedError) -> Receipt:
    if known.differs is not None or not isinstance(known.receipt, Receipt):
        raise known
    return known.receipt._replace(again=True)

"""Our event store behind the contract of the `eventsourcing` library.

For a service that already has `Application`s of the library and wants them in the same
database, with gapless positions and subscriptions on SQLite and PostgreSQL alike:

    PERSISTENCE_MODULE=salesflow.adapters.recorder
    SALESFLOW_DB=sqlite:///sales.db
    SALESFLOW_TENANT=accounts          (default: the application's name)

Every application is a tenant of its own: its topics are class paths of that service, which
the topics of salesflow's facts never are. Versions may begin at 0 or 1, ids are UUIDs.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    IntegrityError,
    Notification,
    OperationalError,
    ProcessRecorder,
    ProgrammingError,
    Subscription,
    Tracking,
    TrackingRecorder,
)
from eventsourcing.persistence import DatabaseError as LibraryDatabaseError
from eventsourcing.persistence import (
    StoredEvent as LibraryEvent,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic

from salesflow.adapters.database.database import Database
from salesflow.adapters.database.schema import stored_uuid
from salesflow.adapters.event_store.append_checks import UNCHECKED
from salesflow.adapters.event_store.log import EventLog, NewEvent, StoredEvent
from salesflow.adapters.event_store.subscription import Subscription as LogSubscription
from salesflow.domain.ids import new_id
from salesflow.errors import (
    BusyError,
    ClockError,
    ConcurrentChangeError,
    InputError,
    SalesflowError,
)

__all__ = [
    "SalesflowAggregateRecorder",
    "SalesflowApplicationRecorder",
    "SalesflowFactory",
    "SalesflowProcessRecorder",
    "SalesflowSubscription",
    "SalesflowTrackingRecorder",
]


# Recorders of the `eventsourcing` library over our tables; see `recorder` for their use.
#
# A library event gets a default envelope: an id of ours, `occurred_at` = `recorded_at`, no
# actor. Originator ids are UUIDs. Our errors become the library's at this edge.

STREAM = " AND stream_id = ?"
SNAPSHOT = (
    "SELECT version, topic, state FROM salesflow_snapshots"
    " WHERE tenant = ? AND stream_id = ? AND purpose = ?"
)
INSERT_SNAPSHOT = "INSERT INTO salesflow_snapshots VALUES (:t, :p, :i, :v, :k, :s)"
TRACK = (
    "INSERT INTO salesflow_tracking VALUES (:t, :a, :n)"
    " ON CONFLICT (tenant, application_name) DO UPDATE"
    " SET notification_id = excluded.notification_id"
    " WHERE salesflow_tracking.notification_id < excluded.notification_id"
)
TRACKED = (
    "SELECT notification_id FROM salesflow_tracking WHERE tenant = ? AND application_name = ?"
)


class _Recorder:
    """What all recorders stand on: one tenant of one database."""

    def __init__(self, log: EventLog) -> None:
        self.log = log

    def _id(self, originator_id: UUID | str) -> UUID | bytes:
        return stored_uuid(_uuid(originator_id), self.log.database.dialect)

    def _select(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with _library_errors():
            return self.log.database.rows(statement, (self.log.tenant, *parameters))


class SalesflowAggregateRecorder(_Recorder, AggregateRecorder):
    """Snapshots, or other sequences of their own, in a table beside the log."""

    def __init__(self, log: EventLog, purpose: str = "snapshots") -> None:
        super().__init__(log)
        self.purpose = purpose

    def insert_events(
        self, stored_events: Sequence[LibraryEvent], **_kwargs: object
    ) -> Sequence[int] | None:
        """Write them all, or none; a version that is there already is a conflict."""
        rows = [
            {
                "t": self.log.tenant,
                "p": self.purpose,
                "i": self._id(event.originator_id),
                "v": event.originator_version,
                "k": event.topic,
                "s": event.state,
            }
            for event in stored_events
        ]
        if rows:
            with (
                _library_errors(),
                self.log.database.whole(),
                self.log.database.begin() as connection,
            ):
                try:
                    connection.execute(sa.text(INSERT_SNAPSHOT), rows)
                except sa.exc.IntegrityError as error:
                    raise IntegrityError(str(error.orig)) from error
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[LibraryEvent]:
        """Read a sequence, or a part of it."""
        condition, bounds = _bounded(gt, lte, desc=desc, limit=limit)
        rows = self._select(
            SNAPSHOT + condition, self._id(originator_id), self.purpose, *bounds
        )
        return [LibraryEvent(originator_id, *row) for row in rows]


class SalesflowApplicationRecorder(_Recorder, ApplicationRecorder):
    """The log of one application."""

    def _stored(self, condition: str, *parameters: object) -> list[StoredEvent]:
        with _library_errors():
            return self.log.select_stored(condition, parameters)

    def insert_events(
        self, stored_events: Sequence[LibraryEvent], **_kwargs: object
    ) -> Sequence[int] | None:
        """Append them all, or none; gives their positions."""
        if not stored_events:
            return []
        with _library_errors():
            receipt = self.log.append(_drafts(stored_events))
        return list(range(receipt.first, receipt.last + 1))

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[LibraryEvent]:
        """Read a stream, or a part of it."""
        condition, bounds = _bounded(gt, lte, desc=desc, limit=limit)
        stored = self._stored(STREAM + condition, self._id(originator_id), *bounds)
        return [
            LibraryEvent(originator_id, event.version, event.topic, event.payload)
            for event in stored
        ]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Read the log in order of position."""
        condition, parameters = "", list[object]()
        if start is not None:
            condition += " AND position >= ?" if inclusive_of_start else " AND position > ?"
            parameters.append(start)
        if stop is not None:
            condition += " AND position <= ?"
            parameters.append(stop)
        if topics:
            condition += f" AND topic IN ({','.join('?' * len(topics))})"
            parameters += topics
        stored = self._stored(f"{condition} ORDER BY position LIMIT ?", *parameters, limit)
        return [_notification(event) for event in stored]

    def max_notification_id(self) -> int | None:
        """Return the last position; None when nothing is recorded."""
        with _library_errors():
            return self.log.head().position or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Follow the log from a position on."""
        return SalesflowSubscription(self, gt, topics)


class SalesflowSubscription(Subscription[SalesflowApplicationRecorder]):
    """Our subscription as the library's; topics are sorted out after reading."""

    def __init__(
        self,
        recorder: SalesflowApplicationRecorder,
        gt: int | None = None,
        topics: Sequence[str] = (),
    ) -> None:
        super().__init__(recorder, gt, topics)
        log = recorder.log
        self._following: LogSubscription[StoredEvent] = LogSubscription(
            log.database, log.stored_page, gt or 0
        )

    def __exit__(self, *args: object, **kwargs: object) -> None:
        super().__exit__(*args, **kwargs)
        self._following.__exit__(None, None, None)

    def __next__(self) -> Notification:
        with _library_errors():
            for event in self._following:
                if not self._topics or event.topic in self._topics:
                    return _notification(event)
        raise StopIteration

    def stop(self) -> None:
        """End the iteration, also one that waits in another thread."""
        super().stop()
        self._following.stop()


class SalesflowTrackingRecorder(_Recorder, TrackingRecorder):
    """How far other applications have been followed."""

    def insert_tracking(self, tracking: Tracking) -> None:
        """Move a position on; it never moves back."""
        with (
            _library_errors(),
            self.log.database.whole(),
            self.log.database.begin() as connection,
        ):
            self._insert_tracking(connection, tracking)

    def max_tracking_id(self, application_name: str) -> int | None:
        """Return how far an application has been followed; None when it never was."""
        for (notification_id,) in self._select(TRACKED, application_name):
            return int(notification_id)
        return None

    def _insert_tracking(self, connection: sa.Connection, tracking: Tracking) -> None:
        moved = connection.execute(
            sa.text(TRACK),
            {
                "t": self.log.tenant,
                "a": tracking.application_name,
                "n": tracking.notification_id,
            },
        )
        if moved.rowcount == 0:
            raise IntegrityError(
                f"{tracking.application_name} has been followed to"
                f" {tracking.notification_id} or beyond already"
            )


class SalesflowProcessRecorder(
    SalesflowTrackingRecorder, SalesflowApplicationRecorder, ProcessRecorder
):
    """Events and the position of what caused them, in one transaction."""

    def insert_events(
        self, stored_events: Sequence[LibraryEvent], **kwargs: object
    ) -> Sequence[int] | None:
        """Append events; with `tracking=`, together with that position or not at all."""
        tracking = kwargs.get("tracking")
        if not isinstance(tracking, Tracking):
            return super().insert_events(stored_events)
        with (
            _library_errors(),
            self.log.database.whole(),
            self.log.database.begin() as connection,
        ):
            self._insert_tracking(connection, tracking)
            if not stored_events:
                return []
            receipt = self.log.append(_drafts(stored_events), connection=connection)
        return list(range(receipt.first, receipt.last + 1))


def _uuid(originator_id: UUID | str) -> UUID:
    if isinstance(originator_id, UUID):
        return originator_id
    try:
        return UUID(originator_id)
    except ValueError as error:
        raise ProgrammingError(f"{originator_id!r} is not a UUID") from error


def _notification(event: StoredEvent) -> Notification:
    return Notification(
        event.stream_id, event.version, event.topic, event.payload, event.position
    )


def _drafts(stored_events: Sequence[LibraryEvent]) -> list[NewEvent]:
    return [
        NewEvent(
            _uuid(event.originator_id),
            event.originator_version,
            event.topic,
            event.state,
            new_id(),
            None,
        )
        for event in stored_events
    ]


def _bounded(
    gt: int | None, lte: int | None, *, desc: bool, limit: int | None
) -> tuple[str, list[int]]:
    condition, bounds = "", []
    if gt is not None:
        condition += " AND version > ?"
        bounds.append(gt)
    if lte is not None:
        condition += " AND version <= ?"
        bounds.append(lte)
    condition += f" ORDER BY version {'DESC' if desc else 'ASC'}"
    if limit is not None:
        condition += " LIMIT ?"
        bounds.append(limit)
    return condition, bounds


@contextmanager
def _library_errors() -> Iterator[None]:
    try:
        yield
    except (ConcurrentChangeError, InputError) as error:
        raise IntegrityError(str(error)) from error
    except (BusyError, ClockError) as error:
        raise OperationalError(str(error)) from error
    except SalesflowError as error:
        raise LibraryDatabaseError(str(error)) from error


DATABASE_VARIABLE = "SALESFLOW_DB"
TENANT_VARIABLE = "SALESFLOW_TENANT"


class SalesflowFactory(InfrastructureFactory[SalesflowTrackingRecorder]):
    """Makes recorders for an application from its environment."""

    aggregate_recorder_class = SalesflowAggregateRecorder
    application_recorder_class = SalesflowApplicationRecorder
    tracking_recorder_class = SalesflowTrackingRecorder
    process_recorder_class = SalesflowProcessRecorder

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        url = self.env.get(DATABASE_VARIABLE)
        if not url:
            raise OSError(
                f"{DATABASE_VARIABLE} is not set; it names the database, as in"
                " sqlite:///sales.db"
            )
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.env.name).strip("-._")
        tenant = self.env.get(TENANT_VARIABLE) or name[:64] or "application"
        self.database = Database(url)
        self.log = EventLog(self.database, tenant=tenant, catalogue=UNCHECKED)

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """Make what keeps snapshots, or another sequence named by its purpose."""
        return self.aggregate_recorder_class(self.log, purpose)

    def application_recorder(self) -> ApplicationRecorder:
        """Make what keeps the application's events."""
        made: ApplicationRecorder = self._class(
            self.APPLICATION_RECORDER_TOPIC, self.application_recorder_class
        )(self.log)
        return made

    def tracking_recorder(
        self, tracking_recorder_class: type[SalesflowTrackingRecorder] | None = None
    ) -> SalesflowTrackingRecorder:
        """Make what keeps positions of other applications."""
        chosen = tracking_recorder_class or self._class(
            self.TRACKING_RECORDER_TOPIC, self.tracking_recorder_class
        )
        made: SalesflowTrackingRecorder = chosen(self.log)
        return made

    def process_recorder(self) -> ProcessRecorder:
        """Make what keeps events together with positions."""
        made: ProcessRecorder = self._class(
            self.PROCESS_RECORDER_TOPIC, self.process_recorder_class
        )(self.log)
        return made

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def _class(self, variable: str, default: type[Any]) -> type[Any]:
        topic = self.env.get(variable)
        chosen: type[Any] = resolve_topic(topic) if topic else default
        return chosen

"""Putting a log back as it was: the one way into the store by which nothing gets a new time.

Events come with the positions, times, ids and bytes that they had, in the order of the log, and
with the commands that recorded them. All of it is one transaction, which commits where the
block ends well: whoever is interrupted, or finds at the end that something is wrong, leaves
nothing behind. A tenant that holds anything is refused. What is in the rows is for the caller
to check; here it is seen that no version of a stream is there twice or missing.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.adapters.database.database import Database
from salesflow.adapters.database.schema import read_uuid
from salesflow.adapters.event_store.rows import Checksums, StoredEvent
from salesflow.domain.time import Instant
from salesflow.errors import InputError

__all__ = ["TWICE", "LogRestore", "RecordedCommand", "Row", "ensure_empty"]


class RecordedCommand(NamedTuple):
    """A command as the store knows it: which positions it recorded, when, of which request."""

    command_id: str
    first: int
    last: int
    recorded: Instant
    fingerprint: str | None = None


HOLDS: Final = "SELECT 1 FROM {} WHERE tenant = ? LIMIT 1"
MISSING_VERSION: Final = (
    "SELECT stream_id FROM salesflow_events WHERE tenant = ? GROUP BY stream_id"
    " HAVING max(version) - min(version) + 1 <> count(*) LIMIT 1"
)
TWICE: Final = "it holds a version of a stream, or a command, twice"
Row = tuple[Any, ...]


class LogRestore(ABC):
    """Takes a log in, batch by batch, within one transaction."""

    def __init__(self, database: Database, tenant: str, connection: sa.Connection) -> None:
        self._database = database
        self._tenant = tenant
        self._connection = connection
        self._checksums = Checksums(tenant)
        self._head: tuple[int, Instant] = (0, 0)

    def add(self, events: Sequence[StoredEvent], commands: Sequence[RecordedCommand]) -> None:
        """Add the next events, in order, and the commands that end with one of them.

        Raises:
            InputError: when a version of a stream, or a command, was added before.
        """
        if events:
            self._insert_events([self._row(event) for event in events])
            self._head = events[-1].position, events[-1].recorded
        if commands:
            self._insert_commands([(self._tenant, *each) for each in commands])

    def finish(self) -> None:
        """Let the log stand where it stood.

        Raises:
            InputError: when a version of a stream is missing.
        """
        self._move_head(*self._head)
        for (stream,) in self._rows(MISSING_VERSION):
            raise InputError(f"versions of stream {read_uuid(stream)} are missing in it")

    def ensure_empty(self) -> None:
        """Refuse a tenant that holds anything, once nobody else can append to it.

        Raises:
            InputError: when it does.
        """
        self._lock()
        ensure_empty(self._database, self._tenant, self._connection)

    def _rows(self, statement: str) -> list[Row]:
        return self._database.rows(statement, (self._tenant,), self._connection)

    def _row(self, event: StoredEvent) -> Row:
        topic, payload, stream, version, position, occurred, recorded, id_, *texts = event
        stream_id, event_id = stream.bytes, id_.bytes
        checksum = self._checksums.of_event(
            *(position, occurred, recorded, topic, memoryview(payload)),
            *(stream_id, version, event_id, *texts),
        )
        ids = self._id(stream), self._id(id_)
        return (
            *(self._tenant, position, ids[0], version, ids[1], topic, payload),
            *(occurred, recorded, *texts, checksum),
        )

    @abstractmethod
    def _id(self, id: UUID) -> UUID | bytearray:
        """Return an id as the driver takes it."""

    @abstractmethod
    def _lock(self) -> None:
        """See that nobody else appends to this log until the transaction ends."""

    @abstractmethod
    def _insert_events(self, rows: Sequence[Row]) -> None:
        """Insert rows of events."""

    @abstractmethod
    def _insert_commands(self, rows: Sequence[Row]) -> None:
        """Insert rows of commands."""

    @abstractmethod
    def _move_head(self, position: int, recorded: Instant) -> None:
        """Note where the log stands, and tell who follows it."""


def ensure_empty(database: Database, tenant: str, connection: sa.Connection) -> None:
    """Refuse a tenant that holds anything.

    Raises:
        InputError: when it does.
    """
    for table in ("salesflow_events", "salesflow_commands"):
        if database.rows(HOLDS.format(table), (tenant,), connection):
            raise InputError(
                f"tenant {tenant} of {database.shown} holds a log already, and a log is"
                " restored into an empty one alone; name a new database with --db"
            )

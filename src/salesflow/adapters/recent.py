"""Streams that were read a moment ago, so that rows which are still the same are not read anew.

Commands on one deal come close to one another, and what was recorded of it never changes. Its
rows are fetched each time all the same, and compared: only what is exactly as it was is not
turned into events again, which costs more than to fetch it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

from salesflow.domain.facts import Event

__all__ = ["STREAM_MIN", "RecentStreams"]

Row = tuple[Any, ...]

EVENTS_MAX = 20_000
"""So many events are kept, of all streams together."""
STREAM_MIN, STREAM_MAX = 3, 1_000
"""A stream of fewer events is read as fast as it is looked up here; one of more is not kept."""


class Read(NamedTuple):
    """The rows of a stream, and the events they hold."""

    rows: list[Row]
    events: list[Event]


class RecentStreams:
    """The events of streams, by the rows they were read from; safe to share between threads."""

    def __init__(self) -> None:
        self._streams: dict[int, Read] = {}
        self._count = 0

    def events(
        self, stream_id: UUID, rows: list[Row], read: Callable[[list[Row]], list[Event]]
    ) -> list[Event]:
        """Give the events of a stream's rows; `read` makes them of those that are new."""
        before = self._streams.get(stream_id.int)
        if before is None:
            events = read(rows)
        elif rows == before.rows:
            return [*before.events]
        elif rows[: len(before.rows)] == before.rows:
            events = [*before.events, *read(rows[len(before.rows) :])]
        else:
            events = read(rows)
        self._keep(stream_id, Read(rows, events))
        return [*events]

    def _keep(self, stream_id: UUID, read: Read) -> None:
        if len(read.rows) > STREAM_MAX:
            return
        if self._count > EVENTS_MAX:
            self._streams, self._count = {}, 0
        before = self._streams.get(stream_id.int)
        self._count += len(read.rows) - (len(before.rows) if before else 0)
        self._streams[stream_id.int] = read

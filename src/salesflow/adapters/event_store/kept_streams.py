"""Streams that were loaded a moment ago, for the next command on the same thing.

A stream is used again only where its last row is still there as it was: rows are read from that
one on, which is one row while nothing is new. An append checks versions all the same.

It is a module of its own, since it alone says how much is kept.
"""

from typing import Final, NamedTuple

from salesflow.adapters.database.connections import Row
from salesflow.domain.state import LoadedStream

__all__ = ["Kept", "KeptStreams"]


EVENTS_MAX: Final = 20_000
"""So many events are kept, of all streams together; when there are more, three quarters are."""


class Kept(NamedTuple):
    """A stream, and the row that its last event was read from."""

    stream: LoadedStream
    last: Row


class KeptStreams:
    """The streams loaded last, by their ids; safe to share between threads."""

    def __init__(self) -> None:
        self._streams: dict[int, Kept] = {}
        self._count = 0
        """How many events they hold, as nearly as threads that keep at once let it be known."""

    def get(self, id: int) -> Kept | None:
        """Return a stream, which from now on is the last one to be given up."""
        found = self._streams.pop(id, None)
        if found is not None:
            self._streams[id] = found
        return found

    def keep(self, id: int, kept: Kept) -> None:
        """Keep a stream, and give up those that were asked for longest ago."""
        before = self._streams.pop(id, None)
        self._streams[id] = kept
        self._count += len(kept.stream.events) - (len(before.stream.events) if before else 0)
        if self._count > EVENTS_MAX:
            self._give_up()

    def _give_up(self) -> None:
        """Count anew, since threads may have miscounted, and give up a part."""
        self._count = sum([len(each.stream.events) for each in [*self._streams.values()]])
        while self._count > EVENTS_MAX * 3 // 4 and self._streams:
            try:
                oldest = self._streams.pop(next(iter(self._streams)))
            except (KeyError, RuntimeError, StopIteration):  # another thread was there first
                continue
            self._count -= len(oldest.stream.events)

    def forget(self, id: int) -> None:
        """Give up a stream that is not as it was."""
        found = self._streams.pop(id, None)
        if found is not None:
            self._count -= len(found.stream.events)

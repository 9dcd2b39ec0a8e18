"""A log that does not agree with itself: a head without its event, gaps, and the way out."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Protocol
from uuid import UUID

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.append import Head
from salesflow.domain.event import Event
from salesflow.errors import HistoryError

__all__ = ["BACKUP", "ensure_no_gaps", "gap_said", "head_borne_out", "raise_version_gap"]


PAGE = 10_000


BACKUP: Final = "`salesflow check` names all that is wrong; put the log back from a backup"
COUNT = "SELECT count(*) FROM salesflow_events WHERE tenant = ? AND position <= ?"
BORNE_OUT = (
    "SELECT position, recorded, (SELECT recorded FROM salesflow_events AS e"
    " WHERE e.tenant = h.tenant AND e.position = h.position)"
    " FROM salesflow_head AS h WHERE tenant = ?"
)
POSITIONS_AFTER = (
    "SELECT position FROM salesflow_events WHERE tenant = ? AND position > ?"
    " ORDER BY position LIMIT ?"
)


class Log(Protocol):
    """What has to be read of a log to compare it with itself."""

    tenant: str
    database: Database

    def head(self) -> Head:
        """Say where the log stands."""


def head_borne_out(log: Log) -> Head:
    """Say where a log stands, where an event bears that out: on SQLite the last one says it.

    Raises:
        HistoryError: when there is no such event.
    """
    if log.database.dialect == "sqlite":
        return log.head()
    found = log.database.rows(BORNE_OUT, (log.tenant,))
    if not found:
        return Head(0, 0)
    *stands, recorded = found[0]
    head = Head(*stands)
    if head.position and recorded != head.recorded:
        raise HistoryError(
            f"the head of the log says that it stands at position {head.position:,}, where"
            f" there is no such event: events were removed from the log. {BACKUP}"
        )
    return head


def ensure_no_gaps(log: Log, through: int) -> None:
    """Insist that there is an event at every position up to one.

    Raises:
        HistoryError: which positions are missing first.
    """
    [(count,)] = log.database.rows(COUNT, (log.tenant, through))
    if count == through:
        return
    stands = 0
    while page := log.database.rows(POSITIONS_AFTER, (log.tenant, stands, PAGE)):
        for (position,) in page:
            if position != stands + 1:
                raise HistoryError(gap_said(stands + 1, position - 1))
            stands = position
    raise HistoryError(gap_said(stands + 1, through))


def raise_version_gap(stream_id: UUID, events: Sequence[Event]) -> None:
    """Say after which event of a stream a version is missing.

    Raises:
        HistoryError: always.
    """
    before = next(e for e, after in pairwise(events) if after.version != e.version + 1)
    raise HistoryError(
        f"stream {stream_id} has no version {before.version + 1} after position"
        f" {before.position}: an event was removed from the log, or its version was changed."
        f" {BACKUP}"
    )


def gap_said(first: int, last: int) -> str:
    """Say which positions have no event."""
    which = f"positions {first:,} to {last:,} are"
    if first == last:
        which = f"position {first:,} is"
    return f"{which} missing from the log: events were removed from it. {BACKUP}"

"""Positions of a log at which there is no event any more, and the way out."""

from salesflow.adapters.event_store.reading import BACKUP, EventReading, lost_its_place
from salesflow.errors import HistoryError

__all__ = ["ensure_no_gaps", "gap_said"]


PAGE = 10_000
COUNT = "SELECT count(*) FROM salesflow_events WHERE tenant = ? AND position <= ?"
POSITIONS_AFTER = (
    "SELECT position FROM salesflow_events WHERE tenant = ? AND position > ?"
    " ORDER BY position LIMIT ?"
)


def ensure_no_gaps(log: EventReading, through: int) -> None:
    """Raise unless there is an event at every position up to one.

    Raises:
        HistoryError: which positions are missing first, or where one was changed.
    """
    [(count,)] = log.database.rows(COUNT, (log.tenant, through))
    if count == through:
        return
    stands = 0
    while page := log.database.rows(POSITIONS_AFTER, (log.tenant, stands, PAGE)):
        for (position,) in page:
            if not isinstance(position, int) or position <= stands:
                raise lost_its_place(stands)
            if position != stands + 1:
                raise HistoryError(gap_said(stands + 1, position - 1))
            stands = position
    raise HistoryError(gap_said(stands + 1, through))


def gap_said(first: int, last: int) -> str:
    """Return which positions have no event."""
    which = f"positions {first:,} to {last:,} are"
    if first == last:
        which = f"position {first:,} is"
    return f"{which} missing from the log: events were removed from it. {BACKUP}"

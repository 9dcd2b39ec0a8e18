"""A log that does not agree with itself: a head without its event, gaps, and the way out."""

from salesflow.adapters.event_store.append import Head
from salesflow.adapters.event_store.reading import BACKUP, EventReading, lost_its_place
from salesflow.errors import HistoryError

__all__ = ["ensure_no_gaps", "gap_said", "head_borne_out"]


PAGE = 10_000
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


def head_borne_out(log: EventReading) -> Head:
    """Return where a log stands, where an event bears that out: on SQLite the last one says it.

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

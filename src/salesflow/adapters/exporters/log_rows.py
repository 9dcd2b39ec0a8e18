"""The log as rows for analysts: an event a row, its fact as JSON.

A module of its own, beside `table_rows`.
"""

from base64 import b64encode
from collections.abc import Iterator
from itertools import chain
from typing import Final

import sqlalchemy as sa

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.rows import StoredEvent
from salesflow.adapters.exporters.log_file import stored_events
from salesflow.adapters.exporters.rows import Batch, Cell, CellKind, ExportColumn, ExportRows
from salesflow.adapters.logs import Progress

__all__ = ["log_rows"]


COLUMNS: Final = (
    ExportColumn("position", CellKind.INTEGER),
    ExportColumn("recorded_at", CellKind.INSTANT),
    ExportColumn("occurred_at", CellKind.INSTANT),
    ExportColumn("precision", CellKind.TEXT),
    ExportColumn("stream_id", CellKind.TEXT),
    ExportColumn("version", CellKind.INTEGER),
    ExportColumn("event_id", CellKind.TEXT),
    ExportColumn("kind", CellKind.TEXT),
    ExportColumn("fact_version", CellKind.INTEGER),
    ExportColumn("fact", CellKind.TEXT),
    ExportColumn("fact_base64", CellKind.TEXT),
    ExportColumn("actor", CellKind.TEXT),
    ExportColumn("command_id", CellKind.TEXT),
    ExportColumn("correlation_id", CellKind.TEXT),
    ExportColumn("causation_id", CellKind.TEXT),
    ExportColumn("source", CellKind.TEXT),
    ExportColumn("source_id", CellKind.TEXT),
)
PAGES_A_BATCH: Final = 20


def log_rows(
    log: EventLog, connection: sa.Connection, through: int, progress: Progress | None = None
) -> ExportRows:
    """Return the events of a log up to a position as rows, in the order of the log."""

    def batches() -> Iterator[Batch]:
        pages = stored_events(log, connection, through)
        for page in pages:
            more = [next(pages, []) for _ in range(PAGES_A_BATCH - 1)]
            batch = [_row(event) for event in chain(page, *more)]
            yield batch
            if progress is not None:
                progress(int(batch[-1][0] or 0), through)

    return ExportRows("log", COLUMNS, batches())


def _row(event: StoredEvent) -> tuple[Cell, ...]:
    kind, _, version = event.topic.rpartition(":")
    known = kind and version.isdecimal()
    try:
        fact, base64 = event.payload.decode(), None
    except UnicodeDecodeError:
        fact, base64 = None, b64encode(event.payload).decode()
    return (
        *(event.position, event.recorded, event.occurred, event.precision),
        *(str(event.stream_id), event.version, str(event.event_id)),
        *((kind, int(version)) if known else (event.topic, None)),
        *(fact, base64, *event[9:]),
    )

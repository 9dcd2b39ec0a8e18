"""The rows of the log as Arrow columns and back, with their checksums; nothing is decoded.

Ids are texts, as people and other tools write them; instants are microseconds since 1970, as in
the log. A row that comes back is the row that was stored, so its checksum says whether
anything of it was changed on the way.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

from salesflow.adapters.database.connections import Row
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.reading import SELECT_EVENTS
from salesflow.errors import HistoryError
from salesflow.presentation.arrow import arrow_module

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "LOG_COLUMNS",
    "LOG_ORDER",
    "arrow_of_log",
    "log_rows",
    "log_schema",
    "raw_rows",
    "with_hyphens",
]


PAGE: Final = 20_000
"""So many rows are read from the database at a time."""
ROW: Final = (
    *("topic", "payload", "stream_id", "version", "event_id", "precision", "actor"),
    *("command_id", "correlation_id", "causation_id", "source", "source_id"),
    *("position", "occurred", "recorded", "checksum"),
)
"""The columns in the order in which rows are selected."""
LOG_COLUMNS: Final = (
    *("stream_id", "version", "position", "occurred", "recorded", "topic", "payload"),
    *("event_id", "precision", "actor", "command_id", "correlation_id", "causation_id"),
    *("source", "source_id", "checksum"),
)
"""The columns in the order in which they stand in a file."""
LOG_ORDER: Final = [("stream_id", "ascending"), ("version", "ascending")]
"""The order of rows in a file and for whoever folds."""
NUMBERS: Final = frozenset({"version", "position", "occurred", "recorded", "checksum"})
HYPHENS: Final = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
"""Where an id of 32 digits is cut."""
IDS: Final = ("stream_id", "event_id")
BETWEEN: Final = f"{SELECT_EVENTS} AND position > ? AND position <= ? ORDER BY position LIMIT ?"


def log_schema() -> "pa.Schema":
    """Return the columns of the log and their types."""
    pa = arrow_module()
    return pa.schema([pa.field(name, _type_of(name)) for name in LOG_COLUMNS])


def _type_of(column: str) -> "pa.DataType":
    pa = arrow_module()
    if column in NUMBERS:
        return pa.int64()
    return pa.binary() if column == "payload" else pa.string()


def raw_rows(log: EventLog, after: int, through: int) -> Iterable[list[Row]]:
    """Yield the rows of the log behind a position up to another one, page by page.

    Raises:
        HistoryError: when the log does not go on to there.
    """
    while after < through:
        rows = log.database.rows(BETWEEN, (log.tenant, after, through, PAGE))
        if not rows or not isinstance(rows[-1][12], int) or rows[-1][12] != after + len(rows):
            raise HistoryError(
                f"the log does not go on from position {after:,} without a gap; `salesflow"
                " check` names all that is wrong"
            )
        yield rows
        after += len(rows)


def arrow_of_log(rows: Sequence[Row]) -> "pa.Table":
    """Put rows of the log into columns.

    Raises:
        HistoryError: when a row holds what no event has.
    """
    pa = arrow_module()
    columns = dict(zip(ROW, zip(*rows, strict=True), strict=True))
    try:
        found = {name: _ids(columns[name]) for name in IDS}
        rest = [name for name in LOG_COLUMNS if name not in found]
        found |= {name: pa.array(columns[name], _type_of(name)) for name in rest}
        return pa.table([found[name] for name in LOG_COLUMNS], schema=log_schema())
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise HistoryError(
            f"an event between positions {rows[0][12]:,} and {rows[-1][12]:,} holds what none"
            " has; `salesflow check` names all that is wrong"
        ) from error


def _ids(ids: Sequence[UUID | bytes]) -> "pa.Array":
    """Write ids as either driver gives them."""
    pa = arrow_module()
    if isinstance(ids[0], UUID):
        return pa.array([*map(str, ids)], pa.string())
    return with_hyphens(
        pa.array([bytes.hex(id) for id in ids if isinstance(id, bytes)], pa.string())
    )


def with_hyphens(ids: "pa.Array | pa.ChunkedArray") -> "pa.Array | pa.ChunkedArray":
    """Write ids of 32 digits as people do."""
    compute = arrow_module("pyarrow.compute")
    parts = [compute.utf8_slice_codeunits(ids, *ends) for ends in HYPHENS]
    return compute.binary_join_element_wise(*parts, "-")


def log_rows(table: "pa.Table") -> list[Row]:
    """Return the rows of columns, as SQLite gives them."""
    found = {name: table.column(name).to_pylist() for name in LOG_COLUMNS}
    replace = arrow_module("pyarrow.compute").replace_substring
    read: Callable[[str], bytes] = bytes.fromhex
    for name in IDS:
        plain = replace(table.column(name), "-", "")
        found[name] = [*map(read, plain.to_pylist())]
    return [*zip(*(found[name] for name in ROW), strict=True)]

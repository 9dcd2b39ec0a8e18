"""What the package tells while it works: through `logging`, and how far it has come.

Loggers are named `salesflow.` and what they tell of; `docs/operating.md` lists them with their
messages, and a test compares. No message holds a text of a person or of a deal: positions,
counts, seconds, names of tables, tenants and reactors, and kinds of errors alone. Without a
handler of the host's nothing is printed.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Final

from salesflow.projections.core.left_out import LeftOut

__all__ = [
    "BACKUP",
    "CLOCK",
    "COLUMNS",
    "DATABASE",
    "IMPORT",
    "OUTBOX",
    "REACTOR",
    "REBUILD",
    "SLOW_SECONDS",
    "Progress",
    "tell_begun_anew",
    "tell_left_out",
    "tell_lost",
    "tell_rebuild",
    "tell_retry",
    "tell_slow_catch_up",
]


logging.getLogger("salesflow").addHandler(logging.NullHandler())

CATCH_UP: Final = logging.getLogger("salesflow.catch_up")
REBUILD: Final = logging.getLogger("salesflow.rebuild")
RETRY: Final = logging.getLogger("salesflow.retry")
CLOCK: Final = logging.getLogger("salesflow.clock")
DATABASE: Final = logging.getLogger("salesflow.database")
BACKUP: Final = logging.getLogger("salesflow.backup")
IMPORT: Final = logging.getLogger("salesflow.import")
LEFT_OUT: Final = logging.getLogger("salesflow.left_out")
COLUMNS: Final = logging.getLogger("salesflow.columns")
REACTOR: Final = logging.getLogger("salesflow.reactor")
OUTBOX: Final = logging.getLogger("salesflow.outbox")

Progress = Callable[[int, int], None]
"""Called while something goes on: with how far it has come, and how far it will go."""

SLOW_SECONDS = 1.0
"""A catch-up that takes longer than this is told of: somebody waited for it."""


def tell_retry(attempt: int, most: int) -> None:
    """Tell of an attempt to record that somebody else was faster than."""
    RETRY.info("somebody else changed the same stream first; attempt %d of %d", attempt, most)


def tell_lost(kind: str, seconds: float) -> None:
    """Tell of a worker that has lost the database and tries again after so long."""
    DATABASE.warning(
        "the database cannot be reached (%s); trying again in %.1f s", kind, seconds
    )


def tell_left_out(streams: Iterable[LeftOut]) -> None:
    """Tell of streams that read tables leave out, since an event of theirs cannot be read."""
    for each in streams:
        LEFT_OUT.warning(
            "stream %s is left out from version %d, position %d on: %s there cannot be read",
            each.stream_id,
            each.version,
            each.position,
            each.stored,
        )


def tell_begun_anew(table: str, streams: int) -> None:
    """Tell of streams that were read otherwise when their rows were written."""
    REBUILD.warning(
        "read table %s begins %d streams anew: they are read otherwise now", table, streams
    )


def tell_slow_catch_up(seconds: float, tables: int, head: Callable[[], int]) -> None:
    """Tell of a catch-up that was slow, and has come to its end or failed."""
    if CATCH_UP.isEnabledFor(logging.WARNING):
        CATCH_UP.warning(
            "catch-up of %d read tables to position %d took %.1f s", tables, head(), seconds
        )


@contextmanager
def tell_rebuild(names: Sequence[str], head: Callable[[], int]) -> Iterator[dict[str, int]]:
    """Tell when a rebuild begins and how it ends; rows by table are put into what is given."""
    listed, begun = ", ".join(names), monotonic()
    if REBUILD.isEnabledFor(logging.INFO):
        REBUILD.info("rebuild of %s begins, %d events", listed, head())
    rows: dict[str, int] = {}
    try:
        yield rows
    except BaseException as error:
        seconds, kind = monotonic() - begun, type(error).__name__
        REBUILD.warning("rebuild of %s ended by %s after %.1f s", listed, kind, seconds)
        raise
    counted = ", ".join(f"{name} {count}" for name, count in rows.items())
    REBUILD.info("rebuild done in %.1f s, rows: %s", monotonic() - begun, counted)

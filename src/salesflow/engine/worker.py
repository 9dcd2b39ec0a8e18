"""Following the log: a worker that keeps the read tables level with it until it is stopped.

Nobody needs one, since a question catches up first; with one, no question has much to catch
up. Any number of workers may run at once, in any number of processes: each batch is written
once, whoever comes first. A table whose fold has failed stays where it is, the others go on;
when somebody else has moved it, it is tried again.

Leaves out what to do about a failed fold: see `SalesFlow.rebuild`.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event as Flag
from typing import NamedTuple, TypeVar

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog, Head
from salesflow.adapters.event_store.subscription import POLL_SECONDS
from salesflow.adapters.logs import Progress, tell_lost
from salesflow.adapters.projector.read_tables import ProjectionPosition
from salesflow.adapters.projector.runner import Runner
from salesflow.errors import (
    BusyError,
    DisconnectedError,
    HistoryError,
    ProjectionError,
    UnwritableError,
)
from salesflow.projections.core.left_out import LeftOut

__all__ = ["CaughtUp", "Follower", "follow_until"]


FoundT = TypeVar("FoundT")

PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.1, 10.0
"""How long a worker waits before it tries again to reach the database: at first, at most."""


class CaughtUp(NamedTuple):
    """How the read tables stand beside the log after a look at it."""

    head: Head
    standings: dict[str, ProjectionPosition]
    """By the label of the table."""
    failed: dict[str, str]
    """Tables that stand still since their fold failed, and what it said, by label."""
    busy: bool = False
    """Whether somebody else held the database for too long; it is tried again."""
    left_out: tuple[LeftOut, ...] = ()
    """Streams that tables leave out, since an event of theirs cannot be read."""


class _Stopped(Exception):  # noqa: N818 - nothing is wrong
    """Ends a catch-up between two batches."""


class Follower:
    """Brings the tables of a runner up to the log again and again."""

    def __init__(self, log: EventLog, runner: Runner, labels: Mapping[str, str]) -> None:
        self._log = log
        self._runner = runner
        runner.mend_once()
        self._labels = labels
        self._stuck: dict[str, tuple[ProjectionPosition, str]] = {}
        """Where a table stood when its fold failed, and what it said, by the table's name."""

    def run(self, stop: Flag, report: Callable[[CaughtUp], object]) -> None:
        """Follow until stopped; tell whenever something is not as it was told last."""
        with suppress(_Stopped):
            follow_until(stop, self._log.database, lambda: self._level(stop), report)

    def _level(self, stop: Flag) -> CaughtUp:
        def heed(_done: int, _goal: int) -> None:
            if stop.is_set():
                raise _Stopped

        busy, unwritable = False, ""
        try:
            self._catch_up(heed)
        except BusyError:
            busy = True
        except UnwritableError as error:
            unwritable = str(error)
        found = self._runner.standings(self._labels)
        positions = {label: found[name] for name, label in self._labels.items()}
        failed = {self._labels[name]: said for name, (_, said) in self._stuck.items()}
        head = self._log.head()
        if unwritable:
            behind = [label for label, at in positions.items() if at.position < head.position]
            failed |= dict.fromkeys(behind, unwritable)
        return CaughtUp(head, positions, failed, busy, self._runner.left_out())

    def _catch_up(self, progress: Progress) -> None:
        """Bring up all tables together; where one fails, each by itself."""
        wanted = [name for name in self._labels if not self._is_stuck(name)]
        try:
            self._runner.catch_up(wanted, progress=progress)
        except (ProjectionError, HistoryError):
            for name in wanted:
                self._catch_up_alone(name, progress)

    def _catch_up_alone(self, name: str, progress: Progress) -> None:
        try:
            self._runner.catch_up([name], progress=progress)
        except (ProjectionError, HistoryError) as error:
            self._stuck[name] = self._runner.standing(name), str(error)

    def _is_stuck(self, name: str) -> bool:
        """Return whether a table still stands where its fold failed."""
        if name in self._stuck and self._runner.standing(name) != self._stuck[name][0]:
            del self._stuck[name]
        return name in self._stuck


def follow_until(
    stop: Flag,
    database: Database,
    check: Callable[[], FoundT],
    report: Callable[[FoundT], object],
) -> None:
    """Look whenever something may be new, until stopped; tell what is not as it was told.

    While the database cannot be reached it tries again, at first soon and then more rarely.
    """
    reported: FoundT | None = None
    waiter = database.waiter()
    pause = PAUSE_SECONDS
    try:
        while not stop.is_set():
            try:
                waiter.listen()
                found = check()
                if found != reported:
                    report(found)
                    reported = found
                pause = PAUSE_SECONDS
                if not stop.is_set():
                    waiter.wait(POLL_SECONDS)
            except DisconnectedError as error:
                waiter.close()
                tell_lost(type(error.__cause__ or error).__name__, pause)
                stop.wait(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX)
    finally:
        waiter.close()

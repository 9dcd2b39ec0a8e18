"""Asking at moments: what callers say of a moment is cut into instants, and read in a snapshot.

A question is asked in one snapshot of the read tables and the log, at one moment or, to
compare, at several; all answers of a snapshot stand at one and the same position of the log.

It is a module of its own: it reads, and nothing else of the engine cuts a moment.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import Connection

from salesflow.adapters.event_store.log import EventLog, Head
from salesflow.adapters.event_store.published import PublishedRates
from salesflow.adapters.projector.read_tables import ProjectionPosition, left_out_at
from salesflow.adapters.projector.runner import Runner
from salesflow.adapters.projector.snapshot import SnapshotReader, names_in
from salesflow.domain.event import ensure_readable
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.time import (
    FOREVER,
    Instant,
    Moment,
    When,
    from_instant,
    instant_of,
    to_instant,
)
from salesflow.errors import InputError, UnwritableError
from salesflow.projections.core.left_out import Behind, in_brief
from salesflow.projections.core.question import Question, View
from salesflow.projections.scope import ensure_known
from salesflow.projections.table import Processes, ReadPoint

__all__ = ["MomentResolver", "Snapshot", "settings_at", "snapshot_for"]


ViewT = TypeVar("ViewT", bound=View)


class MomentResolver:
    """Cuts what callers say of moments, days by the business time zone of the time."""

    def __init__(self, log: EventLog, connection: Connection | None = None) -> None:
        self.log = log
        self._connection = connection
        self._read: dict[Instant, Settings] = {}

    def settings(self, known: Instant) -> Settings:
        """Return the settings as known at an instant; in a snapshot they are read once."""
        if self._connection is None:
            return settings_at(self.log, known)
        if known not in self._read:
            self._read[known] = settings_at(self.log, known, self._connection)
        return self._read[known]

    def read_point(self, as_of: When | None, known_at: When | None, head: Instant) -> ReadPoint:
        """Cut a moment: now where nothing is said, knowing all up to the head."""
        known = head if known_at is None else min(self._known(known_at), head)
        if as_of is None:
            now = self.log.now()
            then = max(now, head) if head < FOREVER else now
        else:
            then = self._instant(as_of, known)
        return ReadPoint(self.log.tenant, then, known)

    def _known(self, when: When) -> Instant:
        """Cut what was said of the known axis, a day in the time zone known at its end."""
        latest = self._instant(when, FOREVER)
        return self._instant(when, latest)

    def _instant(self, when: When, known: Instant) -> Instant:
        """Cut what a caller said into an instant; only a day needs the business time zone."""
        if isinstance(when, datetime):
            return to_instant(when)
        return instant_of(when, self.settings(known).timezone)


class Snapshot(Generic[ViewT]):
    """Where one question is asked, as often as wanted, while the world goes on."""

    def __init__(
        self,
        question: Question[ViewT],
        cutter: MomentResolver,
        processes: Processes,
        rates: PublishedRates,
        connection: Connection,
        positions: Sequence[ProjectionPosition],
    ) -> None:
        self._question = question
        self._moments = MomentResolver(cutter.log, connection)
        self._processes = processes
        self._rates = rates
        self._connection = connection
        self._stand = min(positions, key=lambda stand: stand.position)
        self._revision = max(stand.revision for stand in positions)
        self._begun = cutter.log.begun(connection)
        self._behind: Behind | None = None

    def raise_if_behind(self, head: Head, error: UnwritableError) -> None:
        """Let answers say what they do not know, since nothing could be written."""
        events = head.position - self._stand.position
        if events:
            self._behind = Behind(events=events, because=in_brief(error))

    def _ensure_within_log(self, position: int | None) -> None:
        ends_at = self._stand.position
        if position is not None and position > ends_at and self._behind is None:
            raise InputError(
                f"the moment stands at position {position:,}, and this log ends at {ends_at:,}:"
                " it is of another log, or this one was put back from an older backup; name"
                " as_of and known_at instead"
            )

    def answer(
        self, as_of: When | None, known_at: When | None, *, position: int | None = None
    ) -> ViewT:
        """Answer the question at a moment; a position is given where it was answered before."""
        self._ensure_within_log(position)
        read_point = self._moments.read_point(as_of, known_at, self._stand.recorded)
        moment = Moment.at(
            read_point.as_of,
            read_point.known_at,
            position=self._stand.position if position is None else position,
            revision=self._revision,
        )
        settings = self._moments.settings(read_point.known_at)
        reader = SnapshotReader(
            self._connection,
            self._moments.log,
            read_point,
            settings,
            self._processes,
            self._rates,
        )
        ensure_known(self._question, reader)
        try:
            view = self._question.answer(reader, moment)
        except OverflowError as error:
            raise InputError(
                f"{self._question.name} reaches beyond the ends of the calendar or of 64 bits"
                f" at that moment: {error}"
            ) from error
        envelope: dict[str, object] = {"timezone": reader.timezone.key}
        folds, log = self._question.folds, self._moments.log
        left_out = left_out_at(log, folds, read_point.known_at, self._connection)
        if left_out:
            envelope["left_out"] = left_out
        if self._behind is not None:
            envelope["behind"] = self._behind
        if read_point.known_at < self._begun:
            envelope["known_since"] = from_instant(self._begun)
        envelope["names"] = names_in(view, self._moments.log, self._connection, read_point)
        return view.model_copy(update=envelope)


@contextmanager
def snapshot_for(
    question: Question[ViewT],
    cutter: MomentResolver,
    processes: Processes,
    rates: PublishedRates,
    runner: Runner,
) -> Iterator[Snapshot[ViewT]]:
    """Catch up what a question reads, and open a snapshot to ask it in."""
    unwritable: UnwritableError | None = None
    try:
        runner.catch_up(question.folds)
    except UnwritableError as error:
        runner.ensure_exists(question.folds)
        unwritable = error
    log = cutter.log
    with log.database.read() as connection:
        positions = list(runner.standings(question.folds, connection).values())
        if not positions:
            head = log.head(connection)
            positions = [ProjectionPosition(1, head.position, head.recorded)]
        snapshot = Snapshot(question, cutter, processes, rates, connection, positions)
        if unwritable is not None:
            snapshot.raise_if_behind(log.head(connection), unwritable)
        yield snapshot


def settings_at(
    log: EventLog, known_at: Instant, connection: Connection | None = None
) -> Settings:
    """Return a tenant's settings as known at an instant; see `SalesFlow.settings`.

    Raises:
        HistoryError: when a part of them cannot be read.
    """
    events = log.stream(SETTINGS_ID, connection=connection)
    known = [event for event in events if event.recorded <= known_at]
    ensure_readable(known)
    return Settings.load(SETTINGS_ID, known or events[:1])

"""Asking at moments: what callers say of a moment is cut into instants, and read in a snapshot.

A question is asked in one snapshot of the read tables and the log, at one moment or, to
compare, at several; all answers of a snapshot stand at one and the same position of the log.
What the deals, customers and reps of an answer are called is read in it too, by `naming`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar, cast
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel

from salesflow.adapters.database.connections import gc_paused
from salesflow.adapters.event_store.log import EventLog, Head
from salesflow.adapters.event_store.published import (
    PublishedProcesses,
    PublishedRates,
    with_unpublished_unreadable,
)
from salesflow.adapters.logs import Progress
from salesflow.adapters.projector.naming import NamingFacts, ReadingNames
from salesflow.adapters.projector.read_tables import (
    ProjectionPosition,
    StoredPosition,
    left_out_at,
)
from salesflow.adapters.projector.runner import Runner
from salesflow.domain.event import Event, Fact, ensure_readable
from salesflow.domain.exchange_rates import RateTable
from salesflow.domain.settings import SETTINGS_ID, Settings, SettingsState, settings_after
from salesflow.domain.time import (
    FOREVER,
    Instant,
    Moment,
    When,
    from_instant,
    instant_of,
    to_instant,
)
from salesflow.errors import HistoryError, InputError, UnwritableError
from salesflow.projections.core.balances import balances
from salesflow.projections.core.left_out import Behind, in_brief
from salesflow.projections.core.question import Question, View
from salesflow.projections.known_names import ensure_known, unmet_by
from salesflow.projections.table import (
    LedgerTable,
    ReadPoint,
    ReadTable,
)

if TYPE_CHECKING:  # which loads numpy
    from salesflow.adapters.projector.columns import Held, SnapshotColumns
    from salesflow.projections.core.columns import HeldRows, HeldTable
    from salesflow.projections.core.ledger_columns import LedgerBalances, LedgerColumns

__all__ = ["AskedOf", "MomentResolver", "Snapshot", "settings_at", "snapshot_for"]


ViewT = TypeVar("ViewT", bound=View)
HELD_EVENTS: Final = 10_000_000
"""Of a log of more events no ledger is taken into memory for its balances alone."""


class MomentResolver:
    """Cuts what callers say of moments, days by the business time zone of the time."""

    def __init__(self, log: EventLog, connection: sa.Connection | None = None) -> None:
        self.log = log
        self._connection = connection
        self._read: dict[Instant, SettingsState] = {}

    def settings(self, known: Instant) -> SettingsState:
        """Return the settings as known at an instant; in a snapshot they are read once."""
        if known in self._read:
            return self._read[known]
        found = settings_after(_settings_events(self.log, known, self._connection))
        if self._connection is not None:
            self._read[known] = found
        return found

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


class SnapshotTables:
    """The read tables as they stand in one snapshot."""

    def __init__(
        self,
        connection: sa.Connection,
        stored: Mapping[str, StoredPosition],
        runner: Runner,
    ) -> None:
        self.connection: Final = connection
        self.stored: Final = stored
        self._runner = runner
        self._columns: SnapshotColumns | None = None
        self._in_memory: dict[str, bool] = {}

    def columns(self, table: ReadTable) -> "HeldTable":
        """Return a table as columns.

        Raises:
            InputError: for one that was not brought level with the log for this question.
        """
        self._ensure_level(table)
        if self._columns is None:
            cache = self._runner.columns
            self._columns = cache.in_snapshot(self.stored, self.connection)
        return self._columns.of(table)

    def columns_of(self, table: ReadTable, entity: UUID) -> "Held":
        """Return what a table holds of one entity.

        Raises:
            InputError: for one that was not brought level with the log for this question.
        """
        self._ensure_level(table)
        return self._runner.columns.columns_of(table, entity, self.connection)

    def rows(self, select: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Run a select in the snapshot."""
        return self.connection.execute(select).all()

    def balances(
        self, ledger: LedgerTable, read_point: ReadPoint, instants: Sequence[Instant]
    ) -> "LedgerBalances":
        """Return what stood in the cells of a ledger, out of memory or of the database.

        Who asks once is answered sooner by the balances that the database keeps; for who asks
        again the ledger is held in memory, unless it is too large for that.

        Raises:
            InputError: for one that was not brought level with the log for this question.
        """
        self._ensure_level(ledger)
        if ledger.name not in self._in_memory:
            few = self.stored[ledger.name].stands.position <= HELD_EVENTS
            self._in_memory[ledger.name] = self._runner.is_asked_again(ledger.name) and few
        if self._in_memory[ledger.name]:
            columns = self.columns(ledger)
            if not self._runner.columns.outgrows(ledger.name):  # as may turn out while reading
                return cast("LedgerColumns", columns).balances(read_point.known_at, instants)
        from salesflow.projections.core.ledger_columns import LedgerBalances  # loads numpy

        return LedgerBalances.of(balances(self.rows, ledger, read_point, instants))

    def may_leave_out(self, known_at: Instant) -> bool:
        """Return whether tables leave streams out now, or may have at a time before."""
        return any(
            each.notes or known_at < each.stands.recorded for each in self.stored.values()
        )

    def _ensure_level(self, table: ReadTable) -> None:
        if table.name not in self.stored:
            raise InputError(
                f"read table {table.label} is not among the `folds` of the question, so nothing"
                " brought it level with the log; name it there"
            )


class AskedOf(NamedTuple):
    """What answers are made of beside the read tables."""

    moments: MomentResolver
    processes: PublishedProcesses
    rates: PublishedRates
    names: NamingFacts


class Snapshot(Generic[ViewT]):
    """Where one question is asked, as often as wanted, while the world goes on."""

    def __init__(
        self,
        question: Question[ViewT],
        read: AskedOf,
        tables: SnapshotTables,
    ) -> None:
        self._question = question
        moments, self._processes, self._rates, self._names = read
        self._tables = tables
        self._connection = tables.connection
        self._moments = MomentResolver(moments.log, tables.connection)
        positions = [each.stands for each in tables.stored.values()]
        self._position = min(positions, key=lambda stand: stand.position)
        self._revision = max(stand.revision for stand in positions)
        self._behind: Behind | None = None

    def note_behind(self, head: Head, error: UnwritableError) -> None:
        """Let answers say what they do not know, since nothing could be written.

        Raises:
            UnwritableError: where they would know nothing, since tables were never filled.
        """
        if head.position and not self._position.position:
            raise UnwritableError(
                "read tables that the question needs were never filled, and cannot be filled"
                f" here: {error}; of a copy, run `salesflow project` on the database that it"
                " was copied from, and copy it again"
            ) from error
        events = head.position - self._position.position
        if events:
            self._behind = Behind(events=events, because=in_brief(error))

    def _ensure_within_log(self, position: int | None) -> None:
        ends_at = self._position.position
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
        read_point = self._moments.read_point(as_of, known_at, self._position.recorded)
        moment = Moment.at(
            read_point.as_of,
            read_point.known_at,
            position=self._position.position if position is None else position,
            revision=self._revision,
        )
        settings = self._moments.settings(read_point.known_at)
        reader = SnapshotReader(
            self._tables,
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
        within = _views_within(view, reader.timezone.key)
        beside = dict(view) | within | self._envelope(view, reader)
        return BaseModel.model_copy(view, update=beside)  # a Value's own checks each row again

    def _envelope(self, view: ViewT, reader: "SnapshotReader") -> dict[str, object]:
        """Return what stands beside an answer: what it leaves out and does not know, names."""
        read_point, log = reader.read_point, self._moments.log
        envelope: dict[str, object] = {"timezone": reader.timezone.key}
        if self._tables.may_leave_out(read_point.known_at):
            names = self._question.folds
            left_out = left_out_at(log, names, read_point.known_at, self._connection)
            if left_out:
                envelope["left_out"] = left_out
        if self._behind is not None:
            envelope["behind"] = self._behind
        if read_point.known_at < self._position.recorded or not self._position.position:
            begun = log.begun(self._connection)
            if read_point.known_at < begun:
                envelope["known_since"] = from_instant(begun)
        if unmet := unmet_by(self._question, reader):
            envelope["unmet"] = unmet
        at = ReadingNames(self._names, read_point, self._position, self._connection)
        envelope["names"] = at.names_in(view)
        return envelope


def _views_within(view: View, timezone: str) -> dict[str, View]:
    """Return the answers that an answer holds, their times in the business time zone too."""
    zoned = {"timezone": timezone}
    return {
        name: BaseModel.model_copy(it, update=dict(it) | _views_within(it, timezone) | zoned)
        for name, it in view
        if isinstance(it, View)
    }


@contextmanager
def snapshot_for(
    question: Question[ViewT], read: AskedOf, runner: Runner, progress: Progress | None
) -> Iterator[Snapshot[ViewT]]:
    """Catch up what a question reads, and open a snapshot to ask it in.

    An answer may be tens of thousands of values: nothing of them is for the collector to find.
    """
    unwritable: UnwritableError | None = None
    try:
        runner.catch_up(question.folds, progress=progress)
    except UnwritableError as error:
        runner.ensure_exists(question.folds)
        unwritable = error
    log = read.moments.log
    with gc_paused(), log.database.read() as connection:
        stored = runner.stored(question.folds, connection)
        if not stored:
            head = log.head(connection)
            stands = ProjectionPosition(1, head.position, head.recorded)
            stored = {"": StoredPosition(stands, None, None, {})}
        tables = SnapshotTables(connection, stored, runner)
        snapshot = Snapshot(question, read, tables)
        if unwritable is not None:
            snapshot.note_behind(log.head(connection), unwritable)
        yield snapshot


def settings_at(log: EventLog, known_at: Instant) -> Settings:
    """Return a tenant's settings as known at an instant; see `SalesFlow.settings`.

    Raises:
        HistoryError: when a part of them cannot be read.
    """
    return Settings.load(SETTINGS_ID, _settings_events(log, known_at, None))


def _settings_events(
    log: EventLog, known_at: Instant, connection: sa.Connection | None
) -> list[Event]:
    events = log.stream(SETTINGS_ID, connection=connection)
    if not events and log.head(connection).position:
        raise HistoryError(
            "the log has events, and none with the settings of the tenant, which its first one"
            " holds: its file may be damaged, so run: salesflow check"
        )
    known = [event for event in events if event.recorded <= known_at]
    ensure_readable(known)
    return known or events[:1]


# One snapshot for one question: the read tables, the log and where they stand.
#
# The known axis is cut at K = min(known_at, recorded_at of the last event folded), both read in
# the same snapshot as the rows. Since recorded_at only grows, asking again at the view's moment
# gives the same answer for ever, whatever is appended meanwhile.


class SnapshotReader:
    """Reads rows and streams for one question in one snapshot."""

    def __init__(
        self,
        tables: SnapshotTables,
        log: EventLog,
        read_point: ReadPoint,
        settings: SettingsState,
        processes: PublishedProcesses,
        rates: PublishedRates,
    ) -> None:
        self.read_point: Final = read_point
        self.timezone: Final = settings.timezone
        self.calendar: Final = settings.fiscal_calendar
        self.report_currency: Final = settings.report_currency
        self.processes: Final = processes
        self._rates = rates
        self._tables = tables
        self._connection = tables.connection
        self._log = log

    def columns(
        self,
        table: ReadTable,
        *,
        of: UUID | None = None,
        as_of: Instant | None = None,
        known_at: Instant | None = None,
        ended: bool = False,
    ) -> "HeldRows":
        """Return the rows of a table that count at the moment, or at instants before it."""
        read_point = self.read_point
        if as_of is not None:
            read_point = read_point._replace(as_of=as_of)
        if known_at is not None:
            read_point = read_point._replace(known_at=known_at)
        if of is not None:
            return self._tables.columns_of(table, of).at(read_point, ended=ended)
        return self._tables.columns(table).at(read_point, ended=ended)

    def balances(
        self, ledger: LedgerTable, instants: Sequence[Instant], known_at: Instant | None = None
    ) -> "LedgerBalances":
        """Return what stood in each cell of a ledger at some instants, as known at one."""
        read_point = self.read_point
        if known_at is not None:
            read_point = read_point._replace(known_at=known_at)
        return self._tables.balances(ledger, read_point, instants)

    def rows(self, select: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Run a select in the snapshot."""
        return self._tables.rows(select)

    def events(self, stream_id: UUID) -> list[Event]:
        """Return a stream's events known by the moment, in the order of the log.

        Raises:
            HistoryError: when one cannot be read, and was not retracted by then.
        """
        stored = self._log.stream(stream_id, connection=self._connection)
        events = with_unpublished_unreadable(stored, self.processes)
        ensure_readable(events, self.read_point.known_at)
        return self._known(events)

    def streams(self, ids: Iterable[UUID], *kinds: type[Fact]) -> dict[UUID, list[Event]]:
        """Return the same of many streams in few queries, perhaps of some kinds of facts alone.

        Those without events are left out.
        """
        if kinds:
            found = self._log.facts_of(ids, kinds, connection=self._connection)
        else:
            found = self._log.streams(ids, through=FOREVER, connection=self._connection)
        known = {
            id: self._known(with_unpublished_unreadable(e, self.processes))
            for id, e in found.items()
        }
        return {id: events for id, events in known.items() if events}

    def tally(
        self,
        ids: Iterable[UUID],
        kinds: Iterable[type[Fact]],
        apart: Iterable[type[Fact]],
        *,
        recorded_after: Instant,
    ) -> tuple[dict[UUID, tuple[int, int]], list[UUID]]:
        """Return how many facts streams hold and the first, and which hold others apart."""
        return self._log.tally(
            ids,
            kinds,
            apart,
            recorded=(recorded_after, self.read_point.known_at),
            occurred_by=self.read_point.as_of,
            connection=self._connection,
        )

    def left_out(self) -> Set[UUID]:
        """Return the streams that the question's tables leave out from some event on."""
        return {stream for each in self._tables.stored.values() for stream in each.notes}

    def published(self) -> list[str]:
        """Return the keys of all processes."""
        return self.processes.process_keys(self._connection)

    def rates(self) -> RateTable:
        """Return the exchange rates known by the moment."""
        return self._rates.known(self.read_point.known_at, self._connection)

    def _known(self, events: list[Event]) -> list[Event]:
        return [event for event in events if event.recorded <= self.read_point.known_at]

"""`SalesFlow`: the engine's front door.

    with SalesFlow("sqlite:///sales.db", timezone="Asia/Shanghai") as flow:
        with flow.session(actor="u-17") as s:
            acme = s.add(Customer.register(name="Acme"))
            s.add(Deal.open(STANDARD, customer=acme, title="ERP rollout", owner="u-17"))
        flow.ask(Funnel(), as_of="2026-03-31")

It knows no SQL and no rule of sales: rules live in the aggregates, statements in the adapters.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from threading import Event as Flag
from typing import TYPE_CHECKING, Final, NoReturn, Self, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.adapters.checks.check import LogCheck
from salesflow.adapters.database.backup import Backup, back_up
from salesflow.adapters.database.database import WAIT_SECONDS, Database
from salesflow.adapters.event_store.log import EventLog, Receipt, ensure_tenant
from salesflow.adapters.event_store.published import (
    PublishedProcesses,
    PublishedRates,
    with_unpublished_unreadable,
)
from salesflow.adapters.logs import Progress, tell_left_out
from salesflow.adapters.plugins import installed_facts, installed_folds
from salesflow.adapters.projector.naming import NamingFacts
from salesflow.adapters.projector.read_tables import ProjectionPosition
from salesflow.adapters.projector.rebuild import Filling
from salesflow.adapters.projector.runner import KEPT_BYTES, Runner
from salesflow.adapters.projector.snapshot import (
    AskedOf,
    MomentResolver,
    Snapshot,
    settings_at,
    snapshot_for,
)
from salesflow.adapters.projector.sql_views import select_at
from salesflow.domain.aggregate import Aggregate
from salesflow.domain.arguments import ensure_callable, guarded_host
from salesflow.domain.catalogue import CATALOGUE, FactCatalogue
from salesflow.domain.deal import Deal
from salesflow.domain.deal.merging import DealAbsorbed
from salesflow.domain.event import Event, Fact
from salesflow.domain.ids import new_id
from salesflow.domain.process import SalesProcess
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.standard_process import STANDARD
from salesflow.domain.state import LoadedStream, ReplayContext
from salesflow.domain.time import FOREVER, Instant, Moment, When, same_rules, zone
from salesflow.engine.external_events import ExternalEvent, record_external
from salesflow.engine.reactors import Reactor, Reactors, reactors_by_name
from salesflow.engine.run import CommandRunner
from salesflow.engine.session import CommandMetadata, Session, ensure_not_loaded_by
from salesflow.engine.worker import CaughtUp, Follower
from salesflow.errors import (
    DealClosedError,
    InputError,
    NotFoundError,
)
from salesflow.presentation.messages import name_facts
from salesflow.projections.core.comparison import Comparison
from salesflow.projections.core.left_out import Checked, LeftOut
from salesflow.projections.core.question import Question, View
from salesflow.projections.registry import FOLDS, with_folds
from salesflow.projections.table import Fold, ReadTable

if TYPE_CHECKING:
    from salesflow.engine.exports import Exports
    from salesflow.engine.outbox import Outbox

__all__ = [
    "INITIALIZE",
    "Backup",
    "SalesFlow",
    "initialize",
    "merged_history",
]


# What a new database begins with: its settings and the built-in sales process.

MEMORY_VARIABLE: Final = "SALESFLOW_MEMORY_MB"
MEGABYTE: Final = 1_000_000
INITIALIZE: Final = "salesflow:founding"
"""The id of the command that founds a tenant's log, once."""


def initialize(session: Session, timezone: str) -> None:
    """Record the settings and the built-in process."""
    session.add(Settings.begin(timezone=timezone))
    session.add(SalesProcess.publish(STANDARD))


# Histories of deals that are one: the survivor's, and those of all that was merged into it.
#
# Histories stay apart; here they are only read together. A merge counts while it stands on the
# deal that was merged, which is also what every figure goes by.


def merged_history(
    id: UUID, events_of: Callable[[UUID], list[Event]], context: ReplayContext
) -> list[Event]:
    """Return a deal's events and those of all merged into it, in the order of the log."""
    found: dict[UUID, list[Event]] = {}
    waiting = [id]
    while waiting:
        survivor = waiting.pop()
        found[survivor] = events_of(survivor)
        named = {
            event.fact.absorbed
            for event in found[survivor]
            if isinstance(event.fact, DealAbsorbed)
        }
        waiting += [
            absorbed
            for absorbed in named.difference(found, waiting)
            if _merged_into(absorbed, events_of(absorbed), context) == survivor
        ]
    events = [event for history in found.values() for event in history]
    return sorted(events, key=lambda event: event.position)


def _merged_into(id: UUID, events: list[Event], context: ReplayContext) -> UUID | None:
    try:
        return Deal.replay(id, events, context=context).merged_into
    except NotFoundError:
        return None


def _folds_with(folds: Sequence[Fold]) -> Mapping[str, Fold]:
    """Return the folds of the package, with those that others hand in."""
    own = (*installed_folds(), *folds)
    return with_folds(own) if own else FOLDS


def _catalogue_with(facts: Sequence[type[Fact]]) -> FactCatalogue:
    """Return what reads facts of a service's own too, which are shown by their names then."""
    own = (*installed_facts(), *facts)
    if not own:
        return CATALOGUE
    catalogue = CATALOGUE.with_own(own)
    name_facts(own)
    return catalogue


def _kept_bytes(memory_mb: int | None) -> int:
    """Return how many bytes of read tables are kept in memory.

    Raises:
        InputError: when it is no whole number, or below 0.
    """
    said = os.environ.get(MEMORY_VARIABLE) if memory_mb is None else memory_mb
    if said is None or said == "":
        return KEPT_BYTES
    if isinstance(said, bool) or not str(said).isdecimal():
        named = MEMORY_VARIABLE if memory_mb is None else "memory_mb"
        raise InputError(f"{named} is {said!r}; it is a whole number of megabytes, 0 or more")
    return int(said) * MEGABYTE


def _ensure_functions(clock: object, event_ids: object) -> None:
    """Refuse what cannot be called as a clock, if one is given, or to make an id."""
    if clock is not None:
        ensure_callable(clock, "clock")
    ensure_callable(event_ids, "event_ids")


AggregateT = TypeVar("AggregateT", bound=Aggregate)
ViewT = TypeVar("ViewT", bound=View)


@guarded_host
class SalesFlow(CommandRunner):
    """One tenant's log and everything that can be asked of it.

    `url` is `sqlite:///file.db` or `postgresql+psycopg://…`. `timezone` is the business time
    zone of a *new* database (UTC when not given); for an existing one it must agree with what
    was recorded. `clock` replaces the clock and `event_ids` what makes event ids, for
    simulations and tests. With `create=False` nothing is made: a database or tenant without a
    log is refused. With `shared=True` a new log may lie beside the tables of your own service.
    `facts` are classes of facts of your own, which are then recorded, read and shown as those
    of the package are; `folds` are read tables of your own, kept beside those of the package.
    What installed packages hand in by entry points is there too. `reactors` act on the world
    when something is recorded, and are run by `flow.reactors`. Who records waits
    `wait_seconds` in all for others, of this process or not, and then is told BusyError.
    Copies of read tables are kept in `columns_folder`, so that another process begins to ask
    sooner; nowhere when it is "". Where nothing is said, in the folder that the environment
    variable SALESFLOW_COLUMNS_FOLDER names, or else beside a SQLite file alone.
    Read tables are kept in memory up to `memory_mb` megabytes; where nothing is said up to
    those of the environment variable SALESFLOW_MEMORY_MB, or else 1,000.
    """

    _runner: Runner | None = None

    def __init__(  # noqa: PLR0913 - all by keyword
        self,
        url: str,
        *,
        tenant: str = "main",
        timezone: str | None = None,
        clock: Callable[[], datetime] | None = None,
        event_ids: Callable[[], UUID] = new_id,
        create: bool = True,
        shared: bool = False,
        facts: Sequence[type[Fact]] = (),
        folds: Sequence[Fold] = (),
        reactors: Sequence[Reactor] = (),
        wait_seconds: float = WAIT_SECONDS,
        columns_folder: str | None = None,
        memory_mb: int | None = None,
    ) -> None:
        _ensure_functions(clock, event_ids)
        ensure_tenant(tenant)
        catalogue, self._folds = _catalogue_with(facts), _folds_with(folds)
        acting, self._kept_bytes = reactors_by_name(reactors), _kept_bytes(memory_mb)
        wanted = None if timezone is None else zone(timezone)
        self._database = Database(
            url,
            create=create,
            shared=shared,
            wait_seconds=wait_seconds,
            columns_folder=columns_folder,
        )
        super().__init__(wait_seconds, event_ids)
        try:
            self.log = EventLog(self._database, tenant=tenant, clock=clock, catalogue=catalogue)
            self._moments, self._names = MomentResolver(self.log), NamingFacts(self.log)
            self._processes = PublishedProcesses(self.log)
            self._rates = PublishedRates(self.log)
            self._found(wanted, create=create)
            self._reactors = Reactors(self.log, acting) if acting else None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled or copied, as for another process.

        Raises:
            InputError: always.
        """
        raise InputError("an engine cannot be pickled or copied; open one there by its URL")

    def close(self) -> None:
        """Give back all connections."""
        self._database.close()

    @property
    def reactors(self) -> Reactors:
        """What acts on the world when something is recorded; nothing where none was given."""
        if self._reactors is None:
            self._reactors = Reactors(self.log, {})
        return self._reactors

    @property
    def outbox(self) -> "Outbox":
        """What tells other systems of what is recorded, and what waits for them."""
        from salesflow.engine.outbox import Outbox  # loaded when something goes out

        return Outbox(self.log)

    @property
    def exports(self) -> "Exports":
        """What writes the log and what follows from it into files of open formats."""
        from salesflow.engine.exports import Exports  # loaded when something is exported

        return Exports(self.log, self._moments, self._processes, self._folds, self._tables)

    # Recording

    def record(
        self, facts: Iterable[ExternalEvent], *, correlation_id: str | None = None
    ) -> list[Receipt]:
        """Record facts from elsewhere as they are; no rule of a process is applied.

        One append per entity, each in order of time, then as given. See `ExternalEvent`.

        Raises:
            InputError: for what could never be read back: a process version that was never
                published, half a merge, a retraction of what cannot be retracted.
        """
        running = self._active.sessions
        if running:
            facts = [*facts]
            stream_ids = {getattr(each, "stream_id", None) for each in facts}
            ensure_not_loaded_by(running, stream_ids)
        return record_external(self.log, self._processes, facts, correlation_id=correlation_id)

    def accept_clock(self, *, actor: str | None = None, because: str) -> Receipt:
        """Go on recording although the clock is behind the log, and say so in the log."""
        session = self._session(CommandMetadata.of(actor, None), accept_clock=True)
        session.get(Settings, SETTINGS_ID).accept_clock(because=because)
        receipt = session.commit()
        assert receipt is not None
        return receipt

    # Asking

    def get(
        self,
        kind: type[AggregateT],
        id: UUID,
        *,
        as_of: When | None = None,
        known_at: When | None = None,
    ) -> AggregateT:
        """Return one entity as it was at `as_of`, as known at `known_at`; both default to now.

        Raises:
            NotFoundError: when it is not believed to exist at that moment.
        """
        stream, head = self.log.stream_and_head(id)
        stored = with_unpublished_unreadable(stream.events, self._processes)
        read_point = self._moments.read_point(as_of, known_at, head)
        known = [event for event in stored if event.recorded <= read_point.known_at]
        if known != stream.events:
            stream = LoadedStream(known)
        context = self._context(read_point.as_of, read_point.known_at)
        found = kind.replay(id, stream, context=context, as_of=read_point.as_of)
        found.current_state()  # computed while the log is open
        found.close()
        return found

    def history(
        self, id: UUID, *, known_at: When | None = None, merged: bool = False
    ) -> list[Event]:
        """Return every event of an entity with its envelope, in the order of the log.

        With `merged` the histories of all deals that are merged into this one (and into
        those) stand between its own events.

        Raises:
            NotFoundError: when nothing was recorded of it by then.
        """
        until = (
            FOREVER
            if known_at is None
            else self._moments.read_point(None, known_at, FOREVER).known_at
        )

        def events_of(id: UUID) -> list[Event]:
            return [event for event in self.log.stream(id) if event.recorded <= until]

        events = events_of(id)
        if not events:
            raise NotFoundError(f"nothing has been recorded of {id}")
        return merged_history(id, events_of, self._context(0)) if merged else events

    def ask(
        self,
        question: Question[ViewT],
        *,
        as_of: When | None = None,
        known_at: When | None = None,
        at: Moment | None = None,
        progress: Progress | None = None,
    ) -> ViewT:
        """Answer a question at a moment; `at=view.moment` asks for the very same answer.

        `as_of` (what had happened) defaults to now, `known_at` (what was known) to the head
        of the log. A bare date means the end of that day in the business time zone. How far
        the read tables have come that are brought level for it is told to `progress`.

        Raises:
            InputError: when `at` is given beside another moment, or is beyond this log's end.
        """
        if at is not None:
            if as_of is not None or known_at is not None:
                raise InputError("at= names a whole moment; leave as_of and known_at out")
            as_of, known_at = at.as_of, at.known_at
        with self._database.whole(), self._snapshot(question, progress) as snapshot:
            position = None if at is None else at.position
            return snapshot.answer(as_of, known_at, position=position)

    def compare(  # noqa: PLR0913 - all by keyword
        self,
        question: Question[ViewT],
        *,
        as_of: When | None = None,
        known_at: When | None = None,
        to_as_of: When,
        to_known_at: When | None = None,
        position: int | None = None,
        progress: Progress | None = None,
    ) -> Comparison[ViewT]:
        """Answer a question at a moment and at another one, and say what is different now.

        Both answers stand at the same position of the log. `to_known_at` defaults to what is
        known at the first moment: left out, what happened in between is compared, and not
        what was learned. `position` is that of the log where both were answered before, as
        `at` of `ask` names it.
        """
        with self._database.whole(), self._snapshot(question, progress) as snapshot:
            now = snapshot.answer(as_of, known_at, position=position)
            known = now.moment.known_at if to_known_at is None else to_known_at
            try:
                then = snapshot.answer(to_as_of, known, position=position)
            except (NotFoundError, DealClosedError) as error:
                raise type(error)(f"to compare with, as of {to_as_of}: {error}") from error
            return Comparison(then=then, now=now)

    def settings(self, known_at: Instant = FOREVER) -> Settings:
        """Return the tenant's settings as known at an instant.

        Of a time before the log began those it began with: its days are cut as they are today.

        Raises:
            HistoryError: when a part of them cannot be read.
        """
        return settings_at(self.log, known_at)

    # Keeping

    def backup(self, to: str | os.PathLike[str]) -> Backup:
        """Copy the whole SQLite database into a new file while others go on recording.

        The file holds every tenant and also tables of your own, as they stood at one moment;
        open it like any other database. Never copy the `.db` file of a database in use: the
        newest commits lie in the `-wal` file beside it.

        Raises:
            InputError: on PostgreSQL (use `pg_dump`), when the file is there already, or
                cannot be made.
            DatabaseError: when the disk is full, or the database is damaged.
        """
        return back_up(self.log.database, self.log.tenant, to)

    def disagreements(self) -> list[str]:
        """Return where read tables stand that do not agree with the log; mostly nothing.

        It is what can be told at once; `check` looks at everything.
        """
        return self._tables().disagreements()

    def unfinished_rebuilds(self) -> dict[str, datetime]:
        """Return the tables of rebuilds that have not ended, and when each was begun.

        They still run, or were killed: then the next rebuild removes their tables, once they
        are a day old.
        """
        return self._tables().unfinished()

    def left_out(self) -> tuple[LeftOut, ...]:
        """Return the streams that read tables leave out, from which event on, and why."""
        found = self._tables().left_out()
        tell_left_out(found)
        return found

    def check(self, *, all: bool = False, progress: Progress | None = None) -> Checked:
        """Look whether log and read tables agree with themselves and one another.

        The log is looked at whole. Read tables are compared with a fresh fold of a sample of
        streams, with `all` of every one. Nothing is changed, so it needs no right to write.
        """
        return LogCheck(self.log, self._folds, self._processes, whole=all).run(progress)

    def catch_up(self, *, progress: Progress | None = None) -> tuple[LeftOut, ...]:
        """Bring all read tables to the head of the log; give the streams that are left out.

        Those are streams with an event that cannot be read; from it on they count for nothing,
        until it is retracted.
        """
        self._tables().catch_up(progress=progress)
        return self.left_out()

    def follow(
        self,
        *,
        stop: Flag | None = None,
        on_caught_up: Callable[[CaughtUp], object] = lambda _: None,
    ) -> None:
        """Keep all read tables at the head of the log until `stop` is set, as a worker does.

        `on_caught_up` is called when a table has moved or its fold has failed.
        """
        ensure_callable(on_caught_up, "on_caught_up", "how the read tables stand")
        labels = {fold.table.name: label for label, fold in self._folds.items()}
        Follower(self.log, self._tables(), labels).run(stop or Flag(), on_caught_up)

    def rebuild(
        self, *names: str, progress: Progress | None = None, filling: Filling | None = None
    ) -> dict[str, int]:
        """Fill read tables anew from the log, beside the live ones, and give their row counts.

        Without a name all of them; the log is read once for all. Questions go on reading the
        live tables until the new ones take their place. Processes of this machine fill them,
        or what is given (see docs/scale.md).
        """
        labels = {self._table(name).name: name for name in names or self._folds}
        rows = self._tables().rebuild(list(labels), progress=progress, filling=filling)
        self.left_out()
        return {labels[name]: count for name, count in rows.items()}

    def sql(self, name: str, *, as_of: When | None = None, known_at: When | None = None) -> str:
        """Write the SQL that shows a read table at a moment, for any client of the database.

        It brings the table to the head of the log first, so that the rows are there.
        """
        table, runner = self._table(name), self._tables()
        positions = runner.catch_up([table.name])
        read_point = self._moments.read_point(as_of, known_at, positions[table.name].recorded)
        return select_at(table, read_point)

    def standings(self) -> dict[str, ProjectionPosition]:
        """Return up to which position each read table stands."""
        stands = self._tables().standings()
        return {label: stands[fold.table.name] for label, fold in self._folds.items()}

    def _snapshot(
        self, question: Question[ViewT], progress: Progress | None
    ) -> AbstractContextManager[Snapshot[ViewT]]:
        read = AskedOf(self._moments, self._processes, self._rates, self._names)
        return snapshot_for(question, read, self._tables(), progress)

    def _table(self, name: str) -> ReadTable:
        if name not in self._folds:
            there = ", ".join(sorted(self._folds))
            raise InputError(f"no read table {name!r}; there are {there}")
        return self._folds[name].table

    def _tables(self) -> Runner:
        if self._runner is None:
            folds = {fold.table.name: fold for fold in self._folds.values()}
            self._runner = Runner(self.log, folds, self._processes, self._kept_bytes)
        return self._runner

    def _found(self, wanted: ZoneInfo | None, *, create: bool) -> None:
        """Record the settings and the built-in process in a new database; check an old one."""
        if self.log.head().position == 0:
            if not create:
                raise NotFoundError(f"nothing has been recorded of tenant {self.log.tenant!r}")
            key = "UTC" if wanted is None else wanted.key
            self.run(lambda s: initialize(s, key), command_id=INITIALIZE)
        if wanted is None:
            return
        stands = self.settings().timezone
        if not same_rules(wanted, stands):
            raise InputError(
                f"this database keeps its books in {stands.key}, not {wanted.key}; leave"
                " `timezone` out, or change the setting in a session:"
                f" `s.get(Settings, SETTINGS_ID).change(timezone={wanted.key!r})`, both of them"
                " from `salesflow.domain.settings`"
            )

    def _context(self, head: Instant, known_at: Instant = FOREVER) -> ReplayContext:
        now = max(self.log.now(), head)
        return ReplayContext(self._processes, lambda: self.settings(known_at).timezone, now)

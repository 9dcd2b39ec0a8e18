"""A session: a unit of work over any number of aggregates, recorded all or nothing.

You meet it through `SalesFlow.session`. It hands out aggregates, remembers them, and when it
ends without an error appends everything they recorded as one append of the log.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from operator import attrgetter
from typing import Final, NamedTuple, NoReturn, TypeVar, get_args
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from salesflow.adapters.database.connections import WORTH_A_PAUSE, gc_paused
from salesflow.adapters.event_store.log import EventLog, NewEvent, Receipt
from salesflow.adapters.event_store.published import (
    UNDER_A_PROCESS,
    LayeredProcesses,
    PublishedProcesses,
    with_unpublished_unreadable,
)
from salesflow.domain.aggregate import NO_EVENT, Aggregate, OccurredAt
from salesflow.domain.alert import AlertDefined, AlertRevised
from salesflow.domain.arguments import guarded_host, internal
from salesflow.domain.catalogue import aggregate_of
from salesflow.domain.deal.merging import (
    MergingFact,
    describe_pair,
    ensure_whole_merges,
    other_deal,
)
from salesflow.domain.deal.stages import DealMigrated, DealOpened
from salesflow.domain.event import (
    Event,
    Fact,
    FactRetracted,
    believed_history,
    ensure_readable,
    ensure_retractable,
)
from salesflow.domain.ids import new_id, new_ids
from salesflow.domain.pending import PendingEvent, untrack, warn_never_added
from salesflow.domain.process import (
    ProcessPublished,
    ProcessVersion,
    SalesProcess,
    ensure_alike,
    process_id,
)
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import Instant, from_instant
from salesflow.domain.values import envelope_text, shown
from salesflow.errors import ConcurrentChangeError, InputError, NotFoundError, RuleError

__all__ = [
    "PAIRED_FACTS",
    "CommandMetadata",
    "Session",
    "ensure_not_loaded_by",
    "ensure_published",
    "ensure_valid_retraction",
]


AggregateT = TypeVar("AggregateT", bound=Aggregate)
Processes = Mapping[tuple[str, int], ProcessVersion]
NEWEST = 100
"""Among so many of the newest things its end looks for those that were never added: a host may
make thousands before it adds them one by one."""

IS_IMMEDIATE = attrgetter("is_immediate")

COMMANDS = UUID("6f1c9a52-3f0b-5c1e-9a39-6d0f3f2f6a10")

_new = tuple.__new__


class Change(NamedTuple):
    """What was recorded of one aggregate, in the order of the log."""

    id: UUID
    aggregate: Aggregate
    version: int
    """At which it was loaded; 0 for a new one."""
    pending: list[PendingEvent]


class CommandMetadata(NamedTuple):
    """Who records, under which command, and what it belongs to or follows from."""

    actor: str | None = None
    command_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    fingerprint: str | None = None

    @classmethod
    def of(
        cls,
        actor: str | UUID | None,
        command_id: str | UUID | None,
        *others: str | UUID | None,
        fingerprint: str | bytes | None = None,
    ) -> "CommandMetadata":
        """Check what a caller said, and write it as it is kept.

        Raises:
            InputError: for what is blank, too long, of another type, or holds what no text may.
        """
        if actor is None and command_id is None and not others and fingerprint is None:
            return NOBODY
        given = (actor, command_id, *others, *[None] * (2 - len(others)))
        texts = [
            None if value is None else envelope_text(value, name)
            for name, value in zip(cls._fields, given, strict=False)
        ]
        return cls._make([*texts, _digest(fingerprint)])


NOBODY = CommandMetadata()
"""Nobody named records, under no command."""


def _digest(request: str | bytes | None) -> str | None:
    """Return what is kept of a request to know it again: its SHA-256."""
    if request is None:
        return None
    if isinstance(request, str):
        request = request.encode(errors="surrogatepass")
    if not isinstance(request, bytes):
        raise InputError(f"fingerprint is {shown(request)}; pass the request as str or bytes")
    return sha256(request).hexdigest()


@guarded_host
class Session:
    """Aggregates loaded and added, and what they have recorded so far."""

    @internal
    def __init__(  # noqa: PLR0913 - what the engine hands in
        self,
        log: EventLog,
        timezone: Callable[[], ZoneInfo],
        processes: PublishedProcesses,
        *,
        metadata: CommandMetadata,
        connection: Connection | None = None,
        accept_clock: bool = False,
        event_ids: Callable[[int], Iterable[UUID]] = new_ids,
        within: Sequence["Session"] = (),
    ) -> None:
        self.receipt: Receipt | None = None
        """What was recorded; there once the session has ended without an error."""
        self._log = log
        self._timezone = timezone
        self._processes = processes
        self._metadata = metadata
        self._connection = connection
        self._accept_clock = accept_clock
        self._event_ids = event_ids
        self._within = within
        """Sessions of `run` around this one, which give way to nobody but try again."""
        self._aggregates: dict[UUID, Aggregate] = {}
        self._added = 0
        """How many were to be added, also those that were refused; ids go by it."""
        self._began = log.seen
        """What was recorded by then was there before anything was read here, or added."""
        self._may_plan = False
        """Whether something may be planned or taken back in what it has loaded."""
        self._ended = False

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled or copied, as for another process.

        Raises:
            InputError: always.
        """
        raise InputError("a session cannot be pickled or copied; open another one there")

    def get(self, kind: type[AggregateT], id: UUID) -> AggregateT:
        """Load an aggregate as it is believed now.

        Raises:
            NotFoundError: when none of that kind is believed to exist.
        """
        self._ensure_running()
        known = self._aggregates.get(id)
        if known is None:
            stream, latest = self._log.stream_for_commands(id, connection=self._connection)
            context = self._context(latest, self._processes)
            loaded = kind.replay(id, stream, context=context, as_of=context.now)
            self._may_plan = self._may_plan or not stream.is_immediate
            self._aggregates[id] = loaded
            return loaded
        if not isinstance(known, kind):
            raise NotFoundError(f"{id} is a {known.noun}, not a {kind.noun}")
        known.ensure_exists()
        return known

    def add(self, aggregate: AggregateT) -> AggregateT:
        """Take in a new aggregate and give it its id; under a command id derived from that.

        Raises:
            InputError: when it is in the session already, was loaded or recorded elsewhere, or
                a deal under a process version that is published as something else.
        """
        untrack(aggregate)
        self._ensure_running()
        if aggregate.is_loaded:
            raise InputError(
                f"{aggregate.noun} {aggregate.id} is recorded already; load it with"
                f" `s.get({type(aggregate).__name__}, id)` instead of adding it"
            )
        named = None if aggregate.id_given else self._name(aggregate)
        self._added += 1
        id = named or aggregate.id
        if id in self._aggregates:
            raise InputError(f"{aggregate.noun} {id} is in this session already")
        aggregate.attach(self._context(0, self._known_to(aggregate)), named)
        self._aggregates[id] = aggregate
        return aggregate

    def retract(self, event_id: UUID, *, because: str) -> None:
        """Say that a fact was wrong, whatever it was recorded of; needs no aggregate.

        Raises:
            NotFoundError: when no such event has been recorded.
            RuleError: when the fact cannot be retracted by itself.
        """
        self._ensure_running()
        loaded = next((a for a in self._aggregates.values() if a.holds(event_id)), None)
        event = self._find_event(event_id, loaded)
        if other_deal(event.stream_id, event.fact, self._stored) is not None:
            raise RuleError(
                f"{describe_pair(event, self._stored)}; load both deals and use retract_pair"
            )
        self._get_or_load(event.stream_id).retract(event_id, because=because)

    def reopen_history(
        self, id: UUID, opening: Fact, *, occurred_at: OccurredAt = None
    ) -> None:
        """Record a new opening in a stream whose opening was retracted; its facts come back.

        What happened before the new opening is irregular, so say when that was: an aware
        time, or a day for its first instant. Left out, it is the time of recording.

        Raises:
            InputError: when the fact opens nothing, or another kind of thing.
            NotFoundError: when nothing has been recorded of that id.
            RuleError: when an opening still stands.
            HistoryError: when a part of the stream cannot be read, and is not retracted.
        """
        self._ensure_running()
        if not opening.is_opening:
            raise InputError(f"{opening.kind} opens nothing")
        held = self._get_or_load(id)
        ensure_readable(held._log)  # noqa: SLF001 - with what it recorded
        if type(opening) not in held.facts:
            raise InputError(f"{opening.kind} cannot open {id}, which is a {held.noun}")
        if held.history:
            opened = held.history[0]
            which = "of this session" if opened.event_id == NO_EVENT else str(opened.event_id)
            raise RuleError(f"{id} is open by {opened.fact.kind} {which}; retract that first")
        held._record(opening, occurred_at)  # noqa: SLF001 - as its commands do

    @internal
    def commit(self) -> Receipt | None:
        """Append all that was recorded and end; None when there was nothing.

        Raises:
            InputError: for a deal under a process version that was never published.
            RuleError: for half a merge, or a new deal under a retired process version.
            ConcurrentChangeError: when somebody else changed a stream first, or a plan took
                effect meanwhile.
        """
        if self._ended:
            return self.receipt
        try:
            warn_never_added(NEWEST)
            changes = self._changes()
            if sum([len(change.pending) for change in changes]) > WORTH_A_PAUSE:
                with gc_paused():
                    return self._commit(changes)
            return self._commit(changes)
        finally:
            self.end()

    @internal
    def loaded(self) -> dict[UUID, str]:
        """Return by its ids what it has loaded and may record on; nothing once it has ended."""
        if self._ended:
            return {}
        return {id: each.noun for id, each in self._aggregates.items() if each.version}

    @internal
    def end(self) -> None:
        """End without recording anything more; what it handed out takes no more commands."""
        if not self._ended:
            self._ended = True
            recorded = self.receipt is not None and self._connection is None
            for each in self._aggregates.values():
                each.close(recorded)

    def _ensure_running(self) -> None:
        if self._ended:
            raise InputError(
                "this session has ended, what it recorded now would be lost; open another one,"
                " with `flow.session()`"
            )

    def _changes(self) -> list[Change]:
        """Return what is to be appended of each aggregate of which something was recorded."""
        changes: list[Change] = []
        for id, each in self._aggregates.items():
            version, pending = each.to_append()
            if pending:
                changes.append(_new(Change, (id, each, version, pending)))
        return changes

    def _commit(self, changes: list[Change]) -> Receipt | None:
        if not changes:
            if self._connection is None:
                self._log.database.ensure_not_replaced()
            return None
        if self._within:
            ensure_not_loaded_by(self._within, {change.id for change in changes})
        self.receipt = self._append(changes)
        return self.receipt

    def _append(self, changes: list[Change]) -> Receipt:
        facts = [event.fact for change in changes for event in change.pending]
        self._ensure_consistent(changes, facts)
        actor, command_id, correlation_id, causation_id, fingerprint = self._metadata
        metadata = (actor, correlation_id, causation_id, None, None)
        encode, ids = self._log.catalogue.encode, iter(self._event_ids(len(facts)))
        drafts: list[NewEvent] = []
        first_topics, nouns = {}, []
        for id, aggregate, version, pending in changes:
            nouns.append(aggregate.noun)
            if version:
                first_topics[id] = aggregate._log[0].fact.stored_as  # noqa: SLF001 - loaded
            for fact, occurred, precision, _ in pending:
                version += 1
                topic, payload = encode(fact)
                known = (id, version, topic, payload, next(ids), occurred, precision)
                drafts.append(_new(NewEvent, known + metadata))
        try:
            return self._log.append(
                drafts,
                command_id=command_id,
                fingerprint=fingerprint,
                first_topics=first_topics,
                nouns=tuple(nouns),
                connection=self._connection,
                accept_clock=self._accept_clock,
            )
        except ConcurrentChangeError:
            self._ensure_new(changes)
            raise

    def _ensure_new(self, changes: Iterable[Change]) -> None:
        """Refuse what was recorded before this session began: to try again would not help.

        What is first seen here may have been recorded meanwhile: the next session knows.
        """
        for change in changes:
            before = [] if change.version else self._stored(change.id)
            if before and before[0].recorded <= self._began:
                raise _added_again_error(change.aggregate, before)
        if self._connection is None:
            self._log.head()  # what stands there by now is seen

    def _ensure_consistent(self, changes: list[Change], facts: list[Fact]) -> None:
        """Refuse what has to be true of all that is recorded together, and is not."""
        kinds = set(map(type, facts))
        if not PAIRED_FACTS.isdisjoint(kinds):
            recorded = [(each.id, event.fact) for each in changes for event in each.pending]
            ensure_whole_merges(recorded, self._stored)
        if not WATCHING.isdisjoint(kinds):
            _ensure_watchable(facts)
        if not UNDER_A_PROCESS.isdisjoint(kinds):
            ensure_published(facts, self._is_published)
            self._ensure_in_use(facts, changes)
        if not self._may_plan and all(map(IS_IMMEDIATE, kinds)):
            return
        for change in changes:
            plan = change.aggregate.plan_now_due()
            if plan is not None:
                raise _plan_conflict(change.aggregate, plan)

    def _context(self, head: Instant, processes: Processes) -> ReplayContext:
        """Return what its aggregates read: all that is known, by a clock that goes on."""
        log = self._log
        now = max(log.now(), head, log.seen)
        return ReplayContext(processes, self._timezone, now, log.now, log.last_recorded)

    def _name(self, aggregate: Aggregate) -> UUID | None:
        """Find an id for a new aggregate: one that sorts by time, unless a command says which.

        None for one that has an id by now, and may keep it.
        """
        if self._metadata.command_id is not None:
            name = f"{self._log.tenant}/{self._metadata.command_id}/{self._added}"
            return uuid5(COMMANDS, name)
        return None if aggregate.has_id else new_id()

    def _known_to(self, aggregate: Aggregate) -> Processes:
        """Return the process versions a new aggregate sees: those published, before its own.

        Raises:
            InputError: when one of its own is published as something else.
        """
        own, published, known = aggregate.context.processes, self._processes, True
        for version in own.values():
            here = self._aggregates.get(process_id(version.key))
            if isinstance(here, SalesProcess):
                ensure_alike(version, here.versions.get(version.version))
            known = published.has(version) and known
        return published if known else LayeredProcesses(own, published)

    def _stored(self, id: UUID) -> list[Event]:
        stored = self._log.stream(id, connection=self._connection)
        return with_unpublished_unreadable(stored, self._processes)

    def _find_event(self, event_id: UUID, loaded: Aggregate | None) -> Event:
        if loaded is not None:
            stored = self._stored(loaded.id)
            found = next((each for each in stored if each.event_id == event_id), None)
        else:
            found = self._log.find(event_id, connection=self._connection)
        if found is None:
            raise NotFoundError(f"no event {event_id} has been recorded")
        return found

    def _is_published(self, key: tuple[str, int]) -> bool:
        if key in self._processes:
            return True
        process = self._processes.recorded(key[0])
        return process is not None and key[1] in process.versions

    def _ensure_in_use(self, facts: Iterable[Fact], changes: list[Change]) -> None:
        """Refuse a deal opened anew under a version that was out of use by then."""
        for key in {fact.process for fact in facts if type(fact) is DealOpened}:
            process = self._process(key)
            for change in changes if process.retired else ():
                for fact, occurred, *_ in () if change.version else change.pending:
                    if type(fact) is DealOpened and fact.process == key:
                        process.ensure_in_use(fact.process_version, occurred)

    def _process(self, key: str) -> SalesProcess:
        known = self._aggregates.get(process_id(key))
        if isinstance(known, SalesProcess):
            return known
        process = self._processes.recorded(key)
        assert process is not None, "it has been published"
        return process

    def _get_or_load(self, id: UUID) -> Aggregate:
        """Return what a stream is about, also where it is not believed to exist."""
        known = self._aggregates.get(id)
        if known is None:
            stream, latest = self._log.stream_for_commands(id, connection=self._connection)
            if not stream.events:
                raise NotFoundError(f"nothing has been recorded of {id}")
            context, kind = self._context(latest, self._processes), aggregate_of(stream.events)
            known = kind.load(id, stream, context=context, as_of=context.now)
            self._may_plan = self._may_plan or not stream.is_immediate
            self._aggregates[id] = known
        return known


def _ensure_watchable(facts: Iterable[Fact]) -> None:
    """Refuse alerts over figures that there are not, by whomever they were put together."""
    from salesflow.engine import watched_figures  # knows all questions

    for fact in facts:
        if isinstance(fact, AlertDefined | AlertRevised):
            watched_figures.ensure_watchable(fact.watched)
            watched_figures.ensure_threshold(fact.watched, fact.threshold, fact.condition)


def _added_again_error(added: Aggregate, before: list[Event]) -> InputError:
    kind, at = aggregate_of(before), from_instant(before[0].recorded).isoformat()
    if kind is not type(added):
        noun = added.noun
        return InputError(
            f"{added.id} is a {kind.noun} recorded at {at}; give the {noun} another id"
        )
    if not believed_history(before):
        way_out = "its opening was retracted, so record it anew with `s.reopen_history`"
    else:
        way_out = (
            f"load it with `s.get({kind.__name__}, id)` instead of adding it, or give what may"
            " be done twice a command_id, under which it is recorded once"
        )
    return InputError(f"{added.noun} {added.id} was recorded at {at}; {way_out}")


def _plan_conflict(aggregate: Aggregate, plan: Event) -> ConcurrentChangeError:
    """Return the error of commands that were given before a plan took effect."""
    return ConcurrentChangeError(
        f"{aggregate.noun} {aggregate.id}: {plan.fact.kind} was planned and took effect at"
        f" {from_instant(plan.effective).isoformat()}, while this session was open; load it"
        " again and decide anew"
    )


def ensure_not_loaded_by(running: Iterable[Session], ids: Collection[UUID | None]) -> None:
    """Refuse to change what the runs around have loaded, and so would never record.

    Raises:
        InputError: naming what is loaded.
    """
    for session in running:
        for id, noun in session.loaded().items():
            if id in ids:
                raise InputError(
                    f"{noun} {id} is loaded in the run around this, which would find it changed"
                    " each time it is tried again; hand its session on, instead of recording"
                    " beside it"
                )


# What has to be true of everything recorded together, by a session or from elsewhere.
#
# A deal names only a process version that was published before it, and a merge is recorded (or
# retracted) on both deals at once. Only the few kinds of facts that can break these are looked
# at, so that all others cost nothing.

WATCHING: Final[frozenset[type[Fact]]] = frozenset({AlertDefined, AlertRevised})
"""Facts that name a figure of a question."""
PAIRED_FACTS: Final[frozenset[type[Fact]]] = frozenset({FactRetracted, *get_args(MergingFact)})
"""Facts that come in pairs, and those that may take half of a pair back."""


def ensure_published(
    facts: Iterable[Fact], published: Callable[[tuple[str, int]], bool]
) -> None:
    """Refuse a deal under a version nothing before it has published, or one published twice.

    Raises:
        InputError: naming the version.
    """
    known: set[tuple[str, int]] = set()
    for fact in facts:
        if type(fact) is DealOpened or type(fact) is DealMigrated:
            key = (fact.process, fact.process_version)
            if key in known:
                continue
            if not published(key):
                raise InputError(
                    f"process {key[0]!r} version {key[1]} has not been published; publish it"
                    " first"
                )
            known.add(key)
        elif type(fact) is ProcessPublished:
            key = (fact.process.key, fact.process.version)
            if key in known or published(key):
                raise InputError(
                    f"process {key[0]!r} version {key[1]} is published already; a published"
                    " version never changes, publish a new one"
                )
            known.add(key)


def ensure_valid_retraction(fact: FactRetracted, stream_id: UUID, stream: list[Event]) -> None:
    """Refuse what a source can never have told: a retraction of what cannot be retracted.

    Halves of a merge are retracted in pairs, which is for `missing_half` to see.

    Raises:
        InputError: when the stream has no such event, or that cannot be retracted.
    """
    try:
        ensure_retractable(fact.event_id, stream)
    except NotFoundError as error:
        raise InputError(f"{stream_id} has no event {fact.event_id} to retract") from error
    except RuleError as error:
        if not _about_a_merge(fact, stream):
            raise InputError(str(error)) from error


def _about_a_merge(fact: Fact, stream: Sequence[Event]) -> bool:
    events = {event.event_id: event.fact for event in stream}
    while isinstance(fact, FactRetracted):
        fact = events[fact.event_id]
    return isinstance(fact, get_args(MergingFact))

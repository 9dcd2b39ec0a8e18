"""A session: a unit of work over any number of aggregates, recorded all or nothing.

You meet it through `SalesFlow.session`. It hands out aggregates, remembers them, and when it
ends without an error appends everything they recorded as one append of the log.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar
from uuid import UUID, uuid5

from sqlalchemy import Connection

from salesflow.adapters.eventlog import Draft, EventLog, Receipt
from salesflow.adapters.ids import new_event_id
from salesflow.adapters.processes import Beside
from salesflow.domain.aggregate import Aggregate, Recorded, World
from salesflow.domain.deal.merging import refuse_half_merges
from salesflow.domain.facts import Fact, FactCatalogue, FactRetracted
from salesflow.domain.history import refuse_retraction
from salesflow.domain.moments import Instant
from salesflow.errors import InputError, NotFoundError

__all__ = ["Said", "Session"]

AggregateT = TypeVar("AggregateT", bound=Aggregate)
COMMANDS = UUID("6f1c9a52-3f0b-5c1e-9a39-6d0f3f2f6a10")


class Said(NamedTuple):
    """Who records, under which command, and what it belongs to or follows from."""

    actor: str | None = None
    command_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None


class Session:
    """Aggregates loaded and added, and what they have recorded so far."""

    def __init__(
        self,
        log: EventLog,
        world: Callable[[Instant], World],
        *,
        said: Said,
        connection: Connection | None = None,
        accept_clock: bool = False,
        event_ids: Callable[[], UUID] = new_event_id,
    ) -> None:
        self.receipt: Receipt | None = None
        """What was recorded; there once the session has ended without an error."""
        self._log = log
        self._world = world
        self._said = said
        self._connection = connection
        self._accept_clock = accept_clock
        self._event_ids = event_ids
        self._aggregates: dict[UUID, Aggregate] = {}
        self._loose: list[tuple[UUID, int, Recorded]] = []
        self._added = 0

    def get(self, kind: type[AggregateT], id: UUID) -> AggregateT:
        """Load an aggregate as it is believed now.

        Raises:
            NotFoundError: when none of that kind is believed to exist.
        """
        known = self._aggregates.get(id)
        if known is None:
            events = self._log.stream(id, connection=self._connection)
            world = self._world(max((event.recorded for event in events), default=0))
            known = kind.replay(id, events, world=world, as_of=world.now)
            self._aggregates[id] = known
        if not isinstance(known, kind):
            raise NotFoundError(f"{id} is a {known.noun}, not a {kind.noun}")
        return known

    def add(self, aggregate: AggregateT) -> AggregateT:
        """Take in a new aggregate; under a command id its id derives from that."""
        if self._said.command_id is not None and not aggregate.id_given:
            name = f"{self._log.tenant}/{self._said.command_id}/{self._added}"
            aggregate.id = uuid5(COMMANDS, name)
        self._added += 1
        if aggregate.id in self._aggregates:
            raise InputError(f"{aggregate.noun} {aggregate.id} is in this session already")
        world = self._world(0)
        aggregate.world = World(
            Beside(aggregate.world.processes, world.processes),
            lambda: world.timezone,
            world.now,
        )
        self._aggregates[aggregate.id] = aggregate
        return aggregate

    def retract(self, event_id: UUID, *, because: str) -> None:
        """Say that a fact was wrong, whatever it was recorded of; needs no aggregate."""
        for aggregate in self._aggregates.values():
            if aggregate.holds(event_id):
                aggregate.retract(event_id, because=because)
                return
        event = self._log.find(event_id, connection=self._connection)
        if event is None:
            raise NotFoundError(f"no event {event_id} has been recorded")
        stream = self._log.stream(event.stream_id, connection=self._connection)
        refuse_retraction(event_id, stream)
        self._record_loose(event.stream_id, FactRetracted(event_id=event_id, because=because))

    def reopen_history(self, id: UUID, opening: Fact) -> None:
        """Record a new opening in a stream whose opening was retracted."""
        if not opening.opens:
            raise InputError(f"{opening.kind} opens nothing")
        if not self._log.stream(id, connection=self._connection):
            raise NotFoundError(f"nothing has been recorded of {id}")
        self._record_loose(id, opening)

    def commit(self) -> Receipt | None:
        """Append all that was recorded; None when there was nothing."""
        refuse_half_merges(
            (each.id, recorded.fact)
            for each in self._aggregates.values()
            for recorded in each.pending
        )
        drafts = list(self._drafts())
        if drafts:
            self.receipt = self._log.append(
                drafts,
                command_id=self._said.command_id,
                connection=self._connection,
                accept_clock=self._accept_clock,
            )
        return self.receipt

    def _record_loose(self, id: UUID, fact: Fact) -> None:
        if id in self._aggregates:
            raise InputError(f"{id} is loaded in this session; use the aggregate itself")
        count = sum(1 for stream_id, _, _ in self._loose if stream_id == id)
        stored = self._log.stream(id, connection=self._connection)
        version = stored[-1].version + count + 1
        self._loose.append((id, version, Recorded(fact, None, "microsecond")))

    def _drafts(self) -> Iterator[Draft]:
        for aggregate in self._aggregates.values():
            for number, recorded in enumerate(aggregate.pending, aggregate.version + 1):
                yield self._draft(aggregate.id, number, recorded)
        for stream_id, number, recorded in self._loose:
            yield self._draft(stream_id, number, recorded)

    def _draft(self, stream_id: UUID, version: int, recorded: Recorded) -> Draft:
        return Draft(
            stream_id=stream_id,
            version=version,
            topic=FactCatalogue.topic(type(recorded.fact)),
            payload=recorded.fact.to_json(),
            event_id=self._event_ids(),
            occurred=recorded.occurred,
            precision=recorded.precision,
            actor=self._said.actor,
            correlation_id=self._said.correlation_id,
            causation_id=self._said.causation_id,
        )

"""The outbox: what is recorded is told to other systems, each fact once for each endpoint.

    endpoints = read_endpoints("endpoints.toml")
    flow.outbox.deliver(endpoints)                        # all that is due, as a job does
    flow.outbox.deliver(endpoints, follow=True, stop=stop)    # or as a worker, until stopped

A reactor of each endpoint puts messages into a table of the database, exactly once, in the
transaction that moves it: so no rebuild, replay or restore ever sends anything. From there
messages are delivered at least once, in the order of the log for each deal, and deleted. What
is refused for too long is dead, and holds back what comes after it of the same deal, until it
is sent again or skipped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from threading import Event as Flag
from typing import Final, NamedTuple

from sqlalchemy import Connection

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.outbox.delivery import Delivered, Deliverer
from salesflow.adapters.outbox.endpoints import Endpoint, read_endpoints
from salesflow.adapters.outbox.fact_messages import FactMessages
from salesflow.adapters.outbox.messages import OutgoingMessage
from salesflow.adapters.outbox.store import EndpointRow, OutboxStore, Waiting
from salesflow.adapters.reactors import ReactorPositions
from salesflow.domain.alike_names import perhaps
from salesflow.domain.arguments import ensure_callable, guarded_host
from salesflow.domain.event import Event, Fact, FactRetracted
from salesflow.domain.wording import shortened
from salesflow.engine.alert_messages import alert_message
from salesflow.engine.message_names import MessageNames
from salesflow.engine.permanent_links import ensure_link
from salesflow.engine.reactors import PAGE_EVENTS, Reactor, Reactors, concerns
from salesflow.errors import BusyError, InputError, NotFoundError

__all__ = ["Delivered", "EndpointStanding", "Outbox", "Previewed", "read_endpoints"]


REACTOR_PREFIX: Final = "outbox:"
LISTED_MAX: Final = 50
ALL_KINDS: Final = ".*"


class EndpointStanding(NamedTuple):
    """How an endpoint stands."""

    endpoint: str
    position: int | None
    """Up to which position of the log messages were put in; None where no fact goes there."""
    lag: int
    """So many events of the log are not looked at yet."""
    waiting: int
    dead: int
    held: int
    """So many messages wait behind dead ones of the same deal."""
    row: EndpointRow


class Previewed(NamedTuple):
    """A message that would be sent next, and where to."""

    endpoint: str
    message: OutgoingMessage


@guarded_host
class Outbox:
    """The outbox of one tenant."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._store = OutboxStore(log)
        self._messages, self._names = FactMessages(log), MessageNames(log)

    def deliver(
        self,
        endpoints: Sequence[Endpoint],
        *,
        follow: bool = False,
        stop: Flag | None = None,
        on_delivered: Callable[[Delivered], object] = lambda _: None,
    ) -> Delivered:
        """Deliver what is due; with `follow` until `stop` is set, whatever is recorded.

        Any number of workers may do so at once. `on_delivered` is told how far it has come.

        Raises:
            InputError: when a kind of facts is not known, a secret or a package missing.
        """
        ensure_callable(on_delivered, "on_delivered", "how many were delivered")
        for link in filter(None, (each.link for each in endpoints)):
            ensure_link(link)
        reactors = {each.name: self._reactor(each) for each in endpoints}
        timed = [replace(each, clock=self._log.now) for each in endpoints]
        filling = Filling(self._log, reactors)
        worker = Deliverer(
            self._log, [(each, partial(filling.fill, each.name)) for each in timed]
        )
        self._store.begin(reactors)
        filling.begin()
        return worker.run(stop or Flag(), follow=follow, report=on_delivered)

    def put(
        self, connection: Connection, endpoints: Sequence[str], message: OutgoingMessage
    ) -> None:
        """Let a message wait for some endpoints, within the caller's transaction.

        What is put in twice is sent twice: what says that it was put in belongs into the same
        transaction. Call `begin` once before.
        """
        for name in endpoints:
            self._store.put(connection, name, [message])

    def begin(self, endpoints: Sequence[str]) -> None:
        """Make the outbox's tables where they are not there yet."""
        self._store.begin(endpoints)

    # Looking

    def preview(
        self, endpoints: Sequence[Endpoint], limit: int = LISTED_MAX
    ) -> list[Previewed]:
        """Return what would be sent next to each endpoint; nothing is sent or noted."""
        positions = Reactors(self._log, {}).positions()
        head = self._log.head().position
        found: list[Previewed] = []
        for each in endpoints:
            waiting = [
                OutgoingMessage.from_bytes(body, number=one.number)
                for one in self._store.waiting(each.name, limit)
                if (body := self._store.body(each.name, one.id)) is not None
            ]
            reactor = self._reactor(each)
            after = positions.get(reactor.name, head if each.after is None else each.after)
            coming = self._coming(each, reactor, after)
            messages = [*waiting, *islice(coming, limit - len(waiting))]
            found += [Previewed(each.name, message) for message in messages]
        return found

    def _coming(
        self, endpoint: Endpoint, reactor: Reactor, after: int
    ) -> Iterator[OutgoingMessage]:
        """Yield the messages that are not in the outbox yet."""
        while page := self._log.page(after, PAGE_EVENTS):
            told = [event for event in page if concerns(self._log, reactor, event)]
            yield from self._page(endpoint, told)
            after = page[-1].position

    def standings(self) -> list[EndpointStanding]:
        """Return how every endpoint stands that was ever there."""
        positions = Reactors(self._log, {}).positions()
        head = self._log.head().position
        found = []
        for name, row in self._store.endpoints().items():
            position = positions.get(f"{REACTOR_PREFIX}{name}")
            lag = 0 if position is None else max(head - position, 0)
            counts = self._store.counts(name)
            found.append(EndpointStanding(name, position, lag, **counts, row=row))
        return found

    def waiting(self, endpoint: str | None = None, limit: int = LISTED_MAX) -> list[Waiting]:
        """Return the messages that are not delivered yet, the first ones of each endpoint."""
        self._ensure_known(endpoint)
        return self._store.waiting(endpoint, limit)

    def dead(self, endpoint: str | None = None, limit: int = LISTED_MAX) -> list[Waiting]:
        """Return the messages that were given up, and how many each holds back."""
        self._ensure_known(endpoint)
        return self._store.dead(endpoint, limit)

    # Helping

    def resend(self, endpoint: str, ids: Sequence[str] = ()) -> list[Waiting]:
        """Let dead messages be sent again, all of an endpoint or those named; give them.

        An endpoint that said that it wants no more messages is asked again.

        Raises:
            NotFoundError: when there is no such endpoint, or a message is not dead.
        """
        self._ensure_known(endpoint)
        dead = self._named(endpoint, ids)
        self._store.revive(endpoint, [each.ordering_key for each in dead])
        return dead

    def skip(self, endpoint: str, ids: Sequence[str]) -> list[Waiting]:
        """Delete dead messages unsent, so that those behind them go on; give them.

        Raises:
            NotFoundError: when there is no such endpoint, or a message is not dead.
        """
        self._ensure_known(endpoint)
        if not ids:
            raise InputError("name the messages to skip, as `salesflow outbox dead` lists them")
        return [each for each in self._named(endpoint, ids) if self._store.skip(endpoint, each)]

    def forget(self, endpoint: str) -> int:
        """Delete an endpoint and what waits for it; give how many messages that were.

        One of that name is a new one from then on, which begins where its file says.

        Raises:
            NotFoundError: when there is no such endpoint.
            BusyError: while a worker delivers to it.
        """
        self._ensure_known(endpoint)
        positions = ReactorPositions(self._log)

        def forget_position(connection: Connection) -> None:
            positions.forget(connection, f"{REACTOR_PREFIX}{endpoint}")

        deleted = self._store.forget(endpoint, forget_position)
        if deleted is None:
            raise BusyError(
                f"a worker delivers to endpoint {endpoint!r} now, or was killed while it did;"
                " take it out of the worker's file, and try again a minute later"
            )
        return deleted

    def _named(self, endpoint: str, ids: Sequence[str]) -> list[Waiting]:
        dead = {each.id: each for each in self._store.dead(endpoint, 2**31)}
        for id in ids:
            if id not in dead:
                raise NotFoundError(
                    f"no message {shortened(id)} of endpoint {endpoint!r} is dead;"
                    " `salesflow outbox dead` lists those that are"
                )
        return [dead[id] for id in ids] if ids else [*dead.values()]

    def _ensure_known(self, endpoint: str | None) -> None:
        known = self._store.endpoints()
        if endpoint is not None and endpoint not in known:
            there = ", ".join(known) or "none, until `salesflow outbox deliver` has run"
            raise NotFoundError(
                f"there is no endpoint {shortened(endpoint)!r}{perhaps(endpoint, known)};"
                f" there are {there}"
            )

    def _page(self, endpoint: Endpoint, events: Sequence[Event]) -> list[OutgoingMessage]:
        """Return the messages of events, with the names of what they name by ids."""
        named = self._names.of(events, personal=endpoint.personal)
        return [self._message(endpoint, *each) for each in zip(events, named, strict=True)]

    def _message(
        self, endpoint: Endpoint, event: Event, names: Mapping[str, str]
    ) -> OutgoingMessage:
        found = self._messages.of(event, personal=endpoint.personal, names=names)
        told = alert_message(self._log, event, link=endpoint.link)
        return found if told is None else replace(found, data={**found.data, "alert": told})

    def _reactor(self, endpoint: Endpoint) -> Reactor:
        """Return what puts messages into the outbox of an endpoint."""

        def put(events: Sequence[Event], connection: Connection) -> None:
            self._store.put(connection, endpoint.name, self._page(endpoint, events))

        facts = self._facts(endpoint)
        name = f"{REACTOR_PREFIX}{endpoint.name}"
        return Reactor(name, facts, write_page=put, after=endpoint.after)

    def _facts(self, endpoint: Endpoint) -> set[type[Fact]]:
        """Return the facts that an endpoint is told of.

        Raises:
            InputError: when there are no facts of a kind.
        """
        known = {cls.kind: cls for cls in self._log.catalogue if cls is not FactRetracted}
        if endpoint.facts is None:
            return {*known.values(), FactRetracted}
        found: set[type[Fact]] = set()
        for wanted in endpoint.facts:
            begins = wanted.removesuffix(ALL_KINDS) + "." if wanted.endswith(ALL_KINDS) else ""
            kinds = [k for k in known if k == wanted or (begins and k.startswith(begins))]
            if not kinds:
                raise InputError(
                    f"endpoint {endpoint.name!r}: there are no facts"
                    f" {shortened(wanted)!r}{perhaps(wanted, known)}; docs/glossary.md names"
                    " all kinds"
                )
            found |= {known[kind] for kind in kinds}
        return found


class Filling:
    """Puts messages of facts into the outbox, endpoint by endpoint, a page of the log each."""

    def __init__(self, log: EventLog, reactors: dict[str, Reactor]) -> None:
        self._log = log
        self._by_endpoint = reactors
        self._reactors: Reactors | None = None

    def begin(self) -> None:
        """Note where each begins that was never there."""
        wanted = {each.name: each for each in self._by_endpoint.values() if each.facts}
        self._reactors = Reactors(self._log, wanted)

    def fill(self, endpoint: str) -> bool:
        """Put in what a page of the log tells; False when there was nothing to look at."""
        reactor = self._by_endpoint[endpoint]
        if self._reactors is None or not reactor.facts:
            return False
        return self._reactors.advance(reactor.name)

"""Where messages wait: a row for each that is not delivered yet, in the database of the log.

A message waits in the queue of its ordering key. A key is claimed by one worker at a time, for
a while; the worker sends its messages from the first on and settles what became of them. A
claim ends with a time, so that a worker that was killed holds nobody up for longer. Whatever
changes the queues of an endpoint locks the row of that endpoint first: so a key is there as
long as a message of it is.

What was sent is deleted in a transaction that a power failure may take back, whole: then it is
sent again, as after any other failure.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

import sqlalchemy as sa

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.outbox.messages import OutgoingMessage
from salesflow.domain.time import FOREVER, Instant
from salesflow.domain.wording import Message
from salesflow.errors import NotFoundError

__all__ = [
    "ENDPOINTS",
    "MESSAGES",
    "QUEUES",
    "Claimed",
    "EndpointRow",
    "OutboxStore",
    "Settled",
    "Waiting",
]


_METADATA = sa.MetaData()
MESSAGES = sa.Table(
    "salesflow_outbox",
    _METADATA,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("endpoint", sa.String(64), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("ordering_key", sa.String(200), nullable=False),
    sa.Column("id", sa.String(200), nullable=False),
    sa.Column("type", sa.String(200), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Index("salesflow_outbox_keys", "tenant", "endpoint", "ordering_key", "number"),
)
QUEUES = sa.Table(
    "salesflow_outbox_queues",
    _METADATA,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("endpoint", sa.String(64), primary_key=True),
    sa.Column("ordering_key", sa.String(200), primary_key=True),
    sa.Column("due", sa.BigInteger, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("first_tried", sa.BigInteger),
    sa.Column("dead_since", sa.BigInteger),
    sa.Column("failure", sa.Text),
    sa.Column("holder", sa.String(32)),
    sa.Column("held_until", sa.BigInteger),
    sa.Index("salesflow_outbox_due", "tenant", "endpoint", "due"),
)
"""One row for every key of which a message waits; `due` is when its first one may be sent."""
ENDPOINTS = sa.Table(
    "salesflow_outbox_endpoints",
    _METADATA,
    sa.Column("tenant", sa.String(64), primary_key=True),
    sa.Column("endpoint", sa.String(64), primary_key=True),
    sa.Column("last_number", sa.BigInteger, nullable=False),
    sa.Column("delivered", sa.BigInteger, nullable=False),
    sa.Column("skipped", sa.BigInteger, nullable=False),
    sa.Column("last_delivered", sa.BigInteger),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("pauses", sa.Integer, nullable=False),
    sa.Column("paused_until", sa.BigInteger, nullable=False),
    sa.Column("off_since", sa.BigInteger),
    sa.Column("failure", sa.Text),
)
M, Q, E = MESSAGES.c, QUEUES.c, ENDPOINTS.c
AT_ONCE: Final = 400
"""So many values are named in one statement."""
UNTRIED: Final[Mapping[str, Any]] = {"tries": 0, "first_tried": None, "failure": None}
FREE: Final[Mapping[str, Any]] = {"holder": None, "held_until": None}
ALIVE: Final[Mapping[str, Any]] = {"dead_since": None, **UNTRIED, **FREE}
ItemT = TypeVar("ItemT")


def _kept(reason: object) -> str | None:
    """Return what is stored of why something failed, so that it can be said in any language."""
    if reason is None:
        return None
    told = [reason.id, reason.arguments] if isinstance(reason, Message) else [str(reason), {}]
    return json.dumps(told, ensure_ascii=False, default=str)


def _read(kept: str | None) -> str | None:
    """Return why something failed from what is stored of it."""
    if kept is None:
        return None
    text, arguments = json.loads(kept)
    return Message(text, **arguments) if arguments else str(text)


class EndpointRow(NamedTuple):
    """How an endpoint stands."""

    last_number: int
    delivered: int
    skipped: int
    last_delivered: Instant | None
    failures: int
    """So many attempts have failed since the last one that did not."""
    pauses: int
    """So often it was left alone since then."""
    paused_until: Instant
    off_since: Instant | None
    """Since when it wants no messages any more; None while it does."""
    failure: str | None
    """What went wrong last."""


class Claimed(NamedTuple):
    """The queue of a key, held by one worker, and the first messages of it."""

    ordering_key: str
    tries: int
    first_tried: Instant | None
    held_until: Instant
    messages: tuple[tuple[int, bytes], ...]
    """Number and body of each, in order."""


class Settled(NamedTuple):
    """What became of a queue that was claimed."""

    ordering_key: str
    delivered: tuple[int, ...]
    """Numbers of the messages that were taken."""
    changes: Mapping[str, Any]
    """What the row of the queue says from then on, where a message is left."""


class Waiting(NamedTuple):
    """A message that waits; of those behind the first of a key nothing was tried yet."""

    endpoint: str
    number: int
    ordering_key: str
    id: str
    type: str
    due: Instant
    tries: int
    dead_since: Instant | None
    failure: str | None
    behind: bool = False
    """Whether another message of its key comes first."""
    held_back: bool = False
    """Whether that one is dead."""
    held: int = 0
    """So many messages of its key wait behind it."""


class OutboxStore:
    """The messages of one tenant that wait, or are dead, by endpoint."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._database = log.database
        self._tenant = log.tenant

    def is_there(self) -> bool:
        """Return whether the tables were made."""
        with self._database.whole(), self._database.read() as connection:
            return sa.inspect(connection).has_table(QUEUES.name)

    def begin(self, endpoints: Iterable[str]) -> None:
        """Make the tables, and note endpoints that were never there."""
        if not self.is_there():
            self._database.create_tables(_METADATA)
        missing = [*dict.fromkeys(endpoints)]
        known = self.endpoints()
        missing = [name for name in missing if name not in known]
        if not missing:
            return
        with self._database.whole(), self._database.begin() as connection:
            for name in missing:
                self._note_endpoint(connection, name)

    # Putting in

    def put(
        self, connection: sa.Connection, endpoint: str, messages: Sequence[OutgoingMessage]
    ) -> None:
        """Let messages wait for an endpoint, within the caller's transaction.

        Once is for the caller to see to: what says that they were put in belongs into the same
        transaction. `begin` was called with the endpoint before.
        """
        if not messages:
            return
        here = self._endpoint(endpoint)
        more = {"last_number": E.last_number + len(messages)}
        if not connection.execute(sa.update(ENDPOINTS).where(here).values(more)).rowcount:
            self._note_endpoint(connection, endpoint)
            connection.execute(sa.update(ENDPOINTS).where(here).values(more))
        last = connection.execute(sa.select(E.last_number).where(here)).scalar_one()
        first = last - len(messages) + 1
        of = {"tenant": self._tenant, "endpoint": endpoint}
        rows = [
            {
                **of,
                "number": number,
                "ordering_key": each.ordering_key,
                "id": each.id,
                "type": each.type,
                "body": each.to_bytes(),
            }
            for number, each in enumerate(messages, first)
        ]
        connection.execute(sa.insert(MESSAGES), rows)
        now = self._log.now()
        keys = dict.fromkeys(each.ordering_key for each in messages)
        connection.execute(
            sa.text(
                f"INSERT INTO {QUEUES.name} (tenant, endpoint, ordering_key, due, tries)"
                " VALUES (:tenant, :endpoint, :key, :due, 0) ON CONFLICT DO NOTHING"
            ),
            [{**of, "key": key, "due": now} for key in keys],
        )

    def room(self, endpoint: str, most: int) -> int:
        """Return how many more messages may wait that nothing dead holds back."""
        waiting = (
            sa.select(sa.literal(1))
            .join_from(MESSAGES, QUEUES, self._of_queue())
            .where(self._message(endpoint), Q.dead_since.is_(None))
            .limit(most)
            .subquery()
        )
        with self._database.whole(), self._database.read() as connection:
            counted = connection.execute(sa.select(sa.func.count()).select_from(waiting))
            return most - counted.scalar_one()

    # Delivering

    def claim(
        self, endpoint: str, holder: str, until: Instant, *, queues: int, messages: int
    ) -> list[Claimed]:
        """Take the queues that are due and free, and the first messages of each."""
        now = self._log.now()
        due = (
            sa.select(Q.ordering_key, Q.tries, Q.first_tried)
            .where(
                self._queue(endpoint),
                Q.due <= now,
                sa.or_(Q.holder.is_(None), Q.held_until <= now),
            )
            .order_by(Q.due)
            .limit(queues)
        )
        with self._database.whole(), self._database.derive() as connection:
            self._lock(connection, endpoint)
            found = connection.execute(due).all()
            keys = [row.ordering_key for row in found]
            for some in _in_parts(keys):
                mine = sa.and_(self._queue(endpoint), Q.ordering_key.in_(some))
                held = {"holder": holder, "held_until": until}
                connection.execute(sa.update(QUEUES).where(mine).values(held))
            return [
                Claimed(*row, until, self._first(connection, endpoint, row[0], messages))
                for row in found
            ]

    def settle(
        self,
        endpoint: str,
        holder: str,
        settled: Sequence[Settled],
        judged: Callable[[EndpointRow], EndpointRow],
    ) -> None:
        """Delete what was delivered, and let go of the queues.

        How the endpoint stands from then on is judged by how it stands.
        """
        delivered = [number for each in settled for number in each.delivered]
        with self._database.whole(), self._database.derive() as connection:
            self._lock(connection, endpoint)
            row = judged(self._row(connection, endpoint))
            delivered_ever = row.delivered + len(delivered)
            counted = row._replace(delivered=delivered_ever, failure=_kept(row.failure))
            here = sa.update(ENDPOINTS).where(self._endpoint(endpoint))
            connection.execute(here.values(counted._asdict()))
            for numbers in _in_parts(delivered):
                of = sa.and_(self._message(endpoint), M.number.in_(numbers))
                connection.execute(sa.delete(MESSAGES).where(of))
            left = self._left(connection, endpoint, [each.ordering_key for each in settled])
            gone = [each.ordering_key for each in settled if each.ordering_key not in left]
            mine = sa.and_(self._queue(endpoint), Q.holder == holder)
            for some in _in_parts(gone):
                ended = sa.and_(mine, Q.ordering_key.in_(some))
                connection.execute(sa.delete(QUEUES).where(ended))
            for each in settled:
                if each.ordering_key in left:
                    its = sa.and_(mine, Q.ordering_key == each.ordering_key)
                    values = {**FREE, **each.changes}
                    if "failure" in values:
                        values["failure"] = _kept(values["failure"])
                    connection.execute(sa.update(QUEUES).where(its).values(values))

    def row(self, endpoint: str) -> EndpointRow:
        """Return how an endpoint stands."""
        with self._database.whole(), self._database.read() as connection:
            return self._row(connection, endpoint)

    def next_due(self, endpoint: str) -> Instant:
        """Return when the next queue is due, held ones when they are let go at the latest."""
        later = sa.case((Q.held_until > Q.due, Q.held_until), else_=Q.due)
        soonest = sa.select(sa.func.min(later)).where(
            self._queue(endpoint), Q.dead_since.is_(None)
        )
        with self._database.whole(), self._database.read() as connection:
            found: Instant | None = connection.execute(soonest).scalar_one()
            return FOREVER if found is None else found

    # Looking, and helping

    def endpoints(self) -> dict[str, EndpointRow]:
        """Return how every endpoint stands that was ever there, by name."""
        if not self.is_there():
            return {}
        named = [E[name] for name in EndpointRow._fields]
        mine = sa.select(E.endpoint, *named).where(E.tenant == self._tenant)
        with self._database.whole(), self._database.read() as connection:
            rows = connection.execute(mine.order_by(E.endpoint)).all()
            return {row[0]: _endpoint_row(row[1:]) for row in rows}

    def counts(self, endpoint: str) -> dict[str, int]:
        """Return how many messages wait, are dead, and are held back by those."""
        dead = Q.dead_since.is_not(None)
        messages = (
            sa.select(sa.func.count(), sa.func.count(sa.case((dead, 1))))
            .join_from(MESSAGES, QUEUES, self._of_queue())
            .where(self._message(endpoint))
        )
        queues = sa.select(sa.func.count()).where(self._queue(endpoint), dead)
        with self._database.whole(), self._database.read() as connection:
            all_, behind = connection.execute(messages).one()
            count = connection.execute(queues).scalar_one()
        return {"waiting": all_ - behind, "dead": count, "held": behind - count}

    def waiting(self, endpoint: str | None, limit: int) -> list[Waiting]:
        """Return the messages that are not delivered yet, the first ones, in order."""
        return self._messages(endpoint, sa.true(), limit)

    def dead(self, endpoint: str | None, limit: int) -> list[Waiting]:
        """Return the dead messages, and how many each holds back."""
        first = sa.and_(Q.dead_since.is_not(None), M.number == _first_of_key())
        rows = self._messages(endpoint, first, limit)
        with self._database.whole(), self._database.read() as connection:
            return [
                each._replace(
                    held=self._count(connection, each.endpoint, each.ordering_key) - 1
                )
                for each in rows
            ]

    def body(self, endpoint: str, id: str) -> bytes | None:
        """Return the bytes of a message that is not delivered yet; None where there is none."""
        its = sa.select(M.body).where(self._message(endpoint), M.id == id)
        with self._database.whole(), self._database.read() as connection:
            return connection.execute(its).scalar()

    def revive(self, endpoint: str, ordering_keys: Sequence[str]) -> None:
        """Let dead messages of some queues be sent again, and switch the endpoint on."""
        alive = {**ALIVE, "due": self._log.now()}
        on = {"off_since": None, "failures": 0, "pauses": 0, "paused_until": 0}
        with self._database.whole(), self._database.begin() as connection:
            connection.execute(sa.update(ENDPOINTS).where(self._endpoint(endpoint)).values(on))
            for some in _in_parts(ordering_keys):
                dead = sa.and_(
                    self._queue(endpoint),
                    Q.ordering_key.in_(some),
                    Q.dead_since.is_not(None),
                )
                connection.execute(sa.update(QUEUES).where(dead).values(alive))

    def skip(self, endpoint: str, dead: Waiting) -> bool:
        """Delete a dead message, and let those behind it be sent; False when it is not dead."""
        more = {"skipped": E.skipped + 1}
        queue = sa.and_(
            self._queue(endpoint),
            Q.ordering_key == dead.ordering_key,
            Q.dead_since.is_not(None),
        )
        with self._database.whole(), self._database.begin() as connection:
            self._lock(connection, endpoint)
            [first] = self._first(connection, endpoint, dead.ordering_key, 1) or [(0, b"")]
            if not connection.execute(sa.select(Q.due).where(queue)).all():
                return False
            if first[0] != dead.number:
                return False
            its = sa.and_(self._message(endpoint), M.number == dead.number)
            connection.execute(sa.delete(MESSAGES).where(its))
            connection.execute(
                sa.update(ENDPOINTS).where(self._endpoint(endpoint)).values(more)
            )
            if self._left(connection, endpoint, [dead.ordering_key]):
                alive = {**ALIVE, "due": self._log.now()}
                connection.execute(sa.update(QUEUES).where(queue).values(alive))
            else:
                connection.execute(sa.delete(QUEUES).where(queue))
        return True

    def forget(self, endpoint: str, also: Callable[[sa.Connection], object]) -> int | None:
        """Delete an endpoint and what waits for it, and say how many messages that were.

        Nothing is deleted, and None given, while a worker has claimed some of them. `also` is
        done in the same transaction.
        """
        held = sa.and_(self._queue(endpoint), Q.held_until > self._log.now())
        with self._database.whole(), self._database.begin() as connection:
            self._lock(connection, endpoint)
            if connection.execute(sa.select(Q.ordering_key).where(held).limit(1)).all():
                return None
            gone = connection.execute(sa.delete(MESSAGES).where(self._message(endpoint)))
            connection.execute(sa.delete(QUEUES).where(self._queue(endpoint)))
            connection.execute(sa.delete(ENDPOINTS).where(self._endpoint(endpoint)))
            also(connection)
            return gone.rowcount

    # What they are made of

    def _note_endpoint(self, connection: sa.Connection, endpoint: str) -> None:
        columns = ("last_number", "delivered", "skipped", "failures", "pauses", "paused_until")
        connection.execute(
            sa.text(
                f"INSERT INTO {ENDPOINTS.name} (tenant, endpoint, {', '.join(columns)})"
                f" VALUES (:tenant, :endpoint{', 0' * len(columns)}) ON CONFLICT DO NOTHING"
            ),
            {"tenant": self._tenant, "endpoint": endpoint},
        )

    def _row(self, connection: sa.Connection, endpoint: str) -> EndpointRow:
        named = [E[name] for name in EndpointRow._fields]
        found = connection.execute(sa.select(*named).where(self._endpoint(endpoint)))
        row = found.one_or_none()
        if row is None:
            raise NotFoundError(
                f"endpoint {endpoint!r} was forgotten while a worker delivers to it; start the"
                " worker again, and it begins anew"
            )
        return _endpoint_row(row)

    def _lock(self, connection: sa.Connection, endpoint: str) -> None:
        """Keep others from the queues of an endpoint until the transaction ends."""
        same = {"last_number": E.last_number}
        connection.execute(sa.update(ENDPOINTS).where(self._endpoint(endpoint)).values(same))

    def _first(
        self, connection: sa.Connection, endpoint: str, ordering_key: str, most: int
    ) -> tuple[tuple[int, bytes], ...]:
        of = (self._message(endpoint), M.ordering_key == ordering_key)
        first = sa.select(M.number, M.body).where(*of).order_by(M.number).limit(most)
        return tuple((row.number, bytes(row.body)) for row in connection.execute(first))

    def _left(
        self, connection: sa.Connection, endpoint: str, ordering_keys: Sequence[str]
    ) -> set[str]:
        """Return the keys of which messages are left."""
        found: set[str] = set()
        for some in _in_parts(ordering_keys):
            of = (self._message(endpoint), M.ordering_key.in_(some))
            rows = connection.execute(sa.select(M.ordering_key).where(*of).distinct())
            found |= {row.ordering_key for row in rows}
        return found

    def _count(self, connection: sa.Connection, endpoint: str, ordering_key: str) -> int:
        of = (self._message(endpoint), M.ordering_key == ordering_key)
        counted: int = connection.execute(sa.select(sa.func.count()).where(*of)).scalar_one()
        return counted

    def _messages(
        self, endpoint: str | None, condition: sa.ColumnElement[bool], limit: int
    ) -> list[Waiting]:
        if not self.is_there():
            return []
        columns = [M.endpoint, M.number, M.ordering_key, M.id, M.type]
        state = [Q.due, Q.tries, Q.dead_since, Q.failure, M.number > _first_of_key()]
        of = M.tenant == self._tenant if endpoint is None else self._message(endpoint)
        rows = (
            sa.select(*columns, *state)
            .join_from(MESSAGES, QUEUES, self._of_queue())
            .where(of, condition)
            .order_by(M.endpoint, M.number)
            .limit(limit)
        )
        with self._database.whole(), self._database.read() as connection:
            found = [Waiting(*row) for row in connection.execute(rows)]
        return [_as_it_stands(each) for each in found]

    def _of_queue(self) -> sa.ColumnElement[bool]:
        return sa.and_(*(M[name] == Q[name] for name in ("tenant", "endpoint", "ordering_key")))

    def _message(self, endpoint: str) -> sa.ColumnElement[bool]:
        return sa.and_(M.tenant == self._tenant, M.endpoint == endpoint)

    def _queue(self, endpoint: str) -> sa.ColumnElement[bool]:
        return sa.and_(Q.tenant == self._tenant, Q.endpoint == endpoint)

    def _endpoint(self, endpoint: str) -> sa.ColumnElement[bool]:
        return sa.and_(E.tenant == self._tenant, E.endpoint == endpoint)


def _first_of_key() -> sa.ScalarSelect[int]:
    """Return the number of the first message of the key that a message is of."""
    other = MESSAGES.alias()
    same = (other.c[name] == M[name] for name in ("tenant", "endpoint", "ordering_key"))
    return sa.select(sa.func.min(other.c.number)).where(*same).scalar_subquery()


def _as_it_stands(read: Waiting) -> Waiting:
    """Return what is said of a message: attempts are those of the first of its key."""
    if not read.behind:
        return read._replace(behind=False, failure=_read(read.failure))
    held_back = read.dead_since is not None
    return read._replace(
        behind=True, held_back=held_back, tries=0, dead_since=None, failure=None, due=FOREVER
    )


def _endpoint_row(row: Sequence[Any]) -> EndpointRow:
    found = EndpointRow(*row)
    return found._replace(failure=_read(found.failure))


def _in_parts(values: Iterable[ItemT]) -> Iterator[list[ItemT]]:
    """Yield values in lists that one statement takes."""
    left = iter(values)
    while some := [*islice(left, AT_ONCE)]:
        yield some

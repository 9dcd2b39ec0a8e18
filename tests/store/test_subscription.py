"""Whoever follows the log gets every event once, in order, and is woken by new ones."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from uuid import uuid4

import pytest

from databases import plain_connection, reseal
from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.subscription import Subscription
from salesflow.domain.event import Event
from salesflow.errors import DatabaseError, HistoryError
from store.facts import NOTES, draft, drafts, planted


@pytest.fixture
def log(database: Database) -> EventLog:
    return EventLog(database, catalogue=NOTES)


class Follower:
    """A thread that follows the log and hands on what it gets."""

    def __init__(self, subscription: Subscription[Event]) -> None:
        self.got: SimpleQueue[int | BaseException | None] = SimpleQueue()
        self.subscription = subscription
        self._thread = Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        try:
            with self.subscription:
                for event in self.subscription:
                    self.got.put(event.position)
            self.got.put(None)
        except (DatabaseError, HistoryError) as error:
            self.got.put(error)

    def next(self) -> int | BaseException | None:
        return self.got.get(timeout=30)

    def end(self) -> None:
        self.subscription.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()


def test_what_was_recorded_before_comes_first(log: EventLog) -> None:
    log.append(drafts(1_200))
    with log.subscribe() as events:
        assert [next(events).position for _ in range(1_200)] == list(range(1, 1_201))
        assert events.position == 1_200


def test_a_subscription_begins_after_the_position_it_is_given(log: EventLog) -> None:
    log.append(drafts(5))
    with log.subscribe(after=3) as events:
        assert events.position == 3
        assert [next(events).position, next(events).position] == [4, 5]


def by_the_log(log: EventLog) -> None:
    log.append([draft()])


def by_somebody_else(log: EventLog) -> None:
    with Database(log.database.url) as other:
        EventLog(other, catalogue=NOTES).append([draft()])


def in_a_transaction_of_the_caller(log: EventLog) -> None:
    with log.database.begin() as connection:
        log.append([draft()], connection=connection)


def in_bulk(log: EventLog) -> None:
    log.append_many([[draft()] for _ in range(200)])


@pytest.mark.parametrize(
    "record", [by_the_log, by_somebody_else, in_a_transaction_of_the_caller, in_bulk]
)
def test_a_waiting_reader_is_woken_by_what_is_recorded(
    log: EventLog, record: Callable[[EventLog], None]
) -> None:
    log.append([draft()])
    follower = Follower(log.subscribe())
    try:
        assert follower.next() == 1
        for _ in range(3):
            head = log.head().position
            record(log)
            assert follower.next() == head + 1
            for position in range(head + 2, log.head().position + 1):
                assert follower.next() == position
    finally:
        follower.end()
    assert follower.next() is None


def test_every_one_of_several_followers_gets_everything(log: EventLog) -> None:
    followers = [Follower(log.subscribe()) for _ in range(3)]
    for _ in range(20):
        log.append([draft()])
    for follower in followers:
        assert [follower.next() for _ in range(20)] == list(range(1, 21))
        follower.end()


def test_followers_of_one_tenant_do_not_see_another(database: Database, log: EventLog) -> None:
    other = EventLog(database, tenant="other", catalogue=NOTES)
    follower = Follower(other.subscribe())
    try:
        log.append(drafts(3))
        receipt = other.append([draft()])
        assert follower.next() == receipt.first
    finally:
        follower.end()


def test_stopping_ends_a_reader_that_waits(log: EventLog) -> None:
    follower = Follower(log.subscribe())
    follower.end()
    assert follower.next() is None


def test_a_stopped_subscription_gives_nothing_more(log: EventLog) -> None:
    log.append(drafts(3))
    with log.subscribe() as events:
        next(events)
        events.stop()
        assert list(events) == []
        assert events.position == 1
    events.stop()


def test_an_event_that_cannot_be_read_reaches_the_reader(log: EventLog) -> None:
    follower = Follower(log.subscribe())
    log.append([draft()])
    assert follower.next() == 1
    planted(log, draft(uuid4())._replace(topic="test.unheard_of:1"))
    error = follower.next()
    assert isinstance(error, HistoryError)
    assert "position 2" in str(error)
    follower.end()


def test_a_connection_that_is_lost_reaches_the_reader(postgres_url: str) -> None:
    with Database(postgres_url) as database:
        log = EventLog(database, catalogue=NOTES)
        follower = Follower(log.subscribe())
        log.append([draft()])
        assert follower.next() == 1
        with plain_connection(postgres_url) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            )
        assert isinstance(follower.next(), DatabaseError)
        with log.subscribe(after=follower.subscription.position) as again:
            log.append([draft()])
            assert next(again).position == 2
        follower.end()


def test_a_lost_notification_costs_a_second_and_no_event(postgres_url: str) -> None:
    with Database(postgres_url) as database:
        log = EventLog(database, catalogue=NOTES)
        follower = Follower(log.subscribe())
        log.append([draft()])
        assert follower.next() == 1
        with plain_connection(postgres_url) as connection:
            copied = (
                "INSERT INTO salesflow_events SELECT tenant, 2, stream_id, 2, event_id, topic,"
                " payload, occurred, recorded + 1, precision, actor, command_id,"
                " correlation_id, causation_id, source, source_id, checksum"
                " FROM salesflow_events"
            )
            connection.execute(copied)
        reseal(postgres_url)
        assert follower.next() == 2
        follower.end()

"""Facts may be recorded inside the caller's own transaction, and share its fate."""

from uuid import uuid4

import pytest
import sqlalchemy as sa

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.postgres_append import WITHIN_LIMIT_MAX
from salesflow.errors import (
    AlreadyRecordedError,
    BusyError,
    ConcurrentChangeError,
    InputError,
    StaleTransactionError,
)
from store.facts import NOTES, draft, drafts

ORDERS = sa.Table("orders", sa.MetaData(), sa.Column("number", sa.Integer, primary_key=True))


@pytest.fixture
def log(database: Database) -> EventLog:
    database.create_tables(ORDERS.metadata)
    return EventLog(database, catalogue=NOTES)


def orders(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.scalars(sa.select(ORDERS.c.number)))


@pytest.fixture
def callers(database_url: str) -> sa.Engine:
    """The engine of the caller's service, which knows nothing of ours."""
    return sa.create_engine(database_url, poolclass=sa.NullPool)  # noqa: TID251


def test_what_the_caller_commits_is_recorded(
    database: Database, log: EventLog, callers: sa.Engine
) -> None:
    with callers.begin() as connection:
        connection.execute(ORDERS.insert().values(number=7))
        receipt = log.append(drafts(2), command_id="c-1", connection=connection)
    assert (receipt.first, receipt.last) == (1, 2)
    assert log.receipt("c-1") == receipt
    assert orders(database) == [7]


@pytest.mark.parametrize("writes_first", [True, False])
@pytest.mark.parametrize("size", [1, 300])
def test_what_the_caller_rolls_back_was_never_recorded(
    database: Database, log: EventLog, callers: sa.Engine, writes_first: bool, size: int
) -> None:
    with callers.connect() as connection:
        if writes_first:
            connection.execute(ORDERS.insert().values(number=7))
        log.append(drafts(size), command_id="c-1", connection=connection)
        connection.rollback()
    assert log.head() == (0, 0)
    assert log.receipt("c-1") is None
    assert orders(database) == []
    assert log.append([draft()], command_id="c-1").first == 1


def test_nothing_is_seen_by_others_before_the_caller_commits(
    log: EventLog, callers: sa.Engine
) -> None:
    with callers.begin() as connection:
        log.append([draft()], connection=connection)
        assert log.head(connection).position == 1
        assert len(log.page(0, 10, connection)) == 1
        assert log.head().position == 0
    assert log.head().position == 1


def test_several_appends_may_share_the_callers_transaction(
    log: EventLog, callers: sa.Engine
) -> None:
    deal = uuid4()
    with callers.begin() as connection:
        first = log.append(drafts(2, deal), connection=connection)
        assert len(log.stream(deal, connection=connection)) == 2
        second = log.append(drafts(1, deal, first=3), connection=connection)
    assert (first.last, second.first) == (2, 3)
    assert second.recorded > first.recorded


@pytest.mark.parametrize("writes_first", [True, False])
def test_a_conflict_leaves_the_callers_transaction_intact(
    database: Database, log: EventLog, callers: sa.Engine, writes_first: bool
) -> None:
    deal = uuid4()
    log.append(drafts(2, deal), command_id="c-1")
    with callers.begin() as connection:
        if writes_first:
            connection.execute(ORDERS.insert().values(number=7))
        with pytest.raises(ConcurrentChangeError, match="stands at version 2"):
            log.append(drafts(1, deal, first=2), connection=connection)
        with pytest.raises(AlreadyRecordedError):
            log.append([draft()], command_id="c-1", connection=connection)
        connection.execute(ORDERS.insert().values(number=8))
        log.append(drafts(1, deal, first=3), connection=connection)
    assert orders(database) == ([7, 8] if writes_first else [8])
    assert [event.version for event in log.stream(deal)] == [1, 2, 3]


def test_a_value_that_cannot_be_stored_leaves_the_callers_transaction_intact(
    database: Database, log: EventLog, callers: sa.Engine
) -> None:
    with callers.begin() as connection:
        with pytest.raises(InputError):
            log.append([draft(actor="a\0b")], connection=connection)
        with pytest.raises(InputError, match="lies in the future"):
            log.append([draft(occurred=2**57)], connection=connection)
        connection.execute(ORDERS.insert().values(number=7))
    assert orders(database) == [7]
    assert log.head() == (0, 0)


def test_our_own_transactions_serve_as_well(database: Database, log: EventLog) -> None:
    with database.begin() as connection:
        connection.execute(ORDERS.insert().values(number=7))
        log.append([draft()], connection=connection)
    assert (orders(database), log.head().position) == ([7], 1)


def test_a_writer_who_waits_for_the_caller_too_long_is_told_so(
    database_url: str, log: EventLog, callers: sa.Engine
) -> None:
    with (
        Database(database_url, wait_seconds=0.05) as impatient,
        callers.begin() as connection,
    ):
        log.append([draft()], connection=connection)
        waiting = EventLog(impatient, catalogue=NOTES)
        with pytest.raises(BusyError):
            waiting.append([draft()])
        with pytest.raises(BusyError):
            waiting.append_many([[draft()] for _ in range(WITHIN_LIMIT_MAX + 1)])
        with callers.begin() as another:
            if impatient.dialect == "postgresql":
                another.exec_driver_sql("SET lock_timeout = '7s'")
                with pytest.raises(BusyError):
                    waiting.append([draft()], connection=another)
                kept = another.exec_driver_sql("SHOW lock_timeout").scalar_one()
                assert kept == "7s"
    assert log.append([draft()]).first == 2


def test_the_callers_own_lock_timeout_holds_again_after_an_append(
    postgres_url: str,
) -> None:
    callers = sa.create_engine(postgres_url, poolclass=sa.NullPool)  # noqa: TID251
    with Database(postgres_url) as database, callers.begin() as connection:
        connection.exec_driver_sql("SET lock_timeout = '7s'")
        EventLog(database, catalogue=NOTES).append([draft()], connection=connection)
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "7s"


def test_a_repeatable_read_that_lost_the_race_is_told_to_begin_anew(postgres_url: str) -> None:
    callers = sa.create_engine(  # noqa: TID251
        postgres_url, poolclass=sa.NullPool, isolation_level="REPEATABLE READ"
    )
    with Database(postgres_url) as database:
        log = EventLog(database, catalogue=NOTES)
        log.append([draft()])
        with callers.begin() as connection:
            assert log.head(connection).position == 1
            log.append([draft()])
            with pytest.raises(StaleTransactionError, match="begin it anew"):
                log.append([draft()], connection=connection)


def test_a_sqlite_reader_that_lost_the_race_is_told_to_begin_anew(sqlite_url: str) -> None:
    with Database(sqlite_url) as database:
        log = EventLog(database, catalogue=NOTES)
        log.append([draft()])
        with database.read() as connection:
            assert log.head(connection).position == 1
            log.append([draft()])
            with pytest.raises(StaleTransactionError, match="begin it anew"):
                log.append([draft()], connection=connection)


def test_a_connection_that_commits_by_itself_is_refused(postgres_url: str) -> None:
    callers = sa.create_engine(  # noqa: TID251
        postgres_url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT"
    )
    with (
        Database(postgres_url) as database,
        callers.connect() as connection,
        pytest.raises(InputError, match="commits by itself"),
    ):
        EventLog(database, catalogue=NOTES).append([draft()], connection=connection)


def test_a_connection_to_another_kind_of_database_is_refused(
    sqlite_url: str, postgres_url: str
) -> None:
    with Database(sqlite_url) as ours, Database(postgres_url) as theirs:
        with theirs.begin() as connection, pytest.raises(InputError, match="SQLite"):
            EventLog(ours, catalogue=NOTES).append([draft()], connection=connection)
        with ours.begin() as connection, pytest.raises(InputError, match="PostgreSQL"):
            EventLog(theirs, catalogue=NOTES).append([draft()], connection=connection)

"""How long writers wait for one another, and who is named when waiting can have no end."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from time import monotonic

import pytest
import sqlalchemy as sa

from databases import plain_connection
from salesflow import Customer, SalesFlow
from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.postgres_append import WITHIN_LIMIT_MAX
from salesflow.errors import (
    BusyError,
    OwnTransactionError,
    StaleTransactionError,
    TimeLimitError,
)
from salesflow.projections.folds.pipeline import PIPELINE
from salesflow.projections.pipeline.funnel import Funnel
from store.facts import NOTES, draft

WAIT_SECONDS = 0.4
LONG_WAIT_SECONDS = 60.0


@pytest.fixture
def host(database_url: str) -> Iterator[sa.Engine]:
    """The engine of a host that knows nothing of ours."""
    engine = sa.create_engine(database_url, poolclass=sa.NullPool)  # noqa: TID251
    yield engine
    engine.dispose()


def record(flow: SalesFlow) -> None:
    flow.run(lambda s: s.add(Customer.register(name="A")))


def test_all_who_queue_behind_a_transaction_are_told_within_the_time_they_said(
    database_url: str, host: sa.Engine
) -> None:
    """Each would wait for those before it, one after another, were every wait bounded alone."""
    with (
        Database(database_url, wait_seconds=WAIT_SECONDS) as one,
        Database(database_url, wait_seconds=WAIT_SECONDS) as two,
        Database(database_url) as holder,
        host.connect() as connection,
    ):
        logs = [EventLog(each, catalogue=NOTES) for each in (one, two)]
        logs[0].append([draft()])

        def wait(number: int) -> float:
            begun = monotonic()
            with pytest.raises(BusyError):
                logs[number % 2].append([draft()])
            return monotonic() - begun

        with connection.begin():
            EventLog(holder, catalogue=NOTES).append([draft()], connection=connection)
            with ThreadPoolExecutor(8) as pool:
                waited = list(pool.map(wait, range(8)))
        assert min(waited) > WAIT_SECONDS / 2
        assert sum(waited) / len(waited) < 2 * WAIT_SECONDS  # 2.5 times, one after another
        assert logs[0].append([draft()]).first == 3


def test_how_long_an_engine_waits_is_said_when_it_is_opened(
    database_url: str, host: sa.Engine
) -> None:
    with (
        SalesFlow(database_url) as patient,
        SalesFlow(database_url, wait_seconds=0.05) as impatient,
        ThreadPoolExecutor(1) as pool,
        host.connect() as connection,
        connection.begin(),
    ):
        with patient.session(connection=connection) as s:
            s.add(Customer.register(name="B"))
        with pytest.raises(BusyError):
            pool.submit(record, impatient).result(30)


def test_ones_own_transaction_that_stands_in_the_way_is_named_at_once(
    database_url: str, host: sa.Engine
) -> None:
    with SalesFlow(database_url, wait_seconds=LONG_WAIT_SECONDS) as flow:
        for engine in (host, flow.log.database.engine):
            record(flow)  # so that a question has something to catch up
            with engine.connect() as connection, connection.begin():
                with flow.session(connection=connection) as s:
                    s.add(Customer.register(name="B"))
                with pytest.raises(OwnTransactionError, match="of your own"):
                    record(flow)
                if flow.log.database.dialect == "sqlite":
                    with pytest.raises(OwnTransactionError, match="of your own"):
                        flow.ask(Funnel())
                else:
                    flow.ask(Funnel())
            record(flow)
            flow.ask(Funnel())


def test_a_question_waits_for_all_who_hold_a_read_table_no_longer_than_it_said(
    postgres_url: str,
) -> None:
    """A row is waited for twice: for whoever queued before, and for who holds it then."""
    wait = 2.0
    take = (
        f"BEGIN; SELECT 1 FROM salesflow_projections WHERE name = '{PIPELINE.name}' FOR UPDATE"
    )
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND datname = current_database() AND query LIKE '%salesflow_projections%'"
        " AND clock_timestamp() - query_start > interval '{} s'"
    )

    def until(seen: str) -> None:
        with plain_connection(postgres_url) as watch:
            while watch.execute(seen).fetchall() == [(0,)]:
                pass

    with (
        SalesFlow(postgres_url) as flow,
        SalesFlow(postgres_url, wait_seconds=wait) as impatient,
        plain_connection(postgres_url) as first,
        plain_connection(postgres_url) as second,
        ThreadPoolExecutor(2) as pool,
    ):
        flow.ask(Funnel())
        record(flow)
        first.execute(take)
        queued = pool.submit(second.execute, take)
        until(waiting.format(0))
        begun = monotonic()
        asked = pool.submit(impatient.ask, Funnel())
        until(f"{waiting.format(wait * 3 / 4)} AND query LIKE '%statement_timeout%'")
        first.execute("COMMIT")
        queued.result(30)
        with pytest.raises(BusyError, match="held rows of read tables for too long"):
            asked.result(30)
        assert monotonic() - begun < 1.5 * wait
        second.execute("COMMIT")
        impatient.ask(Funnel())


def test_a_limit_of_the_server_that_is_shorter_stands(postgres_url: str) -> None:
    with SalesFlow(postgres_url) as flow:
        flow.ask(Funnel())
        record(flow)
    limited = f"{postgres_url}&options=-c%20statement_timeout%3D100"
    with (
        SalesFlow(limited, wait_seconds=LONG_WAIT_SECONDS) as flow,
        plain_connection(postgres_url) as holder,
    ):
        holder.execute("BEGIN; UPDATE salesflow_projections SET revision = revision")
        with pytest.raises(TimeLimitError, match="limit of its own"):
            flow.ask(Funnel())
        holder.execute("COMMIT")
        flow.ask(Funnel())


def test_a_transaction_that_is_over_stands_in_nobodys_way(
    database_url: str, host: sa.Engine
) -> None:
    with SalesFlow(database_url) as flow, host.connect() as connection:
        with connection.begin(), flow.session(connection=connection) as s:
            s.add(Customer.register(name="B"))
        with connection.begin():
            connection.execute(sa.text("SELECT count(*) FROM salesflow_events")).scalar()
            record(flow)


def test_another_threads_transaction_is_waited_for(database_url: str, host: sa.Engine) -> None:
    with SalesFlow(database_url, wait_seconds=LONG_WAIT_SECONDS) as flow:
        other = Thread(target=record, args=(flow,))
        with host.connect() as connection, connection.begin():
            with flow.session(connection=connection) as s:
                s.add(Customer.register(name="B"))
            other.start()
            other.join(0.05)
            assert other.is_alive()
        other.join(LONG_WAIT_SECONDS)
        assert not other.is_alive()


def test_a_transaction_of_sqlite_that_has_read_is_told_at_once_to_begin_with_a_write(
    sqlite_url: str,
) -> None:
    with SalesFlow(sqlite_url, wait_seconds=LONG_WAIT_SECONDS) as flow:
        record(flow)
        engine = flow.log.database.engine
        with engine.connect() as connection, connection.begin():
            connection.execute(sa.text("SELECT count(*) FROM salesflow_events")).scalar()
            record(flow)
            with (
                pytest.raises(StaleTransactionError, match="begin it anew, with a write first"),
                flow.session(connection=connection) as s,
            ):
                s.add(Customer.register(name="late"))
        record(flow)


def test_a_time_limit_of_the_role_is_no_other_writer(postgres_url: str) -> None:
    with SalesFlow(postgres_url) as flow:
        record(flow)
    with plain_connection(postgres_url) as connection:
        name = connection.execute("SELECT current_database()").fetchone()
        assert name is not None
        connection.execute(f"ALTER DATABASE {name[0]} SET statement_timeout = '40ms'")
        with (
            Database(postgres_url) as database,
            database.read() as snapshot,
            pytest.raises(TimeLimitError, match="statement_timeout"),
        ):
            database.rows("SELECT pg_sleep(5), ?", ("x",), snapshot)
        connection.execute("BEGIN")
        connection.execute("UPDATE salesflow_head SET position = position")
        with SalesFlow(postgres_url) as flow, pytest.raises(TimeLimitError):
            record(flow)
        connection.execute("ROLLBACK")


def test_it_is_waiting_that_has_a_limit_and_not_the_writing_of_many_events(
    postgres_url: str,
) -> None:
    slow = """
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END $$;
        CREATE TRIGGER slow BEFORE INSERT ON salesflow_events EXECUTE FUNCTION dawdle();
    """
    with SalesFlow(postgres_url) as flow, plain_connection(postgres_url) as connection:
        record(flow)
        connection.execute(slow)
        with SalesFlow(postgres_url, wait_seconds=1) as impatient:
            with pytest.raises(BusyError):
                record(impatient)
            with impatient.session() as s:
                for _ in range(WITHIN_LIMIT_MAX + 1):
                    s.add(Customer.register(name="A"))
        assert s.receipt is not None
        assert s.receipt.last - s.receipt.first == WITHIN_LIMIT_MAX


def test_a_session_that_the_server_ended_for_idling_is_told_as_that(postgres_url: str) -> None:
    with Database(postgres_url) as database, plain_connection(postgres_url) as connection:
        name = connection.execute("SELECT current_database()").fetchone()
        assert name is not None
        connection.execute(
            f"ALTER DATABASE {name[0]} SET idle_in_transaction_session_timeout = '400ms'"
        )
        with (
            Database(postgres_url) as limited,
            pytest.raises(TimeLimitError, match="idle-in-transaction"),
            limited.read() as snapshot,
        ):
            snapshot.execute(sa.text("SELECT 1"))
            while connection.execute(
                "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'"
                " AND datname = current_database()"
            ).fetchone():
                pass
            snapshot.execute(sa.text("SELECT 1"))
        assert database.rows("SELECT 1, ?", ("x",)) == [(1, "x")]


def test_a_commit_that_waits_for_another_process_holds_up_nobody_who_reads(
    database_url: str, host: sa.Engine
) -> None:
    """Threads take turns in SQLite, but nobody waits for a turn until somebody else is done."""
    with (
        SalesFlow(database_url, wait_seconds=LONG_WAIT_SECONDS) as flow,
        SalesFlow(database_url) as holder,
        host.connect() as connection,
    ):
        with flow.session() as s:
            id = s.add(Customer.register(name="A")).id
        writer = Thread(target=record, args=(flow,))
        with connection.begin():
            with holder.session(connection=connection) as s:
                s.add(Customer.register(name="B"))
            writer.start()
            for _ in range(200):
                with flow.session() as s:
                    assert s.get(Customer, id).name == "A"
            assert writer.is_alive()
        writer.join()
        assert flow.log.head().position == holder.log.head().position

"""Behind PgBouncer in transaction mode nothing is left to the next transaction of a session."""

from threading import Event as Flag
from threading import Thread

import psycopg
import pytest

from salesflow import Customer, SalesFlow
from salesflow.adapters.database.database import Database
from salesflow.adapters.database.postgres import PostgresDatabase
from salesflow.adapters.database.postgres_errors import translate_postgres
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.postgres_append import WITHIN_LIMIT_MAX
from salesflow.errors import InputError
from salesflow.projections.pipeline.funnel import Funnel
from store.facts import NOTES, draft

MANY = WITHIN_LIMIT_MAX + 1
LEFT = """
    SELECT (SELECT count(*) FROM pg_prepared_statements),
        (SELECT count(*) FROM pg_listening_channels()),
        (SELECT count(*) FROM pg_settings WHERE source = 'session'
            AND name IN ('lock_timeout', 'statement_timeout')),
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
"""


def with_option(url: str, option: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{option}"


def left_behind(database: Database) -> list[tuple[int, ...]]:
    """Look into every session that is open."""
    connections = database.connections
    assert isinstance(connections, PostgresDatabase)
    sessions = [each for each in connections._own if not each.closed]
    assert len(sessions) > 2
    return [row for each in sessions for row in each.execute(LEFT).fetchall()]


def use(flow: SalesFlow) -> None:
    """Record, ask, import and rebuild, each more often than a driver waits to prepare."""
    stop = Flag()
    worker = Thread(target=flow.follow, kwargs={"stop": stop})
    worker.start()
    for number in range(7):
        flow.run(lambda s: s.add(Customer.register(name="A")), command_id=f"c-{number}")
        flow.ask(Funnel())
    with flow.session() as s:
        for _ in range(MANY):
            s.add(Customer.register(name="B"))
    flow.rebuild("deal_state")
    stop.set()
    worker.join(30)
    assert not worker.is_alive()


def test_a_pooled_session_is_given_back_as_it_was(postgres_url: str) -> None:
    with SalesFlow(with_option(postgres_url, "pgbouncer=true")) as flow:
        use(flow)
        assert set(left_behind(flow.log.database)) == {(0, 0, 0, 0)}
        assert flow.log.head().position == 2 + 7 + MANY


def test_a_session_of_ones_own_is_not(postgres_url: str) -> None:
    with SalesFlow(postgres_url) as flow:
        use(flow)
        assert max(left_behind(flow.log.database)) > (0, 0, 0, 0)


@pytest.mark.parametrize("option", ["prepare_threshold=0", "prepare_threshold=none"])
def test_the_drivers_option_may_stand_in_the_url(postgres_url: str, option: str) -> None:
    with Database(with_option(postgres_url, option)) as database:
        log = EventLog(database, catalogue=NOTES)
        for _ in range(7):
            log.append([draft()])
        assert log.head().position == 7
        prepared = sum(row[0] for row in left_behind_by_writers(database))
        assert (prepared == 0) == option.endswith("none")


def left_behind_by_writers(database: Database) -> list[tuple[int, ...]]:
    connections = database.connections
    assert isinstance(connections, PostgresDatabase)
    return [row for each in connections._own for row in each.execute(LEFT).fetchall()]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("prepare_threshold=often", "write a whole number, or none"),
        ("prepare_threshold=-1", "write a whole number, or none"),
        ("pgbouncer=maybe", "write true or false"),
        ("pgbouncer=true&pgbouncer=false", "say it once"),
        ("autocommit=true", "autocommit"),
        ("row_factory=dict_row", "row_factory"),
        ("cursor_factory=x", "cursor_factory"),
        ("sslmod=require", "sslmod"),
    ],
)
def test_an_option_that_means_nothing_is_named(
    postgres_url: str, option: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        Database(with_option(postgres_url, option))


def test_who_forgot_to_say_that_a_pool_lies_between_is_told_so() -> None:
    error = psycopg.errors.DuplicatePreparedStatement("already exists")
    assert "?pgbouncer=true" in str(translate_postgres(error))

"""Whatever is killed in mid-append: nothing acknowledged is lost, nothing is half recorded."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from random import Random
from threading import Event, Thread

import psycopg
import pytest

from databases import Plain, Postgres, plain_connection, postgres_server
from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog
from salesflow.errors import DatabaseError
from store.crashing import Findings, Judge, append_marked, kill_writers
from store.facts import NOTES
from store.sizes import POSTGRES_CRASHES, SQLITE_KILLS

WRITERS = 4


def test_killing_writers_of_sqlite_loses_nothing_that_was_acknowledged(sqlite_url: str) -> None:
    found = kill_writers(sqlite_url, SQLITE_KILLS)
    assert (found.lost, found.half, found.gaps) == (0, 0, 0)
    assert found.acknowledged >= SQLITE_KILLS
    assert found.recorded >= found.acknowledged


def test_control_a_store_that_acknowledges_before_it_commits_is_caught(sqlite_url: str) -> None:
    assert kill_writers(sqlite_url, 10, "early").lost > 0


def test_control_a_store_that_writes_an_append_piecemeal_is_caught(sqlite_url: str) -> None:
    assert kill_writers(sqlite_url, 10, "torn").half > 0


@pytest.fixture(scope="module")
def fragile() -> Iterator[Postgres]:
    """A server of our own, to be crashed."""
    with postgres_server() as server:
        server.make_template()
        yield server


def stop_at_once(server: Postgres, _url: str) -> None:
    server.crash()
    server.start()


def kill_a_backend(_server: Postgres, url: str) -> None:
    """Kill one backend; the server then throws out all others and recovers."""
    with plain_connection(url) as connection:
        backends = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        ).fetchall()
    os.kill(backends[0][0], signal.SIGKILL)


def crash_under_writers(
    server: Postgres, url: str, crashes: list[Callable[[Postgres, str], None]]
) -> Findings:
    """Crash a server again and again under four writers, who keep their log open all along."""
    with Database(url) as database:
        log = EventLog(database, catalogue=NOTES)
        judge = Judge(log)
        for number, crash in enumerate(crashes):
            judge.look(acknowledged_until(server, log, crash, number))
        return judge.findings()


def acknowledged_until(
    server: Postgres, log: EventLog, crash: Callable[[Postgres, str], None], number: int
) -> list[str]:
    said: SimpleQueue[str] = SimpleQueue()
    crashing, crashed = Event(), Event()

    def write(random: Random) -> None:
        while not crashed.is_set():  # the server may be back before a writer notices
            try:
                append_marked(log, random, said.put, "log")
            except DatabaseError:
                if crashing.is_set():  # else it is what the last crash left behind
                    return

    writers = [Thread(target=write, args=(Random(f"{number}/{w}"),)) for w in range(WRITERS)]
    for writer in writers:
        writer.start()
    acknowledged = [said.get(timeout=30) for _ in range(Random(number).randrange(5, 60))]
    with plain_connection(server.url("postgres")) as other:  # which no crash is aimed at
        crashing.set()
        crash(server, log.database.url.render_as_string(hide_password=False))
        crashed.set()
        for writer in writers:
            writer.join(30)
            assert not writer.is_alive()
        wait_for_recovery(server, other)
    while not said.empty():
        acknowledged.append(said.get())
    return acknowledged


def wait_for_recovery(server: Postgres, other: Plain) -> None:
    """Wait until the server has thrown out a connection from before, and lets one in again.

    Until it has noticed a crash it answers on all others that it has.
    """
    while is_answered(other):
        pass
    while True:
        with suppress(psycopg.OperationalError), plain_connection(server.url("postgres")):
            return


def is_answered(connection: Plain) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def test_crashing_postgresql_loses_nothing_that_was_acknowledged(fragile: Postgres) -> None:
    crashes = [stop_at_once, kill_a_backend] * (POSTGRES_CRASHES // 2)
    with fragile.database() as url:
        found = crash_under_writers(fragile, url, crashes)
    assert (found.lost, found.half, found.gaps) == (0, 0, 0)
    assert found.acknowledged >= POSTGRES_CRASHES * 5
    assert found.recorded >= found.acknowledged


def test_control_postgresql_that_does_not_wait_for_its_disk_is_caught(
    fragile: Postgres,
) -> None:
    with fragile.database() as url:
        with plain_connection(url) as connection:
            connection.execute(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off',"
                " current_database()); END $$"
            )
        assert crash_under_writers(fragile, url, [stop_at_once] * 4).lost > 0

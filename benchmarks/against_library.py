"""How much faster than the eventsourcing library's own recorders, in one run, side by side?

    python -m benchmarks.against_library [--rounds N] [URL ...]

Both sides write with the durability they have in earnest (SQLite: synchronous=FULL in WAL
mode; PostgreSQL: fsync on) and do the same job in turn, several rounds. What is printed is
the median of each side and their ratio. The library runs with its default JSON mapper; its
projection does the least a projection can do, it only tracks its position.

What is to be recorded is made before the clock starts. Python's collector runs before each
job, of all sides alike, so that nobody pays for what was made earlier. A first round is not
counted, so that no side is measured while it opens connections, prepares statements and
reads pages for the first time.

Below a command of one writer stands how fast the driver alone runs the very statements of one,
with rows that lie ready: it reads the last row of the deal, takes the lock, looks where the log
stands, inserts, commits. Below bulk appends stands how fast it inserts the same rows, which lie
ready, into a table like the log's, in one transaction that it commits as durably as the engine
does. On PostgreSQL that is COPY, into another tenant. On SQLite it is measured twice, into
files beside the log's: a row a statement is `executemany` of an INSERT of one row, which is how
the driver is used as a rule; forty rows a statement is the same with as many rows in each
INSERT as the engine writes. The percentage is what the engine reaches of it in the median
round: in each, one comes right behind the other.
"""

import argparse
import gc
import os
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import chain
from operator import truediv
from pathlib import Path
from statistics import median
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking, TrackingRecorder
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from sqlalchemy import make_url

from benchmarks.__main__ import THREADS, bulk, new_deal, postgres
from salesflow import Deal, SalesFlow
from salesflow.adapters.database import schema
from salesflow.adapters.database.database import Database
from salesflow.adapters.database.postgres import (
    PostgresCursor,
    PostgresDatabase,
    numbered_cursor,
)
from salesflow.adapters.database.sqlite import ROWS_A_STATEMENT, SqliteDatabase
from salesflow.adapters.event_store import append
from salesflow.adapters.event_store.log import EventLog, StoredEvent
from salesflow.adapters.event_store.postgres_rows import APPEND_ONE, NEW_HEAD
from salesflow.adapters.event_store.reading import STREAM_SINCE

COMMANDS = 300
BULK_DEALS, BULK_EVENTS = 50, 20
BULK = BULK_DEALS * BULK_EVENTS
"""Events an append; both sides have made them before the clock starts."""

READS = 300
LIBRARY_PROJECTED = 2_000


class LibraryDeal(Aggregate):
    """The same deal as the library would have it."""

    @event("Opened")
    def __init__(self, title: str, owner: str, amount: str, currency: str) -> None:
        self.title = title
        self.owner = owner
        self.amount = amount
        self.currency = currency
        self.contacts = 0

    @event("ContactLogged")
    def log_contact(self, channel: str, direction: str) -> None:
        """Count a contact."""
        del channel, direction
        self.contacts += 1


class Deals(Application[UUID]):
    """The library's application."""


class OnlyTracking(Projection[TrackingRecorder]):
    """The smallest projection there is."""

    def process_event(self, domain_event: object, tracking: Tracking) -> None:
        """Move on."""
        del domain_event
        self.view.insert_tracking(tracking)


def library_environment(url: str) -> dict[str, str]:
    """Point the library at a database of the same kind."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        return {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": f"{parts.database}.library",
            "SQLITE_LOCK_TIMEOUT": "10",
        }
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": parts.database or "",
        "POSTGRES_HOST": str(parts.query.get("host", parts.host or "")),
        "POSTGRES_PORT": str(parts.port or 5432),
        "POSTGRES_USER": parts.username or "postgres",
        "POSTGRES_PASSWORD": parts.password or "",
    }


def library_deal() -> LibraryDeal:
    """Give a deal of the library that is not saved yet."""
    return LibraryDeal("Bench", "bench", "98000", "CNY")


def our_command(flow: SalesFlow, deal: UUID) -> None:
    """Load, decide, append."""
    flow.run(lambda s: s.get(Deal, deal).log_contact(channel="call", direction="out"))


def their_command(app: Deals, deal: UUID) -> None:
    """Load, decide, append."""
    loaded: LibraryDeal = app.repository.get(deal)
    loaded.log_contact("call", "out")
    app.save(loaded)


def ours(flow: SalesFlow) -> dict[str, float]:
    """Measure each job once; rates a second."""
    with flow.session() as s:
        deals = [s.add(new_deal()).id for _ in range(COMMANDS // 10)]
    spread = [deals[n % len(deals)] for n in range(COMMANDS)]
    rates = {
        "command, 1 writer": rate(
            COMMANDS, lambda: each(spread, lambda d: our_command(flow, d))
        )
    }
    rates["  these commands, driver alone"] = bare_commands(flow.log, spread)
    with flow.session() as s:
        busy = [s.add(new_deal()).id for _ in range(COMMANDS)]
    with ThreadPoolExecutor(THREADS) as pool:
        work = rate(COMMANDS, lambda: list(pool.map(lambda d: our_command(flow, d), busy)))
    rates[f"command, {THREADS} threads"] = work
    rates["bulk, 50 deals of 20 events"], last = our_bulk(flow, BULK_EVENTS)
    rates |= bare("these deals", flow.log)
    rates["bulk, 1,000 new deals"], _ = our_bulk(flow, 1)
    rates |= bare("these new", flow.log)
    rates["read a 20-event deal"] = rate(
        READS, lambda: each([last] * READS, lambda d: flow.get(Deal, d))
    )
    return rates


def our_bulk(flow: SalesFlow, events: int) -> tuple[float, UUID]:
    """Append new deals of so many events each; events a second, and one of the deals."""
    deals = [new_deal() for _ in range(BULK // events)]
    with flow.session() as s:
        for deal in deals:
            s.add(deal)
            for _ in range(events - 1):
                deal.log_contact(channel="call", direction="out")
        gc.collect()
        start = time.perf_counter()
    return BULK / (time.perf_counter() - start), deals[-1].id


def bare_commands(log: EventLog, deals: Sequence[UUID]) -> float:
    """Let the driver alone read and append for each deal, in a tenant of its own; a second."""
    tenant, versions = uuid4().hex, Counter[UUID]()
    [row] = log.stored_page(log.head().position - 1, 1)
    ready = []
    for position, deal in enumerate(deals, 1):
        versions[deal] += 1
        new = row._replace(stream_id=deal, version=versions[deal], position=position)
        ready.append(new)
    connections = log.database.connections
    if isinstance(connections, SqliteDatabase):
        work = sqlite_commands(connections, tenant, ready)
    else:
        assert isinstance(connections, PostgresDatabase)
        work = postgres_commands(connections, tenant, ready)
    return rate(len(ready), work)


def sqlite_commands(
    database: SqliteDatabase, tenant: str, events: Sequence[StoredEvent]
) -> Callable[[], None]:
    """Make ready what a connection of its own runs, with SQLite's usual checkpoints."""
    ready = [
        (
            (tenant, stream_id := bytearray(e.stream_id.bytes), e.version - 1),
            (
                *(tenant, e.position, stream_id, e.version, bytearray(e.event_id.bytes)),
                *(e.topic, bytearray(e.payload), e.occurred, e.recorded, e.precision),
                *([None] * 6),
                0,
            ),
        )
        for e in events
    ]
    run = database.connect().execute
    run("PRAGMA wal_autocheckpoint = 1000")

    def work() -> None:
        for loaded, row in ready:
            run(STREAM_SINCE, loaded).fetchall()
            run("BEGIN IMMEDIATE")
            run(append.HEAD, (tenant,)).fetchone()
            run(append.ROW, row)
            run("COMMIT")

    return work


def postgres_commands(
    database: PostgresDatabase, tenant: str, events: Sequence[StoredEvent]
) -> Callable[[], None]:
    """Make ready what a connection of its own runs, all of it prepared."""
    nothing = dict.fromkeys(("now", "latest", "command_id"))
    known = {"tenant": tenant, "count": 1, "appends": 1, "accept": False, "content": 0}
    ready = [
        (
            (tenant, event.stream_id, event.version - 1),
            APPEND_ONE.values({**nothing, **known, **event._asdict()}),
        )
        for event in events
    ]
    select = STREAM_SINCE.replace("?", "{}").format("$1", "$2", "$3").encode()
    cursor = numbered_cursor(database.connect())
    cursor.execute(NEW_HEAD, [tenant])

    def work() -> None:
        for loaded, row in ready:
            cursor.execute(select, loaded, prepare=True).fetchall()
            cursor.execute(APPEND_ONE.query, row, prepare=True).fetchone()

    return work


def bare(what: str, log: EventLog) -> dict[str, float]:
    """Let the driver alone insert the last rows where the log is not changed; rows a second."""
    after, known = log.head().position - BULK, f"  {what}, driver alone"
    if log.database.dialect != "sqlite":
        return {known: rate(BULK, postgres_rows(log, after))}
    sizes = {"a row": 1, "forty rows": ROWS_A_STATEMENT}
    return {
        f"{known}, {name} a statement": rate(BULK, sqlite_rows(log, after, size))
        for name, size in sizes.items()
    }


def sqlite_rows(log: EventLog, after: int, size: int) -> Callable[[], None]:
    """Make ready rows behind a position for a file like the log's, so many a statement."""
    chosen = (
        "SELECT * FROM salesflow_events WHERE tenant = ? AND position > ? ORDER BY position"
    )
    events = log.database.rows(chosen, (log.tenant, after))
    connection = file_beside(log.database, size)
    head = "SELECT coalesce(max(position), 0) FROM salesflow_events WHERE tenant = ?"
    [(last,)] = connection.execute(head, (log.tenant,))
    ready = [(tenant, last + n, *row) for n, (tenant, _, *row) in enumerate(events, 1)]
    marks = ",".join([f"({','.join('?' * len(ready[0]))})"] * size)
    parts = [[*chain.from_iterable(ready[n : n + size])] for n in range(0, len(ready), size)]

    def work() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"INSERT INTO salesflow_events VALUES {marks}", parts)
        connection.execute("COMMIT")

    return work


@cache
def file_beside(database: Database, size: int) -> sqlite3.Connection:
    """Open a file like the log's, with SQLite's usual checkpoints; it is open to the end.

    Whoever writes so many rows by a statement has one of its own.
    """
    beside = Database(f"{database.url}.bare{size}").connections
    assert isinstance(beside, SqliteDatabase)
    connection = beside.connect()
    connection.execute("PRAGMA wal_autocheckpoint = 1000")
    return connection


def postgres_rows(log: EventLog, after: int) -> Callable[[], None]:
    """Make ready rows behind a position for another connection, in another tenant."""
    columns = [column.name for column in schema.events.columns][2:]
    rows = (
        f"SELECT '{uuid4().hex}', position - {after}, {', '.join(columns)}"
        f" FROM salesflow_events WHERE tenant = '{log.tenant}' AND position > {after}"
    )
    cursor = cursor_beside(log.database)
    with cursor.copy(f"COPY ({rows}) TO STDOUT (FORMAT BINARY)".encode()) as copy:
        ready = b"".join(copy)

    def work() -> None:
        with cursor.copy("COPY salesflow_events FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(ready)

    return work


@cache
def cursor_beside(database: Database) -> PostgresCursor:
    """Open a connection that does nothing else; it is open as long as the database."""
    connections = database.connections
    assert isinstance(connections, PostgresDatabase)
    return connections.connect().cursor()


def theirs(app: Deals) -> dict[str, float]:
    """Measure each job once; rates a second."""
    deals = [library_deal() for _ in range(COMMANDS // 10)]
    app.save(*deals)
    spread = [deals[n % len(deals)].id for n in range(COMMANDS)]
    rates = {
        "command, 1 writer": rate(
            COMMANDS, lambda: each(spread, lambda d: their_command(app, d))
        )
    }
    fresh = [library_deal() for _ in range(COMMANDS)]
    app.save(*fresh)
    busy = [deal.id for deal in fresh]
    with ThreadPoolExecutor(THREADS) as pool:
        work = rate(COMMANDS, lambda: list(pool.map(lambda d: their_command(app, d), busy)))
    rates[f"command, {THREADS} threads"] = work
    many = [library_deal() for _ in range(BULK_DEALS)]
    for deal in many:
        for _ in range(BULK_EVENTS - 1):
            deal.log_contact("call", "out")
    rates["bulk, 50 deals of 20 events"] = rate(BULK, lambda: app.save(*many))
    new = [library_deal() for _ in range(BULK)]
    rates["bulk, 1,000 new deals"] = rate(BULK, lambda: app.save(*new))
    last = many[0].id
    rates["read a 20-event deal"] = rate(
        READS, lambda: each([last] * READS, lambda d: app.repository.get(d))
    )
    return rates


def each(deals: Sequence[UUID], work: Callable[[UUID], object]) -> None:
    """Do the work for one deal after the other, keeping nothing."""
    for deal in deals:
        work(deal)


def our_catch_up(flow: SalesFlow) -> float:
    """Fold 100,000 events into the deal interval table; events a second."""
    for _ in range(5):
        flow.record(bulk())
    before = flow.standings()["deal_state"].position
    return rate(flow.log.head().position - before, flow.catch_up)


def their_catch_up(environment: dict[str, str], app: Deals) -> float:
    """Let the library's runner track its last events; events a second."""
    head = app.recorder.max_notification_id() or 0
    while head < LIBRARY_PROJECTED:
        app.save(*[library_deal() for _ in range(500)])
        head = app.recorder.max_notification_id() or 0
    return rate(head, lambda: track(environment, app))


def track(environment: dict[str, str], app: Deals) -> None:
    """Let the library's runner track all there is."""
    with ProjectionRunner(
        application_class=Deals,
        projection_class=OnlyTracking,
        view_class=PostgresTrackingRecorder,
        env=environment,
    ) as runner:
        runner.wait(app.recorder.max_notification_id() or 0, timeout=300)


def rate(count: int, work: Callable[[], object]) -> float:
    """Do the work once; give how many of it fit into a second."""
    gc.collect()
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def compare(url: str, rounds: int) -> None:
    """Measure one database, both sides in turn, and print medians and ratios."""
    print(make_url(url).get_backend_name())
    environment = library_environment(url)
    found: dict[str, tuple[list[float], list[float]]] = {}
    with SalesFlow(url, tenant=uuid4().hex) as flow, opened(environment) as app:
        ours(flow)
        theirs(app)
        for _ in range(rounds):
            our_rates, their_rates = ours(flow), theirs(app)
            for name, value in our_rates.items():
                pair = found.setdefault(name, ([], []))
                pair[0].append(value)
                if name in their_rates:
                    pair[1].append(their_rates[name])
        caught_up = our_catch_up(flow)
        if "POSTGRES_DBNAME" in environment:
            found["catch up (ours: intervals)"] = (
                [caught_up],
                [their_catch_up(environment, app)],
            )
        else:
            print(f"  {'catch up (the library has none)':<50}{caught_up:>12,.0f} /s")
    engine: list[float] = []
    for name, (mine, other) in found.items():
        a, beside = median(mine), ""
        if "driver alone" in name:
            beside = f"{median(map(truediv, engine, mine)):>15.0%}"
        else:
            engine = mine
        if other:
            beside = f"{median(other):>12,.0f} /s   {a / median(other):>6.2f} x"
        print(f"  {name:<50}{a:>12,.0f} /s{beside}")


@contextmanager
def opened(environment: dict[str, str]) -> Iterator[Deals]:
    """Open the library's application and close it again."""
    app = Deals(env=environment)
    try:
        yield app
    finally:
        app.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare on the databases named, or on one of each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("urls", nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    print(f"{os.cpu_count()} cores, {given.rounds} rounds, medians: salesflow, library, ratio")
    if given.urls:
        for url in given.urls:
            compare(url, given.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(f"sqlite:///{folder}/bench.db", given.rounds)
        with postgres(Path(folder) / "postgres") as url:
            compare(url, given.rounds)


if __name__ == "__main__":
    main()

"""Workers that follow the log: alone, several at once, and beside what goes wrong."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from queue import Queue
from threading import Event as Flag
from threading import Thread
from typing import IO

import pytest
import sqlalchemy as sa

from databases import plain_connection
from properties.people_fold import PEOPLE, TABLE
from salesflow import STANDARD, Deal, Money, Reactor, SalesFlow
from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.event_store.published import PublishedProcesses
from salesflow.adapters.projector.read_tables import PROJECTIONS
from salesflow.adapters.projector.runner import Runner
from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.event import Event
from salesflow.engine.worker import CaughtUp, Follower
from salesflow.projections.pipeline.funnel import Funnel
from salesflow.projections.registry import FOLDS
from salesflow.projections.table import Change, IntervalFold, IntervalTable

WORKERS = 3
WAIT_SECONDS = 60
COMMAND = (sys.executable, "-m", "salesflow", "project", "--follow", "--json", "--db")
BROKEN = IntervalTable("broken_of_this_test", 1, attributes=(sa.Column("owner", sa.Text),))


class BreakingState:
    """A fold that knows no other owner than the first."""

    def apply(self, event: Event) -> Iterable[Change]:
        if isinstance(event.fact, OwnerAssigned):
            raise ValueError("there was an owner before")  # noqa: TRY004 - any error will do
        return [((), ("first",))]


class Follows:
    """A follower of two folds, one of them breaking, on a database of its own."""

    def __init__(self, url: str) -> None:
        self.database = Database(url, wait_seconds=0.01)
        self.log = EventLog(self.database, catalogue=CATALOGUE)
        folds = {
            TABLE.name: PEOPLE,
            BROKEN.name: IntervalFold(BROKEN, PEOPLE.facts, lambda _: BreakingState()),
        }
        self.runner = Runner(self.log, folds, PublishedProcesses(self.log))
        labels = {name: fold.table.label for name, fold in folds.items()}
        self.follower = Follower(self.log, self.runner, labels)

    def __enter__(self) -> "Follows":
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()


def opened(flow: SalesFlow) -> Deal:
    with flow.session(actor="ann") as s:
        return s.add(Deal.open(STANDARD, title="ERP", owner="ann", amount=Money("7", "EUR")))


def rows_of(flow: SalesFlow) -> dict[str, list[str]]:
    """Read every row of every read table."""
    with flow.log.database.read() as connection:
        return {
            label: sorted(map(repr, connection.execute(sa.select(fold.table.table))))
            for label, fold in FOLDS.items()
        }


def reached(lines: IO[str], position: int) -> None:
    """Read what a worker tells until all tables stand at a position."""
    for line in lines:
        told = json.loads(line)
        if all(stand >= position for stand in told["tables"].values()):
            return
    raise AssertionError("the worker ended")


def live_a_little(flow: SalesFlow) -> None:
    """Record a few deals' lives, with late facts and facts taken back."""
    for number in range(40):
        deal = opened(flow)
        with flow.session(actor="bob") as s:
            s.get(Deal, deal.id).log_contact(channel="call", direction="out")
            s.get(Deal, deal.id).assign_owner(f"rep-{number % 3}")
        with flow.session(actor="cat") as s:
            s.get(Deal, deal.id).win(amount=Money(number + 1, "CNY"))
        assigned, won = flow.history(deal.id)[-2:]
        wrong = won if number % 2 else assigned
        with flow.session(actor="cat") as s:
            s.retract(wrong.event_id, because="mistyped")
        with flow.session(actor="bob") as s:
            s.get(Deal, deal.id).log_contact(channel="email", direction="in")


@contextmanager
def workers(url: str) -> Iterator[list[subprocess.Popen[str]]]:
    with ExitStack() as stack:
        pipe = subprocess.PIPE
        begun = [
            stack.enter_context(
                subprocess.Popen((*COMMAND, url), stdout=pipe, stderr=pipe, text=True)
            )
            for _ in range(WORKERS)
        ]
        try:
            yield begun
        finally:  # also where a test failed, which a worker would not notice
            for process in begun:
                process.kill()


def test_several_workers_beside_a_writer_fill_the_tables_as_a_rebuild_does(
    database_url: str,
) -> None:
    with SalesFlow(database_url) as flow, workers(database_url) as processes:
        outs = [process.stdout for process in processes if process.stdout is not None]
        for out in outs:
            reached(out, flow.log.head().position)
        live_a_little(flow)
        for out in outs:
            reached(out, flow.log.head().position)
        for process in processes:
            process.send_signal(signal.SIGTERM)
        ended = [process.communicate(timeout=WAIT_SECONDS)[1] for process in processes]
        assert ended == [""] * WORKERS
        assert [process.returncode for process in processes] == [0] * WORKERS
        assert {s.position for s in flow.standings().values()} == {flow.log.head().position}
        found = rows_of(flow)
        flow.rebuild()
        assert found == rows_of(flow)
        assert len(found["deal_state"]) > 40


def test_a_worker_runs_in_a_thread_of_an_embedding_until_it_is_stopped(flow: SalesFlow) -> None:
    stop, told = Flag(), Queue[CaughtUp]()
    worker = Thread(target=flow.follow, kwargs={"stop": stop, "on_caught_up": told.put})
    worker.start()
    try:
        told.get(timeout=WAIT_SECONDS)
        opened(flow)
        head = flow.log.head()
        found = told.get(timeout=WAIT_SECONDS)
        while {stand.position for stand in found.standings.values()} != {head.position}:
            found = told.get(timeout=WAIT_SECONDS)
    finally:
        stop.set()
        worker.join(WAIT_SECONDS)
    assert not worker.is_alive()
    assert found.head == head
    assert found.failed == {}
    assert flow.ask(Funnel()).moment.position == head.position


def test_a_worker_that_is_stopped_before_it_begins_does_nothing(flow: SalesFlow) -> None:
    stop = Flag()
    stop.set()
    told: list[CaughtUp] = []
    flow.follow(stop=stop, on_caught_up=told.append)
    assert told == []


def test_a_failed_fold_is_told_with_its_position_while_others_go_on(database_url: str) -> None:
    with SalesFlow(database_url) as flow, Follows(database_url) as follows:
        deal = opened(flow)
        with flow.session() as s:
            s.get(Deal, deal.id).assign_owner("bob")
        failing = flow.log.head().position
        stop, told = Flag(), []

        def tell(found: CaughtUp) -> None:
            told.append(found)
            if len(told) == 1:
                opened(flow)
            else:
                stop.set()

        follows.follower.run(stop, tell)
    first, second = told
    said = first.failed["broken_of_this_test"]
    assert f"stopped before position {failing} (deal.owner_assigned of {deal.id})" in said
    assert first.standings["broken_of_this_test"].position == 0
    assert first.standings["people_of_this_test"].position == failing
    assert second.standings["people_of_this_test"].position == second.head.position > failing
    assert second.failed == first.failed


def test_a_table_that_somebody_else_has_moved_is_tried_again(database_url: str) -> None:
    with SalesFlow(database_url) as flow, Follows(database_url) as follows:
        deal = opened(flow)
        with flow.session() as s:
            s.get(Deal, deal.id).assign_owner("bob")
        stop, told = Flag(), []

        def tell(found: CaughtUp) -> None:
            told.append(found)
            if len(told) == 1:  # as a mended version would do it elsewhere
                head = flow.log.head()
                with flow.log.database.begin() as connection:
                    here = PROJECTIONS.c.name == BROKEN.name
                    stands = {"position": head.position, "recorded": head.recorded}
                    connection.execute(sa.update(PROJECTIONS).where(here).values(**stands))
            else:
                stop.set()

        follows.follower.run(stop, tell)
    assert [list(found.failed) for found in told] == [["broken_of_this_test"], []]


def test_a_worker_waits_while_somebody_holds_the_database_and_goes_on_after(
    database_url: str,
) -> None:
    with SalesFlow(database_url) as flow, Follows(database_url) as follows:
        opened(flow)
        stop, busy = Flag(), []
        with ExitStack() as holding:
            other = holding.enter_context(Database(database_url))
            connection = holding.enter_context(other.begin())
            same = {"revision": PROJECTIONS.c.revision}
            connection.execute(sa.update(PROJECTIONS).values(**same))

            def tell(found: CaughtUp) -> None:
                busy.append(found.busy)
                if found.busy:
                    holding.close()
                else:
                    stop.set()

            follows.follower.run(stop, tell)
        assert busy == [True, False]
        assert follows.runner.standing(TABLE.name).position == flow.log.head().position


def test_a_worker_goes_on_after_the_server_has_cut_its_connections(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    stop, told = Flag(), Queue[CaughtUp]()
    with SalesFlow(postgres_url) as flow, SalesFlow(postgres_url) as other:
        worker = Thread(target=flow.follow, kwargs={"stop": stop, "on_caught_up": told.put})
        worker.start()
        try:
            told.get(timeout=WAIT_SECONDS)
            for _ in range(3):
                cut_connections(postgres_url)
                opened(other)
                head = other.log.head().position
                while told.get(timeout=WAIT_SECONDS).head.position < head:
                    pass
        finally:
            stop.set()
            worker.join(WAIT_SECONDS)
        assert not worker.is_alive()
    lost = [r for r in caplog.records if "cannot be reached" in r.getMessage()]
    assert {record.levelname for record in lost} == {"WARNING"}


def test_a_reactor_goes_on_after_the_server_has_cut_its_connections(postgres_url: str) -> None:
    stop, acted = Flag(), Queue[int]()
    reactor = Reactor(
        "mail", {OwnerAssigned}, act=lambda event: acted.put(event.position), lease_seconds=2
    )
    with (
        SalesFlow(postgres_url, reactors=[reactor]) as flow,
        SalesFlow(postgres_url) as other,
    ):
        worker = Thread(target=flow.reactors.follow, kwargs={"stop": stop})
        worker.start()
        try:
            deal = opened(other)
            for number in range(3):
                cut_connections(postgres_url)
                with other.session() as s:
                    s.get(Deal, deal.id).assign_owner(f"rep-{number}")
                head = other.log.head().position
                while acted.get(timeout=WAIT_SECONDS) < head:
                    pass
        finally:
            stop.set()
            worker.join(WAIT_SECONDS)
        assert not worker.is_alive()


def cut_connections(url: str) -> None:
    with plain_connection(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

"""An engine that is open when its process is forked serves both processes, or says why not."""

import gc
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from time import monotonic
from weakref import ref

import pytest
import sqlalchemy as sa

from salesflow import Customer, SalesFlow, Session
from salesflow.adapters.database import connections as pauses
from salesflow.adapters.database.connections import OLD_AT_ONCE, gc_paused
from salesflow.adapters.database.sqlite import SqliteDatabase
from salesflow.errors import ForkedError
from salesflow.projections.pipeline.funnel import Funnel

CHILDREN = 3
TIMES = 5
LIMIT_SECONDS = 60
REFUSED = 7
"""The exit code of a child that refuses a file that was in use."""

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning"),
    pytest.mark.no_cover,  # a fork while another thread notes a line would keep its lock
]


def forked(work: Callable[[], object]) -> int:
    """Do some work in a child; its exit code is 0 when it went well."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(LIMIT_SECONDS)
        try:
            work()
        except BaseException:  # noqa: BLE001 - the child must never come back
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid


def went_well(pid: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def never(*_: object, **__: object) -> None:
    raise AssertionError("the file was opened")


def add(made: Customer, s: Session) -> None:
    s.add(made)


def record(flow: SalesFlow, who: str) -> None:
    """Record and ask, and find what was acknowledged."""
    for number in range(TIMES):
        name = f"{who}-{number}"
        made = Customer.register(name=name)
        receipt = flow.run(partial(add, made), command_id=name)
        assert receipt is not None
        assert flow.get(Customer, receipt.stream_ids[0]).name == name
        assert [e.event_id for e in flow.history(receipt.stream_ids[0])] == [*receipt.event_ids]
        flow.ask(Funnel())
    assert flow.run(lambda _: None, command_id=f"{who}-0") is not None


def test_parent_and_children_go_on_with_what_the_parent_had_opened(database_url: str) -> None:
    with SalesFlow(database_url) as flow:
        record(flow, "before")
        children = [forked(partial(record, flow, f"child-{k}")) for k in range(CHILDREN)]
        record(flow, "parent")
        assert [went_well(pid) for pid in children] == [True] * CHILDREN
        record(flow, "after")
        events = flow.log.page(0, 1_000)
        assert [e.position for e in events] == [*range(1, len(events) + 1)]
        names = {e.command_id for e in events}
        assert {f"child-{k}-{n}" for k in range(CHILDREN) for n in range(TIMES)} <= names


def test_threads_that_record_ask_and_follow_at_the_fork_hold_up_no_child(
    database_url: str,
) -> None:
    with SalesFlow(database_url) as flow, ExitStack() as ended:
        record(flow, "before")
        stop = Flag()

        def work() -> None:
            while not stop.is_set():
                flow.run(lambda s: s.add(Customer.register(name="A")))
                flow.ask(Funnel())

        threads = [Thread(target=work), Thread(target=work)]
        threads.append(Thread(target=flow.follow, kwargs={"stop": stop}))
        ended.callback(stop.set)
        for thread in threads:
            thread.start()
        children = [forked(partial(record_or_refuse, flow, f"child-{k}")) for k in range(3)]
        ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        stop.set()
        for thread in threads:
            thread.join(LIMIT_SECONDS)
            assert not thread.is_alive()
        record(flow, "after")
        if flow.log.database.dialect == "postgresql":
            assert ends == [0] * 3
        commands = {event.command_id for event in flow.log.page(0, 100_000)}
        for k, end in enumerate(ends):
            recorded = commands & {f"child-{k}-{n}" for n in range(TIMES)}
            assert (end, len(recorded)) in ((0, TIMES), (REFUSED, 0))


def test_a_child_forked_while_a_thread_is_answered_collects_its_garbage() -> None:
    answering, forked_off = Flag(), Flag()

    def work() -> None:
        with gc_paused():
            answering.set()
            forked_off.wait(LIMIT_SECONDS)

    def look() -> None:
        assert gc.isenabled()

    thread = Thread(target=work)
    thread.start()
    assert answering.wait(LIMIT_SECONDS)
    assert not gc.isenabled()
    child = forked(look)
    forked_off.set()
    thread.join(LIMIT_SECONDS)
    assert went_well(child)
    assert gc.isenabled()


def test_however_threads_hold_the_collector_off_in_turn_it_works_in_the_end() -> None:
    before = sys.getswitchinterval()

    def work() -> None:
        for _ in range(10_000):
            with gc_paused():
                pass

    sys.setswitchinterval(1e-6)
    try:
        threads = [Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_SECONDS)
    finally:
        sys.setswitchinterval(before)
    assert gc.isenabled()


def test_who_holds_the_collector_off_for_good_finds_it_off() -> None:
    gc.disable()
    try:
        with gc_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


OLDEST = 2
"""The generation of what the collector walks last."""


@pytest.mark.parametrize("many", [True, False])
def test_what_a_pause_leaves_behind_is_old_at_once_where_it_is_much(many: bool) -> None:
    made: list[list[int]] = []
    with gc_paused():
        made += [[number] for number in range(OLD_AT_ONCE + 1 if many else 100)]
    old = {id(each) for each in gc.get_objects(OLDEST)}
    assert ({id(each) for each in made} <= old) is many
    assert gc.isenabled()


def test_what_a_pause_made_and_let_go_of_makes_nothing_old() -> None:
    young = [[0]]
    with gc_paused():
        for number in range(2 * OLD_AT_ONCE):
            assert [number]
    old = {id(each) for each in gc.get_objects(OLDEST)}
    assert id(young) not in old


def test_what_a_host_keeps_from_the_collector_stays_kept_from_it() -> None:
    gc.freeze()
    try:
        kept = gc.get_freeze_count()
        with gc_paused():
            made = [[number] for number in range(OLD_AT_ONCE + 1)]
        assert made
        assert gc.get_freeze_count() == kept
    finally:
        gc.unfreeze()


def record_or_refuse(flow: SalesFlow, who: str) -> None:
    """Record everything, or nothing since the file was in use all the time the fork waited."""
    try:
        record(flow, who)
    except ForkedError as error:
        os._exit(REFUSED if "was in use when this process was forked" in str(error) else 1)


def test_what_holds_a_connection_at_the_fork_may_open_another_one_to_end_soon(
    sqlite_url: str,
) -> None:
    """Else it would wait for the fork, and the fork for it."""
    begun, forking = Flag(), Flag()
    os.register_at_fork(before=forking.set)  # the last one registered is the first one called

    def work() -> None:
        with flow.log.database.read() as connection:
            position = flow.log.head(connection).position
            begun.set()
            forking.wait(LIMIT_SECONDS)
            for _ in range(100):
                assert flow.log.head().position == position

    with SalesFlow(sqlite_url) as flow:
        record(flow, "before")
        thread = Thread(target=work)
        thread.start()
        assert begun.wait(LIMIT_SECONDS)
        assert went_well(forked(partial(record, flow, "child")))
        thread.join(LIMIT_SECONDS)
        record(flow, "after")


def test_what_a_child_closes_stays_open_in_its_parent(database_url: str) -> None:
    with SalesFlow(database_url) as flow:
        record(flow, "before")
        assert went_well(forked(flow.close))
        record(flow, "parent")


def test_a_child_of_a_parent_that_did_not_get_ready_is_found_out(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteDatabase, "before_fork", lambda _: None)
    with SalesFlow(sqlite_url) as flow:
        record(flow, "before")
        assert not went_well(forked(lambda: record(flow, "child")))


def test_a_child_forked_in_the_middle_of_a_snapshot_of_sqlite_refuses(sqlite_url: str) -> None:
    def refuses() -> None:
        # There SQLite may wait for threads that the child has not.
        sqlite3.connect = never  # type: ignore[assignment]
        uses = (lambda: flow.ask(Funnel()), lambda: record(flow, "child"))
        for use in (*uses, lambda: SalesFlow(sqlite_url)):
            with pytest.raises(ForkedError, match="was in use when this process was forked"):
                use()

    with SalesFlow(sqlite_url) as flow:
        record(flow, "before")
        with flow.log.database.read() as connection:
            position = flow.log.head(connection).position
            assert went_well(forked(refuses))
            assert flow.log.head(connection).position == position
        record(flow, "parent")


def test_what_a_child_recorded_survives_its_parents_end(sqlite_url: str) -> None:
    """Whoever closes a file last removes its write-ahead log."""
    ready, told = os.pipe(), os.pipe()
    flow = SalesFlow(sqlite_url)
    record(flow, "before")

    def child() -> None:
        record(flow, "early")
        os.write(told[1], b"!")
        os.read(ready[0], 1)
        record(flow, "late")
        flow.close()

    pid = forked(child)
    os.read(told[0], 1)
    flow.close()
    os.write(ready[1], b"!")
    assert went_well(pid)
    for end in (*ready, *told):
        os.close(end)
    with SalesFlow(sqlite_url) as again:
        names = {event.command_id for event in again.log.page(0, 1_000)}
        assert {"early-4", "late-4"} <= names


def test_who_writes_at_the_fork_goes_on_in_the_parent(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("salesflow.adapters.database.sqlite_connections.FORK_SECONDS", 0.05)
    writing, go_on = Flag(), Flag()
    told: list[object] = []

    def late(writer: sqlite3.Connection) -> None:
        writer.execute("CREATE TABLE notes (said)")
        writing.set()
        go_on.wait(LIMIT_SECONDS)
        told.extend(writer.execute("INSERT INTO notes VALUES ('a') RETURNING said"))

    url = sa.make_url(sqlite_url)
    database = SqliteDatabase(url, Path(str(url.database)), 5.0)
    database.prepare()
    thread = Thread(target=database.write, args=(late, monotonic() + LIMIT_SECONDS))
    thread.start()
    assert writing.wait(LIMIT_SECONDS)
    child = forked(lambda: None)
    go_on.set()
    thread.join()
    assert went_well(child)
    assert database.rows("SELECT said FROM notes", (), None) == told == [("a",)]
    database.close()


class Circle:
    """Something that only the collector can let go of."""

    def __init__(self) -> None:
        self.myself = self


def test_what_is_of_no_use_is_collected_though_every_pause_leaves_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pauses, "WALKED_AFTER", 3 * OLD_AT_ONCE)
    monkeypatch.setattr(pauses, "_aged", 0)  # whatever other tests have left
    watched, answers = [], []
    for _ in range(4):
        with gc_paused():
            circle = Circle()
            watched.append(ref(circle))
            del circle
            answers.append([[number] for number in range(2 * OLD_AT_ONCE)])
    assert [each() for each in watched[:3]] == [None] * 3

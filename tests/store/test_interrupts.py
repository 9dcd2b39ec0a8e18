"""Whatever is raised at whatever instant, the engine goes on recording and asking.

Ctrl-C, the time limit of a task queue and the signal handlers of a host raise where nobody
expects it. Every error is kept here with its traceback, as a notebook does, so that nothing is
mended by Python's letting go of it.
"""

import ctypes
import gc
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import monotonic
from types import FrameType
from weakref import WeakSet

import pytest
import sqlalchemy as sa

from properties.effort import TORTURE
from salesflow import Customer, SalesFlow
from salesflow.adapters.database import connections as pool
from salesflow.adapters.database.sqlite import SqliteDatabase
from salesflow.adapters.event_store import postgres_append
from salesflow.errors import DatabaseError, SalesflowError
from salesflow.projections.pipeline.funnel import Funnel
from store.interrupting import (
    POOL,
    Interrupted,
    interrupted_at,
    interrupts_after,
    lines_of,
)

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning",
        "ignore:.*was never added to a session:UserWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ),
    pytest.mark.no_cover,  # an exception while coverage notes a line would keep its lock
]

INSTANTS = 24 * TORTURE
SIGNALS = 30 if TORTURE == 1 else 300 * TORTURE
WAIT_SECONDS = 0.5
CALLED_BACK = {"__del__", "_remove", "remove"}
"""Destructors, and what sets and dictionaries of weak references do."""
FEW = 8
"""Connections that may be open at a time, so that losing some is noticed soon."""


class Desk:
    """An engine that is interrupted, and a neighbour who only records."""

    def __init__(self, url: str) -> None:
        self.flow = SalesFlow(url, wait_seconds=WAIT_SECONDS)
        self.neighbour = SalesFlow(url, wait_seconds=WAIT_SECONDS)
        self.acknowledged: list[object] = []
        self.kept: list[BaseException] = []

    def record(self) -> None:
        receipt = self.flow.run(lambda s: s.add(Customer.register(name="A")))
        assert receipt is not None
        self.acknowledged += receipt.event_ids

    def ask(self) -> None:
        self.record()
        self.flow.ask(Funnel())

    def rebuild(self) -> None:
        self.flow.rebuild("deal_state")

    def goes_on(self) -> None:
        """Record elsewhere, which a lock that was kept would hinder; record and ask here."""
        self.neighbour.run(lambda s: s.add(Customer.register(name="B")))
        self.record()
        self.flow.ask(Funnel())

    def recorded(self) -> list[object]:
        return [event.event_id for event in self.flow.log.page(0, 1_000_000)]


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    desk = Desk(database_url)
    yield desk
    desk.neighbour.close()
    desk.flow.close()
    desk.kept.clear()
    gc.collect()  # what the tracebacks held warns here, where that is expected


def swept(desk: Desk, work: Callable[[], object], instants: int) -> None:
    """Interrupt some work at so many instants, evenly spread over the lines that it runs."""
    work()
    lines = lines_of(work)
    for number in range(instants):
        raised = interrupted_at(1 + number * lines // instants + number % 7, work)
        if raised is not None:
            desk.kept.append(raised)
        desk.goes_on()
    assert len(desk.kept) > instants // 2


@pytest.mark.parametrize("what", ["record", "ask", "rebuild"])
def test_an_exception_at_any_line_leaves_an_engine_that_goes_on(desk: Desk, what: str) -> None:
    swept(desk, getattr(desk, what), INSTANTS)
    assert set(desk.acknowledged) <= set(desk.recorded())


@pytest.mark.parametrize("most", [-1, 50_000], ids=["and ages what is there", "and does not"])
def test_whoever_holds_the_collector_off_holds_nobody_up_whatever_line_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    def work() -> None:
        with pool.Whole([], 0), pool.gc_paused():
            pass

    monkeypatch.setattr(pool, "OLD_AT_ONCE", most)
    for line in range(1, lines_of(work, pool.__file__) + 1):
        assert interrupted_at(line, work, pool.__file__) is not None
        work()
        assert gc.isenabled()
        assert not gc.get_freeze_count()
        other = Thread(target=work, daemon=True)
        other.start()
        other.join(30)
        assert not other.is_alive()


@pytest.mark.parametrize("committed", [False, True])
def test_ctrl_c_in_a_commit_is_what_is_raised_and_leaves_no_lock(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """SQLAlchemy gives up a connection at what is no `Exception`, and at nothing else."""
    desk.ask()
    dialect = desk.flow.log.database.engine.dialect
    commit = dialect.do_commit

    def cut_off(connection: sa.PoolProxiedConnection) -> None:
        monkeypatch.undo()
        if committed:
            commit(connection)
        raise KeyboardInterrupt

    monkeypatch.setattr(dialect, "do_commit", cut_off)
    with pytest.raises(KeyboardInterrupt):
        desk.ask()
    desk.goes_on()


def test_no_connection_is_lost_on_its_way_out_of_the_pool_or_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python closes what nobody holds any more; who keeps the tracebacks holds all of it."""
    monkeypatch.setattr(pool, "OPEN_MAX", FEW)
    ask, instants = desk.ask, 6 * FEW
    ask()
    lines = lines_of(ask, POOL)
    for number in range(instants):
        raised = interrupted_at(1 + number * lines // instants, ask, POOL)
        if raised is not None:
            desk.kept.append(raised)
        desk.goes_on()
    assert len(desk.kept) > 3 * FEW


def called_as_things_are_let_go(work: Callable[[], object]) -> set[str]:
    """Give what Python runs by itself as things are let go; exceptions in it are lost."""
    found: set[str] = set()

    def watch(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        here = code.co_name == "__del__" or "weakref" in Path(code.co_filename).name
        if event == "call" and here and code.co_name in CALLED_BACK:
            found.add(f"{code.co_filename}:{code.co_name}")

    gc.collect()
    gc.disable()  # what others have left behind is not of this work
    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return found


def test_no_interruption_is_lost_where_something_is_let_go(desk: Desk) -> None:
    """Whoever has pressed Ctrl-C in a loop would press it in vain."""
    desk.ask()
    assert called_as_things_are_let_go(lambda: repeated(desk.ask)) == set()
    assert called_as_things_are_let_go(lambda: repeated(desk.record)) == set()


def test_what_runs_as_something_is_let_go_would_be_noticed() -> None:
    def work() -> None:
        known = WeakSet[Thread]()
        known.add(Thread())
        Destroyed()

    assert len(called_as_things_are_let_go(work)) == 2


class Destroyed:
    """Something with a destructor."""

    def __del__(self) -> None:
        """Do nothing."""


def repeated(work: Callable[[], object]) -> None:
    for _ in range(5):
        work()


def test_a_time_limits_signal_at_any_instant_leaves_an_engine_that_goes_on(
    desk: Desk,
) -> None:
    chance = random.Random(7)
    desk.ask()
    for _ in range(SIGNALS + SIGNALS // 10):  # a library passes few of them over
        try:
            with interrupts_after(chance.uniform(0.0005, 0.02)) as fired:
                while not fired:
                    desk.ask()
        except (Interrupted, DatabaseError) as error:
            desk.kept.append(error)
        desk.goes_on()
        if len(desk.kept) == SIGNALS:
            break
    assert len(desk.kept) == SIGNALS
    assert all(map(is_interruption, desk.kept))
    recorded = desk.recorded()
    assert set(desk.acknowledged) <= set(recorded)
    assert len(set(recorded)) == len(recorded) == desk.flow.log.head().position


def is_interruption(error: BaseException | None) -> bool:
    """Say whether it is one, or what a driver made of one."""
    while error is not None and not isinstance(error, Interrupted):
        error = error.__context__
    return error is not None


def test_threads_that_are_interrupted_hold_up_no_other_thread(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # one may end a thread
    kept = desk.kept
    threads = [recording(desk) for _ in range(4)]
    chance, give_up = random.Random(8), monotonic() + 60 * TORTURE
    while len(kept) < SIGNALS and monotonic() < give_up:
        number = chance.randrange(len(threads))
        if not threads[number].is_alive():
            threads[number] = recording(desk)
        raise_in(threads[number])
        threads[number].join(chance.uniform(0.001, 0.02))
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    desk.goes_on()
    assert len(kept) >= SIGNALS
    recorded = desk.recorded()
    assert set(desk.acknowledged) <= set(recorded)
    assert len(set(recorded)) == len(recorded) == desk.flow.log.head().position


def recording(desk: Desk) -> Thread:
    """Record in another thread until enough interruptions were met."""

    def work() -> None:
        while len(desk.kept) < SIGNALS:
            with suppress(Interrupted):  # one may come while another is handled
                try:
                    while len(desk.kept) < SIGNALS:
                        desk.record()
                except Interrupted as error:
                    desk.kept.append(error)

    thread = Thread(target=work)
    thread.start()
    return thread


def raise_in(thread: Thread) -> None:
    """Raise in another thread, wherever it is."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(Interrupted)
    )


def test_an_engine_that_undoes_nothing_is_found_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteDatabase, "_abandon", lambda *_: None)
    monkeypatch.setattr(postgres_append, "is_idle", lambda connection: not connection.closed)
    chance = random.Random(9)
    with pytest.raises(SalesflowError):
        for _ in range(40 * SIGNALS):
            try:
                with interrupts_after(chance.uniform(0.0005, 0.01)) as fired:
                    while not fired:
                        desk.record()
            except Interrupted as error:
                desk.kept.append(error)
            desk.goes_on()

"""Reactors act on what is recorded: in order, at least once, and never when it is replayed."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Queue
from random import Random
from threading import Event as Flag
from threading import Thread

import pytest
import sqlalchemy as sa

from databases import tamper
from reactor_worker import acted, written
from salesflow import STANDARD, Customer, Deal, Reactor, SalesFlow
from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.reactors import REACTORS
from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.event import Event, FactRetracted
from salesflow.engine import reactors as reacting
from salesflow.engine.reactors import Reacted, Reactors
from salesflow.errors import HistoryError, InputError, ReactorError

TESTS = Path(__file__).parent.parent
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
WAIT_SECONDS = 60
KILLS = 4


def opened(flow: SalesFlow) -> Deal:
    with flow.session(actor="ann") as s:
        customer = s.add(Customer.register(name="Acme"))
        return s.add(Deal.open(STANDARD, customer=customer, title="ERP", owner="ann"))


def lost(flow: SalesFlow) -> Deal:
    deal = opened(flow)
    with flow.session(actor="ann") as s:
        s.get(Deal, deal.id).lose(because="price")
    return deal


def called(flow: SalesFlow, times: int) -> list[Event]:
    """Log so many calls, and give their events."""
    deal = opened(flow)
    for _ in range(times):
        with flow.session(actor="ann") as s:
            s.get(Deal, deal.id).log_contact(channel="call", direction="out")
    return [e for e in flow.history(deal.id) if isinstance(e.fact, ContactLogged)]


class Diary:
    """What a reactor was given; it fails as long as it is told to."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.broken = False

    def __call__(self, event: Event) -> None:
        if self.broken:
            raise ConnectionError("nobody answers")
        self.events.append(event)

    @property
    def kinds(self) -> list[str]:
        return [event.fact.kind for event in self.events]


def test_a_reactor_is_given_what_is_recorded_after_it_was_registered(database_url: str) -> None:
    diary = Diary()
    with SalesFlow(database_url) as flow:
        lost(flow)
    with SalesFlow(database_url, reactors=[Reactor("mail", {DealLost}, act=diary)]) as flow:
        flow.reactors.catch_up()
        assert diary.events == []
        deal = lost(flow)
        flow.reactors.catch_up()
        flow.reactors.catch_up()
        assert diary.events == [flow.history(deal.id)[-1]]
        assert flow.reactors.positions() == {"mail": flow.log.head().position}


def test_what_is_recorded_before_the_worker_comes_is_waiting_for_it(database_url: str) -> None:
    diary = Diary()
    reactors = [Reactor("mail", {DealLost}, act=diary)]
    with SalesFlow(database_url, reactors=reactors) as service:
        lost(service)
    with SalesFlow(database_url, reactors=reactors) as worker:
        worker.reactors.catch_up()
    assert diary.kinds == ["deal.lost"]


def test_a_reactor_may_begin_anywhere_in_the_log_but_only_once(database_url: str) -> None:
    with SalesFlow(database_url) as flow:
        lost(flow)
    first = Diary()
    for _ in range(2):
        again = Reactor("mail", {DealLost}, act=first, after=0)
        with SalesFlow(database_url, reactors=[again]) as flow:
            flow.reactors.catch_up()
    assert first.kinds == ["deal.lost"]
    second = Diary()
    other = Reactor("other", {DealLost}, act=second, after=0)
    with SalesFlow(database_url, reactors=[other]) as flow:
        flow.reactors.catch_up()
    assert second.kinds == ["deal.lost"]


def test_neither_a_rebuild_nor_a_question_lets_a_reactor_act_again(database_url: str) -> None:
    diary = Diary()
    with SalesFlow(database_url, reactors=[Reactor("mail", {DealLost}, act=diary)]) as flow:
        deal = lost(flow)
        flow.reactors.catch_up()
        before = flow.reactors.positions()
        flow.rebuild()
        flow.catch_up()
        flow.get(Deal, deal.id)
        assert len(diary.events) == 1
        assert flow.reactors.positions() == before
        flow.reactors.catch_up()
        assert len(diary.events) == 1


def test_a_retraction_reaches_who_listens_to_the_fact_it_takes_back(database_url: str) -> None:
    losses, wins, corrections = Diary(), Diary(), Diary()
    reactors = [
        Reactor("losses", {DealLost}, act=losses),
        Reactor("wins", {DealWon}, act=wins),
        Reactor("corrections", {FactRetracted}, act=corrections),
    ]
    with SalesFlow(database_url, reactors=reactors) as flow:
        deal = lost(flow)
        for _ in range(2):  # a retraction, and the retraction of that
            with flow.session(actor="ann") as s:
                s.retract(flow.history(deal.id)[-1].event_id, because="a slip")
        flow.reactors.catch_up()
        told = flow.history(deal.id)[1:]
    assert losses.events == told
    assert corrections.events == told[1:]
    assert wins.events == []


def test_a_reactor_that_fails_stays_before_the_event_while_others_go_on(
    database_url: str,
) -> None:
    broken, whole = Diary(), Diary()
    reactors = [Reactor("hook", {DealLost}, act=broken), Reactor("mail", {DealLost}, act=whole)]
    with SalesFlow(database_url, reactors=reactors) as flow:
        lost(flow)
        flow.reactors.catch_up()
        broken.broken = True
        stands = flow.reactors.positions()["hook"]
        deal = lost(flow)
        failing = flow.log.head().position
        lost(flow)
        said = (
            f"reactor 'hook' stopped before position {failing} \\(deal.lost of {deal.id}\\):"
            " ConnectionError\\('nobody answers'\\)"
        )
        for _ in range(2):
            with pytest.raises(ReactorError, match=said):
                flow.reactors.catch_up()
        assert stands <= flow.reactors.positions()["hook"] < failing
        assert len(whole.events) == 3
        broken.broken = False
        flow.reactors.catch_up()
        assert broken.events == whole.events


def test_what_a_reactor_writes_and_its_position_are_one_transaction(database_url: str) -> None:
    fails = True

    def write(event: Event, connection: sa.Connection) -> None:
        connection.execute(sa.text("INSERT INTO noted VALUES (:at)"), {"at": event.position})
        if fails:
            raise ValueError("after the row was written")

    reactors = [Reactor("index", {DealLost}, write=write)]
    with SalesFlow(database_url, reactors=reactors) as flow:
        with flow.log.database.begin() as connection:
            connection.execute(sa.text("CREATE TABLE noted (at INTEGER)"))
        lost(flow)
        with pytest.raises(ReactorError, match="after the row was written"):
            flow.reactors.catch_up()
        assert rows(flow) == []
        fails = False
        flow.reactors.catch_up()
        assert rows(flow) == [(flow.log.head().position,)]


def test_a_reactor_may_write_a_page_at_once_and_its_position_with_it(database_url: str) -> None:
    fails, pages = True, list[int]()

    def write(events: Sequence[Event], connection: sa.Connection) -> None:
        for event in events:
            connection.execute(
                sa.text("INSERT INTO noted VALUES (:at)"), {"at": event.position}
            )
        pages.append(len(events))
        if fails:
            raise ValueError("after the rows were written")

    reactors = [Reactor("index", {ContactLogged}, write_page=write)]
    with SalesFlow(database_url, reactors=reactors) as flow:
        with flow.log.database.begin() as connection:
            connection.execute(sa.text("CREATE TABLE noted (at INTEGER)"))
        calls = called(flow, 7)
        with pytest.raises(ReactorError, match="after the rows were written"):
            flow.reactors.catch_up()
        assert rows(flow) == []
        fails = False
        assert flow.reactors.advance("index")
        assert not flow.reactors.advance("index")
        flow.reactors.catch_up()
        assert rows(flow) == [(call.position,) for call in calls]
        assert pages == [7, 7]
        flow.rebuild()
        flow.reactors.catch_up()
        assert len(rows(flow)) == 7


def test_a_page_ends_before_what_cannot_be_read(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reacting, "PAGE_EVENTS", 4)
    given: list[int] = []

    def write(events: Sequence[Event], _: sa.Connection) -> None:
        given.extend(event.position for event in events)

    with SalesFlow(sqlite_url) as flow:
        calls = called(flow, 6)
    wrong = calls[3]
    tamper(
        sqlite_url,
        "UPDATE salesflow_events SET topic = 'deal.contact_logged:99'"
        f" WHERE position = {wrong.position}",
    )
    index = Reactor("index", {ContactLogged}, write_page=write, after=0)
    with SalesFlow(sqlite_url, reactors=[index]) as flow:
        for _ in range(2):
            with pytest.raises(HistoryError, match=f"position {wrong.position}"):
                flow.reactors.catch_up()
        assert given == [call.position for call in calls[:3]]
        assert flow.reactors.positions() == {"index": wrong.position - 1}
        with flow.session(actor="ann") as s:
            s.retract(wrong.event_id, because="damaged")
        flow.reactors.catch_up()
        assert given[:6] == [call.position for call in (*calls[:3], *calls[4:])] + given[5:6]


def rows(flow: SalesFlow) -> list[tuple[int]]:
    with flow.log.database.read() as connection:
        return [(row.at,) for row in connection.execute(sa.text("SELECT at FROM noted"))]


def test_a_reactor_may_record_what_follows_once_for_each_event(database_url: str) -> None:
    def thank(event: Event) -> None:
        for _ in range(2):  # as if it had been killed and were given the event again
            flow.run(
                lambda s: s.get(Deal, event.stream_id).post_message("sorry"),
                command_id=f"thank {event.event_id}",
            )

    reactors = [Reactor("thanks", {DealLost}, act=thank)]
    with SalesFlow(database_url, reactors=reactors) as flow:
        deal = lost(flow)
        flow.reactors.catch_up()
        flow.reactors.catch_up()
        kinds = [event.fact.kind for event in flow.history(deal.id)]
    assert kinds == ["deal.opened", "deal.lost", "deal.message_posted"]


def test_another_worker_leaves_an_event_alone_until_the_lease_has_run_out(
    database_url: str,
) -> None:
    """One worker stops in the middle of acting; its lease is all that tells the others."""
    now, given = NOON, list[str]()

    def reactors(name: str, then: Callable[[], None]) -> list[Reactor]:
        def act(event: Event) -> None:
            given.append(f"{name} {event.position}")
            then()

        return [Reactor("mail", {DealLost}, act=act, lease_seconds=30)]

    with SalesFlow(
        database_url, reactors=reactors("other", lambda: None), clock=lambda: now
    ) as other:

        def meanwhile() -> None:
            nonlocal now
            other.reactors.catch_up()
            now += timedelta(seconds=29)
            other.reactors.catch_up()
            assert len(given) == 1
            now += timedelta(seconds=1)
            other.reactors.catch_up()
            assert len(given) == 2

        with SalesFlow(
            database_url, reactors=reactors("first", meanwhile), clock=lambda: now
        ) as first:
            lost(first)
            head = first.log.head().position
            first.reactors.catch_up()  # comes too late, and does not move it
            assert given == [f"first {head}", f"other {head}"]
            assert first.reactors.positions() == {"mail": head}


def prepared(flow: SalesFlow) -> list[Event]:
    number = (
        "INTEGER PRIMARY KEY"
        if flow.log.database.dialect == "sqlite"
        else "INTEGER GENERATED ALWAYS AS IDENTITY"
    )
    with flow.log.database.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE noted (number {number}, event TEXT)"))
    return called(flow, 60)


def worker(url: str, file: Path, goal: int, lease_seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "reactor_worker", url, str(file), str(goal)]
    process = subprocess.Popen(
        [*command, str(lease_seconds)],
        cwd=TESTS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def begin(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_two_processes_at_once_act_on_each_event_once_and_in_order(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "acted"
    with SalesFlow(database_url) as flow:
        events = [event.event_id for event in prepared(flow)]
        goal = flow.log.head().position
        workers = [worker(database_url, file, goal, 60) for _ in range(2)]
        for each in workers:
            begin(each)
        for each in workers:
            each.communicate(timeout=WAIT_SECONDS)
        assert [each.returncode for each in workers] == [0, 0]
        assert acted(str(file)) == events
        assert written(flow) == events


def test_a_worker_killed_in_the_middle_loses_no_event_and_writes_none_twice(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "acted"
    file.touch()
    with SalesFlow(database_url) as flow:
        events = [event.event_id for event in prepared(flow)]
        goal = flow.log.head().position
        for number in range(KILLS):
            wanted = len(acted(str(file))) + Random(number).randrange(1, 8)
            each = worker(database_url, file, goal, 0)
            begin(each)
            while len(acted(str(file))) < wanted and each.poll() is None:
                pass
            each.kill()
            each.communicate()
        worker(database_url, file, goal, 0).communicate("\n", timeout=WAIT_SECONDS)
        found = acted(str(file))
        assert list(dict.fromkeys(found)) == events
        assert len(found) <= len(events) + KILLS
        assert written(flow) == events


def test_a_worker_follows_and_tries_again_what_failed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reacting, "RETRY_SECONDS", 0.0)
    diary, stop, told = Diary(), Flag(), Queue[Reacted]()
    diary.broken = True
    with SalesFlow(database_url, reactors=[Reactor("mail", {DealLost}, act=diary)]) as flow:
        follow = {"stop": stop, "on_reacted": told.put}
        thread = Thread(target=flow.reactors.follow, kwargs=follow)
        thread.start()
        try:
            lost(flow)
            found = told.get(timeout=WAIT_SECONDS)
            while not found.failed:
                found = told.get(timeout=WAIT_SECONDS)
            assert "nobody answers" in found.failed["mail"]
            diary.broken = False
            while found.failed or found.positions["mail"] < found.head.position:
                found = told.get(timeout=WAIT_SECONDS)
        finally:
            stop.set()
            thread.join(WAIT_SECONDS)
        assert not thread.is_alive()
    assert diary.kinds == ["deal.lost"]


def test_one_that_just_failed_is_left_alone_for_a_while(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reacting, "RETRY_SECONDS", 3600.0)
    tries, stop, told = [], Flag(), list[Reacted]()

    def act(event: Event) -> None:
        tries.append(event.position)
        raise ConnectionError("nobody answers")

    with SalesFlow(database_url, reactors=[Reactor("mail", {DealLost}, act=act)]) as flow:
        lost(flow)

        def tell(found: Reacted) -> None:
            told.append(found)
            if len(told) == 1:
                opened(flow)
            else:
                stop.set()

        flow.reactors.follow(stop=stop, on_reacted=tell)
    assert len(tries) == 1
    assert list(told[1].failed) == ["mail"]


def test_a_worker_waits_while_somebody_holds_the_database_and_goes_on_after(
    database_url: str,
) -> None:
    stop, told, diary = Flag(), list[bool](), Diary()
    with (
        SalesFlow(database_url, reactors=[Reactor("mail", {DealLost}, act=diary)]) as flow,
        Database(database_url, wait_seconds=0.01) as impatient,
        ExitStack() as holding,
    ):
        lost(flow)
        mail = Reactor("mail", {DealLost}, act=diary)
        worker = Reactors(EventLog(impatient, catalogue=CATALOGUE), {mail.name: mail})
        connection = holding.enter_context(flow.log.database.begin())
        connection.execute(sa.update(REACTORS).values(position=REACTORS.c.position))

        def tell(found: Reacted) -> None:
            told.append(found.busy)
            if found.busy:
                holding.close()
            else:
                stop.set()

        worker.follow(stop=stop, on_reacted=tell)
        assert told == [True, False]
        assert flow.reactors.positions() == {"mail": flow.log.head().position}
    assert diary.kinds == ["deal.lost"]


def test_a_reactor_may_record_facts_in_the_transaction_that_moves_it(database_url: str) -> None:
    def thank(event: Event, connection: sa.Connection) -> None:
        with flow.session(connection=connection) as s:
            s.get(Deal, event.stream_id).post_message("sorry")

    reactors = [Reactor("thanks", {DealLost}, write=thank)]
    with SalesFlow(database_url, reactors=reactors) as flow:
        deal = lost(flow)
        flow.reactors.catch_up()
        flow.reactors.catch_up()
        kinds = [event.fact.kind for event in flow.history(deal.id)]
    assert kinds == ["deal.opened", "deal.lost", "deal.message_posted"]


def test_a_worker_that_is_stopped_leaves_the_rest_for_the_next(database_url: str) -> None:
    stop, given = Flag(), list[int]()

    def act(event: Event) -> None:
        given.append(event.position)
        stop.set()

    with SalesFlow(database_url, reactors=[Reactor("m", {ContactLogged}, act=act)]) as flow:
        calls = called(flow, 3)
        flow.reactors.follow(stop=stop)
        assert given == [calls[0].position]
        flow.reactors.catch_up()
        assert given == [call.position for call in calls]


def test_tenants_have_reactors_of_their_own(database_url: str) -> None:
    one, other = Diary(), Diary()
    with (
        SalesFlow(database_url, reactors=[Reactor("mail", {DealLost}, act=one)]) as flow,
        SalesFlow(
            database_url, tenant="b", reactors=[Reactor("mail", {DealLost}, act=other)]
        ) as beside,
    ):
        lost(flow)
        beside.reactors.catch_up()
        flow.reactors.catch_up()
    assert (one.kinds, other.kinds) == (["deal.lost"], [])


def test_a_reactor_needs_a_name_of_its_own_and_one_thing_to_do() -> None:
    def act(_: Event) -> None: ...

    with pytest.raises(InputError, match="either `act`, `write` or `write_page`"):
        Reactor("mail", {DealLost})
    with pytest.raises(InputError, match="a name of 1 to 100"):
        Reactor("", {DealLost}, act=act)
    twice = [Reactor("mail", {DealLost}, act=act), Reactor("mail", {DealWon}, act=act)]
    with pytest.raises(InputError, match="two reactors have the same name"):
        SalesFlow("sqlite://", reactors=twice)


def test_without_reactors_there_is_nothing_to_do(flow: SalesFlow) -> None:
    flow.reactors.catch_up()
    assert flow.reactors.positions() == {}

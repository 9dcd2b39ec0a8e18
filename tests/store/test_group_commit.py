"""Threads that append at once share a transaction; each gets its own result or error."""

from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from signal import SIGINT, pthread_kill
from threading import Barrier, Event, Thread, get_ident
from uuid import uuid4

import pytest

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store import log as event_log
from salesflow.adapters.event_store.log import EventLog, GroupCommit, Receipt, Request
from salesflow.errors import (
    AlreadyRecordedError,
    BusyError,
    ConcurrentChangeError,
    DatabaseError,
    InputError,
)
from store.facts import NOTES, Clock, draft, drafts
from store.interrupting import interrupted_at, lines_of

THREADS = 8


class Gate:
    """Commits groups of numbers, each time only when it is let."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.entered = Event()
        self.let = Event()
        self.commit: GroupCommit[int, int] = GroupCommit(self)

    def __call__(self, group: list[Request[int, int]], _: float) -> None:
        self.groups.append([request.asked for request in group])
        self.entered.set()
        assert self.let.wait(30)
        for request in group:
            if request.asked < 0:
                request.error = InputError(f"{request.asked}")
            else:
                request.answer = request.asked * 10

    def waiting(self, count: int) -> None:
        while len(self.commit._queue) < count:
            Event().wait(0.001)


def lead(gate: Gate, pool: ThreadPoolExecutor, number: int) -> Future[int]:
    """Have a thread lead, and wait until it is committing."""
    leader = pool.submit(gate.commit.submit, number)
    assert gate.entered.wait(30)
    return leader


def test_who_comes_while_a_group_commits_makes_up_the_next_one() -> None:
    gate = Gate()
    with ThreadPoolExecutor(10) as pool:
        leader = lead(gate, pool, 1)
        followers = []
        for number in (2, 3, 4):
            followers.append(pool.submit(gate.commit.submit, number))
            gate.waiting(len(followers))
        gate.let.set()
        assert [each.result(30) for each in (leader, *followers)] == [10, 20, 30, 40]
    assert gate.groups == [[1], [2, 3, 4]]


def test_each_of_a_group_gets_its_own_error() -> None:
    gate = Gate()
    with ThreadPoolExecutor(10) as pool:
        lead(gate, pool, 1)
        bad = pool.submit(gate.commit.submit, -2)
        gate.waiting(1)
        good = pool.submit(gate.commit.submit, 3)
        gate.waiting(2)
        gate.let.set()
        assert good.result(30) == 30
        with pytest.raises(InputError, match="-2"):
            bad.result(30)


def test_when_the_leader_is_interrupted_those_who_wait_commit_for_themselves() -> None:
    entered, let, failing = Event(), Event(), [True]

    def commit(group: list[Request[int, int]], _: float) -> None:
        entered.set()
        assert let.wait(30)
        if len(group) > 1 and failing.pop():
            raise ZeroDivisionError
        for request in group:
            request.answer = request.asked

    shared: GroupCommit[int, int] = GroupCommit(commit)
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(shared.submit, 1)
        assert entered.wait(30)
        second = pool.submit(shared.submit, 2)
        while len(shared._queue) < 1:
            Event().wait(0.001)
        third = pool.submit(shared.submit, 3)
        while len(shared._queue) < 2:
            Event().wait(0.001)
        let.set()
        assert first.result(30) == 1
        with pytest.raises(ZeroDivisionError):
            second.result(30)
        assert third.result(30) == 3
    assert shared.submit(4) == 4


@pytest.mark.no_cover  # an exception while coverage notes a line would keep its lock
def test_a_thread_interrupted_while_it_waits_leaves_the_queue_to_the_others() -> None:
    gate = Gate()
    this_thread = get_ident()

    def interrupt() -> None:
        gate.waiting(1)
        pthread_kill(this_thread, SIGINT)

    with ThreadPoolExecutor(10) as pool:
        leader = lead(gate, pool, 1)
        pool.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            gate.commit.submit(2)
        follower = pool.submit(gate.commit.submit, 3)
        gate.waiting(1)
        gate.let.set()
        assert (leader.result(30), follower.result(30)) == (10, 30)
    assert gate.groups == [[1], [3]]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Give one whose leaders wait for as long as it takes, where the last groups were slow."""
    monkeypatch.setattr(event_log, "GATHER_SECONDS_MAX", 3600.0)
    gate = Gate()
    gate.let.set()
    gate.commit._took, gate.commit._expected = (7200.0, 7200.0), 3
    return gate


def test_on_a_slow_disk_a_leader_waits_for_those_who_wrote_last(patient: Gate) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = [pool.submit(patient.commit.submit, number) for number in (1, 2, 3)]
        assert [each.result(30) for each in found] == [10, 20, 30]
    assert [sorted(group) for group in patient.groups] == [[1, 2, 3]]


def test_on_a_quick_disk_a_leader_waits_for_nobody(patient: Gate) -> None:
    patient.commit._took = (7200.0, 0.0)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(patient.commit.submit, 1).result(30) == 10


def test_who_waited_in_vain_for_others_waits_for_nobody_the_next_time(patient: Gate) -> None:
    patient.commit._took = (0.01, 0.01)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(patient.commit.submit, 1).result(30) == 10
        patient.commit._took = (7200.0, 7200.0)
        assert pool.submit(patient.commit.submit, 2).result(30) == 20


@pytest.mark.no_cover  # an exception while coverage notes a line would keep its lock
def test_a_leader_interrupted_while_it_waits_for_others_leaves_them_the_lead(
    patient: Gate,
) -> None:
    this_thread = get_ident()

    def interrupt() -> None:
        while patient.commit._complete is None:
            Event().wait(0.001)
        pthread_kill(this_thread, SIGINT)

    with ThreadPoolExecutor(2) as pool:
        pool.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            patient.commit.submit(1)
        found = [pool.submit(patient.commit.submit, number) for number in (2, 3)]
        patient.waiting(1)
        assert patient.commit.submit(4) == 40
        assert [each.result(30) for each in found] == [20, 30]
    assert [sorted(group) for group in patient.groups] == [[2, 3, 4]]


@pytest.mark.no_cover  # an exception while coverage notes a line would keep its lock
def test_at_whatever_line_a_leader_that_waits_is_cut_off_another_one_leads() -> None:
    def slow() -> Gate:
        gate = Gate()
        gate.let.set()
        gate.commit._took, gate.commit._expected = (0.004, 0.004), 2
        return gate

    file = str(event_log.__file__)
    lines = lines_of(partial(slow().commit.submit, 1), file)
    for line in range(1, lines + 1):
        gate = slow()
        assert interrupted_at(line, partial(gate.commit.submit, 1), file) is not None
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(gate.commit.submit, 2).result(30) == 20
    assert lines > 40


def test_when_the_log_is_held_too_long_everybody_who_waits_is_told_so(
    database_url: str,
) -> None:
    with Database(database_url) as holder, Database(database_url, wait_seconds=0.2) as waiter:
        log = EventLog(waiter, catalogue=NOTES)
        log.append([draft()])
        barrier = Barrier(4)

        def work(_: int) -> Exception | Receipt:
            barrier.wait(30)
            try:
                return log.append([draft()])
            except BusyError as error:
                return error

        with holder.begin() as connection:
            EventLog(holder, catalogue=NOTES).append([draft()], connection=connection)
            with ThreadPoolExecutor(4) as pool:
                outcomes = list(pool.map(work, range(4)))
        assert [type(outcome) for outcome in outcomes] == [BusyError] * 4
        assert len({id(outcome) for outcome in outcomes}) == 4
        assert log.append([draft()]).first == 3


class Failing(Gate):
    """Lets a group fail as it is told, once another thread waits."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: list[int] = []
        self.failing = Event()
        self.go_on = Event()

    def __call__(self, group: list[Request[int, int]], deadline: float) -> None:
        if self.fails and group[0].asked == self.fails[0]:
            self.fails.clear()
            self.groups.append([request.asked for request in group])
            self.failing.set()
            assert self.go_on.wait(30)
            self.fail(group)
        else:
            super().__call__(group, deadline)

    def fail(self, group: list[Request[int, int]]) -> None:
        """Say that the leader is to be tried again, or raise what cut it off."""
        for request in group:
            request.again = True


class CutOff(Failing):
    """Is hit by an exception in the middle of a commit."""

    def fail(self, group: list[Request[int, int]]) -> None:
        """Leave all of the group unsettled."""
        assert len(group) > 1
        raise KeyboardInterrupt


def failed(gate: Failing, pool: ThreadPoolExecutor, waiting: list[int]) -> list[Future[int]]:
    """Let the second group fail while one more request waits, and all others go well."""
    gate.fails = [waiting[0]]
    found = [lead(gate, pool, 1)]
    for number in waiting:
        found.append(pool.submit(gate.commit.submit, number))
        gate.waiting(len(found) - 1)
    gate.let.set()
    assert gate.failing.wait(30)
    found.append(pool.submit(gate.commit.submit, 9))
    gate.waiting(1)
    gate.go_on.set()
    return found


def test_a_leader_that_is_to_be_tried_again_waits_in_the_queue_like_others() -> None:
    gate = Failing()
    with ThreadPoolExecutor(4) as pool:
        found = failed(gate, pool, [2])
    assert [each.result() for each in found] == [10, 20, 90]
    assert gate.groups == [[1], [2], [9, 2]]


def test_those_whose_leader_was_cut_off_come_first_in_the_next_group() -> None:
    gate = CutOff()
    with ThreadPoolExecutor(4) as pool:
        found = failed(gate, pool, [2, 3])
    with pytest.raises(KeyboardInterrupt):
        found.pop(1).result()
    assert [each.result() for each in found] == [10, 30, 90]
    assert gate.groups == [[1], [2, 3], [3, 9]]


def test_a_request_that_nobody_settled_is_not_taken_for_recorded() -> None:
    forgetful: GroupCommit[int, int] = GroupCommit(lambda group, _: group.clear())
    with pytest.raises(DatabaseError, match="whether the append was recorded is unknown"):
        forgetful.submit(1)


def at_once(log: EventLog, works: int) -> tuple[list[Receipt], list[BaseException]]:
    """Append in so many threads at the same time, every other time in conflict."""
    contested = uuid4()
    barrier = Barrier(works)
    receipts: list[Receipt] = []
    errors: list[BaseException] = []

    def work(number: int) -> None:
        barrier.wait(30)
        for turn in range(20):
            own = draft()
            told = [own, draft(contested, turn + 1)] if number % 2 else [own]
            try:
                receipts.append(log.append(told, command_id=f"{number}/{turn}"))
            except ConcurrentChangeError as error:
                errors.append(error)

    threads = [Thread(target=work, args=(number,)) for number in range(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return receipts, errors


def test_appends_of_many_threads_are_each_recorded_once_or_refused(database: Database) -> None:
    log = EventLog(database, catalogue=NOTES, clock=Clock())
    receipts, errors = at_once(log, THREADS)
    assert len(receipts) + len(errors) == THREADS * 20
    assert len(errors) >= (THREADS // 2 - 1) * 20
    events = log.page(0, 10_000)
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    by_position = {event.position: event for event in events}
    told = sorted(receipts)
    assert [receipt.first for receipt in told[1:]] == [
        receipt.last + 1 for receipt in told[:-1]
    ]
    assert told[-1].last == len(events)
    for receipt in told:
        recorded = [by_position[at] for at in range(receipt.first, receipt.last + 1)]
        assert tuple(event.event_id for event in recorded) == receipt.event_ids
        assert {event.command_id for event in recorded} == {receipt.command_id}
        assert {event.recorded for event in recorded} == {receipt.recorded}
        assert log.receipt(str(receipt.command_id)) == receipt
    times = [receipt.recorded for receipt in told]
    assert times == list(range(times[0], times[0] + len(times)))


def test_a_command_sent_by_many_threads_at_once_is_recorded_once(database: Database) -> None:
    log = EventLog(database, catalogue=NOTES)
    barrier = Barrier(THREADS)

    def send(_: int) -> object:
        barrier.wait(30)
        try:
            return log.append([draft()], command_id="c-1")
        except AlreadyRecordedError as error:
            return error.receipt

    with ThreadPoolExecutor(THREADS) as pool:
        receipts = set(pool.map(send, range(THREADS)))
    assert len(receipts) == 1
    assert log.head().position == 1


def test_one_bad_append_of_a_group_does_not_spoil_the_others(database: Database) -> None:
    clock = Clock()
    log = EventLog(database, catalogue=NOTES, clock=clock)
    deal = uuid4()
    log.append(drafts(1, deal))
    barrier = Barrier(4)
    future = draft(occurred=clock.instant + 3_600_000_000)
    works = [[draft()], [draft(deal, 1)], [future], drafts(150)]

    def work(number: int) -> Receipt | BaseException:
        barrier.wait(30)
        try:
            return log.append(works[number])
        except (ConcurrentChangeError, InputError) as error:
            return error

    for _ in range(10):
        works[0], works[3] = [draft()], drafts(150)
        with ThreadPoolExecutor(4) as pool:
            good, conflict, ahead, large = pool.map(work, range(4))
        assert isinstance(good, Receipt)
        assert isinstance(conflict, ConcurrentChangeError)
        assert isinstance(ahead, InputError)
        assert isinstance(large, Receipt)
    assert log.head().position == 1 + 10 * 151

"""Writers and a reader in processes of their own, and the check of what the reader got.

    python -m store.tailing write URL EVENTS SEED     prints a line per acknowledged event
    python -m store.tailing read URL EVENTS HOW       prints a line per event read

A line is a position and an event id. `HOW` is `subscription`, or one of the broken readers
that the check has to catch: `careless` goes on from the head instead of from what it read,
`forgetful` starts a page too early.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from threading import Lock, Thread
from typing import NamedTuple
from uuid import uuid4

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog, NewEvent, Receipt
from salesflow.domain.event import Event
from salesflow.domain.ids import new_id
from store.facts import NOTES

__all__ = ["Outcome", "check", "run"]

TESTS = Path(__file__).parent.parent
THREADS = 4
WAIT_SECONDS = 120
TOPIC = "test.noted:1"


class Outcome(NamedTuple):
    """What is wrong with what a reader got; all empty when nothing is."""

    missed: list[int]
    twice: list[int]
    out_of_order: list[int]
    unlike: list[int]
    """Positions whose event is another one than the writer was told."""

    @property
    def is_right(self) -> bool:
        return not any(self)


def check(told: dict[int, str], read: list[tuple[int, str]]) -> Outcome:
    """Compare what writers were told with what a reader got."""
    got = dict(read)
    positions = [position for position, _ in read]
    expected = {*told, *range(1, max(told, default=0) + 1)}
    return Outcome(
        missed=sorted(expected - set(got)),
        twice=sorted(p for p, times in Counter(positions).items() if times > 1),
        out_of_order=[b for a, b in pairwise(positions) if b <= a],
        unlike=sorted(p for p, event in told.items() if got.get(p, event) != event),
    )


def run(url: str, events: int, how: str = "subscription") -> Outcome:
    """Let 8 threads in 2 processes write while a third process reads; check what it got."""
    commands = [
        ["write", url, str(events // 2), "1"],
        ["write", url, str(events - events // 2), "2"],
        ["read", url, str(events), how],
    ]
    processes = [_started(command) for command in commands]
    lines = [list(_lines(process)) for process in _answering(processes)]
    told = [*lines[0], *lines[1]]
    assert len(told) == len(dict(told)) == events, "the writers were not told all positions"
    return check(dict(told), lines[2])


def _started(command: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "store.tailing", *command],
        stdout=subprocess.PIPE,
        text=True,
        cwd=TESTS,
    )


def _answering(processes: list["subprocess.Popen[str]"]) -> Iterator[str]:
    """Collect what the processes print, each in a thread, so that none of them has to wait."""
    outputs = [""] * len(processes)

    def collect(number: int) -> None:
        outputs[number] = processes[number].communicate()[0]

    threads = [Thread(target=collect, args=(number,)) for number in range(len(processes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.returncode for process in processes] == [0] * len(processes)
    yield from outputs


def _lines(output: str) -> Iterator[tuple[int, str]]:
    for line in output.splitlines():
        position, _, event = line.partition(" ")
        yield int(position), event


def write(url: str, events: int, seed: int) -> None:
    """Append so many events in four threads, in appends of every kind and size."""
    with Database(url, wait_seconds=WAIT_SECONDS) as database:
        log = EventLog(database, catalogue=NOTES)
        left, lock = [events], Lock()
        told: list[Receipt] = []

        def work(random: Random) -> None:
            while True:
                with lock:
                    size = min(left[0], random.choice([1, 1, 1, 2, 3, 5, 8, 150]))
                    left[0] -= size
                if size == 0:
                    return
                told.extend(_append(log, random, size))

        threads = [
            Thread(target=work, args=(Random(f"{seed}/{number}"),)) for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for receipt in told:
        for position, event in enumerate(receipt.event_ids, receipt.first):
            sys.stdout.write(f"{position} {event}\n")


def _append(log: EventLog, random: Random, size: int) -> list[Receipt]:
    stream = uuid4()
    drafts = [
        NewEvent(stream, version + 1, TOPIC, b"{}", new_id(), None) for version in range(size)
    ]
    kind = random.randrange(10)
    if kind == 0:
        with log.database.begin() as connection:
            return [log.append(drafts, connection=connection)]
    if kind == 1:
        alone = [[draft._replace(stream_id=uuid4(), version=1)] for draft in drafts]
        return log.append_many(alone)
    return [log.append(drafts, command_id=str(stream) if kind < 5 else None)]


def read(url: str, events: int, how: str) -> None:
    """Print what a reader gets until it has come to the last position."""
    with Database(url, wait_seconds=WAIT_SECONDS) as database:
        log = EventLog(database, catalogue=NOTES)
        if how == "subscription":
            with log.subscribe() as subscription:
                for event in subscription:
                    _say(event)
                    if event.position >= events:
                        return
        after = 0
        while after < events:
            page = log.page(after, 5)
            for event in page:
                _say(event)
            if page:
                after = page[-1].position if how == "forgetful" else log.head().position
                if how == "forgetful" and after < events:
                    after -= 1


def _say(event: Event) -> None:
    sys.stdout.write(f"{event.position} {event.event_id}\n")


if __name__ == "__main__":
    task, address, count, more = sys.argv[1:]
    if task == "write":
        write(address, int(count), int(more))
    else:
        read(address, int(count), more)

"""Writers that are killed, and the check of what they left behind.

    python -m store.crashing URL CYCLES HOW     prints the findings as JSON

A cycle forks a writer (after the imports, so that it costs milliseconds), lets it acknowledge
some appends and kills it in the middle of the next. `HOW` is `log`, or one of the broken
stores that the check has to catch: `early` acknowledges before it commits, `torn` writes the
events of an append one by one.

Every append says in the command id what it is and in the actor how many events it has, so
what is found in the log can be judged without asking who wrote it.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from threading import Thread
from typing import NamedTuple
from uuid import uuid4

from salesflow.adapters.database.database import Database
from salesflow.adapters.event_store.log import EventLog, NewEvent
from salesflow.domain.ids import new_id
from store.facts import NOTES

__all__ = ["Findings", "Judge", "append_marked", "kill_writers"]

TESTS = Path(__file__).parent.parent
THREADS = 3
TOPIC = "test.noted:1"


class Findings(NamedTuple):
    """What was found after all crashes."""

    acknowledged: int
    recorded: int
    """Appends found in the log, acknowledged or not."""
    lost: int
    """Appends that were acknowledged and are not in the log."""
    half: int
    """Appends of which only a part is in the log."""
    gaps: int
    """Places where positions do not follow one another or times do not grow."""


class Judge:
    """Compares what was added to a log since it last looked with what was acknowledged."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._after = log.head().position
        self._recorded = 0
        self._acknowledged: set[str] = set()
        self._lost = self._half = self._gaps = 0
        self._time = 0

    def look(self, acknowledged: list[str]) -> None:
        """Judge everything recorded since the last look."""
        sizes: Counter[str] = Counter()
        expected: dict[str, int] = {}
        head = self._log.head()
        while page := self._log.stored_page(self._after, 10_000):
            for event in page:
                self._gaps += event.position != self._after + 1
                self._gaps += event.recorded < self._time
                self._after, self._time = event.position, event.recorded
                name = str(event.correlation_id)
                sizes[name] += 1
                expected[name] = int(str(event.actor))
        self._gaps += head.position != self._after
        self._recorded += len(sizes)
        self._half += sum(sizes[name] != size for name, size in expected.items())
        self._lost += len(set(acknowledged) - set(sizes))
        self._acknowledged |= set(acknowledged)

    def findings(self) -> Findings:
        """Say what was found so far."""
        return Findings(
            len(self._acknowledged), self._recorded, self._lost, self._half, self._gaps
        )


def append_marked(
    log: EventLog, random: Random, say: Callable[[str], object], how: str
) -> None:
    """Append something that says what it is, and acknowledge it."""
    name = uuid4()
    size = random.choice([1, 1, 2, 3, 5, 8, 120])
    drafts = [
        NewEvent(
            name,
            version + 1,
            TOPIC,
            b"{}",
            new_id(),
            None,
            actor=str(size),
            correlation_id=str(name),
        )
        for version in range(size)
    ]
    if how == "early":
        say(str(name))
    if how == "torn":
        for draft in drafts:
            log.append([draft])
    else:
        log.append(drafts, command_id=str(name) if size % 2 else None)
    say(str(name))


def kill_writers(url: str, cycles: int, how: str = "log") -> Findings:
    """Kill so many writers of a database in mid-append, and say what was found."""
    done = subprocess.run(
        [sys.executable, "-m", "store.crashing", url, str(cycles), how],
        check=True,
        capture_output=True,
        text=True,
        cwd=TESTS,
    )
    assert done.stderr == ""
    return Findings(**json.loads(done.stdout))


def crash(url: str, cycles: int, how: str) -> Findings:
    """Fork and kill writers one after the other, and judge the log after each."""
    with Database(url) as database:
        judge = Judge(EventLog(database, catalogue=NOTES))
    for cycle in range(cycles):
        acknowledged = _killed(url, Random(cycle), how)
        with Database(url) as database:
            judge._log = EventLog(database, catalogue=NOTES)
            judge.look(acknowledged)
            if cycle % 20 == 0:
                with database.read() as connection:
                    assert connection.exec_driver_sql("PRAGMA quick_check").scalar() == "ok"
    return judge.findings()


def _killed(url: str, random: Random, how: str) -> list[str]:
    """Fork a writer, wait for some acknowledgements, kill it, and give all it said."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _write_for_ever(url, writing, random, how)
    os.close(writing)
    wanted = random.randrange(1, 25)
    said = b""
    with os.fdopen(reading, "rb", buffering=0) as answers:
        while said.count(b"\n") < wanted:
            said += answers.read(1_000)
        os.kill(child, signal.SIGKILL)
        while more := answers.read(1_000):
            said += more
    os.waitpid(child, 0)
    return said.decode().split("\n")[:-1]


def _write_for_ever(url: str, out: int, random: Random, how: str) -> None:
    log = EventLog(Database(url), catalogue=NOTES)

    def work(random: Random) -> None:
        while True:
            append_marked(log, random, lambda name: os.write(out, f"{name}\n".encode()), how)

    for _ in range(THREADS - 1):
        Thread(target=work, args=(Random(random.random()),)).start()
    work(random)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(crash(sys.argv[1], int(sys.argv[2]), sys.argv[3])._asdict()))

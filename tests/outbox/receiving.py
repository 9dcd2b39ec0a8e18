"""What tests of the outbox share: a receiver that is a process, deals to tell of, a check.

with Receiver(tmp_path) as receiver:
    flow.outbox.deliver([receiver.endpoint()])
    assert receiver.notes == …
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Thread
from typing import Any, Self
from urllib.request import urlopen

from salesflow import STANDARD, Customer, Deal, SalesFlow
from salesflow.adapters.outbox.endpoints import Endpoint, endpoint_of
from salesflow.domain.event import Event

__all__ = [
    "SECRET",
    "SECRET_NAME",
    "Note",
    "Receiver",
    "called",
    "deal_events",
    "delivering",
    "opened",
    "what_went_wrong",
]

TESTS = Path(__file__).parent.parent
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET_NAME = "RECEIVER_SECRET"
WAIT_SECONDS = 240
Note = dict[str, Any]


class Receiver:
    """A receiver in a process of its own, on one port however often it is started."""

    def __init__(self, folder: Path) -> None:
        self._notes: list[Note] = []
        self._marks = 0
        self._orders = folder / "orders.json"
        self._changed = Condition()
        self._port = "0"
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def notes(self) -> list[Note]:
        """What it was told until now."""
        if self._process.poll() is not None:
            return self._notes
        with self._changed:
            marks = self._marks
        with urlopen(self.url):
            pass
        with self._changed:
            assert self._changed.wait_for(lambda: self._marks > marks, WAIT_SECONDS)
            return [*self._notes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/hook"

    def endpoint(self, name: str = "crm", **given: object) -> Endpoint:
        """Give the endpoint of it, which begins at the beginning of the log."""
        told = {
            "name": name,
            "url": self.url,
            "after": 0,
            "facts": ["deal.*"],
            "retry_seconds": 0.05,
            "secret_env": SECRET_NAME,
            "timeout": 30,
            **given,
        }
        made = endpoint_of(told)
        return Endpoint(**{**vars(made), "environment": {SECRET_NAME: SECRET}.get})

    def order(self, **ordered: object) -> None:
        """Tell it how to answer from now on."""
        part = self._orders.with_suffix(".part")
        part.write_text(json.dumps(ordered))
        part.replace(self._orders)

    def kill(self) -> None:
        """Kill it, and take down what it has noted by then."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self._start()

    def wait_until(self, met: Callable[[list[Note]], bool]) -> None:
        """Wait until what it has noted meets a condition."""
        with self._changed:
            assert self._changed.wait_for(lambda: met(self._notes), WAIT_SECONDS)

    def _start(self) -> None:
        command = [sys.executable, "-m", "outbox.receiver", self._port, str(self._orders)]
        self._process = subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._port = self._process.stdout.readline().split()[1].decode()
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith(b"\n"):  # else it was killed while it wrote
                note = json.loads(line)
                with self._changed:
                    self._marks += not note
                    self._notes += [note] if note else []
                    self._changed.notify_all()


def opened(flow: SalesFlow) -> Deal:
    with flow.session(actor="ann") as s:
        customer = s.add(Customer.register(name="Acme"))
        return s.add(Deal.open(STANDARD, customer=customer, title="ERP", owner="ann"))


def called(flow: SalesFlow, *deals: Deal, times: int = 1) -> None:
    """Log calls of deals, in turn."""
    for _ in range(times):
        with flow.session(actor="ann") as s:
            for deal in deals:
                s.get(Deal, deal.id).log_contact(channel="call", direction="out", summary="hi")


def deal_events(flow: SalesFlow) -> list[Event]:
    """Give all events of deals, in the order of the log."""
    found, page = [], flow.log.page(0, 1_000)
    while page:
        found += [event for event in page if event.fact.kind.startswith("deal.")]
        page = flow.log.page(page[-1].position, 1_000)
    return found


def what_went_wrong(notes: Sequence[Note], events: Sequence[Event]) -> list[str]:
    """Say which events were not delivered, and which came before an earlier one of their deal.

    What came again is known by its id, and left out.
    """
    wanted: dict[str, list[str]] = {}
    for event in events:
        wanted.setdefault(str(event.stream_id), []).append(str(event.event_id))
    first: dict[str, Note] = {}
    for note in notes:
        if note["status"] == 204:
            first.setdefault(note["id"], note)
    came: dict[str, list[str]] = {}
    for id, note in first.items():
        came.setdefault(note["subject"], []).append(id)
    wrong = []
    for deal, ids in wanted.items():
        got = came.pop(deal, [])
        wrong += [f"{id} of {deal} was not delivered" for id in ids if id not in got]
        if [id for id in ids if id in got] != got:
            wrong.append(f"what was told of {deal} came out of order")
    return wrong + [f"nothing was to be told of {deal}" for deal in came]


@contextmanager
def delivering(
    url: str, receiver: Receiver, mode: str = "as it is", **given: object
) -> Iterator[Callable[[], None]]:
    """Run a worker as a process of its own; give what kills it and starts another one."""
    told = {"url": receiver.url, **given}
    command = [sys.executable, "-m", "outbox.delivery_worker", url, json.dumps(told), mode]
    environment = os.environ | {SECRET_NAME: SECRET}
    running = [subprocess.Popen(command, cwd=TESTS, env=environment)]

    def restart() -> None:
        running[-1].kill()
        running[-1].wait()
        running.append(subprocess.Popen(command, cwd=TESTS, env=environment))

    try:
        yield restart
    finally:
        running[-1].kill()
        running[-1].wait()

"""Whoever receives is killed and started again, and so is who sends: nothing is lost.

Everything arrives, in order per deal; what arrives twice is known by its id.
"""

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from outbox.receiving import (
    Note,
    Receiver,
    called,
    deal_events,
    delivering,
    opened,
    what_went_wrong,
)
from salesflow import SalesFlow

pytest.importorskip("httpx2", reason="webhooks are sent by httpx2")

LONG = "SALESFLOW_TORTURE" in os.environ
DEALS, CALLS = (500, 19) if LONG else (30, 9)
RESTARTS = 50 if LONG else 3
WORKERS_KILLED = 10 if LONG else 0


def recorded(url: str, deals: int = DEALS, calls: int = CALLS) -> SalesFlow:
    flow = SalesFlow(url)
    known = [opened(flow) for _ in range(deals)]
    called(flow, *known, times=calls)
    return flow


def have_arrived(count: int) -> Callable[[list[Note]], bool]:
    """Say whether so many different messages have arrived."""
    known: set[str] = set()
    read = 0

    def met(notes: list[Note]) -> bool:
        nonlocal read
        known.update(note["id"] for note in notes[read:])
        read = len(notes)
        return len(known) >= count

    return met


def test_a_receiver_that_is_killed_again_and_again_gets_everything_in_order(
    database_url: str, tmp_path: Path
) -> None:
    with recorded(database_url) as flow, Receiver(tmp_path) as receiver:
        events, begun = deal_events(flow), monotonic()
        assert len(events) == DEALS * (CALLS + 1)
        with delivering(database_url, receiver) as restart_worker:
            for number in range(1, RESTARTS + 1):
                reached = len(events) * number // (RESTARTS + 1)
                receiver.wait_until(have_arrived(reached))
                receiver.restart()
                if WORKERS_KILLED and number % (RESTARTS // WORKERS_KILLED) == 0:
                    restart_worker()
            receiver.wait_until(have_arrived(len(events)))
        repeated = len(receiver.notes) - len({note["id"] for note in receiver.notes})
        told = f"{len(events):,} events, {RESTARTS} restarts, {repeated} twice"
        print(f"{told}, {monotonic() - begun:.1f} s")  # noqa: T201 - of the long form
        assert what_went_wrong(receiver.notes, events) == []


def test_a_delivery_that_forgets_what_fails_would_be_noticed(
    sqlite_url: str, tmp_path: Path
) -> None:
    with recorded(sqlite_url, 10, 9) as flow, Receiver(tmp_path) as receiver:
        events = deal_events(flow)
        receiver.order(status=503, refused=[str(events[40].event_id)])
        with delivering(sqlite_url, receiver, "forgets"):
            receiver.wait_until(have_arrived(len(events)))
    assert what_went_wrong(receiver.notes, events) == [
        f"{events[40].event_id} of {events[40].stream_id} was not delivered"
    ]


def test_a_delivery_out_of_order_would_be_noticed(sqlite_url: str, tmp_path: Path) -> None:
    with recorded(sqlite_url, 3, 9) as flow, Receiver(tmp_path) as receiver:
        events = deal_events(flow)
        with delivering(sqlite_url, receiver, "shuffles"):
            receiver.wait_until(have_arrived(len(events)))
    wrong = what_went_wrong(receiver.notes, events)
    assert len(wrong) == 3
    assert all(text.endswith("came out of order") for text in wrong)

"""Opening, asking, failing and closing again and again leaves nothing behind."""

import gc
import os
import threading
from collections.abc import Callable
from uuid import UUID

import pytest

from properties.effort import TORTURE
from salesflow import STANDARD, Deal, Money, SalesFlow, Session
from salesflow.errors import NotFoundError
from salesflow.projections.pipeline.deal_timeline import DealTimeline
from salesflow.projections.pipeline.funnel import Funnel

CYCLES = 1_000 if TORTURE > 1 else 10
WARM = 5
"""So many cycles fill what is kept for ever: compiled statements, classes, caches."""


def cycle(url: str) -> SalesFlow:
    with SalesFlow(url) as flow:
        assert flow.ask(Funnel()).open_deals == 1
        with pytest.raises(NotFoundError):
            flow.ask(DealTimeline(deal=Deal.open(STANDARD, title="x", owner="ann").id))
    return flow


def held() -> tuple[int, int]:
    """Count open files and threads."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def objects() -> int:
    gc.collect()
    return len(gc.get_objects())


@pytest.fixture
def url(database_url: str) -> str:
    with SalesFlow(database_url) as flow, flow.session() as s:
        s.add(Deal.open(STANDARD, title="ERP", owner="ann", amount=Money(7, "EUR")))
    return database_url


@pytest.mark.no_cover  # which would note the same lines a thousand times
def test_a_thousand_openings_leave_no_file_no_thread_and_no_memory(url: str) -> None:
    for _ in range(WARM):
        cycle(url)
    before, there = held(), objects()
    for _ in range(CYCLES):
        cycle(url)
    assert held() == before
    assert objects() - there < 20 * CYCLES  # what one open engine holds is thousands


def test_an_engine_that_is_not_closed_is_found_by_that_count(url: str) -> None:
    cycle(url)
    before, there = held(), objects()
    with SalesFlow(url) as kept:
        kept.ask(Funnel())
        assert held() > before
        assert objects() - there > 1_000


def left_by(command: Callable[[], object]) -> int:
    """Count what commands leave to the collector, since it holds itself."""
    for _ in range(WARM):
        command()
    gc.collect()
    gc.disable()
    try:
        for _ in range(WARM):
            command()
        return gc.collect()
    finally:
        gc.enable()


def test_a_command_leaves_nothing_to_the_collector(url: str) -> None:
    with SalesFlow(url) as flow:
        receipt = flow.run(lambda s: s.add(Deal.open(STANDARD, title="ERP", owner="ann")))
        assert receipt is not None
        id = receipt.id_of(Deal)
        assert left_by(lambda: flow.run(lambda s: call(s, id))) == 0

        def turn_into_a_circle(s: Session) -> None:
            call(s, id)
            s.itself = s  # type: ignore[attr-defined]

        assert left_by(lambda: flow.run(turn_into_a_circle)) >= WARM


def call(s: Session, id: UUID) -> None:
    s.get(Deal, id).log_contact(channel="call", direction="out")

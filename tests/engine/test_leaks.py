"""Opening, asking, failing and closing again and again leaves nothing behind."""

import gc
import os
import threading

import pytest

from properties.effort import TORTURE
from salesflow import STANDARD, Deal, Money, SalesFlow
from salesflow.errors import NotFoundError
from salesflow.projections.pipeline.deal_timeline import DealTimeline
from salesflow.projections.pipeline.funnel import Funnel

CYCLES = 1_000 if TORTURE > 1 else 25
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

"""A stream is what the log holds of it now, whatever of it was read a moment ago."""

import random
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from databases import reseal, tamper
from salesflow import STANDARD, Deal, SalesFlow
from salesflow.adapters.database.connections import Row
from salesflow.adapters.event_store import reading as recent
from salesflow.adapters.event_store.reading import Read, RecentStreams
from salesflow.domain.event import Event

PAYLOAD = (
    "UPDATE salesflow_events SET payload = (SELECT e.payload FROM salesflow_events AS e WHERE"
    " e.topic = 'deal.opened:1') WHERE topic = 'deal.contact_logged:1'"
)
TIME = "UPDATE salesflow_events SET recorded = recorded + 1 WHERE version = 2"
GONE = "DELETE FROM salesflow_events WHERE version = 3"


def opened(flow: SalesFlow) -> UUID:
    deal = Deal.open(STANDARD, title="ERP", owner="ann")
    flow.run(lambda s: s.add(deal))
    return deal.id


@pytest.fixture
def flow(database_url: str) -> Iterator[SalesFlow]:
    with SalesFlow(database_url) as opened:
        yield opened


def call(flow: SalesFlow, id: UUID, summary: str = "asked") -> None:
    flow.run(
        lambda s: s.get(Deal, id).log_contact(channel="call", direction="out", summary=summary)
    )


def read(flow: SalesFlow, id: UUID) -> tuple[list[Event], list[Event]]:
    """Read a stream as commands do, and as if nothing had been read before."""
    return flow.log.stream_and_head(id)[0], flow.log.stream(id)


def test_whoever_records_it_a_stream_is_read_whole(database_url: str) -> None:
    chance = random.Random(11)
    with SalesFlow(database_url) as one, SalesFlow(database_url) as other:
        deals = [opened(one) for _ in range(4)]
        for number in range(60):
            call(chance.choice((one, other)), chance.choice(deals), str(number))
            again, anew = read(chance.choice((one, other)), chance.choice(deals))
            assert again == anew


@pytest.mark.parametrize("harm", [PAYLOAD, TIME, GONE])
def test_what_is_changed_in_the_log_is_not_answered_from_memory(
    database_url: str, harm: str
) -> None:
    with SalesFlow(database_url) as flow:
        id = opened(flow)
        call(flow, id)
        call(flow, id)
        before, _ = read(flow, id)
        tamper(database_url, harm)
        reseal(database_url)
        again, anew = read(flow, id)
        assert again == anew != before


def test_what_a_transaction_of_ones_own_took_back_is_not_remembered(database_url: str) -> None:
    with SalesFlow(database_url) as flow:
        id = opened(flow)
        with flow.log.database.engine.connect() as own:
            with flow.session(connection=own) as s:
                s.get(Deal, id).log_contact(channel="call", direction="out")
            flow.log.stream_and_head(id, connection=own)
            own.rollback()
        again, anew = read(flow, id)
        assert again == anew
        assert len(again) == 1


def test_what_is_handed_out_changes_nothing_that_is_kept(flow: SalesFlow) -> None:
    id = opened(flow)
    call(flow, id)
    call(flow, id)
    for _ in range(2):
        flow.log.stream_and_head(id)[0].clear()
    again, anew = read(flow, id)
    assert again == anew != []


def test_a_bounded_number_of_events_is_kept(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "EVENTS_MAX", 10)
    monkeypatch.setattr(recent, "STREAM_MAX", 4)
    deals = [opened(flow) for _ in range(9)]
    for id in [*deals, *deals[:1] * 6]:
        call(flow, id)
        again, anew = read(flow, id)
        assert again == anew
        kept = flow.log._recent._streams.values()
        assert sum(len(each.events) for each in kept) <= 10 + 4
        assert all(len(each.events) <= 4 for each in kept)


def _by_length(
    self: RecentStreams, id: UUID, rows: list[Row], read: Callable[..., list[Event]]
) -> list[Event]:
    before = self._streams.get(id.int)
    if before is not None and len(rows) == len(before.rows):
        return before.events
    self._streams[id.int] = Read(rows, read(rows))
    return self._streams[id.int].events


def test_who_looks_at_the_length_alone_is_found_out(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RecentStreams, "events", _by_length)
    with pytest.raises(AssertionError):
        test_what_is_changed_in_the_log_is_not_answered_from_memory(database_url, TIME)

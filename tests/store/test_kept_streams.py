"""A stream is what the log holds of it now, and so is its state, whatever was loaded before."""

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from databases import reseal, tamper
from salesflow import STANDARD, Deal, ExternalEvent, Money, QuoteLine, SalesFlow, Session
from salesflow.adapters.event_store.append import host_clock
from salesflow.domain import state as state_module
from salesflow.domain.deal.quotes import QuoteIssued
from salesflow.domain.event import Event
from salesflow.domain.settings import SETTINGS_ID, Settings
from salesflow.domain.state import KeptStream, KeptStreams, LoadedStream
from salesflow.domain.time import from_instant
from salesflow.errors import RuleError, SalesflowError

PAYLOAD = (
    "UPDATE salesflow_events SET payload = (SELECT e.payload FROM salesflow_events AS e WHERE"
    " e.topic = 'deal.opened:1') WHERE version = 3"
)
TIME = "UPDATE salesflow_events SET recorded = recorded + 1 WHERE version = 3"
GONE = "DELETE FROM salesflow_events WHERE version = 3"


def clock() -> datetime:
    return from_instant(host_clock())


def opened(flow: SalesFlow) -> UUID:
    deal = Deal.open(STANDARD, title="ERP", owner="ann", amount=Money("100", "EUR"))
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
    """Read a stream as commands do, and as if nothing had been loaded before."""
    return flow.log.stream_for_commands(id)[0].events, flow.log.stream(id)


def state(deal: Deal) -> dict[str, str]:
    """Return all that a state holds, but what it is read beside."""
    held = vars(deal.current_state()).items()
    return {name: repr(value) for name, value in held if name != "_context" and value}


def test_whoever_records_it_a_stream_is_read_whole(database_url: str) -> None:
    chance = random.Random(11)
    with SalesFlow(database_url) as one, SalesFlow(database_url) as other:
        deals = [opened(one) for _ in range(4)]
        for number in range(60):
            call(chance.choice((one, other)), chance.choice(deals), str(number))
            again, anew = read(chance.choice((one, other)), chance.choice(deals))
            assert again == anew


@pytest.mark.parametrize("harm", [PAYLOAD, TIME, GONE])
def test_what_is_changed_at_the_end_is_not_answered_from_memory(
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
            flow.log.stream_for_commands(id, connection=own)
            own.rollback()
        again, anew = read(flow, id)
        assert again == anew
        assert len(again) == 1


def test_what_was_not_recorded_is_not_remembered(flow: SalesFlow) -> None:
    id = opened(flow)
    call(flow, id)
    before = state(flow.get(Deal, id))

    def fail(s: Session) -> None:
        deal = s.get(Deal, id)
        deal.log_contact(channel="call", direction="out")
        deal.lose(because="price")
        raise RuleError("no")

    for _ in range(2):
        with pytest.raises(RuleError):
            flow.run(fail)
        assert state(flow.get(Deal, id)) == before


def commands(deal: Deal, chance: random.Random, now: datetime) -> None:
    """Give a deal some command, in time, late or planned ahead; rules may refuse it."""
    late = chance.choice((None, None, now - timedelta(seconds=chance.randint(1, 90))))
    number = chance.randint(1, 9)
    line = QuoteLine(product="P", unit_price=Money(number, "EUR"))
    choices: list[Any] = [
        lambda: deal.log_contact(channel="call", direction="out", occurred_at=late),
        lambda: deal.forecast(amount=Money(number, "EUR"), occurred_at=late),
        lambda: deal.assign_owner("bea", effective_from=now + timedelta(days=number)),
        lambda: deal.draft_quote([line]),
        lambda: deal.issue_quote(lines=[line], valid_until=date(2030, 1, number)),
        lambda: deal.raise_objection("price", occurred_at=late),
        lambda: deal.retract(deal.history[-1].event_id, because="wrong"),
        lambda: deal.lose(because="price"),
        lambda: deal.reopen(because="again"),
        lambda: deal.add_collaborator("cleo", credit=f"0.{number}"),
    ]
    chance.choice(choices)()


def test_a_kept_state_is_what_replaying_anew_gives(database_url: str) -> None:
    chance = random.Random(5)
    with SalesFlow(database_url) as one, SalesFlow(database_url) as other:
        deals = [opened(one) for _ in range(3)]
        done = 0
        for _ in range(120):
            flow, id = chance.choice((one, other)), chance.choice(deals)
            try:
                with flow.session() as s:
                    commands(s.get(Deal, id), chance, clock())
                done += 1
            except SalesflowError:
                continue
            with SalesFlow(database_url) as anew:
                assert state(flow.get(Deal, id)) == state(anew.get(Deal, id))
        assert done > 60


def test_a_kept_state_follows_the_business_time_zone(database_url: str) -> None:
    with SalesFlow(database_url, timezone="Asia/Shanghai") as flow:
        id = opened(flow)
        line = QuoteLine(product="P", unit_price=Money(5, "EUR"))
        issued = QuoteIssued(quote="Q1", lines=(line,), valid_until=date(2030, 1, 1))
        flow.record([ExternalEvent(stream_id=id, fact=issued, occurred_at=clock())])
        before = state(flow.get(Deal, id))
        with flow.session() as s:
            s.get(Settings, SETTINGS_ID).change(timezone="America/New_York")
        after = state(flow.get(Deal, id))
        with SalesFlow(database_url) as anew:
            assert after == state(anew.get(Deal, id)) != before


def test_a_bounded_number_of_events_is_kept(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "EVENTS_MAX", 10)
    deals = [opened(flow) for _ in range(9)]
    for id in [*deals, *deals[:1] * 12]:
        call(flow, id)
        again, anew = read(flow, id)
        assert again == anew
        kept = flow.log._kept
        held = sum(len(each.stream.events) for each in kept._streams.values())
        assert held == kept._count <= 10


def test_who_does_not_look_at_the_last_event_is_found_out(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Anything(tuple[object, ...]):
        __slots__ = ()

        def __eq__(self, _: object) -> bool:
            return True

        __hash__ = tuple.__hash__

    right = KeptStreams.keep

    def keep(self: KeptStreams, id: int, kept: KeptStream) -> None:
        right(self, id, kept._replace(last=Anything(kept.last)))

    monkeypatch.setattr(KeptStreams, "keep", keep)
    with pytest.raises(AssertionError):
        test_what_is_changed_at_the_end_is_not_answered_from_memory(database_url, TIME)


def test_a_state_that_is_handed_out_twice_is_found_out(
    flow: SalesFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = LoadedStream.state_at_begin

    def same(self: LoadedStream, *given: Any) -> Any:  # noqa: ANN401
        right(self, *given)
        assert self._kept is not None
        self._kept.state.belong_to(given[2])
        return self._kept.state

    monkeypatch.setattr(LoadedStream, "state_at_begin", same)
    with pytest.raises(AssertionError):
        test_what_was_not_recorded_is_not_remembered(flow)

"""A deal replayed at any moment is what the oracle says; tried in memory, so very often."""

from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given

from oracle import beliefs, deals
from oracle.beliefs import Raw
from properties.agreement import said_by_deal, said_by_oracle
from properties.effort import TALLY, examples
from properties.histories import Append, Book, appends, raw_of
from properties.readable import shown
from properties.world import PROCESSES, deal_id
from salesflow.domain.deal import Deal
from salesflow.domain.event import Event
from salesflow.domain.state import ReplayContext
from salesflow.errors import NotFoundError

CONTEXT = ReplayContext({(process.key, process.version): process for process in PROCESSES})


def booked(history: list[Append]) -> Book:
    book = Book()
    for append in history:
        book.append(append)
    return book


def instants(events: list[Event]) -> list[int]:
    """Give every time that could matter, and the microseconds around it."""
    found = {
        time + shift
        for event in events
        for time in (event.occurred, event.effective, event.recorded)
        for shift in (-1, 0, 1)
    }
    return sorted(found)


def replayed(events: list[Event], stream: UUID, as_of: int, known_at: int) -> object:
    known = [event for event in events if event.recorded <= known_at]
    try:
        return said_by_deal(Deal.replay(stream, known, context=CONTEXT, as_of=as_of))
    except NotFoundError:
        return None


def compare(book: Book, raw: list[Raw], stream: UUID) -> None:
    """Compare the aggregate and the oracle at every moment that could matter."""
    events = book.of(stream)
    for known_at in sorted({event.recorded for event in events}):
        for as_of in instants(events):
            state = deals.deal_at(raw, str(stream), as_of, known_at)
            wanted = None if state is None else said_by_oracle(state)
            found = replayed(events, stream, as_of, known_at)
            TALLY["moments of deals replayed"] += 1
            assert found == wanted, (as_of, known_at, shown(raw))


@examples(120)
@given(appends(1))
def test_a_deal_at_any_moment_is_what_a_naive_replay_makes_of_it(history: list[Append]) -> None:
    book = booked(history)
    compare(book, [raw_of(event) for event in book.events], deal_id(0))


@examples(30)
@given(appends(3))
def test_a_deal_is_told_by_its_own_facts_alone(history: list[Append]) -> None:
    book = booked(history)
    raw = [raw_of(event) for event in book.events]
    for number in range(3):
        compare(book, raw, deal_id(number))


def _deaf_to_retractions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beliefs, "retracted", lambda *_: False)


def _deaf_to_planned_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (deals, beliefs):
        monkeypatch.setattr(module, "effect_of", lambda event: event["occurred"])


def _gullible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deals, "_has_ground", lambda *_: True)


def _in_order_of_occurrence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beliefs, "effect_of", lambda _: 0)


def _knowing_all_that_is_known_today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        deals, "believed", lambda events, _: beliefs.believed(events, known_at=2**62)
    )


@pytest.mark.parametrize(
    "mistake",
    [
        _deaf_to_retractions,
        _deaf_to_planned_effects,
        _gullible,
        _in_order_of_occurrence,
        _knowing_all_that_is_known_today,
    ],
)
def test_a_replay_with_a_mistake_in_it_would_be_noticed(
    mistake: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    with pytest.raises(AssertionError):
        _always_agrees()


def test_taking_recorded_for_occurred_would_be_noticed() -> None:
    with pytest.raises(AssertionError):
        _agrees_when_told_late()


@examples(300, shrink=False)
@given(appends(1))
def _always_agrees(history: list[Append]) -> None:
    book = booked(history)
    compare(book, [raw_of(event) for event in book.events], deal_id(0))


@examples(300, shrink=False)
@given(appends(1))
def _agrees_when_told_late(history: list[Append]) -> None:
    book = booked(history)
    raw = [{**raw_of(event), "occurred": event.recorded} for event in book.events]
    compare(book, raw, deal_id(0))

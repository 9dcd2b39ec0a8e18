"""Histories of merged deals stay apart, and can be read together."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from salesflow import STANDARD, Deal, SalesFlow
from salesflow.domain.event import Event
from salesflow.errors import NotFoundError, RuleError

Company = tuple[SalesFlow, dict[str, UUID]]
STARTS = datetime(2026, 6, 1, tzinfo=UTC)


class Clock:
    """A clock that goes a day ahead whenever it is looked at."""

    def __init__(self) -> None:
        self.now = STARTS

    def __call__(self) -> datetime:
        self.now += timedelta(days=1)
        return self.now


def merge(flow: SalesFlow, ours: UUID, survivor: UUID) -> None:
    with flow.session() as s:
        s.get(Deal, ours).merge_into(s.get(Deal, survivor), because="same")


def titles(events: list[Event], deals: dict[str, UUID]) -> str:
    names = {id: name for name, id in deals.items()}
    return " ".join(f"{names[e.stream_id]}:{e.fact.kind.removeprefix('deal.')}" for e in events)


@pytest.fixture
def company(database_url: str) -> Iterator[Company]:
    """Four deals: a into b, b into c; d stands alone."""
    with SalesFlow(database_url, clock=Clock()) as flow:
        deals = {}
        for name in "abcd":
            with flow.session() as s:
                deals[name] = s.add(Deal.open(STANDARD, title=name, owner="ann")).id
        with flow.session() as s:
            s.get(Deal, deals["c"]).post_message("a word")
        merge(flow, deals["a"], deals["b"])
        merge(flow, deals["b"], deals["c"])
        with flow.session() as s:
            s.get(Deal, deals["a"]).post_message("found an old note")
        yield flow, deals


def test_the_history_of_a_survivor_is_its_own_unless_asked_for(company: Company) -> None:
    flow, deals = company
    assert titles(flow.history(deals["c"]), deals) == "c:opened c:message_posted c:absorbed"


def test_merged_histories_are_interleaved_in_the_order_of_the_log(company: Company) -> None:
    flow, deals = company
    events = flow.history(deals["c"], merged=True)
    assert titles(events, deals) == (
        "a:opened b:opened c:opened c:message_posted a:merged b:absorbed b:merged c:absorbed"
        " a:message_posted"
    )
    assert [e.position for e in events] == sorted(e.position for e in events)
    assert titles(flow.history(deals["a"], merged=True), deals) == (
        "a:opened a:merged a:message_posted"
    )


def test_only_merges_known_by_then_count(company: Company) -> None:
    flow, deals = company
    known = flow.history(deals["a"])[1].recorded_at
    events = flow.history(deals["c"], merged=True, known_at=known)
    assert titles(events, deals) == "c:opened c:message_posted"
    events = flow.history(deals["b"], merged=True, known_at=known)
    assert titles(events, deals) == "a:opened b:opened a:merged b:absorbed"


@pytest.mark.parametrize("how", ["retract", "unmerge"])
def test_a_merge_that_does_not_stand_counts_no_more(company: Company, how: str) -> None:
    flow, deals = company
    merged = next(e for e in flow.history(deals["b"]) if e.fact.kind == "deal.merged")
    with flow.session() as s:
        ours, survivor = s.get(Deal, deals["b"]), s.get(Deal, deals["c"])
        if how == "retract":
            ours.retract_pair(merged.event_id, survivor, because="wrong")
        else:
            ours.unmerge_from(survivor, because="two after all")
    assert {e.stream_id for e in flow.history(deals["c"], merged=True)} == {deals["c"]}
    before = merged.recorded_at
    events = flow.history(deals["c"], merged=True, known_at=before)
    assert {e.stream_id for e in events} == {deals["a"], deals["b"], deals["c"]}


def test_a_merged_deal_whose_opening_was_wrong_is_left_out(company: Company) -> None:
    flow, deals = company
    with flow.session() as s:
        s.retract(flow.history(deals["a"])[0].event_id, because="there was none")
    merged = flow.history(deals["c"], merged=True)
    assert {e.stream_id for e in merged} == {deals["b"], deals["c"]}


def test_a_deal_that_others_are_merged_into_stays_opened(company: Company) -> None:
    flow, deals = company
    head = flow.log.head()
    back = "no such deal; take that merge back first"
    with pytest.raises(RuleError, match=back), flow.session() as s:
        s.retract(flow.history(deals["b"])[0].event_id, because="there was none")
    assert flow.log.head() == head


def test_what_nothing_was_recorded_of_has_no_history(company: Company) -> None:
    flow, deals = company
    with pytest.raises(NotFoundError, match="nothing has been recorded"):
        flow.history(deals["d"], merged=True, known_at=STARTS)

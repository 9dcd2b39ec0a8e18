"""A deal is never merged into itself, in a circle, or into one that does not exist."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties.effort import examples
from salesflow.domain.customer import CustomerMerged, CustomerRegistered, CustomerUnmerged
from salesflow.domain.deal.merge_checks import CandidateFact, ImpossibleMerge, impossible_merges
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged, DealReleased, DealUnmerged
from salesflow.domain.deal.stages import DealOpened
from salesflow.domain.event import Event, FactRetracted
from salesflow.presentation.messages import say

A, B, C, D = (UUID(int=number) for number in range(1, 5))
OPENED = DealOpened(process="standard", process_version=1, stage="prospecting")
REGISTERED = CustomerRegistered(name="Acme")


def nothing(_: UUID) -> list[Event]:
    return []


def deals(*ids: UUID, at: int = 0) -> list[CandidateFact]:
    return [CandidateFact(id, OPENED, at) for id in ids]


def merge(deal: UUID, into: UUID, at: int | None = 10) -> list[CandidateFact]:
    return [
        CandidateFact(deal, DealMerged(into=into), at),
        CandidateFact(into, DealAbsorbed(absorbed=deal), at),
    ]


def part(deal: UUID, out_of: UUID, at: int) -> list[CandidateFact]:
    return [
        CandidateFact(deal, DealUnmerged(out_of=out_of), at),
        CandidateFact(out_of, DealReleased(released=deal), at),
    ]


def stored(told: list[CandidateFact]) -> dict[UUID, list[Event]]:
    log: dict[UUID, list[Event]] = {}
    for position, (id, fact, at) in enumerate(told, 1):
        events = log.setdefault(id, [])
        no = UUID(int=1000 + position)
        events.append(Event(fact, id, len(events) + 1, position, at or 0, position, no))
    return log


def edges(found: list[ImpossibleMerge]) -> set[tuple[UUID, UUID]]:
    return {(each.absorbed, each.into) for each in found}


def test_a_deal_is_not_merged_into_itself() -> None:
    [found] = impossible_merges([*deals(A), *merge(A, A)], nothing)
    assert found.because == f"deal {A} cannot be merged into itself"


def test_a_deal_is_not_merged_into_one_that_is_not_there() -> None:
    [found] = impossible_merges([*deals(A), *merge(A, B)], nothing)
    assert found.because == f"deal {A} cannot be merged into {B}: there is no such deal"


def test_a_deal_is_not_merged_into_a_customer() -> None:
    told = [*deals(A), CandidateFact(B, REGISTERED, 0), *merge(A, B)]
    assert edges(impossible_merges(told, nothing)) == {(A, B)}


def test_a_deal_is_not_merged_into_one_that_is_opened_only_later() -> None:
    told = [*deals(A), *deals(B, at=20), *merge(A, B, 10)]
    [found] = impossible_merges(told, nothing)
    assert "begun only later" in found.because
    assert impossible_merges([*deals(A), *deals(B, at=10), *merge(A, B, 10)], nothing) == []


@pytest.mark.parametrize("length", [2, 3, 4])
def test_the_merge_that_closes_a_circle_is_refused_and_the_earlier_ones_stand(
    length: int,
) -> None:
    ring = [A, B, C, D][:length]
    told = deals(*ring)
    for number, deal in enumerate(ring):
        told += merge(deal, ring[(number + 1) % length], 10 + number)
    [found] = impossible_merges(list(reversed(told)), nothing)
    assert (found.absorbed, found.into) == (ring[-1], A)
    assert found.because.endswith("that is a circle")


def test_why_a_merge_cannot_be_is_said_in_chinese_too() -> None:
    told = [*deals(A, B, C), *merge(A, B, 10), *merge(B, C, 11), *merge(C, A, 12)]
    [circle] = impossible_merges(told, nothing)
    assert circle.because == (
        f"deal {C} cannot be merged into {A} and so into {B} and so into {C}: that is a circle"
    )
    assert say(circle.because, "zh") == (
        f"商机 {C} 不能并入 {A}，进而并入 {B}，进而并入 {C}：构成循环"
    )
    log = stored([*deals(A, B), *merge(A, B)])
    gone = CandidateFact(B, FactRetracted(event_id=log[B][0].event_id, because="x"))
    [standing] = impossible_merges([gone], lambda id: log.get(id, []))
    assert standing.because == (
        f"deal {A} cannot be merged into {B}: there is no such deal; take that merge back first"
    )
    assert say(standing.because, "zh") == f"商机 {A} 不能并入 {B}：并不存在；请先撤销该合并"


def test_deals_merged_into_one_another_in_turn_are_no_circle() -> None:
    told = [*deals(A, B), *merge(A, B, 10), *part(A, B, 20), *merge(B, A, 30)]
    assert impossible_merges(told, nothing) == []


def test_a_merge_told_late_closes_a_circle_with_a_later_one() -> None:
    log = stored([*deals(A, B), *merge(B, A, 30)])
    found = impossible_merges(merge(A, B, 10), lambda id: log.get(id, []))
    assert edges(found) == {(A, B)}


def test_taking_back_an_unmerge_closes_a_circle_too() -> None:
    log = stored([*deals(A, B), *merge(A, B, 10), *part(A, B, 20), *merge(B, A, 30)])
    wrong = [
        CandidateFact(event.stream_id, FactRetracted(event_id=event.event_id, because="x"))
        for events in log.values()
        for event in events
        if isinstance(event.fact, DealUnmerged | DealReleased)
    ]
    found = impossible_merges(wrong, lambda id: log.get(id, []))
    assert edges(found) == {(A, B), (B, A)}


def test_the_opening_of_a_survivor_is_not_taken_back_while_others_are_merged_into_it() -> None:
    log = stored([*deals(A, B), *merge(A, B)])
    gone = CandidateFact(B, FactRetracted(event_id=log[B][0].event_id, because="x"))
    [found] = impossible_merges([gone], lambda id: log.get(id, []))
    assert (found.absorbed, found.into) == (A, B)
    again = [gone, CandidateFact(B, OPENED, 5)]
    assert impossible_merges(again, lambda id: log.get(id, [])) == []


def test_what_was_wrong_before_can_be_taken_back() -> None:
    log = stored([*deals(A), *merge(A, A)])
    pair = [event for event in log[A] if not isinstance(event.fact, DealOpened)]
    other = CandidateFact(A, FactRetracted(event_id=UUID(int=7), because="something else"))
    back = [CandidateFact(A, FactRetracted(event_id=e.event_id, because="x")) for e in pair]
    assert impossible_merges([other], lambda id: log.get(id, [])) == []
    assert impossible_merges(back, lambda id: log.get(id, [])) == []


def test_a_customer_is_not_merged_in_a_circle_or_into_one_that_is_not_there() -> None:
    both = [CandidateFact(A, REGISTERED, 0), CandidateFact(B, REGISTERED, 0)]

    def merged(one: UUID, other: UUID, at: int) -> CandidateFact:
        return CandidateFact(one, CustomerMerged(into=other, because="same"), at)

    circle = [*both, merged(A, B, 10), merged(B, A, 20)]
    assert edges(impossible_merges(circle, nothing)) == {(B, A)}
    between = CandidateFact(A, CustomerUnmerged(because="two"), 15)
    assert impossible_merges([*circle, between], nothing) == []
    assert edges(impossible_merges([*both, merged(A, C, 10)], nothing)) == {(A, C)}


Step = tuple[bool, int, int, int]
steps = st.lists(
    st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 3), st.integers(1, 9)),
    max_size=7,
    unique_by=lambda step: step[3],
)


def lost(told: list[CandidateFact]) -> set[tuple[UUID, int]]:
    """Walk the days one by one; name the deals that end in none, with the day."""
    found = set()
    into: dict[UUID, UUID] = {}
    for day in range(10):
        for id, fact, at in told:
            if at == day and isinstance(fact, DealMerged):
                into.setdefault(id, fact.into)
            elif at == day and isinstance(fact, DealUnmerged):
                into.pop(id, None)
        for deal in (A, B, C):
            end, hops = deal, 0
            while end in into and hops < 5:
                end, hops = into[end], hops + 1
            if hops == 5 or end == D:
                found.add((deal, day))
    return found


def told_of(plan: list[Step]) -> list[CandidateFact]:
    told: list[CandidateFact] = []
    for is_merge, one, other, day in plan:
        pair = merge if is_merge else part
        told += pair([A, B, C, A][one], [A, B, C, D][other], day)
    return told


@examples(150)
@given(steps, st.integers(0, 7))
def test_without_the_impossible_merges_every_deal_counts_somewhere_on_every_day(
    plan: list[Step], before: int
) -> None:
    said = told_of(plan[:before])
    refused = edges(impossible_merges([*deals(A, B, C), *said], nothing))
    kept = [
        each
        for each in said
        if not isinstance(each.fact, DealMerged)
        or (each.stream_id, each.fact.into) not in refused
    ]
    log = stored([*deals(A, B, C), *sorted(kept, key=lambda each: each.occurred or 0)])
    later = told_of(plan[before:])
    wrong = impossible_merges(later, lambda id: log.get(id, []))
    assert not lost(kept), "what is left out is all that was wrong"
    if not wrong:
        assert not lost([*kept, *later])
    else:
        assert lost([*kept, *later])


def test_a_circle_that_is_let_through_is_found_by_the_walk_over_the_days() -> None:
    assert lost([*merge(A, B, 3), *merge(B, A, 5)]) == {
        *((deal, day) for deal in (A, B) for day in range(5, 10))
    }

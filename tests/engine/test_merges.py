"""A merge is recorded on both deals at once, and taken back on both at once."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from given import opened
from salesflow import STANDARD, Customer, Deal, ExternalEvent, SalesFlow, Session
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged, DealReleased, DealUnmerged
from salesflow.domain.event import Fact, FactRetracted
from salesflow.errors import InputError, NotFoundError, RuleError

Act = Callable[[Session, Deal, Deal], object]


def two_deals(flow: SalesFlow, merged: bool = True) -> tuple[UUID, UUID]:
    with flow.session() as s:
        ours = s.add(Deal.open(STANDARD, title="ERP", owner="ann"))
        survivor = s.add(Deal.open(STANDARD, title="ERP too", owner="bob"))
    if merged:
        both(flow, ours.id, survivor.id, lambda _, a, b: a.merge_into(b, because="same"))
    return ours.id, survivor.id


def both(flow: SalesFlow, ours: UUID, survivor: UUID, act: Act) -> None:
    with flow.session() as s:
        act(s, s.get(Deal, ours), s.get(Deal, survivor))


def stands_merged(flow: SalesFlow, ours: UUID, survivor: UUID) -> bool:
    merged = flow.get(Deal, ours).merged_into == survivor
    assert merged == (ours in flow.get(Deal, survivor).absorbed), "half a merge"
    return merged


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("half", [0, 1])
def test_half_a_merge_is_not_retracted_and_the_refusal_names_both(
    flow: SalesFlow, half: int, loaded: bool
) -> None:
    pair = two_deals(flow)
    halves = [flow.history(id)[-1].event_id for id in pair]
    with pytest.raises(RuleError, match="are a pair") as caught, flow.session() as s:
        if loaded:
            s.get(Deal, pair[half])
        s.retract(halves[half], because="not the same")
    assert all(str(event_id) in str(caught.value) for event_id in halves)
    assert stands_merged(flow, *pair)


@pytest.mark.parametrize("half", [0, 1])
def test_a_pair_is_retracted_only_when_both_deals_are_of_the_session(
    flow: SalesFlow, half: int
) -> None:
    pair = two_deals(flow)
    halves = [flow.history(id)[-1].event_id for id in pair]
    with (
        pytest.raises(InputError, match="belongs to no open session"),
        flow.session() as s,
    ):
        elsewhere = flow.get(Deal, pair[1 - half])
        s.get(Deal, pair[half]).retract_pair(halves[half], elsewhere, because="no")
    with (
        pytest.raises(RuleError, match="load both deals in one session") as caught,
        flow.session() as other,
        flow.session() as s,
    ):
        elsewhere = other.get(Deal, pair[1 - half])
        s.get(Deal, pair[half]).retract_pair(halves[half], elsewhere, because="no")
    assert all(str(event_id) in str(caught.value) for event_id in halves)
    assert stands_merged(flow, *pair)


def test_a_pair_and_its_retraction_are_retracted_together(flow: SalesFlow) -> None:
    ours, survivor = two_deals(flow)
    for stands in (False, True, False):
        last = flow.history(ours)[-1].event_id
        both(flow, ours, survivor, lambda _, a, b: a.retract_pair(last, b, because="x"))  # noqa: B023
        assert stands_merged(flow, ours, survivor) == stands
        assert flow.history(ours)[-1].recorded == flow.history(survivor)[-1].recorded
        with pytest.raises(RuleError, match="are a pair"), flow.session() as s:
            s.retract(flow.history(survivor)[-1].event_id, because="x")


def test_a_told_merge_is_one_append(flow: SalesFlow) -> None:
    deals = [uuid4() for _ in range(4)]
    facts = [ExternalEvent(id, opened(STANDARD)) for id in deals]
    told = [
        ExternalEvent(deals[0], DealMerged(into=deals[2])),
        ExternalEvent(deals[2], DealAbsorbed(absorbed=deals[0], because="as the CRM says")),
    ]
    receipts = flow.record([*facts, *told])
    assert [set(receipt.stream_ids) for receipt in receipts] == [
        {deals[0], deals[2]},
        {deals[1]},
        {deals[3]},
    ]
    assert stands_merged(flow, deals[0], deals[2])
    last = flow.history(deals[0])[-1].event_id
    both(flow, deals[0], deals[2], lambda _, a, b: a.retract_pair(last, b, because="x"))
    assert not stands_merged(flow, deals[0], deals[2])


def test_deals_merged_and_unmerged_again_and_again_are_told_at_once(flow: SalesFlow) -> None:
    ours, survivor = two_deals(flow, merged=False)
    told: list[ExternalEvent] = []
    for _ in range(2):
        told += [
            ExternalEvent(ours, DealMerged(into=survivor)),
            ExternalEvent(ours, DealUnmerged(out_of=survivor)),
            ExternalEvent(survivor, DealAbsorbed(absorbed=ours)),
            ExternalEvent(survivor, DealReleased(released=ours)),
        ]
    [receipt] = flow.record(told)
    assert receipt.last - receipt.first == 7
    last = flow.history(survivor)[-1].event_id
    both(flow, ours, survivor, lambda _, a, b: b.retract_pair(last, a, because="x"))
    assert stands_merged(flow, ours, survivor)


@pytest.mark.parametrize("side", [0, 1])
def test_half_a_merge_is_not_told(flow: SalesFlow, side: int) -> None:
    ours, survivor = two_deals(flow, merged=False)
    halves = [
        ExternalEvent(ours, DealMerged(into=survivor)),
        ExternalEvent(survivor, DealAbsorbed(absorbed=ours)),
    ]
    with pytest.raises(InputError, match=f"deal {ours} is merged into {survivor}"):
        flow.record([halves[side]])
    assert not stands_merged(flow, ours, survivor)


@pytest.mark.parametrize("side", [0, 1])
def test_half_the_retraction_of_a_merge_is_not_told(flow: SalesFlow, side: int) -> None:
    pair = two_deals(flow)
    halves = [flow.history(id)[-1].event_id for id in pair]
    told = [
        ExternalEvent(id, FactRetracted(event_id=half, because="x"))
        for id, half in zip(pair, halves, strict=True)
    ]
    with pytest.raises(InputError, match="are a pair") as caught:
        flow.record([told[side]])
    assert all(str(event_id) in str(caught.value) for event_id in halves)
    assert len(flow.record(told)) == 1
    assert not stands_merged(flow, *pair)


def test_a_source_retracts_only_what_can_be_retracted(flow: SalesFlow) -> None:
    ours, _ = two_deals(flow, merged=False)
    process = flow.log.page(0, 5)[1]

    def retracted(event_id: UUID) -> Fact:
        return FactRetracted(event_id=event_id, because="x")

    with pytest.raises(InputError, match="cannot be retracted, deals may stand on it"):
        flow.record([ExternalEvent(process.stream_id, retracted(process.event_id))])
    with pytest.raises(InputError, match="has no event"):
        flow.record([ExternalEvent(ours, retracted(process.event_id))])
    flow.record([ExternalEvent(ours, retracted(flow.history(ours)[0].event_id))])
    with pytest.raises(NotFoundError):
        flow.get(Deal, ours)


def test_a_customer_into_whom_another_one_was_merged_is_not_taken_back(flow: SalesFlow) -> None:
    with flow.session() as s:
        acme, other, alone = (s.add(Customer.register(name=name)) for name in "abc")
    flow.run(lambda s: s.get(Customer, acme.id).merge_into(other, because="the same"))
    registered = flow.history(other.id)[0].event_id
    with pytest.raises(RuleError, match="take that merge back first"), flow.session() as s:
        s.retract(registered, because="never was")
    with flow.session() as s:
        s.retract(flow.history(alone.id)[0].event_id, because="never was")
    flow.run(lambda s: s.get(Customer, acme.id).unmerge(because="not the same"))
    with pytest.raises(RuleError, match="take that merge back first"), flow.session() as s:
        s.retract(registered, because="never was")
    with flow.session() as s:
        s.retract(flow.history(acme.id)[1].event_id, because="never was")
        s.retract(registered, because="never was")
    assert flow.check().whole

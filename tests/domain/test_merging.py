"""Two deals turn out to be one, or not: pairs of facts that stand and fall together."""

from datetime import datetime
from uuid import UUID

import pytest

from given import (
    DEAL,
    HOUR,
    OTHER,
    START,
    Given,
    cny,
    deal_of,
    event,
    on,
    opened,
)
from salesflow.domain.deal import Deal
from salesflow.domain.deal.merging import (
    DealAbsorbed,
    DealMerged,
    DealReleased,
    DealUnmerged,
    ensure_whole_merges,
)
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.people import MessagePosted
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.event import Fact, FactRetracted
from salesflow.errors import DealClosedError, InputError, NotFoundError, RuleError

LATER = START + 5 * HOUR
MERGED = on(DealMerged(into=OTHER, because="same"), LATER)
ABSORBED = on(DealAbsorbed(absorbed=DEAL, because="same"), LATER)
UNMERGED = on(DealUnmerged(out_of=OTHER, because="not the same"), LATER + HOUR)
RELEASED = on(DealReleased(released=DEAL, because="not the same"), LATER + HOUR)


def pair(
    absorbed: list[Given] | None = None, survivor: list[Given] | None = None
) -> tuple[Deal, Deal]:
    """Give two deals by what happened to them after they were opened."""
    return (
        deal_of(opened(title="ERP", amount=cny("5")), *(absorbed or [])),
        deal_of(opened(title="ERP again", amount=cny("7")), *(survivor or []), id=OTHER),
    )


def recorded(deal: Deal) -> list[Fact]:
    return [each.fact for each in deal.pending]


def test_a_merge_is_recorded_on_both_deals() -> None:
    deal, survivor = pair([StageMoved(target="b")])
    deal.merge_into(survivor, because="same", occurred_at=LATER)
    assert recorded(deal) == [DealMerged(into=OTHER, because="same")]
    assert recorded(survivor) == [DealAbsorbed(absorbed=DEAL, because="same")]
    assert (deal.merged_into, deal.is_open, deal.stage) == (OTHER, False, "b")
    assert (survivor.absorbed, survivor.is_open) == (frozenset({DEAL}), True)
    assert survivor.amount == cny("7"), "the survivor is worth what was said of it alone"


def test_unmerging_puts_the_deal_back_where_it_stood() -> None:
    deal, survivor = pair([StageMoved(target="b"), MERGED], [ABSORBED])
    deal.unmerge_from(survivor, because="not the same")
    assert recorded(deal) == [DealUnmerged(out_of=OTHER, because="not the same")]
    assert recorded(survivor) == [DealReleased(released=DEAL, because="not the same")]
    assert (deal.merged_into, deal.stage, deal.outcome) == (None, "b", "open")
    assert survivor.absorbed == set()
    deal.advance(because="on its own")


def test_a_won_deal_that_was_merged_by_mistake_is_won_again() -> None:
    deal, survivor = pair([DealWon(), MERGED], [ABSORBED])
    deal.unmerge_from(survivor, because="not the same")
    assert (deal.outcome, deal.is_open) == ("won", False)


def test_a_deal_is_merged_into_another_that_goes_on() -> None:
    deal, survivor = pair()
    with pytest.raises(RuleError, match="cannot be merged into itself"):
        deal.merge_into(deal, because="same")
    lost = deal_of(opened(), DealLost(), id=OTHER)
    with pytest.raises(RuleError, match="is lost; nothing can go on in it"):
        deal.merge_into(lost, because="same")
    gone = deal_of(opened(), on(DealMerged(into=UUID(int=9)), LATER), id=OTHER)
    with pytest.raises(DealClosedError, match="merge into it there"):
        deal.merge_into(gone, because="same")
    with pytest.raises(InputError, match="a merge needs a reason"):
        deal.merge_into(survivor, because=" ")
    assert deal.pending == survivor.pending == []


def test_a_merged_deal_is_not_merged_again_nor_moved() -> None:
    deal, survivor = pair([MERGED], [ABSORBED])
    with pytest.raises(DealClosedError, match="merge it there"):
        deal.merge_into(survivor, because="same")
    with pytest.raises(DealClosedError, match="advance it there"):
        deal.advance(because="x")
    with pytest.raises(DealClosedError, match="return it there"):
        deal.return_to("a", because="x")
    with pytest.raises(DealClosedError, match="reopen it there"):
        deal.reopen(because="x")


def test_only_a_merged_deal_is_unmerged_and_only_from_its_survivor() -> None:
    deal, survivor = pair()
    with pytest.raises(RuleError, match="is not merged into"):
        deal.unmerge_from(survivor, because="x")
    deal, survivor = pair([MERGED], [ABSORBED])
    with pytest.raises(RuleError, match="is not merged into"):
        deal.unmerge_from(deal_of(opened(), id=UUID(int=9)), because="x")
    with pytest.raises(InputError, match="unmerging needs a reason"):
        deal.unmerge_from(survivor, because="")
    assert deal.pending == survivor.pending == []


def test_a_merge_told_late_is_checked_on_both_deals_at_its_time() -> None:
    deal, survivor = pair()
    early: datetime = START - HOUR
    with pytest.raises(InputError, match="was opened at"):
        deal.merge_into(survivor, because="same", occurred_at=early)
    assert deal.pending == survivor.pending == []


@pytest.mark.parametrize("half", ["absorbed", "survivor"])
def test_half_a_merge_cannot_be_retracted(half: str) -> None:
    deal, survivor = pair([MERGED], [ABSORBED])
    with pytest.raises(RuleError, match="a merge is a pair of facts and is retracted as one"):
        (deal if half == "absorbed" else survivor).retract(event(2), because="wrong")


@pytest.mark.parametrize("first", ["absorbed", "survivor"])
def test_both_halves_are_retracted_together(first: str) -> None:
    deal, survivor = pair([MERGED], [ABSORBED])
    here, there = (deal, survivor) if first == "absorbed" else (survivor, deal)
    here.retract_pair(event(2), there, because="wrong")
    assert recorded(deal) == [FactRetracted(event_id=event(2), because="wrong")]
    assert recorded(survivor) == [FactRetracted(event_id=event(2), because="wrong")]
    assert (deal.merged_into, survivor.absorbed) == (None, frozenset())


@pytest.mark.parametrize("first", ["absorbed", "survivor"])
def test_an_unmerge_is_retracted_as_a_pair_too(first: str) -> None:
    deal, survivor = pair([MERGED, UNMERGED], [ABSORBED, RELEASED])
    here, there = (deal, survivor) if first == "absorbed" else (survivor, deal)
    here.retract_pair(event(3), there, because="wrong")
    assert (deal.merged_into, survivor.absorbed) == (OTHER, frozenset({DEAL}))


def test_the_retraction_of_a_merge_is_itself_a_pair() -> None:
    out = on(FactRetracted(event_id=event(2), because="wrong"), LATER + HOUR)
    deal, survivor = pair([MERGED, out], [ABSORBED, out])
    assert (deal.merged_into, survivor.absorbed) == (None, frozenset())
    with pytest.raises(RuleError, match="is retracted as one"):
        deal.retract(event(3), because="right after all")
    deal.retract_pair(event(3), survivor, because="right after all")
    assert (deal.merged_into, survivor.absorbed) == (OTHER, frozenset({DEAL}))


def test_a_pair_is_two_halves_of_one_append() -> None:
    deal, _ = pair([MERGED])
    lonely = deal_of(opened(), on(DealAbsorbed(absorbed=DEAL), LATER + HOUR), id=OTHER)
    with pytest.raises(RuleError, match="has no other half"):
        deal.retract_pair(event(2), lonely, because="wrong")
    with pytest.raises(RuleError, match="has no other half"):
        deal.retract_pair(event(1), lonely, because="not of a pair")
    with pytest.raises(NotFoundError, match="has no event"):
        deal.retract_pair(event(9), lonely, because="wrong")
    assert deal.pending == lonely.pending == []


def test_a_session_must_hold_both_deals_of_a_merge() -> None:
    deal, survivor = pair()
    deal.merge_into(survivor, because="same")
    deal.unmerge_from(survivor, because="not the same")
    deal.post_message("oh well")
    halves = [(each.id, fact) for each in (deal, survivor) for fact in recorded(each)]
    ensure_whole_merges(halves, lambda _: ())
    for missing in range(5):
        rest = [half for number, half in enumerate(halves) if number != missing]
        if isinstance(halves[missing][1], MessagePosted):
            ensure_whole_merges(rest, lambda _: ())
        else:
            with pytest.raises(RuleError, match="load both deals in one session"):
                ensure_whole_merges(rest, lambda _: ())


def test_histories_of_merged_deals_stay_apart() -> None:
    deal, survivor = pair([MERGED], [ABSORBED, StageMoved(target="b")])
    assert [type(e.fact).__name__ for e in deal.history] == ["DealOpened", "DealMerged"]
    assert [type(e.fact).__name__ for e in survivor.history] == [
        "DealOpened",
        "StageMoved",
        "DealAbsorbed",
    ]

"""Which facts are irregular by later knowledge: exactly these, and no others."""

import pytest

from given import (
    CLOSED_STAGES,
    HOUR,
    OTHER,
    PROCESSES,
    START,
    Given,
    cny,
    deal_of,
    events_of,
    on,
    opened,
)
from salesflow.domain.deal.activities import ContactLogged
from salesflow.domain.deal.after_sales import FeedbackReceived, RepeatOrderPlaced
from salesflow.domain.deal.billing import ContractAmended, ForecastGiven, RefundGiven
from salesflow.domain.deal.merging import DealMerged, DealUnmerged
from salesflow.domain.deal.outcomes import (
    DealDisqualified,
    DealLost,
    DealReopened,
    DealWon,
)
from salesflow.domain.deal.people import OwnerAssigned
from salesflow.domain.deal.quotes import (
    QuoteAccepted,
    QuoteDrafted,
    QuoteExpired,
    QuoteIssued,
    QuoteRejected,
    QuoteRevised,
    QuoteWithdrawn,
)
from salesflow.domain.deal.stages import DealMigrated, StageMapping, StageMoved
from salesflow.domain.deal.state import DealState
from salesflow.domain.event import Fact, believed_history
from salesflow.domain.process import Outcome
from salesflow.domain.state import ReplayContext

MERGED = DealMerged(into=OTHER)
LOST = DealLost(because="price")
JUNK = DealDisqualified(because="spam")
REFUND = RefundGiven(amount=cny("1"))


def judged(*given: Given) -> list[str | None]:
    deal = DealState(ReplayContext(PROCESSES))
    return [deal.evolve(event) for event in believed_history(events_of(given))]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([opened(), opened(title="again")], "the deal was opened before"),
        ([opened(), LOST, StageMoved(target="b")], "moved while lost"),
        ([opened(), JUNK, StageMoved(target="b")], "moved while disqualified"),
        ([opened(), MERGED, StageMoved(target="b")], "moved while merged"),
        ([opened(), DealWon(), StageMoved(target="b")], "moved to an open stage while won"),
        ([opened(), DealWon(), DealWon()], "won while already won"),
        ([opened(), LOST, LOST], "lost while already lost"),
        ([opened(), JUNK, JUNK], "disqualified while already disqualified"),
        ([opened(), MERGED, MERGED], "merged while already merged"),
        ([opened(), DealReopened()], "reopened while open"),
        ([opened(), QuoteRevised(quote="Q1")], "there is no quote 'Q1'"),
        ([opened(), QuoteAccepted(quote="Q1")], "there is no quote 'Q1'"),
        ([opened(), QuoteRejected(quote="Q1")], "there is no quote 'Q1'"),
        ([opened(), QuoteWithdrawn(quote="Q1")], "there is no quote 'Q1'"),
        ([opened(), QuoteExpired(quote="Q1")], "there is no quote 'Q1'"),
        ([opened(), QuoteIssued(quote="Q1"), QuoteAccepted(quote="Q2")], "no quote 'Q2'"),
        ([opened(), ContractAmended(amount=cny("1"))], "not won but open"),
        ([opened(), LOST, REFUND], "not won but lost"),
        ([opened(), DealWon(), DealReopened(), RepeatOrderPlaced()], "not won but open"),
        ([opened(), DealWon(), MERGED, REFUND], "not won but merged"),
        (
            [opened(CLOSED_STAGES), LOST, StageMoved(target="closed_lost")],
            "lost while already lost",
        ),
        (
            [opened(CLOSED_STAGES, stage="closed_won"), StageMoved(target="talks")],
            "moved to an open stage while won",
        ),
    ],
)
def test_a_fact_without_ground(given: list[Given], reason: str) -> None:
    *before, last = judged(*given)
    assert before == [None] * len(before)
    assert last is not None
    assert reason in last


@pytest.mark.parametrize(
    "given",
    [
        [opened(), StageMoved(target="c"), StageMoved(target="a")],
        [opened(), StageMoved(target="a")],
        [opened(), StageMoved(target="unheard of")],
        [opened(), StageMoved(target="served")],
        [opened(), DealWon(), StageMoved(target="renewed"), StageMoved(target="served")],
        [opened(), DealWon(), LOST, JUNK, DealWon()],
        [opened(), LOST, DealWon()],
        [opened(), LOST, DealReopened(stage="c"), StageMoved(target="a")],
        [opened(), MERGED, LOST, DealReopened(), DealUnmerged(out_of=OTHER)],
        [opened(), MERGED, DealUnmerged(out_of=OTHER), StageMoved(target="b")],
        [opened(), DealUnmerged(out_of=OTHER)],
        [opened(), QuoteDrafted(quote="Q1"), QuoteWithdrawn(quote="Q1")],
        [
            opened(),
            QuoteIssued(quote="Q1"),
            QuoteAccepted(quote="Q1"),
            QuoteRejected(quote="Q1"),
        ],
        [opened(), LOST, QuoteIssued(quote="Q1"), QuoteAccepted(quote="Q1")],
        [opened(), DealWon(), ContractAmended(amount=cny("1")), REFUND, RepeatOrderPlaced()],
        [opened(), LOST, ForecastGiven(amount=cny("1")), ContactLogged(), FeedbackReceived()],
        [opened(CLOSED_STAGES), StageMoved(target="closed_won"), StageMoved(target="junk")],
        [opened(CLOSED_STAGES), LOST, StageMoved(target="closed_won")],
        [opened(CLOSED_STAGES, stage="closed_lost"), StageMoved(target="closed_won")],
    ],
)
def test_everything_else_counts(given: list[Given]) -> None:
    assert judged(*given) == [None] * len(given)


def test_what_happened_before_the_opening_has_no_ground() -> None:
    early = [
        on(fact, START - HOUR) for fact in (ContactLogged(), DealWon(), QuoteIssued(quote="Q1"))
    ]
    opening, *rest = judged(opened(), *early)
    assert opening is None
    assert rest == ["before the deal was opened"] * 3


def test_what_was_decided_before_the_opening_has_no_ground_when_it_takes_effect_either() -> (
    None
):
    planned = OwnerAssigned(owner="bob", effective_from=START + HOUR)
    assert judged(opened(), on(planned, START - HOUR))[1] == "before the deal was opened"


def test_nothing_has_ground_before_there_is_an_opening() -> None:
    deal = DealState(ReplayContext(PROCESSES))
    event = events_of([ContactLogged()])[0]
    assert deal.evolve(event) == "before the deal was opened"
    assert deal.opened_at is None


def test_what_has_the_very_time_of_the_opening_counts() -> None:
    assert judged(opened(), on(StageMoved(target="b"), START)) == [None, None]


def test_an_unknown_process_or_stage_counts_as_open() -> None:
    deal = DealState()
    facts = [opened(), StageMoved(target="closed_won"), LOST, DealReopened(), DealWon()]
    assert [deal.evolve(event) for event in events_of(facts)] == [None] * 5
    assert (deal.stage, deal.outcome, deal.stage_in_force) == ("closed_won", "won", None)


def test_irregular_facts_change_nothing_and_are_listed_with_the_reason() -> None:
    deal = deal_of(opened(amount=cny("5")), LOST, StageMoved(target="b"), REFUND)
    assert [(e.fact, why) for e, why in deal.irregular] == [
        (StageMoved(target="b"), "moved while lost"),
        (REFUND, "not won but lost"),
    ]
    assert (deal.stage, deal.outcome, deal.refunds) == ("a", "lost", ())


def test_losing_a_won_deal_puts_it_back_where_it_stood_open_last() -> None:
    deal = deal_of(opened(stage="c"), DealWon(), LOST)
    assert (deal.stage, deal.outcome) == ("c", "lost")


def test_a_migrated_deal_is_reopened_in_the_stage_its_old_one_was_mapped_to() -> None:
    mapping = (StageMapping(old="c", new="talks"), StageMapping(old="served", new="closed_won"))
    migrated = DealMigrated(process="imported", process_version=1, mapping=mapping)
    deal = deal_of(opened(stage="c"), DealWon(), migrated, DealReopened())
    assert (deal.process, deal.stage, deal.outcome) == ("imported", "talks", "open")


def test_a_deal_that_came_in_lost_can_be_migrated_too() -> None:
    migrated = DealMigrated(process="plain", process_version=1)
    deal = deal_of(opened(CLOSED_STAGES, stage="closed_lost"), migrated)
    assert (deal.process, deal.stage, deal.outcome) == ("plain", "closed_lost", "lost")


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ([opened(CLOSED_STAGES)], "open"),
        ([opened(CLOSED_STAGES, stage="junk")], "disqualified"),
        ([opened(CLOSED_STAGES), StageMoved(target="closed_won")], "won"),
        ([opened(CLOSED_STAGES), StageMoved(target="talks")], "open"),
        ([opened(CLOSED_STAGES), DealWon()], "won"),
        ([opened(CLOSED_STAGES), LOST], "lost"),
        ([opened(CLOSED_STAGES), JUNK], "disqualified"),
        ([opened(CLOSED_STAGES), LOST, DealReopened()], "open"),
        ([opened(CLOSED_STAGES), ContactLogged()], "open"),
    ],
)
def test_entering_a_stage_that_means_an_outcome_is_that_outcome(
    facts: list[Fact], outcome: Outcome
) -> None:
    assert deal_of(*facts).outcome == outcome


def test_under_an_unknown_process_no_stage_is_an_outcome() -> None:
    deal = DealState()
    for event in events_of([opened(CLOSED_STAGES), StageMoved(target="closed_won")]):
        assert deal.evolve(event) is None
    assert deal.outcome == "open"


def test_the_reason_of_an_outcome_goes_with_it() -> None:
    under = opened(CLOSED_STAGES)
    assert deal_of(under, JUNK).disqualified_because == "spam"
    won = deal_of(under, JUNK, StageMoved(target="closed_won"))
    assert (won.outcome, won.disqualified_because) == ("won", None)
    lost = deal_of(under, LOST, StageMoved(target="junk"))
    assert (lost.outcome, lost.lost_because, lost.lost_to) == ("disqualified", None, None)

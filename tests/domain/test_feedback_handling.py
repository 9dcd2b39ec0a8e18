"""What we do about feedback, and what the customer says after the decision."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

import pytest

from given import (
    HOUR,
    NOW,
    OTHER,
    PLAIN,
    START,
    Given,
    decides,
    event,
    on,
    opened,
    read,
    refuses,
)
from salesflow.domain.deal import Deal
from salesflow.domain.deal.after_sales import (
    FeedbackFollowedUp,
    FeedbackReceived,
    FeedbackTagged,
    InterviewHeld,
)
from salesflow.domain.deal.outcomes import DealLost
from salesflow.errors import DealClosedError, InputError, NotFoundError, RuleError

LOW = FeedbackReceived(scale="nps", score=3, text="too slow")
LOST = DealLost(because="price")
DAY = timedelta(days=1)
TOLD: dict[str, Callable[[Deal, datetime | date | None], None]] = {
    "feedback": lambda deal, at: deal.receive_feedback(
        scale="nps", score=3, person_id=OTHER, occurred_at=at
    ),
    "follow-up": lambda deal, at: deal.follow_up_feedback(
        by="ann", result="called", occurred_at=at
    ),
    "interview": lambda deal, at: deal.hold_interview(
        by="research", reasons=("price",), occurred_at=at
    ),
}


def test_somebody_comes_back_to_a_customer_and_says_what_came_of_it() -> None:
    deal = decides(
        given=[opened(), LOW],
        when=lambda deal: deal.follow_up_feedback(by="ann", result="a new contact"),
        then=[FeedbackFollowedUp(by="ann", result="a new contact")],
    )
    assert [each.by for each in deal.feedback_follow_ups] == ["ann"]
    decides(
        given=[opened(), LOW],
        when=lambda deal: deal.follow_up_feedback(by="ann", feedback=event(2)),
        then=[FeedbackFollowedUp(by="ann", feedback=event(2))],
    )


def test_feedback_that_is_not_there_is_neither_followed_up_nor_tagged() -> None:
    refuses(
        given=[opened()],
        when=lambda deal: deal.follow_up_feedback(by="ann"),
        error=RuleError,
        match="has no feedback at that time",
    )
    refuses(
        given=[opened(), LOW],
        when=lambda deal: deal.tag_feedback(("speed",), feedback=UUID(int=7)),
        error=NotFoundError,
        match="name the event with which it was received",
    )
    refuses(
        given=[opened(), LOW],
        when=lambda deal: deal.tag_feedback(()),
        error=InputError,
        match="name a theme",
    )


def test_nobody_comes_back_about_feedback_before_it_was_received_or_that_needs_no_answer() -> (
    None
):
    refuses(
        given=[opened(), on(LOW, START + HOUR)],
        when=lambda deal: deal.follow_up_feedback(
            by="ann", feedback=event(2), occurred_at=START + HOUR / 2
        ),
        error=RuleError,
        match="was received at .* later than that",
    )
    refuses(
        given=[opened(), FeedbackReceived(scale="nps", score=9)],
        when=lambda deal: deal.follow_up_feedback(by="ann"),
        error=RuleError,
        match="no feedback of a detractor at that time; name the one that was followed up",
    )


def test_feedback_is_tagged_with_what_it_is_about() -> None:
    decides(
        given=[opened(), LOW],
        when=lambda deal: deal.tag_feedback(("speed", "price")),
        then=[FeedbackTagged(themes=("speed", "price"))],
    )


def test_a_customer_is_interviewed_after_the_decision() -> None:
    deal = decides(
        given=[opened(), LOST],
        when=lambda deal: deal.hold_interview(by="research", reasons=("response_time",)),
        then=[InterviewHeld(by="research", reasons=("response_time",))],
    )
    assert [each.reasons for each in deal.interviews] == [("response_time",)]
    refuses(
        given=[opened()],
        when=lambda deal: deal.hold_interview(by="research", reasons=("price",)),
        error=DealClosedError,
        match="customers are interviewed after the decision",
    )
    refuses(
        given=[opened(), LOST],
        when=lambda deal: deal.hold_interview(by="research", summary=" "),
        error=InputError,
        match="has reasons, a summary, or both",
    )
    with pytest.raises(InputError, match="who held the interview"):
        deal.hold_interview(by=" ", reasons=("price",))


@pytest.mark.parametrize("told", TOLD)
def test_the_same_may_be_told_of_another_day_and_once_of_one(told: str) -> None:
    given: Sequence[Given] = [opened(), LOST, LOW, LOW, LOW, LOW, LOW]
    for at in (START + DAY, (START + 2 * DAY).date(), None):
        deal = read(Deal, given)
        TOLD[told](deal, START + 30 * DAY)
        TOLD[told](deal, at)
        for again in (at, START + 30 * DAY + HOUR, START + 30 * DAY - HOUR):
            with pytest.raises(RuleError, match=f"has this {told} already, of the same day"):
                TOLD[told](deal, again)
        TOLD[told](deal, NOW - DAY)
        assert len(deal.pending) == 3


def test_before_a_deal_is_added_the_same_is_told_once_of_a_time() -> None:
    deal = Deal.open(PLAIN, title="ERP", owner="ann", occurred_at=START)
    for at in (None, START + HOUR, START + 2 * HOUR):
        TOLD["feedback"](deal, at)
        with pytest.raises(RuleError, match="has this feedback already"):
            TOLD["feedback"](deal, at)

"""What we do about feedback, and what the customer says after the decision."""

from uuid import UUID

import pytest

from given import HOUR, START, decides, event, on, opened, refuses
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

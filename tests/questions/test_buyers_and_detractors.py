"""Detractors followed up in time, themes of feedback, and the buyer's reason beside ours."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from given import PLAIN, opened
from questions.shop import Shop, shop, told
from salesflow import Feedback, WinLoss
from salesflow.domain.deal.after_sales import (
    FeedbackFollowedUp,
    FeedbackReceived,
    FeedbackTagged,
    InterviewHeld,
)
from salesflow.domain.deal.outcomes import DealLost, DealWon


def low(score: int) -> FeedbackReceived:
    return FeedbackReceived(scale="nps", score=score, text=f"a {score}")


@pytest.fixture
def sales() -> Iterator[Shop]:
    with shop() as books:
        yield books


def test_a_detractor_is_followed_up_in_time_late_or_not_yet(sales: Shop) -> None:
    sales.tell(1, ("2026-04-01", opened()), ("2026-04-02", low(3)))
    sales.tell(1, ("2026-04-05", FeedbackFollowedUp(by="ann", result="made good")))
    sales.tell(2, ("2026-04-01", opened()), ("2026-04-02", low(0)))
    sales.tell(2, ("2026-04-30", FeedbackFollowedUp(by="bob")))
    sales.tell(3, ("2026-05-28", opened()), ("2026-05-29", low(6)))
    sales.tell(4, ("2026-04-01", opened()), ("2026-04-02", low(9)))
    view = sales.flow.ask(Feedback(), as_of="2026-05-31")
    its = view.follow_up
    assert (its.detractors, its.followed_up, its.within, its.due) == (3, 2, 1, 2)
    assert its.within_share is not None
    assert (its.within_share.value, its.within_share.count) == (Decimal("0.5"), 2)
    assert [
        (each.score, each.followed_up_by, each.result) for each in view.detractor_cases
    ] == [
        (6, None, None),
        (3, "ann", "made good"),
        (0, "bob", None),
    ]
    then = sales.flow.ask(Feedback(), as_of="2026-04-10")
    assert told(then.follow_up.followed_up, then.follow_up.due) == (1, 2)


def test_a_follow_up_names_its_feedback_or_is_of_the_latest_detractor(sales: Shop) -> None:
    sales.tell(1, ("2026-04-01", opened()), ("2026-04-02", low(1)), ("2026-04-03", low(2)))
    first = sales.events(1)[1].event_id
    sales.tell(1, ("2026-04-04", FeedbackFollowedUp(by="ann", feedback=first)))
    view = sales.flow.ask(Feedback(), as_of="2026-05-31")
    assert [(each.score, each.followed_up_by) for each in view.detractor_cases] == [
        (2, None),
        (1, "ann"),
    ]
    sales.tell(1, ("2026-04-05", FeedbackFollowedUp(by="bob")))
    view = sales.flow.ask(Feedback(), as_of="2026-05-31")
    assert {each.score: each.followed_up_by for each in view.detractor_cases} == {
        2: "bob",
        1: "ann",
    }
    sales.retract(sales.events(1)[-1])
    view = sales.flow.ask(Feedback(), as_of="2026-05-31")
    assert view.follow_up.followed_up == 1


def test_feedback_is_counted_by_what_it_is_about(sales: Shop) -> None:
    for number, score in enumerate((2, 9, 5), 1):
        sales.tell(number, ("2026-04-01", opened()), ("2026-04-02", low(score)))
        sales.tell(number, ("2026-04-03", FeedbackTagged(themes=("speed",))))
    sales.tell(3, ("2026-04-04", FeedbackTagged(themes=("price", "speed"))))
    themes = sales.flow.ask(Feedback(), as_of="2026-05-31").themes
    assert [(it.theme, it.responses, it.promoters, it.detractors) for it in themes] == [
        ("speed", 3, 1, 2),
        ("price", 1, 0, 1),
    ]


def lose(sales: Shop, number: int, because: str, *buyer: str, day: str = "20") -> None:
    sales.tell(number, ("2026-04-01", opened(PLAIN)), ("2026-04-10", DealLost(because=because)))
    if buyer:
        held = InterviewHeld(by="research", reasons=buyer)
        sales.tell(number, (f"2026-04-{day}", held))


def test_the_buyer_and_the_seller_agree_on_some_losses(sales: Shop) -> None:
    lose(sales, 1, "price", "response_time")
    lose(sales, 2, "price", "price", "trust")
    lose(sales, 3, "timing")
    sales.tell(4, ("2026-04-01", opened(PLAIN)), ("2026-04-10", DealWon()))
    sales.tell(4, ("2026-04-12", InterviewHeld(by="research", reasons=("trust",))))
    view = sales.flow.ask(WinLoss(interviewed_within=5), as_of="2026-05-31")
    its = view.interviews
    assert (its.closed, its.interviewed, its.within, its.due) == (4, 3, 1, 4)
    assert (its.compared, its.agree, its.few) == (2, 1, True)
    assert its.agreement is not None
    assert its.agreement.value == Decimal("0.5")
    assert {
        it.reason: (it.lost, it.seller_too, it.seller_alone, it.won)
        for it in view.buyer_reasons
    } == {
        "price": (1, 1, 1, 0),
        "trust": (1, 0, 0, 1),
        "response_time": (1, 0, 0, 0),
    }
    assert "too few to conclude" in view.table()


def test_buyers_name_other_competitors_than_sellers(sales: Shop) -> None:
    for number, (seller, *buyer) in enumerate(
        (("Acme", "Acme", "Borg"), ("Acme", "Borg"), ("Cyb",), (None, "Acme")), 1
    ):
        lost = DealLost(because="price", competitor=seller)
        sales.tell(number, ("2026-04-01", opened(PLAIN)), ("2026-04-10", lost))
        for name in buyer:
            sales.tell(number, ("2026-04-20", InterviewHeld(competitor=name)))
    sales.tell(5, ("2026-04-01", opened(PLAIN)), ("2026-04-10", DealWon()))
    sales.tell(5, ("2026-04-12", InterviewHeld(competitor="达索")))
    view = sales.flow.ask(WinLoss(), as_of="2026-05-31")
    assert [
        (it.competitor, it.lost, it.seller_too, it.seller_alone, it.won)
        for it in view.buyer_competitors
    ] == [("Acme", 2, 1, 1, 0), ("Borg", 2, 0, 0, 0), ("达索", 0, 0, 0, 1)]
    assert "Competitors of buyers and sellers" in view.table()
    before = sales.flow.ask(WinLoss(), as_of="2026-04-15")
    assert [it.competitor for it in before.buyer_competitors] == ["达索"]


def test_an_interview_before_the_decision_is_none_of_it(sales: Shop) -> None:
    lose(sales, 1, "price", "price", day="05")
    view = sales.flow.ask(WinLoss(), as_of="2026-05-31")
    assert (view.interviews.interviewed, view.interviews.compared) == (0, 0)
    assert view.interviews.agreement is None

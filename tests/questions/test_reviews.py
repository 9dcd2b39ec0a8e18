"""A quarter reviewed: its figures fixed, shown again as now known, actions followed up."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from given import cny, opened
from questions.shop import Shop, deal_id, shop, told
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.review import Review, review_id
from salesflow.errors import InputError, NotFoundError
from salesflow.projections.review.retrospective import Retrospective, RetrospectiveView
from salesflow.projections.review.reviewed_period import ReviewedPeriod

Q1: dict[str, Any] = {"from_": date(2026, 1, 1), "to": date(2026, 4, 1)}
Q2: dict[str, Any] = {"from_": date(2026, 4, 1), "to": date(2026, 7, 1)}


@pytest.fixture
def sales() -> Iterator[Shop]:
    """Quarter one was reviewed on 2 April; on 15 April its win turned out to be a tenth."""
    with shop() as books:
        books.turn("2026-01-05").tell(1, ("2026-01-05", opened(amount=cny("1000"))))
        lost = DealLost(because="price")
        books.turn("2026-03-30").tell(1, ("2026-03-30", DealWon()))
        books.tell(2, ("2026-03-30", opened(amount=cny("500"))), ("2026-03-30", lost))
        books.turn("2026-04-02 09:00")
        with books.flow.session(actor="boss") as s:
            review = s.add(Review.open("q1", **Q1))
            review.record_finding("Discounts", figure="win_rate", deal=deal_id(2))
            review.agree_action("ask", text="Ask first", owner="ann", due=date(2026, 4, 15))
            review.agree_action("train", text="Train", owner="bob", due=date(2026, 5, 15))
        books.turn("2026-04-10")
        with books.flow.session() as s:
            review = s.get(Review, review_id("q1"))
            review.complete_action("ask", result="a form")
            review.carry_over_action("train", due=date(2026, 5, 20))
            review.close_review(summary="fine")
        books.turn("2026-04-15").retract(books.events(1)[-1])
        books.turn("2026-04-15 01:00").tell(1, ("2026-03-30", DealWon(amount=cny("100"))))
        books.turn("2026-06-01")
        yield books


def ask(
    sales: Shop, key: str, at: str | None = None
) -> tuple[RetrospectiveView, ReviewedPeriod]:
    view = sales.flow.ask(Retrospective(review=key), as_of=at, known_at=at)
    assert view.review is not None
    return view, view.review


def figure(review: ReviewedPeriod, name: str) -> tuple[Any, ...]:
    [found] = [each for each in review.figures if each.figure == name]
    return found.fixed, found.now, found.change


def test_the_figures_are_as_they_were_fixed_and_beside_them_as_known_now(sales: Shop) -> None:
    view, review = ask(sales, "q1")
    assert figure(review, "sales") == (1000, 100, -900)
    assert figure(review, "orders") == (1, 1, 0)
    assert review.figures_changed == 2, "and the win rate by value"
    fixed_at = datetime(2026, 4, 2, 9, tzinfo=UTC)
    assert (review.fixed_as_of, review.fixed_known_at.replace(microsecond=0)) == (
        fixed_at,
        fixed_at,
    )
    alone = sales.flow.ask(Retrospective(**Q1), as_of=fixed_at, known_at=review.fixed_known_at)
    assert view.figures == alone.figures
    assert view.movements == alone.movements


def test_the_deals_behind_a_change_are_named(sales: Shop) -> None:
    _, review = ask(sales, "q1")
    [deal] = review.deals
    assert (deal.deal, deal.outcome_fixed, deal.outcome_now) == (deal_id(1), "won", "won")
    assert told(deal.amount_fixed, deal.amount_now, review.deals_total) == (1000, 100, 1)


def test_a_review_is_seen_as_it_stood_at_any_moment(sales: Shop) -> None:
    _, then = ask(sales, "q1", "2026-04-05")
    assert (then.state, then.actions_open, then.figures_changed) == ("open", 2, 0)
    assert [each.text for each in then.findings] == ["Discounts"]
    _, now = ask(sales, "q1")
    assert (now.state, now.actions_open, now.summary) == ("closed", 0, "fine")
    assert {each.action: (each.state, str(each.due)) for each in now.actions} == {
        "ask": ("done", "2026-04-15"),
        "train": ("carried_over", "2026-05-20"),
    }
    with pytest.raises(NotFoundError, match="no review 'q1' by then; there are none"):
        sales.flow.ask(Retrospective(review="q1"), as_of="2026-04-01")


def test_the_next_review_follows_up_on_the_actions_of_the_one_before(sales: Shop) -> None:
    with sales.flow.session() as s:
        s.add(Review.open("q2", **Q2, follows=s.get(Review, review_id("q1"))))
    _, review = ask(sales, "q2")
    assert review.follows == "q1"
    assert [(a.action, a.state, a.overdue) for a in review.actions] == [("train", "open", True)]
    assert [(a.review, a.action, a.state) for a in review.actions_before] == [
        ("q1", "ask", "done"),
        ("q1", "train", "open"),
    ]
    assert ask(sales, "q1")[1].followed_by == ("q2",)
    with sales.flow.session() as s:
        s.get(Review, review_id("q2")).complete_action("train", result="all of them")
    _, review = ask(sales, "q2")
    assert [a.outcome for a in review.actions_before] == ["a form", "all of them"]


def test_figures_may_be_fixed_at_an_earlier_moment_than_the_opening(sales: Shop) -> None:
    end = datetime(2026, 3, 31, 23, 59, tzinfo=UTC)
    with sales.flow.session() as s:
        s.add(Review.open("audit", **Q1, as_of=end, known_at=end))
    _, review = ask(sales, "audit")
    assert (review.fixed_as_of, review.fixed_known_at) == (end, end)
    assert figure(review, "sales") == (1000, 100, -900)


def test_a_review_says_itself_which_period_it_is_of(sales: Shop) -> None:
    with pytest.raises(InputError, match="a review says itself which period it is of"):
        Retrospective(review="q1", owner="ann")
    with pytest.raises(NotFoundError, match="there is no review 'q9' by then; there are q1"):
        sales.flow.ask(Retrospective(review="q9"))


def test_without_a_review_a_retrospective_says_nothing_of_any(sales: Shop) -> None:
    view = sales.flow.ask(Retrospective(**Q1))
    assert view.review is None
    assert view.tables()[0].title == "What matters most"


def test_people_read_first_what_is_still_to_be_done(sales: Shop) -> None:
    view, _ = ask(sales, "q1")
    titles = [table.title for table in view.tables()]
    assert titles[:5] == [
        "Review", "Actions", "Findings", "Figures then and now", "Closings that changed since",
    ]  # fmt: skip
    text = view.table()
    assert "2 of 18 figures changed by what was told late or corrected" in text
    assert "复盘 q1" in view.table("zh")


def test_a_brief_of_a_review_keeps_what_was_found_and_agreed_on(sales: Shop) -> None:
    view, _ = ask(sales, "q1")
    titles = [table.title for table in view.brief_tables()]
    assert titles[:3] == ["Review", "Actions", "Findings"]
    assert len(titles) == 4, "and the five lines that matter most"

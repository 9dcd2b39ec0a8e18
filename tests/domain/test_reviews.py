"""Reviews: opened, what is found, actions until they are done, dropped or carried over."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import pytest

from given import NOW, SHANGHAI, START, Given, day, event, events_of, on, read
from salesflow import testing
from salesflow.domain.event import Fact, FactRetracted, believed_history
from salesflow.domain.review import (
    ActionAgreed,
    ActionCarriedOver,
    ActionCompleted,
    ActionDropped,
    CarriedAction,
    FindingRecorded,
    Review,
    ReviewClosed,
    ReviewOpened,
    ReviewState,
    review_id,
)
from salesflow.errors import InputError, NotFoundError, RuleError

Q1 = review_id("q1")
OPENED = ReviewOpened(review="q1", from_=day("2026-01-01"), to=day("2026-04-01"))
TRAIN = ActionAgreed(
    action="train", text="Train negotiation", owner="bob", due=day("2026-05-15")
)
ASK = ActionAgreed(
    action="ask", text="Ask before discounts", owner="ann", due=day("2026-04-15")
)
LEFT = CarriedAction(
    action="train", text="Train negotiation", owner="bob", due=day("2026-05-15"), agreed_in="q1"
)


def q1(*given: Given, now: datetime = NOW) -> Review:
    return read(Review, [OPENED, *given], id=Q1, now=now)


def decides(
    *, given: Sequence[Given], when: Callable[[Review], object], then: Sequence[Fact]
) -> Review:
    return testing.decides(
        given=given, when=when, then=then, kind=Review, id=Q1, timezone=SHANGHAI
    )


refuses = partial(testing.refuses, kind=Review, id=Q1, timezone=SHANGHAI, error=RuleError)


def judged(*given: Given) -> list[str | None]:
    review = ReviewState()
    return [review.evolve(each) for each in believed_history(events_of(given, Q1))]


def opened(**given: object) -> Review:
    period = {"from_": day("2026-04-01"), "to": day("2026-07-01")}
    return Review.open("q2", **{**period, **given})  # type: ignore[arg-type]


def test_a_review_is_opened_for_a_period_of_a_rep_a_team_or_the_company() -> None:
    review = Review.open("q1", from_=day("2026-01-01"), to=day("2026-04-01"))
    assert [each.fact for each in review.pending] == [OPENED]
    assert (review.id, review.key, review.owner, review.team) == (Q1, "q1", None, None)
    assert opened(team="east").team == "east"
    assert opened(owner="ann").owner == "ann"
    with pytest.raises(InputError, match="of a rep or of a team, not of both"):
        opened(owner="ann", team="east")


def test_a_period_holds_a_day_and_figures_are_of_it_and_not_of_later() -> None:
    with pytest.raises(InputError, match="holds no day; `to` is the first day after it"):
        opened(to=day("2026-04-01"))
    with pytest.raises(InputError, match="as_of lies before the period begins on 2026-04-01"):
        opened(as_of=datetime(2026, 3, 1, tzinfo=UTC))
    ahead = {"as_of": datetime(2026, 6, 2, tzinfo=UTC)}
    with pytest.raises(InputError, match="as_of lies after the review was opened"):
        opened(**ahead, occurred_at=datetime(2026, 6, 1, tzinfo=UTC))


def test_what_is_found_is_noted_with_the_figure_it_is_about() -> None:
    found = FindingRecorded(text="Discounts without asking", figure="win_rate")
    review = decides(
        given=[OPENED],
        when=lambda review: review.record_finding(
            "Discounts without asking", figure="win_rate"
        ),
        then=[found],
    )
    assert [each.text for each in review.findings] == ["Discounts without asking"]


def test_an_action_is_agreed_with_who_and_by_when() -> None:
    review = decides(
        given=[OPENED],
        when=lambda review: review.agree_action(
            "train", text="Train negotiation", owner="bob", due=day("2026-05-15")
        ),
        then=[TRAIN],
    )
    assert [(a.action, a.owner, a.state) for a in review.open_actions] == [
        ("train", "bob", "open")
    ]
    again = "review 'q1' has an action 'train' already"
    refuses(
        given=[OPENED, TRAIN],
        when=lambda review: review.agree_action(
            "train", text="again", owner="bob", due=day("2026-05-15")
        ),
        match=again,
    )


def test_an_action_is_done_dropped_for_a_reason_or_carried_over() -> None:
    def end_both(review: Review) -> None:
        review.complete_action("ask", result="a form")
        review.carry_over_action("train", due=day("2026-06-01"))

    review = decides(
        given=[OPENED, TRAIN, ASK],
        when=end_both,
        then=[
            ActionCompleted(action="ask", result="a form"),
            ActionCarriedOver(action="train", due=day("2026-06-01")),
        ],
    )
    assert {key: (a.state, str(a.due)) for key, a in review.actions.items()} == {
        "train": ("carried_over", "2026-06-01"),
        "ask": ("done", "2026-04-15"),
    }
    refuses(
        given=[OPENED, TRAIN],
        when=lambda review: review.drop_action("train", because=" "),
        match="needs a reason",
        error=InputError,
    )


def test_what_is_no_action_or_open_no_more_is_neither_done_nor_dropped() -> None:
    refuses(
        given=[OPENED, TRAIN],
        when=lambda review: review.complete_action("trian"),
        match="has no action 'trian' at that time; there are train",
        error=NotFoundError,
    )
    refuses(
        given=[OPENED, TRAIN, ActionCarriedOver(action="train")],
        when=lambda review: review.drop_action("train", because="no use"),
        match="action 'train' is carried over already and cannot be dropped",
    )


def test_a_review_with_open_actions_cannot_be_closed_and_each_is_named() -> None:
    refuses(
        given=[OPENED, TRAIN, ASK],
        when=lambda review: review.close_review(),
        match=(
            r"'q1' has 2 open: 'train' \(bob, due 2026-05-15\); 'ask' \(ann, due 2026-04-15\);"
            " complete each, drop it with a reason, or carry it over"
        ),
    )
    done = [ActionCompleted(action="ask"), ActionDropped(action="train", because="no use")]
    decides(
        given=[OPENED, TRAIN, ASK, *done],
        when=lambda review: review.close_review(summary="all said"),
        then=[ReviewClosed(summary="all said")],
    )


def test_a_closed_review_takes_no_more_findings_and_actions() -> None:
    for command in (
        lambda review: review.record_finding("late"),
        lambda review: review.agree_action("x", text="x", owner="x", due=day("2026-07-01")),
        lambda review: review.close_review(),
    ):
        refuses(given=[OPENED, ReviewClosed()], when=command, match="'q1' is closed")


def test_the_next_review_takes_over_what_was_carried_over() -> None:
    before = q1(TRAIN, ASK, ActionCompleted(action="ask"), ActionCarriedOver(action="train"))
    with pytest.raises(RuleError, match="'q1' is not closed; close it before one that follows"):
        opened(follows=before)
    closed = q1(TRAIN, ActionCarriedOver(action="train"), ReviewClosed())
    review = opened(follows=closed)
    fact = review.pending[0].fact
    assert isinstance(fact, ReviewOpened)
    assert (fact.follows, fact.carried) == ("q1", (LEFT,))
    with pytest.raises(RuleError, match=r"'q2' has 1 open: 'train' \(.*, from 'q1'\)"):
        review.close_review()
    review.complete_action("train")
    review.close_review()
    with pytest.raises(InputError, match="cannot follow itself"):
        Review.open("q1", from_=day("2026-01-01"), to=day("2026-04-01"), follows=closed)


def test_a_command_in_the_past_is_checked_against_what_was_agreed_by_then() -> None:
    review = q1(on(TRAIN, START.replace(hour=20)))
    with pytest.raises(NotFoundError, match="has no action 'train' at that time"):
        review.complete_action("train", occurred_at=START.replace(hour=19))


def test_what_lost_its_ground_by_later_knowledge_is_irregular() -> None:
    assert judged(OPENED, TRAIN, TRAIN) == [None, None, "action 'train' was agreed before"]
    assert judged(OPENED, ActionCompleted(action="x")) == [None, "there is no action 'x'"]
    done = ActionCompleted(action="train")
    assert judged(OPENED, TRAIN, done, done)[-1] == "action 'train' is open no more"
    assert judged(OPENED, OPENED)[-1] == "the review was opened before"
    assert judged(OPENED, ReviewClosed(), ReviewClosed())[-1] == "the review was closed before"
    other = OPENED.model_copy(update={"review": "q7"})
    assert judged(other) == ["it names another review, 'q7'"]
    early = on(TRAIN, START.replace(year=2020))
    assert judged(OPENED, early)[-1] == "before the review was opened"


def test_a_closing_whose_ground_was_taken_back_leaves_its_action_open() -> None:
    given = [OPENED, TRAIN, ActionCompleted(action="train"), ReviewClosed()]
    wrong = FactRetracted(event_id=event(3), because="not done")
    review = read(Review, [*given, wrong], id=Q1)
    assert review.closed is not None
    assert [each.action for each in review.open_actions] == ["train"]


def test_a_finding_is_noted_once_in_the_same_words() -> None:
    found = FindingRecorded(text="Discounts", figure="win_rate")
    refuses(
        given=[OPENED, found],
        when=lambda it: it.record_finding("Discounts", figure="win_rate"),
        match="has this finding already, in the same words",
    )
    other = FindingRecorded(text="Discounts", figure="orders")
    decides(
        given=[OPENED, found],
        when=lambda it: it.record_finding("Discounts", figure="orders"),
        then=[other],
    )

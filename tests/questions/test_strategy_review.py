"""A month looked at as a whole: each part as its own question answers it."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest

from given import cny, opened
from questions.shop import Shop, deal_id, shop
from salesflow import (
    STANDARD,
    Case,
    Deal,
    Figures,
    Improvement,
    Money,
    Retrospective,
    Review,
    StrategyReview,
)
from salesflow.domain.deal.after_sales import FeedbackReceived
from salesflow.domain.deal.outcomes import DealLost, DealWon
from salesflow.domain.deal.stages import StageMoved
from salesflow.domain.figures import FIGURES_ID
from salesflow.domain.improvement import improvement_id

MAY = StrategyReview(from_=date(2026, 5, 1), to=date(2026, 6, 1))


@pytest.fixture(scope="module")
def sales() -> Iterator[Shop]:
    with shop() as books:
        books.turn("2026-05-02").tell(1, ("2026-05-01", opened(amount=cny("100"))))
        books.tell(2, ("2026-04-01", opened(amount=cny("70"))))
        books.turn("2026-05-20").tell(2, ("2026-05-20", DealLost(because="price")))
        books.tell(2, ("2026-05-20", FeedbackReceived(scale="nps", score=2, text="slow")))
        with books.flow.session() as s:
            case = s.add(Case.publish("slow", deal=s.get(Deal, deal_id(2))))
            case.note_lesson("Answer within a day")
            review = s.add(Review.open("april", from_=date(2026, 4, 1), to=date(2026, 5, 1)))
            review.agree_action("ask", text="Ask", owner="ann", due=date(2026, 5, 25))
            trial = s.add(
                Improvement.propose(
                    "calls", hypothesis="It helps", change="strategy", metric="contacts"
                )
            )
            trial.start()
            book = s.get(Figures, FIGURES_ID)
            for month, value in ((4, "0.11"), (5, "0.13")):
                book.report(
                    "market-share",
                    value=value,
                    unit="share",
                    first_day=date(2026, month, 1),
                    last_day=date(2026, month, 30),
                    source="institute",
                )
        books.turn("2026-06-01")
        yield books


def test_all_that_the_strategy_is_judged_by_stands_side_by_side(sales: Shop) -> None:
    view = sales.flow.ask(MAY, as_of="2026-05-31")
    assert [(each.case, each.because, each.lessons) for each in view.cases] == [
        ("slow", "price", ("Answer within a day",))
    ]
    assert [(it.figure, it.value, it.value_before) for it in view.market] == [
        ("market-share", Decimal("0.13"), Decimal("0.11"))
    ]
    assert [(it.improvement, it.verdict) for it in view.improvements] == [
        ("calls", "window_not_over")
    ]
    assert [(it.action, it.owner, it.overdue) for it in view.actions] == [("ask", "ann", True)]
    assert (view.feedback.detractors, view.follow_up.followed_up) == (1, 0)
    assert sum(stage.deals for stage in view.funnel) == 1
    days = {"from_": date(2026, 5, 1), "to": date(2026, 6, 1)}
    alone = sales.flow.ask(Retrospective.model_validate(days), as_of="2026-05-31")
    assert view.figures == alone.figures


def test_it_is_of_the_month_of_the_moment_unless_another_is_named(sales: Shop) -> None:
    asked = sales.flow.ask(StrategyReview(), as_of="2026-05-31")
    assert asked.period == sales.flow.ask(MAY, as_of="2026-05-31").period
    assert asked.before.start.date() == date(2026, 4, 1)


def test_a_past_month_has_the_funnel_of_its_end(sales: Shop) -> None:
    april = StrategyReview(from_=date(2026, 4, 1), to=date(2026, 5, 1))
    view = sales.flow.ask(april, as_of="2026-05-31")
    assert sum(stage.deals for stage in view.funnel) == 1
    assert view.cases == ()


def test_a_past_month_has_the_improvements_that_ran_in_it() -> None:
    with shop() as books:
        books.turn("2026-04-10")
        with books.flow.session() as s:
            given = {"hypothesis": "It helps", "change": "strategy", "metric": "contacts"}
            for key in ("early", "late", "never"):
                s.add(Improvement.propose(key, **given))  # type: ignore[arg-type]
            s.get(Improvement, improvement_id("early")).start(effective_from=date(2026, 4, 20))
        books.turn("2026-06-10")
        with books.flow.session() as s:
            early = s.get(Improvement, improvement_id("early"))
            early.conclude("adopted", because="it helped")
            s.get(Improvement, improvement_id("late")).start()
        for month, ran in (
            (4, ["early"]),
            (5, ["early"]),
            (6, ["early", "late"]),
            (7, ["late"]),
        ):
            asked = StrategyReview(from_=date(2026, month, 1), to=date(2026, month + 1, 1))
            found = books.flow.ask(asked, as_of="2026-08-01").improvements
            assert [each.improvement for each in found] == ran, month


def test_a_reason_is_called_as_its_process_calls_it() -> None:
    with shop() as books:
        books.turn("2026-05-20").tell(1, ("2026-05-01", opened(STANDARD)))
        books.tell(1, ("2026-05-20", DealLost(because="price")))
        with books.flow.session() as s:
            s.add(Case.publish("dear", deal=s.get(Deal, deal_id(1))))
        tables = {language: books.flow.ask(MAY).tables(language) for language in ("en", "zh")}
        for language, said in (("en", "Price"), ("zh", "价格")):
            [row] = [t.rows for t in tables[language] if t.title == "Cases published"]
            assert row[0][3] == said


def test_people_read_it_from_top_to_bottom(sales: Shop) -> None:
    titles = [table.title for table in sales.flow.ask(MAY).tables()]
    assert titles[0] == "Strategy review"
    assert titles[-3:] == ["Cases published", "Improvements", "Open actions of reviews"]
    assert "战略回顾" in sales.flow.ask(MAY).table("zh")


def test_figures_in_several_currencies_are_told_apart_by_their_names() -> None:
    with shop() as books:
        sales = (1, cny("100")), (2, Money("50", "USD"))
        for number, amount in sales:
            books.tell(number, ("2026-05-04", opened(amount=amount)), ("2026-05-20", DealWon()))
            qualified = ("2026-05-05", StageMoved(target="needs_analysis"))
            books.tell(number + 2, ("2026-05-04", opened(amount=amount)), qualified)
        whole, *_ = books.flow.ask(MAY, as_of="2026-05-31").tables()
        named = [row[0] for row in whole.rows]
        assert len(set(named)) == len(named)
        assert {"Sales CNY", "Sales velocity per day USD"} <= {*named}
    with shop() as books:
        books.tell(1, ("2026-05-04", opened(amount=cny("100"))), ("2026-05-20", DealWon()))
        whole, *_ = books.flow.ask(MAY, as_of="2026-05-31").tables()
        assert "Sales" in [row[0] for row in whole.rows], "one currency stands in the figures"

"""Goals of a product: what was sold of it, by the lines of each sale."""

from datetime import date
from decimal import Decimal

import pytest

from given import cny, opened
from questions.shop import Shop, deal_id, shop
from questions.test_goals import line, now, of, set_goal
from salesflow import GoalCheck, Money
from salesflow.domain.deal.billing import ContractAmended, LineItemsAgreed, RefundGiven
from salesflow.domain.deal.outcomes import DealReopened, DealWon
from salesflow.domain.deal.quotes import QuoteAccepted, QuoteIssued, QuoteLine
from salesflow.errors import InputError

LICENCE, TRAINING = "licence", "training"


def lines(**prices: str) -> tuple[QuoteLine, ...]:
    return tuple(
        QuoteLine(product=product, unit_price=Money(price, "CNY"))
        for product, price in prices.items()
    )


def sold(sales: Shop, deal: int, day: str, amount: str, **prices: str) -> None:
    """Win a deal in ann's name whose agreed lines have these prices."""
    agreed = LineItemsAgreed(lines=lines(**prices))
    facts = (opened(amount=cny(amount), owner="ann"), agreed, DealWon(amount=cny(amount)))
    sales.tell(deal, *((day, fact) for fact in facts))


def reached(
    sales: Shop, product: str, metric: str = "sales", by: str = "2026-09-30"
) -> Decimal:
    """Give what a goal of a product came to by a day; it is set where it is not."""
    key = f"{product}-{metric}"
    if key not in {goal.goal for goal in of(sales, by).goals}:
        target: object = Money("1000", "CNY") if metric == "sales" else 5
        set_goal(sales, key, metric=metric, product=product, target=target)
    found = line(of(sales, by, goal=key), key).actual
    assert found is not None
    return found


def test_a_goal_of_a_product_is_attained_by_what_was_sold_of_it() -> None:
    with now() as sales:
        sold(sales, 1, "2026-07-06", "900", licence="600", training="400")
        sold(sales, 2, "2026-07-07", "500", training="70")
        assert reached(sales, LICENCE) == 540, "60% of what was signed"
        assert reached(sales, TRAINING) == 360 + 500
        assert reached(sales, LICENCE, "won") == 1
        assert reached(sales, TRAINING, "won") == 2
        assert reached(sales, "hardware") == 0


def test_without_agreed_lines_those_of_the_accepted_quote_count() -> None:
    with now() as sales:
        offers = (
            QuoteIssued(quote="A", lines=lines(licence="1", training="9")),
            QuoteIssued(quote="B", lines=lines(licence="9", training="1")),
            QuoteAccepted(quote="B"),
        )
        facts = (opened(amount=cny("100"), owner="ann"), *offers, DealWon(amount=cny("100")))
        sales.tell(1, *(("2026-07-06", fact) for fact in facts))
        assert [reached(sales, each) for each in (LICENCE, TRAINING)] == [90, 10]


def test_the_parts_of_a_sale_add_up_to_it_to_the_millionth() -> None:
    with now() as sales:
        sold(sales, 1, "2026-07-06", "100", a="1", b="1", c="1")
        parts = [reached(sales, product) for product in ("a", "b", "c")]
        assert sum(parts) == 100
        assert parts == [Decimal("33.333333"), Decimal("33.333334"), Decimal("33.333333")]


def test_nothing_is_left_of_a_product_when_the_sale_is_undone() -> None:
    with now() as sales:
        sold(sales, 1, "2026-07-06", "100", a="1", b="1", c="1")
        sales.tell(1, ("2026-07-07", ContractAmended(amount=cny("50.01"))))
        sales.tell(1, ("2026-07-08", RefundGiven(amount=cny("0.01"))))
        assert reached(sales, "a", by="2026-07-08") == Decimal("16.666667")
        sales.tell(1, ("2026-07-09", DealReopened()))
        assert [reached(sales, each) for each in ("a", "b", "c")] == [0, 0, 0]


def test_lines_agreed_after_the_win_change_nothing_that_was_sold() -> None:
    with now() as sales:
        sold(sales, 1, "2026-07-06", "100", licence="1")
        sales.tell(1, ("2026-07-07", LineItemsAgreed(lines=lines(training="1"))))
        assert [reached(sales, each) for each in (LICENCE, TRAINING)] == [100, 0]


def test_lines_that_become_known_later_were_not_known_before() -> None:
    with shop() as sales:
        sales.turn("2026-07-10")
        facts = (opened(amount=cny("100"), owner="ann"), DealWon(amount=cny("100")))
        sales.tell(1, ("2026-07-05", facts[0]), ("2026-07-06", facts[1]))
        sales.turn("2026-12-01")
        sales.tell(1, ("2026-07-05", LineItemsAgreed(lines=lines(licence="1"))))
        assert reached(sales, LICENCE) == 100
        check = GoalCheck(
            metric="sales",
            product=LICENCE,
            currency="CNY",
            from_=date(2026, 10, 1),
            to=date(2027, 1, 1),
        )
        now_known = sales.flow.ask(check).evidence.values[-1].value
        then = sales.flow.ask(check, known_at="2026-11-30").evidence.values[-1].value
    assert (now_known, then) == (Decimal(100), Decimal(0))


@pytest.mark.parametrize("metric", ["win_rate", "orders", "contacts", "figure:share"])
def test_of_a_product_only_what_was_sold_of_it_can_be_a_goal(metric: str) -> None:
    with now() as sales, pytest.raises(InputError, match=r"of a product|reported as a whole"):
        unit = {"unit": "share"} if metric.startswith("figure") else {}
        set_goal(sales, "g", metric=metric, target="0.5", product=LICENCE, **unit)


def test_goals_of_products_share_out_a_goal_of_all() -> None:
    with now() as sales:
        sold(sales, 1, "2026-07-06", "900", licence="600", training="400")
        target = {"target": Money("1000", "CNY"), "metric": "sales"}
        set_goal(sales, "all", **target)
        set_goal(sales, "licences", **target, product=LICENCE, parent="all")
        set_goal(sales, "trainings", **target, product=TRAINING, parent="all")
        [split] = of(sales, "2026-09-30", goal="all").splits
        deals = of(sales, "2026-09-30", goal="licences").deals
    assert (split.by, split.goals, split.actual) == ("product", 2, Decimal(900))
    assert [each.deal for each in deals] == [deal_id(1)]


def test_the_goals_of_one_product_are_listed_alone() -> None:
    with now() as sales:
        set_goal(sales, "one", metric="won", target=1, product=LICENCE)
        set_goal(sales, "other", metric="won", target=1, product=TRAINING)
        found = of(sales, "2026-09-30", product=LICENCE)
    assert [each.goal for each in found.goals] == ["one"]
    assert [each.product for each in found.goals] == [LICENCE]

"""Who became a customer and who came back, in numbers worked out by hand."""

from datetime import date, datetime
from uuid import UUID

import pytest

from given import cny, opened
from questions.shop import Shop, deal_id, shop
from salesflow import ExternalEvent
from salesflow.domain.customer import CustomerMerged, CustomerRegistered, CustomerUnmerged
from salesflow.domain.deal.after_sales import RepeatOrderPlaced
from salesflow.domain.deal.merging import DealAbsorbed, DealMerged
from salesflow.domain.deal.outcomes import DealLost, DealReopened, DealWon
from salesflow.domain.deal.people import CustomerChanged, OwnerAssigned
from salesflow.domain.event import Fact
from salesflow.domain.time import to_instant
from salesflow.errors import RuleError
from salesflow.projections.metrics.kpi_figures import KpiLine
from salesflow.projections.performance.kpis import Kpis

ACME, BOLT, CAMPO = (UUID(int=0xC057_0000 + number) for number in (1, 2, 3))
JUNE = "2026-06-01T00:00:00+00:00"
QUARTER = {"from_": date(2026, 1, 1), "to": date(2026, 4, 1)}


def lines(books: Shop, as_of: str = JUNE, **asked: object) -> list[KpiLine]:
    return list(books.flow.ask(Kpis.model_validate(QUARTER | asked), as_of=as_of).lines)


def new(books: Shop, as_of: str = JUNE, **asked: object) -> list[int]:
    return [line.new_customers for line in lines(books, as_of, **asked)]


def by_group(books: Shop, **asked: object) -> dict[str | None, int]:
    return {line.group: line.new_customers for line in lines(books, JUNE, **asked)}


def buyers(books: Shop, as_of: str = JUNE, **asked: object) -> list[tuple[int, int, object]]:
    return [
        (line.customers, line.customers_again, line.repeat_rate)
        for line in lines(books, as_of, **asked)
    ]


def sell(
    books: Shop, deal: int, customer: UUID | None, won: str, *, owner: str = "ann"
) -> Shop:
    """Open a deal at the beginning of the year and win it."""
    opening = opened(customer_id=customer, amount=cny("100"), owner=owner)
    return books.tell(deal, ("2026-01-05 09:00", opening), (won, DealWon()))


def register(books: Shop, customer: UUID, *told: tuple[str, Fact]) -> Shop:
    """Record facts of a customer together."""
    books.flow.record(
        [
            ExternalEvent(
                customer,
                fact,
                to_instant(datetime.fromisoformat(at).replace(tzinfo=books.zone)),
            )
            for at, fact in told
        ]
    )
    return books


def since(day: str | None = None) -> CustomerRegistered:
    return CustomerRegistered(
        name="one of many", customer_since=None if day is None else date.fromisoformat(day)
    )


def test_a_customer_is_new_once_in_the_month_of_the_first_deal_won() -> None:
    with shop() as books:
        sell(books, 1, ACME, "2026-02-10 09:00")
        sell(books, 2, ACME, "2026-03-05 09:00")
        sell(books, 3, BOLT, "2026-03-31 23:59")
        assert new(books, each="month") == [0, 1, 1]
        assert new(books) == [2]
        assert new(books, as_of="2026-02-10T08:59:59+00:00") == [0]
        assert new(books, as_of="2026-02-10T09:00:00+00:00") == [1]


def test_who_nobody_named_is_no_new_customer() -> None:
    with shop() as books:
        sell(books, 1, None, "2026-02-10 09:00")
        assert new(books) == [0]
        assert buyers(books) == [(0, 0, None)]


def test_whose_deal_was_taken_back_and_won_again_is_new_when_it_was_won_again() -> None:
    with shop() as books:
        sell(books, 1, ACME, "2026-02-10 09:00")
        books.tell(1, ("2026-02-20 09:00", DealReopened()))
        books.tell(1, ("2026-03-05 09:00", DealLost(because="price")))
        books.tell(1, ("2026-04-10 09:00", DealWon()))
        assert new(books, as_of="2026-02-15T00:00:00+00:00") == [1]
        assert new(books, as_of="2026-03-31T23:59:59+00:00") == [0]
        assert new(books) == [0]
        [quarter] = new(books, from_=date(2026, 4, 1), to=date(2026, 7, 1))
        assert quarter == 1


def test_who_was_a_customer_before_the_log_is_not_new() -> None:
    with shop() as books:
        register(books, ACME, ("2026-01-02 09:00", since("2019-05-01")))
        register(books, BOLT, ("2026-01-02 09:00", since()))
        sell(books, 1, ACME, "2026-02-10 09:00")
        sell(books, 2, BOLT, "2026-02-10 09:00")
        assert by_group(books, by="customer") == {str(ACME): 0, str(BOLT): 1}


@pytest.mark.parametrize(("day", "count"), [("2026-03-09", 0), ("2026-03-10", 1)])
def test_who_became_a_customer_on_the_day_of_the_first_deal_is_new(
    day: str, count: int
) -> None:
    with shop(timezone="Asia/Shanghai") as books:
        register(books, ACME, ("2026-01-02 09:00", since(day)))
        sell(books, 1, ACME, "2026-03-10 00:30")
        assert new(books) == [count], "in Shanghai it was the 10th, in UTC still the 9th"


def test_a_first_deal_won_at_midnight_belongs_to_the_day_that_begins() -> None:
    with shop() as books:
        sell(books, 1, ACME, "2026-03-01 00:00")
        assert new(books, each="month") == [0, 0, 1]


def test_customers_merged_are_one_customer_with_one_first_deal() -> None:
    with shop() as books:
        register(books, ACME, ("2026-01-02 09:00", since()))
        register(books, BOLT, ("2026-01-02 09:00", since()))
        sell(books, 1, ACME, "2026-02-10 09:00")
        sell(books, 2, BOLT, "2026-03-05 09:00")
        register(books, BOLT, ("2026-04-02 09:00", CustomerMerged(into=ACME)))
        before, after = "2026-04-02T08:59:59+00:00", "2026-04-02T09:00:00+00:00"
        assert new(books, as_of=before, each="month") == [0, 1, 1]
        assert new(books, as_of=after, each="month") == [0, 1, 0]
        assert buyers(books, as_of=before) == [(2, 0, 0)]
        assert buyers(books, as_of=after) == [(1, 1, 1)]
        register(books, BOLT, ("2026-05-02 09:00", CustomerUnmerged()))
        assert new(books, each="month") == [0, 1, 1]
        assert new(books, as_of=after, each="month") == [0, 1, 0]


def test_a_merge_is_known_from_when_it_was_recorded() -> None:
    with shop() as books:
        for customer in (ACME, BOLT):
            register(books, customer, ("2026-01-02 09:00", since()))
        sell(books, 1, ACME, "2026-02-10 09:00")
        sell(books, 2, BOLT, "2026-03-05 09:00")
        then = books.flow.ask(Kpis()).moment
        books.turn("2026-06-05 09:00")
        register(books, BOLT, ("2026-03-20 09:00", CustomerMerged(into=ACME)))
        asked = Kpis.model_validate(QUARTER)
        assert books.flow.ask(asked, as_of=JUNE).lines[0].new_customers == 1
        known = books.flow.ask(asked, as_of=JUNE, known_at=then.known_at)
        assert known.lines[0].new_customers == 2


def test_a_chain_of_merges_ends_at_one_customer_and_takes_the_oldest_day_along() -> None:
    with shop() as books:
        for customer in (ACME, BOLT):
            register(books, customer, ("2026-01-02 09:00", since()))
        register(books, CAMPO, ("2026-01-02 09:00", since("2026-02-01")))
        sell(books, 1, ACME, "2026-02-10 09:00")
        sell(books, 2, CAMPO, "2026-03-05 09:00")
        register(books, CAMPO, ("2026-01-03 09:00", CustomerMerged(into=BOLT)))
        assert by_group(books, by="customer") == {str(ACME): 1, str(BOLT): 0}
        register(books, BOLT, ("2026-01-03 09:00", CustomerMerged(into=ACME)))
        assert by_group(books, by="customer") == {str(ACME): 0}


def test_customers_are_never_merged_in_a_circle() -> None:
    with shop() as books:
        for customer in (ACME, BOLT, CAMPO):
            register(books, customer, ("2026-01-02 09:00", since()))
        for customer, into in ((ACME, BOLT), (BOLT, CAMPO)):
            register(books, customer, ("2026-01-03 09:00", CustomerMerged(into=into)))
        with pytest.raises(RuleError, match="cannot be merged into"):
            register(books, CAMPO, ("2026-01-03 09:00", CustomerMerged(into=BOLT)))
        for deal, customer in ((1, ACME), (2, BOLT), (3, CAMPO)):
            sell(books, deal, customer, f"2026-02-0{deal} 09:00")
        assert by_group(books, by="customer") == {str(CAMPO): 1}


def test_a_new_customer_is_that_of_whoever_won_the_first_deal() -> None:
    with shop() as books:
        sell(books, 1, ACME, "2026-02-10 09:00", owner="ann")
        sell(books, 2, ACME, "2026-02-09 09:00", owner="bob")
        books.tell(2, ("2026-03-01 09:00", OwnerAssigned(owner="cho")))
        assert by_group(books, by="rep") == {"ann": 0, "bob": 1}
        assert new(books, owner="ann") == [0]
        assert new(books, owner="bob") == [1]


def test_of_two_deals_won_in_one_instant_one_is_the_first() -> None:
    with shop() as books:
        sell(books, 2, ACME, "2026-02-10 09:00", owner="ann")
        sell(books, 1, ACME, "2026-02-10 09:00", owner="bob")
        assert by_group(books, by="rep") == {"ann": 0, "bob": 1}


def test_a_deal_counts_for_the_customer_it_had_when_it_was_won() -> None:
    with shop() as books:
        sell(books, 1, ACME, "2026-02-10 09:00")
        books.tell(1, ("2026-02-01 09:00", CustomerChanged(customer_id=BOLT)))
        books.tell(1, ("2026-03-01 09:00", CustomerChanged(customer_id=CAMPO)))
        assert by_group(books, by="customer")[str(BOLT)] == 1


def test_a_deal_merged_into_another_makes_no_customer() -> None:
    with shop() as books:
        sell(books, 1, ACME, "2026-02-10 09:00")
        books.tell(2, ("2026-01-05 09:00", opened(customer_id=ACME)))
        books.tell_all(
            (1, "2026-02-20 09:00", DealMerged(into=deal_id(2))),
            (2, "2026-02-20 09:00", DealAbsorbed(absorbed=deal_id(1))),
        )
        assert new(books) == [0]
        assert buyers(books) == [(0, 0, None)]
        assert new(books, as_of="2026-02-20T08:59:59+00:00") == [1]


def test_two_of_three_customers_ordered_again() -> None:
    with shop() as books:
        sell(books, 1, ACME, "2026-01-10 09:00")
        sell(books, 2, ACME, "2026-02-10 09:00")
        sell(books, 3, BOLT, "2026-02-11 09:00")
        books.tell(3, ("2026-03-01 09:00", RepeatOrderPlaced(amount=cny("10"))))
        sell(books, 4, CAMPO, "2026-03-31 09:00")
        assert buyers(books, each="month") == [
            (1, 0, 0),
            (2, 1, 1 / 2),
            (3, 2, lines(books)[0].repeat_rate),
        ]
        rate = lines(books)[0].repeat_rate
        assert rate is not None
        assert round(rate * 3, 20) == 2
        assert buyers(books, as_of="2026-02-28T00:00:00+00:00") == [(2, 1, 1 / 2)]


def test_a_repeat_order_taken_back_is_no_order() -> None:
    with shop() as books:
        sell(books, 1, ACME, "2026-02-11 09:00")
        books.tell(1, ("2026-03-01 09:00", RepeatOrderPlaced()))
        assert buyers(books) == [(1, 1, 1)]
        books.retract(books.events(1)[-1])
        assert buyers(books) == [(1, 0, 0)]


def test_orders_of_before_the_period_count_for_who_came_back() -> None:
    with shop() as books:
        sell(books, 1, ACME, "2026-01-10 09:00")
        sell(books, 2, ACME, "2026-05-10 09:00")
        first, after = date(2026, 4, 1), date(2026, 7, 1)
        assert buyers(books, from_=first, to=after) == [(1, 1, 1)]
        assert new(books, from_=first, to=after) == [0]


def test_nothing_is_known_before_the_first_event() -> None:
    with shop() as books:
        assert new(books) == [0]
        assert buyers(books) == [(0, 0, None)]

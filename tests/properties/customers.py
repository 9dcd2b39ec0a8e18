"""What can be told of a customer, and asked of one, by a word and a number.

Customers are told of among deals (`histories.py`, `playing.py`), under numbers of their own.
Some are told to be merged into themselves, in a circle, or into somebody nobody registered:
where a log is kept those are refused.
"""

from datetime import date
from typing import Final

from properties.world import customer_id, stream_id
from salesflow.domain.aggregate import OccurredAt
from salesflow.domain.customer import (
    Customer,
    CustomerMarkedLoyal,
    CustomerMerged,
    CustomerQualified,
    CustomerRegistered,
    CustomerUnmerged,
)
from salesflow.domain.event import Fact
from salesflow.engine import Session

__all__ = ["CUSTOMER_ORDERS", "CUSTOMER_WORDS", "customer_fact", "give_customer"]

CUSTOMER_WORDS: Final = (
    *("opened", "merged", "merged", "merged", "unmerged", "qualified", "loyal"),
)
CUSTOMER_ORDERS: Final = ("opened", "merge", "merge", "merge", "unmerge", "qualify", "loyal")
SINCE: Final = (None, None, date(2020, 5, 1), date(2024, 1, 1), date(2024, 1, 3))


def customer_fact(what: str, n: int) -> Fact:
    """Make the fact that is told of a customer."""
    match what:
        case "opened":
            return CustomerRegistered(
                name=f"customer {n}",
                customer_since=SINCE[n % len(SINCE)],
                segment=("small", "large", None)[n % 3],
                region=("north", None)[n % 2],
            )
        case "merged":
            return CustomerMerged(into=customer_id(n))
        case "unmerged":
            return CustomerUnmerged()
        case "qualified":
            return CustomerQualified()
        case _:
            return CustomerMarkedLoyal()


def give_customer(session: Session, number: int, what: str, n: int, at: OccurredAt) -> None:
    """Give a command as somebody would who keeps the books of customers."""
    id = stream_id(number)
    if what == "opened":
        since = SINCE[n % len(SINCE)]
        session.add(
            Customer.register(name=f"customer {n}", customer_since=since, occurred_at=at, id=id)
        )
        return
    customer = session.get(Customer, id)
    match what:
        case "merge":
            survivor = session.get(Customer, customer_id(n))
            customer.merge_into(survivor, because="one and the same", occurred_at=at)
        case "unmerge":
            customer.unmerge(because="two after all", occurred_at=at)
        case "qualify":
            customer.qualify(because="they asked for a price", occurred_at=at)
        case _:
            customer.mark_loyal(because="they came back", occurred_at=at)

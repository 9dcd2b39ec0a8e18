"""Chooses into which deal or customer something is merged, where that can be.

The checks of every append refuse merges into itself, in a circle, or into what is not
there, and with them all that is recorded together. A history in which most merges were refused
would say little of merges, so it tells of those that can be; now and then it still tries any.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple
from uuid import UUID

from properties.world import CUSTOMERS, DEALS, customer_id, deal_id
from salesflow.domain.customer import CustomerMerged
from salesflow.domain.deal.merge_checks import CandidateFact, impossible_merges
from salesflow.domain.deal.merging import DealMerged
from salesflow.domain.event import Fact
from salesflow.engine import SalesFlow

__all__ = ["Telling", "possible"]

ANY = 19
"""One number in so many takes the survivor as it was drawn, whether that can be or not."""


class Telling(NamedTuple):
    """A fact about to be told of a stream, and when it happened; None is when it is told."""

    stream: UUID
    fact: Fact
    occurred: int | None


def possible(
    flow: SalesFlow, one: Telling, n: int, beside: Sequence[Telling] = ()
) -> Telling | None:
    """Turn a merge into one that can be, beside what is told with it; None where none can."""
    ids: list[UUID]
    match one.fact:
        case DealMerged():
            ids = [deal_id(number) for number in range(DEALS)]
        case CustomerMerged():
            ids = [customer_id(number) for number in range(CUSTOMERS)]
        case _:
            return one
    if n % ANY == ANY - 1:
        return one
    stored = cache(flow.log.stream)
    first = n % len(ids)
    for into in ids[first:] + ids[:first]:
        tried = one._replace(fact=one.fact.model_copy(update={"into": into}))
        if not impossible_merges([CandidateFact(*each) for each in (*beside, tried)], stored):
            return tried
    return None

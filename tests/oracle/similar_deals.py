"""The closed deals most like another, naively: score each of them and sort."""

from fractions import Fraction
from typing import Any

from oracle.beliefs import Raw
from oracle.customers import customer_at
from oracle.deals import deal_at, deals_of
from oracle.sales import closing_at, opening_of
from oracle.visits import way_at

__all__ = ["similar_at", "similar_to"]

Amount = tuple[Any, str] | None


def similar_at(
    events: list[Raw], stream: str, as_of: int, known_at: int, at_most: int
) -> list[tuple[Any, ...]] | None:
    """Find the closed deals most like one, as it closed or as it stands open; None of none."""
    mine = closing_at(events, stream, as_of, known_at)
    if mine is None or mine["outcome"] == "merged":
        return None
    if mine["outcome"] == "open":
        mine = deal_at(events, stream, as_of, known_at)
        assert mine is not None
    found = similar_to(mine, events, stream, (as_of, known_at), at_most)
    outcomes = {}
    for _, _, other, _, _ in found:
        closing = closing_at(events, other, as_of, known_at)
        assert closing is not None
        outcomes[other] = closing["outcome"]
    return [
        (other, outcomes[other], -score, shared, every)
        for score, _, other, shared, every in found
    ]


def similar_to(
    mine: dict[str, Any],
    events: list[Raw],
    stream: str,
    when: tuple[int, int],
    at_most: int,
) -> list[tuple[Any, ...]]:
    """Score every other deal of the process that stands won or lost; the best first."""
    found = []
    for other in deals_of(events):
        theirs = closing_at(events, other, *when)
        if other == stream or theirs is None or theirs["outcome"] not in ("won", "lost"):
            continue
        if theirs["process"] != mine["process"]:
            continue
        here, there = (
            {
                step["stage"]
                for step in way_at(events, deal, *when)
                if step["outcome"] == "open" and step["process"] == mine["process"]
            }
            for deal in (stream, other)
        )
        shared, every = len(here & there), len(here | there)
        score = Fraction(shared, every) if every else Fraction(0)
        score += _alike_amounts(mine["amount"], theirs["amount"])
        sources = [
            opening_of(events, deal, when[1]).get("lead_source") for deal in (stream, other)
        ]
        score += sources[0] is not None and sources[0] == sources[1]
        segments = [_segment(events, closing["customer"], when) for closing in (mine, theirs)]
        score += segments[0] is not None and segments[0] == segments[1]
        if score:
            found.append(((-score, -theirs["closed"][0], other), shared, every))
    return [(*key, shared, every) for key, shared, every in sorted(found)[:at_most]]


def _alike_amounts(mine: Amount, theirs: Amount) -> bool:
    if mine is None or theirs is None or mine[1] != theirs[1]:
        return False
    if mine[0] <= 0 or theirs[0] <= 0:
        return False
    return Fraction(1, 2) <= Fraction(mine[0]) / Fraction(theirs[0]) <= 2


def _segment(events: list[Raw], customer: str | None, when: tuple[int, int]) -> str | None:
    found = None if customer is None else customer_at(events, customer, *when)
    return None if found is None else found["segment"]

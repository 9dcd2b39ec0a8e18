"""What was sold of a product, naively: each booking times the part of its win that it is.

The parts of a win are those of the lines agreed by then, else of the accepted quote's: exact
fractions, so that what is shared out in millionths is met to some of them.
"""

from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from oracle.beliefs import Raw
from oracle.deals import deals_of, replay
from oracle.groups import Whose, groups_of
from oracle.rates import Exchange
from oracle.sales import bookings_of, closing_at, opening_of

__all__ = ["parts_of_wins", "product_metrics_in"]

Span = tuple[int, int]
Lines = list[dict[str, Any]]
Parts = dict[str, Fraction]


def product_metrics_in(
    events: list[Raw],
    product: str,
    span: Span,
    at: tuple[int, int],
    by: str | None,
    only: Callable[[Whose], bool],
    exchange: Exchange,
) -> dict[str, dict[Any, Any]]:
    """Give sales and wins of a product by group, where there is anything of them."""
    group_of = groups_of(events, by, *at)
    sales: dict[Any, dict[str, Fraction]] = defaultdict(dict)
    behind: dict[Any, set[str]] = defaultdict(set)
    won: dict[Any, int] = defaultdict(int)
    for stream in deals_of(events):
        parts = parts_of_wins(events, stream, at[1])
        for booked in bookings_of(events, stream, at[1]):
            effect, kind, fact, _, person, share, amount, currency, process, _, *rest = booked
            customer, source, credited = rest
            whose = {"at": credited, "rep": person, "customer": customer}
            whose |= {"channel": source, "process": process}
            part = parts.get(credited, {}).get(product)
            happened = effect <= at[0] and span[0] <= effect < span[1]
            if kind == "repeated" or part is None or not happened or not only(whose):
                continue
            mine = sales[group_of(whose)]
            times = {"end": span[1] - 1, "event": effect, "closing": credited}
            money = None if currency is None else (amount, currency)
            money = exchange.convert(money, of=fact, **times)
            if money is not None:
                worth = Fraction(money[0]) * Fraction(share) * part
                mine[money[1]] = mine.get(money[1], Fraction(0)) + worth
                behind[group_of(whose)].add(fact)
        closing = closing_at(events, stream, *at)
        if closing is not None and closing["outcome"] == "won":
            closed = closing["closed"][0]
            whose = {"at": closed, "rep": closing["owner"], "customer": closing["customer"]}
            whose["channel"] = opening_of(events, stream, at[1]).get("lead_source")
            whose["process"] = closing["process"]
            there = product in parts.get(closed, {})
            if there and span[0] <= closed < span[1] and only(whose):
                won[group_of(whose)] += 1
    return {
        "sales": {group: (found, len(behind[group])) for group, found in sales.items()},
        "won": {group: (count, count) for group, count in won.items()},
    }


def parts_of_wins(events: list[Raw], stream: str, known_at: int) -> dict[int, Parts]:
    """Give the parts of every win of a deal, by its instant."""
    wins: dict[str, int] = {}
    for effect, kind, event, *_, credited in bookings_of(events, stream, known_at):
        if kind in ("won", "unmerged") and effect == credited:
            wins.setdefault(event, credited)
    told = _Told()
    found: dict[int, Parts] = {}
    for event, state in replay(events, stream, known_at):
        if event["event_id"] in state["irregular"]:
            continue
        told.take(event["kind"], event["payload"])
        if event["event_id"] in wins:
            found[wins[event["event_id"]]] = _parts(told.lines)
    return found


class _Told:
    """The lines that are told of a deal by now."""

    def __init__(self) -> None:
        self.agreed: Lines = []
        self.offers: dict[str, Lines] = {}
        self.accepted = ""

    def take(self, kind: str, fact: dict[str, Any]) -> None:
        """Take in what happened next."""
        lines, quote = fact.get("lines", []), fact.get("quote", "")
        if kind == "deal.line_items_agreed":
            self.agreed = lines
        if not kind.startswith("deal.quote_"):
            return
        if kind == "deal.quote_accepted":
            self.accepted = quote
        elif self.accepted == quote:
            self.accepted = ""
        if kind == "deal.quote_drafted":
            self.offers[quote] = lines
        elif kind in ("deal.quote_issued", "deal.quote_revised"):
            self.offers[quote] = lines or self.offers.get(quote, [])

    @property
    def lines(self) -> Lines:
        """What was agreed, else what was accepted."""
        return self.agreed or self.offers.get(self.accepted, [])


def _parts(lines: Lines) -> Parts:
    worth = [_worth(line) for line in lines]
    whole = sum(worth)
    if not whole or len({line["unit_price"]["currency"] for line in lines}) > 1:
        return {}
    parts: Parts = {}
    for line, amount in zip(lines, worth, strict=True):
        parts[line["product"]] = parts.get(line["product"], Fraction(0)) + amount / whole
    return parts


def _worth(line: dict[str, Any]) -> Fraction:
    """Give what a line comes to, to the millionth."""
    price, off = Fraction(line["unit_price"]["amount"]), Fraction(line.get("discount", 0))
    return Fraction(round(Fraction(line.get("quantity", 1)) * price * (1 - off) * 10**6), 10**6)

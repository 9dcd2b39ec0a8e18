"""The figures of a period that are about customers and the pipeline, naively, by group.

Every function looks at every deal and puts what it finds to the group it belongs to: a new
customer to that of the first deal won, a contact and a score to that of their own time, a
first response to that of the opening, velocity to that of the end of the span.
"""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from oracle.beliefs import Raw, moment
from oracle.contacts import contacts_of
from oracle.customers import since_at, survivors_at
from oracle.deals import deal_at, deals_of, processes_of
from oracle.feedback import lines_of
from oracle.groups import Of, Wanted, Whose, is_wanted
from oracle.rates import Exchange
from oracle.sales import bookings_of, closing_at, opening_of

__all__ = ["customer_kpis_in", "lasted", "spread_of"]

Span = tuple[int, int]
DAY = 86_400_000_000
Found = dict[Any, dict[str, Any]]


class Asked:
    """What is asked: events, a span, a moment, groups, and what alone is wanted."""

    def __init__(
        self, events: list[Raw], span: Span, at: tuple[int, int], group_of: Of, only: Wanted
    ) -> None:
        self.events, self.span, self.only = events, span, only
        self.as_of, self.known_at = at
        self.group_of = group_of
        self.deals = deals_of(events)

    def holds(self, at: int) -> bool:
        return self.span[0] <= at < self.span[1]

    def wants(self, whose: Whose) -> bool:
        return is_wanted(whose, self.only)


def customer_kpis_in(asked: Asked, days: int, exchange: Exchange) -> Found:
    """Give the figures of every group that has one of them other than nothing."""
    found: Found = {}
    for name, figures in (
        ("new_customers", _new_customers(asked)),
        ("buyers", _buyers(asked)),
        ("follow_ups", _follow_ups(asked)),
        ("first_response", _first_responses(asked)),
        ("csat", _top_box(asked)),
        ("velocity", _velocity(asked, days, exchange)),
    ):
        for group, figure in figures.items():
            found.setdefault(group, {})[name] = figure
    return found


def nothing() -> dict[str, Any]:
    """Give the figures of a group of which there is nothing to say."""
    return {
        "new_customers": 0,
        "buyers": (0, 0, None),
        "follow_ups": (0, 0, None, {}),
        "first_response": None,
        "csat": None,
        "velocity": (0, {}, None, None, {}),
    }


def _closings(asked: Asked, as_of: int) -> list[tuple[str, dict[str, Any], Whose]]:
    """List deals with how they began and ended, and whose they were when they closed."""
    found = []
    for stream in asked.deals:
        closing = closing_at(asked.events, stream, as_of, asked.known_at)
        if closing is not None and closing["outcome"] != "merged":
            source = opening_of(asked.events, stream, asked.known_at).get("lead_source")
            whose = {
                "at": closing["closed"][0],
                "rep": closing["owner"],
                "customer": closing["customer"],
                "channel": source,
                "process": closing["process"],
            }
            found.append((stream, closing, whose))
    return found


def _new_customers(asked: Asked) -> dict[Any, int]:
    survivors = survivors_at(asked.events, asked.as_of, asked.known_at)
    since = since_at(asked.events, asked.as_of, asked.known_at)
    won = [
        (whose["at"], stream, whose)
        for stream, closing, whose in _closings(asked, asked.as_of)
        if closing["outcome"] == "won" and whose["customer"] is not None
    ]
    won.sort(key=lambda each: each[:2])
    known: set[Any] = set()
    counts: dict[Any, int] = {}
    for at, _, whose in won:
        customer = survivors.get(whose["customer"], whose["customer"])
        if customer in known:
            continue
        known.add(customer)
        day = moment(at).date().isoformat()
        older = customer in since and since[customer] < day
        if not older and asked.holds(at) and asked.wants(whose):
            group = asked.group_of(whose)
            counts[group] = counts.get(group, 0) + 1
    return counts


def _buyers(asked: Asked) -> dict[Any, tuple[int, int, Fraction | None]]:
    survivors = survivors_at(asked.events, asked.as_of, asked.known_at)
    orders = [
        whose
        for _, closing, whose in _closings(asked, asked.as_of)
        if closing["outcome"] == "won" and whose["at"] < asked.span[1]
    ]
    for stream in asked.deals:
        for booked in bookings_of(asked.events, stream, asked.known_at):
            effect, kind, _, role, person, _, _, _, process, _, customer, source, credited = (
                booked
            )
            counts = kind == "repeated" and role == "owner"
            if counts and effect <= asked.as_of and effect < asked.span[1]:
                whose = {"at": credited, "rep": person, "customer": customer}
                orders.append(whose | {"channel": source, "process": process})
    bought: dict[Any, dict[Any, int]] = {}
    for whose in orders:
        if whose["customer"] is not None and asked.wants(whose):
            customer = survivors.get(whose["customer"], whose["customer"])
            of = bought.setdefault(asked.group_of(whose), {})
            of[customer] = of.get(customer, 0) + 1
    found: dict[Any, tuple[int, int, Fraction | None]] = {}
    for group, of in bought.items():
        again = len([customer for customer in of if of[customer] >= 2])
        found[group] = (len(of), again, Fraction(again, len(of)))
    return found


def _contacts(asked: Asked, stream: str) -> list[tuple[dict[str, Any], Whose]]:
    return [
        (
            contact,
            {
                "at": contact["occurred"],
                "rep": contact["owner"],
                "customer": contact["customer"],
                "channel": contact["lead_source"],
                "process": contact["process"],
                "stage": contact["stage"],
            },
        )
        for contact in contacts_of(asked.events, stream, asked.as_of, asked.known_at)
    ]


def _follow_ups(asked: Asked) -> dict[Any, tuple[Any, ...]]:
    logged: dict[Any, list[tuple[str, str | None]]] = {}
    for stream in asked.deals:
        for contact, whose in _contacts(asked, stream):
            if asked.holds(contact["occurred"]) and asked.wants(whose):
                logged.setdefault(asked.group_of(whose), []).append(
                    (stream, contact["channel"])
                )
    found = {}
    for group, contacts in logged.items():
        deals = {stream for stream, _ in contacts}
        channels = [channel for _, channel in contacts]
        found[group] = (
            len(contacts),
            len(deals),
            Fraction(len(contacts), len(deals)),
            {channel: channels.count(channel) for channel in channels},
        )
    return found


def _first_responses(asked: Asked) -> dict[Any, tuple[Fraction, Fraction, Fraction] | None]:
    times: dict[Any, list[int]] = {}
    for stream, closing, closed in _closings(asked, asked.as_of):
        opened, day_only, process, owner, customer = closing["opened"]
        whose = {"at": opened, "rep": owner, "customer": customer, "process": process}
        whose["channel"] = closed["channel"]
        out = [c for c, _ in _contacts(asked, stream) if c["direction"] == "out"]
        if out and asked.holds(opened) and asked.wants(whose):
            both = day_only and out[0]["day_only"]
            took = lasted(opened, out[0]["occurred"], both)
            times.setdefault(asked.group_of(whose), []).append(took)
    return {group: spread_of(found) for group, found in times.items()}


def _top_box(asked: Asked) -> dict[Any, tuple[Fraction, int]]:
    scores: dict[Any, list[int]] = {}
    for stream in asked.deals:
        for line in lines_of(asked.events, stream, asked.as_of, asked.known_at):
            whose = {"at": line["occurred"], "rep": line["owner"], "process": line["process"]}
            whose |= {"customer": line["customer"], "channel": line["lead_source"]}
            whose["stage"] = line["stage"]
            counts = not line["sent"] and line["scale"] == "csat" and line["score"] is not None
            if counts and asked.holds(line["occurred"]) and asked.wants(whose):
                scores.setdefault(asked.group_of(whose), []).append(line["score"])
    return {
        group: (Fraction(len([s for s in found if s in (4, 5)]), len(found)), len(found))
        for group, found in scores.items()
    }


def _velocity(asked: Asked, days: int, exchange: Exchange) -> dict[Any, tuple[Any, ...]]:
    at = min(asked.span[1] - 1, asked.as_of)
    opened: dict[Any, int] = {}
    for stream in asked.deals:
        deal = deal_at(asked.events, stream, at, asked.known_at)
        if deal is None or deal["standing"] != "open" or not _qualifies(asked.events, deal):
            continue
        source = opening_of(asked.events, stream, asked.known_at).get("lead_source")
        whose = {"at": at, "rep": deal["owner"], "customer": deal["customer"]}
        whose |= {"channel": source, "process": deal["process"]}
        if asked.wants(whose):
            opened[asked.group_of(whose)] = opened.get(asked.group_of(whose), 0) + 1
    closed: dict[Any, list[dict[str, Any]]] = {}
    for stream, closing, whose in _closings(asked, at):
        late = closing["outcome"] in ("won", "lost")
        if late and whose["at"] // DAY > at // DAY - days and asked.wants(whose):
            if closing["outcome"] == "won":
                times = {"end": at, "event": whose["at"], "closing": whose["at"]}
                closing["amount"] = exchange.convert(closing["amount"], of=stream, **times)
            closed.setdefault(asked.group_of(whose), []).append(closing)
    return {
        group: _speed(opened.get(group, 0), closed.get(group, []))
        for group in {**opened, **closed}
    }


def _qualifies(events: list[Raw], deal: dict[str, Any]) -> bool:
    process = processes_of(events).get((deal["process"], deal["process_version"]), {})
    from_ = process.get("qualifying_stage")
    keys = [stage["key"] for stage in process.get("stages", [])]
    place: Callable[[str], int] = lambda key: keys.index(key) if key in keys else -1  # noqa: E731
    return from_ is None or place(deal["stage"]) >= place(from_)


def _speed(open_deals: int, closed: list[dict[str, Any]]) -> tuple[Any, ...]:
    won = [each for each in closed if each["outcome"] == "won"]
    amounts = [each["amount"] for each in won if each["amount"] is not None]
    sums: dict[str, Decimal] = {}
    for amount, currency in amounts:
        sums[currency] = sums.get(currency, Decimal(0)) + amount
    means = {currency: Fraction(total) / len(amounts) for currency, total in sums.items()}
    rate = Fraction(len(won), len(closed)) if closed else None
    took = [lasted(*_both(each)) for each in won]
    cycle = Fraction(sum(took), len(took)) / DAY if took else None
    speed = {}
    if cycle and rate is not None:
        speed = {c: open_deals * mean * rate / cycle for c, mean in means.items()}
    return open_deals, means, rate, cycle, speed


def _both(closing: dict[str, Any]) -> tuple[int, int, bool]:
    (opened, opened_day, *_), (closed, closed_day) = closing["opened"], closing["closed"]
    return opened, closed, opened_day and closed_day


def lasted(start: int, end: int, days_only: bool) -> int:
    """Give the microseconds between, in whole days where only the days are known."""
    return (end // DAY - start // DAY) * DAY if days_only else end - start


def spread_of(times: list[int]) -> tuple[Fraction, Fraction, Fraction] | None:
    """Median, mean and ninth decile in days, between neighbours in a straight line."""
    if not times:
        return None
    times = sorted(times)

    def quantile(share: Fraction) -> Fraction:
        place = share * (len(times) - 1)
        low = place.numerator // place.denominator
        high = min(low + 1, len(times) - 1)
        return (times[low] * (1 - (place - low)) + times[high] * (place - low)) / DAY

    mean = Fraction(sum(times), len(times)) / DAY
    return quantile(Fraction(1, 2)), mean, quantile(Fraction(9, 10))

"""The figures of a period, naively: replay every deal, look at each booking and each closing.

Groups are those of the time: of the booking's win, of the opening, of the closing. An interval
of a win rate is left to the tests of estimates; here it is won of so many.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from oracle.beliefs import Raw
from oracle.customer_kpis import Asked, customer_kpis_in, lasted, nothing, spread_of
from oracle.deals import deals_of
from oracle.groups import Of, Wanted, groups_of, is_wanted
from oracle.rates import Exchange
from oracle.sales import bookings_of, closing_at, opening_of

__all__ = ["kpis_in"]

Span = tuple[int, int]
Line = dict[str, Any]


def kpis_in(
    events: list[Raw],
    span: Span,
    at: tuple[int, int],
    *,
    by: str | None,
    only: Wanted,
    days: int,
    exchange: Exchange,
) -> dict[Any, Line]:
    """Give the figures of `[span)` by group; without groups under None, also when empty.

    A group is there where anything happened in the span, or where its open deals have a speed.
    """
    as_of, known_at = at
    lines: dict[Any, Line] = {} if by else {None: _nothing()}
    group_of = groups_of(events, by, as_of, known_at)
    for stream in deals_of(events):
        for booked in bookings_of(events, stream, known_at):
            if booked[0] <= as_of:
                _book(lines, booked, span, group_of, only, exchange)
        closing = closing_at(events, stream, as_of, known_at)
        if closing is not None and closing["outcome"] != "merged":
            source = opening_of(events, stream, known_at).get("lead_source")
            closing |= {"source": source, "stream": stream, "exchange": exchange}
            _count(lines, closing, span, group_of, only)
    about = customer_kpis_in(Asked(events, span, at, group_of, only), days, exchange)
    for group, found in about.items():
        open_deals = found.get("velocity", (0,))[0]
        if "follow_ups" in found or "csat" in found or open_deals:
            lines.setdefault(group, _nothing())
    return {
        group: {**_worked_out(line), **nothing(), **about.get(group, {})}
        for group, line in lines.items()
    }


def _book(
    lines: dict[Any, Line],
    booked: tuple[Any, ...],
    span: Span,
    group_of: Of,
    only: Wanted,
    exchange: Exchange,
) -> None:
    effect, kind, fact, role, person, share, amount, *about, customer, source, credited = booked
    currency, process, _ = about
    whose = {
        "at": credited,
        "rep": person,
        "customer": customer,
        "channel": source,
        "process": process,
    }
    if span[0] <= effect < span[1] and is_wanted(whose, only):
        line = lines.setdefault(group_of(whose), _nothing())
        money = None if currency is None else (amount, currency)
        times = {"end": span[1] - 1, "event": effect, "closing": credited}
        money = exchange.convert(money, of=fact, **times)
        if money is not None:
            line["bookings"].add(fact)
            amount, currency = money
            line["sales"][currency] = line["sales"].get(currency, Decimal(0)) + amount * share
        line["repeat_orders"] += kind == "repeated" and role == "owner"


def _count(
    lines: dict[Any, Line],
    closing: dict[str, Any],
    span: Span,
    group_of: Of,
    only: Wanted,
) -> None:
    opened, opened_day, *at_opening = closing["opened"]
    process, owner, customer = at_opening
    source, money = closing["source"], closing["amount"]
    whose = {"at": opened, "rep": owner, "customer": customer, "process": process}
    whose["channel"] = source
    if span[0] <= opened < span[1] and is_wanted(whose, only):
        lines.setdefault(group_of(whose), _nothing())["opened"].append(closing["outcome"])
    closed, closed_day = closing["closed"]
    whose = {"at": closed, "rep": closing["owner"], "customer": closing["customer"]}
    whose |= {"channel": source, "process": closing["process"]}
    if closed is None or not span[0] <= closed < span[1] or not is_wanted(whose, only):
        return
    took = lasted(opened, closed, opened_day and closed_day)
    line = lines.setdefault(group_of(whose), _nothing())
    if closing["outcome"] in ("won", "lost"):
        times = {"end": span[1] - 1, "event": closed, "closing": closed}
        money = closing["exchange"].convert(money, of=closing["stream"], **times)
    line["closed"].append((closing["outcome"], money, took))


def _nothing() -> Line:
    return {"sales": {}, "bookings": set(), "repeat_orders": 0, "opened": [], "closed": []}


def _worked_out(line: Line) -> Line:
    outcomes = [outcome for outcome, _, _ in line["closed"]]
    won, lost = outcomes.count("won"), outcomes.count("lost")
    created, created_won = len(line["opened"]), line["opened"].count("won")
    return {
        "sales": line["sales"],
        "bookings": len(line["bookings"]),
        "orders": won + line["repeat_orders"],
        "repeat_orders": line["repeat_orders"],
        "created": created,
        "created_won": created_won,
        "created_open": line["opened"].count("open"),
        "win_rate_of_created": Fraction(created_won, created) if created else None,
        "won": won,
        "lost": lost,
        "disqualified": outcomes.count("disqualified"),
        "win_rate": (Fraction(won, won + lost), won + lost) if won + lost else None,
        "win_rate_by_value": _by_value(line["closed"]),
        "cycle": spread_of([took for outcome, _, took in line["closed"] if outcome == "won"]),
    }


def _by_value(closed: list[tuple[str, Any, int]]) -> dict[str, Fraction]:
    sums: dict[str, dict[str, Decimal]] = {}
    for outcome, money, _ in closed:
        if money is not None and outcome in ("won", "lost"):
            of = sums.setdefault(money[1], {"won": Decimal(0), "lost": Decimal(0)})
            of[outcome] += money[0]
    return {
        currency: Fraction(of["won"]) / Fraction(of["won"] + of["lost"])
        for currency, of in sums.items()
        if of["won"] + of["lost"]
    }

"""The figures of a period, naively: replay every deal, look at each booking and each closing.

Groups are those of the time: of the booking's win, of the opening, of the closing. An interval
of a win rate is left to the tests of estimates; here it is won of so many.
"""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from oracle.beliefs import Raw, believed, effect_of, of_stream
from oracle.deals import deals_of
from oracle.sales import bookings_of, closing_at, opening_of
from oracle.teams import stream_of, team_at

__all__ = ["kpis_in"]

Span = tuple[int, int]
Line = dict[str, Any]
Wanted = dict[str, str | None]
"""The process and the owner asked for, None for any."""
Of = Callable[[dict[str, Any]], str | None]
DAY = 86_400_000_000


def kpis_in(
    events: list[Raw], span: Span, as_of: int, known_at: int, *, by: str | None, only: Wanted
) -> dict[Any, Line]:
    """Give the figures of `[span)` by group; without groups under None, also when empty."""
    lines: dict[Any, Line] = {} if by else {None: _nothing()}

    def group_of(whose: dict[str, Any]) -> str | None:
        if by == "team":
            return _team(events, whose["rep"], whose["at"], as_of, known_at)
        group: str | None = None if by is None else whose[by]
        return group

    for stream in deals_of(events):
        for booked in bookings_of(events, stream, known_at):
            if booked[0] <= as_of:
                _book(lines, booked, span, group_of, only)
        closing = closing_at(events, stream, as_of, known_at)
        if closing is not None and closing["outcome"] != "merged":
            source = opening_of(events, stream, known_at).get("lead_source")
            _count(lines, closing, source, span, group_of, only)
    return {group: _worked_out(line) for group, line in lines.items()}


def _book(
    lines: dict[Any, Line], booked: tuple[Any, ...], span: Span, group_of: Of, only: Wanted
) -> None:
    effect, kind, _, role, person, share, amount, currency, process, _, customer, *rest = booked
    source, credited = rest
    whose = {
        "at": credited,
        "rep": person,
        "customer": customer,
        "channel": source,
        "process": process,
    }
    if span[0] <= effect < span[1] and _wanted(whose, only):
        line = lines.setdefault(group_of(whose), _nothing())
        if currency is not None:
            line["sales"][currency] = line["sales"].get(currency, Decimal(0)) + amount * share
        line["repeat_orders"] += kind == "repeated" and role == "owner"


def _count(
    lines: dict[Any, Line],
    closing: dict[str, Any],
    source: str | None,
    span: Span,
    group_of: Of,
    only: Wanted,
) -> None:
    opened, opened_day, *at_opening = closing["opened"]
    process, owner, customer = at_opening
    whose = {"at": opened, "rep": owner, "customer": customer, "process": process}
    whose["channel"] = source
    if span[0] <= opened < span[1] and _wanted(whose, only):
        lines.setdefault(group_of(whose), _nothing())["opened"].append(closing["outcome"])
    closed, closed_day = closing["closed"]
    whose = {"at": closed, "rep": closing["owner"], "customer": closing["customer"]}
    whose |= {"channel": source, "process": closing["process"]}
    if closed is None or not span[0] <= closed < span[1] or not _wanted(whose, only):
        return
    lasted = closed - opened
    if opened_day and closed_day:
        lasted = (closed // DAY - opened // DAY) * DAY
    line = lines.setdefault(group_of(whose), _nothing())
    line["closed"].append((closing["outcome"], closing["amount"], lasted))


def _wanted(whose: dict[str, Any], only: Wanted) -> bool:
    return only["process"] in (None, whose["process"]) and only["owner"] in (None, whose["rep"])


def _team(events: list[Raw], rep: str | None, at: int, as_of: int, known_at: int) -> str | None:
    """Say whose team it was; before a rep's first team, that one."""
    if rep is None:
        return None
    history = believed(of_stream(events, stream_of(rep)), known_at)
    if not history or effect_of(history[0]) > as_of:
        return None
    found = team_at(events, stream_of(rep), max(at, effect_of(history[0])), known_at)
    return None if found is None else found[1]


def _nothing() -> Line:
    return {"sales": {}, "repeat_orders": 0, "opened": [], "closed": []}


def _worked_out(line: Line) -> Line:
    outcomes = [outcome for outcome, _, _ in line["closed"]]
    won, lost = outcomes.count("won"), outcomes.count("lost")
    created, created_won = len(line["opened"]), line["opened"].count("won")
    return {
        "sales": line["sales"],
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
        "cycle": _cycle([lasted for outcome, _, lasted in line["closed"] if outcome == "won"]),
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


def _cycle(lasted: list[int]) -> tuple[Fraction, Fraction, Fraction] | None:
    """Median, mean and ninth decile in days, between neighbours in a straight line."""
    if not lasted:
        return None
    times = sorted(lasted)

    def quantile(share: Fraction) -> Fraction:
        place = share * (len(times) - 1)
        low = place.numerator // place.denominator
        high = min(low + 1, len(times) - 1)
        return (times[low] * (1 - (place - low)) + times[high] * (place - low)) / DAY

    mean = Fraction(sum(times), len(times)) / DAY
    return quantile(Fraction(1, 2)), mean, quantile(Fraction(9, 10))

"""The forecast of a period, naively: read off every deal how it stands at each moment asked.

Nothing is added up from movements: what was expected at the start is looked for at the end,
deal by deal, and every change of a date or an amount is met on the way through its history.
"""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from oracle.beliefs import Raw, effect_of, moment
from oracle.deals import State, deal_at, deals_of, replay
from oracle.groups import groups_of
from oracle.rates import Money
from oracle.sales import bookings_of, closing_at

__all__ = [
    "expected_in",
    "fate_of",
    "forecast_at",
    "made_forecast",
    "measures_of",
    "past_forecasts",
    "slippage_at",
]

DAY = 86_400_000_000
FAR = "9999-12-31"
SURE = ("closed", "commit")

Span = tuple[int, int]
Only = dict[str, Any]
"""Owner and process asked for, None for any; `by` names the attribute that groups. Where there
is an `exchange` it converts amounts, at the end of a span or at the moment; where there is a
`team` the `events` say who was in it."""
Key = tuple[Any, Any]
Found = dict[Key, dict[str, Any]]


def made_forecast(
    events: list[Raw], span: Span, as_of: int, known_at: int, only: Only
) -> Found:
    """Give what is open and expected in a period and what is won of it, as seen at a moment."""
    found: Found = {}
    end = min(span[1] - 1, as_of)
    for stream, deal in expected_in(events, span, as_of, known_at, only).items():
        amount, currency = _in_one(deal["amount"], only, end, stream) or (Decimal(0), None)
        book = _book(found, (_group(deal, only), currency))
        category = book["categories"].setdefault(
            deal["forecast_category"], [0, Fraction(0), Fraction(0)]
        )
        category[0] += 1
        category[1] += Fraction(amount)
        category[2] += Fraction(amount) * Fraction(deal["probability"])
    for stream in deals_of(events):
        for booked in bookings_of(events, stream, known_at):
            effect, _, _, _, person, share, amount, currency, process, *_ = booked
            whose = {"owner": person, "process": process}
            if amount is None or effect > as_of or not span[0] <= effect < span[1]:
                continue
            money = _in_one((amount, currency), only, end, booked)
            if _wanted(whose, only, booked[-1], known_at) and money is not None:
                amount, currency = money
                book = _book(found, (_group(whose, only), currency))
                book["won"] += Fraction(amount) * Fraction(share)
    return {key: book for key, book in found.items() if book["won"] or book["categories"]}


def forecast_at(
    events: list[Raw], span: Span, as_of: int, known_at: int, only: Only, *, trailing: int
) -> dict[str, Any]:
    """Give the forecasts of the period, the win rate behind it, and the changes within it."""
    found = made_forecast(events, span, as_of, known_at, only)
    since = as_of // DAY * DAY - (trailing - 1) * DAY
    rates = _won_and_lost(events, since, as_of, known_at, only)
    lines = {}
    for key, book in found.items():
        won, lost = rates.get(key, (Fraction(0), Fraction(0)))
        rate = None if won + lost == 0 else won / (won + lost)
        lines[key] = {
            "open": _open(book),
            "won": book["won"],
            "measures": measures_of(book),
            "rate": rate,
            "required": None if rate is None or rate <= 0 else 1 / rate,
        }
    categories = {
        (*key, name): tuple(sums)
        for key, book in found.items()
        for name, sums in book["categories"].items()
    }
    changes = _changes(events, span, as_of, known_at, only)
    return {"lines": lines, "categories": categories, "changes": changes}


def slippage_at(
    events: list[Raw], span: Span, as_of: int, known_at: int, known_then: int, only: Only
) -> dict[Key, Any]:
    """Say what became of each deal that was expected at the start, in numbers and value."""
    found: dict[Key, Any] = {}
    start, end = span[0] - 1, min(span[1] - 1, as_of)
    if start > as_of:
        return found
    for stream, deal in expected_in(events, span, start, known_then, only).items():
        amount, currency = _in_one(deal["amount"], only, end, stream) or (Decimal(0), None)
        fates = found.setdefault((_group(deal, only), currency), {})
        fate = fate_of(deal_at(events, stream, end, known_at), span, end)
        count, value = fates.get(fate, (0, Fraction(0)))
        fates[fate] = (count + 1, value + Fraction(amount))
    return found


def past_forecasts(
    events: list[Raw], span: Span, as_of: int, known_at: int, only: Only
) -> dict[Any, Any]:
    """Give the forecasts of an earlier period at its start and middle, and what came of it."""
    found = {}
    actual = made_forecast(events, span, as_of, known_at, only)
    half = (span[1] - span[0]) // DAY // 2 * DAY
    for name, at in (("start", span[0] - 1), ("middle", span[0] + half - 1)):
        for known, instant in (("then", min(at, known_at)), ("moment", known_at)):
            if at > as_of:
                continue
            forecast = made_forecast(events, span, at, instant, only)
            for key in {*forecast, *actual}:
                if key[1] is None:
                    continue
                nothing = {"won": Fraction(0), "categories": {}}
                book = forecast.get(key, nothing)
                sold = actual.get(key, nothing)["won"]
                measures = measures_of(book)[:3]
                over = as_of >= span[1] - 1 and sold > 0
                right = [1 - abs(each - sold) / sold if over else None for each in measures]
                about = (name, known, at, _open(book)[0])
                found[(*key, *span, name, known)] = (*about, measures, sold, right)
    return found


def expected_in(
    events: list[Raw], span: Span, as_of: int, known_at: int, only: Only
) -> dict[str, State]:
    """Give the open deals that are expected to close in a span, as they stand at a moment."""
    first, last = _day(span[0]), _day(span[1] - 1)
    found = {}
    for stream in deals_of(events):
        deal = deal_at(events, stream, as_of, known_at)
        if deal is None or deal["standing"] != "open" or deal["expected_close"] is None:
            continue
        close = date.fromisoformat(deal["expected_close"])
        if first <= close <= last and _wanted(deal, only, as_of, known_at):
            found[stream] = deal
    return found


def fate_of(deal: State | None, span: Span, end: int) -> str:
    """Say what became of a deal that was expected in a span, by how it stands at its end."""
    if deal is None:
        return "otherwise"
    if deal["standing"] != "open":
        return "won" if deal["standing"] == "won" else "otherwise"
    if deal["expected_close"] is None:
        return "moved"
    close = date.fromisoformat(deal["expected_close"])
    midnight = (close.toordinal() - date(1970, 1, 1).toordinal() + 1) * DAY
    if midnight - 1 <= end:
        return "overdue"
    return "moved" if close > _day(span[1] - 1) else "pending"


def _in_one(money: Money, only: Only, end: int, of: object) -> Money:
    exchange = only.get("exchange")
    if exchange is None:
        return money
    found: Money = exchange.convert(money, end=end, event=None, closing=None, of=of)
    return found


def _won_and_lost(
    events: list[Raw], since: int, as_of: int, known_at: int, only: Only
) -> dict[Key, tuple[Fraction, Fraction]]:
    found: dict[Key, tuple[Fraction, Fraction]] = {}
    for stream in deals_of(events):
        deal = closing_at(events, stream, as_of, known_at)
        if deal is None or deal["outcome"] not in ("won", "lost") or deal["amount"] is None:
            continue
        money = _in_one(deal["amount"], only, as_of, stream)
        wanted = _wanted(deal, only, deal["closed"][0], known_at)
        if deal["closed"][0] >= since and wanted and money is not None:
            key = (_group(deal, only), money[1])
            won, lost = found.get(key, (Fraction(0), Fraction(0)))
            worth = Fraction(money[0])
            is_won = deal["outcome"] == "won"
            found[key] = (won + worth, lost) if is_won else (won, lost + worth)
    return found


def _changes(
    events: list[Raw], span: Span, as_of: int, known_at: int, only: Only
) -> dict[Key, Any]:
    """Count pushes, deals pushed, deals pushed again, increases and decreases."""
    found: dict[Key, Any] = {}
    for stream in deals_of(events):
        counts: dict[Key, list[int]] = {}
        before: State | None = None
        for event, after in replay(events, stream, known_at):
            here = effect_of(event)
            during = span[0] <= here < span[1] and here <= as_of
            if before is not None and during and _asked(before, only, here, known_at):
                _count(counts, event, before, after, only)
            before = after
        for key, (pushes, more, less) in counts.items():
            sums = found.setdefault(key, [0, 0, 0, 0, 0])
            added = (pushes, pushes > 0, pushes > 1, more, less)
            found[key] = [a + b for a, b in zip(sums, added, strict=True)]
    return {key: tuple(sums) for key, sums in found.items() if any(sums)}


def _asked(deal: State, only: Only, at: int, known_at: int) -> bool:
    return deal["standing"] == "open" and _wanted(deal, only, at, known_at)


def _count(
    counts: dict[Key, list[int]], event: Raw, before: State, after: State, only: Only
) -> None:
    amount, currency = before["amount"] or (Decimal(0), None)
    there, other = after["amount"] or (Decimal(0), None)
    count = counts.setdefault((_group(before, only), currency), [0, 0, 0])
    if event["kind"] == "deal.forecast_given":
        count[0] += (after["expected_close"] or FAR) > (before["expected_close"] or FAR)
    if event["kind"] in ("deal.forecast_given", "deal.line_items_agreed"):
        in_one_currency = currency is not None and currency == other
        count[1] += in_one_currency and there > amount
        count[2] += in_one_currency and there < amount


def measures_of(book: dict[str, Any]) -> tuple[Fraction, ...]:
    """Give what is forecast by weight, commit, best case and pipeline."""
    worth = {name: sums[1] for name, sums in book["categories"].items()}
    commit = book["won"] + sum(worth.get(name, 0) for name in SURE)
    best_case = commit + worth.get("best_case", 0)
    weighted = book["won"] + _open(book)[2]
    return weighted, commit, best_case, best_case + worth.get("pipeline", 0)


def _open(book: dict[str, Any]) -> tuple[Any, ...]:
    rows = list(book["categories"].values())
    return tuple(sum((row[n] for row in rows), Fraction(0)) for n in range(3))


def _book(found: Found, key: Key) -> dict[str, Any]:
    return found.setdefault(key, {"won": Fraction(0), "categories": {}})


def _group(whose: dict[str, Any], only: Only) -> object:
    return None if only["by"] is None else whose[only["by"]]


def _wanted(whose: dict[str, Any], only: Only, at: int, known_at: int) -> bool:
    """Say whether it is of whom is asked about; of the team that its owner was in then."""
    if not all(only[name] in (None, whose[name]) for name in ("owner", "process")):
        return False
    team = only.get("team")
    if team is None:
        return True
    of = groups_of(only["events"], "team", known_at, known_at)
    found = of({"rep": whose["owner"], "at": at})
    return bool(found == team)


def _day(at: int) -> date:
    return moment(at).date()

"""The range of a forecast, naively: one deal, one window and one run after the other.

Written from the words of the formula, in fractions: visits are gone through for each deal, and
windows one by one. The numbers of the runs are those of the generator that the formula names,
under the key that it names.
"""

import hashlib
import math
from fractions import Fraction
from statistics import NormalDist
from typing import Any
from uuid import UUID

import numpy as np

from oracle.beliefs import Raw, moment
from oracle.deals import deal_at, deals_of
from oracle.sales import closing_at
from oracle.visits import way_at

__all__ = ["ranges_in", "tested_in", "won_between"]

DAY = 86_400_000_000
WEEK = 7 * DAY
MILLION = 1_000_000
RUNS = 999
Span = tuple[int, int]
Only = dict[str, Any]
Lines = dict[tuple[str | None, str], Any]


class Known:
    """What was known of all deals at a moment, and how far ahead the period lies."""

    def __init__(
        self, events: list[Raw], span: Span, as_of: int, known_at: int, only: Only
    ) -> None:
        self.at, self.span, self.only = as_of, span, only
        self.opens = max(0, span[0] - 1 - as_of)
        self.lasts = max(0, span[1] - 1 - as_of)
        self.open: list[dict[str, Any]] = []
        self.visits: list[dict[str, Any]] = []
        self.closings: list[dict[str, Any]] = []
        for stream in deals_of(events):
            deal = deal_at(events, stream, as_of, known_at)
            closing = closing_at(events, stream, as_of, known_at)
            if deal is None or closing is None:
                continue
            if only.get("process") in (None, closing["process"]):
                self.closings.append({**closing, "stream": stream})
            steps = way_at(events, stream, as_of, known_at)
            won = closing["closed"][0] if closing["outcome"] == "won" else None
            if only.get("process") not in (None, closing["process"]):
                won = None
            for step in steps:
                if step["outcome"] == "open" and only.get("process") in (None, step["process"]):
                    end = as_of if step["end"] is None else step["end"]
                    self.visits.append({**step, "end": end, "won": won})
            wanted = all(only.get(n) in (None, deal[n]) for n in ("process", "owner"))
            if deal["standing"] == "open" and wanted:
                self.open.append({**deal, "stream": stream, "entered": steps[-1]["at"]})
        self.open.sort(key=lambda deal: UUID(deal["stream"]))

    def wins(self) -> list[dict[str, Any]]:
        """List the deals that stand won with an amount, of the rep asked about."""
        return [
            each
            for each in self.closings
            if each["outcome"] == "won"
            and each["amount"] is not None
            and self.only.get("owner") in (None, each["owner"])
        ]


def won_between(known: Known, until: int) -> Lines:
    """Give how many deals were won in the period by an instant, and for how much."""
    found: Lines = {}
    for each in known.wins():
        if known.span[0] <= each["closed"][0] <= min(known.span[1] - 1, until):
            amount, currency = each["amount"]
            count, total = found.get((each["owner"], currency), (0, 0))
            found[each["owner"], currency] = (count + 1, total + int(amount * MILLION))
    return found


# How likely a deal is.


def likely_of(known: Known, method: str) -> list[int]:
    """Give how likely each open deal is won within the period, in millionths."""
    found = []
    for deal in known.open:
        close, stated = deal["expected_close"], Fraction(deal["probability"])
        first, last = (moment(at).date() for at in (known.span[0], known.span[1] - 1))
        within = close is not None and str(first) <= close <= str(last)
        if known.lasts == 0:
            found.append(0)
        elif method == "process":
            found.append(int(stated * MILLION) if within else 0)
        else:
            said = stated if within or close is None else Fraction(0)
            age = known.at - deal["entered"]
            likely = _share(known, deal["process"], deal["stage"], age, said)
            found.append(round(likely * MILLION))
    return found


def _share(known: Known, process: str, stage: str, age: int, said: Fraction | None) -> Fraction:
    of_process = [visit for visit in known.visits if visit["process"] == process]
    of_stage = [visit for visit in of_process if visit["stage"] == stage]
    won, seen = _counted(known, of_process, 0)
    share = Fraction(won, max(seen, 1)) if said is None else said
    steps = [(of_process, 0), (of_stage, 0)]
    days = min(age // DAY, 4096)
    steps += [(of_stage, days // 2**n) for n in range(12, -1, -1) if days // 2**n]
    for visits, day in steps:
        won, seen = _counted(known, visits, day * DAY)
        share = (won + 4 * share) / (seen + 4)
    return share


def _counted(known: Known, visits: list[dict[str, Any]], age: int) -> tuple[int, int]:
    won = seen = 0
    for visit in visits:
        then = visit["at"] + age
        if visit["end"] <= then or then + known.lasts > known.at:
            continue
        seen += 1
        if visit["won"] is not None:
            won += then + known.opens < visit["won"] <= then + known.lasts
    return won, seen


# What past windows were like.


def _windows(known: Known) -> list[dict[str, Any]]:
    """List the past windows: what was new in each, and how much more than usual was won."""
    base = known.at - known.lasts
    first = min((each["opened"][0] for each in known.closings), default=known.at)
    begun = [base - n * WEEK for n in range(52) if base - n * WEEK >= first]
    windows = []
    for at in begun:
        new: Lines = {}
        for each in known.wins():
            closed = each["closed"][0]
            if each["opened"][0] > at and at + known.opens < closed <= at + known.lasts:
                amount, currency = each["amount"]
                key = (each["owner"], currency)
                new.setdefault(key, []).append(int(amount * MILLION))
        stood = [v for v in known.visits if v["at"] <= at < v["end"]]
        shares = [_share(known, v["process"], v["stage"], at - v["at"], None) for v in stood]
        won = sum(
            v["won"] is not None and at + known.opens < v["won"] <= at + known.lasts
            for v in stood
        )
        chance = sum(share * (1 - share) for share in shares)
        windows.append({"new": new, "won": won, "expected": sum(shares), "chance": chance})
    for window, factor in zip(windows, _factors(known, windows), strict=True):
        window["factor"] = factor
    return windows


def _widened(known: Known, many: int) -> float:
    n = max(1 + (many - 1) * min(1.0, WEEK / max(known.lasts, 1)), 2.0)
    z = NormalDist().inv_cdf(0.9)
    return (n + 1) / (n - 1) * (1 + (z * z + 1) / (4 * (n - 1))) ** 2


def _factors(known: Known, windows: list[dict[str, Any]]) -> list[int]:
    some = [each for each in windows if each["expected"] > 0]
    kept, middle = 0.0, 0.0
    if len(some) > 1:
        ratios = [float(each["won"] / each["expected"]) for each in some]
        middle = sum(ratios) / len(some)
        spread = sum((each - middle) ** 2 for each in ratios) / (len(some) - 1)
        chance = sum(float(each["chance"] / each["expected"] ** 2) for each in some) / len(some)
        if spread > 1e-12:
            kept = math.sqrt(max(0.0, _widened(known, len(windows)) - chance / spread))
    return [
        round(
            min(max(1 + (float(w["won"] / w["expected"]) - middle) * kept, 0.0), 10.0) * MILLION
        )
        if w["expected"] > 0 and len(some) > 1
        else MILLION
        for w in windows
    ]


# The runs.


def ranges_in(known: Known, method: str) -> dict[str, Any]:
    """Give the range of each line: deals, expected, won, amount won, low, middle, high."""
    likely = likely_of(known, method)
    windows = _windows(known) if method == "history" and known.lasts else []
    deals, left_out = _worth(known, likely)
    won = won_between(known, known.at)
    totals = _runs(known, deals, windows)
    lines = {*totals, *won}
    found: dict[Any, Any] = {}
    for currency in {currency for _, currency in lines}:
        mine = [key for key in lines if key[1] == currency]
        found["all", currency] = _range(mine, deals, won, totals)
        for key in mine:
            found[("rep", *key)] = _range([key], deals, won, totals)
    return {
        "lines": found,
        "windows": len(windows),
        "left_out": left_out,
        "likely": {d["stream"]: p for d, p in zip(known.open, likely, strict=True)},
    }


def _worth(known: Known, likely: list[int]) -> tuple[list[dict[str, Any]], int]:
    """Give each open deal what it may bring: its amount, or those of the last wins."""
    found: list[dict[str, Any]] = []
    left_out = 0
    for deal, chance in zip(known.open, likely, strict=True):
        pool: list[int] = []
        if deal["amount"] is not None:
            amount, currency = int(deal["amount"][0] * MILLION), deal["amount"][1]
        else:
            pool, currency = _pool(known, deal["process"])
            amount = 0
            if not pool:
                left_out += 1
                continue
        key = (deal["owner"], currency)
        found.append({"key": key, "amount": amount, "pool": pool, "likely": chance})
    found.sort(key=lambda d: (d["key"][0] is None, d["key"][0] or "", d["key"][1]))
    return found, left_out


def _pool(known: Known, process: str) -> tuple[list[int], str]:
    wins = [
        each
        for each in known.closings
        if each["outcome"] == "won" and each["amount"] and each["process"] == process
    ]
    if not wins:
        return [], ""
    currencies = [each["amount"][1] for each in wins]
    currency = min(set(currencies), key=lambda c: (-currencies.count(c), c))
    wins = [each for each in wins if each["amount"][1] == currency]
    wins.sort(key=lambda each: (-each["closed"][0], UUID(each["stream"])))
    return [int(each["amount"][0] * MILLION) for each in wins[:1000]], currency


def _unit(deals: list[dict[str, Any]], windows: list[dict[str, Any]]) -> int:
    """Say in which unit sums stay below 2 ** 61."""
    seen: list[list[int]] = []
    for deal in deals:
        if deal["pool"] and deal["pool"] not in seen:
            seen.append(deal["pool"])
    own = [deal["amount"] for deal in deals]
    drawn = [amount for pool in seen for amount in pool]
    new = [a for window in windows for each in window["new"].values() for a in each]
    parts = (own, drawn, new)
    most = sum(abs(max([*part, 0])) + abs(min([*part, 0])) for part in parts)
    most *= max(sum(map(len, parts)), 1)
    unit = 1
    while most // unit > 2**61:
        unit *= 10
    return unit


def _runs(
    known: Known, deals: list[dict[str, Any]], windows: list[dict[str, Any]]
) -> dict[tuple[str | None, str], list[int]]:
    """Give what every run brings on each line, in millionths."""
    unit = _unit(deals, windows)
    keys = {deal["key"] for deal in deals} | {key for w in windows for key in w["new"]}
    new = {
        key: [sum(a // unit for a in w["new"].get(key, [])) for w in windows] for key in keys
    }
    part = round(math.sqrt(_widened(known, len(windows))) * 1000)
    for key, amounts in new.items():
        if amounts:
            mean = sum(amounts) // len(amounts)
            new[key] = [max(mean + (a - mean) // 1000 * part, min(a, 0)) for a in amounts]
    text = f"{known.at} {known.span[0]} {known.span[1]}"
    key_bytes = hashlib.sha256(text.encode()).digest()[:16]
    source = np.random.Philox(key=int.from_bytes(key_bytes, "big"))
    picked = [int(each) for each in source.random_raw(RUNS)]
    lacking = [deal for deal in deals if deal["pool"]]
    halves, words = -(-len(deals) // 4), -(-len(lacking) // 2)
    totals: dict[Any, list[int]] = {key: [] for key in keys}
    for first in picked:
        number = first % len(windows) if windows else 0
        factor = windows[number]["factor"] if windows else MILLION
        raw = [int(each) for each in source.random_raw(halves + words)] if deals else []
        draws = [each >> 16 * n & 0xFFFF for each in raw[:halves] for n in range(4)]
        picks = [each >> 32 * n & 0xFFFFFFFF for each in raw[halves:] for n in range(2)]
        sums = {key: new[key][number] if windows else 0 for key in keys}
        taken = iter(picks)
        for deal, draw in zip(deals, draws, strict=False):
            amount = deal["amount"]
            if deal["pool"]:
                amount = deal["pool"][next(taken) % len(deal["pool"])]
            limit = min(deal["likely"] * factor // (MILLION * MILLION >> 16), 0xFFFF)
            if draw < limit:
                sums[deal["key"]] += amount // unit
        for key, total in sums.items():
            totals[key].append(total)
    return {key: [each * unit for each in amounts] for key, amounts in totals.items()}


def _range(
    keys: list[Any], deals: list[dict[str, Any]], won: Lines, totals: dict[Any, list[int]]
) -> tuple[int, ...]:
    sums = sorted(sum(totals[key][n] for key in keys if key in totals) for n in range(RUNS))
    mine = [deal for deal in deals if deal["key"] in keys]
    count, amount = (sum(won.get(key, (0, 0))[n] for key in keys) for n in (0, 1))
    return (
        *(len(mine), sum(deal["likely"] for deal in mine), count, amount),
        *(amount + sums[n] for n in (99, 499, 899)),
    )


# The same for every week of past quarters.


def tested_in(
    events: list[Raw], spans: list[Span], known_at: int, only: Only, *, as_then: bool
) -> dict[str, Any]:
    """Lay ranges beside what came, and what deals were given beside how they ended."""
    ranges: dict[Any, Any] = {}
    reps: list[Any] = []
    given: list[Any] = []
    unknown = 0
    for span in spans:
        end = Known(events, span, span[1] - 1, known_at, only)
        came = won_between(end, span[1] - 1)
        ended = {
            each["stream"]: each["closed"][0]
            for each in end.closings
            if each["outcome"] == "won" and only.get("owner") in (None, each["owner"])
        }
        for week, at in enumerate(range(span[0] - 1, span[1] - 1, WEEK), 1):
            known = Known(events, span, at, min(at, known_at) if as_then else known_at, only)
            if not known.closings:
                unknown += 1
                continue
            for method in ("history", "process"):
                found = ranges_in(known, method)
                for key, (line, actual) in _beside(found["lines"], came).items():
                    side = (actual > line[6]) - (actual < line[4])
                    if key[0] == "all":
                        ranges[method, key[1], span[0], week] = (*line[4:], actual, side)
                    elif method == "history" and (line[4] < line[6] or side):
                        reps.append((key[1], side))
                given += _given(found["likely"], method, ended, span, at)
    return {"ranges": ranges, "reps": reps, "given": given, "unknown": unknown}


def _given(
    likely: dict[str, int], method: str, ended: dict[str, int], span: Span, at: int
) -> list[Any]:
    """Say of each deal what it was given, and whether it was won in time."""
    return [
        (method, stream, chance, at < ended.get(stream, at) and within(ended[stream], span))
        for stream, chance in likely.items()
    ]


def within(at: int, span: Span) -> bool:
    """Say whether an instant lies in a span."""
    return span[0] <= at < span[1]


def _beside(lines: dict[Any, Any], came: Lines) -> dict[Any, Any]:
    """Lay beside each line what its deals came to."""
    return {
        key: (
            line,
            sum(
                amount
                for (owner, currency), (_, amount) in came.items()
                if currency == key[-1] and (key[0] == "all" or owner == key[1])
            ),
        )
        for key, line in lines.items()
    }

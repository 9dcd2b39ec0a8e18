"""The range of a forecast, naively: one deal, one window and one run after the other.

Written from the words of the formula, in fractions: visits are gone through for each deal, and
windows one by one. The numbers of the runs are those of the generator that the formula names,
under the key that it names.
"""

import hashlib
import math
from collections.abc import Iterable
from fractions import Fraction
from statistics import NormalDist
from typing import Any
from uuid import UUID

import numpy as np

from oracle.beliefs import Raw, moment
from oracle.deals import deal_at, deals_of
from oracle.periods import period_of
from oracle.sales import closing_at
from oracle.teams import stream_of, team_at
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
        self.events, self.known_at = events, known_at
        self.opens = max(0, span[0] - 1 - as_of)
        self.lasts = max(0, span[1] - 1 - as_of)
        self.open: list[dict[str, Any]] = []
        self.visits: list[dict[str, Any]] = []
        self.closings: list[dict[str, Any]] = []
        for stream in deals_of(events):
            self._read(stream)
        self.open.sort(key=lambda deal: UUID(deal["stream"]))
        self.pace = _paces(self)
        self.doubts, self.corrected = _doubts(self)

    def _read(self, stream: str) -> None:
        """Read one deal: how it closed, its visits, and where it stands open."""
        deal = deal_at(self.events, stream, self.at, self.known_at)
        closing = closing_at(self.events, stream, self.at, self.known_at)
        if deal is None or closing is None:
            return
        process = self.only.get("process")
        is_mine = process in (None, closing["process"])
        if is_mine:
            recorded = closing["amount"]
            if closing["outcome"] == "won":
                closing["amount"] = self.converted(recorded, stream)
            self.closings.append({**closing, "stream": stream, "recorded": recorded})
        steps = way_at(self.events, stream, self.at, self.known_at)
        won = closing["closed"][0] if closing["outcome"] == "won" and is_mine else None
        for step in steps:
            if step["outcome"] == "open" and process in (None, step["process"]):
                end = self.at if step["end"] is None else step["end"]
                self.visits.append({**step, "end": end, "won": won})
        if deal["standing"] == "open":
            self._read_open({**deal, "stream": stream, "entered": steps[-1]["at"]})

    def _read_open(self, deal: dict[str, Any]) -> None:
        """Keep an open deal that is asked about, unless its amount has no rate."""
        amount = deal["amount"]
        is_mine = self.only.get("process") in (None, deal["process"])
        if is_mine and self.is_of(deal["owner"]):
            deal["amount"] = self.converted(amount, deal["stream"])
            if (amount is None) == (deal["amount"] is None):
                self.open.append(deal)

    def converted(self, money: Any, stream: str) -> Any:  # noqa: ANN401 - money or nothing
        """Give an amount in the currency asked for, at the rate of the period's last day."""
        if money is None or self.only.get("exchange") is None:
            return money
        end = self.span[1] - 1
        exchange = self.only["exchange"]
        found = exchange.convert(money, end=end, event=None, closing=None, of=stream)
        if found is not None and abs(found[0]) * MILLION >= 2**63:
            raise OverflowError("more than 64 bits hold")
        return found

    def is_of(self, owner: str | None) -> bool:
        """Say whether deals of somebody are asked about: by rep, and by team at the moment."""
        team = self.only.get("team")
        mine = self.only.get("owner") in (None, owner)
        return mine and (team is None or self.team_of(owner) == team)

    def team_of(self, owner: str | None) -> str | None:
        """Say in which team somebody is at the moment."""
        if owner is None:
            return None
        member = team_at(self.events, stream_of(owner), self.at, self.known_at)
        return None if member is None else member[1]

    def wins(self) -> list[dict[str, Any]]:
        """List the deals that stand won with an amount, of the rep asked about."""
        return [
            each
            for each in self.closings
            if each["outcome"] == "won"
            and each["amount"] is not None
            and self.is_of(each["owner"])
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
            likely = _hurried(known, likely, known.at)
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


# How much faster deals are won in the weeks of a quarter.


def _hurried(known: Known, share: Fraction, at: int) -> Fraction:
    """Multiply the odds by the mean pace between the beginning and the end of a span."""
    begun, ended = at + known.opens, at + known.lasts
    if begun >= ended:
        return share
    passed = Fraction(ended - begun)
    for start, end, pace in known.pace:
        passed += (pace - 1) * max(0, min(end, ended) - max(start, begun))
    times = passed / (ended - begun)
    return share * times / (1 - share + share * times)


def _paces(known: Known) -> list[tuple[int, int, Fraction]]:
    """Give the weeks of the quarters around a moment, and how fast deals are won in each."""
    pieces = [
        (max(start, end - (week + 1) * WEEK) if week < 12 else start, end - week * WEEK, week)
        for start, end in _quarters(known)
        for week in range(12, -1, -1)
    ]
    won, usual = [0] * 13, [Fraction(0)] * 13
    worth = _worth_of_time(known)
    for start, end, week in pieces:
        until = min(end, known.at)
        for visit, each in worth:
            here = min(visit["end"], until) - max(visit["at"], start)
            usual[week] += each * max(0, here)
            is_won = visit["won"] == visit["end"] > visit["at"]
            won[week] += is_won and start <= visit["end"] < until
    whole = sum(each * each for each in usual)
    apart = [w - u if u else Fraction(0) for w, u in zip(won, usual, strict=True)]
    varies = Fraction(0)
    if whole:
        varies = max(varies, (sum(each * each for each in apart) - sum(usual)) / whole)
    paces = [
        min(1 + a * varies / (varies * u + 1), Fraction(10))
        for a, u in zip(apart, usual, strict=True)
    ]
    return [(start, end, paces[week]) for start, end, week in pieces if start < end]


def _quarters(known: Known) -> list[Span]:
    found = [period_of(None, None, known.at)]
    for _ in range(8):
        if found[-1][1] < known.span[1]:
            found.append(period_of(None, None, found[-1][1]))
    for _ in range(12):
        found.insert(0, period_of(None, None, found[0][0] - 1))
    return found


def _worth_of_time(known: Known) -> list[tuple[dict[str, Any], Fraction]]:
    """Give every visit, and how many wins a microsecond in its stage is usually worth."""
    found = []
    for visit in known.visits:
        alike = [
            v
            for v in known.visits
            if (v["process"], v["stage"]) == (visit["process"], visit["stage"])
        ]
        won = sum(v["won"] == v["end"] > v["at"] for v in alike)
        found.append((visit, Fraction(won, max(sum(v["end"] - v["at"] for v in alike), 1))))
    return found


# Wins that are far from what their deals stood at.


def _doubts(known: Known) -> tuple[list[dict[str, Any]], int]:
    """List the wins of the period so far that are in doubt, and how many of a million are."""
    found = []
    for each in known.wins():
        if known.span[0] <= each["closed"][0] <= min(known.span[1] - 1, known.at):
            stood = _far_off(known, each["stream"], each["closed"][0], each["recorded"])
            if stood is not None:
                stood = known.converted((stood, each["recorded"][1]), each["stream"])
                found.append({**each, "stood": stood[0]})
    found.sort(key=lambda each: UUID(each["stream"]))
    before = [each for back in range(1, 5) for each in _doubted(known, back)]
    return found, MILLION * (sum(before) + 1) // (len(before) + 2) if found else 0


def _doubted(known: Known, back: int) -> list[bool]:
    """Say of each win that was in doubt so far back whether it was corrected since."""
    found = []
    then = known.at - back * 91 * DAY
    for stream in deals_of(known.events):
        old = closing_at(known.events, stream, then, min(then, known.known_at))
        if old is None or old["outcome"] != "won" or old["closed"][0] <= then - 91 * DAY:
            continue
        is_mine = known.only.get("process") in (None, old["process"])
        if is_mine and _far_off(known, stream, old["closed"][0], old["amount"]) is not None:
            now = closing_at(known.events, stream, known.at, known.known_at) or {}
            found.append((now.get("outcome"), now.get("amount")) != ("won", old["amount"]))
    return found


def _far_off(known: Known, stream: str, closed: int, won: Any) -> Any:  # noqa: ANN401 - money
    """Give what a deal stood at where it was won for three times as much, or a third."""
    before = deal_at(known.events, stream, closed - 1, known.known_at)
    if before is None or before["standing"] != "open" or won is None:
        return None
    if before["amount"] is None or before["amount"][1] != won[1]:
        return None
    stood, amount = (int(each * MILLION) for each in (before["amount"][0], won[0]))
    is_far = stood > 0 and (amount // 3 > stood or stood // 3 > amount)
    return before["amount"][0] if is_far else None


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
        shares = [_hurried(known, share, at) for share in shares]
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
    is_drawn = method == "history" and known.lasts > 0
    totals = _runs(known, deals, windows, known.doubts if is_drawn else [])
    lines = {*totals, *won}
    found: dict[Any, Any] = {}
    for currency in {currency for _, currency in lines}:
        mine = [key for key in lines if key[1] == currency]
        found["all", currency] = _range(mine, deals, won, totals)
        for key in mine:
            found[("rep", *key)] = _range([key], deals, won, totals)
        for team in {known.team_of(owner) for owner, _ in mine}:
            members = [key for key in mine if known.team_of(key[0]) == team]
            found["team", team, currency] = _range(members, deals, won, totals)
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


def _unit(
    deals: list[dict[str, Any]], windows: list[dict[str, Any]], doubts: list[dict[str, Any]]
) -> int:
    """Say in which unit sums stay below 2 ** 61."""
    seen: list[list[int]] = []
    for deal in deals:
        if deal["pool"] and deal["pool"] not in seen:
            seen.append(deal["pool"])
    own = [deal["amount"] for deal in deals]
    drawn = [amount for pool in seen for amount in pool]
    new = [a for window in windows for each in window["new"].values() for a in each]
    recorded = [int(each["amount"][0] * MILLION) for each in doubts]
    parts = (own, drawn, new, recorded, [int(each["stood"] * MILLION) for each in doubts])
    most = sum(abs(max([*part, 0])) + abs(min([*part, 0])) for part in parts)
    most *= max(sum(map(len, parts)), 1)
    unit = 1
    while most // unit > 2**61:
        unit *= 10
    return unit


def _runs(
    known: Known,
    deals: list[dict[str, Any]],
    windows: list[dict[str, Any]],
    doubts: list[dict[str, Any]],
) -> dict[tuple[str | None, str], list[int]]:
    """Give what every run brings on each line, in millionths."""
    unit = _unit(deals, windows, doubts)
    keys = {deal["key"] for deal in deals} | {key for w in windows for key in w["new"]}
    keys |= {(each["owner"], each["amount"][1]) for each in doubts}
    new = {
        key: [sum(a // unit for a in w["new"].get(key, [])) for w in windows] for key in keys
    }
    new = {key: _apart(known, amounts) for key, amounts in new.items()}
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
    for each in doubts:
        _correct(each, unit, source.random_raw(RUNS), known.corrected, totals)
    return {key: [each * unit for each in amounts] for key, amounts in totals.items()}


def _apart(known: Known, amounts: list[int]) -> list[int]:
    """Move what windows brought away from their mean."""
    part = round(math.sqrt(_widened(known, len(amounts))) * 1000)
    mean = sum(amounts) // len(amounts) if amounts else 0
    return [max(mean + (a - mean) // 1000 * part, min(a, 0)) for a in amounts]


def _correct(
    win: dict[str, Any],
    unit: int,
    draws: Iterable[Any],
    corrected: int,
    totals: dict[Any, list[int]],
) -> None:
    """Let a win count for what its deal stood at, in so many of the runs."""
    amount, currency = win["amount"]
    stood, worth = (int(each * MILLION) // unit for each in (win["stood"], amount))
    for n, draw in enumerate(draws):
        totals[win["owner"], currency][n] += (stood - worth) * (int(draw) % MILLION < corrected)


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
    parts: dict[str, list[Any]] = {"rep": [], "team": []}
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
                for key, (line, actual) in _beside(known, found["lines"], came).items():
                    side = (actual > line[6]) - (actual < line[4])
                    if key[0] == "all":
                        ranges[method, key[1], span[0], week] = (*line[4:], actual, side)
                    elif method == "history" and (line[4] < line[6] or side):
                        parts[key[0]].append((key[1], side))
                given += _given(found["likely"], method, ended, span, at)
    return {"ranges": ranges, "parts": parts, "given": given, "unknown": unknown}


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


def _beside(known: Known, lines: dict[Any, Any], came: Lines) -> dict[Any, Any]:
    """Lay beside each line what its deals came to."""
    part_of = {"rep": lambda owner: owner, "team": known.team_of}
    return {
        key: (
            line,
            sum(
                amount
                for (owner, currency), (_, amount) in came.items()
                if currency == key[-1] and (key[0] == "all" or part_of[key[0]](owner) == key[1])
            ),
        )
        for key, line in lines.items()
    }

"""How much may close in a period: drawn from what was known at one moment, and nothing else.

Two methods give each open deal a probability of being won within the period. `history` counts:
of all visits to its stage that had lasted as long as its own, and that lie so far back that
the whole span ahead was seen, how many were followed by a win within that span. Few visits are
drawn towards the stage at any age, those towards the process, those towards what is stated.
`process` takes what is stated for deals that are expected to close in the period, and 0 for
the others.

By `history` each run also takes one past window of the same length: what was then won of deals
that had not been opened yet is won again, and all open deals are as many times as likely to be
won as they were then (less what chance alone explains). So runs differ as past windows did.
How much faster deals are won towards the end of a quarter is said by `quarter_pace`, which wins
may be wrong by `wins_in_doubt`.

Everything is worked out in whole numbers, but for means and roots of a few; the numbers drawn
come from a counter (Philox) whose key follows from the instants, so that they are the same for
ever.

Source: J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011, for Philox.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from statistics import NormalDist
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from salesflow.domain.time import DAY, Instant
from salesflow.projections.core.column_figures import exact_sums
from salesflow.projections.core.column_groups import foremost, grouped, rows_in
from salesflow.projections.core.columns import (
    NOTHING,
    Column,
    Flags,
    Words,
)
from salesflow.projections.forecast.known_deals import KnownDeals, order_of_ids
from salesflow.projections.forecast.quarter_pace import hurried
from salesflow.projections.table import AMOUNT_SCALE

__all__ = ["Drawn", "Line", "RangeMethod", "drawn", "probabilities"]


RangeMethod = Literal["history", "process"]
HALVES: Final = 6
RUNS: Final = 999
LOW, MIDDLE, HIGH = 99, 499, 899
"""Which of the runs in their order are the 10th, the 50th and the 90th percentile."""
TOGETHER: Final = 1 << 18
"""So many draws are made at once, at most."""
WINDOWS_MOST: Final = 52
WINDOW_STEP: Final = 7 * DAY
POOL_MOST: Final = 1_000
"""So many of the last wins say what a deal without an amount may bring."""
DRAW_BITS: Final = 16
MILLION: Final = np.uint64(AMOUNT_SCALE)
LIMIT_MOST: Final = (1 << DRAW_BITS) - 1
LIKELY_PARTS: Final = AMOUNT_SCALE * AMOUNT_SCALE >> DRAW_BITS
"""A probability times a factor, both in millionths, by this is one of so many bits."""
FEWEST: Final = 2
"""Fewer independent windows say nothing of a spread; as many are taken to be there."""
TENTH: Final = NormalDist().inv_cdf(0.9)
TINY: Final = 1e-300
FACTOR_MOST: Final = 10.0
"""No window makes deals more times as likely."""
SUM_MOST: Final = 1 << 61
"""Sums stay below this, in units that are made larger where they must be."""
Line = tuple[int, int]
"""The codes of an owner and of a currency."""


# How likely each open deal is.


def probabilities(known: KnownDeals, method: RangeMethod) -> Column:
    """Return how likely each open deal is won within the period, in whole millionths."""
    if known.horizon.lasts == 0:
        return np.zeros(len(known.open), np.int64)
    deals, age = known.open, known.horizon.at - known.entered
    if method == "process":
        return np.where(_expected_within(known), deals["probability"], 0)
    undated = ~deals.known("expected_close")
    said = np.where(_expected_within(known) | undated, deals["probability"], 0) / AMOUNT_SCALE
    likely = known.conversions.likely(deals["process"], deals["stage"], age, said)
    at, opens, lasts = known.horizon
    likely = hurried(likely, known.pace.over(at + opens, at + lasts))
    millionths = np.round(likely * AMOUNT_SCALE, HALVES)  # so that a half is one, exactly
    return np.rint(millionths).astype(np.int64)


def _expected_within(known: KnownDeals) -> Flags:
    """Return which open deals are expected to close in the period."""
    deals, first, last = known.open, str(known.span.first), str(known.span.last)
    alike = grouped(deals["expected_close"])
    days = deals.cells("expected_close", alike.first)
    within = np.array([day is not None and first <= day <= last for day in days], np.bool_)
    found: Flags = within[alike.of]
    return found


NO_DEALS: Final = np.zeros(0, np.int64)


# Past windows: so long as the span ahead, a week apart, all of them over.


class _Windows(NamedTuple):
    """What past windows were like."""

    many: int
    """How many there are."""
    factors: Column
    """How many times as likely open deals were won then, in millionths."""
    window: Column
    """Of every deal opened and won within a window, the window; so are line and amount."""
    owner: Column
    currency: Column
    amount: Column


def _windows(known: KnownDeals) -> _Windows:
    at, opens, lasts = known.horizon
    base, closing = at - lasts, known.closing
    first = int(closing["opened"].min()) if len(closing) else at
    count = min(WINDOWS_MOST, (base - first) // WINDOW_STEP + 1) if base >= first else 0
    mine = closing.fitting({"owner": known.scope.owner}) & closing.has("outcome", "won")
    won = closing.where(mine & closing.known("currency"))
    opened, closed = won["opened"], won["closed"]
    begun = np.minimum(opened, closed - opens)
    lowest = np.maximum((base - begun) // WINDOW_STEP + 1, 0)
    highest = np.minimum((base + lasts - closed) // WINDOW_STEP, count - 1)
    window, deal = _each(lowest, highest)
    return _Windows(
        count,
        _factors(known, base, count),
        window,
        won["owner"][deal],
        won["currency"][deal],
        won["amount"][deal],
    )


def _each(lowest: Column, highest: Column) -> tuple[Column, Column]:
    """Return every window from the lowest to the highest of each deal, and which deal it is."""
    return rows_in(lowest, np.maximum(highest + 1, lowest))


def _factors(known: KnownDeals, base: Instant, count: int) -> Column:
    """Return how many times as much was won in each window as the shares won make likely.

    A part of that is chance: the squares of the differences are made smaller by what chance
    alone would give.
    """
    visits, start = known.visits, known.visits["valid_from"]
    lowest = np.maximum((base - known.until) // WINDOW_STEP + 1, 0)
    highest = np.minimum((base - start) // WINDOW_STEP, count - 1)
    window, visit = _each(lowest, highest)
    if not len(window):
        return np.full(count, AMOUNT_SCALE)
    began = base - window * WINDOW_STEP
    likely = known.conversions.likely(
        visits["process"][visit], visits["stage"][visit], began - start[visit]
    )
    won_at, (_, opens, lasts) = known.won_at[visit], known.horizon
    begun = base - np.arange(count) * WINDOW_STEP
    likely = hurried(likely, known.pace.over(begun + opens, begun + lasts)[window])
    expected = np.bincount(window, likely, count)
    by_chance = np.bincount(window, likely * (1 - likely), count)
    won = np.bincount(window, (won_at > began + opens) & (won_at <= began + lasts), count)
    squares = by_chance / np.maximum(expected * expected, TINY)
    ratios = won / np.maximum(expected, TINY)
    some = expected > 0
    return _beyond_chance(ratios, squares, some, _widened(count, lasts))


def _beyond_chance(
    ratios: NDArray[np.float64], by_chance: NDArray[np.float64], some: Flags, widened: float
) -> Column:
    factors, many = np.ones(len(ratios), np.float64), int(some.sum())
    if many > 1:
        mine = ratios[some]
        middle = math.fsum(mine.tolist()) / many
        spread = math.fsum(((mine - middle) ** 2).tolist()) / (many - 1)
        chance = math.fsum(by_chance[some].tolist()) / many
        kept = math.sqrt(max(0.0, widened - chance / spread)) if spread > 0 else 0.0
        factors[some] = np.clip(1 + (mine - middle) * kept, 0, FACTOR_MOST)
    return np.rint(factors * AMOUNT_SCALE).astype(np.int64)


def _widened(many: int, lasts: int) -> float:
    """Return by how much the spread of windows is less than what is to be expected, squared.

    Windows overlap: as many are independent as follow one another. Of so few n the variance
    within is (n − 1) ÷ n of the true one, the next one lies about a mean that is uncertain by
    1 ÷ n of it, and its tenths are those of Student's t.

    Source: Abramowitz and Stegun, Handbook of mathematical functions, 26.7.5, first term.
    """
    independent = max(1 + (many - 1) * min(1.0, WINDOW_STEP / max(lasts, 1)), float(FEWEST))
    freedom = independent - 1
    return (independent + 1) / freedom * (1 + (TENTH * TENTH + 1) / (4 * freedom)) ** 2


# The runs.


class Drawn(NamedTuple):
    """What runs came to, by line, in units of so many millionths."""

    lines: list[Line]
    """The codes of owner and currency."""
    runs: NDArray[np.int64]
    """A row per run, a column per line."""
    deals: list[int]
    """How many open deals there are of each line, and how many are won on average."""
    expected: list[int]
    """In millionths."""
    unit: int
    windows: int
    """How many past windows there were to draw from; 0 by stated probabilities."""
    without_amount: int
    """Open deals that have no amount, and no win to draw one from: they bring nothing."""

    def percentiles(self, lines: Sequence[int]) -> tuple[int, int, int]:
        """Return the 10th, 50th and 90th percentile of some lines together, in millionths."""
        sums = np.sort(self.runs[:, lines].sum(axis=1))
        low, middle, high = (int(sums[n]) * self.unit for n in (LOW, MIDDLE, HIGH))
        return low, middle, high

    def each_percentiles(self) -> list[tuple[int, int, int]]:
        """Return the same of each line by itself."""
        sums = np.sort(np.ascontiguousarray(self.runs.T), axis=1)
        return [
            (low * self.unit, middle * self.unit, high * self.unit)
            for low, middle, high in sums[:, [LOW, MIDDLE, HIGH]].tolist()
        ]


def drawn(known: KnownDeals, likely: Column, method: RangeMethod) -> Drawn:
    """Draw what the rest of the period may bring, beyond what is won in it by the moment."""
    is_drawn = method == "history" and known.horizon.lasts > 0
    windows = _windows(known) if is_drawn else NO_WINDOWS
    doubt = known.in_doubt if is_drawn else known.in_doubt.none()
    amounts = _Amounts.of(known)
    kept = _in_lines(known, amounts.currency)
    owners, currencies = (
        np.concatenate(each)
        for each in (
            (known.open["owner"][kept], windows.owner, doubt.won["owner"]),
            (amounts.currency[kept], windows.currency, doubt.won["currency"]),
        )
    )
    alike = grouped(owners, currencies)
    line, brought, doubted = np.split(alike.of, np.cumsum([len(kept), len(windows.owner)]))
    count = len(alike.first)
    recorded = doubt.won["amount"]
    unit = _unit(amounts.amount[kept], amounts.pools, windows.amount, recorded, doubt.stood)
    new = np.zeros((max(windows.many, 1), count), np.int64)
    np.add.at(new, (windows.window, brought), windows.amount // unit)
    new = _spread_out(new, _widened(windows.many, known.horizon.lasts))
    runs = _Runs(known, likely[kept], amounts.of_some(kept, unit), line, windows)
    found = runs.total(new)
    runs.correct(found, doubted, doubt.stood // unit - recorded // unit, doubt.corrected)
    return Drawn(
        [*zip(owners[alike.first].tolist(), currencies[alike.first].tolist(), strict=True)],
        found,
        np.bincount(line, minlength=count).tolist(),
        exact_sums(likely[kept], line, count).tolist(),
        unit,
        windows.many,
        len(known.open) - len(kept),
    )


def _in_lines(known: KnownDeals, currency: Column) -> Column:
    """Return the rows of open deals with a worth, by owner, currency and id."""
    some = np.flatnonzero(currency != NOTHING)
    owner = _ranks(known.open["owner"][some], known.open.words["owner"])
    code = _ranks(currency[some], known.open.words["currency"])
    return some[np.lexsort([code, owner])]


def _ranks(codes: Column, words: Words) -> Column:
    """Return where the word of each code stands among those there are; nothing comes last."""
    some, of = np.unique(codes, return_inverse=True)
    names = words.of(some)
    order = sorted(range(len(names)), key=lambda n: (names[n] is None, names[n] or ""))
    ranks = np.empty(len(names), np.int64)
    ranks[order] = np.arange(len(names))
    return ranks[of]


def _spread_out(new: NDArray[np.int64], widened: float) -> NDArray[np.int64]:
    """Move what windows brought away from their mean, not below nothing."""
    mean = new.sum(axis=0) // len(new)
    part = round(math.sqrt(widened) * 1_000)
    return np.asarray(np.maximum(mean + (new - mean) // 1_000 * part, np.minimum(new, 0)))


NO_WINDOWS: Final = _Windows(
    0, np.full(0, AMOUNT_SCALE), NO_DEALS, NO_DEALS, NO_DEALS, NO_DEALS
)


def _unit(*amounts: Column) -> int:
    """Return in what unit sums of amounts fit into 64 bits: a millionth, nearly always."""
    ends = [end for each in amounts for end in (each.max(initial=0), each.min(initial=0))]
    most = sum(abs(int(end)) for end in ends) * max(sum(map(len, amounts)), 1)
    unit = 1
    while most // unit > SUM_MOST:
        unit *= 10
    return unit


class _Amounts(NamedTuple):
    """What open deals would bring; of those without an amount, from which wins it is drawn."""

    amount: Column
    currency: Column
    """`NOTHING` where neither they nor any win say one."""
    pool: Column
    """Where the wins begin that stand for one without an amount; so is how many they are."""
    pooled: Column
    pools: Column

    @classmethod
    def of(cls, known: KnownDeals) -> "_Amounts":
        deals = known.open
        amount, currency = deals.amounts(), deals["currency"].copy()
        pool, pooled = np.zeros(len(deals), np.int64), np.zeros(len(deals), np.int64)
        pools, length = [NO_DEALS], 0
        lacking = np.flatnonzero(currency == NOTHING)
        for here in grouped(deals["process"][lacking]).rows():
            here = lacking[here]
            wins, code = _wins(known, int(deals["process"][here[0]]))
            if len(wins):
                currency[here], pool[here], pooled[here] = code, length, len(wins)
                pools, length = [*pools, wins], length + len(wins)
        return cls(amount, currency, pool, pooled, np.concatenate(pools))

    def of_some(self, kept: Column, unit: int) -> "_Amounts":
        """Return those of some deals, in a unit."""
        return _Amounts(
            self.amount[kept] // unit,
            self.currency[kept],
            self.pool[kept],
            self.pooled[kept],
            self.pools // unit,
        )


def _wins(known: KnownDeals, process: int) -> tuple[Column, int]:
    """Return what the last wins of a process brought, in the currency of most of them."""
    closing = known.closing
    won = closing.where(
        closing.has("outcome", "won")
        & closing.known("currency")
        & (closing["process"] == process)
    )
    if not len(won):
        return NO_DEALS, NOTHING
    some, times = np.unique(won["currency"], return_counts=True)
    counts: Mapping[int, int] = dict(zip(some.tolist(), times.tolist(), strict=True))
    words = won.words["currency"]
    code = min(counts, key=lambda each: (-counts[each], words[each]))
    won = won.where(won["currency"] == code)
    last = foremost(POOL_MOST, -won["closed"])
    won = won.ordered(last)
    won = won.ordered(order_of_ids(won))
    order = np.argsort(-won["closed"], kind="stable")[:POOL_MOST]
    return won["amount"][order], code


class _Runs:
    """Runs of the rest of a period, of deals in the order in which lots are drawn for them."""

    def __init__(
        self,
        known: KnownDeals,
        likely: Column,
        amounts: _Amounts,
        line: Column,
        windows: _Windows,
    ) -> None:
        self._line, self._amounts, self._windows = line, amounts, windows
        self._lacking = np.flatnonzero(amounts.pooled)
        self._place = np.cumsum(amounts.pooled != 0) - 1
        factors = windows.factors if windows.many else np.full(1, AMOUNT_SCALE)
        limits = likely[None, :] * factors[:, None] // LIKELY_PARTS
        self._limits = np.minimum(limits, LIMIT_MOST).astype(np.uint16)
        horizon, span = known.horizon, known.span
        text = f"{horizon.at} {span.start} {span.end}"
        key = int.from_bytes(sha256(text.encode()).digest()[:16], "big")
        self._source = np.random.Philox(key=key)

    def total(self, new: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what each run brings on each line; what is new is given by window."""
        raw = self._source.random_raw(RUNS)
        if self._windows.many:
            window = (raw % np.uint64(self._windows.many)).astype(np.intp)
            found = new[window]
        else:
            window, found = np.zeros(RUNS, np.intp), np.zeros((RUNS, new.shape[1]), np.int64)
        cells = found.reshape(-1)
        for cell, brings in self._each(window, new.shape[1]):
            np.add.at(cells, cell, brings)
        return found

    def correct(
        self, found: NDArray[np.int64], lines: Column, difference: Column, corrected: int
    ) -> None:
        """Correct wins that are in doubt, each in as many runs as such ones are corrected."""
        for line, each in zip(lines.tolist(), difference.tolist(), strict=True):
            found[:, line] += (self._source.random_raw(RUNS) % MILLION < corrected) * each

    def _each(self, window: Column, lines: int) -> Iterator[tuple[Column, Column]]:
        """Yield what each deal brings that is won in some runs, and to which run and line.

        Cells are counted run by run. Few deals are won, so that nothing is looked up of others.
        """
        deals, lacking = self._limits.shape[1], len(self._lacking)
        halves, words = -(-deals // 4), -(-lacking // 2)
        each = halves + words
        many = max(1, TOGETHER // max(deals, 1))
        for first in range(0, len(window) if deals else 0, many):
            some = window[first : first + many]
            raw = self._source.random_raw(len(some) * each).reshape(len(some), each)
            draws = np.ascontiguousarray(raw[:, :halves]).astype("<u8", copy=False)
            limits = self._limits if len(self._limits) == 1 else self._limits[some]
            won = np.flatnonzero(draws.view("<u2")[:, :deals] < limits)
            run, deal = np.divmod(won, deals)
            brings = self._amounts.amount[deal]
            if lacking:
                picks = np.ascontiguousarray(raw[:, halves:]).astype("<u8", copy=False)
                here = np.flatnonzero(self._amounts.pooled[deal])
                place, of = self._place[deal[here]], deal[here]
                which = picks.view("<u4")[run[here], place] % self._amounts.pooled[of]
                pool = self._amounts.pool[of] + which.astype(np.int64)
                brings[here] = self._amounts.pools[pool]
            yield (run + first) * lines + self._line[deal], brings

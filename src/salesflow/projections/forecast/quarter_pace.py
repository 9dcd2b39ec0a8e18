"""How much faster or slower than usual deals are won in each week of a fiscal quarter.

Answers "does this team sign in the last weeks of a quarter?" out of what was known at a moment:
each day that a deal stood in a stage counts for as many wins as a day there usually brings, and
what was won in the weeks so far before the end of their quarters is laid beside that. What
chance alone explains of the difference is left out of it, so that a team without a rush has
none. Leaves out years: a season shows in no quarter alone.

It is a module of its own: it knows instants, and neither deals nor amounts.

Source: C. N. Morris, Parametric empirical Bayes inference, Journal of the American Statistical
Association 78 (1983), for how far a difference is taken over.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from salesflow.domain.time import DAY, ONE_DAY, Instant, from_instant, start_of_day
from salesflow.errors import InputError
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import Column
from salesflow.projections.core.question import Reader, Span

__all__ = ["QuarterPace", "StageDays", "hurried"]

WEEK: Final = 7 * DAY
WEEKS: Final = 13
"""Of a quarter, counted from its end; what is left of it belongs to the first one."""
QUARTERS_BACK: Final = 12
QUARTERS_AHEAD: Final = 8
"""Beyond so many quarters before and behind a moment no week differs from others."""
FAR: Final = 1 << 59
TINY: Final = 1e-300
PACE_MOST: Final = 10.0
"""No week brings more times as many wins."""
Shares = NDArray[np.float64]


class StageDays(NamedTuple):
    """Visits to stages: from when to when they lasted, and which of them ended with a win.

    A visit that lasted no time tells nothing.
    """

    process: Column
    stage: Column
    since: Column
    until: Column
    won: NDArray[np.bool_]


class QuarterPace(NamedTuple):
    """How many times as many deals as usual are won, integrated over time."""

    times: Shares
    passed: Shares
    """How much usual time, in microseconds, passes until each of the times."""

    def over(self, since: Column | Instant, until: Column | Instant) -> Shares:
        """Return the mean of a span; 1 where it has no length."""
        if len(self.times) == 1:
            return np.ones(np.shape(since), np.float64)
        begun, ended = (
            np.interp(np.asarray(each, np.float64), self.times, self.passed)
            for each in (since, until)
        )
        lasts = np.asarray(until, np.float64) - np.asarray(since, np.float64)
        return np.where(lasts > 0, (ended - begun) / np.where(lasts > 0, lasts, 1.0), 1.0)

    @classmethod
    def of(cls, visits: StageDays, at: Instant, span: Span, reader: Reader) -> "QuarterPace":
        """Count the wins of every week before a moment, and what was to be expected in it."""
        ends = _quarter_ends(at, span, reader)
        if not ends:
            return cls(np.zeros(1, np.float64), np.zeros(1, np.float64))
        begins, weeks = _weeks(ends)
        edges = np.minimum(begins, at)
        won, expected = _counted(visits, edges)
        pace = _beyond_chance(
            *(np.bincount(weeks, each, WEEKS).astype(np.float64) for each in (won, expected))
        )
        times = begins.astype(np.float64)
        passed = np.append(0.0, np.cumsum(np.diff(times) * pace[weeks]))
        first, last = times[0] - FAR, times[-1] + FAR
        return cls(
            np.concatenate([[first], times, [last]]),
            np.concatenate([[-FAR], passed, [passed[-1] + FAR]]),
        )


def hurried(likely: Shares, times: Shares) -> Shares:
    """Return what is likely where the odds are so many times as usual."""
    found: Shares = likely * times / (1 - likely + likely * times)
    return found


def _quarter_ends(at: Instant, span: Span, reader: Reader) -> list[Instant]:
    """Return where quarters around a moment begin, and where the last of them ends.

    None of those that the calendar does not reach.
    """
    calendar, zone = reader.calendar, reader.timezone
    found: list[date] = []
    with suppress(InputError, OverflowError):
        here = calendar.span("quarter", from_instant(at).astimezone(zone).date())
        found = [here.first, here.last + ONE_DAY]
        for _ in range(QUARTERS_AHEAD):
            if found[-1] <= span.last:
                found.append(calendar.span("quarter", found[-1]).last + ONE_DAY)
        for _ in range(QUARTERS_BACK):
            found.insert(0, calendar.before("quarter", found[0]).first)
    return [start_of_day(day, zone) for day in found]


def _weeks(ends: Sequence[Instant]) -> tuple[Column, Column]:
    """Return where weeks begin, and where the last one ends; and which week each is."""
    begins: list[Instant] = []
    weeks: list[int] = []
    for first, end in pairwise(ends):
        for week in range(WEEKS - 1, -1, -1):
            begun = first if week == WEEKS - 1 else max(first, end - (week + 1) * WEEK)
            if begun < end - week * WEEK:
                begins.append(begun)
                weeks.append(week)
    return np.array([*begins, ends[-1]], np.int64), np.array(weeks, np.int64)


def _counted(visits: StageDays, edges: Column) -> tuple[Shares, Shares]:
    """Return how many visits were won between some instants, and how many are usual."""
    weight = _usual(visits)
    moments = np.sort(visits.until[visits.won])
    won = np.diff(np.searchsorted(moments, edges, "left")).astype(np.float64)
    stood = _stood(visits.since, weight, edges) - _stood(visits.until, weight, edges)
    return won, np.diff(stood)


def _usual(visits: StageDays) -> Shares:
    """Return how many wins a microsecond of each visit is usually worth."""
    alike = grouped(visits.process, visits.stage)
    count = len(alike.first)
    won = np.bincount(alike.of, visits.won, count)
    lasted = np.bincount(alike.of, (visits.until - visits.since).astype(np.float64), count)
    usual: Shares = (won / np.maximum(lasted, 1.0))[alike.of]
    return usual


def _stood(since: Column, weight: Shares, edges: Column) -> Shares:
    """Return the weighted time that has passed since some instants, until each of others."""
    base, places = int(edges[0]), len(edges) + 1
    place = np.searchsorted(edges, since, "left")  # the first that is not before it
    whole = np.cumsum(np.bincount(place, weight, places))[:-1]
    moments = np.cumsum(np.bincount(place, weight * (since - base), places))[:-1]
    stood: Shares = whole * (edges - base) - moments
    return stood


def _beyond_chance(won: Shares, expected: Shares) -> Shares:
    """Return how many times as much was won, as far as chance does not explain it.

    What differs from week to week has a variance of what chance gives, which is what was
    expected, and of as many squares of it as the pace varies by.
    """
    apart = np.where(expected > 0, won - expected, 0.0)
    whole = math.fsum((expected * expected).tolist())
    beyond = math.fsum((apart * apart).tolist()) - math.fsum(expected.tolist())
    varies = max(0.0, beyond / max(whole, TINY))
    return np.minimum(1 + apart * varies / (varies * expected + 1), PACE_MOST)

"""Puts the steps of a history in order, also those that share their time.

An export may stand newest first, or in no order at all, and many systems keep seconds or
minutes only. Of steps at one time that order is taken which hangs together best: where a step
says what was before it, that is what the one above it left, and where it says what it became,
that is what the one below it says; the first follows on what was before, the last leads to
what came after, or is now. Where that leaves a choice, the ids of the records decide if the
system numbers them, else the file, read from the side that fits the rest.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise, permutations
from typing import NamedTuple

from salesflow.adapters.importers.crm.records import Attribute, HistoryRecord, Values

__all__ = ["by_number", "in_order_of_time"]


PERMUTED_MAX = 6
"""Of more steps at one time only the file's order and its reverse are tried."""
Rank = Callable[[HistoryRecord], object]


def in_order_of_time(
    steps: Sequence[HistoryRecord], now: Values, rank: Rank | None = None
) -> tuple[list[HistoryRecord], set[int]]:
    """Return steps in the order in which they happened, and the places of those that tie.

    `now` is how the deal is after the last of them. `rank` says how the system numbers its
    records, where it does.
    """
    timed = sorted(steps, key=lambda step: step.at.instant)
    groups = [[*group] for _, group in groupby(timed, key=lambda step: step.at.instant)]
    backwards = _stands_newest_first(steps)
    ordered: list[HistoryRecord] = []
    tied: set[int] = set()
    state: dict[Attribute, object] = {}
    for number, group in enumerate(groups):
        if len(group) > 1:
            tied |= {step.place for step in group}
            later = groups[number + 1] if number + 1 < len(groups) else []
            around = _Around(
                state,
                ordered[-1].then if ordered else {},
                later[0].before if later else now,
                later[0].after if len(later) == 1 else {},
            )
            group = _chained(group, around, rank, backwards=backwards)
        for step in group:
            state.update(step.after)
        ordered += group
    return ordered, tied


def by_number(step: HistoryRecord) -> str:
    """Return what grows with every record of a system that numbers them: its number."""
    return step.id.zfill(20) if step.id.isdigit() else ""


def _stands_newest_first(steps: Sequence[HistoryRecord]) -> bool:
    """Return whether most neighbours of the file with different times stand newest first."""
    apart = [a.at.instant > b.at.instant for a, b in pairwise(steps) if a.at != b.at]
    return sum(apart) * 2 > len(apart)


class _Around(NamedTuple):
    """What stands before and behind the steps of one time."""

    state: Values
    became: Values
    """What the step before them became."""
    following: Values
    """What the step behind them says was before it, or how the deal is now."""
    after: Values
    """What the step behind them says is so from then on."""


def _chained(
    group: list[HistoryRecord],
    around: _Around,
    rank: Rank | None,
    *,
    backwards: bool,
) -> list[HistoryRecord]:
    """Return steps of one time in the order that hangs together best, the likeliest first."""
    group.sort(key=lambda step: step.place, reverse=backwards)
    if rank is not None:
        group.sort(key=lambda step: str(rank(step)))
    best = max(_orders(group), key=lambda order: _fit(order, around))
    return list(best)


def _orders(group: Sequence[HistoryRecord]) -> Iterator[Sequence[HistoryRecord]]:
    """Yield the orders to try; of those that fit alike the file's comes before any other."""
    yield group
    yield group[::-1]
    if len(group) <= PERMUTED_MAX:
        yield from permutations(group)


def _fit(order: Sequence[HistoryRecord], around: _Around) -> int:
    """Count how many values lead on, less those that do not."""
    fit, running, became = 0, dict(around.state), around.became
    for step in order:
        fit += _agreeing(running, step.before) + _agreeing(step.after, became)
        running.update(step.after)
        became = step.then
    return fit + _agreeing(running, around.following) + _agreeing(around.after, became)


def _agreeing(running: Values, wanted: Values) -> int:
    known = [name for name in wanted if name in running]
    same = sum(running[name] == wanted[name] for name in known)
    return 2 * same - len(known)

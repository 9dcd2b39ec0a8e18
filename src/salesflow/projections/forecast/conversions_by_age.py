"""How many visits to a stage, of some age, were followed by a win within the span ahead.

Counted is each visit that had lasted as long, and that lies so far back that the whole span
behind that age was seen. Of great ages there are few: they are drawn towards those half as old,
these towards those half as old again, down to a day, and so on to the stage at its beginning,
to all stages of the process, and to what is said beforehand. Ages count in whole days.

It is a module of its own: it knows instants and counts, and neither deals nor amounts.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from salesflow.domain.time import DAY
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import Column, Flags

__all__ = ["ConversionsByAge", "VisitsSeen"]

PRIOR: Final = 4
"""So many visits weigh as much as what they are drawn towards.

Source: A. Agresti and B. A. Coull, Approximate is better than "exact" for interval estimation
of binomial proportions, The American Statistician 52 (1998), which adds four.
"""
HALVINGS: Final = 12
DAYS_MOST: Final = 1 << HALVINGS
"""Greater ages are looked at as this one."""
Shares = NDArray[np.float64]


class VisitsSeen(NamedTuple):
    """Visits to stages: from which to which age each was what, in microseconds."""

    process: Column
    stage: Column
    seen: Column
    """It is looked at from every age below this on."""
    in_time: Column
    """From this age on it was won within the span, where below `seen`."""
    too_early: Column
    """From this age on it was won before the span began, where below `seen`."""

    def where(self, wanted: Flags) -> "VisitsSeen":
        """Return some of them."""
        return VisitsSeen(*(column[wanted] for column in self))


class _Likely(NamedTuple):
    """What is likely by age in days: so much, and so many times what is said beforehand."""

    alone: Shares
    of_said: Shares

    @classmethod
    def said(cls) -> "_Likely":
        return cls(np.zeros(1, np.float64), np.ones(1, np.float64))

    def drawn_by(self, won: Column, looked_at: Column) -> "_Likely":
        """Return it after visits were counted that are drawn towards it."""
        whole = looked_at + PRIOR
        return _Likely((won + PRIOR * self.alone) / whole, PRIOR * self.of_said / whole)


class ConversionsByAge:
    """The shares won of all stages."""

    def __init__(self, visits: VisitsSeen) -> None:
        self._visits = visits
        self._processes: dict[int, tuple[VisitsSeen, tuple[Column, Column]]] = {}
        self._tables: dict[tuple[int, int], tuple[_Likely, float]] = {}

    def likely(
        self, process: Column, stage: Column, age: Column, said: Shares | None = None
    ) -> Shares:
        """Return the share won at each age in each stage.

        Where nothing is said beforehand, the share of the process stands for it.
        """
        found = np.zeros(len(process), np.float64)
        days = np.minimum(age // DAY, DAYS_MOST)
        for here in grouped(process, stage).rows():
            key = int(process[here[0]]), int(stage[here[0]])
            table, usual = self._table(key, int(days[here].max()))
            before = usual if said is None else said[here]
            found[here] = table.alone[days[here]] + table.of_said[days[here]] * before
        return found

    def _table(self, key: tuple[int, int], days: int) -> tuple[_Likely, float]:
        found = self._tables.get(key)
        if found is None or len(found[0].alone) <= days:
            found = self._tables[key] = self._counted(*key, days)
        return found

    def _counted(self, process: int, stage: int, days: int) -> tuple[_Likely, float]:
        """Return the table of a stage, and the share of its process at the beginning."""
        if process not in self._processes:
            of_process = self._visits.where(self._visits.process == process)
            self._processes[process] = of_process, _entering(of_process)
        of_process, whole = self._processes[process]
        visits = of_process.where(of_process.stage == stage)
        likely = _Likely.said().drawn_by(*whole).drawn_by(*_entering(visits))
        every = np.arange(days + 1)
        won, looked_at = _by_day(visits, every * DAY)
        likely = _Likely(*(np.full(days + 1, each[0]) for each in likely))
        for shift in range(HALVINGS, -1, -1):
            younger = every >> shift
            drawn = likely.drawn_by(won[younger], looked_at[younger])
            likely = _Likely(
                np.where(younger > 0, drawn.alone, likely.alone),
                np.where(younger > 0, drawn.of_said, likely.of_said),
            )
        part, all_of = (int(each[0]) for each in whole)
        return likely, part / max(all_of, 1)


def _entering(visits: VisitsSeen) -> tuple[Column, Column]:
    """Return how many visits were won in time from their beginning on, and how many seen."""
    seen = visits.seen
    in_time, early = (
        int(((since <= 0) & (since < seen) & (seen > 0)).sum())
        for since in (visits.in_time, visits.too_early)
    )
    return np.array([in_time - early]), np.array([int((seen > 0).sum())])


def _by_day(visits: VisitsSeen, age: Column) -> tuple[Column, Column]:
    """Return the same of each of some ages that follow one another."""
    looked_at = len(visits.seen) - np.searchsorted(np.sort(visits.seen), age, "right")
    in_time, early = (
        _within(since, visits.seen, age) for since in (visits.in_time, visits.too_early)
    )
    return in_time - early, looked_at


def _within(since: Column, until: Column, age: Column) -> Column:
    """Return in how many of some ranges each age lies."""
    some = since < until
    begun, ended = (
        np.searchsorted(np.sort(each[some]), age, "right") for each in (since, until)
    )
    return begun - ended

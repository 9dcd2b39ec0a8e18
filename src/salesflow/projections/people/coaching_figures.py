"""Where reps differ from the others of their team: at each stage, by three measures.

Conversion, of deals that entered the stage in the period and are there no more; days and
follow-ups, of visits that ended in it. What is counted belongs to whoever owned the deal on
entering the stage, and to the team they were in then. It is a module of its own, beside the
question: here is how it is counted, on the ways of all deals at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final, Literal, NamedTuple
from uuid import UUID

import numpy as np

from salesflow.domain.time import DAY
from salesflow.presentation.format import Estimate
from salesflow.projections.core.column_figures import exact_sums
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import NOTHING, Column, Flags
from salesflow.projections.core.question import Reader, Span
from salesflow.projections.core.statistics import Sample, Share, difference, mean_difference
from salesflow.projections.folds.contact import CONTACT
from salesflow.projections.metrics.conversion_figures import Passages, Wanted
from salesflow.projections.metrics.visits import (
    StageKey,
    StageNames,
    Steps,
    names_of_stages,
    read_steps,
)
from salesflow.projections.scope import Teams

__all__ = ["MEASURES", "CoachedDifference", "Measure", "StageDifferences", "WantedReps"]

Measure = Literal["conversion", "days", "follow_ups"]
MEASURES: Final[Mapping[Measure, str]] = {
    "conversion": "stage_conversion_resolved",
    "days": "stage_days",
    "follow_ups": "contacts_per_deal",
}
"""By each measure, the metric of a rep at a stage that a training would have to move."""
CENSORING: Final = ("merged", "migrated")
"""What ends a visit without anybody knowing how long it would have been."""
NEARLY: Final = 1e-9
"""A sum of squares that is less, relatively, is left over from rounding."""
FEWEST: Final = 3
"""With fewer deals or visits on either side nothing is compared."""
SHOWN: Final = 3
"""So many deals are named for a difference."""


class WantedReps(NamedTuple):
    """Which reps are asked about, and in which team."""

    rep: str | None
    team: str | None
    any_team: bool

    def fit(self, rep: str, team: str | None, count: int) -> bool:
        """Return whether a rep is asked about of whom, or of the others, so much is known."""
        if count < FEWEST or (self.rep is not None and rep != self.rep):
            return False
        return self.any_team or team == self.team


class CoachedDifference(NamedTuple):
    """How a rep differs from the others of the team at one stage, by one measure."""

    rep: str
    team: str | None
    stage: StageKey
    measure: Measure
    own: Fraction
    own_count: int
    others: Fraction
    others_count: int
    apart: Estimate
    group: int
    """The number of the rep's group among those of the measure, and the group of each row."""
    groups: Column


class _Observed(NamedTuple):
    """What was observed by one measure: of whom, at which stage, and how much."""

    measure: Measure
    owner: Column
    team: Column
    stage: Column
    value: Column
    """Whole numbers: 1 of a deal that moved on, days in microseconds, follow-ups."""
    unit: int
    """What the value is divided by."""
    visit: Column
    """The step that it is of."""


class StageDifferences:
    """The differences of all reps in a period."""

    def __init__(self, reader: Reader, span: Span, process: str | None) -> None:
        steps = read_steps(reader)
        self.steps: Final[Steps] = steps.where(~steps.merged)
        self._reader = reader
        self._span = span
        self._teams: Final = Teams.read(reader)
        rows = self.steps.rows
        self._asked: Final[Flags] = rows.fitting({"process": process})
        self.names: Final[Mapping[StageKey, StageNames]] = names_of_stages(
            self.steps.versions, self.steps.visited, reader.processes
        )
        self._stages: Final[Sequence[StageKey]] = [*self.names]
        self._passages: Final = Passages(
            self.steps,
            self.names,
            Wanted(self._asked, lambda chosen: np.ones(len(chosen), np.bool_)),
            reader.processes,
        )
        self._observed: Final[dict[Measure, _Observed]] = {
            "conversion": self._conversion(),
            **self._of_stays(),
        }

    @property
    def before_joining(self) -> int:
        """Of how many reps the first team stands for a time before they joined it."""
        return self._teams.before_joining

    def found(self, wanted: WantedReps) -> Iterator[CoachedDifference]:
        """Yield how reps who are asked about differ from others of the team."""
        for observed in self._observed.values():
            yield from self._differences(observed, wanted)

    def deals(self, one: CoachedDifference) -> list[UUID]:
        """Name deals that show a difference: those furthest to its side, the newest first."""
        observed = self._observed[one.measure]
        rows = np.flatnonzero(one.groups == one.group)
        visits, value = observed.visit[rows], observed.value[rows]
        side = 1 if one.apart.value > 0 else -1
        if one.measure == "conversion":
            of_side = value == (1 if side > 0 else 0)
            visits, value = visits[of_side], value[of_side]
        ids = self.steps.rows.cells("entity_id", visits)
        furthest = zip(
            (-side * value).tolist(), (-self.steps.at[visits]).tolist(), ids, strict=True
        )
        return [*dict.fromkeys(deal for _, _, deal in sorted(furthest))][:SHOWN]

    def _conversion(self) -> _Observed:
        """Observe deals that entered a stage, once each for a rep, and are there no more."""
        passages, steps = self._passages, self.steps
        entries = passages.entries(self._span)
        entries = entries[passages.stages[entries] >= 0]
        whose = self._whose(entries)
        once = grouped(*whose, steps.deal[entries], passages.stages[entries])
        entered = entries[once.first]
        moved_on = passages.moved_on(entered)
        gone = moved_on | ~passages.still_there(entered)
        return self._of("conversion", entered[gone], moved_on[gone].astype(np.int64), 1)

    def _of_stays(self) -> dict[Measure, _Observed]:
        """Observe visits that ended in the period, and how long they were is known."""
        steps, ends = self.steps, self.steps.ends
        known = (ends >= 0) & ~steps.rows.has("entered", *CENSORING)[ends]
        ended = steps.at[ends]
        within = (ended >= self._span.start) & (ended < self._span.end)
        visits = np.flatnonzero(known & within & self._asked & (self._passages.stages >= 0))
        return {
            "days": self._of("days", visits, steps.lasted[visits], DAY),
            "follow_ups": self._of("follow_ups", visits, self._contacts(visits), 1),
        }

    def _of(self, measure: Measure, visits: Column, value: Column, unit: int) -> _Observed:
        owner, team = self._whose(visits)
        known, stage = owner != NOTHING, self._passages.stages[visits]
        return _Observed(
            measure, owner[known], team[known], stage[known], value[known], unit, visits[known]
        )

    def _whose(self, visits: Column) -> tuple[Column, Column]:
        """Return who owned each deal on entering, and their team then."""
        rows = self.steps.rows
        owner = rows["owner"][visits]
        return owner, self._teams.numbers(owner, rows.words["owner"], self.steps.at[visits])

    def _contacts(self, visits: Column) -> Column:
        """Count the contacts of each visit: those behind its begin and before its end.

        In the order of time, and of the log within an instant.
        """
        rows, steps = self._reader.columns(CONTACT), self.steps
        if not len(visits):
            return np.zeros(0, np.int64)
        ends = steps.ends[visits]
        since, until = int(steps.at[visits].min()), int(steps.at[ends].max())
        rows = rows.between("occurred", since, until + 1)
        begun = steps.rows["begun"]
        deal = np.concatenate([rows["entity_id"], steps.deal[visits], steps.deal[visits]])
        at = np.concatenate([rows["occurred"], steps.at[visits], steps.at[ends]])
        position = np.concatenate([rows["position"], begun[visits], begun[ends]])
        is_contact = np.zeros(len(deal), np.int64)
        is_contact[: len(rows)] = 1
        order = np.lexsort([position, at, deal])
        before = np.empty(len(deal), np.int64)
        before[order] = np.cumsum(is_contact[order])
        first, last = len(rows), len(rows) + len(visits)
        between: Column = before[last:] - before[first:last]
        between[between < 0] = 0  # begun again by an opening of the same instant
        return between

    def _differences(
        self, observed: _Observed, wanted: WantedReps
    ) -> Iterator[CoachedDifference]:
        if not len(observed.visit):
            return
        together = grouped(observed.team, observed.stage)
        each = grouped(together.of, observed.owner)
        all_sums = _GroupSums.of(observed, together.of, len(together.first))
        sums = _GroupSums.of(observed, each.of, len(each.first))
        names, words = self._teams.names, self.steps.rows.words["owner"]
        of_group = together.of[each.first]
        for number, (whole, row) in enumerate(
            zip(of_group.tolist(), each.first.tolist(), strict=True)
        ):
            rep, code = words[int(observed.owner[row])], int(observed.team[row])
            team = None if code == NOTHING else names[code]
            count, of_all = sums.counts[number], all_sums.counts[whole]
            if not wanted.fit(rep, team, min(count, of_all - count)):
                continue
            own, others = sums.sample(number), all_sums.less(whole, sums, number)
            apart = _apart(observed.measure, own, others)
            if apart is None:
                continue
            yield CoachedDifference(
                rep=rep,
                team=team,
                stage=self._stages[int(observed.stage[row])],
                measure=observed.measure,
                own=own.mean,
                own_count=own.size,
                others=others.mean,
                others_count=others.size,
                apart=apart,
                group=number,
                groups=each.of,
            )


class _GroupSums(NamedTuple):
    """Counts and exact sums of values by group, and sums of squares as floats."""

    counts: list[int]
    sums: list[int]
    squares: list[float]
    """Of values from the mean of all, so that little is lost, in units."""
    middle: float
    unit: int

    @classmethod
    def of(cls, observed: _Observed, groups: Column, count: int) -> "_GroupSums":
        """Add up by groups of so many."""
        middle = float(observed.value.mean()) / observed.unit
        apart = observed.value / observed.unit - middle
        sums = exact_sums(observed.value, groups, count)
        return cls(
            np.bincount(groups, minlength=count).tolist(),
            sums.tolist(),
            np.bincount(groups, apart * apart, minlength=count).tolist(),
            middle,
            observed.unit,
        )

    def sample(self, number: int) -> Sample:
        """Return the values of a group as a sample."""
        return self._sample(self.counts[number], self.sums[number], self.squares[number])

    def less(self, whole: int, part: "_GroupSums", number: int) -> Sample:
        """Return the values of a group without those of a part of it as a sample."""
        return self._sample(
            self.counts[whole] - part.counts[number],
            self.sums[whole] - part.sums[number],
            self.squares[whole] - part.squares[number],
        )

    def _sample(self, count: int, total: int, squares: float) -> Sample:
        if not count:
            return Sample(0, Fraction(0), 0.0)
        mean = Fraction(total, count * self.unit)
        from_middle = float(mean) - self.middle
        left = squares - count * from_middle * from_middle
        nearly = NEARLY * max(squares, 1.0)
        return Sample(count, mean, left / (count - 1) if count > 1 and left > nearly else 0.0)


def _apart(measure: Measure, own: Sample, others: Sample) -> Estimate | None:
    if measure != "conversion":
        return mean_difference(own, others)
    first, second = (Share(int(its.mean * its.size), its.size) for its in (own, others))
    return difference(first, second)

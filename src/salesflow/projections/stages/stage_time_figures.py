"""The figures of stage times: spreads of days, stalled deals, and chances over time.

What each figure means is said by the view; here is how it is worked out from the ways of
deals. Nothing is rounded before the last division.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import numpy as np

from salesflow.domain.time import DAY, from_instant
from salesflow.domain.unchecked import unchecked_all
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.projections.core.column_figures import exact_sum, places_among, runs_of
from salesflow.projections.core.column_groups import grouped
from salesflow.projections.core.columns import Column, HeldRows
from salesflow.projections.core.question import Reader
from salesflow.projections.core.statistics import (
    Probabilities,
    Spread,
    in_days,
    ratio,
    spreads,
    survival,
)
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.metrics.visits import StageKey, StageNames, StageVisit, Steps
from salesflow.projections.table import Processes

__all__ = [
    "CAUSES",
    "ChancesAfter",
    "DealTime",
    "Endings",
    "StageTime",
    "Stalled",
    "StalledDeal",
    "TimeToEvent",
    "causes_of",
    "days_max",
    "deal_time",
    "describe_stalled",
    "endings_of",
    "read_stalled",
    "stage_times",
    "time_to_event",
]


SECOND: Final = 1_000_000
ENDS: Final = frozenset({"won", "lost", "disqualified"})
CLOSED: Final = frozenset({"lost", "disqualified", "merged"})


class StageTime(Value):
    """How long deals stay in one stage."""

    process: Reference
    stage: Reference
    stage_en: SafeText
    stage_zh: SafeText
    deals: int
    """Deals that have been there."""
    visits: int
    open_visits: int
    """Visits that go on at the moment."""
    latest: Spread
    """Over deals: the latest visit of each."""
    cumulative: Spread
    """Over deals: all visits of each together."""
    stalled: int


class StalledDeal(Value):
    """A deal that stands in a stage for longer than its process version says it should."""

    deal: Annotated[UUID, FieldRole.KEY]
    process: Reference
    stage: Reference
    stage_en: SafeText
    stage_zh: SafeText
    owner: Reference | None
    """Of the deal at the moment."""
    entered_at: datetime
    days: Decimal
    days_max: int


_stalled_deals: Final = unchecked_all(StalledDeal)


class ChancesAfter(Value):
    """What is estimated to have happened so many days after the start; shares make 1.

    None beyond the longest time of which anything is known.
    """

    days: Annotated[int, FieldRole.KEY]
    at_risk: int
    """How many were watched for at least so long."""
    lasting: Decimal | None
    """The share that lasts longer (Kaplan-Meier)."""
    moved: Decimal | None
    """The share that ended by a move to another stage (Aalen-Johansen, as the next three)."""
    won: Decimal | None
    lost: Decimal | None
    disqualified: Decimal | None


class TimeToEvent(Value):
    """How long it takes until a stage is left, or until a deal ends."""

    process: Reference
    stage: Reference | None
    """The stage that is left, or from whose first entry deals are timed; None: the opening."""
    count: int
    moved: int
    won: int
    lost: int
    disqualified: int
    censored: int
    """Those that had not ended, as far as is known."""
    days_median: Decimal | None
    """After so many days half of them had ended; None where fewer have."""
    chances: tuple[ChancesAfter, ...]


class DealTime(Value):
    """What one deal's time went to, exactly: visits + closed = from first to last.

    `last_at` is when it came where it stands, or the moment while a visit goes on.
    """

    deal: Annotated[UUID, FieldRole.KEY]
    first_at: datetime
    last_at: datetime
    visits_seconds: Decimal
    closed_seconds: Decimal
    """Lost, disqualified or merged, before it came where it stands."""
    first_to_last_seconds: Decimal


CAUSES: Final = ("moved", *sorted(ENDS))
"""What ends a visit or a deal."""


def causes_of(steps: Steps) -> Column:
    """Return what ended each step: its place among the causes.

    -1 where it goes on, or nobody knows how long it would have.
    """
    unknown = steps.rows.has("entered", "merged", "migrated")[steps.ends]
    entered = steps.rows["entered"][steps.ends]
    causes = _places(entered, steps, CAUSES.index("moved"))
    causes[unknown | (steps.ends < 0)] = -1
    return causes


def _places(words: Column, steps: Steps, otherwise: int) -> Column:
    """Return the places among the causes of words that end a deal, and of all others one."""
    found = np.full(len(words), otherwise)
    for cause in ENDS:
        found[words == steps.rows.code("outcome", cause)] = CAUSES.index(cause)
    return found


def stage_times(
    visits: Mapping[StageKey, Column],
    names: Mapping[StageKey, StageNames],
    steps: Steps,
    stalled: Mapping[StageKey, int],
) -> Iterator[StageTime]:
    """Yield how long deals stay in each stage, of which the visits are given."""
    stages = np.repeat(np.arange(len(visits)), [len(rows) for rows in visits.values()])
    rows = np.concatenate([np.empty(0, np.intp), *visits.values()])
    lasted, count = steps.lasted[rows], len(visits)
    first, last = runs_of(stages * (steps.deal.max(initial=0) + 1) + steps.deal[rows])
    of_latest = spreads(stages[last], lasted[last], count)
    together = np.add.reduceat(lasted, first) if len(first) else lasted
    each = zip(
        visits,
        np.bincount(stages[first], minlength=count).tolist(),
        np.bincount(stages, minlength=count).tolist(),
        np.bincount(stages[steps.ends[rows] < 0], minlength=count).tolist(),
        of_latest,
        spreads(stages[first], together, count),
        strict=True,
    )
    for key, deals, visited, open_visits, latest, cumulative in each:
        yield StageTime(
            process=key[0],
            stage=key[1],
            stage_en=names[key].en,
            stage_zh=names[key].zh,
            deals=deals,
            visits=visited,
            open_visits=open_visits,
            latest=latest,
            cumulative=cumulative,
            stalled=stalled[key],
        )


def time_to_event(
    of: tuple[str, str | None], lasted: Column, causes: Column, days: Iterable[int]
) -> TimeToEvent:
    """Estimate the time to an event of a process and perhaps a stage."""
    found = survival(lasted, causes, CAUSES, [number * DAY for number in days])
    counts = {cause: found.causes.get(cause, 0) for cause in CAUSES}
    return TimeToEvent(
        process=of[0],
        stage=of[1],
        count=found.spells,
        censored=found.spells - sum(counts.values()),
        days_median=None if found.median is None else in_days(found.median),
        chances=tuple(map(_chances, found.chances)),
        **counts,
    )


def _chances(found: Probabilities) -> ChancesAfter:
    known = found.lasting is not None
    ended = {cause: ratio(*share) for cause, share in (found.ended or {}).items()}
    nothing = Decimal(0) if known else None
    return ChancesAfter(
        days=found.after // DAY,
        at_risk=found.at_risk,
        lasting=None if found.lasting is None else ratio(*found.lasting),
        moved=ended.get("moved", nothing),
        won=ended.get("won", nothing),
        lost=ended.get("lost", nothing),
        disqualified=ended.get("disqualified", nothing),
    )


class Endings(NamedTuple):
    """How long deals lasted from a step to their standing outcome, and what that is."""

    starts: Column
    """The steps from which deals are timed."""
    lasted: Column
    causes: Column
    """Places among the causes; -1 for those that are open, or merged."""


def endings_of(steps: Steps, starts: Column) -> Endings:
    """Time deals from a step of each (-1 for none) to their standing outcomes.

    An open deal is watched until the moment. Of a merged one we know until it was merged, or
    closed before that.
    """
    code = {name: steps.rows.code("outcome", name) for name in ("open", "merged", *ENDS)}
    stands = steps.outcome[steps.lasts]
    each = steps.of_deals(stands)
    is_merged, closed = each == code["merged"], [code[name] for name in ("merged", *ENDS)]
    through = np.where(
        is_merged,
        np.isin(steps.outcome, closed),
        (steps.outcome == each) | (steps.outcome == code["merged"]),
    )
    number = np.arange(len(steps))
    before = np.maximum.reduceat(np.where(through, -1, number), steps.firsts)
    stood = number > steps.of_deals(before)
    stood &= is_merged | (steps.outcome == each)
    ends = np.minimum.reduceat(np.where(stood, number, len(steps)), steps.firsts)
    ends[stands == code["open"]] = -1
    causes, told = _places(stands, steps, -1), starts >= 0
    starts = starts[told]
    return Endings(starts, steps.between(starts, ends[told]), causes[told])


def deal_time(steps: Steps) -> DealTime:
    """Return what the time of one deal went to, whose steps are given."""
    first, last = int(steps.at[0]), int(steps.at[-1])
    is_closed = steps.rows.has("outcome", *CLOSED)
    if not is_closed[-1]:
        last = steps.as_of
    spent = np.diff(steps.at, append=last)
    visits, closed = (exact_sum(spent[chosen]) for chosen in (~is_closed, is_closed))
    return DealTime(
        deal=steps.rows.cells("entity_id")[0],
        first_at=from_instant(first),
        last_at=from_instant(last),
        visits_seconds=Decimal(visits) / SECOND,
        closed_seconds=Decimal(closed) / SECOND,
        first_to_last_seconds=Decimal(last - first) / SECOND,
    )


# Which deals stand in their stage for longer than their process version says they should.
#
# Read once for the questions that name them. Judged by the version in force at the instant
# asked about; whoever owns the deal then is its owner.


class Stalled(NamedTuple):
    """The deals that have stood in a stage for too long."""

    steps: Column
    """The steps with which they came where they stand."""
    deals: HeldRows
    """How they are, in the same order."""
    days_max: Column
    """After how many days they are stalled."""

    def chosen(self, numbers: Column) -> "Stalled":
        """Return some of them."""
        steps, days_max = self.steps[numbers], self.days_max[numbers]
        return Stalled(steps, self.deals.ordered(numbers), days_max)


def read_stalled(steps: Steps, reader: Reader, deal: UUID | None = None) -> Stalled:
    """Find the deals (or the one) that stand too long where the steps end."""
    deals = reader.columns(DEAL_STATE, of=deal, as_of=steps.as_of)
    deals = deals.among("outcome", "open", "won")
    last = steps.lasts[steps.stage[steps.lasts] >= 0]
    row = places_among(deals["entity_id"], steps.deal[last])
    last, row = last[row >= 0], row[row >= 0]
    limits = _limits(steps, last, deals, row, reader.processes)
    over = (limits > 0) & (steps.as_of - steps.at[last] > limits * DAY)
    return Stalled(last[over], deals.ordered(row[over]), limits[over])


def describe_stalled(
    stalled: Stalled, steps: Steps, named: Callable[[StageVisit], StageNames]
) -> list[StalledDeal]:
    """Return the deals that have stood in a stage for too long."""
    visits = steps.visits(stalled.steps)
    names = [*map(named, visits)]
    columns = (
        [visit.deal for visit in visits],
        [visit.process for visit in visits],
        [visit.stage or "" for visit in visits],
        [each.en for each in names],
        [each.zh for each in names],
        stalled.deals.cells("owner"),
        [from_instant(visit.at) for visit in visits],
        [in_days(steps.as_of - visit.at) for visit in visits],
        stalled.days_max.tolist(),
    )
    fields = [*StalledDeal.model_fields]
    each = zip(*columns, strict=True)
    return _stalled_deals([dict(zip(fields, cells, strict=True)) for cells in each])


def _limits(
    steps: Steps, last: Column, deals: HeldRows, row: Column, processes: Processes
) -> Column:
    """Return after how many days each deal is stalled where it stands; 0 for never."""
    process, version = (deals[name][row] for name in ("process", "process_version"))
    stage, words = steps.stage[last], steps.rows.words["stage"]
    alike = grouped(process, version, stage)
    limits = [
        days_max(words[p], v, words[s], processes) or 0
        for p, v, s in np.stack([process, version, stage])[:, alike.first].T.tolist()
    ]
    return np.array(limits, np.int64)[alike.of]


def days_max(process: str, version: int, stage: str, processes: Processes) -> int | None:
    """Return after how many days a deal is stalled in a stage; None for never."""
    known = processes[process, version].by_key.get(stage)
    return None if known is None else known.max_days

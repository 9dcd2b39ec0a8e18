"""The figures of stage times: spreads of days, stalled deals, and chances over time.

What each figure means is said by the view; here is how it is worked out from the ways of
deals. Nothing is rounded before the last division.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, NamedTuple
from uuid import UUID

import numpy as np
import sqlalchemy as sa

from salesflow.domain.time import DAY, Instant, from_instant
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.projections.core.columns import Column, HeldRows, runs_of
from salesflow.projections.core.question import Reader
from salesflow.projections.core.statistics import (
    Probabilities,
    Spread,
    _days,
    ratio,
    spread,
    survival,
)
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.stages.visit_columns import Steps
from salesflow.projections.stages.visits import (
    StageKey,
    StageNames,
    StageVisit,
    VisitPath,
    spans,
)
from salesflow.projections.table import Processes

__all__ = [
    "CAUSES",
    "ChancesAfter",
    "DealTime",
    "Endings",
    "StageTime",
    "StalledDeal",
    "StalledStanding",
    "TimeToEvent",
    "cause_of",
    "causes_of",
    "deal_time",
    "endings_of",
    "read_stalled",
    "stage_time",
    "stalled_deal",
    "stalled_deals",
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
    entered = steps.rows["entered"][steps.ends]
    unknown = [steps.rows.code("entered", each) for each in ("merged", "migrated")]
    is_known = ~np.isin(entered, unknown) & (steps.ends >= 0)
    return np.where(is_known, _places(entered, steps, CAUSES.index("moved")), -1)


def _places(words: Column, steps: Steps, otherwise: int) -> Column:
    """Return the places among the causes of words that end a deal, and of all others one."""
    found = np.full(len(words), otherwise)
    for cause in ENDS:
        found[words == steps.rows.code("outcome", cause)] = CAUSES.index(cause)
    return found


def cause_of(end: StageVisit | None) -> str | None:
    """Return what ended a visit; None where it goes on, or nobody knows how long it would."""
    if end is None or end.entered in ("merged", "migrated"):
        return None
    return end.entered if end.entered in ENDS else "moved"


def stage_time(
    key: StageKey, names: StageNames, steps: Steps, visits: Column, stalled: int
) -> StageTime:
    """Return how long deals stay in one stage, of which the visits are given."""
    deal, ends = steps.deal[visits], steps.ends[visits]
    lasted = steps.lasted[visits]
    first, last = runs_of(deal)
    return StageTime(
        process=key[0],
        stage=key[1],
        stage_en=names.en,
        stage_zh=names.zh,
        deals=len(first),
        visits=len(visits),
        open_visits=int(np.sum(ends < 0)),
        latest=spread(lasted[last]),
        cumulative=spread(np.add.reduceat(lasted, first) if len(first) else lasted),
        stalled=stalled,
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
        days_median=None if found.median is None else _days(found.median),
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
    each = np.repeat(stands, steps.lasts - steps.firsts + 1)
    is_merged, closed = each == code["merged"], [code[name] for name in ("merged", *ENDS)]
    through = np.where(
        is_merged,
        np.isin(steps.outcome, closed),
        (steps.outcome == each) | (steps.outcome == code["merged"]),
    )
    number = np.arange(len(steps))
    before = np.maximum.reduceat(np.where(through, -1, number), steps.firsts)
    stood = number > np.repeat(before, steps.lasts - steps.firsts + 1)
    stood &= is_merged | (steps.outcome == each)
    ends = np.minimum.reduceat(np.where(stood, number, len(steps)), steps.firsts)
    ends[stands == code["open"]] = -1
    causes, told = _places(stands, steps, -1), starts >= 0
    starts = starts[told]
    return Endings(starts, steps.between(starts, ends[told]), causes[told])


def deal_time(path: VisitPath, as_of: Instant) -> DealTime:
    """Return what a deal's time went to."""
    first, last = path[0].at, as_of if path[-1].outcome not in CLOSED else path[-1].at
    spent = Counter[bool]()
    for step, end in spans(path):
        spent[step.outcome in CLOSED] += (last if end is None else end.at) - step.at
    return DealTime(
        deal=path[0].deal,
        first_at=from_instant(first),
        last_at=from_instant(last),
        visits_seconds=Decimal(spent[False]) / SECOND,
        closed_seconds=Decimal(spent[True]) / SECOND,
        first_to_last_seconds=Decimal(last - first) / SECOND,
    )


# Which deals stand in their stage for longer than their process version says they should.
#
# Read once for the questions that name them. Judged by the version in force at the instant
# asked about; whoever owns the deal then is its owner.


def stalled_deals(
    steps: Steps, names: Mapping[StageKey, StageNames], reader: Reader, deal: UUID | None
) -> Iterator[StalledDeal]:
    """Yield the deals (or the one) that have stood in a stage for too long at the moment."""
    at = reader.read_point.as_of
    deals = reader.columns(DEAL_STATE, of=deal).among("outcome", "open", "won")
    row_of = np.full(len(steps.rows.words["entity_id"]), -1)
    row_of[deals["entity_id"]] = np.arange(len(deals))
    last = steps.lasts[steps.stage[steps.lasts] >= 0]
    row = row_of[steps.deal[last]]
    last, row = last[row >= 0], row[row >= 0]
    limits = _limits(steps, last, deals, row, reader.processes)
    over = (limits > 0) & (at - steps.at[last] > limits * DAY)
    last, row = last[over], row[over]
    words, ids = steps.rows.words, steps.rows.words["entity_id"]
    told = zip(last.tolist(), deals["owner"][row].tolist(), limits[over].tolist(), strict=True)
    for step, owner, days_max in told:
        process = words["process"][int(steps.rows["process"][step])]
        stage = words["stage"][int(steps.stage[step])]
        entered = int(steps.at[step])
        yield StalledDeal(
            deal=ids[int(steps.deal[step])],
            process=process,
            stage=stage,
            stage_en=names[process, stage].en,
            stage_zh=names[process, stage].zh,
            owner=words["owner"][owner],
            entered_at=from_instant(entered),
            days=_days(at - entered),
            days_max=days_max,
        )


def _limits(
    steps: Steps, last: Column, deals: HeldRows, row: Column, processes: Processes
) -> Column:
    """Return after how many days each deal is stalled where it stands; 0 for never."""
    alike = np.stack(
        [deals["process"][row], deals["process_version"][row], steps.stage[last]], axis=1
    )
    some, place = np.unique(alike, axis=0, return_inverse=True)
    words, found = steps.rows.words["stage"], []
    for process, version, stage in some.tolist():
        known = processes[words[process], version].by_key.get(words[stage])
        found.append((known.max_days if known is not None else None) or 0)
    return np.array(found, np.int64)[place.reshape(-1)]


def stalled_deal(
    step: StageVisit, names: StageNames, as_of: Instant, days_max: int
) -> StalledDeal:
    """List a deal that has stood in a stage for too long."""
    return StalledDeal(
        deal=step.deal,
        process=step.process,
        stage=step.stage or "",
        stage_en=names.en,
        stage_zh=names.zh,
        owner=step.owner,
        entered_at=from_instant(step.at),
        days=_days(as_of - step.at),
        days_max=days_max,
    )


class StalledStanding(NamedTuple):
    """How long a stalled deal may stand where it stands, and what it is worth."""

    days_max: int
    amount: int | None
    currency: str | None
    expected_close: str | None


class _DealNow(NamedTuple):
    deal: UUID
    process: str
    version: int
    owner: str | None
    amount: int | None
    currency: str | None
    expected_close: str | None


def read_stalled(
    paths: Iterable[VisitPath], reader: Reader, at: Instant
) -> Iterator[tuple[StageVisit, StalledStanding]]:
    """Find among ways up to an instant those that stand too long then."""
    c = DEAL_STATE.c
    shown: list[sa.ColumnElement[Any]] = [
        *(c.entity_id, c.process, c.process_version, c.owner),
        *(c.amount, c.currency, c.expected_close),
    ]
    select = sa.select(*shown).where(
        DEAL_STATE.visible_at(reader.read_point._replace(as_of=at)),
        c.outcome.in_(("open", "won")),
    )
    deal_now = {row[0]: _DealNow._make(row) for row in reader.rows(select)}
    for path in paths:
        step, now = path[-1], deal_now.get(path[-1].deal)
        if step.stage is None or now is None:
            continue
        stage = reader.processes[now.process, now.version].by_key.get(step.stage)
        days_max = None if stage is None else stage.max_days
        if days_max and at - step.at > days_max * DAY:
            worth = StalledStanding(days_max, now.amount, now.currency, now.expected_close)
            yield step._replace(owner=now.owner), worth

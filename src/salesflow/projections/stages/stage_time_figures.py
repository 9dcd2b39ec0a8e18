"""The figures of stage times: spreads of days, stalled deals, and chances over time.

What each figure means is said by the view; here is how it is worked out from the ways of
deals. Nothing is rounded before the last division.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from salesflow.domain.time import DAY, Instant, from_instant
from salesflow.domain.values import Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
from salesflow.projections.core.question import Reader
from salesflow.projections.core.statistics import (
    Duration,
    Probabilities,
    Spread,
    _days,
    ratio,
    spread,
    survival,
)
from salesflow.projections.folds.deal_state import DEAL_STATE
from salesflow.projections.stages.visits import (
    StageKey,
    StageNames,
    StageVisit,
    StepClock,
    VisitPath,
    spans,
)

__all__ = [
    "ChancesAfter",
    "DealTime",
    "StageTime",
    "StalledDeal",
    "StalledStanding",
    "TimeToEvent",
    "Visit",
    "cause_of",
    "deal_time",
    "ending_of",
    "read_stalled",
    "stage_time",
    "stalled_deal",
    "time_to_event",
    "visits_of",
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


class Visit(NamedTuple):
    """One visit: whose, how long, what ended it (None: goes on, or nobody knows)."""

    step: StageVisit
    lasted: int
    cause: str | None
    goes_on: bool


def visits_of(
    paths: Iterable[VisitPath], clock: StepClock, wanted: Callable[[StageVisit], bool]
) -> dict[StageKey, list[Visit]]:
    """Collect the visits to each stage, those of one deal in order."""
    found: defaultdict[StageKey, list[Visit]] = defaultdict(list)
    for path in paths:
        for step, end in spans(path):
            if step.stage is not None and wanted(step):
                lasted = clock.lasted(step, end)
                found[step.key].append(Visit(step, lasted, cause_of(end), end is None))
    return found


def cause_of(end: StageVisit | None) -> str | None:
    """Return what ended a visit; None where it goes on, or nobody knows how long it would."""
    if end is None or end.entered in ("merged", "migrated"):
        return None
    return end.entered if end.entered in ENDS else "moved"


def stage_time(
    key: StageKey, names: StageNames, visits: Sequence[Visit], stalled: int
) -> StageTime:
    """Return how long deals stay in one stage."""
    latest: dict[UUID, int] = {}
    cumulative: Counter[UUID] = Counter()
    for visit in visits:
        latest[visit.step.deal] = visit.lasted
        cumulative[visit.step.deal] += visit.lasted
    return StageTime(
        process=key[0],
        stage=key[1],
        stage_en=names.en,
        stage_zh=names.zh,
        deals=len(latest),
        visits=len(visits),
        open_visits=sum(visit.goes_on for visit in visits),
        latest=spread(latest.values()),
        cumulative=spread(cumulative.values()),
        stalled=stalled,
    )


def time_to_event(
    of: tuple[str, str | None], spells: Iterable[Duration], days: Iterable[int]
) -> TimeToEvent:
    """Estimate the time to an event of a process and perhaps a stage."""
    found = survival(spells, [number * DAY for number in days])
    causes = {cause: found.causes.get(cause, 0) for cause in ("moved", *sorted(ENDS))}
    return TimeToEvent(
        process=of[0],
        stage=of[1],
        count=found.spells,
        censored=found.spells - sum(causes.values()),
        days_median=None if found.median is None else _days(found.median),
        chances=tuple(map(_chances, found.chances)),
        **causes,
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


def ending_of(path: VisitPath, start: StageVisit, clock: StepClock) -> Duration:
    """Time a deal from a step to its standing outcome.

    An open deal is watched until the moment. Of a merged one we know until it was merged, or
    closed before that.
    """
    last_outcome = path[-1].outcome
    if last_outcome == "open":
        return Duration(clock.lasted(start, None), None)
    through = CLOSED | {"won"} if last_outcome == "merged" else {last_outcome, "merged"}
    end = path[-1]
    for step in reversed(path):
        if step.outcome not in through:
            break
        if last_outcome == "merged" or step.outcome == last_outcome:
            end = step
    return Duration(
        clock.lasted(start, end), None if last_outcome == "merged" else last_outcome
    )


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


# Which deals stand in their stage for longer than their process version says they should.
#
# Read once for the questions that name them. Judged by the version in force at the instant
# asked about; whoever owns the deal then is its owner.


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
    paths: Iterable[VisitPath], reader: Reader, at: Instant, deal: UUID | None = None
) -> Iterator[tuple[StageVisit, StalledStanding]]:
    """Find among ways up to an instant those that stand too long then; perhaps of one deal."""
    c = DEAL_STATE.c
    shown: list[sa.ColumnElement[Any]] = [
        *(c.entity_id, c.process, c.process_version, c.owner),
        *(c.amount, c.currency, c.expected_close),
    ]
    select = sa.select(*shown).where(
        DEAL_STATE.visible_at(reader.read_point._replace(as_of=at)),
        c.outcome.in_(("open", "won")),
    )
    if deal is not None:
        select = select.where(c.entity_id == deal)
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

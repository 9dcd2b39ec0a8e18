"""The lines of goals: a tree of them, what those below add up to, and what was said of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Final, NamedTuple, Protocol
from uuid import UUID

from salesflow.domain.calendar import Days, FiscalCalendar, Span
from salesflow.domain.goal import Goal, GoalState
from salesflow.domain.smart import Basis, Letter
from salesflow.domain.time import ONE_DAY, from_instant
from salesflow.domain.values import Currency, Personal, Reference, SafeText, Value
from salesflow.errors import InputError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import span_text
from salesflow.projections.core.question import Reader
from salesflow.projections.core.replaying import state_of
from salesflow.projections.metrics.attainment import (
    Actual,
    ExpectedBy,
    GoalStatus,
    Progress,
)
from salesflow.projections.metrics.goal_rows import GoalRow

__all__ = [
    "PERIOD",
    "CheckInLine",
    "GoalInTree",
    "GoalLine",
    "GoalSplit",
    "LetterThen",
    "RevisionLine",
    "as_tree",
    "check_in_lines",
    "goal_line",
    "goal_states",
    "in_circles",
    "is_within",
    "parts_of",
    "revision_lines",
    "splits_of",
]


class GoalLine(Value):
    """A goal, how far it is attained, and what is still needed."""

    goal: Annotated[Reference, FieldRole.KEY]
    title: SafeText | None
    depth: int
    """How many of the goals listed stand above it."""
    metric: Reference
    unit: Reference
    """money, count, share, days or number; of an outside figure as it is reported."""
    currency: Currency | None
    team: Reference | None
    rep: Reference | None
    customer: UUID | None
    channel: Reference | None
    product: SafeText | None
    process: Reference | None
    stage: Reference | None
    first: date
    last: date
    """The last day of its period, included."""
    quarter: SafeText | None
    """What its period is called where that is a fiscal quarter, as 2026-Q3."""
    parent: Reference | None
    parent_known: bool | None
    """Whether that goal is set at the moment; None where none is named."""
    strategy: SafeText | None
    responsible: Reference | None
    standing: Reference
    """set, locked or abandoned."""
    target: Decimal
    baseline: Decimal | None
    actual: Decimal | None
    rests_on: int
    """How many bookings, deals, customers or answers the actual is made of."""
    source: SafeText | None
    """Of an outside figure: who says so."""
    attainment: Decimal | None
    gap: Decimal | None
    """target - actual."""
    share_elapsed: Decimal
    expected_by: ExpectedBy
    """By what share of the period a goal is expected to be attained."""
    expected_now: Decimal | None
    pace: Decimal | None
    projected: Decimal | None
    status: GoalStatus
    days: int
    """Working days of the period."""
    days_left: int
    needed_per_day: Decimal | None
    """What is needed on each working day that is left."""
    confidence: Decimal | None
    revisions: int


class GoalSplit(Value):
    """Goals below one goal that share it out in one way, and what they add up to."""

    goal: Annotated[Reference, FieldRole.KEY]
    by: Annotated[SafeText, FieldRole.KEY]
    """By what they share it out: period, team, rep …"""
    goals: int
    target: Decimal
    """The sum of their targets."""
    target_gap: Decimal
    """What their targets lack of the goal above; below 0 where they are more."""
    actual: Decimal | None
    """The sum of what they came to."""
    actual_gap: Decimal | None
    """What the goal above came to beyond them; below 0 where several of them count the same."""
    periods_without: tuple[SafeText, ...]
    """Periods of the goal above that none below is for, where they share it out so."""


class RevisionLine(Value):
    """A change of a goal."""

    goal: Annotated[Reference, FieldRole.KEY]
    number: Annotated[int, FieldRole.KEY]
    at: datetime
    target_before: Decimal
    target: Decimal
    first: date
    last: date
    by: Reference | None
    because: Personal | None
    locked: bool
    """Whether the goal was locked by then."""


class CheckInLine(Value):
    """How sure somebody was to reach a goal."""

    goal: Annotated[Reference, FieldRole.KEY]
    number: Annotated[int, FieldRole.KEY]
    at: datetime
    confidence: Decimal
    note: Personal | None
    by: Reference | None


class LetterThen(Value):
    """How a letter of SMART came out when the goal was set, and how it does by now."""

    goal: Annotated[Reference, FieldRole.KEY]
    letter: Annotated[Letter, FieldRole.KEY]
    passed: bool | None
    basis: Basis | None
    """When it was set, or last revised; None where nobody checked, as in an import."""
    passed_now: bool | None
    basis_now: Basis


class GoalInTree(NamedTuple):
    """A goal in its tree."""

    goal: GoalRow
    depth: int


def as_tree(goals: Sequence[GoalRow]) -> list[GoalInTree]:
    """Put goals in the order of their tree, each below the one that it serves.

    Goals that serve one another in a circle stand where the first of them does.
    """
    keys, below = {goal.key for goal in goals}, defaultdict[str, list[GoalRow]](list)
    for goal in goals:
        below[goal.parent or ""].append(goal)
    found: dict[str, GoalInTree] = {}

    def place(top: GoalRow) -> None:
        waiting = [GoalInTree(top, 0)]
        while waiting:  # and not by recursion: a tree is as deep as people make it
            placed = waiting.pop()
            if placed.goal.key not in found:
                found[placed.goal.key] = placed
                lower = [GoalInTree(each, placed.depth + 1) for each in below[placed.goal.key]]
                waiting += reversed(lower)

    for goal in goals:
        if goal.parent not in keys:
            place(goal)
    for goal in goals:  # what is left serves itself in a circle
        place(goal)
    return [*found.values()]


def in_circles(parents: Mapping[str, str | None]) -> list[str]:
    """Return the goals that serve themselves by way of others, by what each one serves."""
    found, seen = [], set[str]()
    for begin in parents:
        way: dict[str, None] = {}
        key: str | None = begin
        while key is not None and key in parents and key not in way and key not in seen:
            way[key] = None
            key = parents[key]
        if key in way:
            walked = [*way]
            found += walked[walked.index(key) :]
        seen |= way.keys()
    return found


def goal_line(
    placed: GoalInTree,
    actual: Actual,
    progress: Progress,
    known: Iterable[str],
    calendar: FiscalCalendar,
) -> GoalLine:
    """Return the line of a goal."""
    goal = placed.goal
    return GoalLine(
        goal=goal.key,
        title=goal.title,
        depth=placed.depth,
        metric=goal.metric.key,
        unit=goal.metric.unit or goal.unit or "number",
        currency=goal.currency,
        **dict(goal.scope),
        first=goal.first_day,
        last=goal.last_day,
        quarter=calendar.quarter_name(Days(*goal.days)),
        parent=goal.parent,
        parent_known=None if goal.parent is None else goal.parent in known,
        strategy=goal.strategy,
        responsible=goal.responsible,
        standing=goal.standing,
        target=goal.target,
        baseline=goal.baseline,
        actual=actual.value,
        rests_on=actual.n,
        source=actual.source,
        confidence=goal.confidence,
        revisions=goal.revisions,
        **progress._asdict(),
    )


SAME: Final = "same scope and period"
PERIOD: Final = "period"
SPANS: Final[tuple[Span, ...]] = ("month", "quarter", "year")


def parts_of(
    goals: Iterable[GoalRow], every: Iterable[GoalRow], circles: Set[str]
) -> list[tuple[GoalRow, GoalRow]]:
    """Return what shares out some goals: each goal of all that does, and the one above it.

    Only metrics that accumulate can be added up, and only goals of the same metric and
    currency that are pursued and whose days lie within those of the goal above. Goals that
    serve one another in a circle are no part of it.
    """
    by_key = {goal.key: goal for goal in goals if goal.metric.kind == "accumulating"}
    pairs = ((goal, by_key.get(goal.parent or "")) for goal in every)
    return [
        (goal, above)
        for goal, above in pairs
        if above is not None
        and is_part(goal, above)
        and goal.standing != "abandoned"
        and goal.key not in circles
    ]


def splits_of(
    parts: Iterable[tuple[GoalRow, GoalRow]],
    actuals: Mapping[str, Decimal | None],
    calendar: FiscalCalendar,
) -> Iterator[GoalSplit]:
    """Yield what the goals below each goal add up to, for each way in which they share it out.

    `parts` are those goals, each with the one above it.
    """
    by_key: dict[str, GoalRow] = {}
    shared: dict[tuple[str, str], list[GoalRow]] = defaultdict(list)
    for goal, above in parts:
        by_key[above.key] = above
        shared[above.key, _shares_by(above, goal)].append(goal)
    for (key, by), below in sorted(shared.items()):
        target = sum((goal.target for goal in below), Decimal(0))
        known, whole_goal = [actuals[goal.key] for goal in below], by_key[key]
        actual = None if None in known else sum(filter(None, known), Decimal(0))
        whole = actuals[key]
        yield GoalSplit(
            goal=key,
            by=by,
            goals=len(below),
            target=target,
            target_gap=whole_goal.target - target,
            actual=actual,
            actual_gap=None if whole is None or actual is None else whole - actual,
            periods_without=tuple(
                _periods_without(whole_goal, below, calendar)
                if PERIOD in by.split(", ")
                else ()
            ),
        )


class _Dated(Protocol):
    """Whatever is of a metric, a currency and some days."""

    @property
    def metric(self) -> object: ...
    @property
    def currency(self) -> str | None: ...
    @property
    def days(self) -> tuple[date, date]: ...


def is_part(goal: _Dated, above: _Dated) -> bool:
    """Return whether a goal can be added up into the one above it."""
    alike = (goal.metric, goal.currency) == (above.metric, above.currency)
    return alike and is_within(goal.days, above.days)


def is_within(days: tuple[date, date], whole: tuple[date, date]) -> bool:
    """Return whether some days lie within others."""
    return whole[0] <= days[0] and days[1] <= whole[1]


def _periods_without(
    above: GoalRow, below: Sequence[GoalRow], calendar: FiscalCalendar
) -> Iterator[str]:
    """Yield the periods of a goal for which none below it is set, by their names.

    They are months, quarters or years where all goals below are of such; else days.
    """
    try:
        kind = next((it for it in SPANS if _are_of(it, below, calendar)), None)
        day = above.first_day
        while day <= above.last_day:
            last = _last_of_run(day, above, below)
            days = Days(day, last) if kind is None else calendar.span(kind, day)
            if not any(is_within(days, goal.days) for goal in below):
                days = Days(max(days.first, above.first_day), min(days.last, above.last_day))
                yield calendar.quarter_name(days) or span_text(*days)
            day = days.last + ONE_DAY
    except (InputError, OverflowError):  # an import may name days at the end of the calendar
        return


def _are_of(kind: Span, goals: Iterable[GoalRow], calendar: FiscalCalendar) -> bool:
    return all(calendar.span(kind, goal.first_day) == goal.days for goal in goals)


def _last_of_run(day: date, above: GoalRow, below: Iterable[GoalRow]) -> date:
    """Return the last of the days from one on that are all covered by the same goals below."""
    firsts = (goal.first_day - ONE_DAY for goal in below if goal.first_day > day)
    lasts = (goal.last_day for goal in below if goal.last_day >= day)
    return min((above.last_day, *firsts, *lasts))


def _shares_by(above: GoalRow, goal: GoalRow) -> str:
    """Return by what a goal is a part of the one above it."""
    named = dict(above.scope)
    parts = [name for name, it in goal.scope if it is not None and it != named[name]]
    if goal.days != above.days:
        parts.append(PERIOD)
    return ", ".join(parts) or SAME


def goal_states(goals: Iterable[GoalRow], reader: Reader) -> dict[str, GoalState]:
    """Replay the streams of some goals, for what is said of them beyond their rows."""
    ids = {goal.id: goal.key for goal in goals}
    streams = reader.streams(ids)
    return {ids[id]: state_of(Goal, GoalState, streams[id], reader) for id in streams}


def revision_lines(key: str, goal: GoalState) -> Iterator[RevisionLine]:
    """Yield the changes of a goal, in order."""
    for number, each in enumerate(goal.revisions, 1):
        yield RevisionLine(
            goal=key,
            number=number,
            at=from_instant(each.at),
            target_before=each.target_before,
            target=each.target,
            first=each.first_day,
            last=each.last_day,
            by=each.by,
            because=each.because,
            locked=each.locked,
        )


def check_in_lines(key: str, goal: GoalState) -> Iterator[CheckInLine]:
    """Yield the check-ins of a goal, in order."""
    for number, each in enumerate(goal.check_ins, 1):
        yield CheckInLine(
            goal=key,
            number=number,
            at=from_instant(each.at),
            confidence=each.confidence,
            note=each.note,
            by=each.by,
        )

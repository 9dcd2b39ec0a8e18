"""The lines of goals: a tree of them, what those below add up to, and what was said of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Final, NamedTuple
from uuid import UUID

from salesflow.domain.goal import Goal, GoalState
from salesflow.domain.smart import Basis, Letter
from salesflow.domain.time import from_instant
from salesflow.domain.values import Currency, Personal, Reference, SafeText, Value
from salesflow.presentation.fields import FieldRole
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
    "CheckInLine",
    "GoalLine",
    "GoalSplit",
    "LetterThen",
    "Placed",
    "RevisionLine",
    "as_tree",
    "check_in_lines",
    "goal_line",
    "goal_states",
    "in_circles",
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


class Placed(NamedTuple):
    """A goal in its tree."""

    goal: GoalRow
    depth: int


def as_tree(goals: Sequence[GoalRow]) -> list[Placed]:
    """Put goals in the order of their tree, each below the one that it serves.

    Goals that serve one another in a circle stand where the first of them does.
    """
    keys, below = {goal.key for goal in goals}, defaultdict[str, list[GoalRow]](list)
    for goal in goals:
        below[goal.parent or ""].append(goal)
    found: dict[str, Placed] = {}

    def place(top: GoalRow) -> None:
        waiting = [Placed(top, 0)]
        while waiting:  # and not by recursion: a tree is as deep as people make it
            placed = waiting.pop()
            if placed.goal.key not in found:
                found[placed.goal.key] = placed
                lower = [Placed(each, placed.depth + 1) for each in below[placed.goal.key]]
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
    placed: Placed, actual: Actual, progress: Progress, known: Iterable[str]
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


def splits_of(
    goals: Sequence[GoalRow], actuals: Mapping[str, Decimal | None]
) -> Iterator[GoalSplit]:
    """Yield what the goals below each goal add up to, for each way in which they share it out.

    Only metrics that accumulate can be added up, and only goals of the same metric and
    currency that are pursued.
    """
    by_key = {goal.key: goal for goal in goals if goal.metric.kind == "accumulating"}
    shared: dict[tuple[str, str], list[GoalRow]] = defaultdict(list)
    for goal in by_key.values():
        above = by_key.get(goal.parent or "")
        alike = above is not None and (above.metric, above.currency) == (
            goal.metric,
            goal.currency,
        )
        if above is not None and alike and goal.standing != "abandoned":
            shared[above.key, _shares_by(above, goal)].append(goal)
    for (key, by), below in sorted(shared.items()):
        target = sum((goal.target for goal in below), Decimal(0))
        known = [actuals[goal.key] for goal in below]
        yield GoalSplit(
            goal=key,
            by=by,
            goals=len(below),
            target=target,
            target_gap=by_key[key].target - target,
            actual=None if None in known else sum(filter(None, known), Decimal(0)),
        )


def _shares_by(above: GoalRow, goal: GoalRow) -> str:
    """Return by what a goal is a part of the one above it."""
    named = dict(above.scope)
    parts = [name for name, it in goal.scope if it is not None and it != named[name]]
    if goal.days != above.days:
        parts.append("period")
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

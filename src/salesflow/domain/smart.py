"""SMART: what each letter asks of a goal, and by what a goal passes it.

Specific, measurable and time-bound is whatever can be set at all: what is not so is refused.
Achievable is a target that was reached in a comparable past period, or of which somebody says
why it can be reached. Relevant is what serves a goal or a strategy that is named.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, Literal, NamedTuple, Protocol, get_args
from uuid import UUID

from salesflow.domain.metric import Metric, MetricKey
from salesflow.domain.time import Time
from salesflow.domain.values import (
    Count,
    Currency,
    Day,
    Flag,
    Key,
    Number,
    Reference,
    SafeText,
    Value,
)

__all__ = [
    "LETTERS",
    "Basis",
    "GoalScope",
    "GoalStatement",
    "HasEvidence",
    "JudgedLetter",
    "Letter",
    "LetterCheck",
    "PastRange",
    "PastValue",
    "is_higher_better",
    "judged_letters",
]


Letter = Literal["specific", "measurable", "achievable", "relevant", "time_bound"]
LETTERS: Final[tuple[Letter, ...]] = get_args(Letter)
Basis = Literal[
    "metric_and_scope",
    "computed_metric",
    "reported_figure",
    "within_past_range",
    "beyond_past_range",
    "justified",
    "no_past",
    "parent_goal",
    "strategy",
    "nothing_named",
    "period",
]
"""What a letter rests on, or what it fails by."""


class GoalScope(Value):
    """Of whom a goal is; all that is named has to be so, nothing named is the whole company."""

    team: Reference | None = None
    rep: Reference | None = None
    customer: UUID | None = None
    channel: Reference | None = None
    """A lead source."""
    product: SafeText | None = None
    """As the lines of quotes and agreements name it."""
    process: Key | None = None
    stage: Key | None = None

    @property
    def named(self) -> dict[str, str]:
        """What is named, by the name of its kind."""
        return {name: str(it) for name, it in self if it is not None}


class PastValue(Value):
    """What a metric came to in one past period; None where it was undefined."""

    first_day: Day
    last_day: Day
    value: Number | None = None
    count: Count
    """How many it rested on: bookings, deals, customers or answers."""


class PastRange(Value):
    """The past of a metric, as it was believed when somebody looked, and when that was."""

    metric: MetricKey
    scope: GoalScope
    currency: Currency | None = None
    values: tuple[PastValue, ...]
    """Of the comparable periods before the goal's, the oldest first."""
    as_of: Time
    known_at: Time
    position: Count
    """Where the log stood."""

    @property
    def known(self) -> list[Decimal]:
        """The values that are defined."""
        return [past.value for past in self.values if past.value is not None]


class LetterCheck(Value):
    """Whether a goal passed one letter of SMART when it was set, and by what."""

    letter: Letter
    passed: Flag
    basis: Basis


class HasEvidence(Protocol):
    """An answer that shows the past of a metric, as `GoalCheck` does."""

    @property
    def evidence(self) -> PastRange:
        """What the past shows."""


class GoalStatement(NamedTuple):
    """What somebody states of a goal, as far as its letters rest on it."""

    metric: Metric
    target: Decimal | None
    """None where it is not named yet."""
    baseline: Decimal | None
    parent: str | None
    strategy: str | None
    why_achievable: str | None


class JudgedLetter(NamedTuple):
    """How one letter comes out; None where it cannot be judged yet."""

    letter: Letter
    passed: bool | None
    basis: Basis


def judged_letters(goal: GoalStatement, past: PastRange | None) -> Iterator[JudgedLetter]:
    """Yield how each letter comes out, by the past that is shown."""
    yield JudgedLetter("specific", True, "metric_and_scope")
    outside = goal.metric.is_figure
    yield JudgedLetter("measurable", True, "reported_figure" if outside else "computed_metric")
    yield _achievable(goal, past)
    if goal.parent is not None:
        yield JudgedLetter("relevant", True, "parent_goal")
    elif goal.strategy is not None:
        yield JudgedLetter("relevant", True, "strategy")
    else:
        yield JudgedLetter("relevant", False, "nothing_named")
    yield JudgedLetter("time_bound", True, "period")


def _achievable(goal: GoalStatement, past: PastRange | None) -> JudgedLetter:
    if goal.target is None:
        return JudgedLetter("achievable", None, "nothing_named")
    more = is_higher_better(goal.metric, goal.target, goal.baseline)
    beyond = _is_beyond(goal.target, past, more)
    if beyond is False:
        return JudgedLetter("achievable", True, "within_past_range")
    if goal.why_achievable is not None:
        return JudgedLetter("achievable", True, "justified")
    return JudgedLetter(
        "achievable", False, "no_past" if beyond is None else "beyond_past_range"
    )


def is_higher_better(metric: Metric, target: Decimal, baseline: Decimal | None) -> bool:
    """Return whether a goal is reached from below.

    That is so of most metrics, whatever was reached before; of a figure from outside, which
    direction is better, its baseline says.
    """
    if metric.better is None:
        return baseline is None or target >= baseline
    return metric.better == "higher"


def _is_beyond(target: Decimal, past: PastRange | None, more: bool) -> bool | None:
    """Return whether no past period ever came so far; None where none is known."""
    if past is None or not past.known:
        return None
    return target > max(past.known) if more else target < min(past.known)

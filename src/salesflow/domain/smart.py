"""SMART: what each letter asks of a goal, and by what a goal passes it.

Specific, measurable and time-bound is whatever can be set at all: what is not so is refused.
Achievable is a target that was reached in a comparable past period, or of which somebody says
why it can be reached. Relevant is what serves a goal or a strategy that is named.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, Literal, NamedTuple, Protocol, get_args
from uuid import UUID

from salesflow.domain.metric import FIGURE, Metric, MetricKey
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
from salesflow.errors import InputError, RuleError

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
    "baseline_of",
    "ensure_share",
    "ensure_shown_of",
    "ensure_target",
    "is_beyond_target",
    "is_higher_better",
    "judged_letters",
    "passed_letters",
    "unshown",
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
    """Of this team (its key)."""
    rep: Reference | None = None
    """Of this rep, by id or name."""
    customer: UUID | None = None
    """Of this customer: its name, its id, first digits of it, or SOURCE:OBJECT."""
    channel: Reference | None = None
    """Of deals from this lead source, such as web or fair."""
    product: SafeText | None = None
    """Of this product, as lines of quotes and agreements name it; sales and won can be."""
    process: Key | None = None
    """Of deals of this process (its key)."""
    stage: Key | None = None
    """Measured at this stage, by key or name."""

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


class OfSomething(Protocol):
    """What has a metric, a scope and a currency, as a goal has."""

    @property
    def metric(self) -> str:
        """What is measured."""

    @property
    def scope(self) -> GoalScope:
        """Of whom."""

    @property
    def currency(self) -> str | None:
        """Of a metric of money."""


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


def passed_letters(
    key: str, goal: GoalStatement, past: PastRange | None
) -> tuple[LetterCheck, ...]:
    """Return how the letters come out where all of them are passed.

    Raises:
        RuleError: naming every letter that fails, each with its way out.
    """
    letters = [*judged_letters(goal, past)]
    failed = [each for each in letters if not each.passed]
    if failed:
        why = "; and it ".join(
            NOTHING_SERVED
            if each.letter == "relevant"
            else f"is not shown to be achievable (the A of SMART): {_not_shown(goal, past)}"
            for each in sorted(failed, key=lambda it: it.letter != "relevant")
        )
        raise RuleError(f"goal {key!r} {why}")
    return tuple(
        LetterCheck(letter=letter, passed=True, basis=basis) for letter, _, basis in letters
    )


NOTHING_SERVED: Final = (
    "serves nothing (the R of SMART): name the goal above it, parent=…, or the strategy,"
    " strategy=…"
)


def _not_shown(goal: GoalStatement, past: PastRange | None) -> str:
    """Say why nothing shows that a target can be reached, and the way out."""
    say_why = "say why it can be reached, why_achievable=…"
    shown = unshown(goal, past)
    if past is None:
        return (
            f"{shown}; hand in what the past shows, check=flow.ask(GoalCheck(…)), or say why,"
            " why_achievable=…"
        )
    return f"{shown}; {'take another target, or ' if past.known else ''}{say_why}"


def unshown(goal: GoalStatement, past: PastRange | None) -> str | None:
    """Say by what a target is not shown to be achievable; None where the past shows it."""
    assert goal.target is not None
    more = is_higher_better(goal.metric, goal.target, goal.baseline)
    beyond = _is_beyond(goal.target, past, more)
    if past is None:
        return "nothing shows that it can be reached"
    if beyond is None:
        return "no comparable past period is known"
    low, high = (_written(it, goal.metric) for it in (min(past.known), max(past.known)))
    target, count = _written(goal.target, goal.metric), len(past.known)
    periods = "the one past period, which" if count == 1 else f"all {count} past periods, which"
    came = low if count == 1 else f"{low} … {high}"
    less = "" if goal.metric.better or more else f" ({LESS})"
    return f"{target} lies beyond {periods} came to {came}{less}" if beyond else None


LESS: Final = (
    "less is taken to be better, since it lies below what it stood at before; name a baseline"
    " below it, baseline=…, where more is better"
)


def _written(value: Decimal, metric: Metric) -> str:
    return f"{value}" if metric.unit != "share" else f"{(value * 100).normalize():f}%"


def is_beyond_target(metric: Metric, target: Decimal, baseline: Decimal) -> bool:
    """Return whether a level stood beyond its target from the start.

    There is no way from there to the target that could be measured: such a level is held or
    not held. What accumulates begins with nothing, wherever it stood in an earlier period.
    """
    if metric.kind != "level" or metric.better is None:
        return False
    return baseline > target if metric.better == "higher" else baseline < target


def baseline_of(
    metric: Metric, target: Decimal | None, given: Decimal | None, past: PastRange | None
) -> Decimal | None:
    """Return where it stood before: as somebody says, or in the last period of the past.

    One of the past that lies beyond the target is left out.

    Raises:
        InputError: for one that somebody names and that lies beyond the target.
    """
    known = [] if past is None else past.known
    found = known[-1] if given is None and known else given
    if found is None or target is None or not is_beyond_target(metric, target, found):
        return found
    if given is None:
        return None
    raise InputError(
        f"the baseline {_written(given, metric)} lies beyond the target"
        f" {_written(target, metric)} already; take another target, or leave baseline=… out:"
        " the level is then held or not held, without a percentage"
    )


def ensure_shown_of(evidence: PastRange | None, goal: OfSomething) -> None:
    """Refuse what shows the past of something else than a goal is of.

    Raises:
        InputError: saying what differs.
    """
    if evidence is None:
        return
    for name in ("metric", "scope", "currency"):
        if getattr(evidence, name) != getattr(goal, name):
            raise InputError(
                f"the check shows another {name} than the goal has; ask GoalCheck about what"
                " the goal is of"
            )


def ensure_target(
    metric: Metric, unit: str | None, target: Decimal, baseline: Decimal | None = None
) -> None:
    """Refuse what can never be reached, or is reached by nothing.

    Raises:
        InputError: saying what would be a target.
    """
    for value in (target, baseline):
        if value is not None:
            ensure_share(metric.key, metric.unit or unit, value)
    if metric.is_figure:
        return
    if target < 0:
        raise InputError(f"{metric.key} is never below 0; {target} is no target")
    if target == 0 and metric.better == "higher":
        raise InputError(
            f"{metric.key} is reached by nothing where the target is 0; only of what is better"
            " the less there is of it 0 is a target, such as lost"
        )


def ensure_share(what: str, unit: str | None, value: Decimal) -> None:
    """Refuse a share that is no part of the whole, such as 14 for 14%.

    Raises:
        InputError: with the way out.
    """
    if unit == "share" and not 0 <= value <= 1:
        written = f"{(value / 100).normalize():f}"
        meant = f"; write {written} for {value:f}%" if 1 < value <= 100 else ""
        raise InputError(
            f"{what} is a share: 0.35 is 35%; {value} is none{meant}; what can be more than"
            " the whole is counted in a unit of its own, such as percent"
            if what.startswith(FIGURE)
            else f"{what} is a share: 0.35 is 35%; {value} is none{meant}"
        )

"""Goals: what is to be reached, of whom, until when, and whether it was well set (SMART).

A goal names a metric, a target, a scope and a period, and the goal or strategy that it serves.
Every letter of SMART is checked when it is set, and stored with what it rests on: that a target
can be reached is shown by the past (`PastRange`, which the question `GoalCheck` answers), or
somebody says why. Where neither is said the goal is refused with the way out. From the day it
is locked a goal changes only by a revision that says who changed it and why. Whether a letter
still holds by later knowledge is for the question `GoalAttainment`.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import ClassVar, Final, NamedTuple, Self, assert_never, get_args
from uuid import UUID

from salesflow.domain.aggregate import Aggregate, OccurredAt
from salesflow.domain.arguments import require_reason
from salesflow.domain.event import Event, Fact
from salesflow.domain.metric import (
    Metric,
    MetricKey,
    ensure_at_stage,
    ensure_currency,
    ensure_of_product,
    metric_of,
)
from salesflow.domain.smart import (
    GoalScope,
    GoalStatement,
    HasEvidence,
    LetterCheck,
    PastRange,
    baseline_of,
    ensure_shown_of,
    ensure_target,
    is_higher_better,
    passed_letters,
    unshown,
)
from salesflow.domain.state import OpenedState, appended
from salesflow.domain.time import Instant, ensure_days
from salesflow.domain.values import (
    Day,
    GivenCurrency,
    Key,
    Money,
    Number,
    Personal,
    Reason,
    Reference,
    SafeName,
    Share,
    id_of_key,
    number,
)
from salesflow.domain.wording import Message
from salesflow.errors import InputError, RuleError

__all__ = [
    "Goal",
    "GoalAbandoned",
    "GoalCheckIn",
    "GoalCheckedIn",
    "GoalFact",
    "GoalLocked",
    "GoalRevised",
    "GoalRevision",
    "GoalSet",
    "GoalState",
    "goal_id",
]

GOALS = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a04")
BEFORE_SETTING: Final = Message("before the goal was set")
LONGEST: Final = timedelta(days=20 * 366)
FIRST: Final = date(1900, 1, 1)
LAST: Final = date(2999, 12, 31)
NEVER_SET: Final = Message("no goal was set")
ABANDONED: Final = Message("the goal was abandoned before")


class GoalSet(Fact):
    """A target was set for somebody and a period; every letter of SMART was checked."""

    kind: ClassVar[str] = "goal.set"
    name_zh: ClassVar[str] = "设定目标"
    is_opening: ClassVar[bool] = True
    goal: Key
    """The key it is named by, such as q3-sales-east."""
    title: SafeName | None = None
    """What people call it; its key where nothing is said."""
    metric: MetricKey
    """What is measured, by key or name; figure:<key> is a figure from outside."""
    target: Number
    """What is to be reached: an amount, a count, days; of shares 0.35 is 35%."""
    currency: GivenCurrency | None = None
    """Of a metric of money."""
    unit: Key | None = None
    """Of a figure from outside: what it is counted in."""
    baseline: Number | None = None
    """Where it stood before; a level is attained by its way from here to the target."""
    scope: GoalScope
    first_day: Day
    """The first day of the goal's period."""
    last_day: Day
    """The last day of it, included."""
    parent: Key | None = None
    """The key of the goal that this one serves."""
    strategy: SafeName | None = None
    """The strategy that it serves, where no goal stands above it."""
    responsible: Reference | None = None
    """Who answers for it."""
    why_achievable: Reason | None = None
    """Why it can be reached, where the past does not show it."""
    evidence: PastRange | None = None
    """What the past showed when it was set."""
    letters: tuple[LetterCheck, ...] = ()
    """How each letter of SMART came out."""


class GoalRevised(Fact):
    """A goal was changed; what is not named stays as it was, and so do its check-ins."""

    kind: ClassVar[str] = "goal.revised"
    name_zh: ClassVar[str] = "目标修订"
    target: Number | None = None
    baseline: Number | None = None
    first_day: Day | None = None
    last_day: Day | None = None
    parent: Key | None = None
    strategy: SafeName | None = None
    responsible: Reference | None = None
    why_achievable: Reason | None = None
    evidence: PastRange | None = None
    letters: tuple[LetterCheck, ...] = ()
    """How each letter of SMART came out after it."""
    by: Reference | None = None
    """Who changed it; a locked goal is never changed by nobody."""
    because: Reason | None = None


class GoalLocked(Fact):
    """A goal was agreed; from now on it changes only by a revision with who and why."""

    kind: ClassVar[str] = "goal.locked"
    name_zh: ClassVar[str] = "锁定目标"
    by: Reference | None = None
    because: Reason | None = None


class GoalCheckedIn(Fact):
    """Somebody said how sure they are to reach a goal."""

    kind: ClassVar[str] = "goal.checked_in"
    name_zh: ClassVar[str] = "目标跟进"
    confidence: Share
    """How sure they are: 0.7 is 70%."""
    note: Personal | None = None


class GoalAbandoned(Fact):
    """A goal is pursued no longer."""

    kind: ClassVar[str] = "goal.abandoned"
    name_zh: ClassVar[str] = "放弃目标"
    because: Reason | None = None


GoalFact = GoalSet | GoalRevised | GoalLocked | GoalCheckedIn | GoalAbandoned


class GoalRevision(NamedTuple):
    """A change of a goal: when, what it became, by whom and why."""

    at: Instant
    target_before: Decimal
    target: Decimal
    first_day: date
    last_day: date
    by: str | None
    because: str | None
    locked: bool
    """Whether it was locked by then."""


class GoalCheckIn(NamedTuple):
    """How sure somebody was to reach a goal."""

    at: Instant
    confidence: Decimal
    note: str | None
    by: str | None
    """The actor who recorded it."""


class GoalState(OpenedState):
    """What a goal is by now."""

    key: str = ""
    title: str | None = None
    metric: str = ""
    target: Decimal = Decimal(0)
    currency: str | None = None
    unit: str | None = None
    baseline: Decimal | None = None
    scope: GoalScope = GoalScope()
    first_day: date = date.min
    last_day: date = date.min
    parent: str | None = None
    strategy: str | None = None
    responsible: str | None = None
    why_achievable: str | None = None
    evidence: PastRange | None = None
    letters: Sequence[LetterCheck] = ()
    locked: bool = False
    abandoned: bool = False
    revisions: Sequence[GoalRevision] = ()
    check_ins: Sequence[GoalCheckIn] = ()

    def _change(self, event: Event, opening: Event) -> Message | None:
        if event.occurred < opening.occurred:
            return BEFORE_SETTING
        fact: GoalFact = event.fact  # type: ignore[assignment]
        if not isinstance(fact, GoalSet) and (self.abandoned or not self.key):
            return ABANDONED if self.abandoned else NEVER_SET
        match fact:
            case GoalSet():
                return self._set(fact, event)
            case GoalRevised():
                return self._revise(fact, event)
            case GoalLocked():
                if self.locked:
                    return Message("the goal was locked before")
                self.locked = True
            case GoalCheckedIn():
                said = GoalCheckIn(event.occurred, fact.confidence, fact.note, event.actor)
                self.check_ins = appended(self.check_ins, said)
            case GoalAbandoned():
                self.abandoned = True
            case _:
                assert_never(fact)
        return None

    def _set(self, fact: GoalSet, event: Event) -> Message | None:
        if goal_id(fact.goal) != event.stream_id:
            return Message("it names another goal, {goal}", goal=repr(fact.goal))
        if event is not self._opening:
            return Message("the goal was set before")
        if (
            why := _immeasurable(fact) or _no_period(fact.first_day, fact.last_day)
        ) is not None:
            return why
        self.key, self.title, self.metric = fact.goal, fact.title, fact.metric
        self.target, self.currency, self.unit = fact.target, fact.currency, fact.unit
        self.baseline, self.scope = fact.baseline, fact.scope
        self.first_day, self.last_day = fact.first_day, fact.last_day
        self.parent, self.strategy = fact.parent, fact.strategy
        self.responsible, self.why_achievable = fact.responsible, fact.why_achievable
        self.evidence, self.letters = fact.evidence, fact.letters
        return None

    def _revise(self, fact: GoalRevised, event: Event) -> Message | None:
        first, last = fact.first_day or self.first_day, fact.last_day or self.last_day
        if (why := _no_period(first, last)) is not None:
            return why
        before = self.target
        for name in REVISABLE:
            value = getattr(fact, name)
            if value is not None:
                setattr(self, name, value)
        self.letters = fact.letters or self.letters
        revision = GoalRevision(
            event.occurred,
            before,
            self.target,
            self.first_day,
            self.last_day,
            fact.by,
            fact.because,
            self.locked,
        )
        self.revisions = appended(self.revisions, revision)
        return None


REVISABLE: Final = (
    *("target", "baseline", "first_day", "last_day", "parent", "strategy"),
    *("responsible", "why_achievable", "evidence"),
)


def _no_period(first: date, last: date) -> Message | None:
    """Return why some days are no period that anything can be measured in; None when they are.

    No command leaves a goal with such days; another system may say them, and so may revisions
    of which one was retracted.
    """
    if last < first:
        return Message("its period ends before it begins")
    if first < FIRST or last > LAST:
        return Message("its period lies beyond the calendar")
    return None


def _immeasurable(fact: GoalSet) -> Message | None:
    """Return why nothing can ever be measured for a goal that another system set."""
    metric = metric_of(fact.metric)
    if metric.unit == "money" and fact.currency is None:
        return Message("{metric} is money, and no currency is named", metric=metric.key)
    if metric.at_stage == "must" and fact.scope.stage is None:
        return Message("{metric} is measured at a stage, and none is named", metric=metric.key)
    if metric.at_stage == "never" and fact.scope.stage is not None:
        return Message("{metric} is not measured at a stage", metric=metric.key)
    return None


class Goal(Aggregate, GoalState):
    """A goal by its key; `session.get(Goal, goal_id("q3-sales"))` finds it.

    What the past shows of one, which setting it takes as `check`, is the answer of `GoalCheck`.
    """

    noun: ClassVar[str] = "goal"
    facts: ClassVar[tuple[type[Fact], ...]] = get_args(GoalFact)

    @classmethod
    def set(
        cls,
        key: str,
        *,
        metric: str,
        target: Money | Decimal | int | str,
        first_day: date,
        last_day: date,
        title: str | None = None,
        currency: str | None = None,
        unit: str | None = None,
        baseline: Decimal | int | str | None = None,
        team: str | None = None,
        rep: str | None = None,
        customer: UUID | None = None,
        channel: str | None = None,
        product: str | None = None,
        process: str | None = None,
        stage: str | None = None,
        parent: str | None = None,
        strategy: str | None = None,
        responsible: str | None = None,
        why_achievable: str | None = None,
        check: PastRange | HasEvidence | None = None,
        occurred_at: OccurredAt = None,
    ) -> Self:
        """Set a goal: what is to be reached, of whom and until when.

        Say what it serves, and why it can be reached where the past does not show it.
        """
        scope = {"team": team, "rep": rep, "customer": customer, "channel": channel}
        scope |= {"product": product, "process": process, "stage": stage}
        named: dict[str, object] = {"title": title, "unit": unit, "parent": parent}
        named |= {"strategy": strategy, "responsible": responsible, "currency": currency}
        named |= {"why_achievable": why_achievable, "goal": key, "metric": metric}
        named |= {"first_day": first_day, "last_day": last_day, "scope": scope}
        fact = _well_set(named, target, baseline, _evidence(check))
        self = cls.new(goal_id(fact.goal))
        self._record(fact, occurred_at)
        return self

    def revise(
        self,
        *,
        target: Money | Decimal | int | str | None = None,
        baseline: Decimal | int | str | None = None,
        first_day: date | None = None,
        last_day: date | None = None,
        parent: str | None = None,
        strategy: str | None = None,
        responsible: str | None = None,
        why_achievable: str | None = None,
        check: PastRange | HasEvidence | None = None,
        by: str | None = None,
        because: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Change a goal; what is not named stays. Of a locked one say who does so and why."""
        then = self._pursued(occurred_at, "revised")
        if then.locked and (by is None or because is None):
            raise RuleError(
                f"goal {then.key!r} is locked; say who revises it and why: by=…, because=…"
            )
        fact = GoalRevised(
            target=_amount(target, then.currency),
            baseline=_amount(baseline, None),
            first_day=first_day,
            last_day=last_day,
            parent=parent,
            strategy=strategy,
            responsible=responsible,
            why_achievable=why_achievable,
            evidence=_evidence(check),
            by=by,
            because=None if because is None else require_reason(because, "a revision"),
        )
        if not any(getattr(fact, name) is not None for name in REVISABLE):
            raise InputError("name at least one thing to revise, such as target")
        then._ensure_other_than(fact)
        letters = then._letters_after(fact)
        self._record(fact.model_copy(update={"letters": letters}), occurred_at)

    def _ensure_other_than(self, fact: GoalRevised) -> None:
        """Refuse a revision to exactly what holds."""
        said = [name for name in REVISABLE[:-1] if getattr(fact, name) is not None]
        if said and all(getattr(fact, name) == getattr(self, name) for name in said):
            raise RuleError(f"goal {self.key!r} is so already: {', '.join(said)} would stay")

    def lock(
        self,
        *,
        by: str | None = None,
        because: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Agree on a goal: from now on it is only revised by somebody who says why."""
        then = self._pursued(occurred_at, "locked")
        if then.locked:
            raise RuleError(f"goal {then.key!r} is locked already")
        self._record(GoalLocked(by=by, because=because), occurred_at)

    def check_in(
        self,
        *,
        confidence: Decimal | int | str,
        note: str | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Say how sure you are to reach it, from 0 to 1: 0.7 is 70%."""
        self._pursued(occurred_at, "checked in on")
        sure = number(confidence)
        if not 0 <= sure <= 1:
            raise InputError(f"a confidence lies between 0 and 1, 0.7 is 70%; not {sure}")
        self._record(GoalCheckedIn(confidence=sure, note=note), occurred_at)

    def abandon(self, *, because: str, occurred_at: OccurredAt = None) -> None:
        """Pursue it no longer, and say why; it stays in the books as it stood."""
        self._pursued(occurred_at, "abandoned")
        require_reason(because, "abandoning a goal")
        self._record(GoalAbandoned(because=because), occurred_at)

    def _pursued(self, occurred_at: OccurredAt, asked: str) -> Self:
        """Return it as believed at a time; refuse one that was abandoned by then."""
        if not self._history:
            self.ensure_exists()
        then = self._at(occurred_at)
        if then.abandoned:
            raise RuleError(
                f"goal {then.key!r} was abandoned and cannot be {asked}; retract that it was,"
                " or set another one"
            )
        return then

    def _as_revised(self, fact: GoalRevised) -> GoalSet:
        """Return how the goal would have been set as it is after a revision."""
        plain = {name: getattr(self, name) for name in ("title", "metric", "currency", "unit")}
        its = {name: getattr(fact, name) for name in REVISABLE}
        changed = {n: getattr(self, n) if it is None else it for n, it in its.items()}
        made = GoalSet(goal=self.key, scope=self.scope, **plain, **changed)
        metric = metric_of(made.metric)
        _ensure_measurable(made, metric)
        ensure_shown_of(fact.evidence, made)
        if fact.baseline is not None:
            baseline_of(metric, made.target, fact.baseline, None)
        return made

    def _letters_after(self, fact: GoalRevised) -> tuple[LetterCheck, ...]:
        """Return how the letters come out after a revision; refuse what fails some."""
        made = self._as_revised(fact)
        letters = _passed(made)
        if fact.why_achievable is None and fact.because is None:
            self._ensure_no_new_reason(made)
        return letters

    def _ensure_no_new_reason(self, made: GoalSet) -> None:
        """Refuse a harder target of which only an old reason says that it can be reached."""
        metric, target = metric_of(made.metric), made.target
        more = is_higher_better(metric, target, made.baseline)
        is_harder = target > self.target if more else target < self.target
        shown = unshown(_stated(made), made.evidence) if is_harder else None
        if shown is not None:
            raise RuleError(
                f"goal {self.key!r} is not shown to be achievable (the A of SMART) when it is"
                f" revised: {shown}, and what was said of {self.target} may not hold of"
                f" {target}; say why it can be reached, why_achievable=…, or why it is"
                " revised, because=…"
            )


@lru_cache(maxsize=4096)
def goal_id(key: str) -> UUID:
    """Return the stream id of a goal; the same key is the same goal everywhere."""
    return id_of_key(GOALS, key)


def _well_set(
    named: dict[str, object],
    target: Money | Decimal | int | str,
    baseline: Decimal | int | str | None,
    evidence: PastRange | None,
) -> GoalSet:
    """Return the goal as it is set, with its letters; refuse what can never be measured."""
    if isinstance(target, Money):
        money = target
        target = _in(money, named["currency"])
        named["currency"] = money.currency
    metric = metric_of(str(named["metric"]))
    fact = GoalSet.model_validate(
        {
            **named,
            "metric": metric.key,
            "target": number(target),
            "baseline": None if baseline is None else number(baseline),
            "evidence": evidence,
        }
    )
    _ensure_measurable(fact, metric)
    ensure_shown_of(evidence, fact)
    stood = baseline_of(metric, fact.target, fact.baseline, evidence)
    fact = fact.model_copy(update={"baseline": stood})
    return fact.model_copy(update={"letters": _passed(fact)})


def _passed(goal: GoalSet) -> tuple[LetterCheck, ...]:
    """Return how the letters come out; refuse what fails some that somebody can mend."""
    return passed_letters(goal.goal, _stated(goal), goal.evidence)


def _stated(goal: GoalSet) -> GoalStatement:
    its = (goal.baseline, goal.parent, goal.strategy, goal.why_achievable)
    return GoalStatement(metric_of(goal.metric), goal.target, *its)


def _ensure_measurable(fact: GoalSet, metric: Metric) -> None:
    """Refuse what can never be measured, or reached."""
    ensure_days(fact.first_day, fact.last_day)
    if fact.last_day - fact.first_day > LONGEST or not FIRST <= fact.first_day <= LAST:
        raise InputError(
            f"a goal is of {LONGEST.days // 365} years at most, between {FIRST} and {LAST};"
            f" {fact.first_day} … {fact.last_day} is not"
        )
    if fact.parent == fact.goal:
        raise InputError(f"goal {fact.goal!r} cannot serve itself; name the goal above it")
    ensure_currency(metric, fact.currency)
    if metric.is_figure != (fact.unit is not None):
        raise InputError(
            f"{metric.key} is reported from outside; name its unit, such as unit='share'"
            if metric.is_figure
            else f"{metric.key} is measured in {metric.unit}; leave the unit out"
        )
    ensure_target(metric, fact.unit, fact.target, fact.baseline)
    _ensure_scope(fact.scope, metric)


def _ensure_scope(scope: GoalScope, metric: Metric) -> None:
    if metric.is_figure and scope.named:
        raise InputError(
            f"{metric.key} is reported as a whole; report one of its own for"
            f" {', '.join(scope.named.values())} under another key"
        )
    ensure_of_product(metric, scope.product)
    ensure_at_stage(metric, scope.stage)


def _evidence(check: PastRange | HasEvidence | None) -> PastRange | None:
    return check if check is None or isinstance(check, PastRange) else check.evidence


def _amount(given: Money | Decimal | int | str | None, currency: str | None) -> Decimal | None:
    if isinstance(given, Money):
        return _in(given, currency)
    return None if given is None else number(given)


def _in(money: Money, currency: object) -> Decimal:
    if currency not in (None, money.currency):
        raise InputError(f"the target is in {money.currency}, the goal in {currency}")
    return money.amount

"""Alerts: a figure of some question that is watched, and when it was beyond what is allowed.

An alert names a question with its parameters, one figure of its answer, and a condition. That
the figure exists is looked for before it is defined (`watched_figure` of the engine). Whoever
evaluates an alert hands in the figure of a moment; the alert is raised when its condition
begins to be met and cleared when it is met no longer, so that no state is told of twice. What
is raised is a fact like others: delivery is for whoever reads them.
"""

from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, ClassVar, Final, Literal, Self, assert_never, get_args
from uuid import UUID

from pydantic import Field

from salesflow.domain.aggregate import Aggregate, OccurredAt
from salesflow.domain.event import Event, Fact
from salesflow.domain.state import OpenedState
from salesflow.domain.time import Time
from salesflow.domain.values import (
    Count,
    Key,
    Number,
    Reason,
    Reference,
    SafeText,
    Value,
    id_of_key,
    number,
)
from salesflow.domain.wording import Message
from salesflow.errors import InputError, RuleError

__all__ = [
    "Alert",
    "AlertCleared",
    "AlertCondition",
    "AlertDefined",
    "AlertEvaluated",
    "AlertEvidence",
    "AlertFact",
    "AlertRaised",
    "AlertRetired",
    "AlertRevised",
    "AlertStanding",
    "AlertState",
    "WatchedFigure",
    "alert_id",
    "evidence_of",
    "is_met",
]


ALERTS = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a41")
AlertCondition = Literal["above", "below", "rose_by", "fell_by"]
OF_CHANGES: Final = ("rose_by", "fell_by")
REVISABLE: Final = ("watched", "condition", "threshold", "days", "notify")
AlertStanding = Literal["clear", "raised", "retired"]
AlertDays = Annotated[int, Field(ge=1, le=3_650, strict=True)]


class WatchedFigure(Value):
    """A figure of a question, as a check found it: there is such a question and figure."""

    question: Key
    parameters: SafeText
    """As JSON, the names in order."""
    figure: SafeText
    """The path to the figure in the answer."""


class AlertEvidence(Value):
    """The figure of a moment, and the one it is compared with."""

    as_of: Time
    known_at: Time
    position: Count
    figure: Number | None = None
    """None where the answer has none, such as a rate of nothing."""
    compared: Number | None = None
    """The figure so many days before; None where nothing is compared."""


class AlertDefined(Fact):
    """A figure is watched from now on."""

    kind: ClassVar[str] = "alert.defined"
    name_zh: ClassVar[str] = "设定预警"
    is_opening: ClassVar[bool] = True
    alert: Key
    watched: WatchedFigure
    condition: AlertCondition
    """above or below the threshold, or rose or fell by more than it."""
    threshold: Number
    days: AlertDays | None = None
    """Since how many days before a change counts; since the last evaluation when not said."""
    notify: tuple[Reference, ...] = ()
    """Whom it is for."""


class AlertRevised(Fact):
    """Something else is watched, or another condition holds; it begins anew, not raised."""

    kind: ClassVar[str] = "alert.revised"
    name_zh: ClassVar[str] = "修改预警"
    watched: WatchedFigure
    condition: AlertCondition
    threshold: Number
    days: AlertDays | None = None
    notify: tuple[Reference, ...] = ()
    because: Reason


class AlertRetired(Fact):
    """The figure is watched no longer."""

    kind: ClassVar[str] = "alert.retired"
    name_zh: ClassVar[str] = "停用预警"
    because: Reason


class AlertRaised(Fact):
    """The condition is met; it was not before."""

    kind: ClassVar[str] = "alert.raised"
    name_zh: ClassVar[str] = "触发预警"
    evidence: AlertEvidence


class AlertCleared(Fact):
    """The condition is met no longer."""

    kind: ClassVar[str] = "alert.cleared"
    name_zh: ClassVar[str] = "解除预警"
    evidence: AlertEvidence


class AlertEvaluated(Fact):
    """The figure was another one than last time; what comes next is compared with it."""

    kind: ClassVar[str] = "alert.evaluated"
    name_zh: ClassVar[str] = "评估预警"
    evidence: AlertEvidence


AlertFact = (
    AlertDefined | AlertRevised | AlertRetired | AlertRaised | AlertCleared | AlertEvaluated
)


class AlertState(OpenedState):
    """What an alert watches, and whether it is raised by now."""

    key: str = ""
    watched: WatchedFigure | None = None
    condition: AlertCondition = "above"
    threshold: Decimal = Decimal(0)
    days: int | None = None
    notify: tuple[str, ...] = ()
    retired: bool = False
    raised: Event | None = None
    """The event that raised it; None while it is not raised."""
    last_figure: Decimal | None = None
    """What was evaluated last, of a change since the last evaluation."""

    @property
    def standing(self) -> AlertStanding:
        """Whether it is raised, clear or retired."""
        if self.retired:
            return "retired"
        return "clear" if self.raised is None else "raised"

    def _change(self, event: Event, opening: Event) -> Message | None:
        fact: AlertFact = event.fact  # type: ignore[assignment]
        if event.occurred < opening.occurred:
            return Message("before the alert was defined")
        if self.retired:
            return Message("the alert was retired before")
        return self._take(fact, event, opening)

    def _take(self, fact: AlertFact, event: Event, opening: Event) -> Message | None:
        match fact:
            case AlertDefined():
                if event is not opening:
                    return Message("the alert was defined before")
                if alert_id(fact.alert) != event.stream_id:
                    return Message("it names another alert, {alert}", alert=repr(fact.alert))
                self.key = fact.alert
                self._watch(fact)
            case AlertRevised():
                self._watch(fact)
            case AlertRetired():
                self.retired, self.raised = True, None
            case AlertRaised():
                if self.raised is not None:
                    return Message("the alert was raised before")
                self.raised, self.last_figure = event, fact.evidence.figure
            case AlertCleared():
                if self.raised is None:
                    return Message("the alert was not raised")
                self.raised, self.last_figure = None, fact.evidence.figure
            case AlertEvaluated():
                self.last_figure = fact.evidence.figure
            case _:
                assert_never(fact)
        return None

    def _watch(self, fact: AlertDefined | AlertRevised) -> None:
        self.watched, self.condition, self.threshold = (
            fact.watched,
            fact.condition,
            fact.threshold,
        )
        self.days, self.notify = fact.days, fact.notify
        self.raised = self.last_figure = None


def is_met(
    condition: AlertCondition,
    threshold: Decimal,
    figure: Decimal | None,
    compared: Decimal | None,
) -> bool:
    """Return whether a condition is met; never by a figure that is undefined."""
    if figure is None:
        return False
    match condition:
        case "above":
            return figure > threshold
        case "below":
            return figure < threshold
        case "rose_by":
            return compared is not None and figure - compared > threshold
        case "fell_by":
            return compared is not None and compared - figure > threshold
        case _:
            assert_never(condition)


class Alert(Aggregate, AlertState):
    """A watched figure; `session.get(Alert, alert_id("stalled"))` finds one by its key."""

    noun: ClassVar[str] = "alert"
    facts: ClassVar[tuple[type[Fact], ...]] = get_args(AlertFact)

    @classmethod
    def define(
        cls,
        key: str,
        *,
        watched: WatchedFigure,
        condition: AlertCondition,
        threshold: Decimal | str,
        days: int | None = None,
        notify: tuple[str, ...] = (),
        occurred_at: OccurredAt = None,
    ) -> Self:
        """Watch a figure of a question, once it was looked for there."""
        fact = AlertDefined(
            alert=key,
            watched=watched,
            condition=condition,
            threshold=number(threshold),
            days=days,
            notify=notify,
        )
        _ensure_sensible(fact)
        self = cls.new(alert_id(fact.alert))
        self._record(fact, occurred_at)
        return self

    def revise(
        self,
        *,
        because: str,
        watched: WatchedFigure | None = None,
        condition: AlertCondition | None = None,
        threshold: Decimal | str | None = None,
        days: int | None = None,
        notify: tuple[str, ...] | None = None,
        occurred_at: OccurredAt = None,
    ) -> None:
        """Watch something else, or by another condition; what is not said stays, but days."""
        then = self._standing(occurred_at, "revised")
        assert then.watched is not None, "an alert that was defined watches something"
        fact = AlertRevised(
            watched=watched or then.watched,
            condition=condition or then.condition,
            threshold=then.threshold if threshold is None else number(threshold),
            days=days,
            notify=then.notify if notify is None else notify,
            because=because,
        )
        _ensure_sensible(fact)
        if all(getattr(fact, name) == getattr(then, name) for name in REVISABLE):
            raise InputError(
                "nothing is revised; name another figure, condition, threshold, days or"
                " whom it is for"
            )
        self._record(fact, occurred_at)

    def retire(self, *, because: str, occurred_at: OccurredAt = None) -> None:
        """Watch the figure no longer."""
        self._standing(occurred_at, "retired")
        self._record(AlertRetired(because=because), occurred_at)

    def evaluate(self, evidence: AlertEvidence, *, occurred_at: OccurredAt = None) -> bool:
        """Raise or clear the alert by a figure; return whether that changed anything.

        A change since the last evaluation is one since the figure that was evaluated last.
        """
        then = self._standing(occurred_at, "evaluated")
        if then.condition in OF_CHANGES and then.days is None:
            evidence = evidence.model_copy(update={"compared": then.last_figure})
        met = is_met(then.condition, then.threshold, evidence.figure, evidence.compared)
        if met and then.raised is None:
            self._record(AlertRaised(evidence=evidence), occurred_at)
            return True
        if not met and then.raised is not None:
            self._record(AlertCleared(evidence=evidence), occurred_at)
            return True
        follows = then.condition in OF_CHANGES and then.days is None
        if follows and evidence.figure != then.last_figure:
            self._record(AlertEvaluated(evidence=evidence), occurred_at)
        return False

    def _standing(self, occurred_at: OccurredAt, asked: str) -> Self:
        """Return the alert as believed then; refuse one that is retired."""
        self.ensure_exists()
        then = self._at(occurred_at)
        if then.retired:
            raise RuleError(
                f"alert {then.key!r} is retired and cannot be {asked}; define another one"
            )
        return then


def _ensure_sensible(fact: AlertDefined | AlertRevised) -> None:
    is_change = fact.condition in OF_CHANGES
    if fact.days is not None and not is_change:
        raise InputError(
            f"days say since when a change counts; leave them out for {fact.condition},"
            f" or take {' or '.join(OF_CHANGES)}"
        )
    if is_change and fact.threshold < 0:
        raise InputError(
            f"{fact.condition} takes how far the figure moved, which is not below 0"
        )


@lru_cache(maxsize=1024)
def alert_id(key: str) -> UUID:
    """Return the stream id of an alert; the same key is the same alert everywhere."""
    return id_of_key(ALERTS, key)


def evidence_of(
    figure: Decimal | None,
    compared: Decimal | None,
    as_of: datetime,
    known_at: datetime,
    position: int,
) -> AlertEvidence:
    """Return what was found at a moment, to six places behind the point."""
    return AlertEvidence(
        as_of=as_of,
        known_at=known_at,
        position=position,
        figure=None if figure is None else round(figure, 6),
        compared=None if compared is None else round(compared, 6),
    )

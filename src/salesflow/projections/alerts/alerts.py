"""Alerts: which are defined, which are raised and since when, and what became of each.

Answers "what is beyond what we allow, and since when?" for any past moment on both time axes.
An alert says what its last evaluation found; nothing is evaluated by asking. Leaves out
delivery: what is raised is told to nobody here.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from salesflow.domain.alert import (
    Alert,
    AlertCleared,
    AlertCondition,
    AlertEvaluated,
    AlertEvidence,
    AlertRaised,
    AlertStanding,
    AlertState,
)
from salesflow.domain.event import Event
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import Moment, from_instant
from salesflow.domain.values import Key, Reference, SafeText, Value
from salesflow.errors import NotFoundError
from salesflow.presentation.fields import FieldRole
from salesflow.presentation.format import NO_VALUE, local_time
from salesflow.presentation.messages import Language, in_language, key_text, say_count
from salesflow.presentation.table import TableOfView
from salesflow.projections.core.question import Limit, Question, Reader, View
from salesflow.projections.core.replaying import believed
from salesflow.projections.folds.alert import ALERT

__all__ = ["AlertHappening", "AlertLine", "Alerts", "AlertsView"]


LISTED = 50
RECORDED = (
    "recorded: an evaluation that raises or clears an alert, and of a change since the last"
    " evaluation each that finds another figure; what is found now, `salesflow alert evaluate`"
    " says"
)


class AlertLine(Value):
    """An alert: what it watches, and whether it is raised."""

    alert: Annotated[Key, FieldRole.KEY]
    state: Annotated[AlertStanding, FieldRole.TRAIT]
    since: datetime | None
    """Since when it is raised; None while it is not."""
    question: Annotated[Key, FieldRole.TRAIT]
    parameters: Annotated[SafeText, FieldRole.TRAIT]
    figure: Annotated[SafeText, FieldRole.TRAIT]
    condition: Annotated[AlertCondition, FieldRole.TRAIT]
    threshold: Decimal
    days: int | None
    notify: tuple[Reference, ...]
    found: Decimal | None
    """The figure with which it was last raised, cleared or evaluated."""
    found_at: datetime | None
    """When that was; None where no evaluation has changed anything yet. One that finds an alert
    as it stood is no fact, but of a change since the last evaluation."""
    raised_times: int


class AlertHappening(Value):
    """An alert was raised or cleared, by which figure of which moment."""

    event_id: Annotated[UUID, FieldRole.KEY]
    alert: Annotated[Key, FieldRole.TRAIT]
    happening: Annotated[Literal["raised", "cleared"], FieldRole.TRAIT]
    at: datetime
    found: Decimal | None
    compared: Decimal | None
    as_of: datetime
    known_at: datetime
    evaluated_at: int
    """Where the log stood when it was evaluated."""
    position: int
    """The number of the event that says so."""


class AlertsView(View):
    """The alerts there are, and when they were raised and cleared, newest first."""

    population: ClassVar[str] = (
        "every alert defined by the as-of time, those retired only where asked for; as it was"
        " last evaluated by then"
    )
    formula: ClassVar[str] = (
        "raised = its condition was met when it was last evaluated, since it began to be met;"
        " an undefined figure meets none; rose by, fell by = against the figure so many days"
        " before, or of the last evaluation"
    )
    raised: int
    alerts: tuple[AlertLine, ...]
    history: tuple[AlertHappening, ...]
    history_total: int
    """How many there are in all, the listed ones included."""

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Lay the answer out: the alerts, then what happened to them."""
        zone = ZoneInfo(self.timezone)
        rows = tuple(
            (
                line.alert,
                in_language(line.state, language),
                _time(line.since, zone),
                line.question + ("" if line.parameters == "{}" else f" {line.parameters}"),
                line.figure,
                _condition(line, language),
                _found(line, zone, language),
                ", ".join(line.notify) or NO_VALUE,
            )
            for line in self.alerts
        )
        columns = (
            "Alert", "State", "Raised since", "Question", "Figure", "Condition",
            "Last recorded", "For",
        )  # fmt: skip
        alerts = TableOfView("Alerts", columns, rows, notes=(in_language(RECORDED, language),))
        return [alerts, self._history(zone, language)] if self.history else [alerts]

    def _history(self, zone: ZoneInfo, language: Language) -> TableOfView:
        rows = tuple(
            (
                _time(each.at, zone),
                each.alert,
                in_language(each.happening, language),
                _number(each.found),
                _number(each.compared),
                f"{each.position:,}",
            )
            for each in self.history
        )
        listed = (
            f"{in_language('listed', language)} {len(self.history):,}"
            f" · {in_language('in all', language)} {self.history_total:,}"
        )
        names = ("Time", "Alert", "What happened", "Found", "Compared with", "Event no.")
        return TableOfView("Raised and cleared", names, rows, notes=(listed,))


class Alerts(Question[AlertsView]):
    """Which alerts are there, and which are raised?"""

    name: ClassVar[str] = "alerts"
    folds: ClassVar[tuple[str, ...]] = (ALERT.name,)
    alert: Key | None = None
    """Only this alert (its key), also when it is retired; all when left out."""
    state: AlertStanding | None = None
    """Only alerts that stand so; all but the retired ones when left out."""
    limit: Limit = LISTED
    """How many times alerts were raised or cleared to list at most. Default: 50."""

    def answer(self, reader: Reader, moment: Moment) -> AlertsView:
        """Find the alerts by their table, and replay each.

        Raises:
            NotFoundError: when the alert asked about is not defined at the moment.
        """
        rows = reader.columns(ALERT)
        known = rows.cells("alert")
        if self.alert is not None and self.alert not in known:
            names = ", ".join(sorted(known)) or "none"
            raise NotFoundError(f"there is no alert {self.alert!r} then; there are {names}")
        rows = rows.where(rows.fitting({"alert": self.alert, "state": self.state}))
        if self.alert is None and self.state is None:
            rows = rows.where(rows.has("state", "clear", "raised"))
        streams = reader.streams(rows.cells("entity_id"))
        told = [_AlertHistory(events, reader) for events in streams.values()]
        told.sort(key=lambda each: each.alert.key)
        history = [happening for each in told for happening in each.happenings()]
        history.sort(key=lambda each: (each.at, each.position, each.event_id), reverse=True)
        lines = tuple(each.line() for each in told)
        return AlertsView(
            moment=moment,
            raised=sum(line.state == "raised" for line in lines),
            alerts=lines,
            history=tuple(history[: self.limit]),
            history_total=len(history),
        )


class _AlertHistory:
    """One alert, and what of its history counts."""

    def __init__(self, events: list[Event], reader: Reader) -> None:
        self.alert = AlertState(ReplayContext(reader.processes))
        history = believed(events, reader, of=Alert)
        self._history = [event for event in history if self.alert.evolve(event) is None]

    def line(self) -> AlertLine:
        alert = self.alert
        assert alert.watched is not None, "an alert that was defined watches something"
        found = [*self._evidence()]
        return AlertLine(
            alert=alert.key,
            state=alert.standing,
            since=None if alert.raised is None else from_instant(alert.raised.effective),
            question=alert.watched.question,
            parameters=alert.watched.parameters,
            figure=alert.watched.figure,
            condition=alert.condition,
            threshold=alert.threshold,
            days=alert.days,
            notify=alert.notify,
            found=found[-1][1].figure if found else None,
            found_at=from_instant(found[-1][0].effective) if found else None,
            raised_times=sum(isinstance(event.fact, AlertRaised) for event in self._history),
        )

    def happenings(self) -> Iterator[AlertHappening]:
        for event, evidence in self._evidence():
            if isinstance(event.fact, AlertEvaluated):
                continue
            yield AlertHappening(
                event_id=event.event_id,
                alert=self.alert.key,
                happening="raised" if isinstance(event.fact, AlertRaised) else "cleared",
                at=from_instant(event.effective),
                found=evidence.figure,
                compared=evidence.compared,
                as_of=evidence.as_of,
                known_at=evidence.known_at,
                evaluated_at=evidence.position,
                position=event.position,
            )

    def _evidence(self) -> Iterator[tuple[Event, AlertEvidence]]:
        for event in self._history:
            if isinstance(event.fact, AlertRaised | AlertCleared | AlertEvaluated):
                yield event, event.fact.evidence


def _condition(line: AlertLine, language: Language) -> str:
    said = f"{key_text(line.condition, language)} {_number(line.threshold)}"
    if line.days is None:
        return said
    days = say_count("{count:,} day", "{count:,} days", line.days, language)
    return f"{said} / {days}"


def _found(line: AlertLine, zone: ZoneInfo, language: Language) -> str:
    """Say what was last recorded of it: the figure, and when."""
    if line.found_at is None:
        return in_language("nothing yet", language)
    return f"{_number(line.found)} · {_time(line.found_at, zone)}"


def _number(figure: Decimal | None) -> str:
    return NO_VALUE if figure is None else f"{figure.normalize():,f}"


def _time(at: datetime | None, zone: ZoneInfo) -> str:
    return NO_VALUE if at is None else local_time(at, zone, exact=False)

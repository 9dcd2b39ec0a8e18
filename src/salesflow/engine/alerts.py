"""Alerts at work: whether what one watches is there, and what their figures are now.

    watched = watched_figure(flow, "deal-health", "counts[reason=stalled].deals")
    with flow.session(actor="ann") as s:
        s.add(Alert.define("stalled", watched=watched, condition="above", threshold="20"))
    evaluate_alerts(flow)                         # once, as a job does
    flow = SalesFlow(url, reactors=[alert_reactor(lambda: flow)])    # or with every fact

An evaluation records a fact where an alert is raised or cleared by it, and nothing where it
stands as before: evaluated twice of one state, by whomever, it is raised once. A replay never
evaluates. What changes by time alone, such as a deal that becomes overdue, is seen by the next
evaluation: a job that evaluates once a day sees to that. Nothing is sent.

A figure whose row is not in the answer is undefined and meets no condition; the evaluation says
so as its problem. A row that no answer can have is refused when the alert is defined.
"""

import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    NamedTuple,
)
from uuid import UUID

from salesflow.domain.alert import Alert, AlertEvidence, WatchedFigure, alert_id, evidence_of
from salesflow.domain.alike_names import perhaps
from salesflow.domain.catalogue import AGGREGATES
from salesflow.domain.event import Event, Fact
from salesflow.domain.values import shown
from salesflow.engine.processes import published_processes
from salesflow.engine.reactors import Reactor
from salesflow.engine.watched_figures import (
    NULL,
    FigureFound,
    RowNamed,
    figure_found,
    question_named,
    question_watched,
)
from salesflow.errors import InputError, SalesflowError
from salesflow.projections.alerts.alerts import Alerts
from salesflow.projections.core.question import Question, View

if TYPE_CHECKING:
    from salesflow.engine.flow import SalesFlow

__all__ = [
    "AlertEvaluation",
    "alert_reactor",
    "evaluate_alerts",
    "watched_figure",
]


ACTOR: Final = "alerts"


class AlertEvaluation(NamedTuple):
    """What an evaluation of an alert came to."""

    alert: str
    evidence: AlertEvidence | None
    """None where the question could not be answered; see `problem`."""
    raised: bool
    """Whether it is raised now."""
    changed: bool
    problem: str | None = None
    """Why nothing can be said: there was no answer, or the answer has no such row."""


def watched_figure(
    flow: "SalesFlow", question: str, figure: str, **parameters: object
) -> WatchedFigure:
    """Return a figure for an alert to watch, after it was asked for once.

    `figure` is a path in the answer as `to_dict()` gives it: names with dots between them, a
    row of a list by its keys, as in `counts[reason=stalled].deals`.

    Raises:
        InputError: when there is no such question, parameter or figure, with what there is;
            or when the figure is of a row that no answer can have.
    """
    given = json.dumps(parameters, default=_written, sort_keys=True)
    asked = question_named(question).model_validate_json(given)
    missing = figure_found(flow.ask(asked), figure).missing
    if missing is not None:
        _ensure_possible(flow, asked, missing)
    its = asked.model_dump(mode="json", exclude_defaults=True)
    written = json.dumps(its, ensure_ascii=False, sort_keys=True)
    return WatchedFigure(question=question, parameters=written, figure=figure)


def _ensure_possible(flow: "SalesFlow", asked: Question[View], missing: RowNamed) -> None:
    """Refuse a row that no answer can have: of a stage of no process, or a group of none."""
    keys = {key: value for key, value in missing.keys.items() if value not in NULL}
    by = getattr(asked, "by", None)
    if "group" in keys and by is None and "by" in type(asked).model_fields:
        raise InputError(
            f"{missing.sentence()}; groups there are with the parameter by alone, such as"
            " by=team"
        )
    process = keys.get("process") or getattr(asked, "process", None)
    named = {str(by): keys["group"]} if "group" in keys else {}
    for what in ("process", "stage"):
        key = {**named, **keys}.get(what)
        if key is None:
            continue
        known = [*_known(flow, what, process if what == "stage" else None)]
        if key not in known:
            raise InputError(
                f"there is no {what} {key!r}{perhaps(key, known)}; there are {', '.join(known)}"
            )


def _known(flow: "SalesFlow", what: str, process: str | None) -> Iterator[str]:
    """Yield the processes that were published, or the stages of all or one of them."""
    published = published_processes(flow)
    if what == "process":
        yield from (each.latest.key for each in published)
        return
    versions = [
        version
        for each in published
        if process in (None, each.latest.key)
        for version in each.versions.values()
    ]
    yield from dict.fromkeys(stage.key for each in versions for stage in each.stages)


def _written(value: object) -> str:
    """Write a value that JSON has no word for, as a question reads it."""
    if isinstance(value, date | UUID | Decimal):
        return str(value)
    raise InputError(f"{shown(value)} is no parameter of a question")


def evaluate_alerts(flow: "SalesFlow", *, only: str | None = None) -> list[AlertEvaluation]:
    """Evaluate every alert that stands, or one, and record which are raised and cleared.

    An alert whose question cannot be answered stays as it is, and says what the problem is.
    """
    lines = flow.ask(Alerts(alert=only)).alerts
    return [_evaluate(flow, line.alert) for line in lines if line.state != "retired"]


def alert_reactor(flow: "Callable[[], SalesFlow]", *, name: str = "alerts") -> Reactor:
    """Return a reactor that evaluates all alerts when anything but alerts is recorded.

    What was recorded before the last evaluation is not evaluated once more.
    """
    ours = set(Alert.facts)
    facts: list[type[Fact]] = [
        fact for kind in AGGREGATES for fact in kind.facts if fact not in ours
    ]
    done = [0]

    def act(event: Event) -> None:
        if event.position > done[0]:
            head = flow().log.head().position
            evaluate_alerts(flow())
            done[0] = head

    return Reactor(name, facts, act=act)


def _evaluate(flow: "SalesFlow", key: str) -> AlertEvaluation:
    alert = flow.get(Alert, alert_id(key))
    assert alert.watched is not None, "an alert that was defined watches something"
    was_raised = alert.raised is not None
    try:
        evidence, problem = _evidence(flow, alert)
    except SalesflowError as error:
        return AlertEvaluation(key, None, was_raised, changed=False, problem=str(error))

    def record(session: Any) -> None:  # noqa: ANN401 - a session, whose module imports this one
        session.get(Alert, alert_id(key)).evaluate(evidence)

    flow.run(record, actor=ACTOR)
    raised = flow.get(Alert, alert_id(key)).raised is not None
    return AlertEvaluation(key, evidence, raised, raised != was_raised, problem)


def _evidence(flow: "SalesFlow", alert: Alert) -> tuple[AlertEvidence, str | None]:
    """Return what was found, and why it is nothing where a row is not there."""
    watched = alert.watched
    assert watched is not None, "an alert that was defined watches something"
    question = question_watched(watched)
    view = flow.ask(question)
    compared = FigureFound(None)
    if alert.days is not None:
        then = view.moment.as_of - timedelta(days=alert.days)
        before = flow.ask(question, as_of=then, known_at=view.moment.known_at)
        compared = figure_found(before, watched.figure)
    found = figure_found(view, watched.figure)
    missing = (found.missing, "now"), (compared.missing, f"{alert.days} days before")
    problem = next((row.sentence(when) for row, when in missing if row is not None), None)
    moment = view.moment
    evidence = evidence_of(
        found.figure, compared.figure, moment.as_of, moment.known_at, moment.position
    )
    return evidence, problem

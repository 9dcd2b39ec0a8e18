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
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import BaseModel

from salesflow.domain.alert import Alert, AlertEvidence, WatchedFigure, alert_id, evidence_of
from salesflow.domain.catalogue import AGGREGATES
from salesflow.domain.event import Event, Fact
from salesflow.engine.reactors import Reactor
from salesflow.errors import InputError, SalesflowError
from salesflow.presentation.fields import FieldRole, bare, field_roles, is_record, item_of
from salesflow.projections.alerts.alerts import Alerts
from salesflow.projections.core.question import ENVELOPE, Question, View
from salesflow.projections.registry import QUESTIONS

if TYPE_CHECKING:
    from salesflow.engine.flow import SalesFlow

__all__ = [
    "AlertEvaluation",
    "alert_reactor",
    "evaluate_alerts",
    "figure_in",
    "watched_figure",
]


ACTOR: Final = "alerts"
STEP: Final = re.compile(r"([a-z_]+)(?:\[([^\[\]]*)\])?")
SHOWN_MOST: Final = 40
Path = list[tuple[str, Mapping[str, str]]]
"""Names of fields, and of lists what tells the row apart."""


class AlertEvaluation(NamedTuple):
    """What an evaluation of an alert came to."""

    alert: str
    evidence: AlertEvidence | None
    """None where the question could not be answered; see `problem`."""
    raised: bool
    """Whether it is raised now."""
    changed: bool
    problem: str | None = None


def watched_figure(
    flow: "SalesFlow", question: str, figure: str, **parameters: object
) -> WatchedFigure:
    """Return a figure for an alert to watch, after it was asked for once.

    `figure` is a path in the answer as `to_dict()` gives it: names with dots between them, a
    row of a list by its keys, as in `counts[reason=stalled].deals`.

    Raises:
        InputError: when there is no such question, parameter or figure, with what there is.
    """
    asked = _question(question, json.dumps(parameters, default=str, sort_keys=True))
    figure_in(flow.ask(asked), figure)
    given = asked.model_dump(mode="json", exclude_defaults=True)
    written = json.dumps(given, ensure_ascii=False, sort_keys=True)
    return WatchedFigure(question=question, parameters=written, figure=figure)


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
        evidence = _evidence(flow, alert)
    except SalesflowError as error:
        return AlertEvaluation(key, None, was_raised, changed=False, problem=str(error))

    def record(session: Any) -> None:  # noqa: ANN401 - a session, whose module imports this one
        session.get(Alert, alert_id(key)).evaluate(evidence)

    flow.run(record, actor=ACTOR)
    raised = flow.get(Alert, alert_id(key)).raised is not None
    return AlertEvaluation(key, evidence, raised, changed=raised != was_raised)


def _evidence(flow: "SalesFlow", alert: Alert) -> AlertEvidence:
    watched = alert.watched
    assert watched is not None, "an alert that was defined watches something"
    question = _question(watched.question, watched.parameters)
    view = flow.ask(question)
    compared = None
    if alert.days is not None:
        then = view.moment.as_of - timedelta(days=alert.days)
        before = flow.ask(question, as_of=then, known_at=view.moment.known_at)
        compared = figure_in(before, watched.figure)
    figure = figure_in(view, watched.figure)
    moment = view.moment
    return evidence_of(figure, compared, moment.as_of, moment.known_at, moment.position)


def _question(name: str, parameters: str) -> Question[View]:
    if name not in QUESTIONS:
        raise InputError(f"there is no question {name!r}; there are {', '.join(QUESTIONS)}")
    return QUESTIONS[name].model_validate_json(parameters)


# Figures of an answer, by their paths.


def figure_in(view: View, path: str) -> Decimal | None:
    """Return a figure of an answer; None where it is undefined, or its row is not there.

    Raises:
        InputError: when there is no such figure in answers of this kind, with those there are.
    """
    steps = _steps(path)
    _ensure_figure(type(view), steps, path)
    found: object = view
    for name, keys in steps:
        found = getattr(found, name)
        if keys:
            assert isinstance(found, tuple), "what has rows is a tuple"
            rows = [row for row in found if _has(row, keys)]
            if len(rows) > 1:
                raise InputError(
                    f"{path!r} names {len(rows)} rows; name all of their keys, as in"
                    f" {_example(type(rows[0]), name)}"
                )
            found = rows[0] if rows else None
        if found is None:
            return None
    assert isinstance(found, int | Decimal), "what was found to be a figure is a number"
    return Decimal(found)


def _steps(path: str) -> Path:
    steps: Path = []
    for part in re.split(r"\.(?![^\[]*\])", path):
        step = STEP.fullmatch(part)
        if step is None:
            raise InputError(
                f"{part!r} in {path!r} is no name of a figure; write names with dots between,"
                " and a row by its keys, as in counts[reason=stalled].deals"
            )
        pairs = [pair.partition("=") for pair in (step[2] or "").split(",") if pair.strip()]
        steps.append((step[1], {key.strip(): value.strip() for key, _, value in pairs}))
    return steps


def _ensure_figure(kind: type[BaseModel], steps: Path, path: str) -> None:
    """Refuse a path that leads to no number, whatever the answer holds."""
    at: object = kind
    for name, keys in steps:
        if not (isinstance(at, type) and is_record(at)) or name not in _fields(at):
            raise InputError(f"there is no figure {path!r}; there are {_listed(kind)}")
        assert isinstance(at, type)
        assert issubclass(at, BaseModel)
        at = bare(at.model_fields[name].annotation)
        item = item_of(at)
        if (item is not None) != bool(keys) or not _keys_fit(item, keys):
            raise InputError(
                f"{name!r} in {path!r} names no row; there are {_listed(kind)}"
                if item is not None
                else f"{name!r} in {path!r} has no rows; there are {_listed(kind)}"
            )
        at = item if item is not None else at
    if at not in (int, Decimal):
        raise InputError(f"{path!r} is no number; there are {_listed(kind)}")


def _fields(kind: type) -> Iterable[str]:
    assert issubclass(kind, BaseModel)
    return kind.model_fields.keys() - ENVELOPE


def _keys_fit(item: object, keys: Mapping[str, str]) -> bool:
    if not keys:
        return True
    return isinstance(item, type) and is_record(item) and set(keys) <= {*_fields(item)}


def _has(row: object, keys: Mapping[str, str]) -> bool:
    values = {key: getattr(row, key) for key in keys}
    return all(("" if it is None else str(it)) == keys[key] for key, it in values.items())


def _listed(kind: type[BaseModel]) -> str:
    paths = [*_paths(kind, 2)]
    more = f" and {len(paths) - SHOWN_MOST} more" if len(paths) > SHOWN_MOST else ""
    return ", ".join(paths[:SHOWN_MOST]) + more


def _paths(kind: type[BaseModel], deep: int) -> Iterator[str]:
    """Yield the figures of answers of a kind, those of rows with their keys."""
    for name in kind.model_fields:
        if name in ENVELOPE:
            continue
        found = bare(kind.model_fields[name].annotation)
        item = item_of(found)
        if found in (int, Decimal):
            yield name
        elif deep and item is None and isinstance(found, type) and is_record(found):
            yield from (f"{name}.{each}" for each in _paths(found, deep - 1))
        elif deep and isinstance(item, type) and is_record(item):
            yield from (f"{_example(item, name)}.{each}" for each in _paths(item, deep - 1))


def _example(item: type[BaseModel], name: str) -> str:
    roles = field_roles(item)
    keys = ",".join(f"{key}=…" for key, role in roles.items() if role is FieldRole.KEY)
    return f"{name}[{keys}]"

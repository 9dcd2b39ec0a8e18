"""What is told of an alert that was raised or cleared: the figure, the threshold, the moment.

    alert_message(flow.log, event)      # of an event with AlertRaised or AlertCleared

The fact itself holds the evidence alone. What was watched, by which condition and for whom is
looked up as it was known when the fact was recorded, so the same event always gives the same
message. The links give the answer in which the figure was found. A module of its own, since the
outbox knows facts and no questions.
"""

from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.projector.snapshot import settings_at
from salesflow.domain.alert import (
    Alert,
    AlertCleared,
    AlertEvidence,
    AlertRaised,
    AlertState,
    WatchedFigure,
)
from salesflow.domain.event import Event, believed_history
from salesflow.domain.state import ReplayContext
from salesflow.domain.time import DAY, Moment, to_instant
from salesflow.engine.permanent_links import permanent_link, question_parameters_shown
from salesflow.engine.watched_figures import question_watched
from salesflow.errors import InputError
from salesflow.presentation.format import NO_VALUE, local_time
from salesflow.presentation.messages import Language, key_text, say, say_count

__all__ = ["alert_message"]


HAPPENINGS: Final = {AlertRaised: "raised", AlertCleared: "cleared"}


def alert_message(
    log: EventLog, event: Event, *, link: str | None = None
) -> dict[str, Any] | None:
    """Return what is told of an alert, as plain JSON values; None of any other event.

    None as well where the alert cannot be looked up, as when its definition was retracted.
    """
    fact = event.fact
    if not isinstance(fact, AlertRaised | AlertCleared):
        return None
    alert = _known_then(log, event)
    watched, evidence = alert.watched, fact.evidence
    if watched is None:
        return None
    timezone = settings_at(log, event.recorded).timezone
    return {
        "alert": alert.key,
        "happening": HAPPENINGS[type(fact)],
        "question": watched.question,
        "figure": watched.figure,
        "condition": alert.condition,
        "threshold": _number(alert.threshold),
        "days": alert.days,
        "found": _number(evidence.figure),
        "compared": _number(evidence.compared),
        "as_of": evidence.as_of.isoformat(),
        "known_at": evidence.known_at.isoformat(),
        "position": evidence.position,
        "notify": [*alert.notify],
        **_asked(watched, evidence, alert.days, log.tenant, link),
        "text_en": _text(alert, fact, timezone, "en"),
        "text_zh": _text(alert, fact, timezone, "zh"),
    }


def _known_then(log: EventLog, event: Event) -> AlertState:
    """Return the alert as it was known when a fact of it was recorded."""
    history = believed_history(log.stream(event.stream_id), event.recorded)
    alert = AlertState(ReplayContext(), history[0] if history else None)
    Alert.evolve_all(alert, history)
    return alert


def _asked(
    watched: WatchedFigure,
    evidence: AlertEvidence,
    days: int | None,
    tenant: str,
    link: str | None,
) -> dict[str, Any]:
    """Return the parameters that were asked with, and what gives that answer again.

    Nothing but the parameters as they are stored where this program knows no such question.
    """
    try:
        question = question_watched(watched)
    except InputError:
        return {"parameters": watched.parameters, "links": []}
    as_of, known_at = to_instant(evidence.as_of), to_instant(evidence.known_at)
    moment = Moment.asked(as_of, known_at, evidence.position)
    compared = None
    if days is not None:
        compared = Moment.asked(as_of - days * DAY, known_at, evidence.position)
    found = permanent_link(question, moment, compared, tenant=tenant, template=link)
    return {
        "parameters": question_parameters_shown(question),
        "links": [{"of": "answer", **found}],
    }


def _number(figure: Decimal | None) -> str | None:
    return None if figure is None else f"{figure.normalize():f}"


def _text(
    alert: AlertState, fact: AlertRaised | AlertCleared, timezone: ZoneInfo, language: Language
) -> str:
    """Return what is told in a sentence."""
    evidence, watched = fact.evidence, alert.watched
    assert watched is not None, "an alert that was defined watches something"
    condition = f"{key_text(alert.condition, language)} {_number(alert.threshold)}"
    if alert.days is not None:
        days = say_count("{count:,} day", "{count:,} days", alert.days, language)
        condition = f"{condition} / {days}"
    sentence = (
        "Alert {alert} was raised: {question} {figure} is {found} ({condition}), as of {time}."
        if isinstance(fact, AlertRaised)
        else "Alert {alert} was cleared: {question} {figure} is {found} ({condition}), as of"
        " {time}."
    )
    return say(
        sentence,
        language,
        alert=alert.key,
        question=watched.question,
        figure=watched.figure,
        found=_number(evidence.figure) or NO_VALUE,
        condition=condition,
        time=local_time(evidence.as_of, timezone),
    )

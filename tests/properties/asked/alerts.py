"""Which alerts there are, and what replaying each of them says."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from oracle.alerts import alerts_at
from oracle.beliefs import Raw
from properties.asked.case import Case
from properties.world import instant
from salesflow.projections.alerts.alerts import Alerts, AlertsView

__all__ = ["ASKED", "CASE"]

ASKED = (Alerts(), Alerts(state="raised"), Alerts(state="retired"), Alerts(limit=1))


def said(view: AlertsView) -> dict[str, Any]:
    """Write the answer as the oracle does."""
    return {
        "raised": view.raised,
        "alerts": [
            (
                line.alert,
                line.state,
                None if line.since is None else instant(line.since),
                (line.question, line.figure, line.condition, line.threshold, line.days),
                line.found,
                None if line.found_at is None else instant(line.found_at),
                line.raised_times,
            )
            for line in view.alerts
        ],
        "history": [
            (
                *(each.alert, instant(each.at), str(each.event_id), each.happening),
                *(each.found, each.position),
            )
            for each in view.history
        ],
        "total": view.history_total,
    }


def wanted(raw: list[Raw], question: Alerts, as_of: int, known_at: int) -> dict[str, Any]:
    """Ask the oracle, and choose and sort what it finds."""
    states = ("clear", "raised") if question.state is None else (question.state,)
    found = [
        each
        for _, each in sorted(alerts_at(raw, as_of, known_at).items())
        if each["state"] in states
    ]
    history = [
        (each["key"], at, event, happening, _number(figure), position)
        for each in found
        for at, event, happening, figure, position in each["history"]
    ]
    history.sort(key=lambda told: (told[1], told[5]), reverse=True)
    return {
        "raised": sum(each["state"] == "raised" for each in found),
        "alerts": [
            (
                *(each["key"], each["state"], each["since"]),
                (*each["rule"][:3], Decimal(each["rule"][3]), each["rule"][4]),
                *(_number(each["found"]), each["found_at"], each["times"]),
            )
            for each in found
        ],
        "history": history[: question.limit],
        "total": len(history),
    }


def _number(figure: str | None) -> Decimal | None:
    return None if figure is None else Decimal(figure)


CASE = Case(st.sampled_from(ASKED), said, wanted)

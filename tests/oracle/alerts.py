"""Which alerts there are and which are raised, by replaying what is believed of each."""

from typing import Any

from oracle.beliefs import Raw, believed, effect_of, of_stream

__all__ = ["alerts_at"]


def alerts_at(events: list[Raw], as_of: int, known_at: int) -> dict[str, dict[str, Any]]:
    """Give every alert believed to be defined at a moment, by its key."""
    found = {}
    streams = {event["stream"] for event in events if event["kind"].startswith("alert.")}
    for stream in streams:
        alert: dict[str, Any] | None = None
        history = believed(of_stream(events, stream), known_at)
        for event in history:
            if effect_of(event) > as_of or event["occurred"] < history[0]["occurred"]:
                continue
            alert = _after(alert, event)
        if alert is not None:
            found[alert["key"]] = alert
    return found


def _after(alert: dict[str, Any] | None, event: Raw) -> dict[str, Any] | None:
    kind, fact = event["kind"], event["payload"]
    if alert is None:
        return {
            "key": fact["alert"],
            "rule": _rule(fact),
            "state": "clear",
            "since": None,
            "found": None,
            "found_at": None,
            "times": 0,
            "history": [],
        }
    if alert["state"] == "retired" or kind == "alert.defined":
        return alert
    if kind == "alert.retired":
        return {**alert, "state": "retired", "since": None}
    if kind == "alert.revised":
        return {**alert, "rule": _rule(fact), "state": "clear", "since": None}
    return _found(alert, event, kind.removeprefix("alert."))


def _found(alert: dict[str, Any], event: Raw, what: str) -> dict[str, Any]:
    """Say how it stands after a figure was found."""
    figure = event["payload"]["evidence"].get("figure")
    if what == "evaluated":
        return {**alert, "found": figure, "found_at": event["occurred"]}
    if (what == "raised") == (alert["state"] == "raised"):
        return alert
    told = (event["occurred"], event["event_id"], what, figure, event["position"])
    alert = {**alert, "found": figure, "found_at": event["occurred"]}
    alert["history"] = [*alert["history"], told]
    if what == "cleared":
        return {**alert, "state": "clear", "since": None}
    return {**alert, "state": "raised", "since": event["occurred"], "times": alert["times"] + 1}


def _rule(fact: dict[str, Any]) -> tuple[Any, ...]:
    watched = fact["watched"]
    return (
        *(watched["question"], watched["figure"], fact["condition"], fact["threshold"]),
        fact.get("days"),
    )

"""The contacts of one deal, naively: walk its believed history and write each of them down.

A contact carries what was true of the deal right behind it in the deal's history.
"""

from typing import Any

from oracle.beliefs import Raw
from oracle.deals import replay

__all__ = ["contacts_of"]


def contacts_of(
    events: list[Raw], stream: str, as_of: int, known_at: int
) -> list[dict[str, Any]]:
    """List the contacts that had happened by a moment, in the order of the deal's history."""
    found: list[dict[str, Any]] = []
    opening: Raw | None = None
    for event, state in replay(events, stream, known_at):
        opening = opening or event
        if event["occurred"] > as_of:
            continue
        if event["kind"] != "deal.contact_logged" or event["event_id"] in state["irregular"]:
            continue
        found.append(
            {
                "position": event["position"],
                "occurred": event["occurred"],
                "day_only": event["precision"] == "day",
                "channel": event["payload"].get("channel"),
                "direction": event["payload"].get("direction"),
                "process": state["process"],
                "process_version": state["process_version"],
                "stage": state["stage"],
                "owner": state["owner"],
                "customer": state["customer"],
                "lead_source": opening["payload"].get("lead_source"),
                "opened": opening["occurred"],
                "opened_day_only": opening["precision"] == "day",
            }
        )
    return found

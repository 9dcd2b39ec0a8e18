"""Writes a history down so that a person can follow why a property failed."""

import json

from oracle.beliefs import Raw

__all__ = ["shown"]

FOUNDED = 1_704_067_200_000_000


def shown(events: list[Raw]) -> str:
    """Give one line per event of a deal, times in microseconds since the history began."""
    names = {event["event_id"]: f"#{event['position']}" for event in events}
    lines = ["", "  pos  version     recorded     occurred  deal  what"]
    for event in events:
        if event["kind"].startswith(("process.", "settings.")):
            continue
        payload = json.dumps(event["payload"], ensure_ascii=False)
        for id, name in names.items():
            payload = payload.replace(id, name)
        lines.append(
            f"{event['position']:5} {event['version']:8}"
            f" {event['recorded'] - FOUNDED:12} {event['occurred'] - FOUNDED:12}"
            f"  …{event['stream'][-2:]}  {event['kind']} {payload}"
        )
    return "\n".join(lines)

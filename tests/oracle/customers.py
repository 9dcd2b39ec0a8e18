"""Who a customer is counted as at a moment, by replaying all that was believed of every one.

Written from the words of the specification: what lies before the registration counts for
nothing, nor does a second registration; while a merge stands, the deals of a customer count
for the one it was merged into, and on from there. Where entries were merged in a circle, all
of it is one customer, and the lowest id stands for it.
"""

from typing import Any

from oracle.beliefs import Raw, believed, of_stream

__all__ = ["customer_at", "customers_of", "since_at", "survivors_at"]


def customers_of(events: list[Raw]) -> list[str]:
    """Name every stream that says anything of a customer."""
    return sorted({e["stream"] for e in events if e["kind"].startswith("customer.")})


def customer_at(
    events: list[Raw], stream: str, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Say what is true of a customer; None where it is not registered at the moment."""
    history = believed(of_stream(events, stream), known_at)
    if not history or history[0]["occurred"] > as_of:
        return None
    known = history[0]["payload"]
    found = {name: known.get(name) for name in ("customer_since", "segment", "region")}
    found |= {"standing": "prospect", "merged_into": None}
    for event in history:
        if not history[0]["occurred"] <= event["occurred"] <= as_of:
            continue
        if event["kind"] == "customer.qualified" and found["standing"] != "loyal":
            found["standing"] = "qualified"
        elif event["kind"] == "customer.marked_loyal":
            found["standing"] = "loyal"
        elif event["kind"] == "customer.merged":
            found["merged_into"] = event["payload"]["into"]
        elif event["kind"] == "customer.unmerged":
            found["merged_into"] = None
    return found


def survivors_at(events: list[Raw], as_of: int, known_at: int) -> dict[str, str]:
    """Give for every customer that was ever told of the one it counts as."""
    into: dict[str, str] = {}
    for stream in customers_of(events):
        found = customer_at(events, stream, as_of, known_at)
        if found is not None and found["merged_into"] is not None:
            into[stream] = found["merged_into"]
    return {stream: _end(stream, into) for stream in {*customers_of(events), *into.values()}}


def _end(stream: str, into: dict[str, str]) -> str:
    way = [stream]
    while way[-1] in into:
        after = into[way[-1]]
        if after in way:
            return min(way[way.index(after) :])
        way.append(after)
    return way[-1]


def since_at(events: list[Raw], as_of: int, known_at: int) -> dict[str, str]:
    """Give the earliest `customer_since` of all entries that count as one customer."""
    found: dict[str, str] = {}
    for stream, survivor in survivors_at(events, as_of, known_at).items():
        known = customer_at(events, stream, as_of, known_at)
        if known is not None and known["customer_since"] is not None:
            since = known["customer_since"]
            found[survivor] = min(since, found.get(survivor, since))
    return found

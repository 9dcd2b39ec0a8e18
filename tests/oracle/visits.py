"""The way of one deal through its stages: replayed, with a new step wherever its place changed.

A step is a dict: position of the event that began it, when, precision of that event, outcome,
process, version, stage (None where it is no visit to any), how it was entered, owner, amount,
and `end`, the start of the next step or None behind the last. Steps planned or happened after
a moment are left out by `way_at`, which also forgets the ends that lie ahead.
"""

from typing import Any

from oracle.beliefs import Raw, effect_of
from oracle.deals import State, processes_of, replay

__all__ = ["Step", "category_of", "deals_way", "order_of", "way_at"]

Step = dict[str, Any]
BY_THEMSELVES = {
    "deal.opened": "opened",
    "deal.migrated": "migrated",
    "deal.merged": "merged",
    "deal.unmerged": "unmerged",
    "deal.reopened": "reopened",
}


def way_at(events: list[Raw], stream: str, as_of: int, known_at: int) -> list[Step]:
    """Give the steps a deal had begun by a moment."""
    steps = [step for step in deals_way(events, stream, known_at) if step["at"] <= as_of]
    for step in steps:
        if step["end"] is not None and step["end"] > as_of:
            step["end"] = None
    return steps


def deals_way(events: list[Raw], stream: str, known_at: int) -> list[Step]:
    """Give every step of a deal as believed, in order, whenever it lies."""
    processes = processes_of(events)
    steps: list[Step] = []
    before: State | None = None
    for event, after in replay(events, stream, known_at):
        place = _place(after, processes)
        if not steps or place != steps[-1]["place"]:
            if steps:
                steps[-1]["end"] = effect_of(event)
            steps.append(_step(event, before, after, place, processes))
        before = after
    return steps


def category_of(
    processes: dict[tuple[str, int], Any], process: tuple[str, int], stage: str
) -> str:
    """Give a stage's category under a process version; an unknown one is open."""
    for each in processes.get(process, {}).get("stages", []):
        if each["key"] == stage:
            return str(each.get("category", "open"))
    return "open"


def order_of(
    processes: dict[tuple[str, int], Any], process: tuple[str, int], stage: str
) -> int | None:
    """Give the place of a stage in a process version; None for an unknown one."""
    for number, each in enumerate(processes.get(process, {}).get("stages", [])):
        if each["key"] == stage:
            return number
    return None


def _place(state: State, processes: dict[tuple[str, int], Any]) -> tuple[Any, ...]:
    standing, under = state["standing"], (state["process"], state["process_version"])
    if standing == "open":
        return (standing, state["process"], state["stage"])
    if standing == "won" and category_of(processes, under, state["stage"]) != "open":
        return (standing, state["process"], state["stage"])
    return (standing,)


def _step(
    event: Raw,
    before: State | None,
    after: State,
    place: tuple[Any, ...],
    processes: dict[tuple[str, int], Any],
) -> Step:
    return {
        "begun": event["position"],
        "at": effect_of(event),
        "end": None,
        "day_only": event["precision"] == "day",
        "outcome": after["standing"],
        "process": after["process"],
        "version": after["process_version"],
        "stage": place[2] if len(place) > 1 else None,
        "entered": _entered(event, before, after, processes),
        "owner": after["owner"],
        "amount": after["amount"],
        "customer": after["customer"],
        "place": place,
    }


def _entered(
    event: Raw, before: State | None, after: State, processes: dict[tuple[str, int], Any]
) -> str:
    if event["kind"] in BY_THEMSELVES:
        return BY_THEMSELVES[event["kind"]]
    assert before is not None
    if before["outcome"] != after["outcome"]:
        return str(after["outcome"])
    under = (after["process"], after["process_version"])
    keys = [stage["key"] for stage in processes[under]["stages"]]
    left = keys.index(before["stage"]) if before["stage"] in keys else -1
    target = keys.index(after["stage"]) if after["stage"] in keys else -1
    if target <= left:
        return "returned"
    if left == -1:
        return "advanced"
    wanted = category_of(processes, under, after["stage"])
    passed = [
        key for key in keys[left + 1 : target] if category_of(processes, under, key) == wanted
    ]
    return "skipped" if passed else "advanced"

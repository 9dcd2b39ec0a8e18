"""Two versions of a process and who stands on them, naively: compared key by key, walked."""

from itertools import pairwise
from typing import Any

from oracle.beliefs import Raw, effect_of
from oracle.deals import deal_at, deals_of, processes_of, replay

__all__ = ["changes_between", "process_at"]


def process_at(
    events: list[Raw],
    process: str | None,
    versions: tuple[int | None, int | None],
    as_of: int,
    known_at: int,
) -> dict[str, Any] | None:
    """Say what differs between two versions, and which deals stand on which."""
    deals = {s: deal_at(events, s, as_of, known_at) for s in deals_of(events)}
    there = {stream: deal for stream, deal in deals.items() if deal is not None}
    if process is None:
        counts: dict[str, int] = {}
        for deal in there.values():
            if deal["standing"] == "open":
                counts[deal["process"]] = counts.get(deal["process"], 0) + 1
        keys = counts or {key: 0 for key, _ in processes_of(events)}
        process = min(keys, key=lambda key: (-keys[key], key))
    heard = [event for event in events if event["recorded"] <= known_at]
    known = {n: version for (key, n), version in processes_of(heard).items() if key == process}
    if not known or any(each is not None and each not in known for each in versions):
        return None
    open_deals = [deal for deal in there.values() if deal["process"] == process]
    counts_of = {
        number: (
            len([d for d in open_deals if _on(d, number) and d["standing"] == "open"]),
            len([d for d in open_deals if _on(d, number) and d["standing"] != "open"]),
            *_in_and_out(events, there, process, number, as_of, known_at),
        )
        for number in sorted(known)
    }
    published = _published(heard, process, as_of)
    numbers = [n for n in counts_of if n in published or any(counts_of[n])] or [*counts_of]
    chosen = sorted(published) or numbers
    newer = chosen[-1] if versions[1] is None else versions[1]
    earlier = [n for n in (chosen if newer in chosen else sorted(known)) if n < newer]
    older = (earlier or [newer])[-1] if versions[0] is None else versions[0]
    moves = [
        move for stream in there for move in {*_moves(events, stream, process, as_of, known_at)}
    ]
    return {
        "process": process,
        "both": (older, newer),
        "changes": changes_between(known[older], known[newer]),
        "migrated": (moves.count((older, newer)), moves.count((newer, older))),
        "versions": {
            number: (number in published, *counts)
            for number, counts in counts_of.items()
            if number in {*numbers, older, newer}
        },
        "stages": {
            stage["key"]: tuple(
                len(
                    [
                        d
                        for d in open_deals
                        if _on(d, number)
                        and d["standing"] == "open"
                        and d["stage"] == stage["key"]
                    ]
                )
                for number in (older, newer)
            )
            for version in (known[older], known[newer])
            for stage in version["stages"]
        },
    }


def _published(events: list[Raw], process: str, as_of: int) -> set[int]:
    """Give the versions of a process that had been published by then."""
    found: dict[int, int] = {}
    for event in events:
        of = event["payload"].get("process") if event["kind"] == "process.published" else None
        if of is not None and of["key"] == process:
            found.setdefault(of.get("version", 1), event["occurred"])
    return {number for number, occurred in found.items() if occurred <= as_of}


def _on(deal: dict[str, Any], number: int) -> bool:
    return bool(deal["process_version"] == number)


def _path(events: list[Raw], stream: str, as_of: int, known_at: int) -> list[tuple[str, int]]:
    """Give under which versions a deal stood, one for each instant."""
    at: dict[int, tuple[str, int]] = {}
    for event, state in replay(events, stream, known_at):
        if max(effect_of(event), event["occurred"]) <= as_of:
            at[effect_of(event)] = (state["process"], state["process_version"])
    return [at[instant] for instant in sorted(at)]


def _moves(
    events: list[Raw], stream: str, process: str, as_of: int, known_at: int
) -> list[tuple[int, int]]:
    return [
        (left[1], entered[1])
        for left, entered in pairwise(_path(events, stream, as_of, known_at))
        if left != entered and left[0] == entered[0] == process
    ]


def _in_and_out(
    events: list[Raw],
    deals: dict[str, Any],
    process: str,
    number: int,
    as_of: int,
    known_at: int,
) -> tuple[int, int]:
    came = went = 0
    for stream in deals:
        steps = [
            step
            for step in pairwise(_path(events, stream, as_of, known_at))
            if step[0] != step[1]
        ]
        came += any(step[1] == (process, number) for step in steps)
        went += any(step[0] == (process, number) for step in steps)
    return came, went


def changes_between(before: dict[str, Any], after: dict[str, Any]) -> set[tuple[Any, ...]]:
    """Compare two versions key by key; which stages moved is not said."""
    found: set[tuple[Any, ...]] = set()
    old, new = ({s["key"]: s for s in v["stages"]} for v in (before, after))
    for key in {*old, *new}:
        if key not in old:
            found.add(("stage_added", key, None))
        elif key not in new:
            found.add(("stage_removed", key, None))
        else:
            found |= _stage(key, old[key], new[key])
    found |= _labels("reason", None, before, after, "loss_reasons")
    for name, kind, usual in (
        ("qualifying_stage", "qualifying_stage_changed", None),
        ("skipping_allowed", "skipping_changed", True),
        ("returning_allowed", "returning_changed", True),
    ):
        if before.get(name, usual) != after.get(name, usual):
            found.add((kind, None, None))
    if (before["name_en"], before["name_zh"]) != (after["name_en"], after["name_zh"]):
        found.add(("process_renamed", None, None))
    return found


def _stage(key: str, old: dict[str, Any], new: dict[str, Any]) -> set[tuple[Any, ...]]:
    found: set[tuple[Any, ...]] = set()
    for name, kind, usual in (
        ("category", "category_changed", "open"),
        ("forecast_category", "forecast_category_changed", "pipeline"),
        ("max_days", "limit_changed", None),
    ):
        if old.get(name, usual) != new.get(name, usual):
            found.add((kind, key, None))
    if float(old["probability"]) != float(new["probability"]):
        found.add(("probability_changed", key, None))
    if (old["name_en"], old["name_zh"]) != (new["name_en"], new["name_zh"]):
        found.add(("stage_renamed", key, None))
    was, now = ({*stage.get("exit_criteria", [])} for stage in (old, new))
    found |= {("criterion_added", key, each) for each in now - was}
    found |= {("criterion_removed", key, each) for each in was - now}
    found |= _labels("task", key, old, new, "tasks")
    kpis = [{k["metric"]: k.get("target") for k in s.get("kpis", [])} for s in (old, new)]
    found |= {("figure_added", key, each) for each in {*kpis[1]} - {*kpis[0]}}
    found |= {("figure_removed", key, each) for each in {*kpis[0]} - {*kpis[1]}}
    found |= {
        ("target_changed", key, each)
        for each in {*kpis[0]} & {*kpis[1]}
        if kpis[0][each] != kpis[1][each]
    }
    return found


def _labels(
    what: str, stage: str | None, old: dict[str, Any], new: dict[str, Any], field: str
) -> set[tuple[Any, ...]]:
    was, now = ({each["key"]: each for each in side.get(field, [])} for side in (old, new))
    found = {(f"{what}_added", stage, key) for key in {*now} - {*was}}
    found |= {(f"{what}_removed", stage, key) for key in {*was} - {*now}}
    found |= {(f"{what}_renamed", stage, k) for k in {*was} & {*now} if was[k] != now[k]}
    return found

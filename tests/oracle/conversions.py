"""Conversion in one period: every deal's way walked for every stage, and counted with loops."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from oracle.beliefs import Raw
from oracle.deals import deals_of, processes_of
from oracle.periods import period_before, period_of
from oracle.stage_times import known_process
from oracle.visits import Step, category_of, order_of, way_at

__all__ = ["conversion_in", "conversion_of"]

Key = tuple[str, str]
Span = tuple[int, int]
Wanted = Callable[[Step], bool]
Processes = dict[tuple[str, int], Any]
FORWARD = ("advanced", "skipped", "won")
EXITS = (*FORWARD, "returned", "reopened", "lost", "disqualified")
ENTRIES = ("opened", "advanced", "skipped", "returned", "reopened", "won")


def conversion_in(
    events: list[Raw],
    as_of: int,
    known_at: int,
    *,
    first: date | None,
    after: date | None,
    process: str | None,
    owner: str | None,
) -> dict[str, Any] | None:
    """Answer in plain dicts; None where nothing is known of the process."""
    every = {stream: way_at(events, stream, as_of, known_at) for stream in deals_of(events)}
    every = {stream: way for stream, way in every.items() if way}
    if not known_process(events, every, process, known_at):
        return None
    period = period_of(first, after, as_of)
    before = period_before(first, after, as_of)

    def wanted(step: Step) -> bool:
        return process in (None, step["process"]) and owner in (None, step["owner"])

    processes = processes_of(events)
    ways = [way for way in every.values() if way[-1]["outcome"] != "merged"]
    listed = [key for key in _listed(ways, processes) if process in (None, key[0])]
    return {
        "period": period,
        "before": before,
        "listed": listed,
        "stages": {key: conversion_of(key, ways, period, wanted, processes) for key in listed},
        "stages_before": {
            key: conversion_of(key, ways, before, wanted, processes) for key in listed
        },
        "reach": {
            key: found
            for key in listed
            if (found := _reach(key, ways, period, wanted, processes)) is not None
        },
        "transitions": _transitions(ways, period, wanted),
    }


def _listed(ways: list[list[Step]], processes: Processes) -> list[Key]:
    steps = [step for way in ways for step in way]
    found: list[Key] = []
    for process in sorted({step["process"] for step in steps}):
        newest = max(step["version"] for step in steps if step["process"] == process)
        own = [
            stage["key"]
            for stage in processes[process, newest]["stages"]
            if stage.get("category", "open") not in ("lost", "disqualified")
        ]
        visited = {step["stage"] for step in steps if step["process"] == process} - {None}
        found += [(process, stage) for stage in [*own, *sorted(visited - set(own))]]
    return found


def _enters(step: Step, key: Key) -> bool:
    return (step["process"], step["stage"]) == key and step["entered"] in ENTRIES


def conversion_of(
    key: Key, ways: list[list[Step]], span: Span, wanted: Wanted, processes: Processes
) -> dict[str, Any]:
    """Say what became of the deals that entered a stage in a span, and count its entries."""
    told: dict[str, list[Step]] = {
        "entered": [], "moved_on": [], "left": [], "still_there": [],
        "entries": [], "entries_later": [],
    }  # fmt: skip
    for way in ways:
        mine = [
            number
            for number, step in enumerate(way)
            if _enters(step, key) and span[0] <= step["at"] < span[1] and wanted(step)
        ]
        told["entries"] += [way[number] for number in mine]
        if mine:
            told["entered"].append(way[mine[0]])
            told[_became(way, mine[0], processes)].append(way[mine[0]])
        for step, end in pairwise(way):
            left = (step["process"], step["stage"]) == key and end["entered"] in FORWARD
            then = {**end, "process": step["process"]}
            if left and span[0] <= end["at"] < span[1] and wanted(then):
                told["entries_later"].append(end)
    return {
        "counts": {what: len(steps) for what, steps in told.items()},
        "to_date": _ratio(len(told["moved_on"]), len(told["entered"])),
        "resolved": _ratio(len(told["moved_on"]), len(told["moved_on"] + told["left"])),
        "in_period": _ratio(len(told["entries_later"]), len(told["entries"])),
        "values": _values(told),
    }


def _became(way: list[Step], number: int, processes: Processes) -> str:
    names = [way[number]]
    for step in way[number + 1 :]:
        if step["entered"] != "migrated":
            break
        names.append(step)
    for step in way[number + len(names) :]:
        won = step["outcome"] == "won" and "won" in (step["entered"], _not(way[number]))
        if won or any(_is_later(step, name, processes) for name in names):
            return "moved_on"
    return "still_there" if _stands(way, way[number]) else "left"


def _stands(way: list[Step], where: Step) -> bool:
    """Go back over migrations from the end to see whether it is where it came to then."""
    for step in reversed(way):
        if step["stage"] is None:
            return False
        if (step["process"], step["stage"]) == (where["process"], where["stage"]):
            return True
        if step["entered"] != "migrated":
            return False
    return False


def _not(step: Step) -> str:
    """Say won of a step that was not: for it any win that follows is one."""
    return "" if step["outcome"] == "won" else "won"


def _is_later(entry: Step, name: Step, processes: Processes) -> bool:
    if entry["process"] != name["process"] or entry["entered"] not in ENTRIES:
        return False
    for version in (entry["version"], name["version"]):
        here = order_of(processes, (name["process"], version), name["stage"])
        there = order_of(processes, (name["process"], version), entry["stage"])
        if here is not None and there is not None:
            return there > here
    return False


def _values(told: dict[str, list[Step]]) -> dict[str, Any]:
    currencies = {
        step["amount"][1] for steps in told.values() for step in steps if step["amount"]
    }
    found = {}
    for currency in currencies:
        sums = {what: _sum(steps, currency) for what, steps in told.items()}
        resolved = sums["moved_on"] + sums["left"]
        found[currency] = (
            sums["entered"], sums["moved_on"], sums["left"],
            _ratio(sums["moved_on"], sums["entered"]), _ratio(sums["moved_on"], resolved),
            sums["entries"], sums["entries_later"],
            _ratio(sums["entries_later"], sums["entries"]),
        )  # fmt: skip
    return found


def _sum(steps: list[Step], currency: str) -> Decimal:
    total = Decimal(0)
    for step in steps:
        if step["amount"] and step["amount"][1] == currency:
            total += step["amount"][0]
    return total


def _ratio(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    if whole == 0:
        return None
    exact = Fraction(part) / Fraction(whole)
    return Decimal(exact.numerator) / Decimal(exact.denominator)


def _reach(
    key: Key, ways: list[list[Step]], span: Span, wanted: Wanted, processes: Processes
) -> tuple[Any, ...] | None:
    told: dict[str, list[Step]] = {"created": [], "entered": [], "reached": []}
    for way in ways:
        opening = way[0]
        mine = opening["process"] == key[0] and wanted(opening)
        if not mine or not span[0] <= opening["at"] < span[1]:
            continue
        told["created"].append(opening)
        if any(_enters(step, key) for step in way):
            told["entered"].append(opening)
        if any(_passes(step, key, processes) for step in way):
            told["reached"].append(opening)
    if not told["created"]:
        return None
    currencies = {step["amount"][1] for step in told["created"] if step["amount"]}
    values = {
        currency: tuple(_sum(steps, currency) for steps in told.values())
        for currency in currencies
    }
    return (*(len(steps) for steps in told.values()), values)


def _passes(step: Step, key: Key, processes: Processes) -> bool:
    """Say whether a deal in this step has come to a stage, by the version of the step."""
    if step["process"] != key[0]:
        return False
    under = (step["process"], step["version"])
    place = order_of(processes, under, key[1])
    category = category_of(processes, under, key[1])
    if step["outcome"] == "won" and place is not None and category == "open":
        return True
    if step["stage"] is None:
        return False
    if step["stage"] == key[1]:
        return True
    stands = order_of(processes, under, step["stage"])
    if place is None or stands is None or place > stands:
        return False
    return category in ("open", category_of(processes, under, step["stage"]))


def _transitions(
    ways: list[list[Step]], span: Span, wanted: Wanted
) -> dict[tuple[Any, ...], tuple[int, int]]:
    found: dict[tuple[Any, ...], int] = {}
    totals: dict[Key, int] = {}
    for way in ways:
        for step, end in pairwise(way):
            if step["stage"] is None or end["entered"] not in EXITS:
                continue
            if not span[0] <= end["at"] < span[1]:
                continue
            if not wanted({**end, "process": step["process"]}):
                continue
            kind = "returned" if end["entered"] == "reopened" else end["entered"]
            key = (step["process"], step["stage"])
            exit_ = (*key, kind, end["stage"] or end["outcome"])
            found[exit_] = found.get(exit_, 0) + 1
            totals[key] = totals.get(key, 0) + 1
    return {exit_: (count, totals[exit_[0], exit_[1]]) for exit_, count in found.items()}

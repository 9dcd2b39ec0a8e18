"""Stage times at one moment: every visit of every deal written down, sorted and counted."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from oracle.beliefs import Raw
from oracle.deals import deal_at, deals_of, processes_of
from oracle.visits import Step, way_at

__all__ = ["known_process", "stage_times_at"]

DAY = 24 * 60 * 60 * 1_000_000
CAUSES = ("moved", "won", "lost", "disqualified")
CLOSED = ("lost", "disqualified", "merged")
Spell = tuple[int, str | None]
Visit = tuple[str, Step, int, str | None]
"""Whose, the step, how long, what ended it."""


def stage_times_at(
    events: list[Raw],
    as_of: int,
    known_at: int,
    *,
    process: str | None,
    owner: str | None,
    start: str | None,
    days: tuple[int, ...],
    deal: str | None,
) -> dict[str, Any] | None:
    """Answer in plain dicts; None where what is asked for is not there."""
    ways = {}
    for stream in deals_of(events):
        way = way_at(events, stream, as_of, known_at)
        if way and deal in (None, stream):
            ways[stream] = way
    there = (
        ways or deal is None,
        known_process(events, ways, process, known_at),
        _known_start(events, ways, process, start),
    )
    if not all(there):
        return None

    def wanted(step: Step) -> bool:
        return process in (None, step["process"]) and owner in (None, step["owner"])

    stalled = _all_stalled(events, ways, as_of, known_at, wanted)
    visits = _all_visits(ways, as_of, wanted)
    ending: dict[str, list[Spell]] = {}
    for way in ways.values():
        first = _first(way, start)
        if first is not None and wanted(first):
            ending.setdefault(first["process"], []).append(_ending(way, first, as_of))
    return {
        "stages": {
            key: _stage(found, [s for s in stalled if s[1] == key])
            for key, found in visits.items()
        },
        "stalled": stalled,
        "leaving": {
            key: _estimate([(lasted, cause) for _, __, lasted, cause in found], days)
            for key, found in visits.items()
        },
        "ending": {key: _estimate(spells, days) for key, spells in ending.items()},
        "deals": [_spent(stream, way, as_of) for stream, way in ways.items() if deal],
    }


def _all_stalled(
    events: list[Raw],
    ways: dict[str, list[Step]],
    as_of: int,
    known_at: int,
    wanted: Callable[[Step], bool],
) -> list[tuple[Any, ...]]:
    stalled = []
    for stream, way in ways.items():
        found = _stalled(events, stream, way[-1], as_of, known_at)
        if found is not None and wanted({**way[-1], "owner": found[4]}):
            stalled.append(found)
    return sorted(stalled, key=lambda one: (-one[2], one[0]))


def _all_visits(
    ways: dict[str, list[Step]], as_of: int, wanted: Callable[[Step], bool]
) -> dict[tuple[str, str], list[Visit]]:
    visits: dict[tuple[str, str], list[Visit]] = {}
    for stream, way in ways.items():
        for number, step in enumerate(way):
            after = way[number + 1] if number + 1 < len(way) else None
            if step["stage"] is not None and wanted(step):
                one = (stream, step, _lasted(step, after, as_of), _cause(after))
                visits.setdefault((step["process"], step["stage"]), []).append(one)
    return visits


def known_process(
    events: list[Raw], ways: dict[str, list[Step]], process: str | None, known_at: int
) -> bool:
    """Say whether a process can be asked for: used, published by then, or nothing is there."""
    used = {step["process"] for way in ways.values() for step in way}
    known = [event for event in events if event["recorded"] <= known_at]
    published = {key for key, _ in processes_of(known)}
    return process is None or not used or process in used | published


def _known_start(
    events: list[Raw], ways: dict[str, list[Step]], process: str | None, start: str | None
) -> bool:
    stages, processes = [], processes_of(events)
    for way in ways.values():
        for step in way:
            if process in (None, step["process"]):
                stages += processes[step["process"], step["version"]]["stages"]
    named = {stage["key"] for stage in stages if stage.get("category", "open") == "open"}
    return start is None or not stages or start in named


def _stalled(
    events: list[Raw], stream: str, step: Step, as_of: int, known_at: int
) -> tuple[Any, ...] | None:
    state = deal_at(events, stream, as_of, known_at)
    assert state is not None
    if step["stage"] is None:
        return None
    under = processes_of(events)[state["process"], state["process_version"]]
    for stage in under["stages"]:
        longest = stage.get("max_days")
        if stage["key"] == step["stage"] and longest and as_of - step["at"] > longest * DAY:
            stood = Decimal(as_of - step["at"]) / DAY
            key = (step["process"], step["stage"])
            return (stream, key, stood, longest, state["owner"], step["at"])
    return None


def _lasted(step: Step, after: Step | None, as_of: int) -> int:
    """Count calendar days (of UTC) between two days, else what has passed."""
    if after is None:
        return int(as_of - step["at"])
    if step["day_only"] and after["day_only"]:
        return int(after["at"] // DAY - step["at"] // DAY) * DAY
    return int(after["at"] - step["at"])


def _cause(after: Step | None) -> str | None:
    if after is None or after["entered"] in ("merged", "migrated"):
        return None
    return after["entered"] if after["entered"] in CAUSES else "moved"


def _first(way: list[Step], start: str | None) -> Step | None:
    for step in way:
        if start is None or (step["stage"] == start and step["outcome"] == "open"):
            return step
    return None


def _ending(way: list[Step], first: Step, as_of: int) -> Spell:
    """Go back from the end while the deal stood as it stands, merged or not."""
    last = way[-1]["outcome"]
    if last == "open":
        return _lasted(first, None, as_of), None
    if last == "merged":
        number = len(way) - 1
        while number and way[number - 1]["outcome"] != "open":
            number -= 1
        return _lasted(first, way[number], as_of), None
    number = best = len(way) - 1
    while number >= 0 and way[number]["outcome"] in (last, "merged"):
        if way[number]["outcome"] == last:
            best = number
        number -= 1
    return _lasted(first, way[best], as_of), last


def _stage(found: list[Visit], stalled: list[Any]) -> tuple[Any, ...]:
    latest: dict[str, int] = {}
    together: dict[str, int] = {}
    for stream, _, lasted, __ in found:
        latest[stream] = lasted
        together[stream] = together.get(stream, 0) + lasted
    goes_on = [step for _, step, __, ___ in found if step["end"] is None]
    spreads = (_spread(list(latest.values())), _spread(list(together.values())))
    return (len(latest), len(found), len(goes_on), *spreads, len(stalled))


def _spread(times: list[int]) -> tuple[Decimal, Decimal, Decimal]:
    times.sort()
    total = Fraction(sum(times), len(times))
    return tuple(_decimal(number / DAY) for number in (_at(times, 50), total, _at(times, 90)))  # type: ignore[return-value]


def _at(times: list[int], percent: int) -> Fraction:
    """Walk so many hundredths of the way from the first to the last, in even steps."""
    place = Fraction(percent * (len(times) - 1), 100)
    low = place.numerator // place.denominator
    if low == len(times) - 1:
        return Fraction(times[low])
    return times[low] * (low + 1 - place) + times[low + 1] * (place - low)


def _estimate(spells: list[Spell], days: tuple[int, ...]) -> tuple[Any, ...]:
    counts = [sum(1 for _, cause in spells if cause == name) for name in CAUSES]
    median = None
    for time in sorted({time for time, cause in spells if cause is not None}):
        if median is None and _lasting(spells, time) <= Fraction(1, 2):
            median = _decimal(Fraction(time, DAY))
    rows = []
    for number in sorted(set(days)):
        time = number * DAY
        at_risk = sum(1 for lasted, _ in spells if lasted >= time)
        chances: tuple[Decimal | None, ...] = (None,) * 5
        if at_risk or _lasting(spells, time) == 0:
            shares = [_incidence(spells, time, cause) for cause in CAUSES]
            chances = tuple(map(_decimal, [_lasting(spells, time), *shares]))
        rows.append((number, at_risk, *chances))
    return (len(spells), *counts, median, rows)


def _lasting(spells: list[Spell], time: int) -> Fraction:
    """Multiply, over the times at which some ended, the share of those at risk that did not."""
    product = Fraction(1)
    for ended in sorted({t for t, cause in spells if cause is not None and t <= time}):
        at_risk = sum(1 for t, _ in spells if t >= ended)
        ending = sum(1 for t, cause in spells if t == ended and cause is not None)
        product *= 1 - Fraction(ending, at_risk)
    return product


def _incidence(spells: list[Spell], time: int, cause: str) -> Fraction:
    """Add up, over the times, the share still there just before x the share that then ended."""
    total = Fraction(0)
    for ended in sorted({t for t, each in spells if each == cause and t <= time}):
        at_risk = sum(1 for t, _ in spells if t >= ended)
        ending = sum(1 for t, each in spells if t == ended and each == cause)
        total += _lasting(spells, ended - 1) * Fraction(ending, at_risk)
    return total


def _spent(stream: str, way: list[Step], as_of: int) -> tuple[Any, ...]:
    last = way[-1]["at"] if way[-1]["outcome"] in CLOSED else as_of
    visits = closed = 0
    for step in way:
        lasted = (last if step["end"] is None else step["end"]) - step["at"]
        if step["outcome"] in CLOSED:
            closed += lasted
        else:
            visits += lasted
    assert visits + closed == last - way[0]["at"]
    million = Decimal(1_000_000)
    return (stream, way[0]["at"], last, visits / million, closed / million)


def _decimal(exact: Fraction) -> Decimal:
    return Decimal(exact.numerator) / Decimal(exact.denominator)

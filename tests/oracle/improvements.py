"""An improvement at a moment, naively: its stream replayed, every window measured by itself."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid5

from oracle.beliefs import Raw, believed, effect_of, moment, of_stream
from oracle.metrics import metrics_in
from oracle.people import _estimates, _references
from oracle.periods import period_of
from oracle.teams import staffed_at, stays_of, stream_of

__all__ = ["improvement_at", "stream_of_improvement"]

IMPROVEMENTS = UUID("0b6a4a53-7f4b-5d0a-9a55-0c5b4f7f1a33")
FOREVER = 2**61
Row = tuple[date, str, bool, Any, Any, Any]


def stream_of_improvement(key: str) -> str:
    """Name the stream of an improvement; keys here are plain ASCII."""
    return str(uuid5(IMPROVEMENTS, key))


def improvement_at(
    events: list[Raw], key: str, days: int, as_of: int, known_at: int
) -> dict[str, Any] | None:
    """Say what was tried where, which teams are compared, and what that comes to."""
    history = believed(of_stream(events, stream_of_improvement(key)), known_at)
    if not history or history[0]["payload"]["improvement"] != key:
        return None
    opening, fact = history[0], history[0]["payload"]
    if opening["occurred"] > as_of:
        return None
    state = _replayed(history, as_of)
    at = (as_of, known_at)
    found = {**state, "metric": fact["metric"]}
    found |= _moved(events, state["starts"], fact, days, at)
    if state["concluded"] is not None:
        then = (min(state["concluded"][1], as_of), min(state["concluded"][2], known_at))
        known = believed(of_stream(events, stream_of_improvement(key)), then[1])
        starts = _replayed(known, then[0])["starts"]
        moved = _moved(events, starts, fact, days, then)
        found["then"] = {name: moved[name] for name in ("estimates", "beside", "mean")}
    return found


def _replayed(history: list[Raw], as_of: int) -> dict[str, Any]:
    state: dict[str, Any] = {"starts": {}, "planned": {}, "concluded": None}
    for event in history[1:] if history else ():
        fact = event["payload"]
        if event["occurred"] < history[0]["occurred"] or effect_of(event) > as_of:
            continue
        if event["kind"] == "improvement.staggered":
            state["planned"] = {each["team"]: each["day"] for each in fact["starts"]}
        elif event["kind"] == "improvement.started":
            team = fact.get("team", "")
            if state["concluded"] is None and team not in state["starts"]:
                state["starts"][team] = moment(effect_of(event)).date()
        elif event["kind"] == "improvement.concluded" and state["concluded"] is None:
            state["concluded"] = (fact["outcome"], effect_of(event), event["recorded"])
    return state


def _moved(
    events: list[Raw],
    starts: dict[str, date],
    fact: dict[str, Any],
    days: int,
    at: tuple[int, int],
) -> dict[str, Any]:
    teams = sorted(
        {
            stay[1]
            for rep in _references(events)
            for stay in stays_of(events, stream_of(rep), FOREVER, at[1])
            if stay[1] is not None and stay[0] <= at[0]
        }
    )
    began = {team: starts.get(team, starts.get("")) for team in teams}
    rows: list[Row] = []
    compared: list[Row] = []
    beside, mean = None, None
    known = {day for day in began.values() if day is not None}
    for start in sorted(known or {*starts.values()}):
        spans = [
            period_of(
                start + timedelta(days=n * days), start + timedelta(days=(n + 1) * days), 0
            )
            for n in (-2, -1, 0)
        ]
        if spans[-1][1] - 1 > at[0]:
            continue
        here = [*_rows(events, fact, spans, start, days, began, at)]
        rows += here
        if {treated for _, _, treated, *_ in here} == {True, False}:
            compared += here
        if beside is None:
            there = staffed_at(events, spans[1][0], spans[2][1] - 1, at[1]) or teams
            days_of = {began[team] for team in there}
            everybody = len({*days_of, *starts.values()}) == 1
            first = [team for team, day in began.items() if day == start]
            beside = _beside(events, fact, spans[1:], at, None if everybody else first)
            changes = [after - before for _, _, treated, _, before, after in here if treated]
            mean = sum(changes) / len(changes) if changes else None
    return {
        "units": rows,
        "estimates": _estimates(compared),
        "beside": beside,
        "mean": mean,
    }


def _beside(
    events: list[Raw],
    fact: dict[str, Any],
    spans: list[tuple[int, int]],
    at: tuple[int, int],
    started: list[str] | None,
) -> tuple[Any, ...]:
    """Give who they are, the figures before and after of all they did, and the change."""
    scope = {"process": fact.get("process"), "stage": fact.get("stage")}
    metric = fact["metric"]
    there = None
    if started is not None:
        there = tuple(
            team for team in started if all(_is_there(events, team, s, at[1]) for s in spans)
        )
        scope["team"] = there
    if there == ():
        return (), None, None, None
    sides = [
        metrics_in(events, [metric], span, at, by=None, scope=scope)[metric] for span in spans
    ]
    nothing = None if metric == "win_rate" else 0
    before, after = (side.get(None, (nothing, 0))[0] for side in sides)
    change = None if None in (before, after) else after - before
    return there, before, after, change


def _rows(
    events: list[Raw],
    fact: dict[str, Any],
    spans: list[tuple[int, int]],
    start: date,
    days: int,
    began: dict[str, date | None],
    at: tuple[int, int],
) -> Iterator[Row]:
    metric = fact["metric"]
    scope = {"process": fact.get("process"), "stage": fact.get("stage")}
    measured = [
        metrics_in(events, [metric], span, at, by="team", scope=scope)[metric] for span in spans
    ]
    nothing = None if metric == "win_rate" else 0
    for team, day in began.items():
        if day != start and day is not None and day < start + timedelta(days=days):
            continue
        found = [
            of_span.get(team, (nothing, 0))[0] if _is_there(events, team, span, at[1]) else None
            for span, of_span in zip(spans, measured, strict=True)
        ]
        if None not in found[1:]:
            yield start, team, day == start, *found  # type: ignore[misc]


def _is_there(events: list[Raw], team: str, span: tuple[int, int], known_at: int) -> bool:
    """Say whether somebody was in a team at the first instant of a span and at its last."""
    return all(
        any(_team_at(events, rep, instant, known_at) == team for rep in _references(events))
        for instant in (span[0], span[1] - 1)
    )


def _team_at(events: list[Raw], rep: str, instant: int, known_at: int) -> str | None:
    stays = stays_of(events, stream_of(rep), FOREVER, known_at)
    before = [stay[1] for stay in stays if stay[0] <= instant]
    return before[-1] if before else None

"""What is told of people, and how their figures moved: replayed and counted with plain loops.

Written from the words of the specification. A rep develops while they are in a team. A training
counts from the first time it was completed. Its effect compares, in the days up to the day of
completion and in as many days after it, those who completed it on that day with those who had
not by the end of them; who was not in a team all the time counts for nothing there.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from oracle.beliefs import Raw, effect_of, moment
from oracle.contacts import contacts_of
from oracle.conversions import conversion_of
from oracle.customer_kpis import lasted
from oracle.deals import deals_of, processes_of
from oracle.groups import groups_of
from oracle.metrics import metrics_in
from oracle.periods import period_of
from oracle.teams import counted, reps_of, stays_of, stream_of, team_at
from oracle.visits import Step, way_at

__all__ = ["coaching_in", "development_at", "effect_at", "is_known_training", "team_of_rep"]

FOREVER = 1 << 62
DAY = 86_400_000_000
CENSORING = ("merged", "migrated")
DEVELOPING = (
    *("rep.promoted", "rep.career_plan_agreed", "rep.skill_assessed"),
    *("rep.training_assigned", "rep.training_completed"),
)


def development_at(events: list[Raw], rep: str, as_of: int, known_at: int) -> dict[str, Any]:
    """Give what became of a rep by a moment."""
    stream = stream_of(rep)
    found: dict[str, Any] = {"level": None, "plan": [], "skills": [], "trainings": {}}
    found |= {"reached": {}, "times": {}}
    history = [*counted(events, stream, as_of, known_at)]
    for number, event in enumerate(history):
        if event["kind"] not in DEVELOPING or not _in_team(history[:number], stream):
            continue
        fact, at = event["payload"], effect_of(event)
        match event["kind"]:
            case "rep.promoted":
                found["level"] = (fact["level"], at)
                found["reached"][fact["level"]] = at
            case "rep.career_plan_agreed":
                found["plan"] = [(step["level"], step.get("due")) for step in fact["steps"]]
            case "rep.skill_assessed":
                by = fact.get("assessed_by") or event.get("actor")
                found["skills"].append((fact["skill"], at, Fraction(fact["score"]), by))
            case _:
                _train(found, event["kind"], fact, at)
    return found


def _train(found: dict[str, Any], kind: str, fact: dict[str, Any], at: int) -> None:
    """Take a training in: what is so of it by now, and each time that it was taken."""
    taken = found["trainings"].setdefault(fact["training"], {})
    times = found["times"].setdefault(fact["training"], [])
    was_open = _is_open(taken)
    if kind == "rep.training_completed":
        taken.setdefault("first", at)
        taken["completed"] = at
        if was_open:
            times[-1]["completed"] = at
        else:
            times.append({"completed": at})
        return
    taken |= {"assigned": at, "due": fact.get("due")}
    again = {"assigned": at, "due": fact.get("due")}
    if was_open:
        times[-1] = again
    elif times and not _is_open(taken):  # at the instant at which it was completed
        times[-1] = dict(taken)
    else:
        times.append(again)


def _is_open(taken: dict[str, Any]) -> bool:
    """Say whether a training was assigned and not completed since."""
    return "assigned" in taken and taken.get("completed", -1) < taken["assigned"]


def _in_team(history: list[Raw], stream: str) -> bool:
    """Say whether somebody is in a team after some events that are in order."""
    member = False
    for event in history:
        match event["kind"]:
            case "rep.joined":
                member = member or stream_of(event["payload"]["rep"]) == stream
            case "rep.left":
                member = False
            case _:
                pass
    return member


def is_known_training(events: list[Raw], training: str, known_at: int) -> bool:
    """Say whether a training was offered, or taken by anybody, as far as is known."""
    offered = any(
        event["kind"] == "training.offered"
        and event["payload"]["training"] == training
        and event["recorded"] <= known_at
        for event in events
    )
    return offered or any(
        training in development_at(events, rep, FOREVER, known_at)["trainings"]
        for rep in _references(events)
    )


def _references(events: list[Raw]) -> list[str]:
    named = {e["payload"]["rep"] for e in events if e["kind"] == "rep.joined"}
    return sorted(rep for rep in named if stream_of(rep) in set(reps_of(events)))


def effect_at(
    events: list[Raw], training: str, metric: str, days: int, at: tuple[int, int]
) -> dict[str, Any]:
    """Say who is compared with whom, by which figures, and both estimates of the effect."""
    as_of, known_at = at
    began: dict[str, date] = {}
    for rep in _references(events):
        taken = development_at(events, rep, as_of, known_at)["trainings"].get(training, {})
        if "first" in taken:
            began[rep] = moment(taken["first"]).date() + timedelta(days=1)
    rows: list[tuple[date, str, bool, Any, Any, Any]] = []
    left_out = dict.fromkeys(began, "window_not_over")
    for start in sorted(set(began.values())):
        spans = [
            period_of(
                start + timedelta(days=n * days), start + timedelta(days=(n + 1) * days), 0
            )
            for n in (-2, -1, 0)
        ]
        if spans[-1][1] - 1 > as_of:
            continue
        here = [*_rows_of(events, metric, spans, start, days, began, at)]
        for rep in (rep for rep, day in began.items() if day == start):
            left_out[rep] = _why(events, rep, spans, here, known_at)
        if {treated for _, _, treated, *_ in here} == {True, False}:
            rows += here
            for rep in {row[1] for row in here if row[2]}:
                del left_out[rep]
    return {
        "people": [(start - timedelta(days=1), *rest) for start, *rest in rows],
        "not_compared": left_out,
        "estimates": _estimates(rows),
    }


def _rows_of(
    events: list[Raw],
    metric: str,
    spans: list[tuple[int, int]],
    start: date,
    days: int,
    began: dict[str, date],
    at: tuple[int, int],
) -> Iterator[tuple[date, str, bool, Any, Any, Any]]:
    measured = [
        metrics_in(events, [metric], span, at, by="rep", scope={"stage": None})[metric]
        for span in spans
    ]
    nothing = None if metric == "win_rate" else 0
    for rep in _references(events):
        day = began.get(rep)
        if day != start and day is not None and day < start + timedelta(days=days):
            continue
        found = [
            of_span.get(rep, (nothing, 0))[0] if _was_there(events, rep, span, at[1]) else None
            for span, of_span in zip(spans, measured, strict=True)
        ]
        if None not in found[1:]:
            earlier, before, after = found
            yield start, rep, day == start, earlier, before, after


def _why(
    events: list[Raw], rep: str, spans: list[tuple[int, int]], here: list[Any], known_at: int
) -> str:
    if not all(_was_there(events, rep, span, known_at) for span in spans[1:]):
        return "not_in_a_team"
    return "nobody_to_compare" if any(row[1] == rep for row in here) else "no_figure"


def _was_there(events: list[Raw], rep: str, span: tuple[int, int], known_at: int) -> bool:
    stays = stays_of(events, stream_of(rep), FOREVER, known_at)
    held = [stay[1] for stay in stays if stay[0] <= span[0]][-1:]
    held += [stay[1] for stay in stays if span[0] < stay[0] < span[1]]
    began_by_then = bool(stays) and stays[0][0] <= span[0]
    return began_by_then and None not in held


def _estimates(rows: list[tuple[date, str, bool, Any, Any, Any]]) -> tuple[float, ...] | None:
    """Fit both lines by least squares: a mean for each start, and the same effect for all.

    Where all had the same figure before, at each start, there is nothing to adjust by.
    """
    if not rows:
        return None
    starts = sorted({row[0] for row in rows})
    means = [[float(row[0] == start) for start in starts] for row in rows]
    treated = [float(row[2]) for row in rows]
    before, after = [float(row[4]) for row in rows], [float(row[5]) for row in rows]
    changes = np.subtract(after, before)
    plain = np.column_stack([treated, means])
    adjusted = np.column_stack([treated, before, means])
    difference = float(np.linalg.lstsq(plain, changes, rcond=None)[0][0])
    if all(len({row[4] for row in rows if row[0] == start}) == 1 for start in starts):
        return difference, difference
    full = np.linalg.matrix_rank(adjusted) == adjusted.shape[1]
    return (
        difference,
        float(np.linalg.lstsq(adjusted, np.array(after), rcond=None)[0][0]) if full else np.nan,
    )


def coaching_in(
    events: list[Raw], span: tuple[int, int], at: tuple[int, int]
) -> dict[tuple[Any, ...], tuple[Fraction, int, Fraction, int]]:
    """Give each rep's figure and the others', by rep, team, process, stage and measure.

    Where either has fewer than three deals or visits there is none.
    """
    as_of, known_at = at
    team_of, processes = groups_of(events, "team", *at), processes_of(events)
    every = {stream: way_at(events, stream, *at) for stream in deals_of(events)}
    every = {s: way for s, way in every.items() if way and way[-1]["outcome"] != "merged"}
    found: dict[Any, list[tuple[str, Fraction]]] = defaultdict(list)

    def team(step: Step) -> str | None:
        return team_of({"rep": step["owner"], "at": step["at"]})

    for stream, way in every.items():
        contacts = contacts_of(events, stream, as_of, known_at)
        for step, end in pairwise(way):
            known = step["stage"] is not None and end["entered"] not in CENSORING
            if not (known and step["owner"] and span[0] <= end["at"] < span[1]):
                continue
            key = (team(step), step["process"], step["stage"])
            time = lasted(step["at"], end["at"], step["day_only"] and end["day_only"])
            found[*key, "days"].append((step["owner"], Fraction(time, DAY)))
            here = [
                contact
                for contact in contacts
                if (step["at"], step["begun"])
                < (contact["occurred"], contact["position"])
                < (end["at"], end["begun"])
            ]
            found[*key, "follow_ups"].append((step["owner"], Fraction(len(here))))
    ways = [*every.values()]
    steps = [step for way in ways for step in way if step["stage"] and step["owner"]]
    for process, stage, owner, of in {
        (step["process"], step["stage"], step["owner"], team(step)) for step in steps
    }:

        def wanted(step: Step, owner: str = owner, of: str | None = of) -> bool:
            return step["owner"] == owner and team(step) == of

        counts = conversion_of((process, stage), ways, span, wanted, processes)["counts"]
        found[of, process, stage, "conversion"] += [
            *((owner, Fraction(1)),) * counts["moved_on"],
            *((owner, Fraction(0)),) * counts["left"],
        ]
    return {
        (rep, *key): figures
        for key, values in found.items()
        for rep in {owner for owner, _ in values}
        if (figures := _beside(rep, values)) is not None
    }


def _beside(
    rep: str, values: list[tuple[str, Fraction]]
) -> tuple[Fraction, int, Fraction, int] | None:
    own = [value for owner, value in values if owner == rep]
    others = [value for owner, value in values if owner != rep]
    if min(len(own), len(others)) < 3:
        return None
    means = [sum(its, Fraction(0)) / len(its) for its in (own, others)]
    return means[0], len(own), means[1], len(others)


def team_of_rep(events: list[Raw], rep: str, at: tuple[int, int]) -> str | None:
    """Give the team of a rep at a moment."""
    found = team_at(events, stream_of(rep), *at)
    return None if found is None else found[1]

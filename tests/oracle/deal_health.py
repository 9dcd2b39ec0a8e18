"""What speaks against open deals, naively: walk the history of each and look at everything.

A reason is what the deal itself shows, or how it lies beside the deals that are closed: for
each of those the longest time it ever stood in the stage is looked for, step by step.
"""

import math
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from oracle.beliefs import Raw, effect_of, instant
from oracle.deals import State, deal_at, deals_of, processes_of, replay
from oracle.teams import stays_of, stream_of
from oracle.visits import way_at

__all__ = ["health_at"]

DAY = 86_400_000_000
FAR = "9999-12-31"
Z = 1.959963984540054
ENDED = ("won", "lost", "disqualified")
Reason = tuple[int, Fraction, Fraction | float | None, tuple[str, ...]]
"""Since when, the figure, what it is measured against, and the events behind it."""


def health_at(
    events: list[Raw],
    as_of: int,
    known_at: int,
    only: dict[str, Any],
    limits: tuple[int, int, int],
) -> dict[str, Any]:
    """Give every open deal that is asked about with its reasons, and what is recorded at all.

    `limits` are days without a reply, days without a contact, and times pushed.
    """
    stands = {stream: deal_at(events, stream, as_of, known_at) for stream in deals_of(events)}
    deals = {stream: deal for stream, deal in stands.items() if deal is not None}
    talks = {stream: _talks(events, stream, as_of, known_at) for stream in deals}
    past = _past(events, deals, as_of, known_at)
    found = {}
    for stream, deal in deals.items():
        if deal["standing"] != "open" or not _asked(
            events, stream, deal, only, as_of, known_at
        ):
            continue
        seen = _Seen(events, stream, as_of, known_at)
        reasons = {
            **_of_its_way(seen, deal, limits[2]),
            **_of_talks(seen, talks[stream], limits),
        }
        like = past.get((deal["process"], deal["stage"]), [])
        age = as_of - seen.entered
        outcomes = [won for lasted, won in like if lasted >= age]
        part = (sum(outcomes), len(outcomes))
        high = _upper(*part)
        if part[1] and float(deal["probability"]) > high:
            since, event = seen.last["probability"]
            reasons["probability_above_history"] = (
                *(since, Fraction(deal["probability"]), high),
                (event,),
            )
        found[stream] = {
            "deal": deal,
            "history": part,
            "reasons": reasons,
            "title": seen.history[0][0]["payload"].get("title"),
        }
    unsaid = _unrecorded([talk for talk in talks.values() if talk["contacts"]])
    for each in found.values():
        each["reasons"] = {n: r for n, r in each["reasons"].items() if n not in unsaid}
    return {"deals": found, "unsaid": unsaid}


def _asked(
    events: list[Raw],
    stream: str,
    deal: State,
    only: dict[str, Any],
    as_of: int,
    known_at: int,
) -> bool:
    if only.get("deal") not in (None, stream):
        return False
    if any(only.get(name) not in (None, deal[name]) for name in ("process", "stage", "owner")):
        return False
    if only.get("team") is None:
        return True
    stays = stays_of(events, stream_of(deal["owner"] or ""), as_of, known_at)
    return bool(stays) and stays[-1][1] == only["team"]


class _Seen:
    """The history of one open deal up to a moment, and where it stands in it."""

    def __init__(self, events: list[Raw], stream: str, as_of: int, known_at: int) -> None:
        self.as_of = as_of
        self.history = [
            (event, state)
            for event, state in replay(events, stream, known_at)
            if event["occurred"] <= as_of
            and effect_of(event) <= as_of
            and event["event_id"] not in state["irregular"]
        ]
        step = way_at(events, stream, as_of, known_at)[-1]
        self.entered, self.begun = step["at"], step["begun"]
        self.opened = self.history[0][0]
        self.days_max = _days_max(events, self.history[-1][1])
        self.last: dict[str, tuple[int, str]] = {}
        before: State | None = None
        for event, state in self.history:
            for name in ("expected_close", "probability"):
                if before is None or before[name] != state[name]:
                    self.last[name] = (effect_of(event), event["event_id"])
            before = state


def _days_max(events: list[Raw], deal: State) -> int | None:
    process = processes_of(events)[deal["process"], deal["process_version"]]
    for stage in process["stages"]:
        if stage["key"] == deal["stage"]:
            days: int | None = stage.get("max_days")
            return days
    return None


def _of_its_way(seen: _Seen, deal: State, pushes: int) -> dict[str, Reason]:
    found: dict[str, Reason] = {}
    limit = seen.days_max
    if limit and seen.as_of - seen.entered > limit * DAY:
        [event] = [e["event_id"] for e, _ in seen.history if e["position"] == seen.begun]
        stood = Fraction(seen.as_of - seen.entered, DAY)
        found["stalled"] = (seen.entered + limit * DAY, stood, Fraction(limit), (event,))
    if deal["expected_close"] is not None:
        after = date.fromisoformat(deal["expected_close"]) + timedelta(days=1)
        since = instant(f"{after}T00:00:00+00:00")
        if since <= seen.as_of:
            late = Fraction(seen.as_of // DAY - since // DAY + 1)
            found["overdue"] = (since, late, None, (seen.last["expected_close"][1],))
    pushed = _pushed(seen)
    if len(pushed) >= pushes:
        ids = tuple(each["event_id"] for each in pushed)
        since = effect_of(pushed[pushes - 1])
        found["pushed_repeatedly"] = (since, Fraction(len(pushed)), Fraction(pushes), ids)
    cuts = _cuts(seen, deal["amount"])
    if cuts:
        first, worth = cuts[0]
        ids = tuple(event["event_id"] for event, _ in cuts)
        away = Fraction(worth) - Fraction(deal["amount"][0])
        found["amount_cut"] = (effect_of(first), away, Fraction(worth), ids)
    return found


def _while_open(seen: _Seen) -> list[tuple[Raw, State, State]]:
    """List what happened while it was open, with how it was before and after."""
    pairs = zip(seen.history, seen.history[1:], strict=False)
    return [
        (event, before, after)
        for (_, before), (event, after) in pairs
        if before["standing"] == "open"
    ]


def _pushed(seen: _Seen) -> list[Raw]:
    return [
        event
        for event, before, after in _while_open(seen)
        if (after["expected_close"] or FAR) > (before["expected_close"] or FAR)
    ]


def _cuts(seen: _Seen, now: tuple[Decimal, str] | None) -> list[tuple[Raw, Decimal]]:
    """List the cuts that were never made up for, in order, and what it was worth before."""
    if now is None:
        return []
    reached = now[0]
    found: list[tuple[Raw, Decimal]] = []
    for event, before, after in reversed(_while_open(seen)):
        one, other = before["amount"], after["amount"]
        if one is None or other is None or not one[1] == other[1] == now[1]:
            continue
        if other[0] < one[0] and one[0] > reached:
            reached, found = one[0], [(event, one[0]), *found]
    return found


def _talks(events: list[Raw], stream: str, as_of: int, known_at: int) -> dict[str, Any]:
    """Go through the contacts of a deal, and see who was there and who answered."""
    found: dict[str, Any] = {"contacts": [], "waiting": [], "in": 0, "next": None}
    names, ids = set(), set()
    found |= {"people": 0, "named": None, "ever": False}
    for event, state in replay(events, stream, known_at):
        if event["occurred"] > as_of or event["kind"] != "deal.contact_logged":
            continue
        if event["event_id"] in state["irregular"]:
            continue
        fact = event["payload"]
        found["contacts"].append(event)
        found["next"] = (fact.get("next_step") or "").strip() or None
        found["ever"] |= found["next"] is not None
        if fact.get("direction") == "in":
            found["in"] += 1
            found["waiting"] = []
        elif fact.get("direction") == "out":
            found["waiting"].append(event)
        names |= {" ".join(name.lower().split()) for name in fact.get("participants", [])} - {
            ""
        }
        ids |= set(fact.get("contact_people") or [])
        found["people"] = max(len(names), len(ids))
        if found["people"] and found["named"] is None:
            found["named"] = event
    return found


def _of_talks(
    seen: _Seen, talk: dict[str, Any], limits: tuple[int, int, int]
) -> dict[str, Reason]:
    found: dict[str, Reason] = {}
    for name, days, since, about in (
        ("no_reply", limits[0], talk["waiting"][:1], talk["waiting"]),
        (
            "no_contact",
            limits[1],
            talk["contacts"][-1:] or [seen.opened],
            talk["contacts"][-1:] or [seen.opened],
        ),
    ):
        if not since:
            continue
        at = since[0]["occurred"]
        apart = seen.as_of // DAY - at // DAY  # days of UTC, which is the business zone here
        if apart > days:
            ids = tuple(event["event_id"] for event in about)
            found[name] = (at, Fraction(apart), Fraction(days), ids)
    if talk["people"] == 1:
        event = talk["named"]
        ids = (event["event_id"],)
        found["single_contact"] = (event["occurred"], Fraction(1), None, ids)
    if talk["contacts"] and talk["next"] is None:
        event = talk["contacts"][-1]
        ids = (event["event_id"],)
        found["no_next_step"] = (event["occurred"], Fraction(1), None, ids)
    return found


def _unrecorded(talks: list[dict[str, Any]]) -> set[str]:
    """Name the reasons that cannot be seen, since nobody writes down what they are made of."""
    if not talks:
        return {"no_reply", "no_contact", "single_contact", "no_next_step"}
    unsaid = set()
    if not any(talk["in"] for talk in talks):
        unsaid.add("no_reply")
    if not any(talk["people"] for talk in talks):
        unsaid.add("single_contact")
    if not any(talk["ever"] for talk in talks):
        unsaid.add("no_next_step")
    return unsaid


def _past(
    events: list[Raw], deals: dict[str, State], as_of: int, known_at: int
) -> dict[tuple[str, str], list[tuple[int, bool]]]:
    """Give by stage how long each closed deal ever stood there, and whether it was won."""
    found: dict[tuple[str, str], list[tuple[int, bool]]] = {}
    for stream, deal in deals.items():
        if deal["standing"] not in ENDED:
            continue
        longest: dict[tuple[str, str], int] = {}
        for step in way_at(events, stream, as_of, known_at):
            if step["outcome"] == "open":
                place = (step["process"], step["stage"])
                longest[place] = max(longest.get(place, 0), step["end"] - step["at"])
        for place, lasted in longest.items():
            found.setdefault(place, []).append((lasted, deal["standing"] == "won"))
    return found


def _upper(part: int, whole: int) -> float:
    """Give the larger root of Wilson's equation; 1 where all were won, or there are none."""
    if part == whole:
        return 1.0
    observed, z = part / whole, Z * Z / whole
    a, b, c = 1 + z, -(2 * observed + z), observed * observed
    return (-b + math.sqrt(max(b * b - 4 * a * c, 0.0))) / (2 * a)

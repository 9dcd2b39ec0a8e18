"""The case study of one deal, naively: its history gone through once for each thing told of it.

Free text is left out. A deal that is not there, open or merged has no case (None). Figures are
exact fractions; days between two facts of which only the day is known are calendar days (UTC).
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from oracle.beliefs import Raw, believed, effect_of, of_stream
from oracle.deals import State, processes_of, replay
from oracle.sales import closing_at, opening_of
from oracle.similar_deals import similar_to
from oracle.visits import way_at

__all__ = ["case_study_at"]

DAY = 86_400_000_000
QUOTED = ("deal.quote_drafted", "deal.quote_issued", "deal.quote_revised")
ENDS = {
    "deal.quote_accepted": "accepted",
    "deal.quote_rejected": "rejected",
    "deal.quote_withdrawn": "withdrawn",
    "deal.quote_expired": "expired",
}

Amount = tuple[Decimal, str] | None
Line = dict[str, Any]
Turn = tuple[int, str, Fraction | None]
Told = list[tuple[Raw, State | None, State]]
"""Facts with ground that are in effect, each with the deal before it and after."""


def case_study_at(
    events: list[Raw], stream: str, as_of: int, known_at: int, similar: int
) -> dict[str, Any] | None:
    """Tell the case of a deal."""
    closing = closing_at(events, stream, as_of, known_at)
    if closing is None or closing["outcome"] in ("open", "merged"):
        return None
    told = list(_told(events, stream, as_of, known_at))
    path = _closing_path(told)
    found = similar_to(closing, events, stream, (as_of, known_at), similar)
    others = [_figures(events, other, (as_of, known_at)) for _, _, other, _, _ in found]
    return {
        "summary": (
            closing["process"],
            closing["outcome"],
            closing["opened"][0],
            closing["closed"][0],
            _days(closing["opened"], closing["closed"]),
            closing["amount"],
            closing["owner"],
            closing["customer"],
            opening_of(events, stream, known_at).get("lead_source"),
            closing["because"],
            closing["competitor"],
        ),
        "credits": _credits(path),
        "chapters": _chapters(events, stream, as_of, known_at),
        "quotes": _quotes(told),
        "objections": _met(told, "objection", "raised", "resolved"),
        "competitors": _competitors(told),
        "owners": _owners(told),
        "help": _met(told, "request", "help_requested", "help_given"),
        "turns": sorted(_turns(events, stream, (as_of, known_at), told)),
        "similar": [(other, -score, shared, every) for score, _, other, shared, every in found],
        "differences": _differences(_figures(events, stream, (as_of, known_at)), others),
    }


def _told(
    events: list[Raw], stream: str, as_of: int, known_at: int
) -> Iterator[tuple[Raw, State | None, State]]:
    before = None
    for event, state in replay(events, stream, known_at):
        if effect_of(event) <= as_of and event["event_id"] not in state["irregular"]:
            yield event, before, state
        before = state


def _closing_path(told: Told) -> Told:
    last = 0
    for number, (_, before, after) in enumerate(told):
        if before is None or before["standing"] != after["standing"]:
            last = number
    return told[: last + 1]


def _credits(path: Told) -> dict[str, Decimal]:
    shares: dict[str, Decimal] = {}
    for event, _, _ in path:
        fact = event["payload"]
        if event["kind"] == "deal.collaborator_joined":
            shares[fact["person"]] = Decimal(fact.get("credit", "0"))
        elif event["kind"] == "deal.collaborator_left":
            shares.pop(fact["person"], None)
    found = {person: share for person, share in shares.items() if share}
    owner = path[-1][2]["owner"]
    if owner is not None:
        rest = max(Decimal(0), 1 - sum(found.values(), Decimal(0)))
        found[owner] = found.get(owner, Decimal(0)) + rest
    return found


def _chapters(events: list[Raw], stream: str, as_of: int, known_at: int) -> list[Any]:
    """Let a chapter begin with each step of the way; every fact is of the last begun."""
    steps = {step["begun"]: step for step in way_at(events, stream, as_of, known_at)}
    final = list(replay(events, stream, known_at))[-1][1]
    rows: list[dict[str, Any]] = []
    for event in believed(of_stream(events, stream), known_at):
        if effect_of(event) > as_of:
            continue
        if event["position"] in steps:
            rows.append({"step": steps[event["position"]], "facts": [], "contacts": Counter()})
        irregular = event["event_id"] in final["irregular"]
        rows[-1]["facts"].append((event["position"], event["kind"], irregular))
        if event["kind"] == "deal.contact_logged" and not irregular:
            fact = event["payload"]
            rows[-1]["contacts"][fact.get("channel"), fact.get("direction")] += 1
    ends = [*(row["step"] for row in rows[1:]), None]
    processes = processes_of(events)
    return [_chapter(row, end, as_of, processes) for row, end in zip(rows, ends, strict=True)]


def _chapter(
    row: dict[str, Any], end: Line | None, as_of: int, processes: dict[Any, Any]
) -> tuple[Any, ...]:
    step = row["step"]
    days = Fraction(as_of - step["at"], DAY)
    if end is not None:
        days = _days((step["at"], step["day_only"]), (end["at"], end["day_only"]))
    longest = None
    for stage in processes.get((step["process"], step["version"]), {}).get("stages", []):
        if stage["key"] == step["stage"]:
            longest = stage.get("max_days")
    return (
        *(step[name] for name in ("begun", "process", "stage", "outcome", "entered", "at")),
        None if end is None else end["at"],
        days,
        longest,
        longest is not None and days > longest,
        dict(row["contacts"]),
        row["facts"],
    )


def _quotes(told: Told) -> dict[str, Any]:
    """Give state, first sending, total, discount and revisions of each offer."""
    found: dict[str, dict[str, Any]] = {}
    sent: dict[str, int] = {}
    for event, _, _ in told:
        kind, fact = event["kind"], event["payload"]
        if kind == "deal.quote_accepted":
            for quote in found.values():
                if quote["state"] == "accepted":
                    quote["state"] = "superseded"
        if kind in ENDS:
            found[fact["quote"]]["state"] = ENDS[kind]
        if kind not in QUOTED:
            continue
        old = found.get(fact["quote"], {"lines": [], "total": None, "revisions": 0})
        if kind == "deal.quote_drafted":
            old = {"lines": [], "total": None, "revisions": 0}
        else:
            sent.setdefault(fact["quote"], event["occurred"])
        lines = fact.get("lines") or old["lines"]
        found[fact["quote"]] = {
            "state": kind.removeprefix("deal.quote_"),
            "lines": lines,
            "total": _money(fact.get("total")) or _total(lines) or old["total"],
            "revisions": old["revisions"] + (kind == "deal.quote_revised"),
        }
    return {
        key: (q["state"], sent.get(key), q["total"], _discount(q["lines"]), q["revisions"])
        for key, q in found.items()
    }


def _met(told: Told, key: str, asked: str, answered: str) -> dict[str, tuple[Any, ...]]:
    """Pair questions with their first answers: objections and calls for help alike."""
    found: dict[str, list[Any]] = {}
    for event, _, _ in told:
        kind, name = event["kind"], event["payload"].get(key)
        if kind.endswith(asked):
            found[name] = [event, None]
        elif kind.endswith(answered) and name in found and found[name][1] is None:
            found[name][1] = event
    return {
        name: (
            first["occurred"],
            None if then is None else then["occurred"],
            None if then is None else _days(_when(first), _when(then)),
        )
        for name, (first, then) in found.items()
    }


def _competitors(told: Told) -> dict[str, int]:
    found: dict[str, int] = {}
    for event, _, _ in told:
        if event["kind"] == "deal.competitor_named":
            found.setdefault(event["payload"]["competitor"], event["occurred"])
    return found


def _owners(told: Told) -> list[tuple[str | None, int]]:
    found: list[tuple[str | None, int]] = []
    for event, _, after in told:
        if not found or found[-1][0] != after["owner"]:
            found.append((after["owner"], effect_of(event)))
    return found


def _turns(events: list[Raw], stream: str, when: tuple[int, int], told: Told) -> Iterator[Turn]:
    """Say what changed much with which fact (its position), and by how much."""
    entered = {step["begun"]: step["entered"] for step in way_at(events, stream, *when)}
    processes = processes_of(events)
    for number, (event, before, after) in enumerate(told):
        if before is None:
            continue
        here, how = event["position"], entered.get(event["position"])
        if how in ("returned", "skipped") and event["kind"] == "deal.stage_moved":
            yield here, how, _stages_between(before, after, processes)
        if how == "reopened":
            yield here, how, _days(_when(_closing_path(told[:number])[-1][0]), _when(event))
        if before["owner"] not in (None, after["owner"]):
            owners = {b["position"]: a["owner"] for b, _, a in told[: number + 1]}
            yield here, "owner_changed", Fraction(_runs(list(owners.values())))
        yield from _worth(here, before, after)
        yield from _firsts(number, told)


def _runs(owners: list[str | None]) -> int:
    """Count how many times somebody else came to own the deal, the first one included."""
    known = [owner for owner in owners if owner is not None]
    return 1 + sum(one != other for one, other in itertools.pairwise(known))


def _firsts(number: int, told: Told) -> Iterator[Turn]:
    event = told[number][0]
    for kind, turn in FIRSTS.items():
        earlier = any(other["kind"] == kind for other, _, _ in told[:number])
        if event["kind"] == kind and not earlier:
            yield event["position"], turn, _days(_when(told[0][0]), _when(event))


FIRSTS = {
    "deal.competitor_named": "first_competitor",
    "deal.objection_raised": "first_objection",
}


def _stages_between(before: State, after: State, processes: dict[Any, Any]) -> Fraction | None:
    stages = processes.get((after["process"], after["process_version"]), {}).get("stages", [])
    keys = [stage["key"] for stage in stages]
    if before["stage"] not in keys or after["stage"] not in keys:
        return None
    steps = keys.index(after["stage"]) - keys.index(before["stage"])
    return Fraction(-steps if steps <= 0 else steps - 1)


def _worth(here: int, before: State, after: State) -> Iterator[Turn]:
    old, new = before["amount"], after["amount"]
    if old and new and old[1] == new[1] and old[0] != 0:
        change = (Fraction(new[0]) - Fraction(old[0])) / abs(Fraction(old[0]))
        if not Fraction(-1, 4) < change < Fraction(1, 4):
            yield here, "amount_changed", change
    if before["expected_close"] and after["expected_close"]:
        first, then = (date.fromisoformat(s["expected_close"]) for s in (before, after))
        if (then - first).days > 29:
            yield here, "close_pushed", Fraction((then - first).days)


def _figures(events: list[Raw], stream: str, when: tuple[int, int]) -> dict[str, Any]:
    closing = closing_at(events, stream, *when)
    assert closing is not None
    facts = [event for event, _, _ in _closing_path(list(_told(events, stream, *when)))]
    kinds = Counter(event["kind"] for event in facts)
    lines: dict[str, list[Line]] = {}
    discount = None
    for event in facts:
        fact = event["payload"]
        if event["kind"] == "deal.quote_drafted":
            lines[fact["quote"]] = fact.get("lines", [])
        elif event["kind"] in QUOTED:
            lines[fact["quote"]] = fact.get("lines") or lines.get(fact["quote"], [])
            discount = _discount(lines[fact["quote"]])
    return {
        "days": _days(closing["opened"], closing["closed"]),
        "contacts": Fraction(kinds["deal.contact_logged"]),
        "quote_revisions": Fraction(kinds["deal.quote_revised"]),
        "discount": discount,
        "objections": Fraction(kinds["deal.objection_raised"]),
    }


def _differences(mine: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    """Give value, how many others are known, their mean and median."""
    found = {}
    for name, value in mine.items():
        known = sorted(other[name] for other in others if other[name] is not None)
        mean = median = None
        if known:
            mean = sum(known, Fraction(0)) / len(known)
            half = len(known) // 2
            median = known[half] if len(known) % 2 else (known[half - 1] + known[half]) / 2
        apart = None if value is None or median is None else value - median
        found[name] = (value, len(known), mean, median, apart)
    return found


def _when(event: Raw) -> tuple[int, bool]:
    return effect_of(event), event["precision"] == "day"


def _days(start: tuple[Any, ...], end: tuple[Any, ...]) -> Fraction:
    if start[1] and end[1]:
        return Fraction(end[0] // DAY - start[0] // DAY)
    return Fraction(end[0] - start[0], DAY)


def _money(money: dict[str, str] | None) -> tuple[Decimal, str] | None:
    return None if money is None else (Decimal(money["amount"]), money["currency"])


def _total(lines: list[Line]) -> tuple[Decimal, str] | None:
    if len({line["unit_price"]["currency"] for line in lines}) != 1:
        return None
    worth = [
        Decimal(line.get("quantity", "1"))
        * Decimal(line["unit_price"]["amount"])
        * (1 - Decimal(line.get("discount", "0")))
        for line in lines
    ]
    exact = sum((round(each, 6) for each in worth), Decimal(0))
    return exact, lines[0]["unit_price"]["currency"]


def _discount(lines: list[Line]) -> Fraction | None:
    if len({line["unit_price"]["currency"] for line in lines}) != 1:
        return None
    listed = [
        Fraction(line.get("quantity", "1")) * Fraction(line["unit_price"]["amount"])
        for line in lines
    ]
    off = [
        each * Fraction(line.get("discount", "0"))
        for each, line in zip(listed, lines, strict=True)
    ]
    whole = sum(listed, Fraction(0))
    return sum(off, Fraction(0)) / whole if whole else None

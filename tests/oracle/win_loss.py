"""Won and lost deals of a period, naively: walk each deal and note what happened on its way."""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from oracle.beliefs import Raw, effect_of
from oracle.deals import State, deals_of, processes_of, replay
from oracle.rates import Exchange
from oracle.sales import closing_at
from oracle.visits import way_at

__all__ = ["factors_at", "losses_of", "win_loss_in"]

HAPPENED = {
    "deal.budget_confirmed": "budget_confirmed",
    "deal.collaborator_joined": "collaborator_joined",
    "deal.competitor_named": "competitor_named",
    "deal.decision_process_mapped": "decision_process_mapped",
    "deal.help_given": "help_given",
    "deal.intent_stated": "intent_stated",
    "deal.need_identified": "need_identified",
    "deal.objection_raised": "objection_raised",
    "deal.objection_resolved": "objection_resolved",
    "deal.quote_issued": "quote_issued",
    "deal.quote_revised": "quote_revised",
    "deal.solution_proposed": "solution_proposed",
}
PRICED = (
    "deal.line_items_agreed",
    "deal.quote_drafted",
    "deal.quote_issued",
    "deal.quote_revised",
)
WHERE = (
    ("deal.opened", "came_from", "lead_source"),
    ("deal.contact_logged", "contacted_by", "channel"),
)
DAY = 86_400_000_000
OF_A_STAGE = ("contacted_in", "overdue_in")

Factor = tuple[str, str]


def win_loss_in(
    events: list[Raw],
    span: tuple[int, int],
    as_of: int,
    known_at: int,
    *,
    process: str | None,
    owner: str | None,
    exchange: Exchange | None = None,
) -> dict[str, Any]:
    """Count the deals won and lost in a span, by factor, reason and competitor."""
    deals = []
    for stream in deals_of(events):
        closing = closing_at(events, stream, as_of, known_at)
        if closing is None or closing["outcome"] not in ("won", "lost"):
            continue
        asked = process in (None, closing["process"]) and owner in (None, closing["owner"])
        if asked and span[0] <= closing["closed"][0] < span[1]:
            factors = factors_at(events, stream, as_of, known_at)
            stood = {name[1] for name in factors if name[0] in OF_A_STAGE}
            stood |= _stages_stood_in(events, stream, as_of, known_at)
            deals.append((closing, factors, stood))
    lost = [closing for closing, *_ in deals if closing["outcome"] == "lost"]
    if exchange is not None:
        for number, closing in enumerate(lost):
            at = closing["closed"][0]
            times = {"end": span[1] - 1, "event": at, "closing": at}
            closing["amount"] = exchange.convert(closing["amount"], of=number, **times)
    return {
        "won": len(deals) - len(lost),
        "lost": len(lost),
        "drivers": _drivers(deals),
        "losses": losses_of(lost),
        "lost_to": _lost_to(lost),
    }


def factors_at(events: list[Raw], stream: str, as_of: int, known_at: int) -> dict[Factor, int]:
    """Say what happened on the way of a deal while it was open, and how often."""
    found: dict[Factor, int] = {}
    before: State | None = None
    entered = 0
    processes = processes_of(events)
    for event, state in replay(events, stream, known_at):
        if effect_of(event) > as_of or event["occurred"] > as_of:
            break
        if event["event_id"] in state["irregular"]:
            continue
        was_open = before is None or before["standing"] == "open"
        noted = list(_noted(event, before or state, processes)) if was_open else []
        moved = before is None or any(before[n] != state[n] for n in ("stage", "standing"))
        if moved:
            if before is not None and was_open:
                lasted = effect_of(event) - entered
                noted += _overdue(before, lasted, processes)
            entered = effect_of(event)
        for factor in noted:
            found[factor] = found.get(factor, 0) + 1
        before = state
    return found


def _noted(event: Raw, stood: State, processes: dict[Any, Any]) -> Iterator[Factor]:
    kind, fact = event["kind"], event["payload"]
    if kind in HAPPENED:
        yield HAPPENED[kind], ""
    discounts = [Decimal(line.get("discount", "0")) for line in fact.get("lines", [])]
    if kind in PRICED and any(discounts):
        yield "discount_offered", ""
    if kind == "deal.contact_logged":
        yield "contacted_in", stood["stage"]
    for about, name, field in WHERE:
        if kind == about and fact.get(field) is not None:
            yield name, fact[field]
    steps = _steps(stood, fact["target"], processes) if kind == "deal.stage_moved" else 0
    yield from (("stage_skipped", ""),) * (steps > 1)
    yield from (("stage_returned", ""),) * (steps < 0)


def _steps(stood: State, target: str, processes: dict[Any, Any]) -> int:
    """Count the stages from where a deal stood to another open one."""
    stages = _stages(stood, processes)
    if not stages:
        return 0
    keys = [stage["key"] for stage in stages]
    category = {stage["key"]: stage.get("category", "open") for stage in stages}
    if category.get(target, "open") != "open":
        return 0
    here, there = (keys.index(key) if key in keys else -1 for key in (stood["stage"], target))
    return there - here


def _overdue(stood: State, lasted: int, processes: dict[Any, Any]) -> list[Factor]:
    return [
        ("overdue_in", stage["key"])
        for stage in _stages(stood, processes)
        if stage["key"] == stood["stage"]
        and stage.get("max_days") is not None
        and lasted > stage["max_days"] * DAY
    ]


def _stages(stood: State, processes: dict[Any, Any]) -> list[dict[str, Any]]:
    process = processes.get((stood["process"], stood["process_version"]), {})
    found: list[dict[str, Any]] = process.get("stages", [])
    return found


def _stages_stood_in(events: list[Raw], stream: str, as_of: int, known_at: int) -> set[str]:
    """Give every stage in which a deal stood open for some time."""
    return {
        step["stage"]
        for step in way_at(events, stream, as_of, known_at)
        if step["outcome"] == "open" and (step["end"] is None or step["end"] > step["at"])
    }


def _drivers(
    deals: list[tuple[dict[str, Any], dict[Factor, int], set[str]]],
) -> dict[Factor, Any]:
    """Give won and lost deals with a factor and without it, and how far the rates lie apart.

    A deal that never came to a stage is none without what happens there.
    """
    names = {factor for _, factors, _ in deals for factor in factors}
    found = {}
    for name in names:
        counts = {(True, "won"): 0, (True, "lost"): 0, (False, "won"): 0, (False, "lost"): 0}
        for closing, factors, stood in deals:
            if name[0] in OF_A_STAGE and name[1] not in stood:
                continue
            counts[name in factors, closing["outcome"]] += 1
        with_, without = (counts[side, "won"] + counts[side, "lost"] for side in (True, False))
        apart = None
        if with_ and without:
            apart = Fraction(counts[True, "won"], with_) - Fraction(
                counts[False, "won"], without
            )
        found[name] = (*counts.values(), apart)
    return found


def losses_of(lost: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Sum up lost deals by currency and reason, the dearest first."""
    rows: list[tuple[Any, ...]] = []
    currencies = {_currency(deal) for deal in lost}
    for currency in sorted(currencies, key=lambda name: (name is None, name or "")):
        here = [deal for deal in lost if _currency(deal) == currency]
        sums = {
            because: (
                sum(deal["because"] == because for deal in here),
                sum((_worth(d) for d in here if d["because"] == because), Decimal(0)),
            )
            for because in {deal["because"] for deal in here}
        }
        order = sorted(sums, key=lambda name: (-sums[name][1], -sums[name][0], name or ""))
        rows += [(currency, because, *sums[because]) for because in order]
    return rows


def _lost_to(lost: list[dict[str, Any]]) -> dict[str, int]:
    names = [deal["competitor"] for deal in lost if deal["competitor"] is not None]
    return {name: names.count(name) for name in names}


def _currency(deal: dict[str, Any]) -> str | None:
    return None if deal["amount"] is None else deal["amount"][1]


def _worth(deal: dict[str, Any]) -> Decimal:
    return Decimal(0) if deal["amount"] is None else deal["amount"][0]

"""One deal at one moment, by replaying its raw events from the beginning.

`deal_at(events, stream, as_of, known_at)` answers with a plain dict, or None where no deal is
believed to exist. Everything is settled in one loop over the believed history; the rules of
ground are the list of the specification, in its order.
"""

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from oracle.beliefs import Raw, believed, effect_of, of_stream

__all__ = ["CLOSING", "State", "deal_at", "deals_of", "processes_of", "replay"]

State = dict[str, Any]
"""What is true of one deal at a moment; amounts are (Decimal, currency) or None."""

CLOSING = ("won", "lost", "disqualified")
QUOTE_BRINGERS = ("deal.quote_drafted", "deal.quote_issued")
QUOTE_NEEDERS = (
    "deal.quote_revised",
    "deal.quote_accepted",
    "deal.quote_rejected",
    "deal.quote_withdrawn",
    "deal.quote_expired",
)
WIN_NEEDERS = ("deal.contract_amended", "deal.refund_given", "deal.repeat_order_placed")


def deals_of(events: list[Raw]) -> list[str]:
    """Name every stream that says anything of a deal, in order of first mention."""
    streams = [event["stream"] for event in events if event["kind"].startswith("deal.")]
    return list(dict.fromkeys(streams))


def processes_of(events: list[Raw]) -> dict[tuple[str, int], dict[str, Any]]:
    """Find every published process version: they hold whenever they were published."""
    found = {}
    for event in events:
        if event["kind"] == "process.published":
            process = event["payload"]["process"]
            found[process["key"], process.get("version", 1)] = process
    return found


def deal_at(events: list[Raw], stream: str, as_of: int, known_at: int) -> State | None:
    """Replay one deal up to a moment; None where it is not believed to exist."""
    state, begun = None, False
    for event, after in replay(events, stream, known_at):
        if event["occurred"] <= as_of and effect_of(event) <= as_of:
            state = after
        elif not begun:
            return None
        begun = True
    return state


def replay(events: list[Raw], stream: str, known_at: int) -> Iterator[tuple[Raw, State]]:
    """Give every believed fact of a deal in order, with the deal's state after it."""
    history = believed(of_stream(events, stream), known_at)
    if not history:
        return
    opening = history[0]
    deal = _opened(opening, processes_of(events))
    yield opening, _finished(deal)
    for event in history[1:]:
        if _has_ground(event, opening, deal):
            _apply(event, deal)
        else:
            deal["irregular"].append(event["event_id"])
        yield event, _finished(deal)


def _opened(event: Raw, processes: dict[tuple[str, int], dict[str, Any]]) -> State:
    fact = event["payload"]
    deal: State = {
        "processes": processes,
        "process": fact["process"],
        "process_version": fact["process_version"],
        "stage": fact["stage"],
        "outcome": "open",
        "merged_into": None,
        "owner": fact.get("owner"),
        "customer": fact.get("customer_id"),
        "amount": _money(fact.get("amount")),
        "expected_close": fact.get("expected_close"),
        "category_given": None,
        "probability_given": None,
        "opened": event["occurred"],
        "closed": None,
        "first_outcome": None,
        "first_closed": None,
        "first_won": None,
        "irregular": [],
        "quotes": set(),
        "stage_open": None,
    }
    _enter(deal, fact["stage"], event)
    return deal


def _has_ground(event: Raw, opening: Raw, deal: State) -> bool:
    """Go through the list of groundless facts, in the order of the specification."""
    kind, fact, outcome = event["kind"], event["payload"], deal["outcome"]
    merged = deal["merged_into"] is not None
    groundless = (
        event["occurred"] < opening["occurred"],
        kind == "deal.opened",
        kind == "deal.stage_moved" and not _may_move(deal, fact["target"]),
        kind == f"deal.{outcome}" or (kind == "deal.merged" and merged),
        kind == "deal.reopened" and outcome == "open",
        kind in QUOTE_NEEDERS and fact["quote"] not in deal["quotes"],
        kind in WIN_NEEDERS and (outcome != "won" or merged),
    )
    return not any(groundless)


def _may_move(deal: State, target: str) -> bool:
    """Entering a stage that means an outcome *is* that outcome; else it is a mere move."""
    category = _category(deal, target)
    if category in CLOSING:
        return bool(category != deal["outcome"])
    if deal["merged_into"] is not None or deal["outcome"] in ("lost", "disqualified"):
        return False
    return bool(deal["outcome"] == "open" or category != "open")


def _apply(event: Raw, deal: State) -> None:
    kind, fact = event["kind"], event["payload"]
    if kind in ("deal.won", "deal.lost", "deal.disqualified"):
        outcome = kind.removeprefix("deal.")
        deal["stage"] = _stage_of_outcome(deal, outcome)
        _close(deal, outcome, event)
    elif kind == "deal.stage_moved":
        _enter(deal, fact["target"], event)
    elif kind == "deal.reopened":
        deal["outcome"], deal["closed"] = "open", None
        deal["stage"] = fact.get("stage") or deal["stage_open"] or _first_open(deal)
        deal["stage_open"] = deal["stage"]
    elif kind == "deal.migrated":
        _migrate(deal, fact)
    else:
        _apply_attribute(kind, fact, deal)
    if kind in ("deal.won", "deal.contract_amended"):
        deal["amount"] = _money(fact.get("amount")) or deal["amount"]


def _apply_attribute(kind: str, fact: dict[str, Any], deal: State) -> None:
    if kind == "deal.merged":
        deal["merged_into"] = fact["into"]
    elif kind == "deal.unmerged":
        deal["merged_into"] = None
    elif kind == "deal.owner_assigned":
        deal["owner"] = fact["owner"]
    elif kind == "deal.customer_changed":
        deal["customer"] = fact.get("customer_id")
    elif kind == "deal.forecast_given":
        _forecast(deal, fact)
    elif kind == "deal.line_items_agreed":
        deal["amount"] = _sum_of_lines(fact.get("lines", [])) or deal["amount"]
    elif kind in QUOTE_BRINGERS:
        deal["quotes"].add(fact["quote"])


def _enter(deal: State, stage: str, event: Raw) -> None:
    """Let the deal stand in a stage; some stages mean an outcome, after-sales is not open."""
    category = _category(deal, stage)
    deal["stage"] = stage
    if category in CLOSING:
        _close(deal, category, event)
    elif category == "open":
        deal["stage_open"] = stage


def _close(deal: State, outcome: str, event: Raw) -> None:
    at = event["occurred"]
    deal["outcome"], deal["closed"] = outcome, at
    if deal["first_outcome"] is None:
        deal["first_outcome"], deal["first_closed"] = outcome, at
    if outcome == "won" and deal["first_won"] is None:
        deal["first_won"] = at


def _stage_of_outcome(deal: State, outcome: str) -> str:
    """Winning opens after-sales; an imported process may have a stage that *is* the outcome.

    Otherwise the deal stays where it stood open last.
    """
    wanted = ("after_sales", "won") if outcome == "won" else (outcome,)
    for category in wanted:
        for stage in _process(deal).get("stages", []):
            if stage.get("category", "open") == category:
                return str(stage["key"])
    return str(deal["stage_open"] or deal["stage"])


def _first_open(deal: State) -> str:
    for stage in _process(deal).get("stages", []):
        if stage.get("category", "open") == "open":
            return str(stage["key"])
    return str(deal["stage"])


def _migrate(deal: State, fact: dict[str, Any]) -> None:
    deal["process"], deal["process_version"] = fact["process"], fact["process_version"]
    for name in ("stage", "stage_open"):
        for pair in fact.get("mapping", []):
            if pair["old"] == deal[name]:
                deal[name] = pair["new"]
                break


def _forecast(deal: State, fact: dict[str, Any]) -> None:
    for part in fact.get("cleared", []):
        deal[_attribute(part)] = None
    for part in ("expected_close", "category", "probability"):
        if fact.get(part) is not None:
            deal[_attribute(part)] = fact[part]
    if fact.get("amount") is not None:
        deal["amount"] = _money(fact["amount"])


def _attribute(part: str) -> str:
    return f"{part}_given" if part in ("category", "probability") else part


def _finished(deal: State) -> State:
    """Add what follows from the rest: merged as an outcome, probability, category.

    While open both are those of the stage in the deal's process version, unless others were
    given; once closed it is certain.
    """
    deal = {**deal, "irregular": list(deal["irregular"])}
    stage = _stage(deal, deal["stage"])
    deal["standing"] = "merged" if deal["merged_into"] is not None else deal["outcome"]
    given = deal["probability_given"]
    deal["probability"] = Decimal(stage.get("probability", "0") if given is None else given)
    category = deal["category_given"]
    deal["forecast_category"] = category or stage.get("forecast_category", "pipeline")
    if deal["outcome"] != "open":
        won = deal["outcome"] == "won"
        deal["probability"] = Decimal(1 if won else 0)
        deal["forecast_category"] = "closed" if won else "omitted"
    for scratch in ("processes", "quotes"):
        del deal[scratch]
    return deal


def _process(deal: State) -> dict[str, Any]:
    found: dict[str, Any] = deal["processes"].get(
        (deal["process"], deal["process_version"]), {}
    )
    return found


def _stage(deal: State, key: str) -> dict[str, Any]:
    for stage in _process(deal).get("stages", []):
        if stage["key"] == key:
            found: dict[str, Any] = stage
            return found
    return {}


def _category(deal: State, key: str) -> str:
    return str(_stage(deal, key).get("category", "open"))


def _money(money: dict[str, str] | None) -> tuple[Decimal, str] | None:
    return None if money is None else (Decimal(money["amount"]), money["currency"])


def _sum_of_lines(lines: list[dict[str, Any]]) -> tuple[Decimal, str] | None:
    """Add up quantity x price x (1 - discount), each line to a millionth, half to even."""
    currencies = {line["unit_price"]["currency"] for line in lines}
    if len(currencies) != 1:
        return None
    total = Decimal(0)
    for line in lines:
        quantity, discount = (
            Decimal(line.get("quantity", "1")),
            Decimal(line.get("discount", "0")),
        )
        price = Decimal(line["unit_price"]["amount"])
        total += (quantity * price * (1 - discount)).quantize(
            Decimal("0.000001"), ROUND_HALF_EVEN
        )
    return total, currencies.pop()

"""What a metric comes to, naively: of a period as the KPIs have it, of a stage by every way."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import pairwise
from typing import Any

from oracle.beliefs import Raw
from oracle.conversions import conversion_of
from oracle.customer_kpis import Asked as About
from oracle.customer_kpis import _buyers as buyers_of
from oracle.customer_kpis import _follow_ups as follow_ups
from oracle.customer_kpis import _top_box as top_box
from oracle.customer_kpis import lasted, spread_of
from oracle.customers import survivors_at
from oracle.deals import deals_of, processes_of
from oracle.groups import Whose, groups_of
from oracle.kpis import kpis_in
from oracle.products import product_metrics_in
from oracle.rates import Asked, Exchange
from oracle.sales import bookings_of, closing_at, opening_of
from oracle.visits import Step, way_at

__all__ = ["happened_at_stage", "metrics_in", "only_of", "repeat_rate_in"]

Span = tuple[int, int]
Figure = tuple[Any, int | None]
"""The value (sums of money by currency), and how many it rests on; None for whatever."""
OF_LINES: dict[str, Callable[..., tuple[Any, int | None]]] = {
    "sales": lambda line: (line["sales"], line["bookings"]),
    "velocity": lambda line: (line["velocity"][4], None),
    "qualified_deals": lambda line: (line["velocity"][0], line["velocity"][0]),
    "win_rate_of_created": lambda line: (line["win_rate_of_created"], line["created"]),
    "win_rate": lambda line: line["win_rate"] or (None, 0),
    "cycle_days": lambda line: ((line["cycle"] or (None,))[0], line["won"]),
    "cycle_days_mean": lambda line: ((line["cycle"] or (None, None))[1], line["won"]),
    "cycle_days_p90": lambda line: ((line["cycle"] or (None, None, None))[2], line["won"]),
    "win_rate_by_value": lambda line: (_only(line["win_rate_by_value"]), None),
    "first_response_days": lambda line: ((line["first_response"] or (None,))[0], None),
    "repeat_rate": lambda line: (line["buyers"][2], line["buyers"][0]),
    "contacts": lambda line: (line["follow_ups"][0], line["follow_ups"][0]),
    "contacts_per_deal": lambda line: (line["follow_ups"][2], line["follow_ups"][1]),
    "csat": lambda line: line["csat"] or (None, 0),
}
AT_STAGE = ("stage_entries", "stage_conversion", "stage_conversion_resolved", "stage_days")


def metrics_in(
    events: list[Raw],
    metrics: Iterable[str],
    span: Span,
    at: tuple[int, int],
    *,
    by: str | None,
    scope: dict[str, Any],
    exchange: Exchange | None = None,
) -> dict[str, dict[Any, Figure]]:
    """Give the value of metrics by group, where there is anything of them."""
    only = only_of(events, scope, *at)
    if scope.get("stage") is not None:
        return {
            metric: _at_stage(events, metric, span, at, by, scope["stage"], only)
            if metric in AT_STAGE
            else {None: happened_at_stage(events, metric, span, at, scope)}
            for metric in metrics
        }
    exchange = exchange or Exchange(events, Asked(None, "event", None), *at)
    if scope.get("product") is not None:
        return product_metrics_in(events, scope["product"], span, at, by, only, exchange)
    lines = kpis_in(events, span, at, by=by, only=only, days=90, exchange=exchange)
    found = {}
    for metric in metrics:
        if metric == "sales_per_customer":
            found[metric] = _per_customer(events, span, at, by, only, lines)
            continue
        of = OF_LINES.get(metric)
        found[metric] = {
            group: (line[metric], line[metric]) if of is None else of(line)
            for group, line in lines.items()
        }
    return found


def happened_at_stage(
    events: list[Raw], metric: str, span: Span, at: tuple[int, int], scope: dict[str, Any]
) -> Figure:
    """Give a metric of all that happened while deals stood in a stage, or closed from there."""
    stage, only = scope["stage"], only_of(events, scope, *at)

    def here(whose: Whose) -> bool:
        return whose["stage"] == stage and only(whose)

    asked = About(events, span, at, lambda _: None, here)
    if metric in ("contacts", "contacts_per_deal"):
        contacts, deals, per_deal, _ = follow_ups(asked).get(None, (0, 0, None, {}))
        return (contacts, contacts) if metric == "contacts" else (per_deal, deals)
    if metric == "csat":
        found: Figure = top_box(asked).get(None, (None, 0))
        return found
    closed = []
    for stream in deals_of(events):
        closing = closing_at(events, stream, *at)
        if closing is None or closing["outcome"] == "merged" or closing["closed"][0] is None:
            continue
        source = opening_of(events, stream, at[1]).get("lead_source")
        whose = {"at": closing["closed"][0], "rep": closing["owner"], "channel": source}
        whose |= {name: closing[name] for name in ("customer", "process", "stage")}
        if span[0] <= whose["at"] < span[1] and here(whose):
            closed.append(closing["outcome"])
    won, lost = closed.count("won"), closed.count("lost")
    assert metric == "win_rate", metric
    return _ratio(won, won + lost), won + lost


def repeat_rate_in(
    events: list[Raw], span: Span, at: tuple[int, int], scope: dict[str, Any]
) -> Figure:
    """Give the share of customers who came back, alone."""
    asked = About(events, span, at, lambda _: None, only_of(events, scope, *at))
    once, _, rate = buyers_of(asked).get(None, (0, 0, None))
    return rate, once


def _only(rates: dict[str, Fraction]) -> Fraction | None:
    return next(iter(rates.values())) if len(rates) == 1 else None


def only_of(
    events: list[Raw], scope: dict[str, Any], as_of: int, known_at: int
) -> Callable[[Whose], bool]:
    """Say whether something is of all that figures are narrowed to."""
    names = {"owner": "rep", "team": "team", "channel": "channel", "process": "process"}
    of = {names[n]: it for n, it in scope.items() if it is not None and n in names}
    customer = scope.get("customer")
    survivors = survivors_at(events, as_of, known_at)
    group_of = {name: groups_of(events, name, as_of, known_at) for name in of}

    def is_wanted(whose: Whose) -> bool:
        if customer is not None:
            mine = whose["customer"]
            if mine is None or survivors.get(mine, mine) != survivors.get(customer, customer):
                return False
        return all(
            group_of[name](whose) in (it if isinstance(it, tuple) else (it,))
            for name, it in of.items()
        )

    return is_wanted


def _per_customer(
    events: list[Raw],
    span: Span,
    at: tuple[int, int],
    by: str | None,
    only: Callable[[Whose], bool],
    lines: dict[Any, Any],
) -> dict[Any, Figure]:
    """Share the sales of each group out among the customers who ordered of it."""
    as_of, known_at = at
    group_of, survivors = groups_of(events, by, as_of, known_at), survivors_at(events, *at)
    buyers: dict[Any, set[str]] = defaultdict(set)
    for stream in deals_of(events):
        found: list[tuple[int, Whose]] = []
        for booked in bookings_of(events, stream, known_at):
            effect, kind, _, role, person, *_, process, _, customer, source, at_ = booked
            if kind == "repeated" and role == "owner" and effect <= as_of:
                whose = {"at": at_, "rep": person, "customer": customer}
                found.append((effect, {**whose, "channel": source, "process": process}))
        closing = closing_at(events, stream, as_of, known_at)
        if closing is not None and closing["outcome"] == "won":
            source = opening_of(events, stream, known_at).get("lead_source")
            closed = closing["closed"][0]
            whose = {"at": closed, "rep": closing["owner"], "customer": closing["customer"]}
            whose |= {"channel": source, "process": closing["process"]}
            found.append((closed, whose))
        for when, whose in found:
            buyer: str | None = whose["customer"]
            if span[0] <= when < span[1] and buyer is not None and only(whose):
                buyers[group_of(whose)].add(survivors.get(buyer) or buyer)
    return {
        group: (
            {
                currency: Fraction(amount) / len(buyers[group])
                for currency, amount in line["sales"].items()
                if buyers[group]
            },
            len(buyers[group]),
        )
        for group, line in lines.items()
    }


def _at_stage(
    events: list[Raw],
    metric: str,
    span: Span,
    at: tuple[int, int],
    by: str | None,
    stage: str,
    only: Callable[[Whose], bool],
) -> dict[Any, Figure]:
    """Walk the way of every deal that is not merged."""
    group_of, processes = groups_of(events, by, *at), processes_of(events)
    every = {stream: way_at(events, stream, *at) for stream in deals_of(events)}
    every = {s: way for s, way in every.items() if way and way[-1]["outcome"] != "merged"}
    ways = []
    for stream, way in every.items():
        source = opening_of(events, stream, at[1]).get("lead_source")
        ways.append([{**step, "source": source} for step in way])

    def whose(step: Step) -> Whose:
        names = {"at": "at", "rep": "owner", "customer": "customer", "process": "process"}
        return {name: step[it] for name, it in names.items()} | {"channel": step["source"]}

    mine = [step for way in ways for step in way if step["stage"] == stage]
    groups = {None} if by is None else {group_of(whose(step)) for step in mine}
    keys = {(step["process"], stage) for step in mine}
    found = {}
    for group in groups:

        def wanted(step: Step, group: str | None = group) -> bool:
            return only(whose(step)) and (by is None or group_of(whose(step)) == group)

        if metric == "stage_days":
            found[group] = _stays(ways, stage, span, wanted)
            continue
        counts = [conversion_of(key, ways, span, wanted, processes)["counts"] for key in keys]
        n = {
            what: sum(each[what] for each in counts)
            for what in ("entries", "entered", "moved_on", "left")
        }
        left = n["moved_on"] + n["left"]
        found[group] = {
            "stage_entries": (n["entries"], n["entries"]),
            "stage_conversion": (_ratio(n["moved_on"], n["entered"]), n["entered"]),
            "stage_conversion_resolved": (_ratio(n["moved_on"], left), left),
        }[metric]
    return found


def _stays(
    ways: list[list[Step]], stage: str, span: Span, wanted: Callable[[Step], bool]
) -> Figure:
    times = [
        lasted(step["at"], end["at"], step["day_only"] and end["day_only"])
        for way in ways
        for step, end in pairwise(way)
        if step["stage"] == stage
        and span[0] <= end["at"] < span[1]
        and end["entered"] not in ("merged", "migrated")
        and wanted(step)
    ]
    spread = spread_of(times)
    return (None if spread is None else spread[0]), len(times)


def _ratio(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None

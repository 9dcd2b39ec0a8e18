"""The funnel, and what a naive replay says of it."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from oracle.beliefs import Raw
from oracle.deals import State, deal_at, deals_of, processes_of
from oracle.funnels import funnel_at
from oracle.groups import groups_of
from oracle.sales import opening_of
from oracle.teams import teams_at
from properties.asked.case import (
    About,
    Case,
    by_currency,
    exchange_for,
    said_of_rates,
    with_rates,
)
from properties.world import customer_id
from salesflow.projections.pipeline.funnel import ClosedDeals, Funnel, FunnelStage, FunnelView

__all__ = ["CASE", "rounded", "said"]

ONLY: tuple[dict[str, Any], ...] = (
    *({}, {}, {}, {"process": "standard"}, {"process": "crm"}, {"owner": "ann"}),
    *({"process": "standard", "owner": "bob"}, {"currency": "CNY"}, {"team": "east"}),
    *({"customer": customer_id(0)}, {"channel": "fair", "currency": "EUR"}),
)
BY = (None, None, None, "process", "owner", "team", "customer", "channel", "currency")


def said_of_groups(view: FunnelView) -> dict[Any, Any]:
    """Write each group of a funnel as the oracle does."""
    groups = dict.fromkeys(closed.group for closed in view.closed)
    return {
        group: said(
            [stage for stage in view.stages if stage.group == group],
            [closed for closed in view.closed if closed.group == group],
        )
        for group in groups
    }


def said(stages: Sequence[FunnelStage], closed: Iterable[ClosedDeals]) -> dict[str, Any]:
    """Write one funnel as the oracle does; empty stages are left out."""
    return {
        "stages": {
            (stage.process, stage.stage): (
                stage.deals,
                stage.deals_without_amount,
                by_currency(stage.amounts),
                by_currency(stage.weighted),
            )
            for stage in stages
            if stage.deals or stage.amounts
        },
        "closed": {each.outcome: (each.deals, by_currency(each.amounts)) for each in closed},
        "open_deals": sum(stage.deals for stage in stages),
    }


def wanted(raw: list[Raw], question: Funnel, as_of: int, known_at: int) -> dict[str, Any]:
    """Ask the oracle for the funnel of each group."""
    exchange = exchange_for(raw, question, as_of, known_at)
    groups: dict[Any, Any] = {} if question.by else {None: None}
    whose = _whose(raw, as_of, known_at)
    for stream in deals_of(raw):
        deal = deal_at(raw, stream, as_of, known_at)
        if deal is not None and _is_of(whose(deal | {"stream": stream}), question):
            of = whose(deal | {"stream": stream})
            groups[of[question.by] if question.by else None] = None
    for group in groups:

        def keep(deal: State, group: Any = group) -> bool:  # noqa: ANN401 - any group
            of = whose(deal)
            return _is_of(of, question) and (question.by is None or of[question.by] == group)

        found = funnel_at(raw, as_of, known_at, exchange=exchange, keep=keep)
        if question.report_currency is not None:
            rounded(found)
        found["order"] = _open_stages(raw, found)
        del found["processes"]
        groups[group] = found
    in_all = sum(found["open_deals"] for found in groups.values())
    return {"groups": groups, "open_deals": in_all, "rates": exchange.said()}


def _whose(raw: list[Raw], as_of: int, known_at: int) -> Callable[[State], dict[str, Any]]:
    """Give the function that says of which group of every kind a deal is at the moment."""
    of = {by: groups_of(raw, by, as_of, known_at) for by in ("rep", "customer")}
    teams = teams_at(raw, as_of, known_at)

    def whose(deal: State) -> dict[str, Any]:
        about = {"at": as_of, "rep": deal["owner"], "customer": deal["customer"]}
        return {
            "process": deal["process"],
            "owner": deal["owner"],
            "team": teams.get(deal["owner"] or ""),
            "customer": of["customer"](about),
            "channel": opening_of(raw, deal["stream"], known_at).get("lead_source"),
            "currency": None if deal["amount"] is None else deal["amount"][1],
        }

    return whose


def _is_of(of: dict[str, Any], question: Funnel) -> bool:
    wanted = {name: getattr(question, name) for name in of}
    return all(want is None or of[name] == str(want) for name, want in wanted.items())


def rounded(found: dict[str, Any]) -> None:
    """Let amounts lie a little apart, since they were converted."""
    found["stages"] = {
        key: (*counts, _about(amounts), _about(weighted))
        for key, (*counts, amounts, weighted) in found["stages"].items()
    }
    found["closed"] = {
        outcome: (deals, _about(amounts))
        for outcome, (deals, amounts) in found["closed"].items()
    }


def _about(amounts: dict[str, Decimal]) -> dict[str, About]:
    return {currency: About(amount) for currency, amount in amounts.items()}


def _open_stages(raw: list[Raw], found: dict[str, Any]) -> list[tuple[str, str]]:
    """List every open stage of the newest version in use, then others that hold deals."""
    order = []
    versions = processes_of(raw)
    for key, newest in found["processes"].items():
        stages = versions[key, newest]["stages"]
        own = [s["key"] for s in stages if s.get("category", "open") == "open"]
        gone = sorted({stage for p, stage in found["stages"] if p == key} - set(own))
        order += [(key, stage) for stage in [*own, *gone]]
    return order


CASE = Case(
    st.builds(
        lambda by, only, rates: Funnel.model_validate({"by": by, **only, **rates}),
        st.sampled_from(BY),
        st.sampled_from(ONLY),
        with_rates("period_end"),
    ),
    lambda view: {
        "groups": {
            group: {
                **found,
                "order": [(s.process, s.stage) for s in view.stages if s.group == group],
            }
            for group, found in said_of_groups(view).items()
        },
        "open_deals": view.open_deals,
        "rates": said_of_rates(view.rates),
    },
    wanted,
)

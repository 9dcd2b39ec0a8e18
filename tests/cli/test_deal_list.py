"""The list of deals holds exactly those there are at a moment, as each stood then."""

import json
from typing import Any
from uuid import UUID

import pytest

from salesflow import Deal, SalesFlow
from salesflow.errors import NotFoundError
from salesflow.projections.pipeline.deals import Deals, DealStanding
from simulated import demo, ran

ALL = 1_000_000
EVERY = 5
"""One deal in so many is looked at by itself."""
THEN = "2025-03-31"
MOMENTS = (
    ("2024-06-30", None),
    ("2024-12-31", "2024-12-31"),
    ("2025-11-15T10:00:00+08:00", "2026-02-01"),
    (None, None),
)


def said_by_deal(deal: Deal) -> dict[str, Any]:
    return {
        "deal": deal.id,
        "title": deal.title or None,
        "process": deal.process,
        "process_version": deal.process_version,
        "stage": deal.stage,
        "outcome": "merged" if deal.merged_into else deal.outcome,
        "owner": deal.owner,
        "customer_id": deal.customer_id,
        "amount": deal.amount and deal.amount.amount,
        "currency": deal.amount and deal.amount.currency,
        "expected_close": deal.expected_close and deal.expected_close.isoformat(),
        "forecast_category": deal.forecast_category,
        "probability": deal.probability,
        "lead_source": deal.lead_source,
    }


def said_by_list(standing: DealStanding) -> dict[str, Any]:
    return standing.model_dump(exclude={"stage_en", "stage_zh", "since"})


def stood(flow: SalesFlow, id: UUID, as_of: str | None, known_at: str | None) -> Deal | None:
    try:
        return flow.get(Deal, id, as_of=as_of, known_at=known_at)
    except NotFoundError:
        return None


@pytest.mark.parametrize(("as_of", "known_at"), MOMENTS)
def test_every_deal_is_listed_as_it_stood(as_of: str | None, known_at: str | None) -> None:
    with SalesFlow(demo().url, create=False) as flow:
        listed = flow.ask(Deals(limit=ALL), as_of=as_of, known_at=known_at)
        every = sorted(deal.deal for deal in flow.ask(Deals(limit=ALL)).deals)[::EVERY]
        deals = [stood(flow, id, as_of, known_at) for id in every]
    expected = {deal.id: said_by_deal(deal) for deal in deals if deal is not None}
    told = {deal.deal: said_by_list(deal) for deal in listed.deals}
    assert listed.deals_total == len(told)
    assert {id: told[id] for id in every if id in told} == expected
    assert len(expected) > 200 / EVERY


def test_filters_choose_by_how_the_deals_stood_then() -> None:
    with SalesFlow(demo().url, create=False) as flow:
        every = flow.ask(Deals(limit=ALL), as_of=THEN, known_at=THEN).deals
        chosen = flow.ask(
            Deals(stage="negotiation", owner="east-02", outcome="open", limit=ALL),
            as_of=THEN,
            known_at=THEN,
        )
    assert chosen.deals == tuple(
        deal
        for deal in every
        if (deal.stage, deal.owner, deal.outcome) == ("negotiation", "east-02", "open")
    )
    assert chosen.deals


@pytest.mark.usefixtures("db")
def test_a_short_list_says_how_many_there_are_in_all() -> None:
    told = ran("deal", "list", "--limit", "2")
    assert told.code == 0
    assert "listed 2 · in all 3" in told.out
    assert "列出 2 · 共 3" in ran("deal", "list", "--limit", "2", "--lang", "zh").out
    answer = json.loads(ran("deal", "list", "--limit", "2", "--json").out)
    assert (len(answer["deals"]), answer["deals_total"]) == (2, 3)


@pytest.mark.usefixtures("db")
def test_an_id_of_the_list_leads_to_its_deal() -> None:
    [row] = [row for row in ran("deal", "list").out.splitlines() if "ERP 上线" in row]
    assert "98,000 CNY" in row
    assert ran("deal", "show", row.split()[0]).out.startswith("Deal ERP 上线")


@pytest.mark.usefixtures("db")
def test_the_deal_that_changed_last_is_listed_first() -> None:
    deals = json.loads(ran("ask", "deals", "--json").out)["deals"]
    assert deals[0]["title"] == "ERP 上线"
    assert sorted((deal["since"] for deal in deals), reverse=True) == [
        deal["since"] for deal in deals
    ]


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--limit", "0", "must be more than 0"),
        ("--outcome", "gone", "'gone' is not one of 'open'"),
    ],
)
def test_a_list_refuses_what_it_cannot_list_by(option: str, value: str, said: str) -> None:
    told = ran("deal", "list", option, value)
    assert told.code == 2
    assert said in told.err

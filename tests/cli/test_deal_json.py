"""What JSON says of a deal: all that is shown, in words and times that never change form."""

import json
import os
import re
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from salesflow import Customer, Deal, ExternalEvent, Goal, Money, SalesFlow
from salesflow.cli.things.ids import Called
from salesflow.domain.goal import GoalLocked, goal_id
from salesflow.presentation.deal_view import attribute_texts, deal_json
from salesflow.projections.pipeline.deals import Deals, DealStanding
from simulated import demo, ran

ERP = "e4900000-0000-4000-8000-000000000001"
COMMANDS = (
    ("deal", "show", ERP), ("deal", "history", ERP), ("deal", "replay", ERP), ("deal", "list"),
    ("ask", "funnel"), ("ask", "deal-timeline", ERP), ("process", "show", "standard"),
    ("status",),
)  # fmt: skip
TIME = re.compile(r'"(\d{4}-\d\d-\d\dT[^"]*)"')
TOLD_AS = {"quote": "quotes", "activities": "contacts", "last": "last_contact"}


def key_of(label: str, deal: DealStanding) -> str:
    if (label, deal.outcome) == ("Lost because", "disqualified"):
        return "disqualified_because"
    return TOLD_AS.get(label.split()[0].lower(), label.lower().replace(" ", "_"))


def test_json_says_of_a_deal_whatever_is_shown_of_it() -> None:
    with SalesFlow(demo().url, create=False) as flow:
        called = Called(flow)
        for each in flow.ask(Deals(limit=300), as_of="2025-12-31").deals:
            deal = flow.get(Deal, each.deal, as_of="2025-12-31")
            said = deal_json(deal, called)
            labels = attribute_texts(deal, called)
            assert [label for label in labels if not said[key_of(label, each)]] == []


@pytest.mark.usefixtures("db")
def test_what_was_invoiced_and_paid_is_summed_by_currency() -> None:
    with SalesFlow(os.environ["SALESFLOW_DB"]) as flow, flow.session() as s:
        for amount, currency in (("1000", "CNY"), ("0.50", "CNY"), ("7", "USD")):
            s.get(Deal, UUID(ERP)).issue_invoice(Money(amount, currency), invoice="I1")
    shown = json.loads(ran("deal", "show", ERP, "--json").out)
    assert shown["invoiced"] == [
        {"amount": "1000.50", "currency": "CNY"},
        {"amount": "7", "currency": "USD"},
    ]
    assert shown["paid"] == []
    assert shown["last_contact"]["channel"] == "call"
    assert shown["intent"]["level"] == "high"
    assert shown["customer_name"] == "江南精密机械有限公司"


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_json_is_the_same_in_every_language(command: tuple[str, ...]) -> None:
    as_of = () if command[0] in ("process", "status") or "history" in command else AT
    english, chinese = (
        ran(*command, *as_of, "--json", "--lang", language).out for language in ("en", "zh")
    )
    assert json.loads(english) == json.loads(chinese)


AT = ("--as-of", "2026-03-31")


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_time_in_json_is_in_utc_with_one_form_of_offset(command: tuple[str, ...]) -> None:
    times = TIME.findall(ran(*command, "--json").out)
    assert [time for time in times if not time.endswith("+00:00")] == []
    assert times or command[0] == "process"


@pytest.mark.usefixtures("db")
def test_a_replayed_change_is_told_in_machine_words() -> None:
    steps = json.loads(ran("deal", "replay", ERP, "--json", "--lang", "zh").out)["steps"]
    changes = [change for step in steps for change in step["changes"]]
    assert {"attribute": "title", "before": None, "after": "ERP 上线"} in changes
    assert {
        "attribute": "stage",
        "before": "prospecting",
        "after": "initial_contact",
    } in changes
    assert {"attribute": "outcome", "before": "open", "after": "won"} in changes


@pytest.mark.usefixtures("db")
def test_what_did_not_change_is_no_change() -> None:
    changes: list[Any] = [
        change
        for step in json.loads(ran("deal", "replay", ERP, "--json").out)["steps"]
        for change in step["changes"]
    ]
    assert [change for change in changes if change["before"] == change["after"]] == []


@pytest.mark.usefixtures("db")
def test_who_has_a_say_is_called_by_the_customers_entry_where_the_deal_names_an_id_alone() -> (
    None
):
    with SalesFlow(os.environ["SALESFLOW_DB"]) as flow, flow.session() as s:
        deal = s.get(Deal, UUID(ERP))
        assert deal.customer_id is not None
        wang = s.get(Customer, deal.customer_id).add_person(name="王敏")
        deal.identify_committee_member(person_id=wang, roles=("champion",))
        nobody = deal.identify_committee_member(person_id=UUID(int=7))
    shown = json.loads(ran("deal", "show", ERP, "--json").out)["buying_committee"]
    told = {each["person_id"]: each["name"] for each in shown}
    assert (told[str(wang)], told[str(nobody)]) == ("王敏", None)
    assert f"王敏 {wang} (" in ran("deal", "show", ERP).out


@pytest.mark.usefixtures("db")
def test_what_is_irregular_of_a_goal_is_counted_and_says_why() -> None:
    db = os.environ["SALESFLOW_DB"]
    with SalesFlow(db) as flow, flow.session() as s:
        first, last = date(2030, 1, 1), date(2030, 3, 31)
        q1: dict[str, Any] = {"metric": "won", "target": 3, "strategy": "x"}
        q1 |= {"why_achievable": "y"}
        s.add(Goal.set("q1", **q1, first_day=first, last_day=last))
    locked = GoalLocked(by="eva")
    with SalesFlow(db) as flow:
        flow.record(
            [ExternalEvent(goal_id("q1"), locked), ExternalEvent(goal_id("q1"), locked)]
        )
    assert json.loads(ran("goal", "show", "q1", "--json").out)["irregular"] == 1
    assert "Data anomalies" in ran("goal", "show", "q1").out
    events = json.loads(ran("goal", "history", "q1", "--json").out)["events"]
    assert [each["irregular"] for each in events] == [None, None, "the goal was locked before"]
    assert "irregular: the goal was locked before" in ran("goal", "history", "q1").out

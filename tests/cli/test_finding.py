"""Deals, customers and reps are named as people name them, and what is unclear is refused."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from salesflow import STANDARD, Customer, Deal, Rep, SalesFlow, SalesProcess, Team
from simulated import ran

ERP = "e4900000-0000-4000-8000-000000000001"
HOFER = UUID("0194111a-2b3c-7def-8123-000000000001")
HUBER = UUID("0194111a-2b3c-7dee-8123-000000000002")
"""Ids that begin with the same time."""
OPENED = datetime(2026, 3, 20, tzinfo=UTC)


@pytest.fixture
def shop(db: str) -> str:
    """Add two customers of a minute, with a deal each, and a rep whose id says nothing."""
    with SalesFlow(f"sqlite:///{db}") as flow, flow.session(actor="r-9") as s:
        team = s.add(Team.form("south", name_en="South", name_zh="南区"))
        s.add(Rep.join("r-9", team=team, name="Zhou Lan"))
        for id, name in ((HOFER, "Hofer  GmbH"), (HUBER, "Huber: Söhne")):
            customer = s.add(Customer.register(name=name, id=id))
            s.add(Deal.open(STANDARD, customer=customer, title=f"CRM for {name}", owner="r-9"))
    return db


def open_deals(*options: str) -> int:
    told = ran("ask", "funnel", "--json", *options)
    assert told.code == 0, told.err
    found: int = json.loads(told.out)["open_deals"]
    return found


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    "said",
    ["Hofer GmbH", "hofer gmbh", "Huber: Söhne", "0194111a-2b3c-7def", str(HUBER)],
)
def test_a_customer_is_meant_by_its_name_or_the_first_digits_of_its_id(said: str) -> None:
    assert open_deals("--customer", said) == 1


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("Hofer", "'Hofer' is not a customer; did you mean 'Hofer GmbH'?"),
        ("Hofr GmbH", "did you mean 'Hofer GmbH'?"),
        ("zzz", "'zzz' is not a customer; write its id, the first 4 or more digits"),
        ("ffffffff", "there is no customer ffffffff"),
        ("crm:17", "no customer crm:17 has been imported"),
        ("0194111a", f"several customers begin with 0194111a: {HUBER}, {HOFER}; write more"),
        ("江南精密机械有限公司", "several customers are called '江南精密机械有限公司': "),
        (" ", "' ' is not a customer"),
    ],
)
def test_a_customer_nobody_can_mean_is_refused_with_those_that_are_near(
    said: str, why: str
) -> None:
    told = ran("ask", "funnel", "--customer", said)
    assert (told.code, told.out) == (2, "")
    assert why in told.err.replace("  ", " ")
    assert told.err.count("\n") == 1


@pytest.mark.usefixtures("shop")
def test_a_deal_is_meant_by_its_title() -> None:
    assert json.loads(ran("deal", "show", "mes ROLLOUT", "--json").out)["id"].startswith("3e50")
    assert "CRM for Huber: Söhne" in ran("deal", "show", "CRM for Huber: Söhne").out
    near = ran("deal", "history", "MES")
    assert (near.code, near.out) == (2, "")
    assert "'MES' is not a deal; did you mean 'MES rollout', 'MES twin'?" in near.err


@pytest.mark.usefixtures("shop")
def test_a_title_that_was_taken_back_means_no_deal() -> None:
    with SalesFlow("sqlite:///house.db") as flow, flow.session() as s:
        [opened] = [e for e in flow.history(UUID(ERP)) if e.fact.kind == "deal.opened"]
        s.get(Deal, UUID(ERP)).retract(opened.event_id, because="wrong")
    assert "'ERP 上线' is not a deal" in ran("deal", "show", "ERP 上线").err


@pytest.mark.usefixtures("shop")
def test_a_rep_is_meant_by_name_unless_deals_have_such_an_owner() -> None:
    assert open_deals("--owner", "zhou lan") == open_deals("--owner", "r-9") == 2
    assert open_deals("--owner", "r-9 Zhou Lan") == 2  # as tables show a rep
    assert open_deals("--owner", "r-9 Ann Li") == 0
    with SalesFlow("sqlite:///house.db") as flow, flow.session() as s:
        s.get(Deal, UUID("3e500000-0000-4000-8000-000000000002")).assign_owner("Zhou Lan")
    assert open_deals("--owner", "Zhou Lan") == 1
    with SalesFlow("sqlite:///house.db") as flow, flow.session() as s:
        s.add(Rep.join("r-10", team="south", name="Ann Li"))
        s.add(Rep.join("r-11", team="south", name="Ann Li"))
    told = ran("ask", "funnel", "--owner", "Ann Li")
    assert (told.code, told.out) == (2, "")
    assert "several reps are called 'Ann Li': r-10, r-11; write an id" in told.err


@pytest.mark.usefixtures("shop")
def test_a_stage_is_meant_by_its_key_or_by_its_name_in_either_language() -> None:
    for said in ("prospecting", "Prospecting", "PROSPECTING", "潜在客户识别"):
        told = ran("ask", "deals", "--json", "--stage", said)
        assert {each["stage"] for each in json.loads(told.out)["deals"]} == {"prospecting"}
    unknown = ran("ask", "deals", "--stage", "Prospect")
    assert (unknown.code, "there is no stage 'Prospect'; there are prosp" in unknown.err) == (
        2,
        True,
    )


@pytest.mark.usefixtures("shop")
def test_a_name_that_two_stages_have_is_refused_with_their_keys() -> None:
    trial = STANDARD.stages[0].model_copy(update={"key": "first_talk"})
    other = STANDARD.model_copy(
        update={"key": "other", "version": 1, "stages": (trial, *STANDARD.stages[1:])}
    )
    with SalesFlow("sqlite:///house.db") as flow, flow.session() as s:
        s.add(SalesProcess.publish(other))
    told = ran("ask", "deals", "--stage", "Prospecting")
    assert told.code == 2
    assert "several stages are called 'Prospecting': " in told.err
    assert "first_talk" in told.err
    assert ran("ask", "deals", "--stage", "prospecting").code == 0


@pytest.mark.usefixtures("shop")
def test_the_log_of_a_user_or_a_customer_is_found_as_it_is_shown() -> None:
    by_name = ran("log", "--json", "--actor", "Zhou Lan").out.splitlines()
    assert {json.loads(line)["actor"] for line in by_name} == {"r-9"}
    shown = ran("log", "--limit", "4").out
    for id in (HOFER, HUBER):
        digits = next(word for word in shown.split() if str(id).startswith(word))
        found = ran("log", "--json", "--stream", digits).out.splitlines()
        assert {json.loads(line)["stream"] for line in found} == {str(id)}
    assert "several streams begin with 0194" in ran("log", "--stream", "0194").err
    assert "'zz' is not a deal" in ran("log", "--stream", "zz").err


@pytest.mark.usefixtures("db")
def test_ids_that_begin_alike_are_shown_as_far_as_they_can_be_told_apart() -> None:
    shown = ran("log", "--all").out.split()
    for stream in ("3e500000-0000-4000-8000-000000000002", ERP[:8]):
        assert stream in shown
        assert ran("deal", "show", stream).code == 0


@pytest.mark.usefixtures("shop")
def test_an_id_in_the_words_of_a_fact_can_be_typed_back() -> None:
    told = ran("log", "--kind", "deal.opened", "--limit", "1").out
    assert "customer id 0194111a-2b3c-7dee" in told

"""One deal at the terminal: as it stood, its whole history, its replay."""

import json
import os
import re
from pathlib import Path
from uuid import UUID

import pytest

from salesflow import STANDARD, Deal, Money, Rep, SalesFlow
from simulated import demo, ran

ERP = "e4900000-0000-4000-8000-000000000001"
MES = "3e500000-0000-4000-8000-000000000002"
TWIN = "3e500000-0000-4000-8000-000000000003"

pytestmark = pytest.mark.usefixtures("db")


def test_a_deal_is_shown_as_it_stood() -> None:
    told = ran("deal", "show", "e490", "--as-of", "2026-03-03")
    assert told.code == 0
    assert "Initial contact 初步接触" in told.out
    assert "江南精密机械有限公司" in told.out
    assert "90,000.50 CNY" in told.out
    assert "as of end of 2026-03-03" in told.out


def test_a_deal_is_shown_as_it_was_known() -> None:
    assert "980,000 CNY" in ran("deal", "show", ERP, "--known-at", "2026-03-20").out
    assert "980,000 CNY" not in ran("deal", "show", ERP).out


def test_a_shown_deal_is_one_json_document() -> None:
    shown = json.loads(ran("deal", "show", ERP.upper(), "--json").out)
    assert shown["outcome"] == "won"
    assert shown["amount"] == {"amount": "98000", "currency": "CNY"}
    assert shown["closed_at"].startswith("2026-03-07T01:00:00")
    assert shown["quotes"][0]["state"] == "expired"


def test_the_labels_of_a_deal_are_in_chinese_when_asked_for() -> None:
    told = ran("deal", "show", ERP, "--lang", "zh")
    assert "赢单" in told.out
    assert "购买决策过程" in told.out


ENGLISH = (
    "Id", "won", "open", "expired", "until", "closed", "call", "visit", "out", "passed",
    "summary", "channel", "amount", "retracted", "Stage", "Activities", "standard v1",
)  # fmt: skip


@pytest.mark.parametrize("command", ["show", "history", "replay"])
def test_in_chinese_no_label_and_no_word_of_ours_is_english(command: str) -> None:
    told = ran("deal", command, ERP, "--lang", "zh").out
    words = re.findall(r"[A-Za-z][A-Za-z_]*(?: [a-z]\w*)?", told)
    assert sorted(set(ENGLISH).intersection(words)) == []


def test_amounts_of_a_deal_are_written_alike() -> None:
    with SalesFlow(os.environ["SALESFLOW_DB"]) as flow, flow.session() as s:
        deal = s.get(Deal, UUID(ERP))
        for amount in ("1000", "200.00", "0.50"):
            deal.issue_invoice(Money(amount, "CNY"), invoice=f"I{amount}")
    told = ran("deal", "replay", ERP).out
    assert re.findall(r"Invoiced: (.*\d CNY)", told) == [
        "1,000 CNY",
        "1,000 CNY → 1,200 CNY",
        "1,200 CNY → 1,200.50 CNY",
    ]


def test_history_holds_every_event_with_its_envelope() -> None:
    told = ran("deal", "history", ERP)
    assert "2026-03-07 09:00:00" in told.out
    assert "Fact retracted" in told.out
    assert "controller" in told.out
    assert "to negotiation" in told.out
    [mistyped] = [row for row in told.out.splitlines() if "980,000 CNY" in row]
    assert "retracted" in mistyped


def test_a_history_names_others_by_short_ids_and_leaves_out_what_no_event_has() -> None:
    lines = ran("deal", "history", TWIN).out.splitlines()
    assert lines[2].split("   ")[0].strip() == "Event no."
    assert not {"Command", "Source", "Remark", "Deal"} & set(lines[2].split("   "))
    [opened] = [line for line in lines if "Deal created" in line]
    assert re.search(r"customer id [0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3} ", opened)


def test_a_chinese_history_names_stages_tasks_and_reasons_as_people_do() -> None:
    chinese, english = (
        ran("deal", "history", ERP, "--lang", each).out for each in ("zh", "en")
    )
    assert "目标阶段 谈判与成交" in chinese
    assert "target negotiation" in english, "the key that options take"
    assert not re.search("阶段 [a-z]|任务 [a-z]|task_completed", chinese)


def test_history_as_json_says_what_does_not_count() -> None:
    events = json.loads(ran("deal", "history", ERP, "--json").out)["events"]
    retracted = [event["kind"] for event in events if event["retracted"]]
    assert retracted == ["deal.won"]
    assert events[0]["actor"] == "ann"
    assert all(event["recorded_at"] >= event["occurred_at"] for event in events)


def test_history_as_known_earlier_is_shorter() -> None:
    then = json.loads(ran("deal", "history", ERP, "--known-at", "2026-03-20", "--json").out)
    assert not any(event["retracted"] for event in then["events"])


def test_a_retracted_opening_leaves_a_history_but_no_deal(db: str) -> None:
    with SalesFlow(f"sqlite:///{db}") as flow:
        opening = flow.history(id := next(iter(_ids(flow))))[0]
        with flow.session() as s:
            s.retract(opening.event_id, because="twice")
    assert ran("deal", "show", str(id)).code == 2
    assert "retracted" in ran("deal", "history", str(id)).out


def test_history_with_merged_deals_tells_of_all_and_names_each(db: str) -> None:
    with SalesFlow(f"sqlite:///{db}") as flow, flow.session() as s:
        twin, survivor = s.get(Deal, UUID(TWIN)), s.get(Deal, UUID(MES))
        twin.merge_into(survivor, because="entered twice")
    apart = ran("deal", "history", MES)
    assert "Deal merged" not in apart.out
    together = ran("deal", "history", MES, "--merged")
    assert together.out.splitlines()[2].split()[:3] == ["Event", "no.", "Deal"]
    assert "Deal merged" in together.out
    named = {word for word in together.out.split() if word.startswith("3e50")}
    assert named >= {MES, TWIN}, "eight digits of both would be the same"
    events = json.loads(ran("deal", "history", MES, "--merged", "--json").out)["events"]
    assert {event["deal"] for event in events} == {TWIN, MES}
    assert events[-1]["kind"] == "deal.absorbed"


def _ids(flow: SalesFlow) -> list:  # type: ignore[type-arg]
    return [e.stream_id for e in flow.log.page(0, 100) if e.fact.kind == "deal.opened"]


def test_replay_tells_what_each_fact_changed() -> None:
    told = ran("deal", "replay", ERP)
    assert "Stage: Prospecting 潜在客户识别 → Initial contact 初步接触" in told.out
    assert "Outcome: open → won" in told.out
    assert "recorded 20 d late" in told.out


def test_replay_goes_by_what_happened_not_by_what_was_recorded() -> None:
    steps = json.loads(ran("deal", "replay", ERP, "--json").out)["steps"]
    times = [step["occurred_at"] for step in steps]
    assert times == sorted(times)
    assert [step["step"] for step in steps] == list(range(1, len(steps) + 1))


def test_replay_stops_at_its_moment() -> None:
    told = ran("deal", "replay", ERP, "--as-of", "2026-03-02", "--lang", "zh")
    assert "商机创建" in told.out
    assert "阶段推进" not in told.out


def test_a_deal_of_an_import_is_found_by_its_source(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent.parent
    tables = root / "examples" / "tables"
    imported = ("--db", str(tmp_path / "sheet.db"))
    ran(
        "import",
        "table",
        str(tables / "deals.csv"),
        "--mapping",
        str(tables / "deals.toml"),
        *imported,
    )
    shown = ran("deal", "history", "sales_sheet:4711", *imported)
    assert shown.code == 0
    assert "sales_sheet 4711#" in shown.out


def test_an_irregular_fact_says_why() -> None:
    url = demo().url
    with SalesFlow(url, create=False) as flow:
        twice = next(
            event.stream_id
            for event in flow.log.page(0, 1_000_000)
            if event.fact.kind == "fact.retracted" and "从未丢单" in str(event.fact)
        )
    assert (
        "irregular: reopened while open" in ran("deal", "history", str(twice), "--db", url).out
    )
    assert (
        "irregular: reopened while open" in ran("deal", "replay", str(twice), "--db", url).out
    )
    assert "Data anomalies" in ran("deal", "show", str(twice), "--db", url).out


def test_a_planned_change_shows_when_it_takes_effect() -> None:
    url = demo().url
    with SalesFlow(url, create=False) as flow:
        planned = next(e for e in flow.log.page(0, 1_000_000) if e.effective > e.occurred)
    told = ran("deal", "history", str(planned.stream_id), "--db", url)
    assert "takes effect 20" in told.out


def test_reps_stand_by_name_beside_their_ids_in_all_that_is_told_of_a_deal() -> None:
    with SalesFlow(os.environ["SALESFLOW_DB"]) as flow, flow.session(actor="zoe") as s:
        s.add(Rep.join("zoe", team="north", name="Zoe Zhang"))
        deal = s.add(Deal.open(STANDARD, title="ERP", owner="zoe", lead_source="trade_fair"))
    with SalesFlow(os.environ["SALESFLOW_DB"]) as flow, flow.session(actor="zoe") as s:
        s.get(Deal, deal.id).request_help("Which price?", by="zoe")
    for command in ("show", "history", "replay"):
        assert "zoe Zoe Zhang" in ran("deal", command, str(deal.id)).out
    shown = json.loads(ran("deal", "show", str(deal.id), "--json").out)
    assert (shown["owner"], shown["owner_name"]) == ("zoe", "Zoe Zhang")
    told = json.loads(ran("deal", "history", str(deal.id), "--json").out)
    assert {each["actor_name"] for each in told["events"]} == {"Zoe Zhang"}
    chinese = ran("deal", "show", str(deal.id), "--lang", "zh").out
    assert "标准销售流程 v1" in chinese
    assert "Standard sales process v1" in ran("deal", "show", str(deal.id)).out

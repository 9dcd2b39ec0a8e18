"""An export of Fxiaoke: opportunities of which is known when they were created, and are now."""

import json
from pathlib import Path
from typing import Any

import pytest

from importing.crm_folder import CrmFolder
from importing.desk import Desk
from importing.exports import FXIAOKE
from salesflow.adapters.importers import ImportReport, object_id
from salesflow.adapters.importers.crm.fxiaoke.system import Fxiaoke
from salesflow.domain.customer import Customer
from salesflow.domain.state import ReplayContext
from salesflow.errors import InputError

DEALS: list[dict[str, Any]] = json.loads(FXIAOKE["NewOpportunityObj.json"])["data"]["dataList"]
OPEN = DEALS[0]


class Enterprise(CrmFolder):
    """An export of an enterprise in Shanghai."""

    def bring(self, path: Path | None = None, **how: object) -> ImportReport:
        return super().bring(path, **{"timezone": "Asia/Shanghai", **how})

    def told(self, deal: object) -> list[str]:
        return [each for each in super().told(deal) if "forecast_given" not in each]


@pytest.fixture
def enterprise(desk: Desk) -> Enterprise:
    return Enterprise(desk, Fxiaoke)


def test_what_lies_between_two_known_times_stays_unknown_and_is_said(
    enterprise: Enterprise,
) -> None:
    report = enterprise.write_all(FXIAOKE).bring(currency="CNY")
    assert enterprise.told("opp1")[:2] == ["02-01 opened 1 inferred", "02-10 stage_moved 2"]
    assert enterprise.told("opp2") == ["02-01 opened 1 inferred", "02-15 won"]
    deal = enterprise.deal("opp2")
    assert (deal.outcome, str(deal.amount), deal.owner) == ("won", "120,000.50 CNY", "1000")
    assert str(deal.expected_close) == "2026-04-01"  # midnight in Shanghai
    assert any("4 of 5 deals changed their stage" in text for text in report.assumed)
    assert (report.rows_refused, report.rows_left_out, report.objects) == (0, 2, 5)


def test_a_deal_that_never_changed_its_stage_began_in_it(enterprise: Enterprise) -> None:
    enterprise.write_all(FXIAOKE).bring()
    assert enterprise.told("opp4") == ["02-01 opened 1"]


def test_a_deal_is_lost_in_the_stage_it_stands_in_when_its_status_says_so(
    enterprise: Enterprise,
) -> None:
    enterprise.write_all(FXIAOKE).bring()
    assert enterprise.told("opp3") == [
        "02-01 opened 1 inferred",
        "02-10 stage_moved 2",
        "02-20 lost inferred",
    ]
    deal = enterprise.deal("opp3")
    assert (deal.stage, deal.last_open_stage, deal.lost_because) == ("lost", "2", "价格")
    assert enterprise.deal("opp6").outcome == "disqualified"


def test_the_stages_of_a_process_have_the_labels_of_the_deals_in_them(
    enterprise: Enterprise,
) -> None:
    report = enterprise.write_all(FXIAOKE).bring()
    assert report.process_published == "fxiaoke/sp1 v1"
    process = enterprise.deal("opp1").version_in_force
    assert process is not None
    assert process.name_zh == "标准销售流程"
    assert [(each.key, each.name_zh, each.category) for each in process.stages] == [
        ("1", "初步接触", "open"),
        ("2", "需求分析", "open"),
        ("4", "赢单", "won"),
        ("lost", "输单", "lost"),
        ("invalid", "无效", "disqualified"),
    ]


def test_quotes_follow_ups_and_competitors_are_told_of_their_deal(
    enterprise: Enterprise,
) -> None:
    enterprise.write_all(FXIAOKE).bring(currency="CNY")
    assert enterprise.told("opp1")[2:5] == [
        "02-11 contact_logged",
        "02-12 quote_drafted",
        "02-18 quote_accepted inferred",
    ]
    deal = enterprise.deal("opp1")
    offer = deal.offers["QUO-1"]
    assert (offer.state, str(offer.total)) == ("accepted", "118,000 CNY")
    assert [(line.product, str(line.total)) for line in offer.lines] == [("ERP", "118,000 CNY")]
    assert [contact.channel for contact in deal.contacts] == ["电话"]
    assert list(deal.competitors) == ["甲公司"]


def test_accounts_and_their_contacts_become_customers(enterprise: Enterprise) -> None:
    enterprise.write_all(FXIAOKE).bring()
    id = object_id("fxiaoke", "acc1", "customer")
    customer = Customer.replay(id, enterprise.desk.log.stream(id), context=ReplayContext({}))
    assert (customer.name, enterprise.deal("opp1").customer_id) == ("云帆科技", id)
    assert [person.name for person in customer.people.values()] == ["李四"]


def test_the_same_export_again_records_nothing(enterprise: Enterprise) -> None:
    first = enterprise.write_all(FXIAOKE).bring()
    again = enterprise.bring()
    assert first.facts_recorded == again.facts_known
    assert (again.facts_recorded, again.facts_changed, again.facts_not_told) == (0, 0, 0)
    assert again.process_published is None


def test_who_imports_every_week_has_the_history_from_then_on(enterprise: Enterprise) -> None:
    enterprise.write_all(FXIAOKE).bring()
    day = 86_400_000
    moved = DEALS[3] | {
        "sales_stage": "2",
        "sales_stage__r": "需求分析",
        "probability": 30,
        "stg_changed_time": DEALS[3]["stg_changed_time"] + 24 * day,
        "last_modified_time": DEALS[3]["last_modified_time"] + 10 * day,
    }
    enterprise.write_all(
        {"NewOpportunityObj.json": {"dataList": [*DEALS[:3], moved, *DEALS[4:]]}}
    )
    report = enterprise.bring()
    assert (report.facts_changed, report.facts_retracted) == (0, 0)
    assert enterprise.told("opp4") == ["02-01 opened 1", "02-25 stage_moved 2"]
    won = moved | {
        "sales_stage": "4",
        "sales_stage__r": "赢单",
        "sales_status": "2",
        "sales_status__r": "赢单",
        "stg_changed_time": moved["stg_changed_time"] + 3 * day,
    }
    enterprise.write_all(
        {"NewOpportunityObj.json": {"dataList": [*DEALS[:3], won, *DEALS[4:]]}}
    )
    report = enterprise.bring()
    assert (report.facts_changed, report.facts_retracted) == (0, 0)
    assert enterprise.told("opp4")[-1] == "02-28 won"


@pytest.mark.parametrize(
    "answer",
    [
        {"errorCode": 0, "dataList": [OPEN]},
        {"errorCode": 0, "errorMessage": "OK", "data": {"dataList": [OPEN], "total": 1}},
        {"recordResult": [OPEN], "queryMeta": {"totalNumber": 1}},
        [OPEN],
    ],
)
def test_every_form_of_an_answer_is_read_alike(enterprise: Enterprise, answer: object) -> None:
    report = enterprise.write_all({"answer.json": answer}).bring()
    assert (report.objects, report.rows_refused) == (1, 0)
    assert enterprise.deal("opp1").stage == "2"


def test_choices_of_the_cli_are_read_by_code_or_label(enterprise: Enterprise) -> None:
    chosen = OPEN | {
        "sales_stage": {"label": "需求分析", "value": "2"},
        "sales_status": {"label": "输单"},
        "account_id": {"id": "acc1", "name": "云帆科技"},
        "owner": [{"id": "1000", "name": "张三"}],
    }
    for name in ("sales_stage__r", "sales_status__r", "account_id__r", "owner__r"):
        del chosen[name]
    enterprise.write_all({"NewOpportunityObj.json": {"recordResult": [chosen]}}).bring()
    deal = enterprise.deal("opp1")
    assert (deal.outcome, deal.last_open_stage, deal.owner) == ("lost", "2", "1000")
    assert deal.customer_id == object_id("fxiaoke", "acc1", "customer")


def test_a_status_by_its_code_alone_is_read_and_said_so(enterprise: Enterprise) -> None:
    coded = [{k: v for k, v in each.items() if k != "sales_status__r"} for each in DEALS]
    report = enterprise.write_all({"NewOpportunityObj.json": {"dataList": coded}}).bring()
    assert enterprise.deal("opp2").outcome == "won"
    assert any("sales_status of 1, 2, 3 and 4" in text for text in report.assumed)


def test_a_status_that_nobody_knows_is_refused(enterprise: Enterprise) -> None:
    unknown = OPEN | {"sales_status": "9", "sales_status__r": "冻结"}
    report = enterprise.write_all({"NewOpportunityObj.json": [unknown, DEALS[1]]}).bring()
    refused = report.refused[0]
    assert (refused.line, refused.column, refused.value) == (1, "salesstatus", "冻结")
    assert report.objects == 1


@pytest.mark.parametrize(
    "header",
    [
        "数据ID,商机名称,客户名称,商机阶段,商机状态,商机金额,预计成交日期,负责人,创建时间,"
        "最后修改时间,阶段变更时间",
        "Record ID,Opportunity Name,Customer Name,Stage,Status,Amount,Expected Close Date,"
        "Owner,Created Time,Last Modified Time,Stage Changed Time",
    ],
)
def test_a_table_has_headers_in_either_language(enterprise: Enterprise, header: str) -> None:
    rows = (
        "o1,设备,云帆,谈判,进行中,12.5万,2026年3月31日,张三,2026/1/5 下午2:05,"
        "2026/2/1 9:00,2026年1月20日 10:00",
        'o2,耗材,云帆,赢单,赢单,"￥1,200.50元",2026-03-01,李四,2026/1/6,2026/2/1 9:00,'
        "2026/2/1 9:00",
    )
    enterprise.write_all({"商机.csv": "\n".join((header, *rows))})
    report = enterprise.bring(currency="CNY")
    assert (report.rows_refused, report.files[0].unknown_columns) == (0, [])
    deal = enterprise.deal("o1")
    assert (deal.title, deal.owner, str(deal.amount)) == ("设备", "张三", "125,000 CNY")
    assert str(deal.opened_at) == "2026-01-05 06:05:00+00:00"
    assert str(deal.expected_close) == "2026-03-31"
    assert enterprise.deal("o2").outcome == "won"


def test_what_cannot_be_read_is_refused_with_file_line_column_and_value(
    enterprise: Enterprise,
) -> None:
    bad = [
        OPEN | {"_id": "b1", "create_time": "at noon"},
        OPEN | {"_id": "b2", "amount": "a lot"},
        {k: v for k, v in (OPEN | {"_id": "b3"}).items() if not k.startswith("sales_stage")},
        {k: v for k, v in OPEN.items() if k != "_id"},
        OPEN | {"_id": "b5", "create_time": 32_503_680_000_000},
    ]
    report = enterprise.write_all(
        {"NewOpportunityObj.json": {"dataList": [*bad, OPEN]}}
    ).bring()
    assert [(each.line, each.column, each.value) for each in report.refused] == [
        (1, "createtime", "at noon"),
        (2, "amount", "a lot"),
        (3, "salesstage", None),
        (4, "id", None),
        (5, "createtime", "3000-01-01T00:00:00+00:00"),
    ]
    assert {each.file for each in report.refused} == {"NewOpportunityObj.json"}


def test_days_need_a_zone_and_without_one_nothing_is_recorded(enterprise: Enterprise) -> None:
    enterprise.write_all(
        {"NewOpportunityObj.json": [OPEN | {"create_time": "2026-01-05 10:00"}]}
    )
    with pytest.raises(InputError, match="--timezone"):
        enterprise.bring(timezone=None)
    assert enterprise.events("opp1") == []


def test_an_export_is_imported_alike_on_either_database(either_desk: Desk) -> None:
    enterprise = Enterprise(either_desk, Fxiaoke).write_all(FXIAOKE)
    assert enterprise.bring().objects_new == 5
    assert enterprise.bring().facts_recorded == 0
    assert enterprise.deal("opp2").outcome == "won"

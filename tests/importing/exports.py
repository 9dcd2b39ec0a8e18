"""Small exports of each system, as they lie in a folder: the name of each file, its text."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from importing.hubspot_export import HUBSPOT
from importing.odoo_export import ODOO
from importing.pipedrive_export import PIPEDRIVE
from salesflow.adapters.importers.crm.fxiaoke.system import Fxiaoke
from salesflow.adapters.importers.crm.hubspot.system import HubSpot
from salesflow.adapters.importers.crm.odoo.system import Odoo
from salesflow.adapters.importers.crm.pipedrive.system import Pipedrive
from salesflow.adapters.importers.crm.salesforce.system import Salesforce
from salesflow.adapters.importers.crm.system import CrmSystem
from salesflow.adapters.importers.crm.zoho.system import Zoho

__all__ = [
    "EXPORTS",
    "FIRST",
    "FXIAOKE",
    "SALESFORCE",
    "SALESFORCE_ORG",
    "SECOND",
    "THIRD",
    "ZOHO",
]


def _texts(export: dict[str, Any]) -> dict[str, str]:
    return {name: json.dumps(content, indent=1) for name, content in export.items()}


ZERO = ":00.000+0000"
SALESFORCE: Final = {
    "Opportunity.csv": f"""\
Id,AccountId,Name,StageName,Amount,Probability,CloseDate,IsClosed,IsWon,ForecastCategoryName,\
CreatedDate,LastModifiedDate,OwnerId,CurrencyIsoCode,IsDeleted
D1,A1,Rollout,Closed Won,120,100,2026-03-31,true,true,Closed,\
2026-01-05T09:00{ZERO},2026-03-02T10:00{ZERO},U2,EUR,false
D2,A1,Service,Closed Lost,50,0,2026-02-28,true,false,Omitted,\
2026-01-06T09:00{ZERO},2026-02-20T10:00{ZERO},U1,EUR,false
D3,,Old one,Qualification,,20,2026-06-30,false,false,Pipeline,\
2026-02-01T09:00{ZERO},2026-02-11T08:00{ZERO},U1,EUR,false
D4,A1,Gone,Prospecting,1,10,2026-06-30,false,false,Pipeline,\
2026-02-01T09:00{ZERO},2026-02-11T08:00{ZERO},U1,EUR,true
""",
    "OpportunityHistory.csv": f"""\
Id,OpportunityId,CreatedById,CreatedDate,StageName,Amount,CloseDate,Probability,\
ForecastCategory,IsDeleted
H1,D1,U1,2026-01-05T09:00{ZERO},Prospecting,100,2026-02-28,10,Pipeline,false
H3,D1,U1,2026-03-01T10:00{ZERO},Closed Won,120,2026-03-31,100,Closed,false
H2,D1,U1,2026-02-01T10:00{ZERO},Qualification,100,2026-03-31,20,Pipeline,false
H4,D2,U1,2026-01-06T09:00{ZERO},Prospecting,50,2026-02-28,10,Pipeline,false
H5,D2,U1,2026-02-01T09:00{ZERO},Closed Won,50,2026-02-28,100,Closed,false
H6,D2,U1,2026-02-20T10:00{ZERO},Closed Lost,50,2026-02-28,0,Omitted,false
""",
    "OpportunityFieldHistory.csv": f"""\
Id,OpportunityId,CreatedById,CreatedDate,Field,OldValue,NewValue,IsDeleted
F1,D1,U9,2026-02-15T10:00{ZERO},Owner,U1,U2,false
F2,D1,U9,2026-03-01T10:00{ZERO},StageName,Qualification,Closed Won,false
""",
    "Account.csv": "Id,Name,Industry,IsDeleted\nA1,云帆科技,Software,false\n",
}


SALESFORCE_ORG: Final = {
    **SALESFORCE,
    "Product2.csv": "Id,Name,ProductCode\nX1,ERP,E-1\n",
    "PricebookEntry.csv": "Id,Product2Id,Name\nY1,X1,ERP\n",
    "OpportunityLineItem.csv": f"""\
Id,OpportunityId,PricebookEntryId,Quantity,UnitPrice,Discount,CreatedDate,LastModifiedDate,\
IsDeleted
L1,D1,Y1,2,40,,2026-02-01T10:00{ZERO},2026-02-01T10:00{ZERO},false
L2,D1,Y1,1,50,20,2026-02-01T10:00{ZERO},2026-02-20T10:00{ZERO},false
L3,D2,Y1,1,50,,2026-02-01T10:00{ZERO},2026-02-20T10:00{ZERO},true
""",
    "OpportunityContactRole.csv": f"""\
Id,OpportunityId,ContactId,Role,CreatedDate,IsDeleted
R1,D1,P1,Economic Buyer,2026-02-01T10:00{ZERO},false
""",
    "User.csv": f"""\
Id,FirstName,LastName,UserRoleId,CreatedDate,LastModifiedDate
U1,Ana,Lim,T1,2025-01-01T08:00{ZERO},2026-01-01T08:00{ZERO}
U2,,Bo,,2025-01-02T08:00{ZERO},2026-01-01T08:00{ZERO}
""",
    "UserRole.csv": "Id,Name\nT1,Sales East\n",
    "DatedConversionRate.csv": (
        "IsoCode,StartDate,ConversionRate\nUSD,0001-01-01,1.05\nEUR,2026-01-01,1\n"
        "USD,2026-01-01,1.1\n"
    ),
    "Period.csv": (
        "Type,StartDate,EndDate\nYear,2025-04-01,2026-03-31\nMonth,2025-05-01,2025-05-31\n"
    ),
}
"""An export with what an org says beside opportunities."""


def _stage(
    value: str, place: int, kind: str = "Open", shown: str | None = None
) -> dict[str, Any]:
    category = {"Open": "Pipeline", "Closed Won": "Closed", "Closed Lost": "Omitted"}[kind]
    return {
        "display_value": shown or value,
        "actual_value": value,
        "sequence_number": place,
        "forecast_type": kind,
        "forecast_category": {"name": category, "id": "9"},
        "id": f"55{place}",
    }


def _pipeline(name: str, *stages: dict[str, Any], default: bool = False) -> dict[str, Any]:
    return {
        "display_value": name,
        "actual_value": name,
        "default": default,
        "id": "77",
        "maps": list(stages),
    }


def _saved(
    number: int, at: str, deal: int, *fields: tuple[str, object, object]
) -> dict[str, Any]:
    history = [
        {"api_name": name, "data_type": "text", "id": "1", "_value": {"old": old, "new": new}}
        for name, old, new in fields
    ]
    return {
        "id": f"77{number:017}",
        "audited_time": at,
        "action": "updated" if fields else "added",
        "source": "crm_ui",
        "done_by": {"id": "200000000000000001", "name": "Lin Wei"},
        "record": {"id": f"{deal}", "name": "x", "module": {"api_name": "Deals", "id": "1"}},
        "field_history": history or None,
    }


FIRST, SECOND, THIRD = (400000000000000000 + number for number in (1, 2, 3))
ZOHO: Final = {
    "pipelines.json": json.dumps(
        {
            "pipeline": [
                _pipeline(
                    "Standard",
                    _stage("Qualification", 1),
                    _stage("Needs Analysis", 2, shown="Needs"),
                    _stage("Closed Won", 3, "Closed Won"),
                    _stage("Closed Lost", 4, "Closed Lost"),
                    default=True,
                ),
                _pipeline("Renewals", _stage("Due", 1), _stage("Closed Won", 2, "Closed Won")),
            ]
        },
        indent=1,
    ),
    "Deals.json": json.dumps(
        {
            "data": [
                {
                    "id": f"{FIRST}",
                    "Deal_Name": "ERP for Acme",
                    "Stage": "Closed Won",
                    "Pipeline": "Standard",
                    "Amount": 98000.5,
                    "Probability": 100,
                    "Closing_Date": "2026-03-20",
                    "Account_Name": {"id": "300000000000000001", "name": "Acme"},
                    "Owner": {
                        "id": "200000000000000002",
                        "name": "Ana",
                        "email": "a@x.example",
                    },
                    "Lead_Source": "Trade Show",
                    "Created_Time": "2026-02-01T09:00:00+08:00",
                    "Modified_Time": "2026-03-20T17:00:00+08:00",
                    "Stage_Modified_Time": None,
                    "Currency": "CNY",
                },
                {
                    "id": f"{SECOND}",
                    "Deal_Name": "Renewal of Beta",
                    "Stage": "Due",
                    "Pipeline": "Renewals",
                    "Amount": 1200,
                    "Probability": 50,
                    "Closing_Date": "2026-06-30",
                    "Account_Name": {"id": "300000000000000002", "name": "Beta"},
                    "Owner": {"id": "200000000000000001", "name": "Lin Wei"},
                    "Created_Time": "2026-02-10T09:00:00+08:00",
                    "Modified_Time": "2026-03-01T10:00:00+08:00",
                    "Stage_Modified_Time": "2026-03-01T10:00:00+08:00",
                    "Currency": "CNY",
                },
                {
                    "id": f"{THIRD}",
                    "Deal_Name": "Lost one",
                    "Stage": "Closed Lost",
                    "Pipeline": "Standard",
                    "Amount": None,
                    "Probability": 0,
                    "Closing_Date": None,
                    "Account_Name": None,
                    "Owner": {"id": "200000000000000001", "name": "Lin Wei"},
                    "Reason_For_Loss__s": "Price",
                    "Created_Time": "2026-02-11T09:00:00+08:00",
                    "Modified_Time": "2026-03-05T10:00:00+08:00",
                    "Stage_Modified_Time": "2026-03-04T10:00:00+08:00",
                    "Currency": "CNY",
                },
            ],
            "info": {"per_page": 200, "count": 3, "page": 1, "more_records": False},
        },
        indent=1,
    ),
    "DealHistory.csv": f"""\
Id,Potential_Name,Stage,Modified_Time,Moved_To__s,Amount,Closing_Date
93,{FIRST},Closed Won,2026-03-20T17:00:00+08:00,,98000.5,2026-03-20
92,{FIRST},Needs Analysis,2026-02-15T10:00:00+08:00,Closed Won,80000,2026-04-30
91,{FIRST},Qualification,2026-02-01T09:00:00+08:00,Needs Analysis,80000,2026-04-30
94,{SECOND},Qualification,2026-02-10T09:00:00+08:00,Due,1200,2026-06-30
95,{SECOND},Due,2026-03-01T10:00:00+08:00,,1200,2026-06-30
96,,Due,2026-03-01T10:00:00+08:00,,1,2026-06-30
""",
    "timeline.json": json.dumps(
        {
            "__timeline": [
                _saved(
                    3,
                    "2026-03-20T17:00:00+08:00",
                    FIRST,
                    ("Amount", "90000", "98000.5"),
                    ("Closing_Date", "2026-04-30", "2026-03-20"),
                    ("Stage", "Needs Analysis", "Closed Won"),
                ),
                _saved(
                    2,
                    "2026-02-20T10:00:00+08:00",
                    FIRST,
                    ("Owner", "Lin Wei", "Ana"),
                    ("Amount", "80000", "90000"),
                ),
                _saved(1, "2026-02-01T09:00:00+08:00", FIRST),
            ],
            "info": {"more_records": False, "per_page": 200},
        },
        indent=1,
    ),
    "Quotes.json": json.dumps(
        {
            "data": [
                {
                    "id": "500000000000000001",
                    "Subject": "Offer",
                    "Quote_Stage": "Confirmed",
                    "Deal_Name": {"id": f"{FIRST}", "name": "ERP for Acme"},
                    "Created_Time": "2026-03-01T09:00:00+08:00",
                    "Modified_Time": "2026-03-19T09:00:00+08:00",
                    "Valid_Till": "2026-04-01",
                    "Grand_Total": 98000.5,
                    "Currency": "CNY",
                    "Quoted_Items": [
                        {
                            "Product_Name": {"name": "ERP", "id": "6"},
                            "Quantity": 2,
                            "List_Price": 50000,
                            "Discount": 2000,
                        }
                    ],
                }
            ]
        },
        indent=1,
    ),
    "Accounts.csv": (
        "Record Id,Account Name,Industry,Created Time\n"
        "zcrm_300000000000000001,Acme,Machinery,2025-01-02T10:00:00+08:00\n"
        "zcrm_300000000000000002,Beta,,2025-01-03T10:00:00+08:00\n"
    ),
    "Contacts.csv": (
        "Record Id,First Name,Last Name,Account Name.id,Account Name,Email\n"
        "zcrm_310000000000000001,Mei,Chen,zcrm_300000000000000001,Acme,m@acme.example\n"
    ),
}


def _ms(day: int, hour: int = 2, month: int = 2) -> int:
    """Return milliseconds: a day of 2026, at an hour of UTC."""
    return int(datetime(2026, month, day, hour, tzinfo=UTC).timestamp() * 1_000)


def _opportunity(id: str, **fields: object) -> dict[str, object]:
    return {
        "_id": id,
        "name": f"商机 {id}",
        "amount": "120000.50",
        "close_date": _ms(31, 16, 3),
        "account_id": "acc1",
        "account_id__r": "云帆科技",
        "sales_stage": "2",
        "sales_stage__r": "需求分析",
        "sales_status": "1",
        "sales_status__r": "进行中",
        "sales_process_id": "sp1",
        "sales_process_id__r": "标准销售流程",
        "probability": 30,
        "owner": ["1000"],
        "owner__r": {"id": "1000", "name": "张三"},
        "create_time": _ms(1),
        "created_by": ["1001"],
        "last_modified_time": _ms(20),
        "stg_changed_time": _ms(10),
        "life_status": "normal",
        "is_deleted": False,
        **fields,
    }


FXIAOKE: Final = {
    "AccountObj.json": json.dumps(
        {
            "errorCode": 0,
            "dataList": [{"_id": "acc1", "name": "云帆科技", "create_time": _ms(1)}],
        },
        ensure_ascii=False,
        indent=1,
    ),
    "NewOpportunityObj.json": json.dumps(
        {
            "errorCode": 0,
            "errorMessage": "OK",
            "data": {
                "total": 5,
                "dataList": [
                    _opportunity("opp1"),
                    _opportunity(
                        "opp2",
                        sales_stage="4",
                        sales_stage__r="赢单",
                        sales_status="2",
                        sales_status__r="赢单",
                        probability=100,
                        stg_changed_time=_ms(15),
                    ),
                    _opportunity(
                        "opp3",
                        sales_status="3",
                        sales_status__r="输单",
                        lost_reason="价格",
                    ),
                    _opportunity(
                        "opp4",
                        sales_stage="1",
                        sales_stage__r="初步接触",
                        probability=10,
                        stg_changed_time=_ms(1),
                    ),
                    _opportunity("opp5", is_deleted=True),
                    _opportunity("opp6", sales_status="4", sales_status__r="无效"),
                ],
            },
        },
        ensure_ascii=False,
        indent=1,
    ),
    "QuoteObj.json": json.dumps(
        {
            "data": {
                "dataList": [
                    {
                        "_id": "q1",
                        "name": "QUO-1",
                        "new_opportunity_id": "opp1",
                        "quote_amount": "118000",
                        "status__r": "已接受",
                        "create_time": _ms(12),
                        "last_modified_time": _ms(18),
                    }
                ]
            }
        },
        ensure_ascii=False,
        indent=1,
    ),
    "QuoteLinesObj.json": json.dumps(
        {
            "dataList": [
                {
                    "_id": "l1",
                    "quote_id": "q1",
                    "product_id": "p1",
                    "product_id__r": "ERP",
                    "quantity": "2",
                    "sales_price": "59000",
                }
            ]
        },
        indent=1,
    ),
    "ActiveRecordObj.json": json.dumps(
        {
            "recordResult": [
                {
                    "_id": "a1",
                    "active_record_content": "客户希望统一系统",
                    "active_record_type": {"label": "电话", "value": "1"},
                    "create_time": _ms(11),
                    "created_by": ["1000"],
                    "related_object_data": [
                        {"describe_api_name": "AccountObj", "id": "acc1"},
                        {"describe_api_name": "NewOpportunityObj", "id": "opp1", "name": "x"},
                    ],
                },
                {"_id": "a2", "active_record_content": "拜访", "create_time": _ms(11)},
            ],
            "queryMeta": {"totalNumber": 2},
        },
        ensure_ascii=False,
        indent=1,
    ),
    "ContactObj.csv": "联系人ID,姓名,客户ID,客户名称,职务\nc1,李四,acc1,云帆科技,CFO\n",
    "CompetitiveLinesObj.csv": "数据ID,商机ID,竞争对手,备注\nx1,opp1,甲公司,便宜\n",
}
HUBSPOT_FILES: Final = {
    **_texts(HUBSPOT),
    "line_items.json": json.dumps(
        [
            {
                "id": "L1",
                "properties": {"name": "ERP", "quantity": "2", "price": "40", "discount": "1"},
                "createdAt": "2026-02-01T09:00:00Z",
                "updatedAt": "2026-02-02T09:00:00Z",
                "archived": False,
                "associations": {"deals": {"results": [{"id": "1"}]}},
            }
        ],
        indent=1,
    ),
    "owners.json": json.dumps([{"id": "500", "firstName": "Ana", "email": "a@x.example"}]),
    "merged_deal.csv": "deal_id,merged_deal_id\n1,2\n",
    "stages.csv": "deal_id,value,date_entered\n3,qualified,2026-02-01 10:00:00\n",
}
EXPORTS: Final[dict[str, tuple[type[CrmSystem], dict[str, str]]]] = {
    "salesforce": (Salesforce, SALESFORCE_ORG),
    "zoho": (Zoho, ZOHO),
    "fxiaoke": (Fxiaoke, FXIAOKE),
    "hubspot": (HubSpot, HUBSPOT_FILES),
    "pipedrive": (Pipedrive, _texts(PIPEDRIVE)),
    "odoo": (Odoo, _texts(ODOO)),
}
"""The systems there are, and an export of each."""

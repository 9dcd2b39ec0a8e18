"""The tables of Fxiaoke (纷享销客) and what their columns are called: API names and labels.

A module of its own beside `fxiaoke`, which reads them, because names are data: who knows
another label adds it here and nowhere else.
"""

from collections.abc import Mapping
from typing import Any, Final

from salesflow.adapters.importers.crm.chinese_forms import iso_time
from salesflow.adapters.importers.crm.exports import CrmRecord, TableShape

__all__ = ["SHAPES", "TIMES", "canonical_record"]


TIMES: Final = (
    *("createtime", "lastmodifiedtime", "closedate", "stgchangedtime"),
    *("lastfollowedtime", "validuntil"),
)
SYNONYMS: Final[Mapping[str, str]] = {
    "id": "数据id 唯一性id 记录id 主键id 业务id recordid dataid",
    "accountid": "客户id customerid",
    "accountidr": "客户名称 客户 所属客户 accountname customername account customer",
    "owner": "负责人id ownerid",
    "ownerr": "负责人 ownername",
    "createtime": "创建时间 createdtime createtime创建时间",
    "createdby": "创建人id createdbyid",
    "createdbyr": "创建人 createdbyname",
    "lastmodifiedtime": "最后修改时间 修改时间 最近修改时间 modifiedtime updatetime",
    "isdeleted": "是否删除 已删除",
    "lifestatus": "生命状态 lifestatusr",
    "currency": "mccurrency 币种 货币",
    "newopportunityid": "商机id opportunityid",
    "newopportunityidr": "商机名称 商机 所属商机 opportunityname opportunityidr opportunity",
}
"""Columns by their plain API names, and what else they are called; `r` ends that of a label."""
OF_DEALS: Final[Mapping[str, str]] = {
    "id": "商机id opportunityid newopportunityid",
    "name": "商机名称 商机主题 opportunityname dealname",
    "salesstager": "商机阶段 销售阶段 阶段 阶段名称 salesstagename stage stagename",
    "salesstatusr": "商机状态 阶段状态 销售状态 赢单状态 状态 status salesstatusname",
    "salesprocessidr": "销售流程 商机流程 流程 salesprocess salesprocessname",
    "amount": "商机金额 预计成交金额 金额 预计销售金额 opportunityamount estimatedamount",
    "closedate": "预计成交日期 预计成交时间 结单日期 成交日期 expectedclosedate",
    "probability": "赢率 可能性 概率 winrate",
    "stgchangedtime": "阶段变更时间 最后阶段变更时间 阶段变化时间 stagechangedtime",
    "leadssource": "商机来源 线索来源 来源 leadsourcer leadsource source leadssourcer",
    "lostreason": "输单原因 丢单原因 失败原因 losereason lossreason lostreasonr",
}
OTHERS: Final[Mapping[str, Mapping[str, str]]] = {
    "NewOpportunityObj": OF_DEALS,
    "AccountObj": {
        "id": "客户id accountid",
        "name": "客户名称 accountname customername",
        "industryr": "行业 所属行业 industry industrylevel1r",
        "countryr": "国家 country 省 provincer",
    },
    "ContactObj": {
        "id": "联系人id contactid",
        "name": "姓名 联系人姓名 联系人 contactname",
        "jobtitle": "职务 职位 title",
        "tel": "电话 手机 mobile phone tel1 mobile1",
        "email": "邮箱 电子邮箱 邮件",
    },
    "QuoteObj": {
        "id": "报价单id quoteid",
        "name": "报价单编号 报价单号 报价编号 quotenumber quotename",
        "amount": "quoteamount totalamount 报价单金额 报价金额 总金额 quotetotal",
        "validuntil": "有效期至 报价有效期 失效日期 expiretime expirydate quotevalidity",
        "statusr": "状态 报价单状态 quotestatus quotestatusr status",
    },
    "QuoteLinesObj": {
        "quoteid": "报价单id",
        "quoteidr": "报价单编号 报价单号 报价单 quote quotenumber quotename",
        "productidr": "产品名称 产品 product productname",
        "quantity": "数量",
        "salesprice": "销售单价 报价 成交单价 quoteprice",
        "price": "价格 单价 productprice 标准价格",
    },
    "ActiveRecordObj": {
        "content": "activerecordcontent 跟进内容 销售记录内容 内容 记录内容",
        "typer": "activerecordtyper interactivetypesr activerecordtype interactivetypes"
        " 跟进类型 销售记录类型 跟进方式 互动方式",
        "related": "relatedobjectdata",
    },
    "CompetitiveLinesObj": {
        "competitoridr": "竞争对手 竞品 competitor competitorname competitorid 竞争对手名称",
        "note": "优势 备注 remark strengths",
    },
}
"""What columns are called in some tables only."""


def _names_of(kind: str) -> dict[str, str]:
    found = {other: name for name, others in SYNONYMS.items() for other in others.split()}
    for name, others in OTHERS.get(kind, {}).items():
        found.update(dict.fromkeys(others.split(), name))
    return found


NAMES: Final[Mapping[str, Mapping[str, str]]] = {kind: _names_of(kind) for kind in OTHERS}


def canonical_record(record: CrmRecord) -> CrmRecord:
    """Return a record by plain API names: of a choice or a person the code and the label."""
    names = NAMES[record.kind]
    values: dict[str, Any] = {}
    for column, value in record.values.items():
        name = names.get(column, column)
        for place, part in _parts(name, value):
            text = iso_time(part) if place in TIMES and isinstance(part, str) else part
            if text not in (None, "", [], {}):
                values.setdefault(place, text)
    return record._replace(values=values)


def _parts(name: str, value: object) -> list[tuple[str, object]]:
    """Return a value, and its label behind its name and `r`; of several people the first."""
    if name == "related":
        return [(name, value)]
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, Mapping):
        code = next((value[each] for each in CODES if value.get(each)), None)
        label = next((value[each] for each in LABELS if value.get(each)), None)
        bare = name.removesuffix("r") if name in LABELLED else name
        return [(bare, code if code is not None else label), (f"{bare}r", label)]
    return [(name, value)]


CODES: Final = ("value", "id", "_id", "api_name")
LABELS: Final = ("label", "name", "nickname")
LABELLED: Final = frozenset(
    name for table in (SYNONYMS, *OTHERS.values()) for name in table if name.endswith("r")
) - {"owner"}
"""Columns that hold a label."""


def _columns(kind: str, *names: str) -> tuple[str, ...]:
    """Return each column with all it is called, joined by |."""
    found = []
    for name in names:
        parts = name.split("|")
        called = [other for other, one in NAMES[kind].items() if one in parts]
        found.append("|".join(dict.fromkeys([*parts, *called])))
    return tuple(found)


def _used(kind: str, names: str) -> frozenset[str]:
    return frozenset(
        part for each in _columns(kind, *names.split()) for part in each.split("|")
    )


ALWAYS: Final = (
    *("id", "createtime", "createdby", "createdbyr", "lastmodifiedtime", "isdeleted"),
    *("lifestatus", "owner", "ownerr", "currency"),
)


def _shape(
    kind: str, columns: tuple[str, ...], names: tuple[str, ...], used: str
) -> TableShape:
    return TableShape(
        kind,
        _columns(kind, *columns),
        names,
        _used(kind, " ".join((*ALWAYS, used, *columns))),
    )


ABOUT: Final = "newopportunityid|newopportunityidr"
SHAPES: Final = (
    _shape(
        "AccountObj",
        ("id", "name"),
        ("accountobj", "account", "customer", "客户"),
        "industryr countryr",
    ),
    _shape(
        "ContactObj",
        ("id", "name", "accountid|accountidr"),
        ("contactobj", "contact", "联系人"),
        "jobtitle tel email accountidr",
    ),
    _shape(
        "NewOpportunityObj",
        ("id", "name", "salesstage|salesstager"),
        (),
        "salesstager salesstatus salesstatusr salesprocessid salesprocessidr amount closedate"
        " probability accountid accountidr stgchangedtime leadssource lostreason costtime",
    ),
    _shape(
        "QuoteObj",
        ("id", "name", ABOUT),
        ("quoteobj", "quote", "报价单"),
        f"amount validuntil statusr status {ABOUT}",
    ),
    _shape(
        "QuoteLinesObj",
        ("quoteid|quoteidr", "productid|productidr"),
        ("quotelinesobj", "quotelines", "报价单明细", "报价明细"),
        "quoteidr productidr quantity salesprice price",
    ),
    _shape(
        "ActiveRecordObj",
        ("id", "content"),
        ("activerecordobj", "activerecord", "跟进", "销售记录"),
        f"typer related type {ABOUT}",
    ),
    _shape(
        "CompetitiveLinesObj",
        ("competitorid|competitoridr", ABOUT),
        ("competitivelinesobj", "competitivelines", "竞品", "竞争对手"),
        f"competitoridr note {ABOUT}",
    ),
)
"""The tables that are read, in the order in which they are: what others name comes first."""

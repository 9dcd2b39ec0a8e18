"""The tables of Zoho CRM and what their columns are called: API names, labels, Chinese labels.

A module of its own beside `zoho`, which reads them, because names are data: who knows another
label, or that of another language, adds it here and nowhere else.
"""

from collections.abc import Mapping
from typing import Any, Final

from salesflow.adapters.importers.crm.chinese_forms import iso_time
from salesflow.adapters.importers.crm.exports import CrmRecord, TableShape, plain_name, used

__all__ = ["SHAPES", "TIMES", "canonical_column", "canonical_record"]


ID_MARK: Final = "zcrm_"
"""Begins the ids that exports by the page write; the interface writes them without."""
TIMES: Final = (
    *("createdtime", "modifiedtime", "stagemodifiedtime", "auditedtime"),
    *("closingdate", "validtill"),
)
SYNONYMS: Final[Mapping[str, str]] = {
    "id": "recordid 记录id 记录编号 数据id 编号id",
    "dealname": "商机名称 交易名称 潜在商机名称 生意名称",
    "stage": "dealstage 阶段 商机阶段 交易阶段 销售阶段",
    "pipeline": "管道 销售管道 销售流程 业务管道",
    "amount": "金额 商机金额 交易金额",
    "closingdate": "closedate 结束日期 成交日期 预计成交日期 截止日期 关闭日期 预计结束日期",
    "probability": "概率 可能性 成交概率 成功率 赢率",
    "expectedrevenue": "预期收益 预期收入 预计收入 期望收入",
    "owner": "dealowner potentialowner 商机所有者 交易所有者 所有者 负责人 商机拥有者 拥有者",
    "accountname": "companyname 客户名称 客户 帐户名称 账户名称 公司名称",
    "contactname": "联系人姓名 联系人名称 联系人",
    "leadsource": "线索来源 来源 潜在客户来源",
    "reasonforloss": "reasonforlosss lossreason 丢单原因 输单原因 流失原因 丢失原因 失败原因",
    "currency": "currencycode 货币 币种",
    "createdtime": "创建时间 创建日期",
    "modifiedtime": "lastmodifiedtime 修改时间 最后修改时间 最近修改时间 更新时间",
    "stagemodifiedtime": "阶段修改时间 阶段变更时间",
    "createdby": "创建人 创建者",
    "modifiedby": "修改人 修改者 最后修改者 更新人",
    "movedtos": "movedto 移至 移动到 转移到 移到",
    "stagedurationcalendardays": "stagedurationdays durationdays 阶段持续时间日历天数",
    "quotestage": "报价阶段 报价单阶段",
    "subject": "主题 报价主题",
    "validtill": "有效期至 有效截止日期",
    "grandtotal": "总计 总金额",
    "quotenumber": "报价编号 报价单编号",
    "lastname": "姓 姓氏",
    "firstname": "名 名字",
    "fullname": "姓名 全名",
    "industry": "行业 所属行业",
    "billingcountry": "账单国家 帐单国家 国家",
    "title": "职位 职务",
    "email": "电子邮件 邮箱 电子邮箱",
    "phone": "电话 电话号码",
    "mobile": "手机 手机号码",
}
"""Columns by their plain API names, and what else they are called."""
CANONICAL: Final[Mapping[str, str]] = {
    other: name for name, others in SYNONYMS.items() for other in others.split()
}
OF_DEALS: Final[Mapping[str, str]] = {
    "dealid": "id",
    "potentialid": "id",
    "migrationid": "id",
    "potentialname": "dealname",
    "商机id": "id",
}
OF_HISTORY: Final[Mapping[str, str]] = {
    "dealname": "deal",
    "potentialname": "deal",
    "dealnameid": "dealid",
    "potentialnameid": "dealid",
    "potentialid": "dealid",
    "migrationid": "dealid",
    "商机": "deal",
    "商机名称": "deal",
    "商机id": "dealid",
    "交易名称": "deal",
}
WRAPPED: Final = frozenset({"record", "relatedrecord", "automationdetails", "forecastcategory"})
BY_ID: Final[Mapping[str, str]] = {"accountid": "accountnameid", "companyid": "accountnameid"}
ELSEWHERE: Final[Mapping[str, Mapping[str, str]]] = {
    "Account": {"accountid": "id", "companyid": "id", "客户id": "id"},
    "Contact": {**BY_ID, "contactid": "id", "联系人id": "id"},
    "Deal": {**OF_DEALS, **BY_ID},
    "DealHistory": OF_HISTORY,
    "Quote": {**OF_HISTORY, "quoteid": "id", "报价id": "id"},
}
"""What columns are called in some tables only."""


def canonical_column(kind: str, column: str) -> str:
    """Return the plain API name of a column: Deal Owner.id is `ownerid`."""
    special = ELSEWHERE.get(kind, {})
    if column in special:
        return special[column]
    if column in CANONICAL:
        return CANONICAL[column]
    bare = column.removesuffix("id")
    if bare != column and bare in CANONICAL:
        return f"{CANONICAL[bare]}id"
    return column


def canonical_record(record: CrmRecord) -> CrmRecord:
    """Return a record by plain API names; a lookup is a name and, with `id` behind, an id."""
    values: dict[str, Any] = {}
    for column, value in record.values.items():
        name = canonical_column(record.kind, column)
        if _is_lookup(name, value):
            _set(values, name, value.get("name"))
            _set(values, f"{name}id", value.get("id"))
        else:
            _set(values, name, iso_time(value) if name in TIMES else value)
    return record._replace(values=values)


def _is_lookup(name: str, value: object) -> bool:
    """Return whether a value is a record by its name and id; what a timeline wraps is none."""
    return (
        isinstance(value, dict) and name not in WRAPPED and ("id" in value or "name" in value)
    )


def _set(values: dict[str, Any], name: str, value: object) -> None:
    if isinstance(value, str):
        value = value.removeprefix(ID_MARK)
    if value not in (None, "", [], {}):
        values.setdefault(name, value)


def _columns(kind: str, *names: str) -> tuple[str, ...]:
    """Return each column with all it is called, joined by |."""
    special = ELSEWHERE.get(kind, {})
    found = []
    for name in names:
        each = [
            *name.split("|"),
            *(s for part in name.split("|") for s in SYNONYMS.get(part, "").split()),
            *(other for other, one in special.items() if one in name.split("|")),
        ]
        found.append("|".join(dict.fromkeys(each)))
    return tuple(found)


def _used(kind: str, names: str) -> frozenset[str]:
    """Return columns that are read, with all they are called; lookups also by id."""
    plain = [part for each in _columns(kind, *names.split()) for part in each.split("|")]
    return frozenset([*plain, *(f"{each}id" for each in plain)])


OF_VISITS: Final = frozenset(
    _used(
        "DealHistory",
        "id modifiedby amount probability expectedrevenue closingdate movedtos"
        " stagedurationcalendardays currency deal",
    )
)
SHAPES: Final = (
    TableShape(
        "Pipeline",
        ("displayvalue|actualvalue", "maps"),
        (),
        frozenset({"id", "default", "actualvalue", "displayvalue"}),
    ),
    TableShape(
        "StageDefinition",
        ("forecasttype", "displaylabel|displayvalue|actualvalue|name"),
        (),
        used(
            "id name displaylabel probability forecastcategory order sequencenumber"
            " actualvalue displayvalue"
        ),
    ),
    TableShape(
        "Contact",
        _columns("Contact", "id", "lastname|fullname", "accountname"),
        ("contact", "联系人"),
        _used("Contact", "firstname fullname title email phone mobile createdtime lastname"),
    ),
    TableShape(
        "Account",
        _columns("Account", "id", "accountname"),
        ("account", "客户", "compan"),
        _used("Account", "industry billingcountry createdtime"),
    ),
    TableShape(
        "Account",
        (
            *_columns("Account", "id", "accountname"),
            "accounttype|industry|parentaccount|website",
        ),
        (),
        _used("Account", "industry billingcountry createdtime"),
    ),
    TableShape(
        "DealHistory",
        (
            *_columns("DealHistory", "stage", "modifiedtime"),
            *_columns("DealHistory", "movedtos|stagedurationcalendardays"),
        ),
        (),
        OF_VISITS,
    ),
    TableShape(
        "DealHistory",
        _columns("DealHistory", "stage", "modifiedtime"),
        ("dealhistory", "stagehistory", "dealsstagehistory", "potstagehistory", "阶段历史"),
        OF_VISITS,
    ),
    TableShape(
        "Deal",
        _columns("Deal", "id", "dealname", "stage"),
        (),
        _used(
            "Deal",
            "pipeline amount closingdate probability expectedrevenue owner accountname"
            " leadsource reasonforloss currency currencysymbol createdtime modifiedtime"
            " stagemodifiedtime createdby productdetails",
        ),
    ),
    TableShape(
        "Timeline",
        ("auditedtime", "action|fieldhistory|record"),
        (),
        used(
            "id action doneby record relatedrecord source type fieldhistory"
            " automationdetails extension"
        ),
    ),
    TableShape(
        "Quote",
        _columns("Quote", "id", "quotestage"),
        (),
        _used(
            "Quote",
            "subject validtill grandtotal quotenumber currency deal createdtime modifiedtime"
            " quoteditems productdetails owner createdby accountname",
        ),
    ),
)
"""The tables that are read; of a file that fits several, the one with more columns."""
assert all(plain_name(each) == each for each in CANONICAL), "columns by their plain names"

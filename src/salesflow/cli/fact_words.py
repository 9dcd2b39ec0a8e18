"""What facts say, in words, in English and Chinese.

Details are the fact's own fields in plain text: amounts with separators, times in the business
time zone, lists joined, what is empty left out.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from salesflow.cli.output import local_time
from salesflow.cli.words import Language, in_language
from salesflow.domain.deal.quotes import QuoteLine
from salesflow.domain.deal.stages import Check
from salesflow.domain.facts import Fact
from salesflow.domain.processes import CRITERIA
from salesflow.domain.values import Money, Value

__all__ = ["FIELDS_ZH", "details_of", "money_text"]

FIELDS_ZH: Final[dict[str, str]] = {
    "absorbed": "并入的商机",
    "amount": "金额",
    "answer": "答复",
    "base": "基准货币",
    "because": "原因",
    "budget": "预算",
    "by": "由",
    "category": "预测类别",
    "channel": "沟通渠道",
    "checks": "阶段标准检查",
    "cleared": "清除",
    "competitor": "竞争对手",
    "contract": "合同",
    "credit": "业绩分成",
    "customer_id": "客户",
    "customer_since": "成为客户时间",
    "day": "日期",
    "decision_expected": "预计决策日期",
    "department": "部门",
    "direction": "方向",
    "doubt": "疑虑",
    "due": "到期日",
    "effective_from": "生效时间",
    "email": "电子邮箱",
    "event_id": "事件编号",
    "expected_close": "预计成交日期",
    "expires_at": "失效时间",
    "fiscal_calendar": "财年日历",
    "how": "方式",
    "inferred": "推断依据",
    "into": "合并到",
    "invoice": "发票",
    "lead_source": "渠道",
    "level": "程度",
    "lines": "明细",
    "mapping": "阶段对应",
    "name": "名称",
    "natural_person": "自然人",
    "need": "需求",
    "next_step": "下一步",
    "note": "备注",
    "objection": "疑虑编号",
    "order": "订单",
    "out_of": "原合并到",
    "owner": "负责人",
    "pain_point": "痛点",
    "participants": "参与人",
    "payment_days": "付款天数",
    "people": "决策人",
    "person": "人员",
    "person_id": "联系人",
    "phone": "电话",
    "position": "职位",
    "probability": "成交概率",
    "process": "销售流程",
    "process_version": "流程版本",
    "question": "问题",
    "quote": "报价",
    "rates": "汇率",
    "region": "地区",
    "released": "释放的商机",
    "report_currency": "报告货币",
    "request": "协助编号",
    "role": "角色",
    "scale": "量表",
    "score": "评分",
    "segment": "客户细分",
    "service": "服务",
    "solution": "解决方案",
    "source": "来源",
    "stage": "阶段",
    "summary": "摘要",
    "survey": "调查",
    "target": "目标阶段",
    "task": "任务",
    "terms": "条款",
    "text": "内容",
    "timezone": "时区",
    "title": "标题",
    "to": "发给",
    "topic": "主题",
    "total": "合计",
    "valid_until": "有效期至",
    "working_days": "工作日",
}

SAID_IN_WORDS: Final = frozenset({"category", "channel", "cleared", "direction", "level"})
"""Fields of few values, which have names in both languages."""


def details_of(fact: Fact, language: Language, zone: ZoneInfo) -> str:
    """Say what a fact says, field by field."""
    said = (
        (_label(name, language), _said(name, getattr(fact, name), language, zone))
        for name in type(fact).model_fields
        if getattr(fact, name) != type(fact).model_fields[name].default
    )
    return " · ".join(f"{name} {text}" for name, text in said if text)


def money_text(money: Money | None) -> str:
    """Write an amount: without decimals where it is whole, else with two or more."""
    if money is None:
        return ""
    whole = money.amount == money.amount.to_integral_value()
    hundredths = money.amount == round(money.amount, 2)
    digits = ",.0f" if whole else ",.2f" if hundredths else ","
    return f"{money.amount:{digits}} {money.currency}"


def _label(field: str, language: Language) -> str:
    plain = field.replace("_", " ")
    return FIELDS_ZH.get(field, plain) if language == "zh" else plain


def _said(field: str, value: object, language: Language, zone: ZoneInfo) -> str:
    if field in SAID_IN_WORDS:
        parts = value if isinstance(value, tuple) else (value,)
        return ", ".join(in_language(str(part), language) for part in parts)
    return _plain(value, language, zone)


def _plain(value: object, language: Language, zone: ZoneInfo) -> str:
    """Write a value of a fact for people."""
    match value:
        case None:
            shown = ""
        case bool():
            shown = in_language("yes" if value else "no", language)
        case datetime():
            shown = local_time(value, zone)
        case Decimal():
            shown = f"{value:,}"
        case tuple():
            shown = ", ".join(_plain(each, language, zone) for each in value)
        case Value():
            shown = _composed(value, language, zone)
        case _:
            shown = str(value)
    return shown


def _composed(value: Value, language: Language, zone: ZoneInfo) -> str:
    match value:
        case Money():
            return money_text(value)
        case QuoteLine():
            return _line(value, language)
        case Check():
            return _check(value, language)
        case _:
            named = (getattr(value, name) for name in type(value).model_fields)
            return " ".join(filter(None, (_plain(part, language, zone) for part in named)))


def _line(line: QuoteLine, language: Language) -> str:
    less = f" -{line.discount:.0%}" if line.discount else ""
    at = in_language("at", language)
    return f"{line.quantity:,} x {line.product} {at} {money_text(line.unit_price)}{less}"


def _check(check: Check, language: Language) -> str:
    criterion = CRITERIA.get(check.criterion, ("", ""))[1] if language == "zh" else ""
    parts = (criterion or check.criterion, in_language(check.result, language))
    return " ".join((*parts, *filter(None, (check.by, check.because))))

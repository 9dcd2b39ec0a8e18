"""Facts in words: what each is called in English and Chinese, and what it says.

The Chinese terms are those of the glossary. Details are the fact's own fields in plain text:
amounts with separators, lists joined, what is empty left out.
"""

import re
from datetime import datetime
from decimal import Decimal
from typing import Final

from salesflow.cli.words import Language
from salesflow.domain.deal.quotes import QuoteLine
from salesflow.domain.facts import Fact
from salesflow.domain.values import Money, Value

__all__ = ["FACTS_ZH", "details_of", "name_of", "plain"]

FACTS_ZH: Final[dict[str, str]] = {
    "fact.retracted": "更正撤销",
    "settings.changed": "设置变更",
    "settings.clock_accepted": "接受时钟",
    "rates.published": "发布汇率",
    "process.published": "发布销售流程",
    "process.retired": "停用销售流程",
    "customer.registered": "客户登记",
    "customer.qualified": "成为意向客户",
    "customer.marked_loyal": "成为忠诚客户",
    "customer.contact_person_added": "新增联系人",
    "customer.contact_person_updated": "更新联系人",
    "customer.merged": "客户合并",
    "customer.unmerged": "取消客户合并",
    "customer.person_erased": "删除个人信息",
    "deal.opened": "商机建立",
    "deal.stage_moved": "阶段变动",
    "deal.migrated": "流程版本迁移",
    "deal.won": "赢单",
    "deal.lost": "输单",
    "deal.disqualified": "商机无效",
    "deal.reopened": "重新激活",
    "deal.merged": "合并到其他商机",
    "deal.absorbed": "并入其他商机",
    "deal.unmerged": "取消合并",
    "deal.released": "释放并入商机",
    "deal.contact_logged": "跟进",
    "deal.intent_stated": "购买意向",
    "deal.need_identified": "确认需求",
    "deal.budget_confirmed": "确认购买能力",
    "deal.decision_process_mapped": "明确购买决策过程",
    "deal.solution_proposed": "提出解决方案",
    "deal.task_completed": "完成阶段任务",
    "deal.objection_raised": "客户疑虑",
    "deal.objection_resolved": "解决疑虑",
    "deal.competitor_named": "出现竞争对手",
    "deal.quote_drafted": "拟定报价",
    "deal.quote_issued": "发出报价",
    "deal.quote_revised": "修改报价",
    "deal.quote_accepted": "报价被接受",
    "deal.quote_rejected": "报价被拒绝",
    "deal.quote_withdrawn": "撤回报价",
    "deal.quote_expired": "报价过期",
    "deal.forecast_given": "更新预测",
    "deal.line_items_agreed": "商定明细",
    "deal.terms_agreed": "商定合同条款",
    "deal.contract_amended": "合同变更",
    "deal.invoice_issued": "开票",
    "deal.payment_received": "回款",
    "deal.refund_given": "退款",
    "deal.owner_assigned": "分配负责人",
    "deal.collaborator_joined": "协作成员加入",
    "deal.collaborator_left": "协作成员离开",
    "deal.customer_changed": "更换客户",
    "deal.message_posted": "团队消息",
    "deal.help_requested": "请求协助",
    "deal.help_given": "提供协助",
    "deal.service_delivered": "售后服务",
    "deal.repeat_order_placed": "重复购买",
    "deal.survey_sent": "发出满意度调查",
    "deal.feedback_received": "客户反馈",
}

WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def name_of(kind: type[Fact], language: Language) -> str:
    """Call a kind of fact by its name: "Stage moved", 阶段变动."""
    if language == "zh" and kind.kind in FACTS_ZH:
        return FACTS_ZH[kind.kind]
    return WORD.sub(" ", kind.__name__).capitalize()


def details_of(fact: Fact) -> str:
    """Say what a fact says, field by field."""
    said = (
        (name.replace("_", " "), plain(getattr(fact, name)))
        for name in type(fact).model_fields
        if getattr(fact, name) != type(fact).model_fields[name].default
    )
    return " · ".join(f"{name} {text}" for name, text in said if text)


def plain(value: object) -> str:
    """Write a value of a fact for people."""
    shown = ""
    match value:
        case bool():
            shown = "yes" if value else "no"
        case QuoteLine(discount=off):
            less = f" -{off:.0%}" if off else ""
            shown = f"{value.quantity:,} x {value.product} at {value.unit_price}{less}"
        case datetime():
            shown = value.isoformat(sep=" ", timespec="seconds")
        case Decimal():
            shown = f"{value:,}"
        case tuple():
            shown = ", ".join(plain(each) for each in value)
        case Value() if not isinstance(value, Money):
            named = (getattr(value, name) for name in type(value).model_fields)
            shown = " ".join(text for text in map(plain, named) if text)
        case _:
            shown = "" if value is None else str(value)
    return shown

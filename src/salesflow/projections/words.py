"""What answers call things in English and Chinese: facts, outcomes, why a fact has no ground.

The Chinese terms are those of the glossary. What is not listed stays as it is stored, so that
nothing is ever blank.
"""

import re
from typing import Final

from salesflow.domain.catalogue import CATALOGUE
from salesflow.domain.facts import Fact

__all__ = [
    "FACTS_ZH",
    "OUTCOMES_ZH",
    "fact_name",
    "irregularity_name",
    "kind_name",
    "outcome_name",
]

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

OUTCOMES_ZH: Final[dict[str, str]] = {
    "open": "进行中",
    "won": "赢单",
    "lost": "输单",
    "disqualified": "无效",
    "merged": "已合并",
}

IRREGULAR_ZH: Final[tuple[tuple[str, str], ...]] = (
    (r"before the deal was opened", "发生在商机建立之前"),
    (r"the deal was opened before", "商机此前已建立"),
    (r"moved while (\w+)", "商机{0}时变动阶段"),
    (r"moved to an open stage while won", "赢单后变动到进行中阶段"),
    (r"(\w+) while already (\w+)", "商机{1}时再次{0}"),
    (r"reopened while open", "商机进行中时重新激活"),
    (r"there is no quote (.+)", "没有报价 {0}"),
    (r"not won but (\w+)", "商机{0}，并未赢单"),
)

WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
CLASSES: Final[dict[str, type[Fact]]] = {cls.kind: cls for cls in CATALOGUE}


def fact_name(cls: type[Fact], language: str = "en") -> str:
    """Call a class of facts by its name: "Stage moved", 阶段变动."""
    if language == "zh" and cls.kind in FACTS_ZH:
        return FACTS_ZH[cls.kind]
    return WORD.sub(" ", cls.__name__).capitalize()


def kind_name(kind: str, language: str = "en") -> str:
    """Call a stored kind of facts by its name."""
    return fact_name(CLASSES[kind], language) if kind in CLASSES else kind


def outcome_name(outcome: str, language: str = "en") -> str:
    """Call an outcome (or merged) by its name."""
    return OUTCOMES_ZH.get(outcome, outcome) if language == "zh" else outcome


def irregularity_name(reason: str, language: str = "en") -> str:
    """Say why a fact has no ground."""
    if language == "zh":
        for pattern, text in IRREGULAR_ZH:
            found = re.fullmatch(pattern, reason)
            if found:
                return text.format(*(outcome_name(part, "zh") for part in found.groups()))
    return reason

"""The built-in sales process: six stages from the first trace of a prospect to service.

潜在客户识别 · 初步接触 · 需求分析 · 方案设计 · 谈判与成交 · 售后服务. Every new database
publishes it. Winning ends negotiation and opens after-sales service. Probabilities, longest
stays and targets are starting points: publish a version of your own when you know better.
"""

from decimal import Decimal
from typing import Final

from salesflow.domain.process import Label, ProcessVersion, Stage, StageKpi

__all__ = ["STANDARD"]


def _label(key: str, en: str, zh: str) -> Label:
    return Label(key=key, name_en=en, name_zh=zh)


_PROSPECTING = Stage(
    key="prospecting",
    name_en="Prospecting",
    name_zh="潜在客户识别",
    probability=Decimal("0.10"),
    forecast_category="pipeline",
    exit_criteria=("contact_logged",),
    tasks=(
        _label("find_prospect", "Find the prospect through a channel", "通过渠道发现潜在客户"),
        _label("research_prospect", "Research the prospect", "了解潜在客户背景"),
    ),
    kpis=(StageKpi(metric="lead_conversion", target=Decimal("0.40")),),
    max_days=14,
)

_INITIAL_CONTACT = Stage(
    key="initial_contact",
    name_en="Initial contact",
    name_zh="初步接触",
    probability=Decimal("0.20"),
    forecast_category="pipeline",
    exit_criteria=("contact_logged", "intent_stated"),
    tasks=(
        _label("introduce_ourselves", "Introduce ourselves", "介绍公司与产品"),
        _label("build_trust", "Build trust", "建立信任"),
    ),
    kpis=(StageKpi(metric="contact_count", target=Decimal(3)),),
    max_days=14,
)

_NEEDS_ANALYSIS = Stage(
    key="needs_analysis",
    name_en="Needs analysis",
    name_zh="需求分析",
    probability=Decimal("0.40"),
    forecast_category="pipeline",
    exit_criteria=("need_identified", "budget_confirmed", "decision_process_mapped"),
    tasks=(
        _label("interview_customer", "Talk about needs and pain points", "沟通需求与痛点"),
        _label("confirm_budget", "Confirm what they can spend", "确认购买能力"),
        _label("map_decision", "Find out who decides, and how", "了解购买决策过程"),
    ),
    kpis=(StageKpi(metric="contact_count", target=Decimal(3)),),
    max_days=30,
)

_SOLUTION_DESIGN = Stage(
    key="solution_design",
    name_en="Solution design",
    name_zh="方案设计",
    probability=Decimal("0.60"),
    forecast_category="best_case",
    exit_criteria=("solution_proposed", "quote_issued"),
    tasks=(
        _label("configure_product", "Configure the product", "产品配置"),
        _label("draft_quote", "Draft the quote", "制定报价"),
        _label("draft_contract", "Draft the contract terms", "拟定合同条款"),
    ),
    kpis=(StageKpi(metric="stage_conversion", target=Decimal("0.60")),),
    max_days=21,
)

_NEGOTIATION = Stage(
    key="negotiation",
    name_en="Negotiation and closing",
    name_zh="谈判与成交",
    probability=Decimal("0.80"),
    forecast_category="commit",
    exit_criteria=("objections_resolved",),
    tasks=(
        _label("resolve_objections", "Resolve objections", "解决客户疑虑"),
        _label("agree_terms", "Agree the terms", "商定合同条款"),
        _label("sign_contract", "Sign the contract", "签订合同"),
    ),
    kpis=(StageKpi(metric="win_rate", target=Decimal("0.50")),),
    max_days=30,
)

_AFTER_SALES = Stage(
    key="after_sales",
    name_en="After-sales service",
    name_zh="售后服务",
    category="after_sales",
    probability=Decimal(1),
    forecast_category="closed",
    tasks=(
        _label("hand_over", "Hand over to service", "交接售后服务"),
        _label("ask_satisfaction", "Ask how satisfied they are", "满意度调查"),
        _label("ask_repeat", "Ask about repeat purchases", "跟进重复购买"),
    ),
    kpis=(
        StageKpi(metric="csat", target=Decimal("0.85")),
        StageKpi(metric="repeat_rate", target=Decimal("0.30")),
    ),
)

STANDARD: Final = ProcessVersion(
    key="standard",
    name_en="Standard sales process",
    name_zh="标准销售流程",
    version=1,
    stages=(
        _PROSPECTING,
        _INITIAL_CONTACT,
        _NEEDS_ANALYSIS,
        _SOLUTION_DESIGN,
        _NEGOTIATION,
        _AFTER_SALES,
    ),
    loss_reasons=(
        _label("price", "Price", "价格"),
        _label("competitor", "Lost to a competitor", "输给竞争对手"),
        _label("no_budget", "No budget", "没有预算"),
        _label("no_decision", "No decision was made", "客户未作决定"),
        _label("timing", "Bad timing", "时机不合适"),
        _label("product_fit", "The product does not fit", "产品不符合需求"),
        _label("lost_contact", "Contact was lost", "失去联系"),
        _label("other", "Other", "其他"),
    ),
    qualifying_stage="needs_analysis",
)

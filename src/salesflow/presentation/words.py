"""What we call things in Chinese; English words stand in the code as they are.

The Chinese terms are those of the glossary. A word that is not listed stays English, so that
nothing is ever blank. Facts bring their names along, and so do the stages of a process.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from salesflow.presentation.labels import FIELD_LABELS_ZH, LABELS_ZH

__all__ = [
    "Language",
    "fact_name",
    "in_language",
    "irregularity_name",
    "kind_name",
    "name_facts",
]


if TYPE_CHECKING:  # a word of a table needs no fact
    from salesflow.domain.event import Fact


Language = Literal["en", "zh"]

ZH: Final[dict[str, str]] = {
    **FIELD_LABELS_ZH,
    **LABELS_ZH,
    # what a fact or an entity says in one of few words
    "open": "进行中",
    "times a rep's first team stands for a time before it": "次以首个团队代表加入之前",
    "reps whose first team stands for a time before it": "人以首个团队代表加入之前",
    "told in both directions and disagreeing, the first counts": "双向报价不一致，以前者为准",
    "budget confirmed": "已确认购买能力",
    "collaborator joined": "有跨部门协作",
    "competitor named": "有竞争对手",
    "decision process mapped": "已了解决策过程",
    "help given": "有协助",
    "intent stated": "已明确意向",
    "need identified": "已确认需求",
    "objection raised": "有客户疑虑",
    "objection resolved": "已解决疑虑",
    "quote issued": "已报价",
    "quote revised": "修改过报价",
    "solution proposed": "已提方案",
    "discount offered": "有折扣",
    "came from": "来源",
    "contacted in": "跟进于",
    "contacted by": "渠道",
    "stage skipped": "跳过阶段",
    "stage returned": "阶段回退",
    "overdue in": "超期于",
    "* fewer than ten deals with or without it": "* 具备或不具备该因素的商机少于十个",
    "Won of similar deals": "相似商机赢单占比",
    "without amount": "无金额",
    "recorded at position": "已记录于位置",
    "opening": "期初",
    "closing": "期末",
    "restated": "重述",
    "created": "新建",
    "advanced": "推进",
    "returned": "回退",
    "increased": "金额增加",
    "decreased": "金额减少",
    "redenominated": "币种变更",
    "pushed": "成交日期推迟",
    "pulled_in": "成交日期提前",
    "recategorised": "预测类别变更",
    "reweighted": "概率变更",
    "transferred": "负责人变更",
    "reorganised": "团队调整",
    "migrated": "流程迁移",
    "unmerged": "取消合并",
    "reopened": "重新激活",
    "won": "赢单",
    "lost": "输单",
    "disqualified": "无效",
    "merged": "已合并",
    "after sales": "售后服务",
    "pipeline": "储备",
    "best case": "乐观",
    "commit": "承诺",
    "closed": "已成交",
    "omitted": "不计入",
    "call": "电话",
    "email": "邮件",
    "campaign": "市场活动",
    "cold call": "陌生拜访",
    "inbound": "主动咨询",
    "partner": "合作伙伴",
    "referral": "转介绍",
    "trade fair": "展会",
    "website": "官网",
    "message": "即时消息",
    "meeting": "会议",
    "visit": "拜访",
    "in": "客户主动",
    "out": "我方主动",
    "none": "无",
    "low": "低",
    "medium": "中",
    "high": "高",
    "passed": "通过",
    "failed": "未通过",
    "overridden": "特批",
    "not checked": "未检查",
    "drafted": "草拟",
    "issued": "已发出",
    "revised": "已修改",
    "accepted": "已接受",
    "rejected": "已拒绝",
    "withdrawn": "已撤回",
    "expired": "已过期",
    "superseded": "已被取代",
    "resolved": "已解决",
    "unresolved": "未解决",
    "given": "已提供",
    "asked for": "已请求",
    "stated": "已明确",
    "identified": "已确认",
    "confirmed": "已确认",
    "mapped": "已了解",
    "proposed": "已提出",
    "agreed": "已商定",
    "delivered": "已交付",
    # what a case study says in few words
    "! longer than its max days": "! 超过最长停留天数",
    "amount changed": "金额变动",
    "close pushed": "成交日期推迟",
    "contacts": "跟进次数",
    "days": "天",
    "discount": "折扣",
    "first competitor": "首个竞争对手",
    "first objection": "首个疑虑",
    "objections": "客户疑虑数",
    "opened": "建立",
    "owner changed": "更换负责人",
    "owners": "位负责人",
    "quote revisions": "报价修改次数",
    "same lead source": "来源相同",
    "same segment": "客户细分相同",
    "same stage path": "阶段路径相同",
    "shared stages": "共同阶段",
    "similar amount": "金额相近",
    "skipped": "跳过阶段",
    "stages": "个阶段",
    # what a retrospective says in few words
    "What matters most": "要点",
    "What": "事项",
    "Change": "变化",
    "Dearest reason of losses": "首要输单原因",
    "dearest": "最大",
    "chosen": "选取规则：",
    "by relative change; small counts and minor currencies are left out": (
        "按相对变化；略去过小的数量与次要币种"
    ),
    "a rep's first team stands for a time before it": "以首个团队代表加入之前",
    "cycle days median": "周期天数（中位）",
    "first response days": "首次响应天数",
    "new customers": "新客户数量",
    "open amount": "进行中金额",
    "open deals": "进行中商机数",
    "open weighted": "进行中加权金额",
    "orders": "订单数",
    "repeat purchase rate": "重复购买率",
    "sales": "销售额",
    "velocity per day": "每日销售速度",
    "win rate": "赢单率",
    "win rate by value": "赢单率（按金额）",
    "Days over share": "超期占比",
    "Figures": "指标",
    "Figures before": "上期指标",
    "Forecasts": "预测",
    "Losses": "输单原因",
    "Losses before": "上期输单原因",
    "Movements": "变动",
    "Scores": "调查评分",
    "Slippage before": "上期延期",
    "Slipped total": "延期的商机总数",
    "Stalled amounts": "停滞金额",
    "Stalled total": "停滞的商机总数",
    "Themes": "反馈主题",
    "Value before": "上期值",
    "days over": "天超期",
    "deals over": "个商机超期",
    "moved out": "移出期间",
    "of all": "占全部",
    "overdue": "逾期",
    "points": "个百分点",
    "weighted": "加权",
    "went on": "继续推进",
    # pieces of sentences
    "added": "新增",
    "all read tables": "全部读表",
    "as of": "截至",
    "at": "单价",
    "behind": "落后",
    "d": "天",
    "deals restated": "重述的商机",
    "end of": "当日结束",
    "h": "小时",
    "in all": "共",
    "irregular": "不合常规",
    "known at": "当时所知",
    "known then": "当时所知",
    "late by": "补录晚",
    "Late by": "补录晚",
    "Stream": "事件流",
    "cannot be read": "无法读取",
    "more with": "更多请用",
    "nothing was found": "没有找到",
    "of a long log a sample of streams is compared; --all compares every one": "日志较长时抽样"
    "比对数据流；用 --all 全部比对",
    "the other streams hold nothing that a read table shows": "其余数据流不涉及任何读表",
    "a trial: nothing was recorded": "试运行：未记录任何内容",
    "all of them with --json": "全部请用 --json",
    "amounts left out without a rate:": "因无汇率未计入的金额数：",
    "no deal ever came from channel": "从未有商机来自渠道：",
    "no deal was ever in currency": "从未有商机使用币种：",
    "no deal was ever owned by": "从未有商机归其负责：",
    "there was never a customer": "从未有过客户：",
    "there was never a survey": "从未有过问卷：",
    "retracts position": "撤销位置",
    "listed": "列出",
    "middle": "期中",
    "no": "否",
    "not listed": "未列出",
    "nothing changed": "无变化",
    "nothing was known yet, the log begins at": "当时尚无记录，日志始于",
    "position": "位置",
    "recorded at": "记录于",
    "retired": "已停用",
    "retracted": "已撤销",
    "left out": "未计入",
    "revisions": "次修改",
    "start": "期初",
    "stopped": "已停止",
    "takes effect": "生效于",
    "the database is busy, trying again": "数据库繁忙，正在重试",
    "times are those of": "时间所用时区",
    "unchanged": "项无变化",
    "until": "有效期至",
    "vanished": "消失",
    "yes": "是",
    # the story of the demo
    "A sales team": "一支销售团队",
    "The funnel at the end of": "销售漏斗，截至",
    "The same question as of three past dates": "同一问题，三个过去的日期",
    "One deal, replayed step by step": "一个商机的逐步重放",
    "A late correction, on both axes of time": "一次迟到的更正，两条时间轴",
    "what did we sell by the end of": "我们成交了多少，截至",
    "known at the end of": "当时所知，截至",
    "known now": "现在所知",
    "What we believe": "所信",
    "This deal": "该商机",
    "All won deals": "全部赢单",
    "The events that explain it": "说明差异的事件",
    "Deals · Amount, million": "商机数 · 金额, 百万",
    "deals with": "个商机，",
    "customers,": "个客户，",
    "events in": "个事件，存于",
    "seed": "种子",
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
    (r"before the rep joined", "发生在加入团队之前"),
    (r"it names another rep, (.+)", "所指为另一销售人员 {0}"),
    (r"joined while in team (.+)", "身在团队 {0} 时再次加入"),
    (r"moved while in no team", "不在任何团队时调换"),
    (r"left while in no team", "不在任何团队时离开"),
)

WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")

OTHERS: "dict[str, type[Fact]]" = {}
"""Classes of facts that were handed in, by their kind."""


def in_language(text: str, language: Language) -> str:
    """Give a word in the wanted language; keys of several words are written with blanks."""
    plain = text.replace("_", " ")
    return ZH.get(plain, plain) if language == "zh" else plain


def fact_name(cls: "type[Fact]", language: Language = "en") -> str:
    """Call a class of facts by its name: "Deal opened", 商机建立."""
    return cls.name_zh if language == "zh" else WORD.sub(" ", cls.__name__).capitalize()


def kind_name(kind: str, language: Language = "en") -> str:
    """Call a stored kind of facts by its name."""
    cls = _classes().get(kind) or OTHERS.get(kind)
    return kind if cls is None else fact_name(cls, language)


def name_facts(classes: "Iterable[type[Fact]]") -> None:
    """Call facts of other people by their names too, wherever their kind is said."""
    for cls in classes:
        OTHERS.setdefault(cls.kind, cls)


def irregularity_name(reason: str, language: Language = "en") -> str:
    """Return why a fact is irregular, in a language."""
    if language == "zh":
        for pattern, text in IRREGULAR_ZH:
            found = re.fullmatch(pattern, reason)
            if found:
                return text.format(*(in_language(part, "zh") for part in found.groups()))
    return reason


@cache
def _classes() -> "dict[str, type[Fact]]":
    """Give the classes of facts by kind; they are loaded when a fact is first named."""
    from salesflow.domain.catalogue import CATALOGUE

    return {cls.kind: cls for cls in CATALOGUE}

"""The words of the import report for people, in Chinese, and of one that recorded nothing."""

__all__ = [
    "ASK",
    "CUT",
    "ENTERS",
    "IDLE",
    "MORE",
    "NOT_TOLD",
    "OTHER_REASONS",
    "OTHER_RULES",
    "STAYS_OPEN",
    "is_chinese",
    "words_of",
]

MORE = "more reasons in the report file"
ASK = "what is not recorded so is listed only; --apply-changes records it"
OTHER_RULES = "recorded of these deals by rules the mapping lacks:"
NOT_TOLD = "recorded before of these deals, told no more (deleted there, or not exported):"
CUT = "counted by reason and not listed one by one, as there are so many:"
OTHER_REASONS = "other reasons"
IDLE = "rules that took no row:"
ENTERS = "closing enters (of several, stage times count the one whose outcome stands):"
STAYS_OPEN = "a deal that is open stays open when it is moved to:"
ZH = {
    "Import": "导入",
    "What": "项目",
    "Count": "数量",
    "Rows read": "读取行数",
    "Rows recorded": "新记录的行",
    "Rows known before": "已记录过的行",
    "Rows refused": "被拒绝的行",
    "Rows changed at source": "来源已变更的行",
    "Rows left out by the mapping": "映射排除的行",
    "Rows adjusted": "经调整的行",
    "Facts recorded": "新记录的事件",
    "Rows that share their time with another": "与同一商机其他行时间相同的行",
    "Rows taken before the interruption": "中断前已处理的行",
    "Facts known before": "已记录过的事件",
    "Facts changed at source": "来源已变更的事件",
    "Facts retracted": "已撤销的事件",
    "Facts restored": "已恢复的事件",
    "Facts recorded before, told no more": "先前已记录、来源不再提及的事件",
    "Facts inferred": "推断的事件",
    "Deals": "商机数",
    "Deals new": "新商机",
    "Deals opened now, for want of a date": "因无日期而以导入时间开立的商机",
    "Deals recorded before, not in the file": "先前已记录、文件中没有的商机",
    "Customers registered": "新登记客户",
    "Refused": "被拒绝",
    "Adjusted": "经调整",
    "Inferred": "推断",
    "Changed at source": "来源已变更",
    "Recorded, but irregular": "已记录但不合常规",
    "Left out by the mapping": "映射排除",
    "Columns": "列",
    "Reason": "原因",
    "Rows": "行数",
    "Facts": "事件数",
    "First line": "首行",
    "recorded as": "导入编号",
    "published process": "已发布销售流程",
    "columns the mapping leaves out:": "映射未用的列：",
    OTHER_RULES: "这些商机中由映射以外的规则记录的事件：",
    NOT_TOLD: "这些商机先前已记录、文件不再提及的事件（来源已删除或未导出）：",
    CUT: "因数量过多，仅按原因计数、不再逐条列出：",
    OTHER_REASONS: "其他原因",
    "refused": "被拒绝",
    "adjusted": "经调整",
    "inferred": "推断",
    "changed": "来源已变更",
    "irregular": "不合常规",
    IDLE: "没有匹配任何行的规则：",
    ENTERS: "结案进入的阶段（多次结案时，阶段时长以现行结果的那次为准）：",
    STAYS_OPEN: "未结案的商机移入以下阶段后仍未结案：",
    "(where it stood)": "（停留原处）",
    "empty": "为空",
    "stands for empty": "视为空",
    "looks like empty": "疑似为空",
    "not in lookup": "对照表中没有",
    "nothing was recorded": "未记录任何内容",
    MORE: "条原因见报告文件",
    ASK: "未记录的变更仅列出；用 --apply-changes 记录",
}
WOULD = {
    "Rows recorded": "Rows that would be recorded",
    "Facts recorded": "Facts that would be recorded",
    "Facts retracted": "Facts that would be retracted",
    "Facts restored": "Facts that would be restored",
    "Deals opened now, for want of a date": "Deals to be opened now, for want of a date",
    "Customers registered": "Customers that would be registered",
    "Recorded, but irregular": "Would be recorded, but irregular",
}
"""What is said instead where nothing was recorded: of a trial, or a strict import in vain."""
WOULD_ZH = {
    "Rows recorded": "将新记录的行",
    "Facts recorded": "将新记录的事件",
    "Facts retracted": "将撤销的事件",
    "Facts restored": "将恢复的事件",
    "Deals opened now, for want of a date": "因无日期将以导入时间开立的商机",
    "Customers registered": "将新登记的客户",
    "Recorded, but irregular": "将记录但不合常规",
}


def is_chinese(words: dict[str, str]) -> bool:
    """Say whether these are the words of a Chinese report."""
    return words.get("Import") == ZH["Import"]


def words_of(language: str, *, recorded: bool) -> dict[str, str]:
    """Give what stands for the words of a report, where that is something else."""
    if language == "zh":
        return ZH if recorded else ZH | WOULD_ZH
    return {} if recorded else WOULD

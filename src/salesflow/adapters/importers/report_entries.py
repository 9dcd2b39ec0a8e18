"""The lines of an import report, and their words: refused, adjusted, inferred, changed."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from salesflow.domain.wording import shortened
from salesflow.presentation.messages import Language, in_language, irregularity_name, translated
from salesflow.presentation.table import TableOfView

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
    "Counted",
    "Finding",
    "Inferred",
    "Irregular",
    "ListName",
    "Remark",
    "ReportGroup",
    "ReportLine",
    "ReportWords",
    "ReportedChange",
    "RowsLeftOut",
    "Unlisted",
    "entry_text",
    "finding_group",
    "findings_of",
    "reason_in_chinese",
]


ListName = Literal["refused", "adjusted", "inferred", "changed", "irregular"]
"""The lists of a report that grow with the file."""
VALUES_MAX = 20
"""Values without a partner in a lookup are listed one by one while there are no more."""


class ReportLine(BaseModel):
    """A line of the report."""

    model_config = ConfigDict(extra="forbid")


class Remark(ReportLine):
    """A row that was refused or adjusted: where, why, and the value it is about."""

    file: str
    line: int
    reason: str
    object: str | None = None
    column: str | None = None
    value: str | None = None


class Inferred(ReportLine):
    """A fact nobody told: deduced, and marked so in the log."""

    file: str
    line: int
    object: str
    kind: str
    reason: str


class Irregular(ReportLine):
    """A fact that was recorded but is irregular, so that no figure counts it."""

    file: str
    line: int
    object: str
    kind: str
    source_id: str
    reason: str


class ReportedChange(ReportLine):
    """What the source tells otherwise than it was recorded.

    `was` None: nothing stood there; `now` None: it is told no more. `was_kind` and
    `was_source_id` are of the fact that was recorded, `kind` and `source_id` of what is told
    now (or was, when nothing is). `again`: an import took this back, and it is told again.
    """

    file: str
    line: int
    object: str
    kind: str
    source_id: str
    was_kind: str | None
    was_source_id: str | None
    was: str | None
    now: str | None
    again: bool
    applied: bool

    @property
    def said(self) -> str:
        """How it changed, in a few words."""
        if self.now is None:
            how = f"{self.kind}: told no more"
        elif self.was is None:
            how = f"{self.kind}: {'told again' if self.again else 'told by a changed row'}"
        elif self.was_kind != self.kind:
            how = f"{self.was_kind} became {self.kind}"
        elif self.was_source_id != self.source_id:
            how = f"{self.kind}: recorded under another key before"
        else:
            how = f"{self.kind}: told differently"
        return f"{how}; recorded so" if self.applied else how


class Unlisted(ReportLine):
    """Entries that a list is too long for: how many of one reason."""

    list: ListName
    reason: str
    count: int
    first_line: int


class RowsLeftOut(ReportLine):
    """Rows the mapping leaves out on purpose, by its reason."""

    reason: str
    rows: int
    first_line: int


class Finding(ReportLine):
    """What a column held that stands for nothing, or that a lookup file does not know."""

    column: str
    finding: Literal["empty", "stands for empty", "looks like empty", "not in lookup"]
    value: str
    rows: int
    first_line: int


def findings_of(counts: Mapping[tuple[str, str, str], Sequence[int]]) -> list[Finding]:
    """List what columns held, in the order of the file; see `layout.FindingCounts`.

    A join in which many rows have no partner is one line: it is meant so, or wrong as a whole.
    """
    alone: dict[str, list[Sequence[int]]] = defaultdict(list)
    for (column, finding, _), counted in counts.items():
        if finding == "not in lookup":
            alone[column].append(counted)
    found = [
        Finding(column=column, finding=finding, value=value, rows=rows, first_line=line)  # type: ignore[arg-type]
        for (column, finding, value), (rows, line) in counts.items()
        if finding != "not in lookup" or len(alone[column]) <= VALUES_MAX
    ]
    found += [
        Finding(
            column=column,
            finding="not in lookup",
            value=f"({len(several):,} different values)",
            rows=sum(rows for rows, _ in several),
            first_line=min(line for _, line in several),
        )
        for column, several in alone.items()
        if len(several) > VALUES_MAX
    ]
    return sorted(found, key=lambda each: each.first_line)


# Why rows were refused or adjusted, in Chinese; as it stands where there is no word for it.

# The words of the import report for people, in Chinese, and of one that recorded nothing.

MORE = "more reasons in the report file"
ASK = "what is not recorded so is listed only; --apply-changes records it"
OTHER_RULES = "recorded of these deals by rules the mapping lacks:"
NOT_TOLD = "recorded before of these deals, told no more (deleted there, or not exported):"
CUT = "counted by reason and not listed one by one, as there are so many:"
OTHER_REASONS = "other reasons"
IDLE = "rules that took no row:"
ENTERS = "closing enters (of several, stage times count the one whose outcome stands):"
STAYS_OPEN = "a deal that is open stays open when it is moved to:"
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
REPORT: Final = "import report"
"""The context of words that mean something else in other tables."""


class ReportWords:
    """The words of a report in a language; of a trial, what would be done."""

    def __init__(self, language: Language, *, recorded: bool) -> None:
        self.language: Language = language
        self._recorded = recorded

    def __call__(self, text: str) -> str:
        """Return a word or label of the report."""
        said = text if self._recorded else WOULD.get(text, text)
        here = translated(said, self.language, REPORT)
        return translated(said, self.language) if here == said else here


WHOLE: Final[tuple[tuple[str, str], ...]] = (
    (r"is empty, and the (?:fact|mapping) (?:needs it|wants it filled)", "为空，而该项必填"),
    (r"is missing", "缺失"),
    (r"has no deal id", "没有商机编号"),
    (r"is not a number; see \[numbers\].*", "不是数字；逗号、空格与正负号的写法见 [numbers]"),
    (r"is not a number.*", "不是数字"),
    (r"is not a whole number", "不是整数"),
    (r"is not yes or no", "不是“是”或“否”"),
    (r"is not one of (.+)", "不在可选值之内：{0}"),
    (r"is no currency: .+", "不是币种：应为三个大写字母，如 EUR"),
    (r"must be three capital letters, such as CNY", "应为三个大写字母，如 CNY"),
    (r"is not more than (.+)", "应大于 {0}"),
    (r"is less than (.+)", "小于 {0}"),
    (r"is not less than (.+)", "应小于 {0}"),
    (r"is more than (.+)", "大于 {0}"),
    (r"must be at least (.+)", "至少应为 {0}"),
    (r"must be at most (.+)", "至多应为 {0}"),
    (r"must not be blank.*", "不能为空白"),
    (r"longer than (.+) characters", "超过 {0} 个字符"),
    (r"the character (.+) is not allowed in text", "文本中不允许出现字符 {0}"),
    (r"has more than one sign \((.+)\)", "有多个正负号（{0}）"),
    (r"lies before 1900 or out of range", "早于 1900 年或超出范围"),
    (r"lies in the future.*", "在未来"),
    (r"is not a time written as ([^;]+).*", "不是按 {0} 写的时间"),
    (
        r"tells the same, at the same time, as an earlier row.*",
        "与前面一行时间、内容均相同，且无编号",
    ),
    (r"is too long for a time", "作为时间过长"),
    (r"is too long for (.+)", "作为编号过长：{0}"),
    (r"can be read as (.+); took the first", "可读作 {0}；取前者"),
    (r"can be read as (.+?); .+", "可读作 {0}；请指定一种格式"),
    (
        r"happened twice, .+; took the later, in the order of the rows",
        "因时钟拨慢出现两次；按行的顺序取后者",
    ),
    (r"opens a quote that is never closed; .+", "引号未闭合；其后的文件都被当作该字段"),
    (
        r"happened twice, .+; took the later",
        "因时钟拨慢出现两次；取后者",
    ),
    (
        r"happened twice, .+; took the earlier",
        "因时钟拨慢出现两次；取前者",
    ),
    (r"happened twice, when clocks were put back", "因时钟拨慢出现两次"),
    (r"never was, clocks were put forward; .+", "因时钟拨快并不存在；顺延同样时长"),
    (r"never was, clocks were put forward", "因时钟拨快并不存在"),
    (
        r"is 29 February 1900 in Excel, .+",
        "是 Excel 中的 1900-02-29，并无此日",
    ),
    (r"is not in the map of this field", "不在该字段的对照中"),
    (r"is not in (.+)", "不在 {0} 中"),
    (r"does not match (.+)", "不符合 {0}"),
    (r"no rule of the mapping takes this row", "映射中没有规则处理该行"),
    (r"merges a deal with itself", "把商机与其自身合并"),
    (r"its deal is opened nowhere", "其商机从未开立"),
    (r"closes the deal before it was opened", "在开立之前结束商机"),
    (
        r"the deal was closed before it was opened; opened at its closing",
        "在开立之前结束商机；按结束时间开立",
    ),
    (r"had too few fields; the rest counts as empty", "字段过少；其余视为空"),
    (r"has (.+) fields where the header has (.+)", "有 {0} 个字段，而表头有 {1} 个"),
    (
        r"holds bytes that are not (.+) text; .+",
        "含有非 {0} 文本的字节；见 [file] 中的 encoding",
    ),
    (
        r"holds a field too large to be one, perhaps a quote never closed(.*)",
        "有过大的字段，引号可能未闭合{0}",
    ),
    (
        r"has more than ([\d,]+) characters(.*), perhaps a quote never closed",
        "超过 {0} 个字符{1}，引号可能未闭合",
    ),
    (r"is not written as CSV: (.+)", "不符合 CSV 写法：{0}"),
    (r"holds a NUL or another control character", "含有 NUL 或其他控制字符"),
    (r"holds a field of more than (.+) characters", "有超过 {0} 个字符的字段"),
    (r"lies (.+) when read as (.+?); .+", "按 {1} 读为 {0}；单位应不同，请写明 formats"),
    (r"is no day number of a spreadsheet.*", "不是电子表格的日期序号"),
    (
        r"is an amount without a currency; .+",
        "金额没有币种；请在映射顶部写 currency，或写金额的币种列",
    ),
    (
        r"is written with (.+), and its currency is ([^;]+).*",
        "写的是 {0}，而其币种为 {1}；请逐行给出币种",
    ),
    (
        r"is longer than the (.+) characters in which its regular expression is looked for",
        "超过 {0} 个字符，正则表达式不在更长的文本中查找",
    ),
    (r"cannot be taken \((.+)\); .+", "无法处理（{0}）；请更正该行，或用 [[leave_out]] 略去"),
    (
        r"looks like a line of totals: it has no time; .+",
        "像是合计行：没有时间；若确是商机，请写 totals = “keep”",
    ),
    (r"is no good as (.+?): (.+)", "不能作为 {0}：{1}"),
    (r"has no time, so (.+) cannot be put in order", "没有时间，{0} 无法排序"),
    (r"(.+) cannot be merged into itself", "{0} 不能并入自身"),
    (r"(.+) cannot be merged into (.+): there is no such .+", "{0} 不能并入 {1}：并不存在"),
    (
        r"(.+) cannot be merged into ([^,]+), which was begun only later.*",
        "{0} 不能并入之后才建立的 {1}",
    ),
    (r"(.+) cannot be merged into (.+)", "{0} 不能并入 {1}"),
    (r"no date in the row; recorded at the time of import", "行中没有日期；按导入时间记录"),
    (
        r"no opening date in the row; opened with its first fact",
        "行中没有开立日期；按其首个事实开立",
    ),
    (r"no row opens it; opened with its first fact", "没有行开立该商机；按其首个事实开立"),
    (r"opens the deal as an earlier row", "与前面一行重复开立该商机"),
    (r"is the same event as an earlier row", "与前面一行是同一事件"),
    (r"tells the same of the deal as an earlier row", "与前面一行关于该商机的内容相同"),
    (r"two rules tell (.+) of this row; .+", "两条规则对该行给出 {0}；请给其中一条另取名称"),
    (r"is no (.+?); there are (.+)", "不是 {0}；可用的有 {1}"),
    (
        r"shares its time with others of its deal in a file that stands newest first; .+",
        "与同一商机的其他行时间相同，文件按新到旧排列；自下而上处理（可用 order 指定）",
    ),
    (
        r"no row opens the deal, and it cannot be named: (.+)",
        "没有行开立该商机，也无法命名：{0}",
    ),
    (r"is midnight of (.+), and (.+) in ([^;]+).*", "是 {0} 零点，在 {2} 为 {1}"),
    (r"(.+) names no time zone; .+", "{0} 没有时区；请用 --timezone 或映射给出"),
    (r"digits finer than a microsecond were cut off", "已截去比微秒更细的位数"),
    (
        r"is negative, and `extract` leaves its sign behind; .+",
        "为负数，而 extract 未取符号；请一并取出符号",
    ),
    (
        r"holds line breaks or tabs; they were taken for spaces",
        "含有换行或制表符；已作空格处理",
    ),
    (r"must be (.+)", "应为 {0}"),
    (r"process (.+) version (.+) is not published", "销售流程 {0} 第 {1} 版尚未发布"),
)
ENDS: Final = {
    "; left out": "；已略去",
    "; taken as empty": "；视为空",
    "; the merge was left out": "；已略去合并",
}
"""What was done with it, behind the reason."""


def reason_in_chinese(reason: str) -> str:
    """Put a reason into Chinese; the column or kind of facts before it stays as it is."""
    for end, told in ENDS.items():
        if reason.endswith(end):
            return reason_in_chinese(reason.removesuffix(end)) + told
    for pattern, text in WHOLE:
        finding_group = re.fullmatch(pattern, reason)
        if finding_group is not None:
            return text.format(*finding_group.groups())
    head, colon, tail = reason.partition(": ")
    if colon:
        return f"{head}：{reason_in_chinese(tail)}"
    odd = irregularity_name(reason, "zh")
    return in_language(reason, "zh") if odd == reason else odd


# The groups of an import report for people: what happened, how often, and where first.

SHOWN_MAX = 20
Counted = tuple[str, int, int]
"""What happened, how often, and in which line first."""


class ReportGroup(NamedTuple):
    """What happened of one kind."""

    title: str
    rows: list[Counted]
    counted: str = "Rows"
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        title: str,
        entries: Iterable[Counted],
        what: str = "Rows",
        notes: tuple[str, ...] = (),
    ) -> "ReportGroup":
        """Count by reason, the most frequent first."""
        rows: dict[str, Counted] = {}
        for reason, count, line in entries:
            _, before, first = rows.get(reason, (reason, 0, line))
            rows[reason] = (reason, before + count, min(first, line))
        ordered = sorted(rows.values(), key=lambda row: -row[1])
        return cls(title, ordered, what, notes)

    def table(self, words: ReportWords) -> TableOfView:
        """Lay the group out; of very many reasons the most frequent."""
        columns = ("Reason", self.counted, "First line")
        hidden = len(self.rows) - SHOWN_MAX
        more = (f"{hidden:,} {words(MORE)}",) if hidden > 0 else ()
        return TableOfView(
            words(self.title),
            tuple(map(words, columns)),
            tuple(
                (shortened(_reason(r, words)), f"{n:,}", f"{line:,}")
                for r, n, line in self.rows[:SHOWN_MAX]
            ),
            notes=(*map(words, self.notes), *more),
        )


def _reason(reason: str, words: ReportWords) -> str:
    """Say a reason in the language of the words."""
    if words.language == "en":
        return reason
    said = words(reason)
    return reason_in_chinese(reason) if said == reason else said


def entry_text(entry: Remark | Inferred | Irregular | ReportedChange) -> str:
    """Say why an entry is listed, by which entries are counted."""
    match entry:
        case ReportedChange():
            return entry.said
        case Remark():
            return f"{entry.column}: {entry.reason}" if entry.column else entry.reason
        case _:
            return f"{entry.kind}: {entry.reason}"


def finding_group(finding: Finding, words: ReportWords) -> str:
    """Say what a column held that stands for nothing."""
    value = finding.value
    shown = f" {value if value.startswith('(') else repr(value)}" if value else ""
    return f"{finding.column}: {words(finding.finding)}{shown}"

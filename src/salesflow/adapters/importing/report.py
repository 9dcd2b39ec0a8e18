"""The import report: what became of every row and every fact, so that nothing is silent.

Every row read is counted once (`rows_*` add up to `rows_read`), every fact the file tells is
counted once (`facts_*` add up to `facts_told`). What was refused, adjusted, inferred, changed
at the source or left out by the mapping is listed with file, line and reason. `check()` says
whether the counts add up; `tables()` lays the report out for people.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, PrivateAttr

from salesflow.adapters.importing.problems import Adjustment, RowProblem
from salesflow.projections.questions import TableOfView

__all__ = ["Change", "Finding", "ImportReport", "Inferred", "LeftOut", "Remark"]

SHOWN_MAX = 20


class Entry(BaseModel):
    """A line of the report."""

    model_config = ConfigDict(extra="forbid")


class Remark(Entry):
    """A row that was refused or adjusted: where, why, and the value it is about."""

    file: str
    line: int
    reason: str
    object: str | None = None
    column: str | None = None
    value: str | None = None


class Inferred(Entry):
    """A fact nobody told: deduced, and marked so in the log."""

    file: str
    line: int
    object: str
    kind: str
    reason: str


class Change(Entry):
    """A fact recorded before that the source now tells differently, or no more (`now` None)."""

    file: str
    line: int | None
    object: str
    kind: str
    source_id: str
    was: str
    now: str | None
    applied: bool


class LeftOut(Entry):
    """Rows the mapping leaves out on purpose, by its reason."""

    reason: str
    rows: int
    first_line: int


class Finding(Entry):
    """What a column held that stands for nothing, or that a lookup file does not know."""

    column: str
    finding: Literal["empty", "stands for empty", "looks like empty", "not in lookup"]
    value: str
    rows: int
    first_line: int


class ImportReport(Entry):
    """What an import did, or (`recorded` False) would have done."""

    import_id: str
    """The correlation id of every event this import recorded."""
    source: str
    file: str
    mapping: str
    strict: bool = False
    applied_changes: bool = False
    recorded: bool = True
    """False when nothing was recorded: a strict import met a problem, or it was a trial run."""

    rows_read: int = 0
    rows_recorded: int = 0
    """Rows of which at least one fact is new."""
    rows_known: int = 0
    """Rows that tell nothing but what was recorded before."""
    rows_changed: int = 0
    """Rows that tell a recorded fact differently and nothing new."""
    rows_refused: int = 0
    rows_left_out: int = 0
    rows_adjusted: int = 0
    """Rows among all these whose content was adjusted."""
    blank_lines: int = 0

    objects: int = 0
    """Deals the rows tell of."""
    objects_new: int = 0
    customers_registered: int = 0
    process_published: str | None = None

    facts_told: int = 0
    facts_recorded: int = 0
    facts_known: int = 0
    facts_changed: int = 0
    """Facts told differently from what was recorded; see `changed`."""
    facts_inferred: int = 0
    """Facts among those recorded that nobody told."""
    facts_retracted: int = 0
    """Facts recorded before and retracted now (`--apply-changes`)."""

    refused: list[Remark] = []
    adjusted: list[Remark] = []
    inferred: list[Inferred] = []
    changed: list[Change] = []
    irregular: list[Remark] = []
    """Rows whose facts were recorded but have no ground, so that no figure counts them."""
    left_out: list[LeftOut] = []
    findings: list[Finding] = []
    unknown_columns: list[str] = []
    """Columns of the file the mapping says nothing about."""

    _adjusted: set[int] = PrivateAttr(default_factory=set)

    @property
    def problems(self) -> int:
        """How many things a strict import refuses the file for."""
        open_changes = sum(not change.applied for change in self.changed)
        return self.rows_refused + self.rows_adjusted + open_changes

    def check(self) -> bool:
        """Say whether every row and every fact is accounted for exactly once."""
        rows = (
            self.rows_recorded
            + self.rows_known
            + self.rows_changed
            + self.rows_refused
            + self.rows_left_out
        )
        facts = self.facts_recorded + self.facts_known + self.facts_changed
        return rows == self.rows_read and facts == self.facts_told

    def refuse(self, line: int, object: str | None, problem: RowProblem) -> None:
        """Enter a row that is refused."""
        self.rows_refused += 1
        self.refused.append(
            Remark(
                file=self.file,
                line=line,
                reason=problem.reason,
                object=object,
                column=problem.column,
                value=problem.value,
            )
        )

    def adjust(self, line: int, object: str, adjustments: Iterable[Adjustment]) -> None:
        """Enter what was adjusted in a row."""
        self._adjusted.add(line)
        self.rows_adjusted = len(self._adjusted)
        self.adjusted += [
            Remark(
                file=self.file,
                line=line,
                reason=adjustment.reason,
                object=object,
                column=adjustment.column,
                value=adjustment.value,
            )
            for adjustment in adjustments
        ]

    def leave_out(self, line: int, because: str) -> None:
        """Enter a row the mapping leaves out."""
        self.rows_left_out += 1
        for entry in self.left_out:
            if entry.reason == because:
                entry.rows += 1
                return
        self.left_out.append(LeftOut(reason=because, rows=1, first_line=line))

    def write(self, path: str | Path) -> None:
        """Write the whole report as JSON."""
        Path(path).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def tables(self, language: str = "en") -> list[TableOfView]:
        """Lay the report out for people: the counts, then what happened and how often."""
        words = ZH if language == "zh" else {}
        counts = TableOfView(
            words.get("Import", "Import"),
            (words.get("What", "What"), words.get("Count", "Count")),
            tuple((words.get(label, label), f"{count:,}") for label, count in self._counts()),
            notes=self._notes(words),
        )
        remarks = [group for group in self._groups() if group.rows]
        return [counts, *(group.table(words) for group in remarks)]

    def _counts(self) -> list[tuple[str, int]]:
        always = [
            ("Rows read", self.rows_read),
            ("Rows recorded", self.rows_recorded),
            ("Rows known before", self.rows_known),
            ("Rows refused", self.rows_refused),
            ("Facts recorded", self.facts_recorded),
        ]
        sometimes = [
            ("Rows changed at source", self.rows_changed),
            ("Rows left out by the mapping", self.rows_left_out),
            ("Rows adjusted", self.rows_adjusted),
            ("Facts known before", self.facts_known),
            ("Facts changed at source", self.facts_changed),
            ("Facts retracted", self.facts_retracted),
            ("Facts inferred", self.facts_inferred),
            ("Deals", self.objects),
            ("Deals new", self.objects_new),
            ("Customers registered", self.customers_registered),
        ]
        return always + [pair for pair in sometimes if pair[1]]

    def _notes(self, words: dict[str, str]) -> tuple[str, ...]:
        notes = [("import id", self.import_id)]
        if self.process_published:
            notes.append(("published process", self.process_published))
        if self.unknown_columns:
            columns = ", ".join(self.unknown_columns)
            notes.append(("columns the mapping leaves out:", columns))
        if not self.recorded:
            notes.append(("nothing was recorded", ""))
        return tuple(f"{words.get(label, label)} {text}".rstrip() for label, text in notes)

    def _groups(self) -> list["_Group"]:
        return [
            _Group.of("Refused", map(_shown, self.refused)),
            _Group.of("Adjusted", map(_shown, self.adjusted)),
            _Group.of("Inferred", ((f"{i.kind}: {i.reason}", i.line) for i in self.inferred)),
            _Group.of("Recorded, but irregular", ((r.reason, r.line) for r in self.irregular)),
            _Group.of("Changed at source", ((f"{c.kind}", c.line or 0) for c in self.changed)),
            _Group(
                "Left out by the mapping",
                [(out.reason, out.rows, out.first_line) for out in self.left_out],
            ),
            _Group(
                "Columns",
                [(_found(f), f.rows, f.first_line) for f in self.findings],
            ),
        ]


class _Group(NamedTuple):
    title: str
    rows: list[tuple[str, int, int]]

    @classmethod
    def of(cls, title: str, entries: Iterable[tuple[str, int]]) -> "_Group":
        counted: Counter[str] = Counter()
        first: dict[str, int] = {}
        for reason, line in entries:
            counted[reason] += 1
            first.setdefault(reason, line)
        return cls(title, [(r, count, first[r]) for r, count in counted.most_common()])

    def table(self, words: dict[str, str]) -> TableOfView:
        columns = ("Reason", "Rows", "First line")
        hidden = len(self.rows) - SHOWN_MAX
        return TableOfView(
            words.get(self.title, self.title),
            tuple(words.get(column, column) for column in columns),
            tuple((r, f"{n:,}", f"{line:,}") for r, n, line in self.rows[:SHOWN_MAX]),
            notes=(f"{hidden:,} {words.get(MORE, MORE)}",) if hidden > 0 else (),
        )


def _found(finding: Finding) -> str:
    shown = f" {finding.value!r}" if finding.value else ""
    return f"{finding.column}: {finding.finding}{shown}"


def _shown(remark: Remark) -> tuple[str, int]:
    return (
        f"{remark.column}: {remark.reason}" if remark.column else remark.reason,
        remark.line,
    )


MORE = "more reasons in the report file"
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
    "Facts known before": "已记录过的事件",
    "Facts changed at source": "来源已变更的事件",
    "Facts retracted": "已撤销的事件",
    "Facts inferred": "推断的事件",
    "Deals": "商机数",
    "Deals new": "新商机",
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
    "First line": "首行",
    "import id": "导入编号",
    "published process": "已发布销售流程",
    "columns the mapping leaves out:": "映射未用的列：",
    "nothing was recorded": "未记录任何内容",
    MORE: "条原因见报告文件",
}

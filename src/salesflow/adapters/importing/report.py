"""The import report: what became of every row and every fact, so that nothing is silent.

Every row read is counted once (`rows_*` add up to `rows_read`), every fact the file tells is
counted once (`facts_*` add up to `facts_told`). What was refused, adjusted, inferred, changed
at the source or left out by the mapping is listed with file, line and reason. `check()` says
whether the counts add up; `tables()` lays the report out for people.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, PrivateAttr

from salesflow.adapters.importing.problems import Adjustment, RowProblem
from salesflow.adapters.importing.report_entries import (
    Change,
    Entry,
    Finding,
    Inferred,
    Irregular,
    LeftOut,
    Remark,
)
from salesflow.adapters.importing.report_words import (
    ASK,
    ENTERS,
    IDLE,
    MORE,
    NOT_TOLD,
    OTHER_RULES,
    STAYS_OPEN,
    ZH,
)
from salesflow.domain.wording import shortened
from salesflow.projections.questions import TableOfView

__all__ = [
    "LISTED",
    "Change",
    "Finding",
    "ImportReport",
    "Inferred",
    "Irregular",
    "LeftOut",
    "Remark",
]

SHOWN_MAX = 20
SUMMED = (
    "rows_recorded",
    "rows_known",
    "rows_changed",
    "rows_refused",
    "rows_left_out",
    "rows_tied",
    "objects_new",
    "objects_undated",
    "customers_registered",
    "facts_told",
    "facts_recorded",
    "facts_known",
    "facts_changed",
    "facts_no_more_told",
    "facts_inferred",
    "facts_retracted",
    "facts_restored",
    "facts_not_told",
)
LISTED = ("refused", "adjusted", "inferred", "changed", "irregular")
COUNTED = ("other_rules", "not_told", "rules")


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
    rows_tied: int = 0
    """Rows among all these that share their time with another row of their deal."""
    rows_resumed: int = 0
    """Rows that an import of the same file had taken before it was interrupted; what became of
    them was kept, and they are counted where they belong, what was recorded as known."""
    blank_lines: int = 0

    objects: int = 0
    """Deals the rows tell of."""
    objects_new: int = 0
    objects_undated: int = 0
    """Deals among the new ones that are opened at the time of import, for want of any time."""
    objects_not_told: int = 0
    """Deals recorded of this source that a table of deals does not hold (any more)."""
    customers_registered: int = 0
    process_published: str | None = None

    facts_told: int = 0
    facts_recorded: int = 0
    facts_known: int = 0
    facts_changed: int = 0
    """Facts told differently from what was recorded, or told no more; see `changed`."""
    facts_no_more_told: int = 0
    """Facts among those changed that the file tells no more."""
    facts_inferred: int = 0
    """Facts among those recorded that nobody told."""
    facts_retracted: int = 0
    """Facts recorded before and retracted now."""
    facts_restored: int = 0
    """Facts an earlier import retracted that stand again, since they are told again."""
    facts_not_told: int = 0
    """Facts recorded before of the deals of the file that it tells no more, see `not_told`."""

    refused: list[Remark] = Field(default_factory=list)
    adjusted: list[Remark] = Field(default_factory=list)
    inferred: list[Inferred] = Field(default_factory=list)
    changed: list[Change] = Field(default_factory=list)
    irregular: list[Irregular] = Field(default_factory=list)
    """Facts that were recorded but have no ground, so that no figure counts them."""
    other_rules: dict[str, int] = Field(default_factory=dict)
    """Facts recorded of these deals by rules the mapping does not have: how many of each."""
    not_told: dict[str, int] = Field(default_factory=dict)
    """Facts recorded before, by rules the mapping has, that the file tells no more: how many of
    each kind. They stand: an export may be a part, or the source has deleted them."""
    rules: dict[str, int] = Field(default_factory=dict)
    """How many rows each rule of the mapping took."""
    enters: dict[str, str] = Field(default_factory=dict)
    """Which stage each closing fact of the mapping makes a deal enter."""
    stays_open: list[str] = Field(default_factory=list)
    """After-sales stages that rows may move a deal to; one that is open stays open there."""
    left_out: list[LeftOut] = Field(default_factory=list)
    findings: list[Finding] = Field(default_factory=list)
    unknown_columns: list[str] = Field(default_factory=list)
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
        told = self.facts_told + self.facts_no_more_told
        return rows == self.rows_read and facts == told

    def part(self) -> "ImportReport":
        """Give an empty report of a part of the file; see `add`."""
        return ImportReport(
            import_id=self.import_id, source=self.source, file=self.file, mapping=self.mapping
        )

    def add(self, part: "ImportReport") -> None:
        """Take in what became of a part of the file."""
        for name in SUMMED:
            setattr(self, name, getattr(self, name) + getattr(part, name))
        for name in LISTED:
            getattr(self, name).extend(getattr(part, name))
        for name in COUNTED:
            counts = getattr(self, name)
            for key, count in getattr(part, name).items():
                counts[key] = counts.get(key, 0) + count
        for out in part.left_out:
            self._leave_out(out)
        self._adjusted |= {remark.line for remark in part.adjusted}
        self.rows_adjusted = len(self._adjusted)

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
                value=adjustment.value and shortened(adjustment.value),
            )
            for adjustment in adjustments
        ]

    def change(self, change: Change) -> None:
        """Enter a fact that is told otherwise than it was recorded."""
        told = change.now is not None
        self.facts_changed += 1
        self.facts_told += told
        self.facts_no_more_told += not told
        self.changed.append(change.model_copy(update={"file": self.file}))

    def leave_out(self, line: int, because: str) -> None:
        """Enter a row the mapping leaves out."""
        self.rows_left_out += 1
        self._leave_out(LeftOut(reason=because, rows=1, first_line=line))

    def _leave_out(self, more: LeftOut) -> None:
        for entry in self.left_out:
            if entry.reason == more.reason:
                entry.rows += more.rows
                entry.first_line = min(entry.first_line, more.first_line)
                return
        self.left_out.append(more.model_copy())

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
        remarks = [group for group in self._groups(words) if group.rows]
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
            ("Rows that share their time with another", self.rows_tied),
            ("Rows taken before the interruption", self.rows_resumed),
            ("Facts known before", self.facts_known),
            ("Facts changed at source", self.facts_changed),
            ("Facts retracted", self.facts_retracted),
            ("Facts restored", self.facts_restored),
            ("Facts recorded before, told no more", self.facts_not_told),
            ("Facts inferred", self.facts_inferred),
            ("Deals", self.objects),
            ("Deals new", self.objects_new),
            ("Deals opened now, for want of a date", self.objects_undated),
            ("Deals recorded before, not in the file", self.objects_not_told),
            ("Customers registered", self.customers_registered),
        ]
        return always + [pair for pair in sometimes if pair[1]]

    def _notes(self, words: dict[str, str]) -> tuple[str, ...]:
        wrote = self.facts_recorded or self.facts_retracted or self.facts_restored
        idle = [rule for rule, rows in self.rules.items() if not rows and self.rows_read]
        entered = [f"{kind} → {words.get(to, to)}" for kind, to in self.enters.items()]
        notes = [
            ("recorded as", self.import_id if self.recorded and wrote else ""),
            ("published process", self.process_published or ""),
            ("columns the mapping leaves out:", ", ".join(self.unknown_columns)),
            (OTHER_RULES, _counted(self.other_rules)),
            (NOT_TOLD, _counted(self.not_told)),
            (IDLE, ", ".join(idle)),
            (ENTERS, ", ".join(entered) if self.facts_recorded else ""),
            (STAYS_OPEN, ", ".join(self.stays_open) if self.facts_recorded else ""),
        ]
        said = [f"{words.get(label, label)} {text}" for label, text in notes if text]
        nothing = "nothing was recorded"
        return (*said, *(() if self.recorded else (words.get(nothing, nothing),)))

    def _groups(self, words: dict[str, str]) -> list["_Group"]:
        return [
            _Group.of("Refused", map(_shown, self.refused)),
            _Group.of("Adjusted", map(_shown, self.adjusted)),
            _Group.of(
                "Inferred", ((f"{i.kind}: {i.reason}", i.line) for i in self.inferred), "Facts"
            ),
            _Group.of(
                "Recorded, but irregular",
                ((f"{i.kind}: {i.reason}", i.line) for i in self.irregular),
                "Facts",
            ),
            _Group.of(
                "Changed at source",
                ((c.said, c.line) for c in self.changed),
                "Facts",
                (ASK,) if any(not change.applied for change in self.changed) else (),
            ),
            _Group(
                "Left out by the mapping",
                [(out.reason, out.rows, out.first_line) for out in self.left_out],
            ),
            _Group(
                "Columns", [(_found(f, words), f.rows, f.first_line) for f in self.findings]
            ),
        ]


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in counts.items())


class _Group(NamedTuple):
    title: str
    rows: list[tuple[str, int, int]]
    counted: str = "Rows"
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        title: str,
        entries: Iterable[tuple[str, int]],
        what: str = "Rows",
        notes: tuple[str, ...] = (),
    ) -> "_Group":
        counts: Counter[str] = Counter()
        first: dict[str, int] = {}
        for reason, line in entries:
            counts[reason] += 1
            first.setdefault(reason, line)
        rows = [(r, count, first[r]) for r, count in counts.most_common()]
        return cls(title, rows, what, notes)

    def table(self, words: dict[str, str]) -> TableOfView:
        columns = ("Reason", self.counted, "First line")
        hidden = len(self.rows) - SHOWN_MAX
        more = (f"{hidden:,} {words.get(MORE, MORE)}",) if hidden > 0 else ()
        return TableOfView(
            words.get(self.title, self.title),
            tuple(words.get(column, column) for column in columns),
            tuple(
                (shortened(r), f"{n:,}", f"{line:,}") for r, n, line in self.rows[:SHOWN_MAX]
            ),
            notes=(*(words.get(note, note) for note in self.notes), *more),
        )


def _found(finding: Finding, words: dict[str, str]) -> str:
    value = finding.value
    shown = f" {value if value.startswith('(') else repr(value)}" if value else ""
    return f"{finding.column}: {words.get(finding.finding, finding.finding)}{shown}"


def _shown(remark: Remark) -> tuple[str, int]:
    return (
        f"{remark.column}: {remark.reason}" if remark.column else remark.reason,
        remark.line,
    )

"""The import report: what became of every row and every fact, so that nothing is silent.

Every row read is counted once (`rows_*` add up to `rows_read`), every fact in the file is
counted once (`facts_*` add up to `facts_told`). What was refused, adjusted, inferred, changed
at the source or left out by the mapping is listed with file, line and reason; behind the first
`LISTED_MAX` of a list it is counted by reason (`unlisted`). `check()` says whether the counts
add up; `tables()` lays the report out for people.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, get_args

from pydantic import Field, PrivateAttr

from salesflow.adapters.importers.errors import Adjustment, RowError
from salesflow.adapters.importers.report_entries import (
    ASK,
    CUT,
    ENTERS,
    IDLE,
    NOT_TOLD,
    OTHER_REASONS,
    OTHER_RULES,
    STAYS_OPEN,
    Counted,
    Finding,
    Inferred,
    Irregular,
    ListName,
    Remark,
    ReportedChange,
    ReportGroup,
    ReportLine,
    ReportWords,
    RowsLeftOut,
    SourceFile,
    Unlisted,
    entry_reason,
    finding_reason,
)
from salesflow.domain.wording import Message, shortened
from salesflow.presentation.format import NO_VALUE
from salesflow.presentation.messages import Language
from salesflow.presentation.table import TableOfView

__all__ = [
    "LISTED",
    "LISTED_MAX",
    "REASONS_MAX",
    "Finding",
    "ImportReport",
    "Inferred",
    "Irregular",
    "LineSet",
    "Remark",
    "ReportedChange",
    "Rest",
    "RowsLeftOut",
    "Unlisted",
]


# The bounds of an import report: millions of refused rows cost no more than some thousand.
#
# Of each list the first entries are kept; what comes behind is counted by its reason, and of
# very many reasons the first. So every count is exact and memory does not grow with a file.

LISTED_MAX: Final = 5_000
"""So many entries each list of a report holds."""
REASONS_MAX: Final = 1_000
"""So many reasons what is not listed is counted by, for each list."""


@dataclass
class Rest:
    """What a report does not list: how many of each reason."""

    _of: dict[str, dict[str, Unlisted]] = field(default_factory=dict)

    def count(self, more: Unlisted) -> None:
        """Count entries that are not listed."""
        reasons = self._of.setdefault(more.list, {})
        full = len(reasons) >= REASONS_MAX and more.reason not in reasons
        reason = Message(OTHER_REASONS) if full else more.reason
        known = reasons.get(reason)
        if known is None:
            reasons[reason] = more.model_copy(update={"reason": reason})
        else:
            known.count += more.count
            known.first_line = min(known.first_line, more.first_line)

    def all(self) -> list[Unlisted]:
        """Return what was counted, list by list."""
        return [each for reasons in self._of.values() for each in reasons.values()]


@dataclass
class LineSet:
    """A set of lines of a file, a bit for each."""

    count: int = 0
    _bits: bytearray = field(default_factory=bytearray)

    def add(self, lines: Iterable[int]) -> None:
        """Mark lines; one that is marked already counts once."""
        for line in lines:
            place, bit = line >> 3, 1 << (line & 7)
            if place >= len(self._bits):
                self._bits.extend(bytes(place + 1 - len(self._bits)))
            if not self._bits[place] & bit:
                self._bits[place] |= bit
                self.count += 1


COLUMNS_SHOWN = 3
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
    "facts_changed_only_listed",
    "facts_no_more_told",
    "facts_inferred",
    "facts_retracted",
    "facts_restored",
    "facts_not_told",
)
LISTED: tuple[ListName, ...] = get_args(ListName)
COUNTED = ("other_rules", "not_told", "rules")


class ImportReport(ReportLine):
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
    rows_of_settings: int = 0
    """Rows that say how others are to be read: stages, users, currencies."""
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
    facts_changed_only_listed: int = 0
    """Facts among those changed that stand as they were; `apply_changes` records them."""
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
    changed: list[ReportedChange] = Field(default_factory=list)
    irregular: list[Irregular] = Field(default_factory=list)
    """Facts that were recorded but are irregular, so that no figure counts them."""
    unlisted: list[Unlisted] = Field(default_factory=list)
    """What the lists above are too long for, by reason."""
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
    left_out: list[RowsLeftOut] = Field(default_factory=list)
    findings: list[Finding] = Field(default_factory=list)
    unknown_columns: list[str] = Field(default_factory=list)
    """Columns of the file the mapping says nothing about."""
    files: list[SourceFile] = Field(default_factory=list)
    """The files of an export that has several, also those that were not read."""
    assumed: list[Message] = Field(default_factory=list)
    """What the source leaves open and was taken to be so, in sentences."""

    _adjusted: LineSet = PrivateAttr(default_factory=LineSet)
    _rest: Rest = PrivateAttr(default_factory=Rest)
    _is_part: bool = PrivateAttr(default=False)
    _for_now: bool = PrivateAttr(default=False)

    @property
    def for_now(self) -> bool:
        """Whether a row is refused that another day, or another log, may take."""
        return self._for_now

    @property
    def problems(self) -> int:
        """How many things a strict import refuses the file for."""
        return self.rows_refused + self.rows_adjusted + self.facts_changed_only_listed

    def check(self) -> bool:
        """Return whether every row and every fact is accounted for exactly once."""
        rows = (
            self.rows_recorded
            + self.rows_known
            + self.rows_changed
            + self.rows_refused
            + self.rows_left_out
            + self.rows_of_settings
        )
        facts = self.facts_recorded + self.facts_known + self.facts_changed
        counted = self.facts_told + self.facts_no_more_told
        return rows == self.rows_read and facts == counted

    def part(self) -> "ImportReport":
        """Return an empty report of a part of the file, which lists everything; see `add`."""
        part = ImportReport(
            import_id=self.import_id, source=self.source, file=self.file, mapping=self.mapping
        )
        part._is_part = True
        return part

    def add(self, part: "ImportReport") -> None:
        """Add what became of a part of the file."""
        for name in SUMMED:
            setattr(self, name, getattr(self, name) + getattr(part, name))
        for name in LISTED:
            self._enter(name, getattr(part, name))
        for name in COUNTED:
            counts = getattr(self, name)
            for key, count in getattr(part, name).items():
                counts[key] = counts.get(key, 0) + count
        for out in part.left_out:
            self._leave_out(out)
        self._for_now = self._for_now or part.for_now
        self._adjust(remark.line for remark in part.adjusted)

    def finish(self, places: Callable[[int], tuple[str, int]] | None = None) -> None:
        """Put the lists in the order of the file, and count what they do not hold.

        `places` says of a number of a record in which file and line it stands, where records
        of several files are numbered through.
        """
        for name in LISTED:
            getattr(self, name).sort(key=lambda entry: entry.line)
        self.unlisted = sorted(self._rest.all(), key=lambda each: (each.list, -each.count))
        self._rest, self._adjusted = Rest(), LineSet()
        if places is not None:
            self._place(places)

    def _place(self, places: Callable[[int], tuple[str, int]]) -> None:
        for name in LISTED:
            for entry in getattr(self, name):
                entry.file, entry.line = places(entry.line)
        for rest in self.unlisted:
            rest.file, rest.first_line = places(rest.first_line)
        for out in self.left_out:
            out.file, out.first_line = places(out.first_line)

    def _enter(
        self, name: ListName, entries: Sequence[Remark | Inferred | Irregular | ReportedChange]
    ) -> None:
        """List entries while there is room, and count the others by reason."""
        listed = getattr(self, name)
        room = len(entries) if self._is_part else max(LISTED_MAX - len(listed), 0)
        listed.extend(entries[:room])
        for each in entries[room:]:
            self._rest.count(
                Unlisted(list=name, reason=entry_reason(each), count=1, first_line=each.line)
            )

    def _adjust(self, lines: Iterable[int]) -> None:
        self._adjusted.add(lines)
        self.rows_adjusted = self._adjusted.count

    def refuse(self, line: int, object: str | None, problem: RowError) -> None:
        """Add a row that is refused."""
        self._for_now = self._for_now or problem.for_now
        self.rows_refused += 1
        remark = Remark(
            file=self.file,
            line=line,
            reason=problem.reason,
            object=object,
            column=problem.column,
            value=problem.value,
        )
        self._enter("refused", [remark])

    def adjust(self, line: int, object: str, adjustments: Iterable[Adjustment]) -> None:
        """Add what was adjusted in a row."""
        self._adjust([line])
        remarks = [
            Remark(
                file=self.file,
                line=line,
                reason=Message(adjustment.reason),
                object=object,
                column=adjustment.column,
                value=adjustment.value and shortened(adjustment.value),
            )
            for adjustment in adjustments
        ]
        self._enter("adjusted", remarks)

    def change(self, change: ReportedChange) -> None:
        """Add a fact that is told otherwise than it was recorded."""
        is_told = change.now is not None
        self.facts_changed += 1
        self.facts_told += is_told
        self.facts_no_more_told += not is_told
        self.facts_changed_only_listed += not change.applied
        self._enter("changed", [change.model_copy(update={"file": self.file})])

    def leave_out(self, line: int, because: str) -> None:
        """Add a row the mapping leaves out."""
        self.rows_left_out += 1
        self._leave_out(RowsLeftOut(reason=because, rows=1, first_line=line))

    def _leave_out(self, more: RowsLeftOut) -> None:
        for entry in self.left_out:
            if entry.reason == more.reason:
                entry.rows += more.rows
                entry.first_line = min(entry.first_line, more.first_line)
                return
        self.left_out.append(more.model_copy())

    def write(self, path: str | Path) -> None:
        """Write the whole report as JSON."""
        Path(path).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def tables(self, language: Language = "en") -> list[TableOfView]:
        """Return tables for people: the counts, then what happened and how often."""
        words = ReportWords(language, recorded=self.recorded, several_files=len(self.files) > 1)
        counts = TableOfView(
            words("Import"),
            (words("What"), words("Count")),
            tuple((words(label), f"{count:,}") for label, count in self._counts()),
            notes=self._notes(words),
        )
        remarks = [group for group in self._groups() if group.rows]
        files = [self._files_table(words)] if self.files else []
        return [counts, *files, *(group.table(words) for group in remarks)]

    def _files_table(self, words: ReportWords) -> TableOfView:
        rows = tuple(
            (
                shortened(each.name),
                NO_VALUE if each.table is None else words(each.table),
                f"{each.rows:,}",
                _some(each.unknown_columns),
            )
            for each in self.files
        )
        columns = ("File", "Taken for", "Rows", "Columns not read")
        notes = tuple(words(each) for each in self.assumed)
        return TableOfView(words("Files"), tuple(map(words, columns)), rows, notes=notes)

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
            ("Rows left out", self.rows_left_out),
            ("Rows of settings", self.rows_of_settings),
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

    def _notes(self, words: ReportWords) -> tuple[str, ...]:
        wrote = self.facts_recorded or self.facts_retracted or self.facts_restored
        idle = [rule for rule, rows in self.rules.items() if not rows and self.rows_read]
        entered = [f"{kind} → {words(to)}" for kind, to in self.enters.items()]
        notes = [
            ("recorded as", self.import_id if self.recorded and wrote else ""),
            ("published process", self.process_published or ""),
            ("columns the mapping leaves out:", ", ".join(self.unknown_columns)),
            (OTHER_RULES, _counted(self.other_rules)),
            (NOT_TOLD, _counted(self.not_told)),
            (CUT, ", ".join(self._cut(words))),
            (IDLE, ", ".join(idle)),
            (ENTERS, ", ".join(entered) if self.facts_recorded else ""),
            (STAYS_OPEN, ", ".join(self.stays_open) if self.facts_recorded else ""),
        ]
        lines = [f"{words(label)} {text}" for label, text in notes if text]
        if not self.files:  # else they stand below these
            lines += [words(each) for each in self.assumed]
        nothing = "nothing was recorded"
        return (*lines, *(() if self.recorded else (words(nothing),)))

    def _cut(self, words: ReportWords) -> Iterator[str]:
        for name in LISTED:
            count = sum(each.count for each in self.unlisted if each.list == name)
            if count:
                yield f"{words(name)} ({count:,})"

    def _groups(self) -> list[ReportGroup]:
        ask = (ASK,) if self.facts_changed_only_listed else ()
        left_out: list[Counted] = [
            (out.reason, out.rows, (out.file or "", out.first_line)) for out in self.left_out
        ]
        columns: list[Counted] = [
            (finding_reason(each), each.rows, ("", each.first_line)) for each in self.findings
        ]
        return [
            ReportGroup.of("Refused", self._all("refused")),
            ReportGroup.of("Adjusted", self._all("adjusted")),
            ReportGroup.of("Inferred", self._all("inferred"), "Facts"),
            ReportGroup.of("Recorded, but irregular", self._all("irregular"), "Facts"),
            ReportGroup.of("Changed at source", self._all("changed"), "Facts", ask),
            ReportGroup("Left out", left_out),
            ReportGroup("Columns", columns),
        ]

    def _all(self, name: str) -> Iterator[Counted]:
        """Return what a list holds and what it has no room for."""
        for entry in getattr(self, name):
            yield entry_reason(entry), 1, (entry.file, entry.line)
        for rest in self.unlisted:
            if rest.list == name:
                yield rest.reason, rest.count, (rest.file or self.file, rest.first_line)


def _some(columns: Sequence[str]) -> str:
    """Return how many columns there are, and the first of them."""
    if not columns:
        return NO_VALUE
    more = ", …" if len(columns) > COLUMNS_SHOWN else ""
    return f"{len(columns)}: {', '.join(map(shortened, columns[:COLUMNS_SHOWN]))}{more}"


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in counts.items())

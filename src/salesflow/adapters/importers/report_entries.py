"""The lines of an import report, and their words: refused, adjusted, inferred, changed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from salesflow.adapters.importers.errors import about
from salesflow.domain.wording import Message, shortened
from salesflow.presentation.messages import Language, say, translated
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
    "SourceFile",
    "Unlisted",
    "entry_reason",
    "finding_reason",
    "findings_of",
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
    reason: Message
    object: str | None = None
    column: str | None = None
    value: str | None = None


class Inferred(ReportLine):
    """A fact that is in no source: deduced, and marked so in the log."""

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
    reason: Message


class ReportedChange(ReportLine):
    """What the source tells otherwise than it was recorded.

    `was` None: nothing was recorded; `now` None: it is missing now. `was_kind` and
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
    def reason(self) -> Message:
        """How it changed, in a few words."""
        if self.now is None:
            how = about(self.kind, Message("told no more"))
        elif self.was is None:
            text = "told again" if self.again else "told by a changed row"
            how = about(self.kind, Message(text))
        elif self.was_kind != self.kind:
            how = Message("{was} became {now}", was=self.was_kind, now=self.kind)
        elif self.was_source_id != self.source_id:
            how = about(self.kind, Message("recorded under another key before"))
        else:
            how = about(self.kind, Message("told differently"))
        return Message("{change}; recorded so", change=how) if self.applied else how


class SourceFile(ReportLine):
    """One file of an export: what it was taken for, and how many records it has."""

    name: str
    table: str | None
    """None of a file that is no table of the system; it was not read."""
    rows: int = 0
    unknown_columns: list[str] = []
    """Columns that are not read."""


class Unlisted(ReportLine):
    """Entries that a list is too long for: how many of one reason."""

    list: ListName
    reason: Message
    count: int
    first_line: int
    file: str | None = None
    """The file of that line, of an export of several."""


class RowsLeftOut(ReportLine):
    """Rows the mapping leaves out on purpose, by its reason."""

    reason: str
    rows: int
    first_line: int
    file: str | None = None
    """The file of that line, of an export of several."""


class Finding(ReportLine):
    """What a column held that stands for nothing, or that a lookup file does not know."""

    column: str
    finding: Literal[
        "empty", "stands for empty", "looks like empty", "not in lookup", "default of the log"
    ]
    value: str
    rows: int
    first_line: int


def findings_of(counts: Mapping[tuple[str, str, str], Sequence[int]]) -> list[Finding]:
    """List what columns held, in the order of the file; see `table.columns`.

    A join in which many rows have no partner is one line: it is meant so, or wrong as a whole.
    """
    alone: dict[str, list[Sequence[int]]] = defaultdict(list)
    for (column, finding, _), counted in counts.items():
        if finding == "not in lookup":
            alone[column].append(counted)
    listed = [
        Finding(column=column, finding=finding, value=value, rows=rows, first_line=line)  # type: ignore[arg-type]
        for (column, finding, value), (rows, line) in counts.items()
        if finding != "not in lookup" or len(alone[column]) <= VALUES_MAX
    ]
    listed += [
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
    return sorted(listed, key=lambda each: each.first_line)


# The words of the import report for people, and of one that recorded nothing.

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
"""The words used instead where nothing was recorded: of a trial, or a strict import in vain."""
REPORT: Final = "import report"
"""The context of words that mean something else in other tables."""


class ReportWords:
    """The words of a report in a language; of a trial, what would be done."""

    def __init__(
        self, language: Language, *, recorded: bool, several_files: bool = False
    ) -> None:
        self.language: Language = language
        self._recorded = recorded
        self._several_files = several_files

    def place(self, file: str, line: int) -> str:
        """Return where something stands: its line, and its file where there are several."""
        return f"{file}: {line:,}" if self._several_files else f"{line:,}"

    def __call__(self, text: str) -> str:
        """Return a word or label of the report, or a message."""
        english = text if self._recorded else WOULD.get(text, text)
        word = translated(english, self.language, REPORT)
        return say(english, self.language) if word == english else word


# The groups of an import report for people: what happened, how often, and where first.

SHOWN_MAX = 20
Counted = tuple[str, int, tuple[str, int]]
"""What happened, how often, and in which file and line first."""


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
        for reason, count, place in entries:
            _, before, first = rows.get(reason, (reason, 0, place))
            rows[reason] = (reason, before + count, min(first, place))
        ordered = sorted(rows.values(), key=lambda row: -row[1])
        return cls(title, ordered, what, notes)

    def table(self, words: ReportWords) -> TableOfView:
        """Return the group as a table; of very many reasons the most frequent."""
        columns = ("Reason", self.counted, "First line")
        hidden = len(self.rows) - SHOWN_MAX
        more = (f"{hidden:,} {words(MORE)}",) if hidden > 0 else ()
        return TableOfView(
            words(self.title),
            tuple(map(words, columns)),
            tuple(
                (shortened(words(r)), f"{n:,}", words.place(*first))
                for r, n, first in self.rows[:SHOWN_MAX]
            ),
            notes=(*map(words, self.notes), *more),
        )


def entry_reason(entry: Remark | Inferred | Irregular | ReportedChange) -> Message:
    """Return why an entry is listed, by which entries are counted."""
    match entry:
        case ReportedChange():
            return entry.reason
        case Remark():
            return about(entry.column, entry.reason) if entry.column else entry.reason
        case Irregular():
            return about(entry.kind, entry.reason)
        case Inferred():
            return about(entry.kind, Message(entry.reason))


def finding_reason(finding: Finding) -> Message:
    """Return what a column held that stands for nothing."""
    what, value = Message(finding.finding), finding.value
    if value:
        text = value if value.startswith("(") else repr(value)
        what = Message("{finding} {value}", finding=what, value=text)
    return about(finding.column, what)

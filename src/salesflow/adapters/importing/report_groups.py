"""The groups of an import report for people: what happened, how often, and where first."""

from collections.abc import Iterable
from typing import NamedTuple

from salesflow.adapters.importing.report_entries import (
    Change,
    Finding,
    Inferred,
    Irregular,
    Remark,
)
from salesflow.adapters.importing.report_reasons import reason_in_chinese
from salesflow.adapters.importing.report_words import MORE, is_chinese
from salesflow.domain.wording import shortened
from salesflow.projections.questions import TableOfView

__all__ = ["Counted", "Group", "found", "said"]

SHOWN_MAX = 20
Counted = tuple[str, int, int]
"""What happened, how often, and in which line first."""


class Group(NamedTuple):
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
    ) -> "Group":
        """Count by reason, the most frequent first."""
        rows: dict[str, Counted] = {}
        for reason, count, line in entries:
            _, before, first = rows.get(reason, (reason, 0, line))
            rows[reason] = (reason, before + count, min(first, line))
        ordered = sorted(rows.values(), key=lambda row: -row[1])
        return cls(title, ordered, what, notes)

    def table(self, words: dict[str, str]) -> TableOfView:
        """Lay the group out; of very many reasons the most frequent."""
        columns = ("Reason", self.counted, "First line")
        hidden = len(self.rows) - SHOWN_MAX
        more = (f"{hidden:,} {words.get(MORE, MORE)}",) if hidden > 0 else ()
        return TableOfView(
            words.get(self.title, self.title),
            tuple(words.get(column, column) for column in columns),
            tuple(
                (shortened(_reason(r, words)), f"{n:,}", f"{line:,}")
                for r, n, line in self.rows[:SHOWN_MAX]
            ),
            notes=(*(words.get(note, note) for note in self.notes), *more),
        )


def _reason(reason: str, words: dict[str, str]) -> str:
    """Say a reason in the language of the words."""
    if not is_chinese(words):
        return reason
    return words.get(reason) or reason_in_chinese(reason)


def said(entry: Remark | Inferred | Irregular | Change) -> str:
    """Say why an entry is listed, by which entries are counted."""
    match entry:
        case Change():
            return entry.said
        case Remark():
            return f"{entry.column}: {entry.reason}" if entry.column else entry.reason
        case _:
            return f"{entry.kind}: {entry.reason}"


def found(finding: Finding, words: dict[str, str]) -> str:
    """Say what a column held that stands for nothing."""
    value = finding.value
    shown = f" {value if value.startswith('(') else repr(value)}" if value else ""
    return f"{finding.column}: {words.get(finding.finding, finding.finding)}{shown}"

"""The lines of an import report: what was refused, adjusted, inferred, changed, left out."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = [
    "Finding",
    "Inferred",
    "Irregular",
    "ListName",
    "Remark",
    "ReportLine",
    "ReportedChange",
    "RowsLeftOut",
    "Unlisted",
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

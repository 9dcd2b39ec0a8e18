"""The mapping: what the columns of a table mean, said in TOML and read into these models.

A mapping names the source, the column of the deal's id, the time column, and rules: "when
these columns say so, this fact happened". Everything a person may write is a field here, and
nothing else is accepted. `mapping_file` reads one and explains what is wrong with it;
docs/import-reference.md describes every key with an example.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from salesflow.adapters.importing.mapping_parts import (
    BRACES,
    Columns,
    Constant,
    Encoding,
    Mark,
    Part,
    Pattern,
    Stripped,
    TimeFormat,
    ZoneName,
)
from salesflow.adapters.importing.mapping_rules import (
    At,
    Condition,
    Order,
    Spec,
    Time,
    ValueSpec,
    When,
)
from salesflow.adapters.importing.numbers import ALIKE

__all__ = [
    "BRACES",
    "At",
    "ColumnRule",
    "Condition",
    "Constant",
    "CustomerRule",
    "FactRule",
    "FileFormat",
    "LeaveOut",
    "Lookup",
    "Mapping",
    "NamedProcess",
    "Numbers",
    "Order",
    "Part",
    "Times",
    "ValueSpec",
]

FILE_NAME_MAX = 1_000
SKIP_MAX = 100_000


def _known_thousands(mark: object) -> object:
    if not isinstance(mark, str):
        return mark
    return next((alike[0] for alike in ALIKE if mark and mark in alike), mark)


class FileFormat(Part):
    """`[file]`: how the file is written down."""

    encoding: Encoding | None = None
    """Left out: UTF-8, or what the file's byte order mark says."""
    delimiter: Mark | None = None
    """Left out: the one of `,` `;` tab `|` under which the header holds the most columns."""
    quote: Mark = '"'
    skip_lines: Annotated[int, Field(ge=0, le=SKIP_MAX)] = 0
    """Lines above the header."""
    ragged: Literal["refuse", "pad"] = "refuse"
    """What to do with a row that has too few fields."""

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.delimiter == self.quote:
            raise ValueError("delimiter and quote cannot be the same character")
        return self


class Times(Part):
    """`[times]`: how times are written in the table."""

    formats: Annotated[tuple[TimeFormat, ...], Field(min_length=1)] = ("iso",)
    timezone: ZoneName | None = None
    """The zone of times that name none, where it is not the business time zone."""
    ambiguous: Literal["earlier", "later", "order", "refuse"] = "earlier"
    """Which of two times a local time means that happened twice."""
    nonexistent: Literal["shift", "refuse"] = "shift"
    disagreeing: Literal["refuse", "first"] = "refuse"
    """What to do with a value that two of the formats read as two times."""


class Numbers(Part):
    """`[numbers]`: how numbers are written in the table."""

    decimal: Literal[".", ","] = "."
    thousands: Annotated[Literal["", ",", ".", " ", "'"], BeforeValidator(_known_thousands)] = (
        ""
    )
    """A space stands for every space of Unicode, an apostrophe for every apostrophe."""
    strip: tuple[Stripped, ...] = ()
    """What may stand around a number and is taken off: "$", "EUR", "%"."""

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands cannot be the same character")
        return self


class ColumnRule(Part):
    """`[columns.NAME]`: what a column must hold, and what stands for nothing in it."""

    optional: bool = False
    """The file may lack this column; it then counts as empty."""
    filled: bool = False
    """A row without a value here is refused."""
    empty: tuple[str, ...] = ()
    """Values that stand for nothing here, besides those of the mapping's `empty`."""
    allowed: tuple[str, ...] = ()
    matches: Pattern | None = None
    type: Literal["text", "integer", "number", "time", "day"] = "text"
    formats: tuple[TimeFormat, ...] = ()
    on_error: Literal["refuse", "empty"] = "refuse"
    """Refuse a row with a bad value, or take the value as empty and report the row."""


class Lookup(Part):
    """`[lookups.NAME]`: another table, joined by a column; its columns are `NAME.column`."""

    file: Annotated[str, Field(min_length=1, max_length=FILE_NAME_MAX, pattern=r"^[^\x00]+$")]
    """In the folder of the mapping or of the imported file, or in a folder below."""
    on: Columns
    """The column of the imported table that is looked up."""
    key: str | None = None
    """The column of the other table that must equal it; the same name when left out."""
    map: dict[str, str] | str | None = None
    """Mends values before they are looked up."""
    ignore_case: bool = False
    missing: Literal["empty", "refuse"] = "empty"
    encoding: Encoding | None = None
    delimiter: Mark | None = None


class FactRule(Part):
    """`[[facts]]`: when the columns say so, this fact happened."""

    kind: str
    """Which fact, as in "deal.won"."""
    name: str | None = None
    """Tells its facts from those of another rule on the same row; see `source_id`."""
    when: When | None = None
    """Left out: every row."""
    at: Time | None = None
    """Left out: the mapping's `at`."""
    undated: Literal["refuse", "import"] = "refuse"
    """What to do with a row whose time is empty: refuse it, or take the time of import."""
    key: Columns | None = None
    """The column of the history row's id; left out: the mapping's `event_id`."""
    actor: Columns | None = None
    inferred: str | None = None
    """Why this fact is deduced and not told; it is marked so in the log."""
    fields: dict[str, Any] = Field(default_factory=dict)


class CustomerRule(Part):
    """`[customer]`: whom a deal is made with; each one is registered once."""

    id: Columns
    at: Time | None = None
    """When the customer was registered; left out: at the time of import."""
    fields: dict[str, Any] = Field(default_factory=dict)
    """Fields of customer.registered; `name` is the id when left out."""


class LeaveOut(Part):
    """`[[leave_out]]`: rows that are left out on purpose, and why."""

    when: When
    because: str


class NamedProcess(Part):
    """`[process]` that is published already, by key and version."""

    key: str
    version: Annotated[int, Field(ge=1)] = 1


class Mapping(Part):
    """A whole mapping."""

    source: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$")]
    """Name of the source system; part of the identity of everything imported."""
    rows: Literal["deals", "events"]
    """What a row is: a deal as it stands, or one event of a deal's history."""
    object: Spec
    """The column(s) of the deal's id."""
    at: Time | None = None
    event_id: Columns | None = None
    actor: Columns | None = None
    timezone: ZoneName | None = None
    """The business time zone: the zone of days and of times that name none."""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    empty: tuple[str, ...] = ()
    """Values that stand for nothing in any column, besides empty cells."""
    order: Literal["oldest_first", "newest_first"] | Order | None = None
    """How rows of one deal that share their time follow one another; left out, as in the file,
    and from the bottom up (and listed) where the file plainly stands newest first."""
    opening: Literal["infer", "refuse"] = "infer"
    """What to do with a deal whose rows open it nowhere."""
    closed_before_opened: Literal["open_earlier", "keep", "refuse"] = "open_earlier"
    """A deal told closed before it was opened: opened at its closing and listed, or as it
    stands, in which case the closing has no ground, or refused."""
    twins: Literal["refuse", "keep"] = "refuse"
    """A row without an id that tells the same, at the same time, as an earlier row."""
    totals: Literal["refuse", "keep"] = "refuse"
    """A row that looks like a line of totals: an id such as "Total", and no time."""
    file: FileFormat = FileFormat()
    times: Times = Times()
    numbers: Numbers = Numbers()
    columns: dict[str, ColumnRule] = Field(default_factory=dict)
    lookups: dict[str, Lookup] = Field(default_factory=dict)
    maps: dict[str, dict[str, Constant]] = Field(default_factory=dict)
    process: dict[str, Any] | None = None
    """A process version, or just `key` and `version` of one that is published."""
    customer: CustomerRule | None = None
    facts: Annotated[tuple[FactRule, ...], Field(min_length=1)]
    leave_out: tuple[LeaveOut, ...] = ()

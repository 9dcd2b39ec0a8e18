"""The mapping: what the columns of a table mean, said in TOML and read into these models.

A mapping names the source, the column of the deal's id, the time column, and rules: "when
these columns say so, this fact happened". Everything a person may write is a field here, and
nothing else is accepted. `mapping_file` reads one and explains what is wrong with it;
docs/import-reference.md describes every key with an example.
"""

import re
import unicodedata
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from salesflow.adapters.importers.csv import Encoding, FileFormat, Mark
from salesflow.adapters.importers.numbers import ALIKE, MINUS
from salesflow.adapters.importers.table.patterns import refusal
from salesflow.domain.time import zone
from salesflow.domain.values import GivenCurrency
from salesflow.domain.wording import quoted, shortened
from salesflow.errors import InputError

__all__ = [
    "BRACES",
    "ColumnRule",
    "Columns",
    "Condition",
    "Constant",
    "Constants",
    "CustomerRule",
    "Encoding",
    "Extract",
    "FactRule",
    "FileFormat",
    "LeaveOut",
    "Lookup",
    "MappingPart",
    "Mark",
    "NamedProcess",
    "Numbers",
    "OrderRule",
    "Pattern",
    "Scale",
    "Spec",
    "Stripped",
    "TableMapping",
    "Time",
    "TimeFormat",
    "TimeRule",
    "TimesRule",
    "ValueSpec",
    "When",
    "ZoneName",
]


# What the parts of a mapping are made of: constants, columns, patterns, and their checks.

BRACES = re.compile(r"\{([^{}]*)\}")
SOURCE_MAX = 64
FILE_NAME_MAX = 1_000

NAMED_FORMATS = ("iso", "excel", "excel_1904", "epoch_s", "epoch_ms", "epoch_us")
FORMAT_MAX = 200
SCALE_MAX = 12
Constant = bool | int | Decimal | datetime | date | str
"""What TOML can write as one value."""


class MappingPart(BaseModel):
    """A part of a mapping; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _known_zone(name: str) -> str:
    try:
        zone(name)
    except InputError as error:
        raise ValueError(str(error)) from error
    return name


def _known_source(name: str) -> str:
    name = unicodedata.normalize("NFC", name)
    kinds = [unicodedata.category(each)[0] for each in name if each not in "._-"]
    begins = name[:1].isalnum() and len(name) <= SOURCE_MAX
    if not (begins and {*"LMN"} >= {*kinds}):  # letters, marks upon them, numbers
        raise ValueError(
            f"{quoted(name)} cannot name a source; write up to 64 letters or digits of any"
            " script, '.', '_' and '-', and a letter or digit first"
        )
    return name


def _known_file(name: str) -> str:
    if "\0" in name:
        raise ValueError("no file has a name with a NUL in it")
    return name


def _known_format(pattern: str) -> str:
    if pattern in NAMED_FORMATS:
        return pattern
    if "%" not in pattern:
        raise ValueError(
            f"{quoted(pattern)} is no time format; write {', '.join(NAMED_FORMATS)} or a"
            " pattern such as %m/%d/%Y %H:%M"
        )
    if "%Z" in pattern:
        raise ValueError("%Z is not read; write %z for an offset, or UTC as it stands")
    if len(pattern) > FORMAT_MAX or "\0" in pattern:
        raise ValueError(f"{quoted(pattern)} is no time format: it is too long or holds a NUL")
    sample = datetime(2001, 2, 3, 16, 5, 6)  # noqa: DTZ001 - only to try the pattern
    try:
        back = datetime.strptime(sample.strftime(pattern), pattern)  # noqa: DTZ007
    except (ValueError, re.error, IndexError) as error:
        raise ValueError(f"{quoted(pattern)} is no time format: {error}") from error
    if back.date() != sample.date():
        raise ValueError(f"{quoted(pattern)} does not say the year, the month and the day")
    return pattern


def _known_pattern(pattern: str) -> str:
    return _refused(pattern, refusal(pattern))


def _known_extract(pattern: str) -> str:
    return _refused(pattern, refusal(pattern, extract=True))


def _refused(pattern: str, because: str | None) -> str:
    if because is not None:
        raise ValueError(
            f"{quoted(pattern)} is no regular expression that can be taken: it"
            f" {shortened(because)}"
            if because.startswith(("is ", "repeats", "holds"))
            else f"{quoted(pattern)} is no regular expression: {shortened(because)}"
        )
    return pattern


def _known_stripping(sign: str) -> str:
    if not sign or any(c.isdigit() or c in f"()+{MINUS}" for c in sign):
        raise ValueError(
            f"{quoted(sign)} cannot be stripped: digits, brackets, plus and minus belong to the"
            ' number and are read by themselves; name the sign alone, as in strip = ["$"]'
        )
    return sign


def _known_scale(scale: Decimal) -> Decimal:
    if not scale.is_finite() or not scale or abs(scale.adjusted()) > SCALE_MAX:
        raise ValueError(f"write a number between 1e-{SCALE_MAX} and 1e{SCALE_MAX}, not zero")
    return scale


SourceName = Annotated[str, AfterValidator(_known_source)]
FileName = Annotated[
    str, Field(min_length=1, max_length=FILE_NAME_MAX), AfterValidator(_known_file)
]
ZoneName = Annotated[str, AfterValidator(_known_zone)]
TimeFormat = Annotated[str, AfterValidator(_known_format)]
Pattern = Annotated[str, AfterValidator(_known_pattern)]
Extract = Annotated[str, AfterValidator(_known_extract)]
Stripped = Annotated[str, AfterValidator(_known_stripping)]
Scale = Annotated[Decimal, Field(allow_inf_nan=True), AfterValidator(_known_scale)]


def _listed(raw: object) -> object:
    return [raw] if isinstance(raw, str) else raw


def _all_listed(raw: object) -> object:
    return raw if isinstance(raw, list | tuple) else [raw]


Constants = Annotated[tuple[Constant, ...], BeforeValidator(_all_listed), Field(min_length=1)]
"""One value, or several of which one is meant."""

Columns = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
"""One column, or several of which the first that is not empty counts."""


# What a rule of a mapping says of a row: its conditions, its time, its values, its order.


def _as_column(raw: object) -> object:
    return {"column": raw} if isinstance(raw, str | list | tuple) else raw


def _as_all(raw: object) -> object:
    return {"all": raw} if isinstance(raw, list | tuple) else raw


def _as_spec(raw: object) -> object:
    if isinstance(raw, str):
        return {"column": raw}
    return {"columns": raw} if isinstance(raw, list | tuple) else raw


class Condition(MappingPart):
    """`when`: all that is said in one condition must hold."""

    column: Columns | None = None
    is_: Constant | None = Field(None, alias="is")
    is_not: Constant | None = None
    in_: tuple[Constant, ...] | None = Field(None, alias="in")
    not_in: tuple[Constant, ...] | None = None
    matches: Pattern | None = None
    empty: bool | None = None
    filled: bool | None = None
    ignore_case: bool = False
    all: tuple["Condition", ...] | None = None
    any: tuple["Condition", ...] | None = None
    not_: "Condition | None" = Field(None, alias="not")
    first: bool | None = None
    """The row is (or is not) the first of its deal in time."""
    last: bool | None = None
    """The row is (or is not) the last of its deal in time."""
    changed: str | None = None
    """A column that holds something else than in the row before of its deal in time."""
    was: Constants | None = None
    """What the column held in the row before of its deal in time: this, or one of these."""
    was_not: Constants | None = None
    is_column: str | None = None
    """Another column that holds the same."""
    is_not_column: str | None = None
    before: str | None = None
    """Another column, of a later time."""
    after: str | None = None
    less_than: str | Decimal | None = None
    """Another column, or a number, that is more."""
    more_than: str | Decimal | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        asked = any(getattr(self, name) is not None for name in OF_A_COLUMN)
        others = (self.all, self.any, self.not_, self.first, self.last, self.changed)
        if asked and self.column is None:
            raise ValueError("name the `column` this is about")
        if self.column is not None and not asked:
            raise ValueError(
                "say what the column must be: is, is_not, in, not_in, matches, empty, filled,"
                " was, was_not, is_column, is_not_column, before, after, less_than or more_than"
            )
        if not asked and all(other is None for other in others):
            raise ValueError('says nothing; write e.g. { column = "status", is = "Won" }')
        return self


OF_A_COLUMN = (
    "is_",
    "is_not",
    "in_",
    "not_in",
    "matches",
    "empty",
    "filled",
    "was",
    "was_not",
    "is_column",
    "is_not_column",
    "before",
    "after",
    "less_than",
    "more_than",
)
"""What a condition may say of its column."""

When = Annotated[Condition, BeforeValidator(_as_all)]
"""A condition, or several that must all hold."""


class TimeRule(MappingPart):
    """`at`: the column a fact's time stands in."""

    column: Columns | None = None
    template: str | None = None
    """Where day and time stand in columns of their own: "{date} {time}"."""
    earlier: Columns | None = None
    """The earliest of the times in these columns; empty ones do not count."""
    later: Columns | None = None
    """The latest of the times in these columns."""
    formats: tuple[TimeFormat, ...] = ()
    timezone: ZoneName | None = None
    days: bool = False
    """Take only the day, also where a time of day is written (00:00:00)."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origins = (self.column, self.template, self.earlier, self.later)
        if sum(origin is not None for origin in origins) != 1:
            raise ValueError("write exactly one of column, template, earlier and later")
        return self

    @property
    def named(self) -> tuple[str, ...]:
        """The columns it reads."""
        if self.template is not None:
            return tuple(name for name in BRACES.findall(self.template) if name)
        return self.column or self.earlier or self.later or ()


Time = Annotated[TimeRule, BeforeValidator(_as_column)]


class ValueSpec(MappingPart):
    """Where one field's value comes from, and how it is read."""

    column: str | None = None
    columns: tuple[str, ...] | None = None
    template: str | None = None
    """Text with columns in braces: "Loan for {purpose}"."""
    extract: Extract | None = None
    """A regular expression: its first group (or all of it) is taken out of the text."""
    value: Constant | None = None
    """A constant."""
    running: bool | str | None = None
    """The running number of the row among those its rule takes of the deal, in order of time:
    `true`, or text in which `{}` stands for it, "Q{}"."""
    map: dict[str, Constant] | str | None = None
    unmapped: Literal["keep", "empty", "refuse"] = "keep"
    default: Constant | None = None
    """What to take where the columns are empty."""
    split: str | None = None
    """For fields that hold several values: what stands between them in the column."""
    scale: Scale | None = None
    """A number is multiplied by this: "0.01" for percentages or cents."""
    formats: tuple[TimeFormat, ...] = ()
    timezone: ZoneName | None = None
    currency: Any = None
    """For amounts: where the currency stands, when it is not the mapping's."""
    on_error: Literal["refuse", "omit"] = "refuse"
    """Refuse a row with a bad value, or leave the field out and report the row."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origins = (self.column, self.columns, self.template, self.value, self.running)
        if sum(origin is not None for origin in origins) != 1:
            raise ValueError(
                "write exactly one of column, columns, template, value and running"
            )
        if self.running is False or (isinstance(self.running, str) and not self._numbered):
            raise ValueError('running is true, or a text with {} for the number: "Q{}"')
        return self

    @property
    def _numbered(self) -> bool:
        return "{}" in str(self.running)

    @property
    def named(self) -> tuple[str, ...]:
        """The columns it reads."""
        template = self.running if isinstance(self.running, str) else self.template
        if template is not None:
            return tuple(name for name in BRACES.findall(template) if name)
        return (self.column,) if self.column is not None else self.columns or ()


Spec = Annotated[ValueSpec, BeforeValidator(_as_spec)]
"""A value's origin; a bare text is a column, a list several."""


class OrderRule(MappingPart):
    """`order`: by which column rows of one deal and one time follow one another."""

    column: Columns
    descending: bool = False


def _known_thousands(mark: object) -> object:
    if not isinstance(mark, str):
        return mark
    return next((alike[0] for alike in ALIKE if mark and mark in alike), mark)


class TimesRule(MappingPart):
    """`[times]`: how times are written in the table."""

    formats: Annotated[tuple[TimeFormat, ...], Field(min_length=1)] = ("iso",)
    timezone: ZoneName | None = None
    """The zone of times that name none, where it is not the business time zone."""
    ambiguous: Literal["earlier", "later", "order", "refuse"] = "earlier"
    """Which of two times a local time means that happened twice."""
    nonexistent: Literal["shift", "refuse"] = "shift"
    disagreeing: Literal["refuse", "first"] = "refuse"
    """What to do with a value that two of the formats read as two times."""


class Numbers(MappingPart):
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


class ColumnRule(MappingPart):
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


class Lookup(MappingPart):
    """`[lookups.NAME]`: another table, joined by a column; its columns are `NAME.column`."""

    file: FileName
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


class FactRule(MappingPart):
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


class CustomerRule(MappingPart):
    """`[customer]`: whom a deal is made with; each one is registered once."""

    id: Columns
    at: Time | None = None
    """When the customer was registered; left out: at the time of import."""
    fields: dict[str, Any] = Field(default_factory=dict)
    """Fields of customer.registered; `name` is the id when left out."""


class LeaveOut(MappingPart):
    """`[[leave_out]]`: rows that are left out on purpose, and why."""

    when: When
    because: str


class NamedProcess(MappingPart):
    """`[process]` that is published already, by key and version."""

    key: str
    version: Annotated[int, Field(ge=1)] = 1


class TableMapping(MappingPart):
    """A whole mapping."""

    source: SourceName
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
    currency: GivenCurrency | None = None
    empty: tuple[str, ...] = ()
    """Values that stand for nothing in any column, besides empty cells."""
    order: Literal["oldest_first", "newest_first"] | OrderRule | None = None
    """How rows of one deal that share their time follow one another; left out, as in the file,
    and from the bottom up (and listed) where the file plainly stands newest first."""
    opening: Literal["infer", "refuse"] = "infer"
    """What to do with a deal whose rows open it nowhere."""
    closed_before_opened: Literal["open_earlier", "keep", "refuse"] = "open_earlier"
    """A deal told closed before it was opened: opened at its closing and listed, or as it
    stands, in which case the closing is irregular, or refused."""
    twins: Literal["refuse", "keep"] = "refuse"
    """A row without an id that tells the same, at the same time, as an earlier row."""
    totals: Literal["refuse", "keep"] = "refuse"
    """A row that looks like a line of totals: an id such as "Total", and no time."""
    file: FileFormat = FileFormat()
    times: TimesRule = TimesRule()
    numbers: Numbers = Numbers()
    columns: dict[str, ColumnRule] = Field(default_factory=dict)
    lookups: dict[str, Lookup] = Field(default_factory=dict)
    maps: dict[str, dict[str, Constant]] = Field(default_factory=dict)
    process: dict[str, Any] | None = None
    """A process version, or just `key` and `version` of one that is published."""
    customer: CustomerRule | None = None
    facts: Annotated[tuple[FactRule, ...], Field(min_length=1)]
    leave_out: tuple[LeaveOut, ...] = ()

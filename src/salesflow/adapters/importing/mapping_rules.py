"""What a rule of a mapping says of a row: its conditions, its time, its values, its order."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from salesflow.adapters.importing.mapping_parts import (
    BRACES,
    Columns,
    Constant,
    Constants,
    Extract,
    Part,
    Pattern,
    Scale,
    TimeFormat,
    ZoneName,
)

__all__ = ["At", "Condition", "Order", "Spec", "Time", "ValueSpec", "When"]


def _as_column(said: object) -> object:
    return {"column": said} if isinstance(said, str | list | tuple) else said


def _as_all(said: object) -> object:
    return {"all": said} if isinstance(said, list | tuple) else said


def _as_spec(said: object) -> object:
    if isinstance(said, str):
        return {"column": said}
    return {"columns": said} if isinstance(said, list | tuple) else said


class Condition(Part):
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


class At(Part):
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


Time = Annotated[At, BeforeValidator(_as_column)]


class ValueSpec(Part):
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


class Order(Part):
    """`order`: by which column rows of one deal and one time follow one another."""

    column: Columns
    descending: bool = False

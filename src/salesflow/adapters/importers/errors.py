"""What can be wrong: with one value of a row, or with the mapping itself.

A `RowError` is about one row and never leaves the importer: the row is refused and listed,
the others go on. A `MappingError` is about the mapping and stops the import before it starts;
it names the key and, once `mapping_file` has looked it up, the line.
"""

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from pydantic_core import ErrorDetails

from salesflow.domain.alike_names import closest
from salesflow.domain.wording import Message, quoted, reason_of, shortened
from salesflow.errors import InputError

__all__ = [
    "CURRENCY",
    "Adjustment",
    "KeyPath",
    "MappingError",
    "RowError",
    "about",
    "allowed",
    "in_words",
    "needed",
    "row_error",
]


REASONS = {
    "missing": "is empty, and the fact needs it",
    "literal_error": "is not one of {expected}",
    "greater_than": "is not more than {gt}",
    "greater_than_equal": "is less than {ge}",
    "less_than": "is not less than {lt}",
    "less_than_equal": "is more than {le}",
    "too_short": "needs at least {min_length}",
    "too_long": "has more than {max_length}",
    "string_too_short": "is shorter than {min_length} characters",
    "string_too_long": "is longer than {max_length} characters",
    "decimal_max_digits": "has more than {max_digits} digits",
    "decimal_max_places": "has more than {decimal_places} digits behind the point",
    "decimal_whole_digits": "has more than {whole_digits} digits before the point",
    "finite_number": "is not a number",
    "string_pattern_mismatch": "is not written as it has to be",
}
"""What pydantic finds wrong, in the words of whoever keeps the table."""
NAME_MAX = 100
NAMES_MAX = 30
CLOSE_MAX = 2_000
UNREADABLE = "cannot be taken ({why}); mend it where it comes from"
CURRENCY = "is no currency: three capital letters, such as EUR"

KeyPath = tuple[str | int, ...]
"""Where in a mapping: ("facts", 2, "fields", "amount")."""


class RowError(Exception):
    """A row cannot be taken: why, and the column and value it is about."""

    def __init__(
        self,
        message: str,
        column: str | None = None,
        value: str | None = None,
        *,
        for_now: bool = False,
        **arguments: object,
    ) -> None:
        """Return the reason as a message and what its `{name}`s stand for.

        `for_now` says that another day, or another log, may take the same row.
        """
        self.reason = Message(message, **arguments)
        super().__init__(self.reason)
        self.for_now = for_now
        self.column = column
        self.value = None if value is None else shortened(value)


ValueT = TypeVar("ValueT")


def needed(value: ValueT | None, column: str, of: str | None = None) -> ValueT:
    """Return a value without which there is no fact; `of` says what it is of.

    Raises:
        RowError: when there is none.
    """
    if value is None:
        raise RowError(REASONS["missing"], column, of)
    return value


class Adjustment(NamedTuple):
    """A value was read differently from how it is written: how, which column, which value."""

    reason: str
    column: str | None
    value: str | None


def row_error(error: Exception, message: str = UNREADABLE) -> RowError:
    """Return whatever went wrong in the work of one row as a refusal of this row.

    `message` says so in words of the source; what is wrong is its `{why}`.
    """
    if isinstance(error, RowError):
        return error
    text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
    return RowError(message, why=shortened(text))


class MappingError(InputError):
    """The mapping cannot be right: `path` names the key."""

    def __init__(self, message: str, path: KeyPath = ()) -> None:
        super().__init__(message)
        self.path = path


def allowed(given: str, known: Iterable[str], what: str) -> str:
    """Return what there is instead of what was asked for, the likeliest first."""
    names = [shortened(name, NAME_MAX) for name in known]
    close = closest(given, names[:CLOSE_MAX])
    close = close or [name for name in names[:CLOSE_MAX] if name.endswith(f":{given}")]
    meant = f", did you mean {close[0]!r}?" if close else "."
    more = f" … ({len(names):,} in all)" if len(names) > NAMES_MAX else ""
    there = f"{', '.join(names[:NAMES_MAX])}{more}"
    return f"there is no {what} {quoted(given)}{meant} There are: {there}"


def in_words(error: ErrorDetails) -> Message:
    """Return what is wrong with a value, in words of business."""
    if error["type"] == "string_pattern_mismatch" and "currency" in error["loc"][-1:]:
        return Message(CURRENCY)
    words = REASONS.get(error["type"])
    return reason_of(error) if words is None else Message(words, **error.get("ctx", {}))


def about(name: str, reason: str) -> Message:
    """Return a reason behind the name of what it is about: a column, a kind of facts."""
    return Message("{name}: {reason}", name=name, reason=reason)

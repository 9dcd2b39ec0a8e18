"""Regular expressions of mappings, of which none can run away.

Whether a cell matches is asked of a matcher that takes time in proportion to the text, whatever
the pattern (the one of Rust, which pydantic brings). It knows neither look-around nor
backreferences, and does not say which part of a text it found. For these there is Python's own
matcher, which tries again and again: it is asked only of patterns without a repetition inside a
repetition, and of texts so short that the tries are bounded.
"""

import re
import warnings
from collections.abc import Callable
from typing import Final

from pydantic_core import SchemaError, SchemaValidator, core_schema

from salesflow.adapters.importers.errors import RowError

__all__ = ["Extraction", "matcher", "refusal"]


PATTERN_MAX = 1_000
TRIES_MAX: Final = 200_000_000
TEXT_MAX: Final = 10_000
TOO_LARGE = "size limit"
ELSEWHERE = frozenset({r"\<", r"\>"})
"""A plain character in Python, and the edge of a word for the other matcher."""
MANY = re.compile(r"\*|\+|\{\d*,\d*\}")
REPEATED = re.compile(r"\?|\*|\+|\{\d*,\d*\}|\{\d+\}")
TIMES = re.compile(r"\{\d+\}")
CHOICES_MAX = 20
ITEM = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?<?[=!]|\(\?P?<\w+>|\(\?[a-zA-Z-]*:|\(\?[a-zA-Z-]+\)|\("
    r"|\)|\*|\+|\?|\{\d*,\d*\}|\{\d+\}|\||.",
    re.DOTALL,
)


def matcher(pattern: str, *, ignore_case: bool = False) -> Callable[[str], bool]:
    """Return a function that says whether a pattern is found in a text.

    Raises:
        ValueError: when it is no pattern, or one this matcher does not know.
    """
    flags = re.IGNORECASE if ignore_case else 0
    if _means_something_else(pattern):
        return _Bounded(pattern, flags).matches
    form = f"(?i:{pattern})" if ignore_case else pattern
    schema = core_schema.str_schema(pattern=form, regex_engine="rust-regex", strict=True)
    try:
        return SchemaValidator(schema).isinstance_python
    except SchemaError as error:
        if TOO_LARGE in str(error):
            raise ValueError("repeats too often") from error
        return _Bounded(pattern, flags).matches


def refusal(pattern: str, *, extract: bool = False) -> str | None:
    """Return why a pattern cannot be taken; None when it can."""
    if len(pattern) > PATTERN_MAX:
        return f"is longer than {PATTERN_MAX:,} characters"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(pattern)
        matcher(pattern)
        if extract:
            _counted(pattern)
    except (re.error, ValueError, RecursionError, OverflowError, Warning) as error:
        return str(error)
    return None


class _Bounded:
    """Python's own matcher, for patterns and texts whose tries are bounded."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._search = re.compile(pattern, flags).search
        repetitions, choices = _counted(pattern)
        tries = repetitions + (not pattern.startswith("^"))
        most = TRIES_MAX / 2**choices
        self._length_max = min(TEXT_MAX, int(most ** (1 / max(tries, 1))))

    def search(self, text: str) -> re.Match[str] | None:
        """Find the pattern in a text.

        Raises:
            RowError: when the text is too long for a pattern of so many repetitions.
        """
        if len(text) > self._length_max:
            raise RowError(
                "is longer than the {length:,} characters in which its regular expression is"
                " looked for",
                length=self._length_max,
            )
        return self._search(text)

    def matches(self, text: str) -> bool:
        """Return whether the pattern is found in a text."""
        return self.search(text) is not None


class Extraction:
    """A pattern by which a part is taken out of a text."""

    def __init__(self, pattern: str) -> None:
        self._matches = matcher(pattern)
        self._bounded = _Bounded(pattern)

    def search(self, text: str) -> re.Match[str] | None:
        """Find the pattern in a text; what stands there is taken from the match.

        Raises:
            RowError: when the text is too long for a pattern of so many repetitions.
        """
        return self._bounded.search(text) if self._matches(text) else None


def _counted(pattern: str) -> tuple[int, int]:
    """Count the repetitions and the choices of a pattern.

    Raises:
        ValueError: when one is repeated, or there are too many.
    """
    repetitions = choices = 0
    varying: list[bool] = [False]
    closed, before = False, ""
    for match in ITEM.finditer(pattern):
        item = match[0]
        many = MANY.fullmatch(item) is not None
        if (many or TIMES.fullmatch(item)) and closed:
            raise ValueError("repeats what holds a repetition or a choice itself")
        closed = False
        if item == ")" and len(varying) > 1:
            closed = varying.pop()
            varying[-1] = varying[-1] or closed
        elif item.startswith("(") and not item.endswith(")"):
            varying.append(False)
        elif many and not MANY.fullmatch(before):
            repetitions += 1
            varying[-1] = True
        elif item == "|" or (item == "?" and not MANY.fullmatch(before)):
            choices += 1
            varying[-1] = True
        before = item
    if choices > CHOICES_MAX:
        raise ValueError(f"holds more than {CHOICES_MAX} choices")
    return repetitions, choices


def _means_something_else(pattern: str) -> bool:
    """Return whether both matchers know the pattern, and not as the same."""
    before = ""
    for match in ITEM.finditer(pattern):
        item = match[0]
        possessive = item == "+" and REPEATED.fullmatch(before)
        nested = item.startswith("[") and "[" in re.sub(r"\\.", "", item[1:])
        if possessive or nested or item in ELSEWHERE:
            return True
        before = item
    return False

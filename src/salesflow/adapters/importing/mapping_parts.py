"""What the parts of a mapping are made of: constants, columns, patterns, and their checks."""

import codecs
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from salesflow.adapters.importing.numbers import MINUS
from salesflow.adapters.importing.patterns import refusal
from salesflow.domain.moments import zone
from salesflow.domain.wording import quoted, shortened
from salesflow.errors import InputError

__all__ = [
    "BRACES",
    "Columns",
    "Constant",
    "Constants",
    "Encoding",
    "Extract",
    "Mark",
    "Part",
    "Pattern",
    "Scale",
    "Stripped",
    "TimeFormat",
    "ZoneName",
]

BRACES = re.compile(r"\{([^{}]*)\}")

NAMED_FORMATS = ("iso", "excel", "excel_1904", "epoch_s", "epoch_ms", "epoch_us")
FORMAT_MAX = 200
SCALE_MAX = 12
NO_TEXT = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf-7"}
)
"""Encodings of Python in which nobody writes a table."""

Constant = bool | int | Decimal | datetime | date | str
"""What TOML can write as one value."""


class Part(BaseModel):
    """A part of a mapping; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _known_zone(name: str) -> str:
    try:
        zone(name)
    except InputError as error:
        raise ValueError(str(error)) from error
    return name


def _known_encoding(name: str) -> str:
    try:
        "".encode(name)
        if codecs.lookup(name).name in NO_TEXT:
            raise LookupError(name)
    except (LookupError, ValueError) as error:
        raise ValueError(
            f"{quoted(name)} is not an encoding; write utf-8, utf-16, gb18030, cp1252 …"
        ) from error
    return name


def _known_mark(mark: str) -> str:
    if mark in "\r\n\0\ufeff" or "\ud800" <= mark <= "\udfff":
        raise ValueError(f"{mark!r} cannot stand between or around fields")
    return mark


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


Mark = Annotated[str, Field(min_length=1, max_length=1), AfterValidator(_known_mark)]
ZoneName = Annotated[str, AfterValidator(_known_zone)]
Encoding = Annotated[str, AfterValidator(_known_encoding)]
TimeFormat = Annotated[str, AfterValidator(_known_format)]
Pattern = Annotated[str, AfterValidator(_known_pattern)]
Extract = Annotated[str, AfterValidator(_known_extract)]
Stripped = Annotated[str, AfterValidator(_known_stripping)]
Scale = Annotated[Decimal, Field(allow_inf_nan=True), AfterValidator(_known_scale)]


def _listed(said: object) -> object:
    return [said] if isinstance(said, str) else said


def _all_listed(said: object) -> object:
    return said if isinstance(said, list | tuple) else [said]


Constants = Annotated[tuple[Constant, ...], BeforeValidator(_all_listed), Field(min_length=1)]
"""One value, or several of which one is meant."""

Columns = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
"""One column, or several of which the first that is not empty counts."""

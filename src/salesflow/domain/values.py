"""Values: the small immutable things facts are made of.

Money never is a float and never loses its currency; text says from the first day whether it
is about a person (`Personal`) or not (`SafeText`), so that encryption can come later without
touching a single fact.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Context, Decimal
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, NoReturn, Self
from uuid import UUID, uuid5

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    ValidationError,
)
from pydantic_core import PydanticCustomError, core_schema

from salesflow.domain.currency_codes import RECORDED, KnownCode
from salesflow.domain.wording import (
    AT_LEAST,
    DAY,
    TIME,
    Message,
    quoted,
    reason_of,
    refuse_so_much,
    shortened,
    unchangeable,
)
from salesflow.errors import InputError

__all__ = [
    "EXACT",
    "EXACT_DIGITS",
    "MOST",
    "NO_CHARACTERS",
    "Count",
    "Currency",
    "Day",
    "Exact",
    "Flag",
    "Given",
    "GivenCurrency",
    "GivenTime",
    "Heard",
    "Key",
    "Money",
    "Name",
    "Number",
    "Personal",
    "Reason",
    "Reference",
    "SafeName",
    "SafeReason",
    "SafeText",
    "Share",
    "TextMark",
    "Value",
    "envelope_text",
    "id_of_key",
    "is_blank",
    "is_plain_reference",
    "number",
    "shown",
    "tidy",
    "trimmed",
]


EXACT_DIGITS: Final = 60
EXACT: Final = Context(prec=EXACT_DIGITS)
"""Where sums are worked out, so that no digit is ever rounded away."""

PLAIN_DIGITS = re.compile(r"[+-]?(?=.{1,21}$)[0-9]*\.?[0-9]*(?<=[0-9])")
SHOWN_MAX = 150
LENGTH_READ_MAX = 4
"""Normalising shortens a text to a quarter at most, so longer ones need not be looked at."""
LINE_LENGTH_MAX = 500
TEXT_LENGTH_MAX = 10_000
KEY_LENGTH_MAX = 100
KEYS_MAX = 1_000
"""So many keys are known to be well written; the same few are named over and over."""
BIDI_CONTROLS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
CONTROLS_AND_SURROGATES = "\x00-\x1f\x7f-\x9f\ud800-\udfff"
NO_CHARACTERS = "\ufdd0-\ufdef" + "".join(
    chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF)
)
"""Code points that Unicode promises never to make characters of."""
NEVER = f"{CONTROLS_AND_SURROGATES}{BIDI_CONTROLS}{NO_CHARACTERS}"
NOT_IN_A_LINE = re.compile(f"[{NEVER}\u2028\u2029]").search
NOT_IN_TEXT = re.compile(f"(?![\n\r\t])[{NEVER}]").search
UNSEEN = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that show nothing, beside spaces and marks of format."""
NOT_SEEN = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})
LONG = 10**30


class Value(BaseModel):
    """A frozen value: compared by content, closed to unknown fields.

    Made with a field that can never be right, it raises InputError (which names the fields
    but never repeats what was in them).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    _instead: ClassVar[str] = "make another one, with `model_copy(update={…})`"
    """What to do where somebody wants another value in a field."""

    def __init__(self, /, **fields: object) -> None:
        try:
            self.__pydantic_validator__.validate_python(fields, self_instance=self)
        except ValidationError as error:
            raise InputError(self._complaint(error)) from error

    # Reading stored JSON goes straight to the validator, past this __init__: half the time.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def model_copy(
        self, *, update: Mapping[str, object] | None = None, deep: bool = False
    ) -> Self:
        """Copy it with other fields, checked as when it is made.

        What was worked out from the old ones is worked out anew.

        Raises:
            InputError: for a field that can never be right, or that it does not have.
        """
        copied = super().model_copy(deep=deep)
        named = type(self).model_fields.keys()
        fields = {name: value for name, value in vars(copied).items() if name in named}
        return type(self)._checked(fields | dict(update or {}))

    @classmethod
    def model_construct(  # type: ignore[override]
        cls, _fields_set: set[str] | None = None, **values: object
    ) -> Self:
        """Make it, checked: what nobody has checked could be written and never be read."""
        del _fields_set
        return cls._checked(values)

    @classmethod
    def model_validate(cls, obj: Any, **named: Any) -> Self:  # noqa: ANN401 - as pydantic
        """Read it from plain values.

        Raises:
            InputError: when they can never be its fields.
        """
        try:
            return super().model_validate(obj, **named)
        except ValidationError as error:
            raise InputError(cls._complaint(error)) from error

    @classmethod
    def model_validate_json(
        cls,
        json_data: str | bytes | bytearray,
        **named: Any,  # noqa: ANN401 - as pydantic
    ) -> Self:
        """Read it from JSON.

        Raises:
            InputError: when that can never be its fields.
        """
        try:
            return super().model_validate_json(json_data, **named)
        except ValidationError as error:
            raise InputError(cls._complaint(error)) from error

    if not TYPE_CHECKING:  # a type checker has to see which fields there are

        def __setattr__(self, name: str, value: object) -> NoReturn:
            """Refuse to change.

            Raises:
                InputError: always.
            """
            fields = type(self).model_fields
            raise unchangeable(self, name, "assigned", fields, self._instead)

        def __delattr__(self, name: str) -> NoReturn:
            """Refuse to change.

            Raises:
                InputError: always.
            """
            fields = type(self).model_fields
            raise unchangeable(self, name, "deleted", fields, self._instead)

    @classmethod
    def _complaint(cls, error: ValidationError) -> str:
        return f"{cls.__name__}: {_wrong(error)}"

    @classmethod
    def _checked(cls, fields: dict[str, object]) -> Self:
        try:
            made: Self = cls.__pydantic_validator__.validate_python(fields)
        except ValidationError as error:
            raise InputError(cls._complaint(error)) from error
        return made


def tidy(amount: Decimal) -> Decimal:
    """Return an amount without needless zeros: 12.5 for 12.500000, 100 for 100.000000."""
    whole = amount.to_integral_value()
    return whole if whole == amount else amount.normalize(EXACT)


def _wrong(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'value'}: {reason_of(e)}"
        for e in error.errors(include_url=False)
    )


@dataclass(frozen=True)
class TextMark:
    """Says whether a text field is about a person; every text field carries one."""

    personal: bool


def _checked_line(text: str) -> str:
    if len(text) <= LINE_LENGTH_MAX and text.isascii() and text.isprintable():
        return text
    return _checked_characters(text, LINE_LENGTH_MAX, NOT_IN_A_LINE)


def _checked_text(text: str) -> str:
    if len(text) <= TEXT_LENGTH_MAX and text.isascii() and text.isprintable():
        return text
    return _checked_characters(text, TEXT_LENGTH_MAX, NOT_IN_TEXT)


def _checked_characters(
    text: str, length_max: int, not_allowed: Callable[[str], re.Match[str] | None]
) -> str:
    if len(text) > LENGTH_READ_MAX * length_max:
        raise ValueError(Message("longer than {length} characters", length=length_max))
    text = unicodedata.normalize("NFC", text)  # which may lengthen it, so it comes first
    if len(text) > length_max:
        raise ValueError(Message("longer than {length} characters", length=length_max))
    found = None if text.isprintable() else not_allowed(text)
    if found is not None:
        raise ValueError(
            Message(
                "the character {character} is not allowed in text", character=repr(found[0])
            )
        )
    return text


is_plain_reference: Final = re.compile(
    rf"[!-~](?:[ -~]{{,{LINE_LENGTH_MAX - 2}}}[!-~])?"
).fullmatch
"""Whether a text is a reference in letters of ASCII, as nearly all are."""


def _checked_reference(text: str) -> str:
    if is_plain_reference(text):
        return text  # nearly all
    checked = trimmed(_checked_line(text))
    if not checked:
        raise ValueError(Message("must not be blank"))
    return checked


def trimmed(text: str) -> str:
    """Return an id or key without what shows nothing at its ends."""
    first, end = 0, len(text)
    while first < end and is_blank(text[first]):
        first += 1
    while first < end and is_blank(text[end - 1]):
        end -= 1
    return text[first:end]


@lru_cache(maxsize=KEYS_MAX)
def _checked_key(text: str) -> str:
    checked = _checked_reference(text)
    if len(checked) > KEY_LENGTH_MAX:
        raise ValueError(Message("longer than {length} characters", length=KEY_LENGTH_MAX))
    return checked


def id_of_key(namespace: UUID, *keys: str) -> UUID:
    """Return the stream id of what has a key, or several; it is the same everywhere.

    Raises:
        InputError: for a key that is no text.
    """
    given: tuple[object, ...] = keys
    for key in given:
        if not isinstance(key, str):
            raise InputError(f"{shown(key)} is no key; write a text")
    names = (trimmed(unicodedata.normalize("NFC", key)) for key in keys)
    return uuid5(namespace, "\n".join(names))


def is_blank(text: str) -> bool:
    """Return whether a text shows nothing: empty, spaces, marks of format, fillers."""
    first = text[:1]
    if "!" <= first <= "~" or (first.isalnum() and first not in UNSEEN):
        return False
    return all(each in UNSEEN or unicodedata.category(each) in NOT_SEEN for each in text)


def envelope_text(given: object, what: str) -> str | None:
    """Return a text of an event's envelope as it is kept: by the rules of a `Reference`.

    A UUID is taken for its text; None is none. `what` names it: "actor", "command_id" …

    Raises:
        InputError: when it is of another type, blank, too long, or holds what no text may.
    """
    if given is None:
        return None
    if isinstance(given, UUID):
        return str(given)
    if not isinstance(given, str):
        raise InputError(f"{what} is {shown(given)}; pass a text or a UUID")
    try:
        return _checked_reference(str.__str__(given))
    except ValueError as error:
        raise InputError(f"{what} {shown(given)}: {error}") from error


def shown(value: object) -> str:
    """Show a value in a message, in at most 150 characters that no terminal acts on."""
    if isinstance(value, str):
        begun = value[:SHOWN_MAX]
        return shortened(ascii(begun) if NOT_IN_A_LINE(begun) else repr(begun), SHOWN_MAX)
    if isinstance(value, type):
        return shortened(f"the class {value.__name__}", SHOWN_MAX)
    plain = type(value) in (bool, float, Decimal, UUID, datetime, date, type(None))
    if plain or (type(value) is int and abs(value) < LONG):
        return shortened(f"{value!r}", SHOWN_MAX)
    return shortened(f"a value of type {type(value).__name__}", SHOWN_MAX)


SafeText = Annotated[str, Strict(), AfterValidator(_checked_line), TextMark(personal=False)]
"""One line of text that is not about a person: at most 500 characters, no controls, NFC."""

Reference = Annotated[
    str, Strict(), AfterValidator(_checked_reference), TextMark(personal=False)
]
"""An opaque id or key (a rep, a stage, a source's object): one line, never blank."""

Heard = Annotated[str, Strict(), TextMark(personal=False)]
"""A text as a log holds it, whoever put it there; escaped where it is shown."""

Key = Annotated[str, Strict(), AfterValidator(_checked_key), TextMark(personal=False)]
"""The key of a process, stage, reason or task: a `Reference` of at most 100 characters.

Read tables are keyed by several of them at once, and a key of PostgreSQL holds 2,704 bytes.
"""

Personal = Annotated[str, Strict(), AfterValidator(_checked_text), TextMark(personal=True)]
"""Text about a person, and all free text: at most 10,000 characters, lines allowed."""

Currency = Annotated[str, Strict(), Field(pattern=r"^[A-Z]{3}$"), TextMark(personal=False)]
"""An ISO 4217 code such as CNY, as it was recorded."""

GivenCurrency = Annotated[Currency, KnownCode()]
"""An ISO 4217 code as somebody gives it; one by which another is meant is refused."""

Count = Annotated[int, Strict(), Field(ge=0, lt=2**53)]
"""A whole number of things."""


@dataclass(frozen=True)
class Exact:
    """Says how exact a number is, and reads it: whole digits, places behind the point, bounds.

    Takes a Decimal, a whole number or plain digits; never a float. One Python function reads
    it instead of four, since most of what is stored of a deal is money.
    """

    whole: int
    places: int
    least: Decimal | None = None
    most: Decimal | None = None

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return pydantic one function to call, and plain digits to write."""
        del source, handler
        written = core_schema.to_string_ser_schema(when_used="json")
        return core_schema.json_or_python_schema(
            core_schema.no_info_plain_validator_function(self.read_json),
            core_schema.no_info_plain_validator_function(self.read),
            serialization=written,
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, str]:
        """Describe it as what is written: a string of digits."""
        del schema, handler
        return {"type": "string", "format": "decimal"}

    def read_json(self, amount: object) -> Decimal:
        """Read it from JSON, where a number of any kind may have passed through a float."""
        if type(amount) is not str:
            raise ValueError(Message("in JSON it is a string of digits, never a number"))
        return self.read(amount)

    def read(self, amount: object) -> Decimal:
        """Return the number, or say why it is none that can be kept."""
        if type(amount) is str and self._fits(amount):
            exact = Decimal(amount)
        else:
            exact = self._plain(amount)
        if self.least is not None and exact < self.least:
            raise ValueError(Message(AT_LEAST, ge=f"{self.least:,}"))
        if self.most is not None and exact > self.most:
            refuse_so_much(exact, self.most)
        return exact

    def _plain(self, amount: object) -> Decimal:
        """Write 1E+5 as 100000 and .5 as 0.5; refuse what has no room in plain digits."""
        if not isinstance(amount, str | Decimal | int) or isinstance(amount, bool):
            raise ValueError(Message("write a Decimal or a string of digits, never a float"))  # noqa: TRY004 - pydantic wants ValueError
        if isinstance(amount, str) and not PLAIN_DIGITS.fullmatch(amount):
            raise ValueError(Message("write the amount in plain digits, at most 19"))
        exact = Decimal(amount)
        if self._fits(str(exact)):
            return exact
        if not exact:
            return Decimal(0)
        if exact.is_finite() and -self.places <= exact.adjusted() < self.whole:
            text = f"{exact:f}"
            text = text.rstrip("0").rstrip(".") if "." in text else text
            if self._fits(text):
                return Decimal(text)
        if exact.is_finite() and self.most is not None and abs(exact) > self.most:
            refuse_so_much(exact, self.most)
        raise ValueError(
            Message(
                "must be finite, of at most {digits} digits and {places} behind the point",
                digits=self.whole,
                places=self.places,
            )
        )

    @cached_property
    def _fits(self) -> Callable[[str], object]:
        digits = rf"[+-]?[0-9]{{1,{self.whole}}}(?:\.[0-9]{{1,{self.places}}})?"
        return re.compile(digits).fullmatch


MOST = Decimal(2**63 - 1).scaleb(-6)
"""The greatest number that 64 bits hold in millionths: 9,223,372,036,854.775807."""

Number = Annotated[Decimal, Exact(whole=13, places=6, least=-MOST, most=MOST)]
"""An exact number: at most 6 digits behind the point, and in all what 64 bits hold."""

Share = Annotated[Decimal, Exact(whole=1, places=6, least=Decimal(0), most=Decimal(1))]
"""A part of one (a probability, a credit split), exact: Decimal("0.25") is a quarter."""


def number(text: Decimal | str | int) -> Decimal:
    """Read an exact number.

    Raises:
        InputError: when it is none.
    """
    if isinstance(text, float | bool):
        raise InputError(f"{text!r} is no exact number; write a Decimal or digits as text")
    if isinstance(text, str) and not PLAIN_DIGITS.fullmatch(text):
        raise InputError(f"{quoted(text)} is not a number in plain digits, at most 19")
    return Decimal(text)


class Money(Value):
    """An exact amount in one currency; at most 19 digits, 6 of them behind the point.

    `Money("98000", "CNY")`. Adding or comparing unlike currencies is refused.
    """

    amount: Number
    currency: GivenCurrency

    def __init__(self, amount: Decimal | str | int, currency: str) -> None:
        super().__init__(amount=amount, currency=currency)

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]
    __init__.__defaults__ = (None, None)  # so that what is left out is refused as a field is

    @classmethod
    def recorded(cls, amount: Decimal, currency: str) -> Self:
        """Return an amount in a currency that stands in the log, whatever its code.

        Raises:
            InputError: where the amount has no room.
        """
        given = {"amount": amount, "currency": currency}
        try:
            made: Self = cls.__pydantic_validator__.validate_python(given, context=RECORDED)
        except ValidationError as error:
            raise InputError(cls._complaint(error)) from error
        return made

    def __add__(self, other: "Money") -> "Money":
        self._same_currency(other)
        return Money.recorded(self.amount + other.amount, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same_currency(other)
        return Money.recorded(self.amount - other.amount, self.currency)

    def __neg__(self) -> "Money":
        return Money.recorded(-self.amount, self.currency)

    def __str__(self) -> str:
        return f"{self.amount:,} {self.currency}"

    def _same_currency(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise InputError(f"{self} and {other} are unlike currencies and cannot be added")


# What callers may say for a day, a time, a flag, a name or a reason; nothing that looks alike.
#
# A number is no day (it would be read as seconds since 1970), a time is no day (of which
# zone?), and names and reasons say something. These look at what is given in Python alone: what
# is stored is read back as it is, so that no rule of today makes yesterday's log unreadable.

WRITTEN = re.compile(r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}").match


@dataclass(frozen=True)
class Given:
    """Looks at what is given in Python before it is read, and at nothing that was stored."""

    check: Callable[[object], object]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return pydantic what to call, in Python alone."""
        schema = handler(source)
        looked = core_schema.no_info_before_validator_function(self.check, schema)
        return core_schema.json_or_python_schema(json_schema=schema, python_schema=looked)


def _day(given: object) -> object:
    is_day = isinstance(given, date) and not isinstance(given, datetime)
    if is_day or (isinstance(given, str) and WRITTEN(given)):
        return given
    raise PydanticCustomError("date_type", DAY)


def _time(given: object) -> object:
    if isinstance(given, datetime) or (isinstance(given, str) and WRITTEN(given)):
        return given
    raise PydanticCustomError("datetime_type", TIME)


def _ensure_not_blank(given: object) -> object:
    if isinstance(given, str) and is_blank(given):
        raise ValueError(Message("must not be blank; say it, or leave it out"))
    return given


Day = Annotated[date, Given(_day)]
"""A day of the calendar; no time and no number is taken for one."""

GivenTime = Annotated[datetime, Given(_time)]
"""A time; no number is taken for one."""

Flag = Annotated[bool, Strict()]
"""Yes or no; neither a number nor a text is taken for it."""

Reason = Annotated[Personal, Given(_ensure_not_blank)]
"""Why something was done, in free words: never blank."""

SafeReason = Annotated[SafeText, Given(_ensure_not_blank)]
"""Why something was done, in a word or line that is not about a person: never blank."""

Name = Annotated[Personal, Given(_ensure_not_blank)]
"""What somebody is called: never blank."""

SafeName = Annotated[SafeText, Given(_ensure_not_blank)]
"""What a thing is called: one line, never blank."""

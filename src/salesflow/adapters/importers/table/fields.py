"""Compiles the fields of a fact: from what a mapping says to pydantic-checked facts of rows.

What a field needs is read off the fact's own class: an amount becomes exact money, a stage is
looked up in the process, a day is read in the formats of the table, lists and parts within
parts are built up. So a mapping can yield every fact there is, and one added tomorrow too.
"""

import re
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from salesflow.adapters.importers.errors import (
    Adjustment,
    KeyPath,
    MappingError,
    RowError,
    about,
    allowed,
    in_words,
)
from salesflow.adapters.importers.table.columns import Cells, Context
from salesflow.adapters.importers.table.mapping import Constant, ValueSpec
from salesflow.adapters.importers.table.values import (
    LOSS_REASON,
    Convert,
    Notes,
    TakenValue,
    converter,
    on_one_line,
    take,
    text_of,
)
from salesflow.adapters.importers.times import OUT_OF_RANGE
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.deal.quotes import expiry_of
from salesflow.domain.event import Fact
from salesflow.domain.values import Money, TextMark
from salesflow.domain.wording import Message, reason_of
from salesflow.errors import InputError

__all__ = [
    "FactBuilder",
    "Getter",
    "contradiction",
    "fields_of",
    "is_one_line",
    "kind_of_field",
    "role_of",
    "whole_type",
]


# What the fields of facts hold, read off their types.


def whole_type(field: FieldInfo) -> Any:  # noqa: ANN401 - a form of typing, not a class
    """Return the type of a field with all its constraints."""
    whole: Any = field.annotation
    for mark in field.metadata:
        whole = Annotated[whole, mark]
    return whole


def is_one_line(annotation: object) -> bool:
    """Return whether a text may have one line only."""
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        personal = [mark.personal for mark in marks if isinstance(mark, TextMark)]
        return not personal[0] if personal else is_one_line(inner)
    return any(is_one_line(inner) for inner in get_args(annotation))


def kind_of_field(annotation: object) -> tuple[str, Any]:
    """Return what a field holds: many, money, part, time, day, number, integer, bool, id, text.

    The second value is what it holds many of, the class of a part, or the choices there are.
    """
    inner = _bare(annotation)
    origin = get_origin(inner)
    if origin in (tuple, list, set, frozenset):
        return "many", get_args(inner)[0]
    if origin is Literal:
        return "text", get_args(inner)
    if isinstance(inner, type):
        if issubclass(inner, Money):
            return "money", inner
        if issubclass(inner, BaseModel):
            return "part", inner
        for cls, kind in _KINDS:
            if issubclass(inner, cls):
                return kind, None
    return "text", None


_KINDS: tuple[tuple[type, str], ...] = (
    (datetime, "time"),
    (date, "day"),
    (bool, "bool"),
    (int, "integer"),
    (Decimal, "number"),
    (UUID, "id"),
)


def _bare(annotation: object) -> object:
    """Strip Annotated and None off a type."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            rest = [arg for arg in get_args(annotation) if arg is not types.NoneType]
            if len(rest) != 1:
                return annotation
            annotation = rest[0]
        else:
            return annotation


# Which currencies a sign or a code beside an amount can stand for.
#
# A dollar sign is the sign of twenty currencies and a yen sign that of two; any of them will
# do. A sign that none of the amount's currency is contradicts it: the amount is in another
# currency, or the currency is wrong, and which of the two nobody can guess.

DOLLARS: Final = (
    "USD AUD BBD BMD BND BSD BZD CAD FJD GYD HKD JMD KYD LRD NAD NZD SBD SGD SRD TTD TWD XCD"
    " ARS CLP COP CUP DOP MXN UYU MOP BRL CVE TOP"
)
SIGNS: Final[dict[str, frozenset[str]]] = {
    sign: frozenset(codes.split())
    for sign, codes in {
        "$": DOLLARS,
        "US$": "USD",
        "CA$": "CAD",
        "C$": "CAD NIO",
        "A$": "AUD",
        "AU$": "AUD",
        "NZ$": "NZD",
        "HK$": "HKD",
        "NT$": "TWD",
        "S$": "SGD",
        "SG$": "SGD",
        "MX$": "MXN",
        "R$": "BRL",
        "€": "EUR",
        "£": "GBP EGP FKP GIP LBP SDG SHP SSP SYP",
        "¥": "JPY CNY",
        "CN¥": "CNY",
        "JP¥": "JPY",
        "元": "CNY TWD HKD",
        "圆": "CNY",
        "円": "JPY",
        "원": "KRW",
        "₩": "KRW KPW",
        "₹": "INR",
        "₨": "INR PKR LKR NPR MUR SCR",
        "฿": "THB",
        "₫": "VND",
        "₽": "RUB",
        "₺": "TRY",
        "₴": "UAH",
        "₪": "ILS",
        "₦": "NGN",
        "₱": "PHP CUP",
        "₡": "CRC",
        "₲": "PYG",
        "₸": "KZT",
        "₼": "AZN",
        "₾": "GEL",
        "₵": "GHS",
        "₭": "LAK",
        "₮": "MNT",
        "৳": "BDT",
        "៛": "KHR",
        "﷼": "IRR SAR OMR QAR YER",
        "zł": "PLN",
        "Kč": "CZK",
        "Ft": "HUF",
        "kr": "SEK NOK DKK ISK",
        "RM": "MYR",
        "Rp": "IDR",
        "Fr.": "CHF",
        "₿": "XBT BTC",
    }.items()
}
WIDE: Final = str.maketrans({"＄": "$", "￥": "¥", "￡": "£", "￦": "₩"})
WORDS = (
    "AED AUD BGN BHD BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK"
    " JOD JPY KES KRW KWD KZT LKR MAD MXN MYR NGN NOK NZD OMR PEN PHP PKR PLN QAR RON RSD"
    " RUB SAR SEK SGD THB TRY TWD UAH USD UYU VND XAF XOF ZAR"
)
CODES: Final = frozenset(WORDS.split())
"""Codes that are known from words next to a number."""
LETTERS = sorted((s for s in SIGNS if s[0].isalpha() and s.isascii()), key=len, reverse=True)
SIGN = re.compile(
    rf"(?<![A-Za-z])(?:{'|'.join(map(re.escape, LETTERS))})(?![A-Za-z])"
    rf"|zł|Kč|[{''.join(s for s in SIGNS if len(s) == 1)}]"
)
CODE = re.compile(r"(?<![A-Za-z])[A-Z]{3}(?![A-Za-z])")


def contradiction(text: str, currency: str) -> str | None:
    """Return the sign or code in an amount's text that is none of its currency's."""
    if text.isascii() and not text.translate(str.maketrans("", "", "0123456789.,- '()+")):
        return None
    plain = text.translate(WIDE)
    for match in SIGN.finditer(plain):
        if currency not in SIGNS[match[0]]:
            return match[0]
    for match in CODE.finditer(plain):
        if match[0] in CODES and match[0] != currency:
            return match[0]
    return None


VALUE_MAX = 200
NO_CURRENCY = (
    'is an amount without a currency; write currency = "EUR" at the top of the mapping, or'
    ' { column = "…", default = "EUR" } for the currency of this amount'
)
OTHER_CURRENCY = (
    "is written with {sign}, and its currency is {currency}; say it by row:"
    ' currency = "column of the currency"'
)
HIDDEN = frozenset({"inferred"})
"""Fields of every fact that a mapping does not fill."""


class Getter(NamedTuple):
    """How one field is read from a row."""

    read: Callable[[Cells, Notes], object]
    fixed: bool
    """Whether it is the same for every row."""
    columns: tuple[str, ...] = ()
    omit: bool = False
    """Whether a bad value is left out instead of refusing the row."""
    text: Callable[[Cells], str] | None = None
    """What the file says there, in its own words."""
    parts: Mapping[str | int, "Getter"] = MappingProxyType({})
    """How the parts of the field are read, where it has any."""

    def part(self, place: Sequence[str | int]) -> "Getter":
        """Return the getter of a part within parts."""
        inner = self.parts.get(place[0]) if place else None
        return self if inner is None else inner.part(place[1:])


class FactBuilder:
    """Builds the facts of one rule from the cells of rows."""

    def __init__(
        self, cls: type[Fact], raw: Mapping[str, Any], context: Context, path: KeyPath
    ) -> None:
        """Compile what a rule says of a fact's fields.

        Raises:
            MappingError: for an unknown field, a missing one, an unknown column or a
                constant that can never be right.
        """
        self.cls = cls
        self._context = context
        known = fields_of(cls)
        for name in raw:
            if name not in known:
                raise MappingError(allowed(name, known, f"field of {cls.kind}"), (*path, name))
        self.getters = {
            name: self._getter(name, known[name], raw[name], (*path, name)) for name in raw
        }
        self._needed = [name for name, field in known.items() if field.is_required()]

    def default(self, name: str, getter: Getter) -> None:
        """Fill a field the mapping says nothing of."""
        if name in fields_of(self.cls):
            self.getters.setdefault(name, getter)

    def ensure_complete(self, path: KeyPath) -> None:
        """Raise MappingError unless every field the fact needs is given."""
        missing = [name for name in self._needed if name not in self.getters]
        if missing:
            raise MappingError(
                f"{self.cls.kind} needs {' and '.join(missing)}: write e.g."
                f' {missing[0]} = "name of a column"',
                path,
            )

    def build(self, cells: Cells, notes: Notes, extra: Mapping[str, object]) -> Fact:
        """Build the fact a row tells.

        Raises:
            RowError: when a value cannot be right.
        """
        data: dict[str, object] = dict(extra)
        for name, getter in self.getters.items():
            value = getter.read(cells, notes)
            if value is not None:
                data[name] = value
        self._finish(data, cells)
        return self._validated(data, cells, notes)

    def _validated(self, data: dict[str, object], cells: Cells, notes: Notes) -> Fact:
        try:
            fact: Fact = self.cls.__pydantic_validator__.validate_python(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            getter = self.getters.get(name)
            column, value = _column_and_value(
                getter and getter.part(first["loc"][1:]), first, cells
            )
            where = ".".join(str(part) for part in first["loc"])
            reason = about(self.cls.kind, about(where, in_words(first)))
            if getter is not None and getter.omit and name in data:
                notes.append(Adjustment(_left_out(reason), column, value))
                data = {k: v for k, v in data.items() if k != name}
                return self._validated(data, cells, notes)
            raise RowError(reason, column, value) from error
        return fact

    def _finish(self, data: dict[str, object], cells: Cells) -> None:
        """Fill in when a quote runs out, as issuing one by hand does."""
        until = data.get("valid_until")
        zone = self._context.day_zone
        if isinstance(until, date) and "expires_at" not in data and zone is not None:
            try:
                data["expires_at"] = expiry_of(until, zone)
            except InputError as error:
                getter = self.getters["valid_until"]
                text = getter.text(cells) if getter.text else str(until)
                columns = " or ".join(getter.columns) or None
                reason = about(self.cls.kind, about("valid_until", Message(OUT_OF_RANGE)))
                raise RowError(reason, columns, text) from error

    def _getter(self, name: str, field: FieldInfo, raw: object, path: KeyPath) -> Getter:
        getter = _compile(whole_type(field), raw, self._context, path, role_of(self.cls, name))
        if getter.fixed:
            self._check_constant(field, getter, path)
        return getter

    def _check_constant(self, field: FieldInfo, getter: Getter, path: KeyPath) -> None:
        value = getter.read((), [])
        try:
            TypeAdapter(whole_type(field)).validate_python(value)
        except ValidationError as error:
            reason = in_words(error.errors(include_url=False)[0])
            raise MappingError(f"{value!r} is not possible here: {reason}", path) from error


def _column_and_value(
    getter: Getter | None, error: ErrorDetails, cells: Cells
) -> tuple[str | None, str | None]:
    """Return the column an error is about, and what the file says there."""
    columns = getter.columns if getter else ()
    if getter is not None and getter.text is not None:
        return " or ".join(columns) or None, getter.text(cells)[:VALUE_MAX]
    value = None if error["type"] == "missing" else str(error["input"])[:VALUE_MAX]
    return " or ".join(columns) or None, value


def _left_out(reason: Message) -> Message:
    return Message("{reason}; left out", reason=reason)


def fields_of(cls: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a fact (or a part of one) that a mapping may fill."""
    return {name: f for name, f in cls.model_fields.items() if name not in HIDDEN}


def role_of(cls: type[BaseModel], name: str) -> str:
    """Return what the text of a field means; mostly the field's own name."""
    return LOSS_REASON if cls is DealLost and name == "because" else name


def _compile(
    annotation: object, raw: object, context: Context, path: KeyPath, role: str
) -> Getter:
    kind, detail = kind_of_field(annotation)
    if kind == "many":
        return _many(detail, raw, context, path, role)
    if kind == "money":
        return _money(raw, context, path)
    if kind == "part":
        return _part(detail, raw, context, path)
    spec = value_spec(raw, path)
    signed = kind in {"number", "integer"}
    convert = converter(kind, role, spec, context, path)
    if kind == "text" and is_one_line(annotation):
        convert = on_one_line(convert, " or ".join(spec.named))
    return _single(spec, convert, context, path, signed=signed)


def value_spec(raw: object, path: KeyPath) -> ValueSpec:
    """Read a value's origin: a column by its name, several, a table of keys, or a constant."""
    if isinstance(raw, str):
        return ValueSpec(column=raw)
    if isinstance(raw, list | tuple) and raw and all(isinstance(name, str) for name in raw):
        return ValueSpec(columns=tuple(raw))
    if isinstance(raw, Constant):
        return _spec_of({"value": raw}, path)
    if not isinstance(raw, dict):
        raise MappingError(
            'write the name of a column, several names, or a table such as { value = "…" }',
            path,
        )
    return _spec_of(raw, path)


def _spec_of(raw: dict[str, Any], path: KeyPath) -> ValueSpec:
    for key in raw:
        if key not in ValueSpec.model_fields:
            raise MappingError(allowed(str(key), ValueSpec.model_fields, "key"), (*path, key))
    try:
        return ValueSpec.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise MappingError(reason_of(first), (*path, *first["loc"])) from error


def _single(
    spec: ValueSpec, convert: Convert, context: Context, path: KeyPath, *, signed: bool = False
) -> Getter:
    taken: TakenValue = take(spec, context, path, signed=signed)
    text = text_of(spec, context, path)
    omit = spec.on_error == "omit"

    def read(cells: Cells, notes: Notes) -> object:
        try:
            value = taken.read(cells)
            return convert(value, notes) if isinstance(value, str) else value
        except RowError as problem:
            column = " or ".join(taken.columns) or None
            cell = text(cells) or problem.value
            if omit:
                notes.append(Adjustment(_left_out(problem.reason), column, cell))
                return None
            raise RowError(problem.reason, column, cell) from problem

    if spec.value is not None:
        try:
            constant = read((), [])
        except RowError as problem:
            raise MappingError(f"{spec.value!r} {problem.reason}", path) from problem
        return Getter(lambda _cells, _notes: constant, True)
    return Getter(read, False, taken.columns, omit, text)


def _money(raw: object, context: Context, path: KeyPath) -> Getter:
    written = raw if isinstance(raw, dict) and "amount" in raw else None
    if written is not None:
        for key in written:
            if key not in ("amount", "currency"):
                raise MappingError(allowed(key, ["amount", "currency"], "key"), (*path, key))
    spec = value_spec(raw if written is None else written["amount"], path)
    convert = converter("number", "", spec, context, path)
    amount = _single(spec, convert, context, path, signed=True)
    currency_raw = spec.currency if written is None else written.get("currency")
    currency = _currency(currency_raw, context, path)

    def read(cells: Cells, notes: Notes) -> object:
        number = amount.read(cells, notes)
        if number is None:
            return None
        code = currency.read(cells, notes)
        cell = amount.text(cells) if amount.text else str(number)
        if code is None:
            raise RowError(NO_CURRENCY, " or ".join(amount.columns) or None, cell)
        other = contradiction(cell, str(code))
        if other is not None:
            columns = " or ".join(amount.columns) or None
            raise RowError(OTHER_CURRENCY, columns, cell, sign=other, currency=code)
        return {"amount": number, "currency": code}

    columns = amount.columns + currency.columns
    fixed = amount.fixed and currency.fixed
    parts: dict[str | int, Getter] = {"amount": amount, "currency": currency}
    return Getter(read, fixed, columns, amount.omit, amount.text, parts)


def _currency(raw: object, context: Context, path: KeyPath) -> Getter:
    code = context.mapping.currency
    if raw is not None:
        spec = value_spec(raw, (*path, "currency"))
        named = _single(spec, lambda text, _: text, context, (*path, "currency"))
        return named._replace(read=lambda cells, notes: named.read(cells, notes) or code)
    if code is None:
        raise MappingError(
            'an amount needs a currency: write currency = "USD" at the top of the mapping, or'
            ' here { column = "…", currency = "column of the currency" }',
            path,
        )
    return Getter(lambda _cells, _notes: code, True)


def _part(cls: type[BaseModel], raw: object, context: Context, path: KeyPath) -> Getter:
    known = fields_of(cls)
    if not isinstance(raw, dict):
        raise MappingError(f"write a table with some of {', '.join(known)}", path)
    getters: dict[str, Getter] = {}
    for name, part in raw.items():
        if name not in known:
            raise MappingError(allowed(name, known, f"field of {cls.__name__}"), (*path, name))
        getters[name] = _compile(whole_type(known[name]), part, context, (*path, name), name)
    missing = [n for n, field in known.items() if field.is_required() and n not in getters]
    if missing:
        raise MappingError(f"{cls.__name__} needs {' and '.join(missing)}", path)
    asked = [name for name, getter in getters.items() if not getter.fixed]

    def read(cells: Cells, notes: Notes) -> object:
        values = {name: getter.read(cells, notes) for name, getter in getters.items()}
        if asked and all(values[name] is None for name in asked):
            return None
        return {name: value for name, value in values.items() if value is not None}

    columns = tuple(column for getter in getters.values() for column in getter.columns)
    return Getter(read, not asked, columns, parts=dict(getters.items()))


def _many(item: object, raw: object, context: Context, path: KeyPath, role: str) -> Getter:
    if isinstance(raw, list | tuple):
        each = [_compile(item, part, context, (*path, i), role) for i, part in enumerate(raw)]
    elif isinstance(raw, dict) and "split" in raw:
        return _split(item, raw, context, path, role)
    else:
        each = [_compile(item, raw, context, path, role)]

    def read(cells: Cells, notes: Notes) -> object:
        values = (getter.read(cells, notes) for getter in each)
        return tuple(value for value in values if value is not None) or None

    columns = tuple(column for getter in each for column in getter.columns)
    fixed = all(getter.fixed for getter in each)
    return Getter(read, fixed, columns, parts=dict(enumerate(each)))


def _split(
    item: object, raw: dict[str, Any], context: Context, path: KeyPath, role: str
) -> Getter:
    spec = value_spec(raw, path)
    convert = converter(kind_of_field(item)[0], role, spec, context, path)
    between = spec.split or ","

    def apart(text: str, notes: Notes) -> object:
        parts = (part.strip() for part in text.split(between))
        return tuple(convert(part, notes) for part in parts if part) or None

    return _single(spec, apart, context, path)

"""Compiles the fields of a fact: from what a mapping says to pydantic-checked facts of rows.

What a field needs is read off the fact's own class: an amount becomes exact money, a stage is
looked up in the process, a day is read in the formats of the table, lists and parts within
parts are built up. So a mapping can yield every fact there is, and one added tomorrow too.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from salesflow.adapters.importing.context import Context
from salesflow.adapters.importing.currencies import contradiction
from salesflow.adapters.importing.field_kinds import is_one_line, kind_of_field, whole_type
from salesflow.adapters.importing.layout import Cells
from salesflow.adapters.importing.mapping import Constant, ValueSpec
from salesflow.adapters.importing.problems import (
    Adjustment,
    MappingError,
    Path,
    RowProblem,
    allowed,
    in_words,
)
from salesflow.adapters.importing.times import OUT_OF_RANGE
from salesflow.adapters.importing.values import (
    LOSS_REASON,
    Convert,
    Notes,
    Taken,
    converter,
    on_one_line,
    take,
    text_of,
)
from salesflow.domain.complaints import reason_of
from salesflow.domain.deal.outcomes import DealLost
from salesflow.domain.deal.quotes import expiry_of
from salesflow.domain.facts import Fact
from salesflow.errors import InputError

__all__ = ["FactBuilder", "Getter", "fields_of", "role_of"]

VALUE_MAX = 200
NO_CURRENCY = (
    'is an amount without a currency; write currency = "EUR" at the top of the mapping, or'
    ' { column = "…", default = "EUR" } for the currency of this amount'
)
WHICH_CURRENCY = '; say it by row: currency = "column of the currency"'
HIDDEN = frozenset({"inferred"})
"""Fields of every fact that are not said in `fields`."""


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
        """Give the getter of a part within parts."""
        inner = self.parts.get(place[0]) if place else None
        return self if inner is None else inner.part(place[1:])


class FactBuilder:
    """Builds the facts of one rule from the cells of rows."""

    def __init__(
        self, cls: type[Fact], raw: Mapping[str, Any], context: Context, path: Path
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

    def refuse_incomplete(self, path: Path) -> None:
        """Insist that every field the fact needs is said."""
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
            RowProblem: when a value cannot be right.
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
            column, value = _said_there(getter and getter.part(first["loc"][1:]), first, cells)
            where = ".".join(str(part) for part in first["loc"])
            reason = f"{self.cls.kind}: {where}: {in_words(first)}"
            if getter is not None and getter.omit and name in data:
                notes.append(Adjustment(f"{reason}; left out", column, value))
                data = {k: v for k, v in data.items() if k != name}
                return self._validated(data, cells, notes)
            raise RowProblem(reason, column, value) from error
        return fact

    def _finish(self, data: dict[str, object], cells: Cells) -> None:
        """Say when a quote runs out, as issuing one by hand does."""
        until = data.get("valid_until")
        zone = self._context.day_zone
        if isinstance(until, date) and "expires_at" not in data and zone is not None:
            try:
                data["expires_at"] = expiry_of(until, zone)
            except InputError as error:
                getter = self.getters["valid_until"]
                said = getter.text(cells) if getter.text else str(until)
                columns = " or ".join(getter.columns) or None
                reason = f"{self.cls.kind}: valid_until: {OUT_OF_RANGE}"
                raise RowProblem(reason, columns, said) from error

    def _getter(self, name: str, field: FieldInfo, raw: object, path: Path) -> Getter:
        getter = _compile(whole_type(field), raw, self._context, path, role_of(self.cls, name))
        if getter.fixed:
            self._check_constant(field, getter, path)
        return getter

    def _check_constant(self, field: FieldInfo, getter: Getter, path: Path) -> None:
        value = getter.read((), [])
        try:
            TypeAdapter(whole_type(field)).validate_python(value)
        except ValidationError as error:
            said = in_words(error.errors(include_url=False)[0])
            raise MappingError(f"{value!r} is not possible here: {said}", path) from error


def _said_there(
    getter: Getter | None, error: ErrorDetails, cells: Cells
) -> tuple[str | None, str | None]:
    """Give the column an error is about, and what the file says there."""
    columns = getter.columns if getter else ()
    if getter is not None and getter.text is not None:
        return " or ".join(columns) or None, getter.text(cells)[:VALUE_MAX]
    value = None if error["type"] == "missing" else str(error["input"])[:VALUE_MAX]
    return " or ".join(columns) or None, value


def fields_of(cls: type[BaseModel]) -> dict[str, FieldInfo]:
    """Give the fields of a fact (or a part of one) that a mapping may fill."""
    return {name: f for name, f in cls.model_fields.items() if name not in HIDDEN}


def role_of(cls: type[BaseModel], name: str) -> str:
    """Say what the text of a field stands for; mostly the field's own name."""
    return LOSS_REASON if cls is DealLost and name == "because" else name


def _compile(
    annotation: object, raw: object, context: Context, path: Path, role: str
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


def value_spec(raw: object, path: Path) -> ValueSpec:
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


def _spec_of(raw: dict[str, Any], path: Path) -> ValueSpec:
    for key in raw:
        if key not in ValueSpec.model_fields:
            raise MappingError(allowed(str(key), ValueSpec.model_fields, "key"), (*path, key))
    try:
        return ValueSpec.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise MappingError(reason_of(first), (*path, *first["loc"])) from error


def _single(
    spec: ValueSpec, convert: Convert, context: Context, path: Path, *, signed: bool = False
) -> Getter:
    taken: Taken = take(spec, context, path, signed=signed)
    text = text_of(spec, context, path)
    omit = spec.on_error == "omit"

    def read(cells: Cells, notes: Notes) -> object:
        try:
            value = taken.read(cells)
            return convert(value, notes) if isinstance(value, str) else value
        except RowProblem as problem:
            column = " or ".join(taken.columns) or None
            said = text(cells) or problem.value
            if omit:
                notes.append(Adjustment(f"{problem.reason}; left out", column, said))
                return None
            raise RowProblem(problem.reason, column, said) from problem

    if spec.value is not None:
        try:
            constant = read((), [])
        except RowProblem as problem:
            raise MappingError(f"{spec.value!r} {problem.reason}", path) from problem
        return Getter(lambda _cells, _notes: constant, True)
    return Getter(read, False, taken.columns, omit, text)


def _money(raw: object, context: Context, path: Path) -> Getter:
    said = raw if isinstance(raw, dict) and "amount" in raw else None
    if said is not None:
        for key in said:
            if key not in ("amount", "currency"):
                raise MappingError(allowed(key, ["amount", "currency"], "key"), (*path, key))
    spec = value_spec(raw if said is None else said["amount"], path)
    convert = converter("number", "", spec, context, path)
    amount = _single(spec, convert, context, path, signed=True)
    currency_raw = spec.currency if said is None else said.get("currency")
    currency = _currency(currency_raw, context, path)

    def read(cells: Cells, notes: Notes) -> object:
        number = amount.read(cells, notes)
        if number is None:
            return None
        code = currency.read(cells, notes)
        said = amount.text(cells) if amount.text else str(number)
        if code is None:
            raise RowProblem(NO_CURRENCY, " or ".join(amount.columns) or None, said)
        other = contradiction(said, str(code))
        if other is not None:
            reason = f"is written with {other}, and its currency is {code}{WHICH_CURRENCY}"
            raise RowProblem(reason, " or ".join(amount.columns) or None, said)
        return {"amount": number, "currency": code}

    columns = amount.columns + currency.columns
    fixed = amount.fixed and currency.fixed
    parts: dict[str | int, Getter] = {"amount": amount, "currency": currency}
    return Getter(read, fixed, columns, amount.omit, amount.text, parts)


def _currency(raw: object, context: Context, path: Path) -> Getter:
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


def _part(cls: type[BaseModel], raw: object, context: Context, path: Path) -> Getter:
    known = fields_of(cls)
    if not isinstance(raw, dict):
        raise MappingError(f"write a table with some of {', '.join(known)}", path)
    getters: dict[str, Getter] = {}
    for name, said in raw.items():
        if name not in known:
            raise MappingError(allowed(name, known, f"field of {cls.__name__}"), (*path, name))
        getters[name] = _compile(whole_type(known[name]), said, context, (*path, name), name)
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


def _many(item: object, raw: object, context: Context, path: Path, role: str) -> Getter:
    if isinstance(raw, list | tuple):
        each = [_compile(item, said, context, (*path, i), role) for i, said in enumerate(raw)]
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
    item: object, raw: dict[str, Any], context: Context, path: Path, role: str
) -> Getter:
    spec = value_spec(raw, path)
    convert = converter(kind_of_field(item)[0], role, spec, context, path)
    between = spec.split or ","

    def apart(text: str, notes: Notes) -> object:
        parts = (part.strip() for part in text.split(between))
        return tuple(convert(part, notes) for part in parts if part) or None

    return _single(spec, apart, context, path)

"""Takes a value out of a row and turns it into what a field holds."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext
from typing import Final, NamedTuple

from salesflow.adapters.importers.csv import tidied
from salesflow.adapters.importers.errors import (
    Adjustment,
    KeyPath,
    MappingError,
    RowError,
    allowed,
)
from salesflow.adapters.importers.ids import DEAL, object_id
from salesflow.adapters.importers.numbers import sign_outside
from salesflow.adapters.importers.table.columns import Cells, Context, Layout
from salesflow.adapters.importers.table.conditions import as_text, first_filled
from salesflow.adapters.importers.table.mapping import BRACES, Constant, ValueSpec
from salesflow.adapters.importers.table.patterns import Extraction
from salesflow.domain.wording import Message

__all__ = [
    "ID_KINDS",
    "LOSS_REASON",
    "STAGE_FIELDS",
    "Convert",
    "Notes",
    "TakenValue",
    "converter",
    "on_one_line",
    "take",
    "text_of",
]


EXACT_DIGITS = 100
SIGN_LOST = "is negative, and `extract` leaves its sign behind; extract the sign too"

Notes = list[Adjustment]
Convert = Callable[[str, Notes], object]

BREAKS = re.compile(r"\s*[\n\r\t\v\f\x85\u2028\u2029]\s*")
BROKEN = "holds line breaks or tabs; they were taken for spaces"
YES = frozenset({"true", "yes", "y", "t", "1", "on", "是"})
NO = frozenset({"false", "no", "n", "f", "0", "off", "否"})
LOSS_REASON: Final = "loss_reason"
STAGE_FIELDS = frozenset({"stage", "target"})
ID_KINDS: Final = {"customer_id": "customer", "person_id": "person"}
"""What an id is of, by the field's name; another deal when it is not here."""


class TakenValue(NamedTuple):
    """How a value is taken from a row: text to be converted, a constant, or None."""

    read: Callable[[Cells], object]
    columns: tuple[str, ...]


def take(
    spec: ValueSpec, context: Context, path: KeyPath, *, signed: bool = False
) -> TakenValue:
    """Compile where a value comes from; its map and default are applied.

    With `signed` it is a number, of which no minus may be left behind.
    """
    if spec.value is not None:
        constant = spec.value
        return TakenValue(lambda _: constant, ())
    columns = spec.named
    text = _extracted(spec, text_of(spec, context, path), signed=signed)
    known_values = _map(spec, context, path)
    default = spec.default
    unmapped = spec.unmapped
    if known_values is None and default is None:
        return TakenValue(lambda cells: text(cells) or None, columns)

    def read(cells: Cells) -> object:
        value: object = text(cells)
        if value and known_values is not None:
            known = known_values.get(str(value))
            if known is not None:
                return known
            if unmapped == "refuse":
                raise RowError("is not in the map of this field", None, str(value))
            value = "" if unmapped == "empty" else value
        return value or default

    return TakenValue(read, columns)


def _extracted(
    spec: ValueSpec, text: Callable[[Cells], str], *, signed: bool
) -> Callable[[Cells], str]:
    if spec.extract is None:
        return text
    pattern = Extraction(spec.extract)

    def read(cells: Cells) -> str:
        whole = text(cells)
        match = pattern.search(whole)
        if match is None:
            return ""
        group = 1 if match.re.groups else 0
        part = match[group] or ""
        if signed and part and sign_outside(whole, *match.span(group)):
            raise RowError(SIGN_LOST)
        return part.strip()

    return read


def text_of(spec: ValueSpec, context: Context, path: KeyPath) -> Callable[[Cells], str]:
    """Compile the text a value is read from: one column, the first filled one, a template."""
    layout = context.layout
    if spec.running is not None:
        return _running(spec.running, context, (*path, "running"))
    if spec.template is not None:
        return _template(spec.template, layout, (*path, "template"))
    if spec.value is not None:
        constant = as_text(spec.value)
        return lambda _: constant
    return first_filled(layout.slots(spec.named, path))


def converter(
    kind: str, role: str, spec: ValueSpec, context: Context, path: KeyPath
) -> Convert:
    """Return the function that turns text into what a field of this kind and name holds."""
    if kind in {"number", "integer"}:
        return _number(context, spec.scale, whole=kind == "integer")
    if spec.scale is not None:
        raise MappingError("scale is for numbers and amounts", (*path, "scale"))
    if kind in {"time", "day"}:
        return _time(kind, spec, context)
    if kind == "bool":
        return _bool
    if kind == "id":
        source, what = context.mapping.source, ID_KINDS.get(role, DEAL)
        return lambda text, _: object_id(source, text, what)
    return _text(role, context)


def _text(role: str, context: Context) -> Convert:
    if role in STAGE_FIELDS:
        version = context.process.version
        return _key_of(
            context.process.stages,
            "is no stage of process {process} version {version}; there are {keys}",
            process=repr(version.key),
            version=version.version,
        )
    if role == LOSS_REASON and context.process.reasons:
        return _key_of(
            context.process.reasons, "is no loss reason of the process; there are {keys}"
        )
    return lambda text, _: text


def _running(template: bool | str, context: Context, path: KeyPath) -> Callable[[Cells], str]:
    if not context.running:
        raise MappingError("a running number is for the fields of [[facts]]", path)
    layout = context.layout
    number = layout.flag(context.running)
    return _template(template if isinstance(template, str) else "{}", layout, path, number)


def on_one_line(convert: Convert, columns: str) -> Convert:
    """Replace line breaks and tabs in a text of one line by spaces, and note it."""

    def read(text: str, notes: Notes) -> object:
        if not text.isprintable():
            flat = BREAKS.sub(" ", text)
            if flat != text:
                notes.append(Adjustment(BROKEN, columns or None, text))
                return convert(flat, notes)
        return convert(text, notes)

    return read


def _template(
    template: str, layout: Layout, path: KeyPath, number: int | None = None
) -> Callable[[Cells], str]:
    parts = BRACES.split(template)
    texts, names = parts[::2], parts[1::2]
    if not names:
        raise MappingError(
            'a template names columns in braces: "Loan for {purpose}"; a text that is always'
            ' the same is written { value = "…" }',
            path,
        )
    slots = [
        number if number is not None and not name else layout.slot(name, path) for name in names
    ]

    def read(cells: Cells) -> str:
        values = [cells[slot] for slot in slots]
        if not any(values):
            return ""
        pieces = [texts[0]]
        for value, text in zip(values, texts[1:], strict=True):
            pieces += (value, text)
        return "".join(pieces).strip()

    return read


def _map(spec: ValueSpec, context: Context, path: KeyPath) -> Mapping[str, Constant] | None:
    if not isinstance(spec.map, str):
        if spec.map is None and spec.unmapped != "keep":
            raise MappingError("unmapped goes with a map", (*path, "unmapped"))
        return spec.map and _tidied(spec.map)
    maps = context.mapping.maps
    if spec.map not in maps:
        raise MappingError(allowed(spec.map, maps, "map"), (*path, "map"))
    return _tidied(maps[spec.map])


def _tidied(known: Mapping[str, Constant]) -> dict[str, Constant]:
    return {tidied(text): value for text, value in known.items()}


def _number(context: Context, scale: Decimal | None, *, whole: bool) -> Convert:
    reader = context.numbers

    def number(text: str, _: Notes) -> object:
        amount = reader.read(text)
        if scale is not None:
            with localcontext(prec=EXACT_DIGITS):
                amount = (amount * scale).normalize() + 0
        if not whole:
            return amount
        if amount != amount.to_integral_value():
            raise RowError("is not a whole number")
        return int(amount)

    return number


def _time(kind: str, spec: ValueSpec, context: Context) -> Convert:
    reader = context.times(spec.formats, spec.timezone, days=kind == "day")
    take = reader.day if kind == "day" else reader.aware

    def time(text: str, notes: Notes) -> object:
        value, note = take(text)
        if note is not None:
            notes.append(Adjustment(note, " or ".join(spec.named), text))
        return value

    return time


def _bool(text: str, _: Notes) -> object:
    word = text.casefold()
    if word in YES:
        return True
    if word in NO:
        return False
    raise RowError("is not yes or no")


def _key_of(keys: Mapping[str, str], refusal: str, **arguments: object) -> Convert:
    def key(text: str, _: Notes) -> object:
        value = keys.get(text)
        if value is None:
            there = ", ".join(sorted(set(keys.values())))
            raise RowError(Message(refusal, keys=there, **arguments))
        return value

    return key

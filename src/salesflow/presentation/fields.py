"""What the fields of a view and of its rows are: keys, names, figures, traits, lists.

A view is a record, and so is each row in its lists. Whoever treats all questions alike (a
comparison, an Arrow table) needs to know which fields tell rows apart and which are counted.
Mostly the type says so; a field says it itself where the type would mislead:

    class DealStanding(Value):
        deal: Annotated[UUID, FieldRole.KEY]    # the only key: stage and owner are traits then

Leaves out what a field means: that is its view's formula. What people call fields stands last.
"""

import re
import types
from collections.abc import Mapping, Set
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Annotated, Literal, TypeAlias, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from salesflow.domain.ids import UuidSequence
from salesflow.domain.time import Period
from salesflow.domain.values import Money
from salesflow.presentation.format import Total

__all__ = [
    "CALLED_IN",
    "FieldRole",
    "Json",
    "bare",
    "called",
    "field_roles",
    "is_record",
    "item_of",
    "plain",
]


class FieldRole(Enum):
    """What a field is to its row."""

    KEY = "key"
    """Tells the rows of a list apart."""
    NAME = "name"
    """Names the row for people; rows are the same whatever it says."""
    FIGURE = "figure"
    """A number or amounts: one can be subtracted from another."""
    TRAIT = "trait"
    """Anything else that a row has."""
    LIST = "list"
    """Rows of its own."""
    PART = "part"
    """One record inside."""


NAMES = ("_en", "_zh")
NUMBERS = frozenset({int, Decimal, timedelta, Money})
KEYS = frozenset({str, UUID, date, Period})


@cache
def field_roles(record: type[BaseModel]) -> Mapping[str, FieldRole]:
    """Return of each field of a record what it is.

    Where a field is marked as a key, the others of the types of keys are traits.
    """
    fields = record.model_fields
    marks = {name: _marked(field) for name, field in fields.items()}
    keyed = FieldRole.KEY in marks.values()
    return {
        name: marks[name] or _by_type(name, bare(field.annotation), keyed=keyed)
        for name, field in fields.items()
    }


def bare(annotation: object) -> object:
    """Return the type itself, without its marks and without None."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, types.UnionType):
            kinds = [bare(kind) for kind in get_args(annotation) if kind is not type(None)]
            annotation = kinds[0] if len(set(map(repr, kinds))) == 1 else _widest(kinds)
        else:
            return annotation


def item_of(kind: object) -> object | None:
    """Return the type of the items of a `tuple[X, ...]` or of ids; None of anything else."""
    if kind is UuidSequence:
        return UUID
    found = get_args(kind)
    many = get_origin(kind) is tuple and len(found) == 2 and found[1] is Ellipsis
    return bare(found[0]) if many else None


def is_record(kind: object) -> bool:
    """Return whether a type is a record with fields of its own; money and periods are not."""
    return (
        isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in (Money, Period)
    )


def _marked(field: FieldInfo) -> FieldRole | None:
    return next((mark for mark in field.metadata if isinstance(mark, FieldRole)), None)


def _by_type(name: str, kind: object, *, keyed: bool) -> FieldRole:
    item = item_of(kind)
    if name.endswith(NAMES):
        return FieldRole.NAME
    if kind in NUMBERS or item is Total:
        return FieldRole.FIGURE
    if is_record(item):
        return FieldRole.LIST
    if is_record(kind):
        return FieldRole.PART
    is_key = kind in KEYS or get_origin(kind) is Literal
    return FieldRole.KEY if is_key and not keyed else FieldRole.TRAIT


def _widest(kinds: list[object]) -> object:
    """Return the type that holds them all: Decimal of numbers, else anything."""
    return Decimal if all(kind in (int, Decimal) for kind in kinds) else object


# Values as JSON says them: stable English words whatever the language of the labels.
#
# Every time is ISO 8601 in UTC, always written `+00:00`; amounts are strings of digits, so that
# no reader rounds them; a set is a sorted list. Leaves out how facts are stored: see
# `domain.event`.

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


def plain(value: object) -> Json:
    """Turn a value of ours, however deep, into what JSON can hold."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case Set():
            return sorted(map(plain, value), key=str)
        case _:
            return _composed(value)


def _composed(value: object) -> Json:
    if isinstance(value, BaseModel):
        value = dict(value)
    elif isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | UuidSequence):
        return [plain(each) for each in value]
    raise TypeError(f"{value!r} has no plain form")


# What people call fields.

SCALES = re.compile(r"\b(?:nps|csat|ces)\b", re.IGNORECASE)
CALLED = {
    "at_risk": "Deals tracked this long",
    "because": "Reason",
    "closed_seconds": "Seconds closed before reopening",
    "contacts": "Activities",
    "days_over": "Days past limit",
    "deals_over": "Deals past limit",
    "entries_later": "Entries into later stages",
    "expected": "Due at period start",
    "facts": "Event history",
    "in_period": "Onward ÷ entries in period (ratio)",
    "last_contact": "Last activity",
    "left": "Left without moving on",
    "left_otherwise": "Lost or dropped",
    "pending": "Not yet due",
    "per_deal": "Activities per deal",
    "reference": "Rep",
    "to_date": "Conversion to date (ratio)",
    "values": "By value",
    "visits_seconds": "Seconds in stages",
    "weighted": "Weighted amount",
    "win_rate_of_created": "Created deals won to date",
}
"""What people call fields whose names do not say enough by themselves."""
CALLED_IN = {
    ("AlertHappening", "position"): "Event no.",
    ("CommissionStatementView", "due"): "Draw and guarantee due",
    ("CommissionStatementView", "to_date"): "Period not over yet",
    ("ContestStandingsView", "to_date"): "Contest not over yet",
    ("DetractorFollowUps", "due"): "Due for follow-up",
    ("DetractorFollowUps", "within"): "In time",
    ("DetractorFollowUps", "within_share"): "Share in time",
    ("DisputeShown", "time"): "Which time",
    ("FeedbackView", "within"): "In time within, days",
    ("GroupChange", "people"): "Count",
    ("PastRange", "values"): "Periods before",
    ("StageStay", "left"): "Left the stage",
    ("Transition", "target"): "To stage",
    ("WithoutRate", "amounts"): "Amounts without a rate",
}
"""What is called otherwise in one record, by the name of its class, than elsewhere."""


def called(name: str, record: type | None = None) -> str:
    """Call a field for people: `deals_without_amount` is Deals without amount.

    Where a record has a name of its own for it, that is what it is called there.
    """
    own = None if record is None else CALLED_IN.get((record.__name__, name))
    if own is not None:
        return own
    if name in CALLED:
        return CALLED[name]
    words = name.rstrip("_").replace("_", " ").capitalize()
    return SCALES.sub(lambda scale: scale[0].upper(), words).replace("Kpis", "KPIs")

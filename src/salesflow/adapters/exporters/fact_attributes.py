"""What a fact says as flat attributes, personal texts apart, and which things it names.

Every text of a fact is marked as personal or not (see `values`). Those about people, and all
free text, are given only to whoever asks for them; ids of reps, customers and contact people
are opaque and always there. An amount is two attributes, the number and its currency. A list,
or a part that holds others, is JSON, its personal texts left out in the same way.
"""

import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple, get_args
from uuid import UUID

from pydantic import BaseModel

from salesflow.domain.deal.quotes import QuoteLine
from salesflow.domain.event import Fact
from salesflow.domain.values import Money, TextMark

__all__ = ["Attribute", "Named", "Scalar", "attributes_of", "is_personal", "named_in"]


Scalar = str | int | bool | Decimal | datetime
PLAIN: Final = frozenset({str, int, bool, Decimal, datetime})


class Attribute(NamedTuple):
    """One thing that is said: its name and its value."""

    name: str
    value: Scalar


class Named(NamedTuple):
    """Something that a fact names: of which kind, which one, and as what."""

    kind: str
    key: str
    qualifier: str


def attributes_of(fact: BaseModel, *, personal: bool) -> list[Attribute]:
    """Return what a fact says, field by field; what has no value is left out."""
    found: list[Attribute] = []
    for name in _fields(type(fact), personal=personal):
        value = getattr(fact, name)
        if value is None or value == ():
            continue
        if type(value) in PLAIN:
            found.append(Attribute(name.rstrip("_"), value))
        else:
            found += _attributes(name.rstrip("_"), value, personal=personal)
    return found


@cache
def _fields(of: type[BaseModel], *, personal: bool) -> tuple[str, ...]:
    """Return the fields of a fact that are given."""
    return tuple(name for name in of.model_fields if personal or not is_personal(of, name))


def _attributes(name: str, value: object, *, personal: bool) -> Iterator[Attribute]:
    if isinstance(value, Money):
        yield Attribute(name, value.amount)
        yield Attribute(f"{name}_currency", value.currency)
    elif isinstance(value, BaseModel | tuple | list | frozenset | set):
        plain = _plain(value, personal=personal)
        if plain not in ({}, []):
            yield Attribute(name, json.dumps(plain, ensure_ascii=False, default=str))
    elif isinstance(value, bool | int | Decimal | datetime | str):
        yield Attribute(name, value)
    else:
        yield Attribute(name, value.isoformat() if isinstance(value, date) else str(value))


def _plain(value: object, *, personal: bool) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, BaseModel):
        fields = [
            (name, getattr(value, name))
            for name in type(value).model_fields
            if personal or not is_personal(type(value), name)
        ]
        parts = {n: _plain(each, personal=personal) for n, each in fields if each is not None}
        return {name: each for name, each in parts.items() if each not in ({}, [])}
    if isinstance(value, tuple | list | frozenset | set):
        return [_plain(each, personal=personal) for each in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value if isinstance(value, bool | int | str) else str(value)


@cache
def is_personal(of: type[BaseModel], name: str) -> bool:
    """Return whether a field holds text about people, or free text."""
    field = of.model_fields[name]
    return any(mark.personal for mark in _marks((field.annotation, *field.metadata)))


def _marks(among: tuple[object, ...]) -> Iterator[TextMark]:
    """Yield the marks of texts in a type, wherever they stand in it but inside of records."""
    for each in among:
        if isinstance(each, TextMark):
            yield each
        elif not isinstance(each, type):
            yield from _marks((*get_args(each), *getattr(each, "__metadata__", ())))


REPS: Final = {
    "owner": "owner",
    "by": "by",
    "to": "to",
    "person": "collaborator",
    "participants": "participant",
    "assessed_by": "assessed by",
}
"""Fields that name reps, where they are ids and no personal text, and as what."""
PEOPLE: Final = {"person_id": "contact person", "contact_people": "contact person"}
MERGES: Final = {
    "into": "merged into",
    "absorbed": "absorbed",
    "out_of": "unmerged from",
    "released": "released",
}


def named_in(fact: Fact, home: str, stream_id: UUID) -> list[Named]:
    """Return the reps, people, quotes, products and others that a fact names, once for each."""
    found: dict[Named, None] = {}
    for name in _naming_fields(type(fact)):
        value = getattr(fact, name)
        if value is None:
            continue
        for each in value if isinstance(value, tuple) else (value,):
            found.update(dict.fromkeys(_named(name, each, home, stream_id)))
    return [*found]


@cache
def _naming_fields(of: type[Fact]) -> tuple[str, ...]:
    """Return the fields of a fact that may name something: texts only under known names."""
    known = {"quote", "customer_id", *MERGES, *PEOPLE, *REPS}
    return tuple(
        name
        for name in _fields(of, personal=False)
        if name in known or _types_in(of.model_fields[name].annotation) - PLAIN - {Money}
    )


def _types_in(annotation: object) -> set[object]:
    """Return the types that an annotation is made of."""
    parts = get_args(annotation)
    return {annotation} if not parts else {t for part in parts for t in _types_in(part)}


def _named(name: str, value: object, home: str, stream_id: UUID) -> Iterator[Named]:
    if isinstance(value, QuoteLine):
        yield Named("product", value.product, "product")
    elif name == "quote":
        yield Named("quote", f"{stream_id}/{value}", "quote")
    elif name == "customer_id":
        yield Named("customer", str(value), "customer")
    elif name in MERGES and isinstance(value, UUID):
        yield Named(home, str(value), MERGES[name])
    elif name in PEOPLE:
        yield Named("contact person", str(value), PEOPLE[name])
    elif name in REPS and isinstance(value, str):
        yield Named("rep", value, REPS[name])
    elif isinstance(person := getattr(value, "person_id", None), UUID):
        yield Named("contact person", str(person), PEOPLE["person_id"])

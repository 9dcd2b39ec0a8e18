"""Makes values of fields that are right already, without validating them.

What was validated when it was written, or worked out from that, need not be validated once more
when it is read or shown; for lists of thousands that is most of the time they take. Everybody
else makes values by calling their class, which checks every field.

It is a module of its own, since it alone knows what pydantic's values are made of.
"""

from collections.abc import Callable, Iterable
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel

__all__ = [
    "Fields",
    "NotUnderstoodError",
    "builder_of",
    "builder_within",
    "unchecked",
    "unchecked_all",
]

Build = Callable[[Any], Any]
Fields = dict[str, Any]
ModelT = TypeVar("ModelT", bound=BaseModel)

_new: Final = object.__new__
_set_fields: Final = BaseModel.__dict__["__dict__"].__set__
_set_names: Final = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra: Final = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private: Final = BaseModel.__dict__["__pydantic_private__"].__set__


class NotUnderstoodError(Exception):
    """A class holds what cannot be built without validating it."""


def unchecked(cls: type[ModelT]) -> Callable[..., ModelT]:
    """Return what makes values of a class of their fields, named one by one: see `_made_of`."""
    make = _made_of(cls)
    return lambda **given: make(given)


def unchecked_all(cls: type[ModelT]) -> Callable[[Iterable[Fields]], list[ModelT]]:
    """Return what makes many values of a class at once, of the fields of each."""
    make = _made_of(cls)
    return lambda given: [*map(make, given)]


def _made_of(cls: type[ModelT]) -> Callable[[Fields], ModelT]:
    """Return what makes a value of a class of its fields, given in a dict that is left alone.

    Fields that are left out have their defaults; one that has none is None.
    """
    fields = cls.model_fields.items()
    blank: Fields = {name: None if f.is_required() else f.default for name, f in fields}
    names: dict[tuple[str, ...], set[str]] = {}  # which may be shared: no value is changed

    def make(given: Fields) -> ModelT:
        value, named = _new(cls), (*given,)
        _set_names(value, names.get(named) or names.setdefault(named, {*given}))
        _set_fields(value, {**blank, **given})
        _set_extra(value, None)
        _set_private(value, None)
        return value

    return make


@cache
def builder_of(cls: type[BaseModel]) -> Build:
    """Return what makes a value of its plain fields."""
    make = _made_of(cls)
    holding = [
        (name, within)
        for name, field in cls.model_fields.items()
        if (within := builder_within(field.annotation))
    ]

    if not holding:
        return make

    def build(given: Fields) -> BaseModel:
        for name, within in holding:
            if name in given:
                given[name] = within(given[name])
        return make(given)

    return build


def builder_within(annotation: Any) -> Build | None:  # noqa: ANN401 - any type there is
    """Return what makes values with fields of what a field holds; None where it holds none."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return builder_within(inner[0])
    if origin in (Union, UnionType):
        found = [build for each in inner if (build := builder_within(each))]
        if not found:
            return None
        if len(found) > 1 or len(inner) > 2 or NoneType not in inner:
            raise NotUnderstoodError
        return found[0]
    if origin is tuple:
        one = builder_within(inner[0])
        return None if one is None else lambda items: tuple([one(item) for item in items])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return builder_of(annotation)
    return None

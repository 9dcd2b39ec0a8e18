"""Makes values of fields that are right already, without validating them.

What was validated when it was written, or worked out from that, need not be validated once more
when it is read or shown; for lists of thousands that is most of the time they take. Everybody
else makes values by calling their class, which checks every field.

It is a module of its own, since it alone knows what pydantic's values are made of.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from pydantic import BaseModel

__all__ = ["Fields", "made_of", "unchecked", "unchecked_all"]

Fields = dict[str, Any]
ModelT = TypeVar("ModelT", bound=BaseModel)

_new: Final = object.__new__
_set_fields: Final = BaseModel.__dict__["__dict__"].__set__
_set_names: Final = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra: Final = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private: Final = BaseModel.__dict__["__pydantic_private__"].__set__


def unchecked(cls: type[ModelT]) -> Callable[..., ModelT]:
    """Return what makes values of a class of their fields, named one by one: see `made_of`."""
    make = made_of(cls)
    return lambda **given: make(given)


def unchecked_all(cls: type[ModelT]) -> Callable[[Iterable[Fields]], list[ModelT]]:
    """Return what makes many values of a class at once, of the fields of each."""
    make = made_of(cls)
    return lambda given: [*map(make, given)]


def made_of(cls: type[ModelT]) -> Callable[[Fields], ModelT]:
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

"""Makes values of fields that are right already, without validating them.

What was validated when it was written, or worked out from that, need not be validated once more
when it is read or shown; for lists of thousands that is most of the time they take. Everybody
else makes values by calling their class, which checks every field.

It is a module of its own, since it alone knows what pydantic's values are made of.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from pydantic import BaseModel

__all__ = ["Fields", "unchecked"]

Fields = dict[str, Any]
ModelT = TypeVar("ModelT", bound=BaseModel)

_new: Final = object.__new__
_set_fields: Final = BaseModel.__dict__["__dict__"].__set__
_set_names: Final = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra: Final = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private: Final = BaseModel.__dict__["__pydantic_private__"].__set__


def unchecked(cls: type[ModelT]) -> Callable[..., ModelT]:
    """Return what makes values of a class of their fields, which must be as they are kept.

    Fields that are left out have their defaults; one that has none is None.
    """
    fields = cls.model_fields.items()
    blank: Fields = {name: None if f.is_required() else f.default for name, f in fields}
    all_names = {*blank}  # of values that nobody changes, so all of them may have this one

    def make(**given: object) -> ModelT:
        value = _new(cls)
        _set_names(value, all_names if len(given) == len(blank) else {*given})
        _set_fields(value, {**blank, **given})
        _set_extra(value, None)
        _set_private(value, None)
        return value

    return make

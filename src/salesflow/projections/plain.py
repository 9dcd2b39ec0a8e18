"""Values as JSON says them: stable English words whatever the language of the labels.

Every time is ISO 8601 in UTC, always written `+00:00`; amounts are strings of digits, so that
no reader rounds them; a set is a sorted list. Leaves out how facts are stored: see `facts`.
"""

from collections.abc import Mapping, Set
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

from pydantic import BaseModel

__all__ = ["Json", "plain"]

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
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    raise TypeError(f"{value!r} has no plain form")

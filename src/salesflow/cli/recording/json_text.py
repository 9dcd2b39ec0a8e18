"""JSON as it is typed, or stands in a file: read strictly, and refused in its own words.

A key that is given twice is refused, since one of its values would be lost; so is what JSON has
no word for, such as NaN. Numbers with a point stay texts, since they may not be rounded.
"""

import json
from collections.abc import Mapping
from typing import Final, NoReturn

from pydantic_core import ErrorDetails

from salesflow.domain.wording import quoted, reason_of, shortened
from salesflow.errors import InputError

__all__ = ["json_in", "json_reason", "json_shown"]


DIGITS_MAX: Final = 100
"""No number has more of them; longer ones are not even read."""


def json_in(text: str) -> object:
    """Return the value that JSON holds.

    Raises:
        InputError: when it is none, gives a key twice or is nested without end.
    """
    try:
        return json.loads(
            text,
            parse_float=str,
            parse_int=_whole,
            parse_constant=_no_number,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise InputError("is no JSON that can be read: it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise InputError(f"is no JSON ({error})") from error


def json_shown(value: object) -> str:
    """Return a value as JSON calls it, for a message: 1, true, null, a list, an object."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return quoted(value)


def json_reason(error: ErrorDetails) -> str:
    """Return what is wrong with a value that was given as JSON."""
    if error.get("ctx", {}).get("class_name") == "Money":
        reason = 'must be like {"amount": "98000", "currency": "CNY"}'
    elif error["type"] in ("model_type", "model_attributes_type"):
        reason = "must be a JSON object, such as {...}"
    else:
        reason = reason_of({**error, "input": ""})
    named = error["type"].endswith(("_type", "_parsing")) and not isinstance(
        error["input"], str
    )
    return f"{reason}, not {json_shown(error['input'])}" if named else str(reason)


def _whole(digits: str) -> int:
    if len(digits) > DIGITS_MAX:
        raise InputError(f"holds a number that is too long: {shortened(digits, 20)}")
    return int(digits)


def _no_number(word: str) -> NoReturn:
    raise InputError(f"is no JSON, which has no {word}; leave the value out, or write digits")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"gives {quoted(twice)} twice; give it once")
    return found

"""What callers may say for a day, a time, a flag, a name or a reason; nothing that looks alike.

A number is no day (it would be read as seconds since 1970), a time is no day (of which zone?),
and names and reasons say something. These look at what is given in Python alone: what is stored
is read back as it is, so that no rule of today makes yesterday's log unreadable.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from pydantic import GetCoreSchemaHandler, Strict
from pydantic_core import PydanticCustomError, core_schema

from salesflow.domain.complaints import DAY, TIME
from salesflow.domain.values import Personal, SafeText, is_blank

__all__ = ["Day", "Flag", "GivenTime", "Name", "Reason", "SafeName", "SafeReason"]

WRITTEN = re.compile(r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}").match


@dataclass(frozen=True)
class Given:
    """Looks at what is given in Python before it is read, and at nothing that was stored."""

    look: Callable[[object], object]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Give pydantic what to call, in Python alone."""
        schema = handler(source)
        looked = core_schema.no_info_before_validator_function(self.look, schema)
        return core_schema.json_or_python_schema(json_schema=schema, python_schema=looked)


def _day(given: object) -> object:
    is_day = isinstance(given, date) and not isinstance(given, datetime)
    if is_day or (isinstance(given, str) and WRITTEN(given)):
        return given
    raise PydanticCustomError("date_type", DAY)


def _time(given: object) -> object:
    if isinstance(given, datetime) or (isinstance(given, str) and WRITTEN(given)):
        return given
    raise PydanticCustomError("datetime_type", TIME)


def _said(given: object) -> object:
    if isinstance(given, str) and is_blank(given):
        raise ValueError("must not be blank; say it, or leave it out")
    return given


Day = Annotated[date, Given(_day)]
"""A day of the calendar; no time and no number is taken for one."""

GivenTime = Annotated[datetime, Given(_time)]
"""A time; no number is taken for one."""

Flag = Annotated[bool, Strict()]
"""Yes or no; neither a number nor a text is taken for it."""

Reason = Annotated[Personal, Given(_said)]
"""Why something was done, in free words: never blank."""

SafeReason = Annotated[SafeText, Given(_said)]
"""Why something was done, in a word or line that is not about a person: never blank."""

Name = Annotated[Personal, Given(_said)]
"""What somebody is called: never blank."""

SafeName = Annotated[SafeText, Given(_said)]
"""What a thing is called: one line, never blank."""

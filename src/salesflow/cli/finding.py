"""Which deal somebody means: a UUID, the first digits of one, or SOURCE:OBJECT.

`maven_crm:1C1I7A6R` is the deal an importer made of that object of that source.
"""

import re
from typing import TYPE_CHECKING
from uuid import UUID

from salesflow.errors import InputError, NotFoundError

if TYPE_CHECKING:  # the engine is loaded when a database is opened
    from salesflow.engine import SalesFlow

__all__ = ["find_deal"]

DIGITS_MIN = 4
SHOWN_MAX = 4
HEX = re.compile(r"[0-9a-f]{1,32}")


def find_deal(flow: "SalesFlow", text: str) -> UUID:
    """Find the deal a text means.

    Raises:
        NotFoundError: when there is no such deal.
        InputError: when the text is no id, or more than one deal begins with it.
    """
    from salesflow.adapters.census import beginning_with
    from salesflow.adapters.importing.ids import parse_object
    from salesflow.domain.deal.stages import DealOpened

    if ":" in text:
        found = parse_object(text)
        if not flow.log.stream(found):
            raise NotFoundError(f"no deal {text} has been imported")
        return found
    digits = text.replace("-", "").lower()
    if not HEX.fullmatch(digits) or len(digits) < DIGITS_MIN:
        raise InputError(
            f"{text!r} is not a deal; write its id, the first {DIGITS_MIN} or more digits of"
            " it, or SOURCE:OBJECT"
        )
    ids = beginning_with(flow.log, digits, opened_by=DealOpened, limit=SHOWN_MAX)
    if not ids:
        raise NotFoundError(f"there is no deal {text}")
    if len(ids) > 1:
        shown = ", ".join(map(str, ids[: SHOWN_MAX - 1]))
        more = " and more" if len(ids) == SHOWN_MAX else ""
        raise InputError(f"several deals begin with {text}: {shown}{more}")
    return ids[0]

"""Numbers as people write them: commas between thousands, and no others.

`98,000.50` is read as it is meant. `12,50` is refused: whoever writes a comma for the point
means twelve and a half, and would get a hundred times as much. A module of its own, since the
command line reads numbers by it, and questions that take an amount as text.
"""

import re
from typing import Final

from salesflow.domain.wording import quoted
from salesflow.errors import InputError

__all__ = ["without_thousands"]

THOUSANDS: Final = re.compile(r"(?P<sign>[+-]?)[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9,])[^,]*")
COMMAS: Final = re.compile("[,，]")


def without_thousands(text: str) -> str:
    """Return a number without the commas between its thousands.

    Raises:
        InputError: when a comma stands elsewhere, with what may be meant.
    """
    if not COMMAS.search(text):
        return text
    if THOUSANDS.fullmatch(text):
        return text.replace(",", "")
    raise InputError(
        f"{quoted(text)} has a comma that does not part thousands; write"
        f" {', or '.join(_meant(text))}"
    )


def _meant(text: str) -> list[str]:
    """Return what may be meant by a number with a comma: a point, or nothing."""
    *before, last = COMMAS.split(text)
    whole = "".join(before).replace(".", "").replace(" ", "")
    if whole.strip("+-0") == "":
        return [f"{whole or 0}.{last}"]
    return [f"{whole}.{last}", f"{whole}{last}"][len(before) > 1 :]

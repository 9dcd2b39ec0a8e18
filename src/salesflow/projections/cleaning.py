"""What a text may not do to whoever reads it: move the cursor, change colours, turn direction.

The log keeps every text as it came. Shown, what a terminal would obey and what would reorder
other text is written out instead, so that it is seen.
"""

import json
import re
from typing import Final

from salesflow.domain.values import NO_CHARACTERS

__all__ = ["harmless", "harmless_json", "one_line"]

OBEYED: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    rf"\ud800-\udfff{NO_CHARACTERS}]"
)
"""Controls of terminals, marks and overrides of direction, separators, what is no character."""


def harmless(text: str) -> str:
    """Write out what a terminal would obey; line breaks stay."""
    if text.isascii() and text.isprintable():
        return text
    return OBEYED.sub(_written_out, text.replace("\t", " "))


def harmless_json(written: str) -> str:
    """Escape it in JSON, where it only ever stands in a text."""
    return OBEYED.sub(lambda sign: json.dumps(sign[0])[1:-1], written)


def one_line(text: str) -> str:
    """Write a text on one line, whatever it holds."""
    return harmless(" ".join(text.split()))


def _written_out(sign: re.Match[str]) -> str:
    code = ord(sign[0])
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"

"""Texts as they may stand in XML 1.0, which has no room for some characters."""

import re
from typing import Final

__all__ = ["xml_safe"]


UNFIT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
REPLACEMENT: Final = "\ufffd"


def xml_safe(text: str) -> str:
    """Return a text with the replacement character for what XML cannot hold."""
    return UNFIT.sub(REPLACEMENT, text)

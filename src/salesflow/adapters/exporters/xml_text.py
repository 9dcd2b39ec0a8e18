"""Texts as they may stand in XML 1.0, which has no room for some characters."""

import re
from typing import Final
from xml.sax.saxutils import escape, quoteattr

__all__ = ["xml_quoted", "xml_text"]


UNFIT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
NOT_PLAIN: Final = re.compile('[\x00-\x1f&<>"\ud800-\udfff\ufffe\uffff]').search
REPLACEMENT: Final = "\ufffd"
"""What stands for what XML cannot hold."""


def xml_quoted(text: str) -> str:
    """Return a text as the value of an attribute, in its quotation marks."""
    if NOT_PLAIN(text) is None:  # nearly all are plain
        return f'"{text}"'
    return quoteattr(UNFIT.sub(REPLACEMENT, text))


def xml_text(text: str) -> str:
    """Return a text as it stands between tags."""
    if NOT_PLAIN(text) is None:
        return text
    return escape(UNFIT.sub(REPLACEMENT, text), {"\r": "&#13;"})

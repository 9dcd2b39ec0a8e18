"""Reads XML piece by piece with expat, and nothing of it that a log cannot hold.

A document type (DOCTYPE) is refused before anything of it is read, and with it every entity
that could be declared: neither "billion laughs" nor an external entity is ever resolved. So is
what is nested deeper than any log, and a single element of megabytes. A file that is not well
formed is refused as a whole, with its line.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final
from xml.parsers import expat

from salesflow.adapters.importers.event_logs.log_bytes import (
    LogBytes,
    declared_encoding,
    decoded,
)
from salesflow.errors import InputError

__all__ = ["XmlHandler", "XmlStream"]


DEPTH_MAX: Final = 100
PENDING_MAX: Final = 4 << 20
"""So many bytes one tag may have: expat keeps a tag whole until it ends."""
DECLARED = re.compile(r"""<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")
NOTHING_TAKEN: Final = "nothing of it was taken"


class XmlHandler:
    """What is told of an XML file: elements as they begin and end, and text in them."""

    stream: "XmlStream"
    """What tells it, and knows the line."""
    depth: int = 0
    """In how many elements one is; whoever takes their begins and ends counts them."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the beginning of an element."""
        raise NotImplementedError

    def end(self, name: str) -> None:
        """Take the end of an element."""
        raise NotImplementedError

    text: Callable[[str], None] | None = None
    """Takes text, in pieces; None where text says nothing."""


class XmlStream:
    """One XML file on its way to a handler."""

    def __init__(self, file: LogBytes, encoding: str | None) -> None:
        """`encoding` is the one somebody named, before what the file says of itself."""
        self.file = file
        if file.first_sign != "<":
            raise InputError(
                f"{file.name} is no XML, so it is no {file.kind}; a table is imported with"
                " `salesflow import table`"
            )
        self._encoding = encoding or self._declared()
        self._parser = expat.ParserCreate("utf-8")

    @property
    def line(self) -> int:
        """The line where the element begins that is told of."""
        return self._parser.CurrentLineNumber

    def tell(self, handler: XmlHandler) -> Iterator[None]:
        """Tell a handler of the whole file; yields after every piece of it.

        Raises:
            InputError: when it is not well formed, not in its encoding, cut off, or hostile.
        """
        parser = self._begun(handler)
        fed = 0
        for text in decoded(self.file, self._encoding):
            fed += len(text)
            self._feed(text, final=False)
            if fed - max(parser.CurrentByteIndex, 0) > PENDING_MAX:
                raise InputError(
                    f"{self.file.name}, line {self.line}: an element of more than"
                    f" {PENDING_MAX:,} bytes, which no log has; {NOTHING_TAKEN}"
                )
            if handler.depth > DEPTH_MAX:
                raise self.refusal(f"elements are nested deeper than {DEPTH_MAX}")
            yield
        self._feed(b"", final=True)
        yield

    def refusal(self, reason: str) -> InputError:
        """Return the error of a file that is XML, and no log."""
        return InputError(f"{self.file.name}, line {self.line}: {reason}; {NOTHING_TAKEN}")

    def _begun(self, handler: XmlHandler) -> expat.XMLParserType:
        parser = self._parser = expat.ParserCreate("utf-8")
        handler.stream = self
        parser.StartElementHandler = handler.start
        parser.EndElementHandler = handler.end
        parser.CharacterDataHandler = handler.text
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.buffer_text = True
        return parser

    def _refuse_doctype(self, *_: object) -> None:
        raise self.refusal(
            "declares a document type (DOCTYPE), which no log needs and which may hide"
            " entities without end; take the declaration out if you trust the file"
        )

    def _feed(self, text: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(text, final)
        except expat.ExpatError as error:
            cut = error.code in CUT_OFF
            what = "is cut off" if cut else "is not well-formed XML"
            raise InputError(
                f"{self.file.name}, line {error.lineno}: {what}"
                f" ({expat.ErrorString(error.code)}); {NOTHING_TAKEN}"
            ) from error

    def _declared(self) -> str:
        """Return what the file says of its encoding: its byte order mark, or its first line."""
        start = self.file.start
        said = DECLARED.search(start[:1000].decode("ascii", "replace"))
        name = said[1] if said else "utf-8"
        plain = "utf-8" if name.casefold() in {"us-ascii", "ascii"} else name
        return declared_encoding(start, plain)


CUT_OFF: Final = frozenset(
    expat.errors.codes[each]
    for each in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)
"""What expat says of a file that ends too early."""

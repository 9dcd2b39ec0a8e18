"""Opens an event log as bytes: plain or packed by gzip, never more of it than is sane.

An archive that unpacks to many times what a log does is refused while it is unpacked, so that
a small file costs neither time nor memory. What a file is when it is no log is said at once.
"""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

from salesflow.adapters.importers.at_rest import FileAtRest
from salesflow.adapters.importers.csv import BOMS, KINDS
from salesflow.domain.wording import quoted, shortened
from salesflow.errors import InputError

__all__ = ["LogBytes", "declared_encoding", "decoded"]


CHUNK: Final = 1 << 16
GZIP: Final = b"\x1f\x8b"
SQLITE: Final = b"SQLite format 3\0"
UNPACKED_MAX: Final = 20_000_000_000
LIKELY_RATIO: Final = 250
"""What repeats itself like a log is packed to a hundredth; to less only on purpose."""
LOOKED_AT: Final = 64 << 20
"""From so many bytes on an archive that unpacks to too much is stopped."""


class LogBytes(FileAtRest):
    """The bytes of a log, as often as one likes."""

    def __init__(self, path: str | Path, kind: str) -> None:
        """`kind` is what it should be, as in "XES file"."""
        super().__init__(path, kind)
        with self._opened() as file:
            self.packed = file.read(len(GZIP)) == GZIP
        self.start = next(self.chunks(), b"")
        """The beginning of it, unpacked."""
        self._ensure_something()

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a database."""
        return self.start.startswith(SQLITE)

    @property
    def first_sign(self) -> str:
        """The first sign that is no space, whatever the encoding: `<` of XML, `{` of JSON."""
        text = self.start[:1000].replace(b"\0", b"")
        for mark in (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            text = text.removeprefix(mark)
        return text.lstrip()[:1].decode("ascii", "replace")

    def chunks(self) -> Iterator[bytes]:
        """Read it piece by piece.

        Raises:
            InputError: when it is cut off or damaged, or unpacks to more than is sane.
        """
        read = 0
        try:
            with ExitStack() as exit:
                raw = exit.enter_context(self._opened())
                file: IO[bytes] = raw
                if self.packed:
                    file = exit.enter_context(gzip.open(raw, "rb"))  # type: ignore[arg-type]
                while chunk := file.read(CHUNK):
                    read += len(chunk)
                    self._ensure_sane(read)
                    yield chunk
        except EOFError as error:
            raise InputError(
                f"{self.name} is cut off: its archive ends in the middle; nothing of it was"
                " taken. Copy or download it again"
            ) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise InputError(
                f"{self.name} is a damaged archive ({error}); nothing of it was taken. Copy or"
                " download it again"
            ) from error
        except OSError as error:
            raise self.unreadable(error) from error

    def _opened(self) -> IO[bytes]:
        try:
            return self.at_rest.open("rb")
        except OSError as error:
            raise self.unreadable(error) from error

    def _ensure_sane(self, read: int) -> None:
        if read > UNPACKED_MAX:
            raise InputError(f"{self.name} has more than {UNPACKED_MAX:,} bytes")
        if not self.packed or read < LOOKED_AT:
            return
        if read > self.at_rest.stat().st_size * LIKELY_RATIO:
            raise InputError(
                f"{self.name} unpacks to more than {LIKELY_RATIO} times its size, which no log"
                " does; if it is one all the same, unpack it first"
            )

    def _ensure_something(self) -> None:
        if not self.start.strip():
            raise InputError(f"{self.name} is empty")
        if self.is_sqlite:
            return
        kinds = [what for start, what in KINDS if self.start.startswith(start)]
        if kinds:
            raise InputError(f"{self.name} is {kinds[0]}, not an {self.kind}; unpack it first")


def declared_encoding(start: bytes, otherwise: str = "utf-8") -> str:
    """Return what the beginning of a file says of its encoding, by its byte order mark."""
    marked = next((name for bom, name in BOMS if start.startswith(bom)), None)
    if marked is not None:
        return marked
    for wide in WIDE:
        if start[:8].startswith(tuple(sign.encode(wide) for sign in "<{[")):
            return wide
    return otherwise


def decoded(file: LogBytes, encoding: str) -> Iterator[bytes]:
    """Read a file piece by piece as UTF-8, whatever its encoding.

    Raises:
        InputError: when nobody knows the encoding, or the file is in another one.
    """
    try:
        "".encode(encoding)
    except (LookupError, UnicodeError) as error:
        raise InputError(
            f"{file.name} says it is in the encoding {quoted(shortened(encoding))}, which"
            ' nobody knows; name another one in the mapping: [file] encoding = "utf-8"'
        ) from error
    decoder, line = codecs.getincrementaldecoder(encoding)("strict"), 1
    chunk = b""
    try:
        for chunk in file.chunks():
            yield decoder.decode(chunk).encode("utf-8")
            line += chunk.count(b"\n")
        yield decoder.decode(b"", final=True).encode("utf-8")
    except UnicodeError as error:
        line += chunk[: getattr(error, "start", 0)].count(b"\n")
        raise InputError(
            f"{file.name} is not {encoding} text (line {line}); nothing of it was taken. Name"
            ' its encoding in the mapping: [file] encoding = "gb18030" (Chinese), "cp1252"'
            " (Western) …"
        ) from error


WIDE: Final = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")

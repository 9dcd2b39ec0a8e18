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
from salesflow.adapters.importers.csv import KINDS
from salesflow.errors import InputError

__all__ = ["LogBytes"]


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

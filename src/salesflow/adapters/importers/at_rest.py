"""Files of strangers that are read more than once: as they lie, or copied from what comes in.

Standard input and a pipe can be read only once, so what comes through them is copied to a
temporary file. Folders and devices are refused at once.
"""

import os
import stat
import sys
import tempfile
import weakref
from pathlib import Path
from typing import IO, Final

from salesflow.domain.wording import shortened
from salesflow.errors import InputError

__all__ = ["FileAtRest"]


COPY_MAX: Final = 1 << 30


class FileAtRest:
    """A file, as one may open it again and again."""

    def __init__(self, path: str | Path, kind: str) -> None:
        """`kind` is what it should be, for whoever names a folder."""
        self.name = "standard input" if str(path) == "-" else shortened(path)
        self.kind = kind
        self.at_rest = self._readable_twice(path)
        """What is read: the file, or the copy of what came through a pipe."""

    def unreadable(self, error: Exception) -> InputError:
        """Return the error of a file that cannot be read."""
        because = getattr(error, "strerror", None) or str(error)
        return InputError(f"{self.name} cannot be read: {shortened(because)}")

    def _readable_twice(self, path: str | Path) -> Path:
        """Return a file that can be read twice: itself, or a copy of what comes in."""
        try:
            if str(path) == "-":
                return self._copied(sys.stdin.buffer)
            mode = Path(path).stat().st_mode
            if stat.S_ISDIR(mode):
                raise InputError(f"{self.name} is a folder; name the {self.kind} in it")
            if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                raise InputError(f"{self.name} is a device, not a file; - is standard input")
            if stat.S_ISREG(mode) and not str(path).startswith("/dev/"):
                return Path(path)
            with Path(path).open("rb") as incoming:
                return self._copied(incoming)
        except FileNotFoundError as error:
            raise InputError(f"there is no file {self.name}") from error
        except (OSError, ValueError, AttributeError) as error:
            raise self.unreadable(error) from error

    def _copied(self, incoming: IO[bytes]) -> Path:
        handle, name = tempfile.mkstemp(prefix="salesflow-")
        weakref.finalize(self, os.unlink, name)
        with os.fdopen(handle, "wb") as copy:
            while chunk := incoming.read(1 << 20):
                copy.write(chunk)
                if copy.tell() > COPY_MAX:
                    raise InputError(f"{self.name} goes on for more than {COPY_MAX:,} bytes")
        return Path(name)

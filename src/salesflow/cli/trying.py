"""What may be refused is tried first, where something would stay behind of it.

What founds a log can never be taken away again. A new file is (see `Desk.record`); a new tenant
of a database that is there already is not, so an import into one is rehearsed in memory before;
not where it comes from a pipe with a name, which can be read only once.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile

__all__ = ["readable_again"]

STANDARD_INPUT = "-"


@contextmanager
def readable_again(file: Path, *, needed: bool) -> Iterator[Callable[[], object] | None]:
    """Keep standard input, where that is the file, so that it can be read a second time.

    What is given begins it anew; None where that is not needed.
    """
    if not needed or file.is_fifo():
        yield None
        return
    if str(file) != STANDARD_INPUT:
        yield lambda: None
        return
    given = sys.stdin
    with TemporaryFile() as kept:
        shutil.copyfileobj(given.buffer, kept)
        kept.seek(0)
        sys.stdin = TextIOWrapper(kept)
        try:
            yield lambda: kept.seek(0)
        finally:
            sys.stdin.detach()
            sys.stdin = given

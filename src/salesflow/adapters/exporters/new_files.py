"""Files that an export makes: whole under their names or not there, never over another one.

What is written grows beside its place, and gets its name once it is on the disk; so a file of
that name is a whole export, also where the process was killed. A file that is there already is
left alone unless `force` is said, and the database itself even then. `-` is standard output,
and an ending `.gz` packs what is written, the same bytes each time.
"""

import gzip
import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Final, cast

from salesflow.domain.wording import shortened
from salesflow.errors import InputError

__all__ = [
    "STANDARD_OUTPUT",
    "ensure_new",
    "named_once_whole",
    "new_folder",
    "new_path",
    "new_stream",
]


STANDARD_OUTPUT: Final = "-"
PACKED: Final = ".gz"
BUFFER_BYTES: Final = 1 << 20


def ensure_new(file: Path, *, force: bool, database: Path | None) -> None:
    """Refuse a place where nothing can or may be written, before an hour of exporting.

    Raises:
        InputError: for a folder, a place in no folder, a file that is there while nobody said
            `force`, and the database that is exported.
    """
    try:
        is_folder, exists = file.is_dir(), os.path.lexists(file)
        has_home = file.absolute().parent.is_dir()
        is_database = database is not None and exists and os.path.samefile(file, database)
    except (OSError, ValueError) as error:
        raise InputError(f"{shortened(repr(str(file)))} cannot name a file: {error}") from error
    if is_folder:
        raise InputError(f"{shortened(file)} is a folder; name a file in it")
    if is_database:
        raise InputError(f"{shortened(file)} is the database that is exported; name a new file")
    if exists and not force:
        raise InputError(
            f"{shortened(file)} is there already; name a new file, or say --force to replace it"
        )
    if not has_home:
        raise InputError(
            f"there is no folder {shortened(file.absolute().parent)}; make it first"
        )


@contextmanager
def new_path(
    file: Path, *, force: bool = False, database: Path | None = None
) -> Iterator[Path]:
    """Yield a path to write to, which is named as wanted once all of it is there.

    Raises:
        InputError: as `ensure_new`, and where it cannot be written.
    """
    ensure_new(file, force=force, database=database)
    part = file.with_name(f".salesflow-export-{token_hex(4)}.part")
    try:
        with named_once_whole(part, file, Path.replace if force else _name):
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            yield part
    except OSError as error:
        raise InputError(f"{shortened(file)} cannot be written: {error.strerror}") from error


@contextmanager
def named_once_whole(
    part: Path, file: Path, name: Callable[[Path, Path], object] = Path.replace
) -> Iterator[Path]:
    """Yield a path to write to, which takes the place of a file once all of it is there."""
    try:
        yield part
        name(part, file)
    finally:
        with suppress(OSError):
            part.unlink()


@contextmanager
def new_stream(
    file: Path,
    *,
    force: bool = False,
    database: Path | None = None,
    named: Path | None = None,
) -> Iterator[BinaryIO]:
    """Yield a stream of bytes into a new file, packed where its name ends in `.gz`.

    Or where another name does for which it is written.

    Raises:
        InputError: as `new_path`.
    """
    if str(file) == STANDARD_OUTPUT:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with new_path(file, force=force, database=database) as part, part.open("wb") as raw:
        if (named or file).suffix == PACKED:
            with gzip.GzipFile("", "wb", 6, raw, mtime=0) as packing:
                packed = io.BufferedWriter(cast("io.RawIOBase", packing), BUFFER_BYTES)
                yield packed
                packed.flush()
        else:
            yield raw
        raw.flush()
        os.fsync(raw.fileno())


@contextmanager
def new_folder(folder: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a folder to fill, which is named as wanted once all files of it are there.

    Raises:
        InputError: for a file of that name, a folder that holds something while nobody said
            `force`, or that is no export, and where it cannot be written.
    """
    _ensure_new_folder(folder, force=force)
    part = folder.absolute().with_name(f".salesflow-export-{token_hex(4)}.part")
    try:
        part.mkdir(0o700)
        yield part
        if folder.is_dir():
            for file in sorted(part.iterdir(), key=lambda each: each.suffix == ".json"):
                file.replace(folder / file.name)
        else:
            part.rename(folder)
    except OSError as error:
        raise InputError(f"{shortened(folder)} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _ensure_new_folder(folder: Path, *, force: bool) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError(f"{shortened(folder)} is a file; name a folder for the tables")
    if not folder.absolute().parent.is_dir():
        raise InputError(
            f"there is no folder {shortened(folder.absolute().parent)}; make it first"
        )
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise InputError(
            f"{shortened(folder)} holds files already; name a new folder, or say --force to"
            " replace those of the same names"
        )


def _name(part: Path, file: Path) -> None:
    """Give a whole file its name; whoever took the name meanwhile keeps it."""
    try:
        os.link(part, file)
    except FileExistsError:
        raise InputError(f"{shortened(file)} was made by somebody else meanwhile") from None
    except OSError:  # a file system without links
        part.rename(file)

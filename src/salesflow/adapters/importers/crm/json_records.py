"""Reads the records of a JSON file one by one: an answer of an interface, or lines of JSON.

It is a module of its own, as the one that knows JSON. Records stand in an array, alone or
within what the interface wraps around it ("data", "results"), one a line, or the whole file is
one record. Only one of them is in memory at a time. Numbers stay as they are written: an amount
never becomes a float.
"""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from salesflow.adapters.importers.csv import BadRow
from salesflow.domain.wording import Message, shortened
from salesflow.errors import InputError

__all__ = ["JsonFile", "JsonRecord", "ijson_module", "is_json", "without_numbers"]


WRAPPERS: Final = frozenset(
    {
        "data",
        "datalist",
        "deals",
        "items",
        "list",
        "pipeline",
        "pipelines",
        "records",
        "recordresult",
        "result",
        "results",
        "stages",
        "value",
        "__timeline",
    }
)
"""What interfaces call the array of their records, or what stands around it."""
MARK: Final = b"\xef\xbb\xbf"
LOOKED_AT: Final = 20
"""From so many records is told which fields there are."""
LINE_MAX: Final = 50_000_000
MISSING: Final = (
    "JSON files are read by ijson, which is not installed: python -m pip install"
    " 'salesflow[cli]'"
)


class JsonRecord(NamedTuple):
    """A record and its number in the file, from 1."""

    number: int
    values: Mapping[str, Any]


class JsonFile:
    """One JSON file: the fields of its records, and these as often as one likes."""

    def __init__(self, path: Path) -> None:
        self.at_rest = path
        self.name = shortened(path)
        self.blank_lines = 0
        self._lines = _has_lines(path)
        self.header: list[str] = []
        for each in islice(self.rows(), LOOKED_AT):
            if isinstance(each, JsonRecord):
                self.header += [key for key in each.values if key not in self.header]

    def rows(self) -> Iterator[JsonRecord | BadRow]:
        """Read the records; of what is no JSON, or no object, say so in its place."""
        return self._read_lines() if self._lines else self._read_array()

    def _read_lines(self) -> Iterator[JsonRecord | BadRow]:
        with self._open() as file:
            number = 0
            while line := file.readline(LINE_MAX):
                number += 1
                if not line.strip():
                    self.blank_lines += 1
                    continue
                try:
                    values = json.loads(line, parse_float=str, parse_int=str)
                except (ValueError, RecursionError) as error:
                    yield BadRow(number, Message("is no JSON: {why}", why=str(error)))
                    continue
                yield _as_record(number, values)

    def _read_array(self) -> Iterator[JsonRecord | BadRow]:
        reader = ijson_module()
        number = 0
        try:
            with self._open() as file:
                prefix = _prefix(reader, file)
            with self._open() as file:
                for values in reader.items(file, prefix):
                    number += 1
                    yield _as_record(number, without_numbers(values))
        except (reader.JSONError, UnicodeError, RecursionError) as error:
            reason = Message(
                "is no JSON from here on, so that nothing behind it is read: {why}",
                why=shortened(error),
            )
            yield BadRow(number + 1, reason)

    def _open(self) -> IO[bytes]:
        try:
            file = self.at_rest.open("rb")
        except OSError as error:
            raise InputError(f"{self.name} cannot be read: {error.strerror}") from error
        if file.read(len(MARK)) != MARK:
            file.seek(0)
        return file


def is_json(path: Path) -> bool:
    """Return whether a file begins as JSON does."""
    try:
        with path.open("rb") as file:
            start = file.read(1_000).removeprefix(MARK).lstrip()
    except OSError:
        return False
    return start[:1] in (b"{", b"[")


def without_numbers(value: object) -> object:
    """Return what JSON holds with every number as it is written."""
    match value:
        case dict():
            return {key: without_numbers(each) for key, each in value.items()}
        case list():
            return [without_numbers(each) for each in value]
        case bool() | None | str():
            return value
        case int() | Decimal():
            return str(value)
        case _:
            return value


def _as_record(number: int, values: object) -> JsonRecord | BadRow:
    if isinstance(values, dict):
        return JsonRecord(number, values)
    return BadRow(number, Message("is no object of JSON"))


def _has_lines(path: Path) -> bool:
    """Return whether a file has an object a line, and more than one."""
    with path.open("rb") as file:
        lines = (line for line in (file.readline(LINE_MAX) for _ in range(3)) if line.strip())
        begun = [line.removeprefix(MARK).strip()[:1] for line in lines]
    if begun[:2] != [b"{", b"{"]:
        return False
    with path.open("rb") as file:
        try:
            return isinstance(json.loads(file.readline(LINE_MAX).removeprefix(MARK)), dict)
        except ValueError:
            return False


def _prefix(reader: Any, file: IO[bytes]) -> str:  # noqa: ANN401 - that module
    """Return where the records stand, as ijson says it; empty where the file is one record."""
    for prefix, event, _ in reader.parse(file):
        if event != "start_array":
            continue
        steps = [step for step in prefix.split(".") if step]
        if len(steps) <= len(WRAPPERS) and all(s.casefold() in WRAPPERS for s in steps):
            return f"{prefix}.item" if prefix else "item"
    return ""


def ijson_module() -> Any:  # noqa: ANN401 - a module that may be missing
    """Return the module that reads JSON piece by piece.

    Raises:
        InputError: when it is not installed.
    """
    try:
        import ijson
    except ImportError as error:
        raise InputError(MISSING) from error
    return ijson

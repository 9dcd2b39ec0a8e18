"""Reads a mapping from a TOML file, and says what is wrong with it.

A complaint names the key, the line and what is allowed instead. The line is found in the text
itself, since TOML readers forget where a value stood; inside an inline table it is the line
of the table.
"""

import re
import tomllib
from collections import abc
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from salesflow.adapters.importers.errors import MappingError, Path, allowed
from salesflow.adapters.importers.table.mapping import NamedProcess, TableMapping
from salesflow.adapters.importers.table.process import SOURCE, declared_process
from salesflow.domain.process import ProcessVersion
from salesflow.domain.wording import reason_of, shortened
from salesflow.errors import InputError

__all__ = ["MappingFile", "read_mapping"]


MAPPING_MAX = 256_000
NESTING_MAX = 60
DIGITS_MAX = 40
PARTS_MAX = 30
LINE_MAX = 1_000
"""In longer lines no key is looked for."""
TOO_DEEP = f"is nested deeper than {NESTING_MAX} tables and lists"
MANY_PARTS = re.compile(
    rf"""(?<![\w-])(?:(?:"[^"\n]*"|'[^'\n]*'|[\w-]++)[ \t]*+\.[ \t]*+){{{PARTS_MAX - 1}}}"""
)
HEADER = re.compile(r"^\s*(\[\[?)([^\[\]]+|.*?)\]\]?\s*(?:#.*)?$")
KEY = re.compile(
    r"""^\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*="""
)
NAME = re.compile(r""""([^"]*)"|'([^']*)'|([\w-]+)""")


class MappingFile:
    """A mapping with the name and the text it came from."""

    def __init__(
        self, mapping: TableMapping, name: str, text: str = "", folder: FilePath | None = None
    ) -> None:
        self.mapping = mapping
        self.name = name
        self.folder = folder
        """Where it lies; None when it came from no file."""
        self._lines = _lines_of(text)

    @property
    def timezone(self) -> str | None:
        """The business time zone the mapping names; open a new database in it."""
        return self.mapping.timezone

    def explain(self, error: MappingError) -> InputError:
        """Say where in the file an error is."""
        return _explained(self.name, self._lines, error)


def read_mapping(path: str | FilePath) -> MappingFile:
    """Read a mapping from a file.

    Raises:
        InputError: when there is no such file, it is no TOML, or no mapping.
    """
    file = FilePath(path)
    text = _text_of(file)
    if MANY_PARTS.search(text):
        raise InputError(f"{file} holds a dotted key of {PARTS_MAX} parts or more")
    try:
        raw = tomllib.loads(text.replace("\r\n", "\n"), parse_float=Decimal)
    except RecursionError as error:
        raise InputError(f"{file}: {TOO_DEEP}") from error
    except (ValueError, ArithmeticError) as error:
        raise InputError(f"{file} is not TOML: {shortened(error)}") from error
    try:
        return MappingFile(mapping_of(raw), str(file), text, file.parent)
    except MappingError as error:
        raise _explained(str(file), _lines_of(text), error) from error


def _text_of(file: FilePath) -> str:
    """Read a mapping's text, and no more than a mapping can have."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAPPING_MAX + 1)
    except FileNotFoundError as error:
        raise InputError(f"there is no mapping file {file}") from error
    except IsADirectoryError as error:
        raise InputError(f"{file} is a folder, not a mapping file") from error
    except (OSError, ValueError) as error:
        because = getattr(error, "strerror", None) or error
        raise InputError(f"{file} cannot be read: {because}") from error
    if len(content) > MAPPING_MAX:
        raise InputError(
            f"{file} is no mapping: it has more than {MAPPING_MAX:,} bytes; long maps are"
            " joined as tables, see [lookups]"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 text; a mapping is written in TOML") from error


def mapping_of(raw: abc.Mapping[str, Any]) -> TableMapping:
    """Read a mapping from what TOML gives.

    Raises:
        MappingError: for the first thing that is wrong.
    """
    _ensure_bounded(raw)
    try:
        mapping = TableMapping.model_validate(raw)
    except ValidationError as error:
        raise _translated(error, raw, TableMapping, ()) from error
    process = mapping.process
    try:
        declared_process(process)
    except ValidationError as error:
        model = ProcessVersion if "stages" in (process or {}) else NamedProcess
        raise _translated(error, process or {}, model, ("process",)) from error
    return mapping


def _ensure_bounded(raw: abc.Mapping[str, Any]) -> None:
    """Refuse what is nested too deeply, and numbers nobody writes."""
    waiting: list[tuple[Path, object]] = [((), raw)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > NESTING_MAX:
            raise MappingError(TOO_DEEP, path[:1])
        if isinstance(value, dict):
            waiting += [((*path, key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, i), inner) for i, inner in enumerate(value)]
        elif isinstance(value, Decimal):
            if not value.is_finite() or abs(value.adjusted()) > DIGITS_MAX:
                raise MappingError("is no number that can be read in a table", path)
        elif isinstance(value, int) and abs(value) >= 10**DIGITS_MAX:
            raise MappingError("is no number that can be read in a table", path)


def _translated(
    error: ValidationError, raw: abc.Mapping[str, Any], model: type[BaseModel], path: Path
) -> MappingError:
    """Turn pydantic's first complaint into ours: unknown keys before missing ones."""
    found = error.errors(include_url=False)
    ranks = {"extra_forbidden": 0, "missing": 2}
    first = min(found, key=lambda one: ranks.get(one["type"], 1))
    where = _existing(first["loc"], raw)
    if first["type"] == "extra_forbidden":
        return MappingError(
            allowed(str(where[-1]), _keys_at(model, where[:-1]), "key"), (*path, *where)
        )
    if first["type"] == "missing":
        name = str(first["loc"][-1])
        return MappingError(f"{name} is missing", (*path, *where))
    return MappingError(reason_of(first), (*path, *where))


def _existing(loc: tuple[str | int, ...], raw: object) -> Path:
    """Keep the parts of a place that are in the document; pydantic puts its own between."""
    path: list[str | int] = []
    here: Any = raw
    for part in loc:
        inside = isinstance(here, dict) and part in here
        if not inside and not (
            isinstance(here, list) and isinstance(part, int) and part < len(here)
        ):
            continue
        here = here[part]
        path.append(part)
    return tuple(path)


def _keys_at(model: type[BaseModel], path: Path) -> list[str]:
    """Give the keys a mapping may have at a place."""
    here: Any = model
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            fields = {field.alias or name: field for name, field in here.model_fields.items()}
            field = fields.get(str(part))
            here = _inner(field.annotation) if field else None
        elif get_origin(here) in (dict, tuple, list):
            here = _inner(get_args(here)[1 if get_origin(here) is dict else 0])
    if not (isinstance(here, type) and issubclass(here, BaseModel)):
        return []
    keys = [field.alias or name for name, field in here.model_fields.items()]
    return [*keys, SOURCE] if here.__name__ in {"Stage", "Label"} else keys


def _inner(annotation: object) -> object:
    while get_origin(annotation) is Annotated or (
        get_origin(annotation) not in (None, dict, tuple, list)
    ):
        args = [arg for arg in get_args(annotation) if arg is not type(None)]
        annotation = args[0]
    return annotation


def _explained(name: str, lines: abc.Mapping[Path, int], error: MappingError) -> InputError:
    if not error.path:
        return InputError(f"{name}: {error}")
    line = next(
        (
            lines[error.path[:n]]
            for n in range(len(error.path), 0, -1)
            if error.path[:n] in lines
        ),
        None,
    )
    where = name if line is None else f"{name}, line {line}"
    return InputError(f"{where}: {_dotted(error.path)}: {error}")


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += ("." if text else "") + part
    return text


def _lines_of(text: str) -> dict[Path, int]:
    """Find the line of every table and key written on a line of its own."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    here: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LINE_MAX:
            continue
        header = HEADER.match(line)
        if header and not KEY.match(line):
            here = _entered(_names(header[2]), counts, array=header[1] == "[[")
            lines.setdefault(here, number)
        elif key := KEY.match(line):
            lines.setdefault((*here, *_names(key[1])), number)
    return lines


def _entered(names: list[str], counts: dict[Path, int], *, array: bool) -> Path:
    path: Path = ()
    for i, name in enumerate(names):
        path = (*path, name)
        if array and i == len(names) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _names(text: str) -> list[str]:
    return [first or second or third for first, second, third in NAME.findall(text)]

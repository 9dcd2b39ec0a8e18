"""Reads a mapping and its sales process from a TOML file, and says what is wrong with it.

A complaint names the key, the line and what is allowed instead. The line is found in the text
itself, since TOML readers forget where a value stood; inside an inline table it is the line
of the table.
"""

import re
import tomllib
from collections import abc
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ValidationError

from salesflow.adapters.event_store.log import EventLog
from salesflow.adapters.importers.errors import KeyPath, MappingError, allowed
from salesflow.adapters.importers.process_versions import ensure_same, published_versions
from salesflow.adapters.importers.table.mapping import NamedProcess, TableMapping
from salesflow.domain.process import Label, ProcessVersion
from salesflow.domain.standard_process import STANDARD
from salesflow.domain.wording import Message, reason_of, shortened
from salesflow.errors import InputError

__all__ = [
    "MappingFile",
    "ProcessPlan",
    "declared_process",
    "find_process",
    "read_mapping",
]


# The sales process a mapping speaks of: defined in it, published already, or the standard one.
#
# A process defined in a mapping is a version like any other: it is published when it is not
# yet, and refused when what is published under that key and version is something else. Beside
# the fields of a process version a stage and a loss reason may say under which `source` values
# the table knows them.

SOURCE = "source"


class ProcessPlan(NamedTuple):
    """A process version and how the table names its stages and loss reasons."""

    version: ProcessVersion
    defined: bool
    """Whether the mapping defines it (and it may have to be published)."""
    stages: Mapping[str, str]
    """From what the table says to the key of a stage."""
    reasons: Mapping[str, str]

    @classmethod
    def of(
        cls,
        version: ProcessVersion,
        *,
        defined: bool = False,
        stages: Mapping[str, str] | None = None,
        reasons: Mapping[str, str] | None = None,
    ) -> "ProcessPlan":
        """Return the process; tables name stages and reasons by key, name, or as mapped."""
        return cls(
            version,
            defined,
            {**_by_label(version.stages), **(stages or {})},
            {**_by_label(version.loss_reasons), **(reasons or {})},
        )


def declared_process(raw: Mapping[str, Any] | None) -> ProcessPlan | NamedProcess:
    """Read the `[process]` of a mapping: a definition, or the name of a published one.

    Raises:
        MappingError: when two stages claim the same value of the table.
        ValidationError: when it is no process version; its places begin behind `process`.
    """
    if raw is None:
        return ProcessPlan.of(STANDARD)
    if "stages" not in raw:
        return NamedProcess.model_validate(raw)
    bare = dict(raw)
    claims: dict[str, dict[str, str]] = {}
    for part in ("stages", "loss_reasons"):
        claims[part] = {}
        if isinstance(bare.get(part), list):
            bare[part] = [
                _without_source(entry, claims[part], ("process", part, i))
                for i, entry in enumerate(bare[part])
            ]
    version = ProcessVersion.__pydantic_validator__.validate_python(bare)
    return ProcessPlan.of(
        version, defined=True, stages=claims["stages"], reasons=claims["loss_reasons"]
    )


def find_process(declared: ProcessPlan | NamedProcess, log: EventLog) -> ProcessPlan:
    """Return the process version a mapping speaks of.

    Raises:
        MappingError: when it is named but not published, or published with other content.
    """
    if isinstance(declared, NamedProcess):
        published = published_versions(log, declared.key)
        process = published.get(declared.version)
        if process is None:
            raise MappingError(
                f"process {declared.key!r} version {declared.version} is not published;"
                " define its stages in [process], or name one that is",
                ("process",),
            )
        return ProcessPlan.of(process)
    if declared.defined:
        ensure_same(declared.version, published_versions(log, declared.version.key))
    return declared


def _without_source(entry: object, claims: dict[str, str], path: KeyPath) -> object:
    if not isinstance(entry, dict) or SOURCE not in entry:
        return entry
    bare = dict(entry)
    sources = bare.pop(SOURCE)
    values = [sources] if isinstance(sources, str) else sources
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise MappingError(
            'source is a text or a list of texts: source = ["Won"]', (*path, SOURCE)
        )
    for value in values:
        if claims.setdefault(value, str(bare.get("key"))) != bare.get("key"):
            raise MappingError(
                f"{value!r} is the source of both {claims[value]!r} and {bare.get('key')!r}",
                (*path, SOURCE),
            )
    return bare


def _by_label(labels: Iterable[Label]) -> dict[str, str]:
    names: dict[str, str] = {}
    for label in labels:
        for name in (label.key, label.name_en, label.name_zh):
            names.setdefault(name, label.key)
    for label in labels:
        names[label.key] = label.key
    return names


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
        self, mapping: TableMapping, name: str, text: str = "", folder: Path | None = None
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
        """Return an error with its place in the file."""
        return _explained(self.name, self._lines, error)


def read_mapping(path: str | Path) -> MappingFile:
    """Read a mapping from a file.

    Raises:
        InputError: when there is no such file, it is no TOML, or no mapping.
    """
    file = Path(path)
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


def _text_of(file: Path) -> str:
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
    waiting: list[tuple[KeyPath, object]] = [((), raw)]
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
    error: ValidationError, raw: abc.Mapping[str, Any], model: type[BaseModel], path: KeyPath
) -> MappingError:
    """Return pydantic's first complaint in our words: unknown keys before missing ones."""
    errors = error.errors(include_url=False)
    ranks = {"extra_forbidden": 0, "missing": 2}
    first = min(errors, key=lambda one: ranks.get(one["type"], 1))
    where = _existing(first["loc"], raw)
    if first["type"] == "extra_forbidden":
        return MappingError(
            allowed(str(where[-1]), _keys_at(model, where[:-1]), "key"), (*path, *where)
        )
    if first["type"] == "missing":
        name = str(first["loc"][-1])
        return MappingError(f"{name} is missing", (*path, *where))
    reason = _no_section(first, where) or reason_of(first)
    return MappingError(reason, (*path, *where))


def _no_section(error: abc.Mapping[str, Any], where: KeyPath) -> Message | None:
    """Say of a part that is no table how it is written: `[process]`, and what is in it."""
    if not error["type"].startswith(("dict_", "model_")) or len(where) != 1:
        return None
    given = error["input"]
    if where[0] == "process" and isinstance(given, str):
        return Message(
            "is a section of its own: [process] and, below it, key = {key}", key=f'"{given}"'
        )
    return Message("is a section of its own: write [{name}]", name=str(where[0]))


def _existing(loc: tuple[str | int, ...], raw: object) -> KeyPath:
    """Return the parts of a place that are in the document; pydantic puts its own between."""
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


def _keys_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys a mapping may have at a place."""
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


def _explained(name: str, lines: abc.Mapping[KeyPath, int], error: MappingError) -> InputError:
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


def _dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += ("." if text else "") + part
    return text


def _lines_of(text: str) -> dict[KeyPath, int]:
    """Find the line of every table and key written on a line of its own."""
    lines: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    here: KeyPath = ()
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


def _entered(names: list[str], counts: dict[KeyPath, int], *, array: bool) -> KeyPath:
    path: KeyPath = ()
    for i, name in enumerate(names):
        path = (*path, name)
        if array and i == len(names) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _names(text: str) -> list[str]:
    return [first or second or third for first, second, third in NAME.findall(text)]

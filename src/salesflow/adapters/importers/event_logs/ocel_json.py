"""Reads OCEL 2.0 written in JSON into a store, one event or object at a time.

Numbers stay as they are written. A key that stands twice in one object, and a record nested
deeper or larger than any is, are refused.

It is a module of its own, as one of three ways in which OCEL is written.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from salesflow.adapters.importers.crm.json_records import ijson_module
from salesflow.adapters.importers.errors import RowError
from salesflow.adapters.importers.event_logs.log_bytes import (
    LogBytes,
    declared_encoding,
    decoded,
)
from salesflow.adapters.importers.event_logs.ocel_store import (
    ObjectChange,
    OcelStore,
    Related,
    ToldEvent,
)
from salesflow.domain.time import Instant
from salesflow.domain.wording import quoted, shortened
from salesflow.errors import InputError

__all__ = ["read_json"]


RECORD_BYTES_MAX: Final = 16 << 20
DEPTH_MAX: Final = 8
DIGITS_MAX: Final = 40
IN_LIST: Final = 2
"""How deep the records of a section stand."""
SECTIONS: Final = ("eventTypes", "objectTypes", "events", "objects")
OLD: Final = frozenset({"ocel:global-log", "ocel:events", "ocel:objects"})
NOTHING_TAKEN: Final = "nothing of it was taken"
ReadInstant = Callable[[str], Instant | None]


def read_json(
    file: LogBytes, store: OcelStore, instant_of: ReadInstant, encoding: str | None
) -> None:
    """Read a file into a store.

    Raises:
        InputError: when it is no JSON to its end, or no OCEL 2.0.
    """
    found: set[str] = set()
    for section, record in _records(file, encoding):
        found.add(section)
        if record is None:
            continue
        match section:
            case "events":
                store.add_event(_event(record))
            case "objects":
                _take_object(record, store, instant_of)
            case "eventTypes":
                store.declare_event(_names(record))
            case "objectTypes":
                _declare(record, store)
            case _:
                store.pass_over(section)
    missing = [name for name in ("events", "objects") if name not in found]
    if missing:
        raise InputError(
            f"is JSON, but no OCEL 2.0: it has no list {quoted(missing[0])}; {NOTHING_TAKEN}"
        )


class _Source:
    """Hands out the bytes of a file, and no more than a record may have at a time."""

    def __init__(self, file: LogBytes, encoding: str) -> None:
        self._chunks = decoded(file, encoding)
        self.since = 0
        """Bytes handed out since the last record."""

    def read(self, size: int = -1) -> bytes:
        """Return the next piece, whatever size is asked for."""
        if size == 0:  # by this it is told whether these are bytes or texts
            return b""
        chunk = next(self._chunks, b"")
        self.since += len(chunk)
        if self.since > RECORD_BYTES_MAX:
            raise InputError(
                f"has an event or an object of more than {RECORD_BYTES_MAX:,} bytes, which no"
                f" log has; {NOTHING_TAKEN}"
            )
        return chunk


def _records(file: LogBytes, encoding: str | None) -> Iterator[tuple[str, object]]:
    """Read the records of all sections; None begins a section."""
    reader = ijson_module()
    source = _Source(file, encoding or declared_encoding(file.start))
    number = 0
    try:
        builder = _Sections()
        for kind, value in reader.basic_parse(source):
            ready = builder.take(kind, value)
            if ready is not None:
                source.since = 0
                number += ready[0] == "events"
                yield ready
    except InputError:
        raise
    except (reader.JSONError, ValueError) as error:
        raise InputError(
            f"is no JSON to its end (behind event {number:,}): {shortened(_first_line(error))};"
            f" {NOTHING_TAKEN}"
        ) from error


def _first_line(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    lines = text.strip().splitlines()
    return lines[0] if lines else type(error).__name__


class _Sections:
    """Builds the records of an OCEL file out of what is read of it."""

    def __init__(self) -> None:
        self._section = ""
        self._seen: set[str] = set()
        self._depth = 0
        self._open: list[Any] = []
        """The containers of the record that are not ended."""
        self._keys: list[str] = []

    def take(self, kind: str, value: object) -> tuple[str, object] | None:
        """Take what is read next; returns a record that is complete."""
        if self._open:
            return self._inside(kind, value)
        match kind:
            case "start_map" | "start_array":
                return self._begin(kind)
            case "end_map" | "end_array":
                self._depth -= 1
            case "map_key":
                self._enter(str(value))
            case _ if self._depth == IN_LIST:
                return self._section, _plain_text(value)
        return None

    def _begin(self, kind: str) -> tuple[str, object] | None:
        if self._depth == 0 and kind == "start_array":
            raise InputError(f"is a list of JSON, and no OCEL 2.0; {NOTHING_TAKEN}")
        is_list = self._depth == 1 and kind == "start_array"
        if self._depth == 0 or is_list:
            self._depth += 1
            return (self._section, None) if is_list else None
        if self._depth == 1 and self._section in SECTIONS:
            raise InputError(
                f"is no OCEL 2.0: {quoted(self._section)} is no list; {NOTHING_TAKEN}"
            )
        self._open.append({} if kind == "start_map" else [])
        return None

    def _enter(self, section: str) -> None:
        if section in OLD:
            raise InputError(
                "is OCEL 1.0; write it as OCEL 2.0 first, as pm4py does"
                f" (write_ocel2_json); {NOTHING_TAKEN}"
            )
        if section in self._seen:
            raise InputError(f"has {quoted(shortened(section))} twice; {NOTHING_TAKEN}")
        self._section = section
        self._seen.add(section)

    def _inside(self, kind: str, value: object) -> tuple[str, object] | None:
        match kind:
            case "map_key":
                key = str(value)
                if key in self._open[-1]:
                    raise InputError(
                        f"has {quoted(shortened(key))} twice in one object of JSON;"
                        f" {NOTHING_TAKEN}"
                    )
                self._keys.append(key)
            case "start_map" | "start_array":
                inner: Any = {} if kind == "start_map" else []
                self._put(inner)
                self._open.append(inner)
                if len(self._open) > DEPTH_MAX:
                    raise InputError(
                        f"is nested deeper than any OCEL in {quoted(shortened(self._section))};"
                        f" {NOTHING_TAKEN}"
                    )
            case "end_map" | "end_array":
                done = self._open.pop()
                return None if self._open else (self._section, done)
            case _:
                self._put(_plain_text(value))
        return None

    def _put(self, value: object) -> None:
        into = self._open[-1]
        if isinstance(into, list):
            into.append(value)
        else:
            into[self._keys.pop()] = value


def _plain_text(value: object) -> str:
    """Return a value of JSON as it is written; null as nothing."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal() if value.is_finite() and abs(value.adjusted()) <= DIGITS_MAX:
            return f"{value:f}"
        case _:
            return str(value)


def _event(record: object) -> ToldEvent:
    """Return an event; of one that is not written as an event, why."""
    try:
        given = _as_object(record)
        known = [_filled(given, name) for name in ("id", "type", "time")]
        told: dict[str, str] = {}
        for name, _, value in _attributes(given):
            if name in told:
                raise RowError("has two attributes named {name}", name=quoted(shortened(name)))
            told[name] = value
        return ToldEvent(None, known[0], known[1], known[2], told, _related(given))
    except RowError as error:
        return ToldEvent(None, "", "", "", {}, (), error.reason)


def _take_object(record: object, store: OcelStore, instant_of: ReadInstant) -> None:
    try:
        given = _as_object(record)
        object = Related(_filled(given, "id"), _filled(given, "type"), "")
        attributes, related = _attributes(given), _related(given)
    except RowError as error:
        store.refuse_object(None, error.reason)
        return
    store.add_object(object.id, object.type, related)
    for name, time, value in attributes:
        at = instant_of(time) if time else 0
        store.add_change(object, ObjectChange(None, name, time, at), value)


def _declare(record: object, store: OcelStore) -> None:
    if isinstance(record, dict) and isinstance(record.get("name"), str):
        store.declare_object(record["name"], _names(record))


def _names(record: object) -> list[str]:
    """Return the attributes that a type declares."""
    declared = record.get("attributes") if isinstance(record, dict) else None
    found = [each.get("name") for each in declared or () if isinstance(each, dict)]
    return [name for name in found if isinstance(name, str) and name]


def _attributes(given: dict[str, object]) -> list[tuple[str, str, str]]:
    """Return name, time and value of the attributes of an event or an object."""
    listed = given.get("attributes") or []
    if isinstance(listed, dict):
        listed = [{"name": name, "value": value} for name, value in listed.items()]
    told = []
    for each in _as_list(listed, "attributes"):
        attribute = _as_object(each)
        value = attribute.get("value", "")
        if not isinstance(value, str):
            raise RowError("is neither a text nor a number", _filled(attribute, "name"))
        time = attribute.get("time", "")
        told.append((_filled(attribute, "name"), time if isinstance(time, str) else "", value))
    return told


def _related(given: dict[str, object]) -> list[Related]:
    listed = map(_as_object, _as_list(given.get("relationships") or [], "relationships"))
    return [
        Related(_filled(each, "objectId"), "", str(each.get("qualifier", "")))
        for each in listed
    ]


def _as_object(given: object) -> dict[str, object]:
    if not isinstance(given, dict):
        raise RowError("is no object of JSON")
    return given


def _as_list(given: object, name: str) -> list[object]:
    if not isinstance(given, list):
        raise RowError("is no list", name)
    return given


def _filled(given: dict[str, object], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise RowError("{name} is missing", name=name)
    return value

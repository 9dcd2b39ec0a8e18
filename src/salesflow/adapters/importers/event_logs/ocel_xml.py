"""Reads OCEL 2.0 written in XML into a store, element by element.

It is a module of its own, as one of three ways in which OCEL is written.
"""

from collections.abc import Callable
from typing import Final

from salesflow.adapters.importers.csv import CELL_MAX
from salesflow.adapters.importers.event_logs.log_bytes import LogBytes
from salesflow.adapters.importers.event_logs.ocel_store import (
    ObjectChange,
    OcelStore,
    Related,
    ToldEvent,
)
from salesflow.adapters.importers.event_logs.xml_stream import XmlHandler, XmlStream
from salesflow.domain.time import Instant
from salesflow.domain.wording import Message, quoted, shortened

__all__ = ["NOTHING_SAID", "TOLD_TWICE", "read_xml"]


NOTHING_SAID: Final = "{name} is missing"
TOLD_TWICE: Final = "has two attributes named {name}"
KNOWN: Final = frozenset({"objects", "events", "object-types", "event-types", "attributes"})
RECORD_MAX: Final = 100_000
"""So many attributes and relations an event or an object may have."""
ReadInstant = Callable[[str], Instant | None]


def read_xml(
    file: LogBytes, store: OcelStore, instant_of: ReadInstant, encoding: str | None
) -> None:
    """Read a file into a store.

    Raises:
        InputError: when it is not well formed, or no OCEL.
    """
    for _ in XmlStream(file, encoding).tell(_OcelHandler(store, instant_of)):
        pass


class _Record:
    """An event or an object while it is read."""

    def __init__(self, is_event: bool, line: int, attributes: dict[str, str]) -> None:
        self.is_event = is_event
        self.line = line
        self.id = attributes.get("id", "")
        self.type = attributes.get("type", "")
        self.time = attributes.get("time", "")
        self.told: dict[str, str] = {}
        self.values: list[tuple[int, str, str, str]] = []
        """Line, name, time and value of an object's attributes."""
        self.related: list[Related] = []
        self.problem: Message | None = None
        for name in ("id", "type", "time") if is_event else ("id", "type"):
            if not attributes.get(name):
                self.problem = self.problem or Message(NOTHING_SAID, name=name)


class _OcelHandler(XmlHandler):
    """Turns elements into events and objects."""

    def __init__(self, store: OcelStore, instant_of: ReadInstant) -> None:
        self.text = self._take_text
        self._store = store
        self._instant_of = instant_of
        self._record: _Record | None = None
        self._declared: tuple[str, str] | None = None
        self._is_begun = False
        self._name: str | None = None
        self._time = ""
        self._line = 0
        self._texts: list[str] = []
        self._length = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the beginning of an element."""
        self.depth += 1
        name = name.rpartition(":")[2]
        if not self._is_begun:
            self._begin(name)
        elif name in {"event", "object"}:
            self._begin_record(name, attributes)
        elif name in {"event-type", "object-type"}:
            self._begin_type(name, attributes)
        elif name == "attribute":
            self._begin_attribute(attributes)
        elif name == "relationship":
            self._relate(attributes)
        elif name not in KNOWN:
            raise self.stream.refusal(
                "is an event log of cases (XES); import it with `salesflow import xes`"
                if name in {"trace", "global", "classifier", "extension"}
                else f"OCEL 2.0 has no element <{shortened(name)}>"
            )

    def end(self, name: str) -> None:
        """Take the end of an element."""
        self.depth -= 1
        name = name.rpartition(":")[2]
        if name in {"event", "object"}:
            self._end_record()
        elif name in {"event-type", "object-type"}:
            self._declared = None
        elif name == "attribute":
            self._end_attribute()

    def _take_text(self, text: str) -> None:
        if self._name is not None and self._length <= CELL_MAX:
            self._texts.append(text)
            self._length += len(text)

    def _begin(self, name: str) -> None:
        if name != "log":
            raise self.stream.refusal(
                f"begins with <{shortened(name)}>, where an OCEL file has <log>"
            )
        self._is_begun = True

    def _begin_type(self, kind: str, attributes: dict[str, str]) -> None:
        self._declared = (kind, attributes.get("name", ""))
        if kind == "object-type":
            self._store.declare_object(self._declared[1])

    def _begin_record(self, name: str, attributes: dict[str, str]) -> None:
        if self._record is not None:
            raise self.stream.refusal(f"<{name}> stands within an event or an object")
        self._record = _Record(name == "event", self.stream.line, attributes)

    def _begin_attribute(self, attributes: dict[str, str]) -> None:
        name = attributes.get("name", "")
        if self._record is None:
            kind, type = self._declared or ("", "")
            if kind == "event-type":
                self._store.declare_event([name])
            elif kind == "object-type":
                self._store.declare_object(type, [name])
            return
        self._name, self._time = name, attributes.get("time", "")
        self._line = self.stream.line
        self._texts.clear()
        self._length = 0

    def _end_attribute(self) -> None:
        record, name = self._record, self._name
        self._name = None
        if record is None or name is None:
            return
        value = "".join(self._texts).strip()
        if not name:
            record.problem = record.problem or Message(NOTHING_SAID, name="name")
        elif record.is_event:
            if name in record.told:
                twice = Message(TOLD_TWICE, name=quoted(shortened(name)))
                record.problem = record.problem or twice
            record.told[name] = value
        else:
            record.values.append((self._line, name, self._time, value))
        self._ensure_few(record)

    def _relate(self, attributes: dict[str, str]) -> None:
        if self._record is None:
            raise self.stream.refusal("a relationship of nothing")
        id = attributes.get("object-id", "")
        self._record.related.append(Related(id, "", attributes.get("qualifier", "")))
        self._ensure_few(self._record)

    def _ensure_few(self, record: _Record) -> None:
        if len(record.told) + len(record.values) + len(record.related) > RECORD_MAX:
            raise self.stream.refusal(
                f"more than {RECORD_MAX:,} attributes or relations of one event or object"
            )

    def _end_record(self) -> None:
        record, self._record = self._record, None
        assert record is not None
        if record.is_event:
            known = (record.line, record.id, record.type, record.time, record.told)
            self._store.add_event(ToldEvent(*known, record.related, record.problem))
            return
        if record.problem is not None:
            self._store.refuse_object(record.line, record.problem)
            return
        self._store.add_object(record.id, record.type, record.related)
        object = Related(record.id, record.type, "")
        for line, name, time, value in record.values:
            at = self._instant_of(time) if time else 0
            self._store.add_change(object, ObjectChange(line, name, time, at), value)

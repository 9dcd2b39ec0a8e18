"""Makes events of the elements of an XES file, with what their trace says of them all."""

import re
from decimal import Decimal
from typing import Final, NamedTuple

from salesflow.adapters.importers.csv import CELL_MAX, COLUMNS_MAX, NAME_MAX, ROW_MAX
from salesflow.adapters.importers.event_logs.xml_stream import XmlHandler
from salesflow.domain.wording import Message, quoted, shortened

__all__ = ["CASE_ID", "OF_CASE", "XesEvent", "XesEvents"]


CASE_ID: Final = "case:concept:name"
OF_CASE: Final = "case:"
TYPES: Final = frozenset(
    {"string", "date", "int", "float", "boolean", "id", "list", "container"}
)
"""The elements that are attributes."""
PLAIN: Final = TYPES - {"float", "list", "container"}
KNOWN: Final = frozenset({"log", "extension", "classifier", "global", "values"})
OTHER_LOG: Final = frozenset({"object-types", "event-types", "objects", "events"})
"""Elements of OCEL, whose file begins with `log` too."""
WAITING_MAX: Final = 2_000
WAITING_SIZE_MAX: Final = 4_000_000
"""So many events of a trace, or characters of them, wait for its end."""
EXPONENT = re.compile(r"[+-]?\d+(?:\.\d*)?[eE][+-]?\d{1,2}")
"""How Java writes ten million: 1.0E7."""
NO_DEFAULT: Final = frozenset({"", "__INVALID__", "__INVALID_VALUE__", "INVALID"})
"""What programs write as the default of what has none."""
IDS: Final = frozenset({CASE_ID, "case:identity:id", "identity:id"})
FOREIGN_MAX: Final = 20
NO_KEY: Final = "has an attribute without a key"
TWICE: Final = "has two attributes named {name}"
TOO_LONG: Final = "has more than {most:,} characters"

Cells = dict[str, str | list[str]]
"""Values by the names of their columns; a list where there are several."""


class XesEvent(NamedTuple):
    """An event: where it begins, what its trace and itself say, and why it is refused."""

    line: int
    case: Cells
    told: Cells
    problem: Message | None


class _Part:
    """A trace, an event, or what stands before them, while it is read."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.cells: Cells = {}
        self.problem: Message | None = None
        self.size = 0
        self.let_go: int | None = None
        """How large a trace was when the first of its events were handed out."""

    def put_new(self, name: str, value: str) -> bool:
        """Add a value of usual size that was not told before; else do nothing."""
        cells = self.cells
        size = self.size + len(name) + len(value)
        if size > CELL_MAX or name in cells or len(cells) >= COLUMNS_MAX:
            return False
        self.size = size
        cells[name] = value
        return True

    def put(self, name: str, value: str, *, listed: bool) -> None:
        """Add a value; of one that is too large, or told twice, only the problem is kept."""
        self.size += len(name) + len(value)
        if self.size > ROW_MAX or len(self.cells) > COLUMNS_MAX:
            self.refuse(Message(TOO_LONG, most=ROW_MAX))
            return
        if len(value) > CELL_MAX:
            value = value[: CELL_MAX + 1]
        if not listed:
            if name in self.cells:
                self.refuse(Message(TWICE, name=quoted(shortened(name))))
            self.cells[name] = value
            return
        there = self.cells.setdefault(name, [])
        if isinstance(there, str):
            self.refuse(Message(TWICE, name=quoted(shortened(name))))
        else:
            there.append(value)

    def refuse(self, problem: Message) -> None:
        """Keep why it is refused; the first reason counts."""
        self.problem = self.problem or problem


class XesEvents(XmlHandler):
    """What a file was told so far; events wait in `ready` to be taken away."""

    def __init__(self) -> None:
        self.ready: list[XesEvent] = []
        self.defaults: dict[str, str] = {}
        """By column, what holds where an event or a trace does not say."""
        self.foreign: dict[str, None] = {}
        self.empty_traces = 0
        self._log = _Part()
        self._trace: _Part | None = None
        self._event: _Part | None = None
        self._scope: str | None = None
        self._part = self._log
        self._within: list[tuple[str, bool, bool]] = []
        """The attributes we are in: name, whether it is a list, whether it is within one."""
        self._waiting: list[tuple[int, _Part]] = []
        self._waiting_size = 0
        self._line = 0
        self._events = 0
        self._is_begun = False

    @property
    def of_log(self) -> Cells:
        """What is said of the log as a whole."""
        return self._log.cells

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the beginning of an element."""
        self.depth += 1
        if name in TYPES and self._is_begun:
            self._begin_attribute(name, attributes)
        elif name == "event" and self._is_begun:
            self._begin_event()
        elif name == "trace" and self._is_begun:
            self._begin_trace()
        else:
            self._begin_other(name, attributes)

    def end(self, name: str) -> None:
        """Take the end of an element."""
        self.depth -= 1
        if name in TYPES:
            self._within.pop()
        elif name == "event":
            self._end_event()
        elif name == "trace":
            self._end_trace()
        elif name == "global":
            self._scope = None
        elif ":" in name:
            self.depth += 1
            self.end(name.rpartition(":")[2])

    def _begin_attribute(self, kind: str, attributes: dict[str, str]) -> None:
        key, value = attributes.get("key"), attributes.get("value", "")
        if kind in PLAIN and key is not None and not self._within and self._scope is None:
            name = self._part.prefix + key
            if len(name) <= NAME_MAX and self._part.put_new(name, value):
                self._within.append((name, False, False))
                return
        self._begin_other_attribute(kind, key, value)

    def _begin_other_attribute(self, kind: str, key: str | None, value: str) -> None:
        """Take an attribute within others, of a list, of the log, or one that is wrong."""
        if key is None:
            self._part.refuse(Message(NO_KEY))
            key = ""
        is_list = kind == "list"
        if self._within:
            outer, in_list, listed = self._within[-1]
            name = outer if in_list else f"{outer}/{key}"
            listed = listed or in_list
        else:
            name, listed = self._part.prefix + key, False
        if len(name) > NAME_MAX:
            raise self.stream.refusal(
                f"an attribute has a name of more than {NAME_MAX:,} characters:"
                f" {shortened(name)!r}"
            )
        self._within.append((name, is_list, listed))
        if kind == "float" and ("E" in value or "e" in value) and EXPONENT.fullmatch(value):
            value = f"{Decimal(value):f}"
        if self._scope is not None:
            self._declare(kind, name, value)
        elif not is_list and kind != "container":
            self._part.put(name, value, listed=listed)

    def _declare(self, kind: str, name: str, value: str) -> None:
        """Keep the default of a column; that of a time, or of a case's id, is none."""
        column = f"{OF_CASE}{name}" if self._scope == "trace" else name
        if self._scope not in {"trace", "event"} or kind == "date" or column in IDS:
            return
        if value not in NO_DEFAULT and len(value) <= CELL_MAX:
            self.defaults[column] = value
        if len(self.defaults) > COLUMNS_MAX:
            raise self.stream.refusal(f"more than {COLUMNS_MAX:,} defaults are declared")

    def _begin_event(self) -> None:
        if self._event is not None:
            raise self.stream.refusal("an event stands within an event")
        self._line = self.stream.line
        self._part = self._event = _Part()

    def _end_event(self) -> None:
        event, trace = self._event, self._trace
        assert event is not None
        self._event, self._part = None, trace or self._log
        if trace is None:
            self.ready.append(XesEvent(self._line, {}, event.cells, event.problem))
            return
        self._events += 1
        self._waiting.append((self._line, event))
        self._waiting_size += event.size
        if len(self._waiting) > WAITING_MAX or self._waiting_size > WAITING_SIZE_MAX:
            self._let_go(trace)

    def _begin_trace(self) -> None:
        if self._trace is not None or self._event is not None:
            raise self.stream.refusal("a trace stands within a trace or an event")
        self._part = self._trace = _Part(OF_CASE)
        self._events = 0

    def _end_trace(self) -> None:
        assert self._trace is not None
        self.empty_traces += not self._events
        self._let_go(self._trace)
        self._trace, self._part = None, self._log

    def _let_go(self, trace: _Part) -> None:
        """Hand out the events that wait; what the trace says after them comes too late."""
        if trace.let_go not in {None, trace.size}:
            raise self.stream.refusal(
                "attributes of a trace stand behind many of its events; write them before"
            )
        trace.let_go = trace.size
        self.ready += [
            XesEvent(line, trace.cells, event.cells, event.problem or trace.problem)
            for line, event in self._waiting
        ]
        self._waiting.clear()
        self._waiting_size = 0

    def _begin_other(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        if not self._is_begun:
            if local != "log":
                raise self.stream.refusal(
                    f"begins with <{shortened(name)}>, where an XES file has <log>"
                )
            self._is_begun = True
        elif local == "global":
            self._scope = attributes.get("scope", "event")
        elif local != name and (local in TYPES or local in {"event", "trace"}):
            self.depth -= 1
            self.start(local, attributes)
        elif local in OTHER_LOG:
            raise self.stream.refusal(
                "is an event log of objects (OCEL); import it with `salesflow import ocel`"
            )
        elif local not in KNOWN and len(self.foreign) < FOREIGN_MAX:
            self.foreign[shortened(name, 50)] = None

"""Reads an XES log as a table: a row per event, with what its trace says in columns `case:…`.

Columns are named as everybody who works with event logs knows them: `concept:name`,
`time:timestamp`, `org:resource`, `lifecycle:transition`, and `case:concept:name` of the trace.
An attribute within another is `outer/inner`; what a list holds stands in one cell, a line
each. Where an event lacks an attribute for which the log declares a default (`global`), the
default is taken and counted among the findings; not so for times and ids of cases, which no
default can know.

The file is read twice: once for its columns, when what is not well formed, cut off or hostile
refuses it as a whole, and once for its rows. Of both only some thousand events are in memory.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from salesflow.adapters.importers.csv import (
    COLUMNS_MAX,
    BadRow,
    TableRow,
    reason_unreadable,
    spaced,
)
from salesflow.adapters.importers.event_logs.log_bytes import LogBytes
from salesflow.adapters.importers.event_logs.xes_events import OF_CASE, XesEvent, XesEvents
from salesflow.adapters.importers.event_logs.xml_stream import XmlStream
from salesflow.domain.wording import Message, shortened
from salesflow.errors import InputError

__all__ = ["XesFile"]


NUMBERED: Final = (
    "several events share a line of the file: what is called a line here is the number of the"
    " event"
)
EMPTY_TRACES: Final = "traces without events, which tell nothing: {count}"
OF_THE_LOG: Final = "attributes of the log as a whole, which are in no row: {names}"
FOREIGN: Final = "elements that XES does not know were passed over: {names}"


class XesFile:
    """One XES file: its columns, and its events as often as one likes."""

    def __init__(self, path: str | Path, encoding: str | None = None) -> None:
        """Read it once, for its columns.

        Raises:
            InputError: when it is no XES, or not as a whole.
        """
        self._file = LogBytes(path, "XES file")
        self._stream = XmlStream(self._file, encoding)
        self.at_rest = self._file.at_rest
        self.blank_lines = 0
        self._found: dict[tuple[str, str, str], list[int]] = {}
        self._has_own_lines = True
        self._of_case: dict[str, int] = {}
        self._of_event: dict[str, int] = {}
        self._look()
        self.header = [spaced(name) for name in (*self._of_case, *self._of_event)]

    def rows(self) -> Iterator[TableRow | BadRow]:
        """Read the events, in the order of the file."""
        self._found = {}
        number = 0
        for event, events in self._read():
            number += 1
            line = event.line if self._has_own_lines else number
            if event.problem is not None:
                yield BadRow(line, event.problem)
                continue
            try:
                cells = self._cells(event, events.defaults, line)
            except KeyError as error:
                raise InputError(f"{self._file.name} has changed while it was read") from error
            reason = reason_unreadable(cells, "XML")
            yield TableRow(line, cells) if reason is None else BadRow(line, reason)

    def found(self) -> dict[tuple[str, str, str], list[int]]:
        """Return which defaults of the log were taken, and how often."""
        return self._found

    def assumed(self) -> list[Message]:
        """Return what the file holds beside its events."""
        told = [] if self._has_own_lines else [Message(NUMBERED)]
        if self._events.empty_traces:
            told.append(Message(EMPTY_TRACES, count=self._events.empty_traces))
        for text, names in ((OF_THE_LOG, self._events.of_log), (FOREIGN, self._events.foreign)):
            if names:
                told.append(Message(text, names=shortened(", ".join(names))))
        return told

    def _look(self) -> None:
        """Find the columns, and whether every event begins on a line of its own."""
        last, any_event = 0, False
        for event, _ in self._read():
            self._has_own_lines &= event.line > last
            last, any_event = event.line, True
            self._note(event.case, self._of_case)
            self._note(event.told, self._of_event)
        if not any_event:
            raise InputError(f"{self._file.name} holds no event")
        defaults = self._events.defaults
        self._note([each for each in defaults if each.startswith(OF_CASE)], self._of_case)
        self._note([each for each in defaults if not each.startswith(OF_CASE)], self._of_event)
        first = len(self._of_case)
        self._of_event = {name: first + i for i, name in enumerate(self._of_event)}

    def _note(self, names: Iterable[str], places: dict[str, int]) -> None:
        for name in names:
            if name not in places:
                places[name] = len(places)
        if len(self._of_case) + len(self._of_event) > COLUMNS_MAX:
            raise InputError(
                f"{self._file.name} has events of more than {COLUMNS_MAX:,} different"
                " attributes, each of which is a column"
            )

    def _read(self) -> Iterator[tuple[XesEvent, XesEvents]]:
        self._events = events = XesEvents()
        for _ in self._stream.tell(events):
            for event in events.ready:
                yield event, events
            events.ready.clear()

    def _cells(self, event: XesEvent, defaults: Mapping[str, str], line: int) -> list[str]:
        cells = [""] * len(self.header)
        for told, places in ((event.case, self._of_case), (event.told, self._of_event)):
            for name, value in told.items():
                cells[places[name]] = value if type(value) is str else "\n".join(value)
        for name, default in defaults.items():
            if name in event.told or name in event.case:
                continue
            of_case = name in self._of_case
            cells[self._of_case[name] if of_case else self._of_event[name]] = default
            counted = self._found.setdefault((name, "default of the log", default), [0, line])
            counted[0] += 1
        return cells

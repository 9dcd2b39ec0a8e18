"""Reads an OCEL 2.0 log as a table: a row per event, and per change of an object.

    ocel:eid, ocel:activity, ocel:timestamp    of the event, and its attributes by their names
    ocel:field                                 the attribute, where an object has changed
    ocel:type:Quote                            the quotes the event names
    ocel:type:Quote[sent]                      those it names with this qualifier
    ocel:type:Quote/total                      an attribute of theirs, as it was at the time
    ocel:type:Deal via Quote                   deals to which its quotes are related

Which type of object is the deal, the mapping says: `object = "ocel:type:Deal"`. An event that
names several deals is a row for each of them, one that names none a row without a deal. Of
other columns what there are several of stands in one cell, a line each. A value that an object
has from the beginning (from 1970) is no row; every later one is.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from salesflow.adapters.importers.csv import (
    COLUMNS_MAX,
    BadRow,
    TableRow,
    reason_unreadable,
    spaced,
)
from salesflow.adapters.importers.event_logs.log_bytes import LogBytes
from salesflow.adapters.importers.event_logs.ocel_json import read_json
from salesflow.adapters.importers.event_logs.ocel_sqlite import read_sqlite
from salesflow.adapters.importers.event_logs.ocel_store import OcelStore, Related, ToldEvent
from salesflow.adapters.importers.event_logs.ocel_xml import read_xml
from salesflow.domain.time import Instant
from salesflow.domain.wording import Message, shortened
from salesflow.errors import InputError

__all__ = ["ACTIVITY", "EVENT_ID", "FIELD", "OF_TYPE", "TIME", "OcelFile"]


EVENT_ID: Final = "ocel:eid"
ACTIVITY: Final = "ocel:activity"
TIME: Final = "ocel:timestamp"
FIELD: Final = "ocel:field"
OF_TYPE: Final = "ocel:type:"
FIXED: Final = (EVENT_ID, ACTIVITY, TIME, FIELD)
NUMBERED: Final = (
    "what is called a line here is the number of the event; changes of objects are counted on"
    " behind the events"
)
UNKNOWN: Final = "relations to objects that the file does not hold, such as {id}: {count}"
UNTOLD: Final = "objects that no event names and that never change, such as {id}: {count}"
TWICE: Final = "objects whose id stands there twice; the first counts: {count}"
ADRIFT: Final = "rows that stand there twice, or tell of events that are not there: {count}"
FOREIGN: Final = "parts of the file that OCEL 2.0 does not know were passed over: {names}"
MANY_QUALIFIERS: Final = "qualifiers are too many to be columns of their own: {count}"


class Way(NamedTuple):
    """How objects come into a column: type, over which other type, with which qualifier."""

    type: str
    via: str | None = None
    qualifier: str | None = None

    @property
    def column(self) -> str:
        """The name of the column."""
        via = "" if self.via is None else f" via {self.via}"
        qualifier = "" if self.qualifier is None else f"[{self.qualifier}]"
        return f"{OF_TYPE}{self.type}{via}{qualifier}"


Ids = dict[Way, list[str]]
"""The objects of a row, by column."""


class OcelFile:
    """One OCEL 2.0 file, in JSON, XML or SQLite: its columns and rows."""

    def __init__(
        self,
        path: str | Path,
        deals: Sequence[str] = (),
        *,
        instant_of: Callable[[str], Instant | None],
        encoding: str | None = None,
    ) -> None:
        """`deals` names the columns of the deal's id: an event of several is several rows.

        `instant_of` reads a time; None where it is none.

        Raises:
            InputError: when it is no OCEL 2.0, or not as a whole.
        """
        file = LogBytes(path, "OCEL file")
        self.at_rest = file.at_rest
        self.blank_lines = 0
        self._instant_of = instant_of
        self._store = OcelStore()
        self._read(file, encoding)
        if not self._store.events:
            raise InputError(f"{file.name} holds no event")
        self._store.finish()
        self._numbered = self._store.shares_lines()
        self._many_qualifiers = 0
        self._ways = self._all_ways()
        self.header = self._columns()
        self._deals = self._deal_ways(deals)

    def _columns(self) -> list[str]:
        """Return the names of the columns, and keep where each of them is."""
        store = self._store
        of_objects = [
            (type, name) for type, names in store.of_objects.items() for name in names
        ]
        first = len(FIXED)
        self._told = {name: first + i for i, name in enumerate(store.of_events)}
        first += len(self._told)
        self._places = {way: first + i for i, way in enumerate(self._ways)}
        first += len(self._ways)
        self._attributes = {each: first + i for i, each in enumerate(of_objects)}
        names = [*FIXED, *self._told, *(way.column for way in self._ways)]
        names += [f"{OF_TYPE}{type}/{name}" for type, name in of_objects]
        return [spaced(name) for name in names]

    def rows(self) -> Iterator[TableRow | BadRow]:
        """Read the events, then what changed of objects."""
        number = 0
        for event in self._store.told():
            number += 1
            yield from self._rows(event, self._line(event.line, number), "")
        for line, reason in self._store.bad_objects():
            number += 1
            yield BadRow(self._line(line, number), reason)
        for object, change in self._store.changes():
            number += 1
            told = ToldEvent(change.line, "", "", change.time, {}, [object])
            yield from self._rows(told, self._line(change.line, number), change.name)

    def found(self) -> dict[tuple[str, str, str], list[int]]:
        """Return nothing: there are no defaults."""
        return {}

    def assumed(self) -> list[Message]:
        """Return what the file holds beside its rows."""
        told = [Message(NUMBERED)] if self._numbered else []
        for text, (count, id) in (
            (UNKNOWN, self._store.unknown()),
            (UNTOLD, self._store.untold()),
        ):
            if count:
                told.append(Message(text, id=shortened(id, 50), count=f"{count:,}"))
        if self._store.objects_twice:
            told.append(Message(TWICE, count=f"{self._store.objects_twice:,}"))
        if self._store.adrift:
            told.append(Message(ADRIFT, count=f"{self._store.adrift:,}"))
        if self._store.foreign:
            names = shortened(", ".join(self._store.foreign))
            told.append(Message(FOREIGN, names=names))
        if self._many_qualifiers:
            told.append(Message(MANY_QUALIFIERS, count=f"{self._many_qualifiers:,}"))
        return told

    def _read(self, file: LogBytes, encoding: str | None) -> None:
        """Read it all, in whichever of its three forms it is."""
        try:
            if file.is_sqlite:
                read_sqlite(file, self._store, self._instant_of)
            elif file.first_sign == "<":
                read_xml(file, self._store, self._instant_of, encoding)
            elif file.first_sign in {"{", "["}:
                read_json(file, self._store, self._instant_of, encoding)
            else:
                raise InputError(
                    "is neither JSON, XML nor SQLite, so it is no OCEL file; import a table"
                    " with `salesflow import table`"
                )
        except InputError as error:
            text = str(error)
            raise InputError(
                text if text.startswith(file.name) else f"{file.name} {text}"
            ) from error

    def _all_ways(self) -> list[Way]:
        store = self._store
        direct = [Way(type) for type in store.of_objects]
        around = {(type, via) for type, via, _ in store.ways()}
        plain = direct + [Way(type, via) for type, via in sorted(around)]
        qualified = [Way(type, None, qualifier) for type, qualifier in store.qualifiers()]
        qualified += [Way(type, via, each) for type, via, each in store.ways() if each]
        if len(plain) + len(qualified) > COLUMNS_MAX // 2:
            self._many_qualifiers = len(qualified)
            return plain
        return plain + qualified

    def _deal_ways(self, deals: Iterable[str]) -> list[Way]:
        by_column = {spaced(way.column): way for way in self._ways}
        named = (by_column.get(spaced(name)) for name in deals)
        return [way for way in named if way is not None]

    def _line(self, line: int | None, number: int) -> int:
        return number if line is None or self._numbered else line

    def _rows(self, event: ToldEvent, line: int, field: str) -> Iterator[TableRow | BadRow]:
        """Return a row for each deal of an event, or the one of an event without."""
        if event.problem is not None:
            yield BadRow(line, event.problem)
            return
        ids = self._ids(event.objects)
        deals = next((way for way in self._deals if ids.get(way)), None)
        shared = self._cells(event, field, {way: ids[way] for way in ids if way != deals})
        reason = reason_unreadable(shared, "OCEL")
        for id in [None] if deals is None else ids[deals]:
            if reason is not None:
                yield BadRow(line, reason)
                continue
            cells = shared.copy()
            if deals is not None and id is not None:
                self._put_deal(cells, deals, id, event, ids)
            own = reason_unreadable(cells, "OCEL")
            yield TableRow(line, cells) if own is None else BadRow(line, own)

    def _put_deal(
        self, cells: list[str], way: Way, id: str, event: ToldEvent, ids: Ids
    ) -> None:
        """Make a row that of one deal: its id, its qualifiers, its attributes."""
        cells[self._places[way]] = id
        for each in self._ways:
            if each.type == way.type and each.via == way.via and each.qualifier is not None:
                place = self._places[each]
                cells[place] = id if id in ids.get(each, ()) else ""
        self._put_attributes(cells, way.type, [id], event.time)

    def _cells(self, event: ToldEvent, field: str, ids: Ids) -> list[str]:
        cells = [""] * len(self.header)
        cells[: len(FIXED)] = event.id, event.type, event.time, field
        for name, value in event.told.items():
            cells[self._told[name]] = value
        for way, several in ids.items():
            place = self._places.get(way)
            if place is not None:
                cells[place] = "\n".join(several)
            if way.via is None and way.qualifier is None:
                self._put_attributes(cells, way.type, several, event.time)
        return cells

    def _put_attributes(
        self, cells: list[str], type: str, ids: Sequence[str], time: str
    ) -> None:
        names = self._store.of_objects.get(type)
        at = self._instant_of(time) if names else None
        if not names or at is None:
            return
        values = [self._store.values(id, at) for id in ids]
        for name in names:
            texts = [each[name] for each in values if each.get(name)]
            cells[self._attributes[type, name]] = "\n".join(texts)

    def _ids(self, objects: Sequence[Related]) -> Ids:
        """Return which objects stand in which column, each once."""
        ids: dict[Way, dict[str, None]] = {}
        for id, type, qualifier in objects:
            ids.setdefault(Way(type), {})[id] = None
            if qualifier:
                ids.setdefault(Way(type, None, qualifier), {})[id] = None
        if any(way.via is not None for way in self._ways):
            for id, type in dict.fromkeys((each.id, each.type) for each in objects):
                for near in self._store.neighbours(id):
                    ids.setdefault(Way(near.type, type), {})[near.id] = None
                    if near.qualifier:
                        way = Way(near.type, type, near.qualifier)
                        ids.setdefault(way, {})[near.id] = None
        return {way: list(each) for way, each in ids.items()}

"""Keeps an OCEL log in a temporary database, so that its parts may come in any order.

An event names its objects by id alone; of which type they are, to what they are related and
what was true of them at its time stands elsewhere in the file. SQLite keeps it all on disk
once it is large, so that memory does not grow with the file.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from salesflow.adapters.importers.csv import CELL_MAX, COLUMNS_MAX, NAME_MAX
from salesflow.adapters.importers.rows import room
from salesflow.domain.wording import Message, shortened
from salesflow.errors import InputError

__all__ = ["ObjectChange", "OcelStore", "Related", "ToldEvent"]


WRITE: Final = 2_000
SIZE_MAX: Final = 4_000_000
"""So many rows, or characters, wait to be written."""
FOREIGN_MAX: Final = 20
PROBLEMS_MAX: Final = 1_000
OTHER_PROBLEM: Final = "is not written as OCEL 2.0 has it"
SCHEMA: Final = """
CREATE TABLE event (
    number INTEGER PRIMARY KEY, line INTEGER, id TEXT, type TEXT, time TEXT, told TEXT,
    problem INTEGER);
CREATE TABLE event_object (event INTEGER, object TEXT, qualifier TEXT);
CREATE TABLE object (number INTEGER PRIMARY KEY, id TEXT UNIQUE, type TEXT);
CREATE TABLE object_object (source TEXT, target TEXT, qualifier TEXT);
CREATE TABLE change (
    number INTEGER PRIMARY KEY, line INTEGER, object TEXT, name TEXT, time TEXT, at INTEGER,
    value TEXT);
CREATE TABLE bad_object (number INTEGER PRIMARY KEY, line INTEGER, problem INTEGER);
CREATE TABLE apart_event (id TEXT UNIQUE, type TEXT);
CREATE TABLE apart_told (id TEXT, type TEXT, time TEXT, told TEXT, UNIQUE (id, type));
CREATE TABLE apart_object (event TEXT, object TEXT, qualifier TEXT);
"""
JOINED: Final = """
INSERT INTO event (id, type, time, told)
    SELECT e.id, e.type, coalesce(t.time, ''), coalesce(t.told, '{}') FROM apart_event e
    LEFT JOIN apart_told t ON t.id = e.id AND t.type = e.type ORDER BY e.rowid;
CREATE INDEX event_of_id ON event (id);
INSERT INTO event_object
    SELECT e.number, r.object, r.qualifier FROM apart_object r JOIN event e ON e.id = r.event
    ORDER BY e.number, r.rowid;
"""
"""Puts together what a database keeps apart: events, what they tell, their objects."""
ADRIFT: Final = (
    "SELECT (SELECT count(*) FROM apart_told t WHERE NOT EXISTS"
    " (SELECT 1 FROM event e WHERE e.id = t.id AND e.type = t.type))"
    " + (SELECT count(*) FROM apart_object r WHERE r.event NOT IN (SELECT id FROM event))"
)
INDEXES: Final = """
CREATE INDEX change_of_object ON change (object, at);
CREATE INDEX target_of_object ON object_object (source);
CREATE INDEX source_of_object ON object_object (target);
CREATE INDEX objects_of_event ON event_object (event);
"""
"""Made when everything is in."""
INTO: Final = {
    "event": "INSERT INTO event (line, id, type, time, told, problem)"
    " VALUES (?, ?, ?, ?, ?, ?)",
    "event_object": "INSERT INTO event_object VALUES (?, ?, ?)",
    "object": "INSERT OR IGNORE INTO object (id, type) VALUES (?, ?)",
    "object_object": "INSERT INTO object_object VALUES (?, ?, ?)",
    "change": "INSERT INTO change (line, object, name, time, at, value)"
    " VALUES (?, ?, ?, ?, ?, ?)",
    "bad_object": "INSERT INTO bad_object (line, problem) VALUES (?, ?)",
    "apart_event": "INSERT OR IGNORE INTO apart_event VALUES (?, ?)",
    "apart_told": "INSERT OR IGNORE INTO apart_told VALUES (?, ?, ?, ?)",
    "apart_object": "INSERT INTO apart_object VALUES (?, ?, ?)",
}
FROM_THE_BEGINNING: Final = 86_400_000_000
"""What is dated in the first day of 1970, or before, was so from the beginning."""
LATER: Final = f"(at IS NULL OR at >= {FROM_THE_BEGINNING})"
EVENTS: Final = "SELECT number, line, id, type, time, told, problem FROM event ORDER BY number"
OF_EVENTS: Final = (
    "SELECT r.event, r.object, o.type, r.qualifier FROM event_object r"
    " JOIN object o ON o.id = r.object ORDER BY r.event, r.rowid"
)
CHANGES: Final = (
    "SELECT c.line, c.object, o.type, c.name, c.time, c.at FROM change c"
    f" JOIN object o ON o.id = c.object WHERE {LATER.replace('at ', 'c.at ')}"
    " ORDER BY c.number"
)
NEIGHBOURS: Final = (
    "SELECT o.id, o.type, r.qualifier FROM object_object r JOIN object o ON o.id = r.target"
    " WHERE r.source = :id UNION ALL "
    "SELECT o.id, o.type, r.qualifier FROM object_object r JOIN object o ON o.id = r.source"
    " WHERE r.target = :id"
)
VALUES: Final = (
    "SELECT name, value FROM change WHERE object = ? AND at <= ? ORDER BY at, number"
)
QUALIFIERS: Final = (
    "SELECT DISTINCT o.type, r.qualifier FROM event_object r JOIN object o ON o.id = r.object"
    " WHERE r.qualifier <> '' ORDER BY 1, 2"
)
VIA: Final = (
    "SELECT DISTINCT t.type, s.type, r.qualifier FROM object_object r"
    " JOIN object s ON s.id = r.source JOIN object t ON t.id = r.target"
    " UNION SELECT s.type, t.type, r.qualifier FROM object_object r"
    " JOIN object s ON s.id = r.source JOIN object t ON t.id = r.target ORDER BY 1, 2, 3"
)
SHARED_LINES: Final = (
    "SELECT count(*) - count(DISTINCT line) FROM"
    f" (SELECT line FROM event UNION ALL SELECT line FROM change WHERE {LATER})"
)
WITHOUT_LINES: Final = "SELECT count(*) FROM event WHERE line IS NULL"
UNKNOWN: Final = (
    "SELECT count(*), min(object) FROM event_object WHERE object NOT IN (SELECT id FROM object)"
)
UNTOLD: Final = (
    "SELECT count(*), min(id) FROM object WHERE id NOT IN (SELECT object FROM event_object)"
    f" AND id NOT IN (SELECT object FROM change WHERE {LATER})"
)


class Related(NamedTuple):
    """An object that an event, or another object, is related to, and how."""

    id: str
    type: str
    qualifier: str


class ToldEvent(NamedTuple):
    """An event of the file, with the objects it names."""

    line: int | None
    id: str
    type: str
    time: str
    told: Mapping[str, str]
    objects: Sequence[Related]
    problem: Message | None = None


class ObjectChange(NamedTuple):
    """An attribute of an object that has another value from a time on."""

    line: int | None
    name: str
    time: str
    at: int | None


class OcelStore:
    """What a file was told so far."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("")
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.executescript(SCHEMA)
        self._waiting: dict[str, list[Sequence[object]]] = {name: [] for name in INTO}
        self._problems: dict[Message, int] = {}
        self._size = 0
        self.of_events: dict[str, None] = {}
        """The attributes of events."""
        self.of_objects: dict[str, dict[str, None]] = {}
        """The attributes of objects, by type."""
        self.events = 0
        self._objects = self.objects_twice = 0
        self._apart = self.adrift = 0
        """Rows that stand twice, or tell of events that are not there."""
        self.foreign: dict[str, None] = {}
        """Parts of the file that OCEL does not know."""

    def declare_event(self, names: Iterable[str]) -> None:
        """Add attributes that events may have."""
        for name in names:
            if name not in self.of_events:
                self.of_events[_bounded(name)] = None
                self._ensure_few()

    def declare_object(self, type: str, names: Iterable[str] = ()) -> None:
        """Add a type of objects, and attributes they may have."""
        if type not in self.of_objects:
            self.of_objects[_bounded(type)] = {}
            self._ensure_few()
        known = self.of_objects[type]
        for name in names:
            if name not in known:
                known[_bounded(name)] = None
                self._ensure_few()

    def add_event(self, event: ToldEvent) -> None:
        """Add an event with the objects it names; of these the type is not known yet."""
        self.declare_event(event.told)
        self.events += 1
        cells = json.dumps({name: _cut(value) for name, value in event.told.items()})
        known = (event.line, _cut(event.id), _cut(event.type), _cut(event.time), cells)
        self._add("event", (*known, self._problem(event.problem)))
        for each in event.objects:
            self._add("event_object", (self.events, _cut(each.id), _cut(each.qualifier)))

    def event_apart(self, id: str, type: str) -> None:
        """Add an event of which the rest is told apart; see `join`."""
        self._apart += 1
        self._add("apart_event", (_cut(id), _cut(type)))

    def tell_apart(self, event: ToldEvent) -> None:
        """Add what an event tells, apart from the event itself."""
        self._apart += 1
        cells = json.dumps({name: _cut(value) for name, value in event.told.items()})
        self._add("apart_told", (_cut(event.id), _cut(event.type), _cut(event.time), cells))

    def relate_apart(self, event: str, related: Related) -> None:
        """Add what an event is related to, apart from the event itself."""
        self._add("apart_object", (_cut(event), _cut(related.id), _cut(related.qualifier)))

    def join(self) -> None:
        """Put together what was added apart."""
        for name in INTO:
            self._write(name)
        with room():
            self._file.executescript(JOINED)
        self.events = self._asked("SELECT count(*) FROM event")[0][0]
        told = self._asked("SELECT count(*) FROM apart_told")[0][0]
        self.adrift = self._apart - self.events - told + self._asked(ADRIFT)[0][0]

    def add_object(self, id: str, type: str, related: Iterable[Related] = ()) -> None:
        """Add an object and what it is related to."""
        self.declare_object(_cut(type))
        self._objects += 1
        self._add("object", (_cut(id), _cut(type)))
        for each in related:
            self.relate_objects(id, each)

    def relate_objects(self, source: str, related: Related) -> None:
        """Add that an object is related to another."""
        row = (_cut(source), _cut(related.id), _cut(related.qualifier))
        self._add("object_object", row)

    def add_change(self, object: Related, change: ObjectChange, value: str) -> None:
        """Add a value that an attribute of an object has from a time on."""
        self.declare_object(_cut(object.type), [change.name])
        told = (change.line, _cut(object.id), change.name, _cut(change.time), change.at)
        self._add("change", (*told, _cut(value)))

    def refuse_object(self, line: int | None, reason: Message) -> None:
        """Keep why an object cannot be read."""
        self._add("bad_object", (line, self._problem(reason)))

    def pass_over(self, name: str) -> None:
        """Keep that a part of the file is not read."""
        if len(self.foreign) < FOREIGN_MAX:
            self.foreign[shortened(name, 50)] = None

    def finish(self) -> None:
        """Make all that was added ready to be asked."""
        for name in INTO:
            self._write(name)
        with room():
            self._file.executescript(INDEXES)
        self.objects_twice = self._objects - self._asked("SELECT count(*) FROM object")[0][0]

    def told(self) -> Iterator[ToldEvent]:
        """Read the events back, in the order of the file, with their objects."""
        problems = list(self._problems)
        with room():
            related = self._file.execute(OF_EVENTS)
            waiting = related.fetchone()
            for number, line, id, type, time, told, problem in self._file.execute(EVENTS):
                objects = []
                while waiting is not None and waiting[0] == number:
                    objects.append(Related(*waiting[1:]))
                    waiting = related.fetchone()
                why = None if problem is None else problems[problem]
                yield ToldEvent(line, id, type, time, json.loads(told), objects, why)

    def changes(self) -> Iterator[tuple[Related, ObjectChange]]:
        """Read back what has changed of objects after the beginning."""
        with room():
            for line, id, type, name, time, at in self._file.execute(CHANGES):
                yield Related(id, type, ""), ObjectChange(line, name, time, at)

    def bad_objects(self) -> Iterator[tuple[int | None, Message]]:
        """Read back which objects cannot be read, and why."""
        problems = list(self._problems)
        for line, problem in self._file.execute("SELECT line, problem FROM bad_object"):
            yield line, problems[problem]

    def neighbours(self, id: str) -> list[Related]:
        """Return the objects an object is related to, in either direction."""
        return [Related(*row) for row in self._file.execute(NEIGHBOURS, {"id": id})]

    def values(self, id: str, at: int) -> dict[str, str]:
        """Return the attributes of an object as they were at a time."""
        return dict(self._file.execute(VALUES, (id, at)).fetchall())

    def qualifiers(self) -> list[tuple[str, str]]:
        """Return types of objects and how events are related to them."""
        return self._asked(QUALIFIERS)

    def ways(self) -> list[tuple[str, str, str]]:
        """Return types of objects, the types they are related to, and how."""
        return self._asked(VIA)

    def shares_lines(self) -> bool:
        """Return whether two rows stand on one line, or lines are not known at all."""
        lines = self._asked(WITHOUT_LINES)[0][0]
        return bool(lines or self._asked(SHARED_LINES)[0][0])

    def unknown(self) -> tuple[int, str]:
        """Return how many relations name objects that are not there, and one of these."""
        count, id = self._asked(UNKNOWN)[0]
        return count, id or ""

    def untold(self) -> tuple[int, str]:
        """Return how many objects no row tells of, and one of these."""
        count, id = self._asked(UNTOLD)[0]
        return count, id or ""

    def _asked(self, query: str) -> list[Any]:
        with room():
            return self._file.execute(query).fetchall()

    def _problem(self, reason: Message | None) -> int | None:
        """Return the number of a reason; there are few, as names in them are cut."""
        if reason is None:
            return None
        if reason not in self._problems and len(self._problems) >= PROBLEMS_MAX:
            reason = Message(OTHER_PROBLEM)
        return self._problems.setdefault(reason, len(self._problems))

    def _add(self, table: str, row: Sequence[object]) -> None:
        waiting = self._waiting[table]
        waiting.append(row)
        self._size += sum(len(each) for each in row if isinstance(each, str))
        if len(waiting) >= WRITE or self._size > SIZE_MAX:
            for name in INTO:
                self._write(name)

    def _write(self, table: str) -> None:
        with room():
            self._file.executemany(INTO[table], self._waiting[table])
        self._waiting[table].clear()
        self._size = 0

    def _ensure_few(self) -> None:
        named = len(self.of_events) + len(self.of_objects)
        if named + sum(map(len, self.of_objects.values())) > COLUMNS_MAX:
            raise InputError(
                f"has more than {COLUMNS_MAX:,} types and attributes, each of which is a column"
            )


def _bounded(name: str) -> str:
    if len(name) > NAME_MAX:
        raise InputError(
            f"has a type or an attribute whose name is longer than {NAME_MAX:,} characters:"
            f" {shortened(name)!r}"
        )
    return name


def _cut(value: str) -> str:
    """Return a value that is no longer than needed to be refused for its length."""
    return value if len(value) <= CELL_MAX else value[: CELL_MAX + 1]

"""Writes a mapping to begin with, for an event log that nobody has described yet.

It takes every event: the first of a case opens the deal, every later one moves it to a stage
of its own name. That is right of few logs and a start for all: stages that are none become
calls, tasks or messages, and two rules say which events win or lose a deal.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from salesflow.adapters.importers.csv import TableRow, tidied
from salesflow.adapters.importers.event_logs.importer import instant_reader
from salesflow.adapters.importers.event_logs.ocel import (
    ACTIVITY,
    EVENT_ID,
    FIELD,
    OF_TYPE,
    TIME,
    OcelFile,
)
from salesflow.adapters.importers.event_logs.xes import XesFile
from salesflow.adapters.importers.event_logs.xes_events import CASE_ID, OF_CASE
from salesflow.adapters.importers.table.importer import RowFile
from salesflow.domain.values import SafeText

__all__ = ["Skeleton", "ocel_skeleton", "xes_skeleton"]


LIFECYCLE: Final = "lifecycle:transition"
ACTORS: Final = ("org:resource", "resource", "user", "org:user", "actor")
DEALS: Final = ("deal", "opportunit", "application", "lead", "order", "case")
"""How types of objects that are deals are called."""
STAGES_MAX: Final = 200
NAME_MAX: Final = 100
SOURCE_MAX: Final = 60
COLUMNS_MAX: Final = 200
SAFE: TypeAdapter[str] = TypeAdapter(SafeText)
OFFSET = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$", re.IGNORECASE)
NOT_PLAIN = re.compile(r"[\W_]+")


class Skeleton(NamedTuple):
    """A mapping to begin with, and the columns it was made of."""

    text: str
    columns: list[str]


class _Log(NamedTuple):
    """What was seen of a log."""

    activities: Counter[str]
    transitions: Counter[str]
    has_zones: bool
    changes: bool
    without_deal: bool


class _Names(NamedTuple):
    """Which columns hold what."""

    object: str
    activity: str
    time: str
    event_id: str | None
    actor: str | None
    lifecycle: str | None


def xes_skeleton(path: Path) -> Skeleton:
    """Return a mapping to begin with for an XES log.

    Raises:
        InputError: when it cannot be read.
    """
    file = XesFile(path)
    of_case = [name for name in file.header if name.startswith(OF_CASE)]
    object = CASE_ID if CASE_ID in of_case else next(iter(of_case), CASE_ID)
    activity = _first(file.header, ("concept:name", "Activity", "activity")) or file.header[-1]
    time = _first(file.header, ("time:timestamp", "timestamp", "time")) or "time:timestamp"
    names = _Names(
        object,
        activity,
        time,
        _first(file.header, ("identity:id",)),
        _first(file.header, ACTORS),
        _first(file.header, (LIFECYCLE,)),
    )
    return _written(path, file, names)


def ocel_skeleton(path: Path) -> Skeleton:
    """Return a mapping to begin with for an OCEL log, whose likeliest objects are the deals.

    Raises:
        InputError: when it cannot be read.
    """
    file = OcelFile(path, instant_of=instant_reader(ZoneInfo("UTC")))
    types = [n for n in file.header if n.startswith(OF_TYPE) and not _is_derived(n)]
    likely = (n for word in DEALS for n in types if word in n.casefold())
    object = next(likely, None) or _most_filled(file, types) or f"{OF_TYPE}deal"
    actor = _first(file.header, ACTORS)
    return _written(path, file, _Names(object, ACTIVITY, TIME, EVENT_ID, actor, None))


def _is_derived(column: str) -> bool:
    return column.endswith("]") or " via " in column or "/" in column


def _most_filled(file: RowFile, columns: Sequence[str]) -> str | None:
    places = [(name, file.header.index(name)) for name in columns]
    counts: Counter[str] = Counter()
    for row in file.rows():
        if isinstance(row, TableRow):
            counts.update(name for name, place in places if row.cells[place])
    return counts.most_common(1)[0][0] if counts else None


def _first(header: Sequence[str], names: Iterable[str]) -> str | None:
    return next((name for name in names if name in header), None)


def _looked_at(file: RowFile, names: _Names) -> _Log:
    place = {name: i for i, name in enumerate(file.header)}
    activities: Counter[str] = Counter()
    transitions: Counter[str] = Counter()
    has_zones, changes, without_deal = True, False, False
    for row in file.rows():
        if not isinstance(row, TableRow):
            continue
        cell = _reader(row.cells, place)
        if cell(FIELD):
            changes = True
            continue
        if not cell(names.object):
            without_deal = True
            continue
        if cell(names.activity) and len(activities) < 10 * STAGES_MAX:
            activities[cell(names.activity)] += 1
        if names.lifecycle and len(transitions) < 10 * STAGES_MAX:
            transitions[cell(names.lifecycle)] += 1
        has_zones &= not cell(names.time) or bool(OFFSET.search(cell(names.time)))
    return _Log(activities, transitions, has_zones, changes, without_deal)


def _reader(cells: Sequence[str], place: Mapping[str, int]) -> Callable[[str], str]:
    def cell(name: str) -> str:
        return tidied(cells[place[name]]) if name in place else ""

    return cell


def _written(path: Path, file: RowFile, names: _Names) -> Skeleton:
    seen = _looked_at(file, names)
    parts = [
        _head(path, file, names, seen),
        _process(path, seen),
        _rules(names, seen),
        _left_out(names, seen),
    ]
    return Skeleton("\n".join(filter(None, parts)), list(file.header))


def _head(path: Path, file: RowFile, names: _Names, seen: _Log) -> str:
    lines = [
        f"# A mapping to begin with, made of {_comment(path.name)}. Its columns:",
        *(f"#   {_comment(name)}" for name in file.header[:COLUMNS_MAX]),
        "# Every key is explained in docs/import-reference.md.",
        "",
        f"source = {_toml(_source(path))}",
        'rows = "events"',
        f"object = {_toml(names.object)}",
        f"at = {_toml(names.time)}",
    ]
    lines += [f"event_id = {_toml(names.event_id)}"] if names.event_id else []
    lines += [f"actor = {_toml(names.actor)}"] if names.actor else []
    lines += ['# currency = "EUR"                # of amounts that name none']
    if not seen.has_zones:
        lines += [
            '# timezone = "Europe/Berlin"      # times name no zone: say it, or --timezone'
        ]
    lines += [
        'twins = "keep"                    # every event of a log is one that happened',
        "",
    ]
    return "\n".join(lines)


def _process(path: Path, seen: _Log) -> str:
    lines = [
        "# Every activity is a stage to begin with. Take away those that are none, set the",
        '# probabilities, and say which ones win or lose a deal: category = "won", "lost".',
        "",
        "[process]",
        f"key = {_toml(_source(path))}",
        "version = 1",
        f"name_en = {_toml(_source(path))}",
        f"name_zh = {_toml(_source(path))}",
        "",
    ]
    for key, activity in _stages(seen).items():
        name = _toml(_label(activity, key))
        lines += [
            "[[process.stages]]",
            f"key = {_toml(key)}",
            f"name_en = {name}",
            f"name_zh = {name}",
            'probability = "0.50"',
            f"source = [{_toml(activity)}]",
            "",
        ]
    return "\n".join(lines)


def _stages(seen: _Log) -> dict[str, str]:
    """Return the activities there are most of, each by a key of its own."""
    common = dict(seen.activities.most_common(STAGES_MAX))
    stages: dict[str, str] = {}
    for activity in (each for each in seen.activities if each in common):
        key = NOT_PLAIN.sub("_", activity.casefold()).strip("_")[:NAME_MAX]
        if not key.isascii() or not key or key in stages:
            key = f"stage_{len(stages) + 1}"
        stages[key] = activity
    return stages or {"begun": "begun"}


def _rules(names: _Names, seen: _Log) -> str:
    fields = [f"stage = {_toml(names.activity)}"]
    fields += [f"owner = {_toml(names.actor)}"] if names.actor else []
    activities = list(_stages(seen).values())
    listed = ", ".join(map(_toml, activities))
    moved = f"{{ column = {_toml(names.activity)}, in = [{listed}] }}"
    later, done, other = "{ first = false }", "", ""
    if len(seen.transitions) > 1:
        whole = [each for each in seen.transitions if each.casefold() in {"", "complete"}]
        complete = ", ".join(map(_toml, whole or [""]))
        done = f"{{ column = {_toml(names.lifecycle or '')}, in = [{complete}] }}, "
        other = f"{{ column = {_toml(names.lifecycle or '')}, not_in = [{complete}] }}"
    text = f"{{{names.activity}}}: {{{names.lifecycle}}}" if other else f"{{{names.activity}}}"
    lines = [
        "# The first event of a case opens the deal: right of files with whole histories only.",
        "[[facts]]",
        'kind = "deal.opened"',
        "when = { first = true }",
        f"fields = {{ {', '.join(fields)} }}",
        "",
        "[[facts]]",
        'kind = "deal.stage_moved"',
        f"when = [{later}, {done}{moved}]",
        f"fields = {{ target = {_toml(names.activity)} }}",
        "",
        "# All that moves no deal.",
        "[[facts]]",
        'kind = "deal.message_posted"',
        _otherwise(later, moved, other),
        f"fields = {{ text = {{ template = {_toml(text)} }} }}",
        "",
        "# [[facts]]",
        '# kind = "deal.won"',
        f'# when = {{ column = {_toml(names.activity)}, is = "…" }}',
        "",
    ]
    return "\n".join(lines)


def _otherwise(later: str, moved: str, other: str) -> str:
    """Return the condition of what the rules before do not take."""
    if not other:
        return f"when = [{later}, {{ not = {moved} }}]"
    return f"when = [{later}, {{ any = [{{ not = {moved} }}, {other}] }}]"


def _left_out(names: _Names, seen: _Log) -> str:
    lines: list[str] = []
    if seen.changes:
        lines += [
            "# Changes of objects are rows too: say what they mean, or leave them out.",
            "[[leave_out]]",
            f"when = {{ column = {_toml(FIELD)}, filled = true }}",
            'because = "a change of an object"',
            "",
        ]
    if seen.without_deal:
        lines += [
            "# Events that name no deal. In OCEL columns `… via …` may lead to one: object may",
            "# be a list of columns, of which the first filled one counts, here and above.",
            "[[leave_out]]",
            f"when = {{ column = {_toml(names.object)}, empty = true }}",
            'because = "about no deal"',
            "",
        ]
    return "\n".join(lines)


def _source(path: Path) -> str:
    """Return the name of the file as that of a source."""
    stem = path.name.partition(".")[0]
    name = NOT_PLAIN.sub("_", stem).strip("_")[:SOURCE_MAX]
    return name if name and name.isascii() else "event_log"


def _label(activity: str, key: str) -> str:
    """Return an activity as the name of a stage; its key where it cannot be one."""
    try:
        return SAFE.validate_python(activity[:NAME_MAX])
    except ValidationError:
        return key


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in text)[:NAME_MAX]

"""Figures that alerts watch: whether there are such, and what one comes to in an answer.

A figure is a path in the answer of a question as `to_dict()` gives it: names with dots between
them, a row of a list by its keys, as in `counts[reason=stalled].deals`; `null` is what JSON
calls it. A module of its own, since a session refuses alerts over figures that there are not,
and alerts ask for them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple, get_args, get_origin, get_type_hints
from uuid import UUID

from pydantic import BaseModel, TypeAdapter, ValidationError

from salesflow.domain.alert import AlertCondition, WatchedFigure
from salesflow.domain.alike_names import closest
from salesflow.domain.values import shown
from salesflow.errors import InputError
from salesflow.presentation.fields import (
    FieldRole,
    bare,
    field_roles,
    is_record,
    item_of,
    plain,
)
from salesflow.projections.core.question import ENVELOPE, Question, View
from salesflow.projections.registry import QUESTIONS

__all__ = [
    "NULL",
    "FigureFound",
    "RowNamed",
    "ensure_no_percentage",
    "ensure_threshold",
    "ensure_watchable",
    "figure_found",
    "question_named",
    "question_watched",
]


STEP: Final = re.compile(r"([a-z_][a-z0-9_]*)(?:\[([^\[\]]*)\])?")
NULL: Final = ("", "null")
"""How a key of a row is written that has no value: as JSON does, or not at all."""
SHOWN_MOST: Final = 12
NEAR_MOST: Final = 3
ROWS_MOST: Final = 10
LONGEST: Final = 500
PARSED: Final = (bool, int, Decimal, date, datetime, UUID)
"""Types of keys of which not every text is a value."""
SHARE: Final = re.compile(
    r"win_rate|(?:repeat|response)_rate|(?:^|_)share(?:$|_)|^csat(?:_top_box)?$"
    r"|(?:^|_)conversion$|^(?:probability|confidence|discount)$"
)
"""Names of figures that are parts of a whole, of 1 at most."""
NO_SHARE: Final = re.compile(r"(?:^|_)(?:amount|weighted|days|seconds|forecast)(?:$|_)")
"""Names of figures that are amounts or times."""
Path = list[tuple[str, Mapping[str, str]]]
"""Names of fields, and of lists what tells the row apart."""


class RowNamed(NamedTuple):
    """A row that a path names and that an answer does not have."""

    name: str
    """Of the list."""
    keys: Mapping[str, str]
    there: tuple[str, ...]
    """What its rows are called by the same keys, those that may be meant first."""

    def sentence(self, when: str = "now") -> str:
        """Say so, and which there are."""
        named = _keys_text(self.keys)
        alike = {text.rpartition("=")[2]: text for text in self.there}
        wanted = named.rpartition("=")[2]
        near = [alike[each] for each in closest(wanted, alike, NEAR_MOST)]
        perhaps = f"; perhaps {', '.join(near)}" if near else ""
        shown_rows = ", ".join(self.there[:ROWS_MOST]) or "none"
        more = len(self.there) - ROWS_MOST
        others = f" and {more:,} more" if more > 0 else ""
        return (
            f"{self.name!r} has no row {named} {when}{perhaps}; there are {shown_rows}{others}"
        )


class FigureFound(NamedTuple):
    """A figure of an answer; None where it is undefined, or its row is not there."""

    figure: Decimal | None
    missing: RowNamed | None = None


def question_named(name: str) -> type[Question[View]]:
    """Return the question of a name.

    Raises:
        InputError: when there is none, with those there are.
    """
    if name not in QUESTIONS:
        raise InputError(f"there is no question {name!r}; there are {', '.join(QUESTIONS)}")
    return QUESTIONS[name]


def question_watched(watched: WatchedFigure) -> Question[View]:
    """Return the question of which a figure is watched.

    Raises:
        InputError: when there is no such question, or it takes no such parameters.
    """
    return question_named(watched.question).model_validate_json(watched.parameters)


def ensure_watchable(watched: WatchedFigure) -> None:
    """Refuse what can never be evaluated, by whomever it was made.

    Raises:
        InputError: when there is no such question, parameter or figure, with what there is.
    """
    question = question_watched(watched)
    view = get_type_hints(type(question).answer)["return"]
    _ensure_figure(view, _steps(watched.figure), watched.figure)


def ensure_threshold(
    watched: WatchedFigure, threshold: Decimal, condition: AlertCondition
) -> None:
    """Refuse a threshold that a figure can never be beyond: 50 is 5,000%; or always is.

    Raises:
        InputError: when the figure is a share, with how it is written; or a count.
    """
    is_share = _is_share(watched)
    if abs(threshold) > 1 and is_share:
        percent = threshold if abs(threshold) <= 100 else Decimal(50)
        raise InputError(
            f"{watched.figure!r} is a share, of at most 1, and {threshold:f} would be"
            f" {threshold * 100:,f}%; write {percent / 100:f} for {percent:f}%"
        )
    if is_share and condition != "below" and threshold == 1:
        raise InputError(
            f"{watched.figure!r} is a share, of at most 1: it never {NEVER[condition]} 1; write"
            " a threshold of less than 1"
        )
    if is_share or _kind_of(watched) is int:
        kind = "share" if is_share else "count"
        if condition == "below" and threshold <= 0:
            raise InputError(
                f"{watched.figure!r} is a {kind}: it never is below {threshold:f}; write a"
                f" threshold above 0{'' if is_share else ', such as 1 for none at all'}"
            )
        if condition == "above" and threshold < 0:
            raise InputError(
                f"{watched.figure!r} is a {kind}: it always is above {threshold:f}; write a"
                " threshold of 0 or more"
            )


NEVER: Final = {
    "above": "is above",
    "rose_by": "rises by more than",
    "fell_by": "falls by more than",
}


def ensure_no_percentage(watched: WatchedFigure, typed: str) -> None:
    """Refuse a threshold that was typed as a percentage, of what is no share.

    Raises:
        InputError: when the figure counts something, or is an amount or a time.
    """
    names = [name for name, _ in _steps(watched.figure)]
    kind = _kind_of(watched)
    if kind is int or (NO_SHARE.search(names[-1]) and not _is_share(watched)):
        number = typed.removesuffix("%").strip()
        raise InputError(
            f"{typed}: a percentage is a share, and {watched.figure!r} is none; write {number}"
        )


def _kind_of(watched: WatchedFigure) -> object:
    view = get_type_hints(type(question_watched(watched)).answer)["return"]
    return _ensure_figure(view, _steps(watched.figure), watched.figure)


def _is_share(watched: WatchedFigure) -> bool:
    names = [name for name, _ in _steps(watched.figure)]
    return _kind_of(watched) is Decimal and any(map(SHARE.search, names))


def figure_found(view: View, path: str) -> FigureFound:
    """Return a figure of an answer, and the row that was not there.

    Raises:
        InputError: when there is no such figure in answers of this kind, with those there are.
    """
    steps = _steps(path)
    _ensure_figure(type(view), steps, path, view)
    found: object = view
    for name, keys in steps:
        found = getattr(found, name)
        if keys:
            assert isinstance(found, tuple), "what has rows is a tuple"
            rows = [row for row in found if _has(row, keys)]
            if len(rows) > 1:
                raise InputError(
                    f"{path!r} names {len(rows)} rows; name all of their keys, as in"
                    f" {_example(type(rows[0]), name, rows)}"
                )
            if not rows:
                return FigureFound(None, RowNamed(name, keys, _called(found, keys)))
            found = rows[0]
        if found is None:
            return FigureFound(None)
    assert isinstance(found, int | Decimal), "what was found to be a figure is a number"
    return FigureFound(Decimal(found))


def _called(rows: Iterable[object], keys: Iterable[str]) -> tuple[str, ...]:
    """Return what rows are called by some keys, each once."""
    named = (_keys_text({key: _written(getattr(row, key)) for key in keys}) for row in rows)
    return tuple(dict.fromkeys(named))


def _keys_text(keys: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in keys.items())


def _steps(path: object) -> Path:
    if not isinstance(path, str) or len(path) > LONGEST:
        raise InputError(
            f"a path to a figure is a text of at most {LONGEST} characters, such as"
            f" counts[reason=stalled].deals, and not {shown(path)}"
        )
    steps: Path = []
    for part in re.split(r"\.(?![^\[]*\])", path):
        step = STEP.fullmatch(part)
        if step is None:
            raise InputError(
                f"{part!r} in {path!r} is no name of a figure; write names with dots between,"
                " and a row by its keys, as in counts[reason=stalled].deals"
            )
        pairs = [pair.partition("=") for pair in (step[2] or "").split(",") if pair.strip()]
        steps.append((step[1], {key.strip(): value.strip() for key, _, value in pairs}))
    return steps


def _ensure_figure(
    kind: type[BaseModel], steps: Path, path: str, view: View | None = None
) -> object:
    """Refuse a path that leads to no number, whatever the answer holds; return its type."""
    at: object = kind
    for name, keys in steps:
        if not (isinstance(at, type) and is_record(at)) or name not in _fields(at):
            raise InputError(f"there is no figure {path!r}{_there(kind, steps, view)}")
        assert isinstance(at, type)
        assert issubclass(at, BaseModel)
        at = bare(at.model_fields[name].annotation)
        item = item_of(at)
        if (item is not None) != bool(keys) or not _keys_fit(item, keys):
            has = "names no row" if item is not None else "has no rows"
            raise InputError(f"{name!r} in {path!r} {has}{_there(kind, steps, view)}")
        for key, value in keys.items():
            _ensure_word(item, key, value, path)
        at = item if item is not None else at
    if at not in (int, Decimal):
        raise InputError(f"{path!r} is no number{_there(kind, steps, view)}")
    return at


def _ensure_word(item: object, key: str, value: str, path: str) -> None:
    """Refuse a row that can never be there: its key is no word of a closed list, or no day."""
    assert isinstance(item, type)
    assert issubclass(item, BaseModel)
    words = bare(item.model_fields[key].annotation)
    if value in NULL:
        return
    if get_origin(words) is Literal and value not in map(str, get_args(words)):
        there = ", ".join(map(str, get_args(words)))
        raise InputError(f"there is no {key} {value!r}, as in {path!r}; there are {there}")
    if words in PARSED:
        try:
            TypeAdapter(words).validate_strings(value)
        except ValidationError:
            kind = getattr(words, "__name__", "value").lower()
            raise InputError(
                f"{key} {value!r} in {path!r} is no {WRITTEN.get(kind, kind)}"
            ) from None


WRITTEN: Final[Mapping[str, str]] = {
    "date": "day; write one like 2026-03-31",
    "datetime": "time; write it as --json prints it",
    "int": "whole number",
    "decimal": "number",
    "uuid": "id; write it in full, as --json prints it",
    "bool": "truth; write true or false",
}
"""What a key of a row that is no text has to be."""


def _fields(kind: type) -> Iterable[str]:
    assert issubclass(kind, BaseModel)
    return kind.model_fields.keys() - ENVELOPE


def _keys_fit(item: object, keys: Mapping[str, str]) -> bool:
    if not keys:
        return True
    return isinstance(item, type) and is_record(item) and set(keys) <= {*_fields(item)}


def _has(row: object, keys: Mapping[str, str]) -> bool:
    values = {key: getattr(row, key) for key in keys}
    return all(
        keys[key] in NULL if it is None else _written(it) == keys[key]
        for key, it in values.items()
    )


def _written(value: object) -> str:
    """Write the key of a row as JSON has it."""
    if value is None:
        return NULL[-1]
    return str(value).lower() if isinstance(value, bool) else str(plain(value))


# What there is instead of a path that leads nowhere.


def _there(kind: type[BaseModel], steps: Path, view: View | None) -> str:
    """Say which figures there are, those that may be meant first."""
    paths = [*_paths(kind, 2, view)]
    near = _near([name for name, _ in steps], paths)
    more = f" and {len(paths) - SHOWN_MOST} more" if len(paths) > SHOWN_MOST else ""
    there = f"; there are {', '.join(paths[:SHOWN_MOST])}{more}, as --json prints them"
    return (f"; perhaps {', '.join(near)}" if near else "") + there


def _near(typed: Sequence[str], paths: Iterable[str]) -> list[str]:
    """Return the figures that hold what was typed; else those of a name that is near."""
    names = {path: [name for name, _ in _steps(path)] for path in paths}
    found = [path for path, there in names.items() if _is_within(typed, there)]
    if not found:
        every = {name for there in names.values() for name in there}
        near = closest(typed[-1], sorted(every))
        found = [path for path, there in names.items() if near and near[0] in there]
    return sorted(found, key=lambda path: len(names[path]))[:NEAR_MOST]


def _is_within(typed: Sequence[str], there: Iterable[str]) -> bool:
    """Return whether all names that were typed are there, in their order."""
    rest = iter(there)
    return all(name in rest for name in typed)


def _paths(kind: type[BaseModel], deep: int, at: object = None) -> Iterator[str]:
    """Yield the figures of answers of a kind, those of rows with their keys."""
    for name in kind.model_fields:
        if name in ENVELOPE:
            continue
        found = bare(kind.model_fields[name].annotation)
        item, value = item_of(found), getattr(at, name, None)
        if found in (int, Decimal):
            yield name
        elif deep and item is None and isinstance(found, type) and is_record(found):
            yield from (f"{name}.{each}" for each in _paths(found, deep - 1, value))
        elif deep and isinstance(item, type) and is_record(item):
            rows = value if isinstance(value, tuple) else ()
            row = rows[0] if rows else None
            named = _example(item, name, rows)
            yield from (f"{named}.{each}" for each in _paths(item, deep - 1, row))


def _example(item: type[BaseModel], name: str, rows: Sequence[object] = ()) -> str:
    """Name a row by the keys that tell it apart; where there are rows, the first of them."""
    keys = [key for key, role in field_roles(item).items() if role is FieldRole.KEY]
    if not rows:
        return f"{name}[{','.join(f'{key}=…' for key in keys)}]"
    apart = [key for key in keys if len({_written(getattr(row, key)) for row in rows}) > 1]
    undated = [key for key in keys if not isinstance(getattr(rows[0], key), date)]
    chosen = apart or (undated or keys)[-1:]
    return f"{name}[{_keys_text({key: _written(getattr(rows[0], key)) for key in chosen})}]"

"""Figures that alerts watch: whether there are such, and what one comes to in an answer.

A figure is a path in the answer of a question as `to_dict()` gives it: names with dots between
them, a row of a list by its keys, as in `counts[reason=stalled].deals`. A module of its own,
since a session refuses alerts over figures that there are not, and alerts ask for them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from salesflow.domain.alert import WatchedFigure
from salesflow.domain.values import shown
from salesflow.errors import InputError
from salesflow.presentation.fields import FieldRole, bare, field_roles, is_record, item_of
from salesflow.projections.core.question import ENVELOPE, Question, View
from salesflow.projections.registry import QUESTIONS

__all__ = ["ensure_watchable", "figure_in", "question_named", "question_watched"]


STEP: Final = re.compile(r"([a-z_]+)(?:\[([^\[\]]*)\])?")
SHOWN_MOST: Final = 40
LONGEST: Final = 500
Path = list[tuple[str, Mapping[str, str]]]
"""Names of fields, and of lists what tells the row apart."""


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


def figure_in(view: View, path: str) -> Decimal | None:
    """Return a figure of an answer; None where it is undefined, or its row is not there.

    Raises:
        InputError: when there is no such figure in answers of this kind, with those there are.
    """
    steps = _steps(path)
    _ensure_figure(type(view), steps, path)
    found: object = view
    for name, keys in steps:
        found = getattr(found, name)
        if keys:
            assert isinstance(found, tuple), "what has rows is a tuple"
            rows = [row for row in found if _has(row, keys)]
            if len(rows) > 1:
                raise InputError(
                    f"{path!r} names {len(rows)} rows; name all of their keys, as in"
                    f" {_example(type(rows[0]), name)}"
                )
            found = rows[0] if rows else None
        if found is None:
            return None
    assert isinstance(found, int | Decimal), "what was found to be a figure is a number"
    return Decimal(found)


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


def _ensure_figure(kind: type[BaseModel], steps: Path, path: str) -> None:
    """Refuse a path that leads to no number, whatever the answer holds."""
    at: object = kind
    for name, keys in steps:
        if not (isinstance(at, type) and is_record(at)) or name not in _fields(at):
            raise InputError(f"there is no figure {path!r}; there are {_listed(kind)}")
        assert isinstance(at, type)
        assert issubclass(at, BaseModel)
        at = bare(at.model_fields[name].annotation)
        item = item_of(at)
        if (item is not None) != bool(keys) or not _keys_fit(item, keys):
            raise InputError(
                f"{name!r} in {path!r} names no row; there are {_listed(kind)}"
                if item is not None
                else f"{name!r} in {path!r} has no rows; there are {_listed(kind)}"
            )
        for key, value in keys.items():
            _ensure_word(item, key, value, path)
        at = item if item is not None else at
    if at not in (int, Decimal):
        raise InputError(f"{path!r} is no number; there are {_listed(kind)}")


def _ensure_word(item: object, key: str, value: str, path: str) -> None:
    """Refuse a row that can never be there, since its key is a word of a closed list."""
    assert isinstance(item, type)
    assert issubclass(item, BaseModel)
    words = bare(item.model_fields[key].annotation)
    if get_origin(words) is Literal and value not in ("", *map(str, get_args(words))):
        there = ", ".join(map(str, get_args(words)))
        raise InputError(f"there is no {key} {value!r}, as in {path!r}; there are {there}")


def _fields(kind: type) -> Iterable[str]:
    assert issubclass(kind, BaseModel)
    return kind.model_fields.keys() - ENVELOPE


def _keys_fit(item: object, keys: Mapping[str, str]) -> bool:
    if not keys:
        return True
    return isinstance(item, type) and is_record(item) and set(keys) <= {*_fields(item)}


def _has(row: object, keys: Mapping[str, str]) -> bool:
    values = {key: getattr(row, key) for key in keys}
    return all(("" if it is None else str(it)) == keys[key] for key, it in values.items())


def _listed(kind: type[BaseModel]) -> str:
    paths = [*_paths(kind, 2)]
    more = f" and {len(paths) - SHOWN_MOST} more" if len(paths) > SHOWN_MOST else ""
    return ", ".join(paths[:SHOWN_MOST]) + more


def _paths(kind: type[BaseModel], deep: int) -> Iterator[str]:
    """Yield the figures of answers of a kind, those of rows with their keys."""
    for name in kind.model_fields:
        if name in ENVELOPE:
            continue
        found = bare(kind.model_fields[name].annotation)
        item = item_of(found)
        if found in (int, Decimal):
            yield name
        elif deep and item is None and isinstance(found, type) and is_record(found):
            yield from (f"{name}.{each}" for each in _paths(found, deep - 1))
        elif deep and isinstance(item, type) and is_record(item):
            yield from (f"{_example(item, name)}.{each}" for each in _paths(item, deep - 1))


def _example(item: type[BaseModel], name: str) -> str:
    roles = field_roles(item)
    keys = ",".join(f"{key}=…" for key, role in roles.items() if role is FieldRole.KEY)
    return f"{name}[{keys}]"

"""What was made and never added to a session: a warning, at the line that made it.

Things that are let go are found when the next session ends, when more is made, and when the
program ends. Nothing runs at the moment itself, as a destructor would: Python loses the
exception of an interrupt that arrives in one.

A warning is for what went well all the same. What a function had made before it raised was
undone with its session, so nothing of it is missed.
"""

import atexit
import os
import sys
import warnings
from inspect import CO_OPTIMIZED
from itertools import islice
from traceback import walk_tb
from types import FrameType
from typing import Any, Final, NamedTuple
from weakref import ref

from salesflow.errors import NeverAddedWarning

__all__ = ["give_up", "track_new", "untrack", "warn_never_added"]

PACKAGE: Final = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")
NEVER_ADDED: Final = (
    "a {} was made and was never added to a session: nothing of it is recorded; add it, as in"
    " `s.add({}.…)`"
)


class Made(NamedTuple):
    """A thing that no session has taken in yet, and where it was made."""

    thing: ref[object]
    noun: str
    kind: str
    filename: str
    line: int
    names: dict[str, Any]
    """The globals of the module that made it."""


_made: Final[dict[int, Made]] = {}
"""By the identity of each thing, which another one may get once it is gone."""
_gone: Final[list[Made]] = []


def track_new(thing: object, noun: str, kind: str) -> None:
    """Remember a new thing of which something was recorded, until it is added."""
    frame: FrameType = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    made = Made(
        ref(thing), noun, kind, frame.f_code.co_filename, frame.f_lineno, frame.f_globals
    )
    before = _made.pop(id(thing), None)
    if before is not None:
        _gone.append(before)
    _made[id(thing)] = made
    if not len(_made) & (len(_made) - 1):  # each time there are twice as many
        warn_never_added()


def untrack(thing: object) -> None:
    """Forget a thing that was added, or that need not be."""
    _made.pop(id(thing), None)


def warn_never_added(newest: int | None = None) -> None:
    """Warn of what nobody holds any more, and nobody has added; look at so many (None: all)."""
    if not (_made or _gone):
        return
    for key, made in list(islice(reversed(_made.items()), newest)):
        if made.thing() is None and _made.pop(key, None) is made:
            _gone.append(made)
    while _gone:
        made = _gone.pop()
        warnings.warn_explicit(
            NEVER_ADDED.format(made.noun, made.kind),
            NeverAddedWarning,
            made.filename,
            made.line,
            module=made.names.get("__name__"),
            registry=made.names.setdefault("__warningregistry__", {}),
        )


def give_up(error: BaseException) -> None:
    """Forget what was made by functions that an error came through, and what is gone by now.

    Nothing was recorded in their session, and the error says so.
    """
    for thing in _held(error):
        untrack(thing)
    for key, made in list(_made.items()):
        if made.thing() is None:
            _made.pop(key, None)


def _held(error: BaseException) -> list[object]:
    """Give what the functions that an error came through had in hand."""
    found: list[object] = []
    for frame, _ in walk_tb(error.__traceback__):
        held = frame.f_locals
        found += held.values()
        if type(held) is dict and frame.f_code.co_flags & CO_OPTIMIZED:
            held.clear()  # a copy, which would keep alive what the function lets go
    return found


atexit.register(warn_never_added)

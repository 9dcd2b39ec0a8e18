"""What was made and never added to a session: a warning where it is let go, which Python shows.

A warning is for what went well all the same. What a function had made before it raised was
undone with its session, so nothing of it is missed.
"""

import sys
import warnings
from inspect import CO_OPTIMIZED
from traceback import walk_tb
from types import FrameType
from typing import Final

from salesflow.errors import NeverAddedWarning

__all__ = ["made_before", "warn_of"]

PACKAGE: Final = __name__.partition(".")[0]
NEVER_ADDED: Final = (
    "a {} was made and was never added to a session: nothing of it is recorded; add it, as in"
    " `s.add({}.…)`"
)


def warn_of(noun: str, kind: str) -> None:
    """Warn of a thing that is let go, at the line of the host that does so."""
    if sys.is_finalizing():  # everything is let go
        return
    frame: FrameType = sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame):
        frame = frame.f_back
    warnings.warn_explicit(
        NEVER_ADDED.format(noun, kind),
        NeverAddedWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def made_before(error: BaseException) -> list[object]:
    """Give what the functions that an error came through had in hand."""
    found: list[object] = []
    for frame, _ in walk_tb(error.__traceback__):
        held = frame.f_locals
        found += held.values()
        if type(held) is dict and frame.f_code.co_flags & CO_OPTIMIZED:
            held.clear()  # a copy, which would keep alive what the function lets go
    return found


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] == PACKAGE

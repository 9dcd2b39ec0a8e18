"""What a process does with connections and locks when it is forked (gunicorn, multiprocessing).

Connections belong to the process that opened them. PostgreSQL's would be written to by both
processes at once, and SQLite's locks, which the system keeps for one process alone, would be
taken for held by the other. So everything that holds connections or locks is told before a
fork and after it. Only the thread that forks lives on in the child; locks of others begin
anew.
"""

import os
from typing import Final
from weakref import WeakSet

__all__ = ["FORKABLE", "Forkable"]


class Forkable:
    """Something that has to do with connections or locks; told when its process is forked."""

    def before_fork(self) -> None:
        """Get ready in the parent, briefly."""

    def after_fork_in_parent(self) -> None:
        """Go on in the parent."""

    def after_fork_in_child(self) -> None:
        """Begin anew in the child, where no other thread lives."""


FORKABLE: Final[WeakSet[Forkable]] = WeakSet()
"""What is told of forks, for as long as it is there; it adds itself once it is whole."""

_TOLD: list[Forkable] = []


def _before() -> None:
    _TOLD[:] = list(FORKABLE)
    for thing in _TOLD:
        thing.before_fork()


def _in_parent() -> None:
    while _TOLD:
        _TOLD.pop().after_fork_in_parent()


def _in_child() -> None:
    while _TOLD:
        _TOLD.pop().after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)

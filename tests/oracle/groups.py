"""To whom something belonged when it happened, and to which group of a question that puts it.

`whose` is a dict of at, rep, customer, channel and process. A customer is the one that an
entry counts as at the moment; before a rep's first team, that team stands for them.
"""

from collections.abc import Callable
from typing import Any

from oracle.beliefs import Raw, believed, effect_of, of_stream
from oracle.customers import survivors_at
from oracle.teams import stream_of, team_at

__all__ = ["Of", "Wanted", "Whose", "groups_of", "is_wanted"]

Whose = dict[str, Any]
Of = Callable[[Whose], str | None]
Wanted = dict[str, str | None] | Callable[[Whose], bool]
"""The process and the owner asked for, None for any; or what says whether it is."""


def groups_of(events: list[Raw], by: str | None, as_of: int, known_at: int) -> Of:
    """Give the function that says to which group something belongs."""
    survivors = survivors_at(events, as_of, known_at) if by == "customer" else {}

    def group_of(whose: Whose) -> str | None:
        if by is None:
            return None
        if by == "team":
            return _team(events, whose["rep"], whose["at"], known_at)
        name: str | None = whose[by]
        return survivors.get(name, name) if by == "customer" and name else name

    return group_of


def is_wanted(whose: Whose, only: Wanted) -> bool:
    """Say whether something is of the process and the owner asked for."""
    if callable(only):
        return only(whose)
    return only["process"] in (None, whose["process"]) and only["owner"] in (None, whose["rep"])


def _team(events: list[Raw], rep: str | None, at: int, known_at: int) -> str | None:
    if rep is None:
        return None
    history = believed(of_stream(events, stream_of(rep)), known_at)
    if not history:
        return None
    found = team_at(events, stream_of(rep), max(at, effect_of(history[0])), known_at)
    return None if found is None else found[1]

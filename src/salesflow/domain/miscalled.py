"""What is said of a call whose arguments a method does not take: which, and what it takes."""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice

from salesflow.domain.wording import shortened

__all__ = ["miscalled", "perhaps"]

PLACED = inspect.Parameter.POSITIONAL_OR_KEYWORD
NAME_MAX = 100
"""So much of a name is compared with those that are known."""


def miscalled(
    method: Callable[..., object], args: Sequence[object], named: Mapping[str, object]
) -> str | None:
    """Say which arguments a method does not take or does not get; None when they all fit.

    What does not fit is never entered, so an error within a method is not taken for it.
    """
    signature = inspect.signature(method)
    try:
        signature.bind(*args, **named)
    except TypeError:
        pass
    else:
        return None
    if not args:
        return "it is called on no object; call it on one"
    known = [each for each in islice(signature.parameters.values(), 1, None) if _is_one(each)]
    takes, by_place = [each.name for each in known], [p.name for p in known if p.kind is PLACED]
    unknown, given = [name for name in named if name not in takes], len(args) - 1
    if unknown and not _has(signature, inspect.Parameter.VAR_KEYWORD):
        return f"{_unknown(unknown, takes)}; {_takes(takes)}"
    if given > len(by_place) and not _has(signature, inspect.Parameter.VAR_POSITIONAL):
        return _too_many(given, by_place, [name for name in takes if name not in by_place])
    said = {*by_place[:given], *named}
    missing = [p.name for p in known if p.default is p.empty and p.name not in said]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        return f"{_listed(missing)} {verb} missing; {_takes(takes)}"
    twice = [name for name in by_place[:given] if name in named]
    return f"{_listed(twice)} is given by place and by name; give it once"


def _is_one(parameter: inspect.Parameter) -> bool:
    return parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)


def _has(signature: inspect.Signature, kind: object) -> bool:
    return any(each.kind is kind for each in signature.parameters.values())


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def perhaps(name: str, known: Iterable[str]) -> str:
    """Suggest the name that is meant, in parentheses; nothing where none is near."""
    from difflib import get_close_matches  # loaded where it is needed

    near = get_close_matches(name[:NAME_MAX], known, n=1)
    return f" (perhaps {near[0]})" if near else ""


def _unknown(names: Sequence[str], known: Sequence[str]) -> str:
    said = [f"{shortened(name)}{perhaps(name, known)}" for name in names]
    return f"there is no argument {' and no '.join(said)}"


def _too_many(given: int, by_place: Sequence[str], by_name: Sequence[str]) -> str:
    if not by_place:
        if not by_name:
            return "it takes no arguments"
        return f"name each argument, as in {by_name[0]}=…; {_takes(by_name)}"
    most = f"at most {len(by_place)} by place ({', '.join(by_place)})"
    if not by_name:
        return f"{given} arguments are given; it takes {most}"
    others = ", ".join(by_name)
    return f"{given} arguments are given; it takes {most}, and by name {others}"


def _takes(names: Collection[str]) -> str:
    return f"it takes {', '.join(names)}" if names else "it takes none"

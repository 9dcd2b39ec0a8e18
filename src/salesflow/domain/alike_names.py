"""Names that look alike: what is compared as one, what may be meant, what is rather a slip.

Whoever types a name writes it in other letters, or nearly: so commands, questions and mappings
find it here, or suggest it.
"""

from collections.abc import Iterable, Mapping

__all__ = ["closest", "folded", "is_slip", "near_names", "nearest", "perhaps"]


NAME_MAX = 100
"""So much of a name is compared with those that are known."""
NEAR_MAX = 3
SLIP = 0.75
"""A word is taken for a slip of another one from this likeness on: pirce of price."""


def folded(name: str) -> str:
    """Return a name as it is compared: in small letters, with single blanks."""
    return " ".join(name.casefold().split())


def closest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Return those of some names that are written nearly so, the closest first."""
    from difflib import get_close_matches  # loaded where it is needed

    return get_close_matches(name[:NAME_MAX], known, n=most)


def perhaps(name: str, known: Iterable[str]) -> str:
    """Suggest the name that is meant, in parentheses; nothing where none is near."""
    near = closest(name, known)
    return f" (perhaps {near[0]})" if near else ""


def nearest(value: str, others: Mapping[str, str]) -> tuple[str, ...]:
    """Return a few of those that a word may be meant for, by what each is called."""
    wanted = value.casefold()
    called = {name.casefold(): id for name, id in others.items()}
    begun = [id for name, id in called.items() if len(wanted) > 1 and wanted in name]
    near = dict.fromkeys([*map(called.__getitem__, closest(wanted, called, NEAR_MAX)), *begun])
    return tuple([*near][:NEAR_MAX])


def near_names(text: str, names: Iterable[str]) -> list[str]:
    """Return a few of the names that a text may be meant for, the nearest first."""
    return [*nearest(folded(text), {folded(name): name for name in names})]


def is_slip(text: str, word: str) -> bool:
    """Return whether a word is rather a slip, or a part, of another one than a new one."""
    from difflib import SequenceMatcher

    if folded(text) in word.casefold().split("_"):
        return True
    return SequenceMatcher(None, folded(text), folded(word)).ratio() >= SLIP

"""Finding what a caller assigned to an aggregate, which nothing would ever record.

A check on every assignment would slow down replaying. So what an aggregate's state holds is
read each time the aggregate has assigned it, and again before it does so anew and before its
session commits.
"""

from collections.abc import Collection, Mapping
from operator import itemgetter
from typing import Final

__all__ = ["Seen", "State"]

OWN: Final = frozenset({"id_given", "is_recorded", "pending", "version"})
"""Public attributes of an aggregate that are not of its state."""
Seen = tuple[object, ...]
UNSET: Final = object()


class State:
    """What the state of a kind of aggregate is made of."""

    def __init__(self, attributes: Collection[str] = ()) -> None:
        self.names = (
            *sorted(name for name in attributes if name[0] != "_" and name not in OWN),
        )
        self.attributes = OWN | {*attributes}
        """All that an aggregate of this kind may have, private ones too."""
        names = (
            self.names * 2 if len(self.names) == 1 else self.names
        )  # it gives a tuple of two
        self._all_at_once = itemgetter(*names) if names else _nothing

    def read(self, attributes: Mapping[str, object]) -> Seen:
        """Give the values of all that the state is made of."""
        try:
            found: Seen = self._all_at_once(attributes)
        except KeyError:  # nothing was believed of it yet that sets it
            return (*(attributes.get(name, UNSET) for name in self.names),)
        return found

    def grown(self, attributes: Mapping[str, object]) -> "State":
        """Give the state with what is there beside it, as an aggregate assigned it."""
        return State(self.attributes | attributes.keys())

    def changed(self, seen: Seen, attributes: Mapping[str, object]) -> str | None:
        """Name what holds another value than was seen, or is no part of it; None otherwise."""
        one_by_one = zip(self.names, self.read(attributes), seen, strict=False)
        differ = [n for n, it, was in one_by_one if it is not was and it != was]
        others = attributes.keys() - self.attributes
        return min([*differ, *[name for name in others if name[0] != "_"]], default=None)


def _nothing(_: object) -> Seen:
    return ()

"""Things that are for reading: what is assigned to one of them is refused at once.

A class that looks at assignments (or only at deletions) slows down each of them, and replaying
is made of them. So a thing that is handed out for reading is turned into one of another class,
which is called like its own and differs in nothing else.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from salesflow.domain.arguments import inner
from salesflow.domain.wording import shortened
from salesflow.errors import InputError

__all__ = ["seal"]


if TYPE_CHECKING:
    from salesflow.domain.aggregate import Aggregate


AggregateT = TypeVar("AggregateT", bound="Aggregate")


def seal(thing: AggregateT) -> AggregateT:
    """Let a thing whose state is settled refuse what is assigned to it from now on."""
    thing.__class__ = _sealed(type(thing))  # type: ignore[assignment, arg-type]
    return thing


@cache
def _sealed(cls: type["Aggregate"]) -> type["Aggregate"]:
    def new(_: type, *args: Any, **named: Any) -> "Aggregate":  # noqa: ANN401 - what cls takes
        return cls(*args, **named)

    def until(self: "Aggregate", *args: Any, **named: Any) -> "Aggregate":  # noqa: ANN401 - same
        then = cls._until(self, *args, **named)
        if not then._settled:
            then.settle()
        return seal(then)

    def settle(_: "Aggregate") -> None:
        """Leave the state as it is: it is settled."""

    def assign(self: "Aggregate", name: str, value: object) -> None:
        if not name.startswith("_"):
            _refuse(cls, name, "assigned")
        object.__setattr__(self, name, value)

    def delete(_: "Aggregate", name: str) -> None:
        _refuse(cls, name, "deleted")

    named = ("__module__", "__qualname__", "__doc__")
    own: dict[str, object] = {name: getattr(cls, name) for name in named}
    own |= {"__slots__": (), "__new__": new, "_until": until, "settle": inner(settle)}
    return type(cls.__name__, (cls,), {**own, "__setattr__": assign, "__delattr__": delete})


def _refuse(cls: type, name: str, done: str) -> NoReturn:
    kind = cls.__name__
    raise InputError(
        f"{kind}.{shortened(name)} cannot be {done}, nothing of it would be recorded; load it"
        f" in a session, `s.get({kind}, id)`, and give it one of the commands that"
        f" `help({kind})` lists"
    )

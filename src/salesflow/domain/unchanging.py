"""What is said where somebody assigns to what never changes: a value, a fact, an answer."""

from collections.abc import Collection

from salesflow.domain.wording import shortened
from salesflow.errors import InputError

__all__ = ["unchangeable"]


def unchangeable(
    thing: object, name: str, done: str, fields: Collection[str], instead: str
) -> InputError:
    """Say that a thing never changes, and what to do instead of assigning or deleting."""
    kind = type(thing).__name__
    said = f"{kind}.{shortened(name)} cannot be {done}, since it never changes"
    if name not in fields:
        return InputError(f"{said}; {kind} has no such field, but {', '.join(fields)}")
    return InputError(f"{said}; {instead}")

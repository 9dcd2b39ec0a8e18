"""Attributes that are computed when they are read first."""

from collections.abc import Callable
from typing import Any, Final, Generic, Self, TypeVar, overload

__all__ = ["computed_once"]

ValueT = TypeVar("ValueT")


class computed_once(Generic[ValueT]):  # noqa: N801 - a decorator
    """As `functools.cached_property`, without a lock.

    Before Python 3.12 that one holds a lock of all instances while it computes, in which a
    process would wait for ever that is forked meanwhile. Here threads that read at the same
    time may each compute the value.
    """

    def __init__(self, compute: Callable[[Any], ValueT]) -> None:
        self._compute: Final = compute
        self._name = ""
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> ValueT: ...

    def __get__(self, instance: object, owner: type) -> Self | ValueT:
        """Return the value, and leave it to be found without this from now on."""
        if instance is None:
            return self
        value = vars(instance)[self._name] = self._compute(instance)
        return value

"""Makes ids, one or many, faster than `UUID` does: new ones, and those read of their bytes.

A page of the log holds tens of thousands of ids. An answer may name many more events that
nobody looks at: in a `UuidSequence` each is made when somebody does.

New ids of events and things are UUIDs of version 7. They begin with the time they were made
(milliseconds, then 1/4096 of a millisecond), so ids made one after the other sort in that order
to within a quarter of a microsecond. The other 62 bits of an id made alone are random; of ids
made at once those of the first are, and by how much they grow from each id to the next, so that
these sort as they stand. An id says nothing about when a fact was recorded: that is
`recorded_at`.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, repeat
from random import Random
from time import time_ns
from typing import Final, Self, overload
from uuid import UUID, SafeUUID

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

__all__ = [
    "UuidSequence",
    "new_id",
    "new_ids",
    "uuid_of_bytes",
    "uuid_of_int",
    "uuids_by_bytes",
    "uuids_of_bytes",
]

VERSION_7: Final = 0x7000 << 64 | 0x8000_0000_0000_0000
"""The bits of a UUID that say which version it is."""
RANDOM_BITS: Final = 62
ID_BYTES: Final = 16

_new = object.__new__
_set_number = vars(UUID)["int"].__set__
_set_safety = vars(UUID)["is_safe"].__set__
_number: Callable[[bytes], int] = int.from_bytes
_UNKNOWN = SafeUUID.unknown
_run = deque[None](maxlen=0).extend


def uuid_of_bytes(data: bytes) -> UUID:
    """Read a UUID from its 16 bytes, at a third of the cost of `UUID(bytes=…)`."""
    made = _new(UUID)
    _set_number(made, _number(data))
    _set_safety(made, _UNKNOWN)
    return made


def uuids_of_bytes(many: Sequence[bytes]) -> list[UUID]:
    """Read UUIDs from their 16 bytes, all of them at once, which takes three quarters of it."""
    return _uuids(len(many), map(_number, many))


def _uuids(count: int, numbers: Iterable[int]) -> list[UUID]:
    made = [*map(_new, repeat(UUID, count))]
    _run(map(_set_number, made, numbers))
    _run(map(_set_safety, made, repeat(_UNKNOWN)))
    return made


def uuid_of_int(number: int) -> UUID:
    """Build a UUID from its number without the checks of its constructor."""
    made = _new(UUID)
    _set_number(made, number)
    _set_safety(made, _UNKNOWN)
    return made


class UuidSequence(Sequence[UUID]):
    """Ids, to whoever looks at them a tuple of UUIDs: equal to it, added and written as it.

    They are held as bytes, and each UUID is made when it is asked for.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes = b"") -> None:
        """Take them as their bytes behind one another, 16 of each."""
        self._raw = raw

    @classmethod
    def of(cls, ids: Iterable[UUID]) -> Self:
        """Return UUIDs as such a sequence."""
        return cls(b"".join([id.bytes for id in ids]))

    def __reduce__(self) -> tuple[type[Self], tuple[bytes]]:
        return type(self), (self._raw,)

    def __len__(self) -> int:
        return len(self._raw) // ID_BYTES

    @overload
    def __getitem__(self, place: int) -> UUID: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> UUID | Self:
        first = range(0, len(self._raw), ID_BYTES)[place]
        if isinstance(first, int):
            return uuid_of_bytes(self._raw[first : first + ID_BYTES])
        return type(self)(b"".join([self._raw[at : at + ID_BYTES] for at in first]))

    def __iter__(self) -> Iterator[UUID]:
        for at in range(0, len(self._raw), ID_BYTES):
            yield uuid_of_bytes(self._raw[at : at + ID_BYTES])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, UuidSequence):
            return self._raw == other._raw
        return tuple(self) == other if isinstance(other, tuple) else NotImplemented

    def __add__(self, others: Iterable[UUID]) -> tuple[UUID, ...]:
        return (*self, *others)

    def __radd__(self, others: Iterable[UUID]) -> tuple[UUID, ...]:
        return (*others, *self)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Read and write them as pydantic does a tuple of UUIDs."""
        del source
        ids = handler.generate_schema(tuple[UUID, ...])

        def read(given: object, as_tuple: Callable[[object], tuple[UUID, ...]]) -> UuidSequence:
            return given if isinstance(given, UuidSequence) else cls.of(as_tuple(given))

        written = core_schema.plain_serializer_function_ser_schema(tuple, return_schema=ids)
        return core_schema.no_info_wrap_validator_function(read, ids, serialization=written)


def uuids_by_bytes(many: Sequence[bytes]) -> dict[bytes, UUID]:
    """Read UUIDs from their 16 bytes, and return them by these."""
    return dict(zip(many, uuids_of_bytes(many), strict=True))


_random = Random(os.urandom(32))


def new_id() -> UUID:
    """Make a UUID version 7; safe in threads and after a fork."""
    return uuid_of_int(_time_bits() | _random.getrandbits(RANDOM_BITS))


def new_ids(count: int) -> list[UUID]:
    """Make UUIDs version 7 of one time, in the order in which they sort.

    The first ends in a random number below half of the largest, each other in that of the one
    before and a random step; all steps together are below half of it too, so that none reaches
    the bits of the time. Two ids are the same where a step is 0: of a thousand ids made at once
    that happens once in two million million times.
    """
    bits = RANDOM_BITS - 1
    steps = map(_random.getrandbits, repeat(bits - count.bit_length(), count - 1))
    first = _time_bits() | _random.getrandbits(bits)
    return _uuids(count, accumulate(steps, initial=first))


def _time_bits() -> int:
    """Return the number of a UUID version 7 of now, less its random bits."""
    milliseconds, rest = divmod(time_ns(), 1_000_000)
    return milliseconds << 80 | ((rest << 12) // 1_000_000) << 64 | VERSION_7


def _reseed() -> None:
    _random.seed(os.urandom(32))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reseed)

"""Makes ids of their bytes and numbers, at a third of the cost of the constructor of `UUID`.

An answer may name tens of thousands of events, and a page of the log holds as many ids.
"""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import repeat
from uuid import UUID, SafeUUID

__all__ = ["uuid_of_bytes", "uuid_of_int", "uuids_of_bytes"]

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
    made = [*map(_new, repeat(UUID, len(many)))]
    _run(map(_set_number, made, map(_number, many)))
    _run(map(_set_safety, made, repeat(_UNKNOWN)))
    return made


def uuid_of_int(number: int) -> UUID:
    """Build a UUID from its number without the checks of its constructor."""
    made = _new(UUID)
    _set_number(made, number)
    _set_safety(made, _UNKNOWN)
    return made

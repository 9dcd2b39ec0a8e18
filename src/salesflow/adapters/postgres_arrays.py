"""Rows in PostgreSQL's binary format: arrays for one statement, COPY for many rows.

psycopg can dump lists too, element by element in Python; these functions write the same bytes
several times faster. Formats: https://www.postgresql.org/docs/current/sql-copy.html (binary)
and `array_send` (dimensions, null flag, element type, length, lower bound, elements).
"""

from collections.abc import Sequence
from struct import Struct
from uuid import UUID

from psycopg import pq
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper

__all__ = [
    "COPY_END",
    "COPY_START",
    "Bigints",
    "Blobs",
    "Integers",
    "Texts",
    "Uuids",
    "field",
    "register",
]

COPY_START = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_END = b"\xff\xff"

_HEADER = Struct("!iiIii").pack
_LENGTH = Struct("!i").pack
_BIGINT = Struct("!iq").pack
_INTEGER = Struct("!ii").pack
_NULL = b"\xff\xff\xff\xff"
_SIXTEEN = _LENGTH(16)


class _Array(bytes):
    """An array in binary; its class says of what."""

    __slots__ = ()
    element: int
    oid: int


class Uuids(_Array):
    """uuid[]."""

    element, oid = 2950, 2951

    @classmethod
    def of(cls, items: Sequence[UUID]) -> "Uuids":
        """Write an array of UUIDs."""
        return cls(_head(cls.element, items) + _SIXTEEN.join([b"", *[i.bytes for i in items]]))


class Bigints(_Array):
    """int8[], with nulls."""

    element, oid = 20, 1016

    @classmethod
    def of(cls, items: Sequence[int | None]) -> "Bigints":
        """Write an array of whole numbers of 64 bits."""
        return cls(
            _head(cls.element, items)
            + b"".join([_NULL if i is None else _BIGINT(8, i) for i in items])
        )


class Integers(_Array):
    """int4[]."""

    element, oid = 23, 1007

    @classmethod
    def of(cls, items: Sequence[int]) -> "Integers":
        """Write an array of whole numbers of 32 bits."""
        return cls(_head(cls.element, items) + b"".join([_INTEGER(4, i) for i in items]))


class Texts(_Array):
    """text[], with nulls."""

    element, oid = 25, 1009

    @classmethod
    def of(cls, items: Sequence[str | None]) -> "Texts | None":
        """Write an array of texts; None when it would hold nothing but nulls."""
        if items.count(None) == len(items):
            return None
        return cls(_head(cls.element, items) + b"".join([field(i) for i in items]))


class Blobs(_Array):
    """bytea[]."""

    element, oid = 17, 1001

    @classmethod
    def of(cls, items: Sequence[bytes]) -> "Blobs":
        """Write an array of byte strings."""
        return cls(_head(cls.element, items) + b"".join([_LENGTH(len(i)) + i for i in items]))


def field(text: str | None) -> bytes:
    """Write one text with its length before it, or the null."""
    if text is None:
        return _NULL
    data = text.encode()
    return _LENGTH(len(data)) + data


def register(context: AdaptContext) -> None:
    """Teach a connection or cursor to send these arrays as they are."""
    if context.adapters is not None:
        for dumper in _DUMPERS:
            context.adapters.register_dumper(dumper.made_for, dumper)


def _head(element: int, items: Sequence[object]) -> bytes:
    return _HEADER(1, 1, element, len(items), 1)


class _ArrayDumper(Dumper):
    format = pq.Format.BINARY
    made_for: type[_Array]

    def dump(self, obj: bytes) -> bytes:
        return obj


def _dumper(made_for: type[_Array]) -> type[_ArrayDumper]:
    name = f"{made_for.__name__}Dumper"
    return type(name, (_ArrayDumper,), {"oid": made_for.oid, "made_for": made_for})


_DUMPERS = [_dumper(made_for) for made_for in (Uuids, Bigints, Integers, Texts, Blobs)]

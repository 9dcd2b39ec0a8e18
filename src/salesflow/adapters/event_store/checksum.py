"""The checksum of a stored event, by which whoever reads it sees that nothing of it changed.

It is one number of 64 bits over all columns of a row. What its writer knows is packed as
MessagePack: the tenant, and behind it an array of the columns in `CONTENT`, ids as 16 bytes; of
that the CRC-32 is taken. To it is added what the log gives an event at last, on PostgreSQL
within the statement: position + 3 · occurred + 5 · recorded. So it is another number where any
one bit of a row has changed, or all of one column. It finds accidents, and nobody who works it
out anew.

It is a module of its own, since every way of writing and of reading events goes by it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID
from zlib import crc32

from msgspec.msgpack import Encoder

from salesflow.domain.time import Instant

__all__ = ["CONTENT", "PLACE_IN_SQL", "Checksums", "may_be_known_otherwise", "with_place"]


CONTENT: Final = (
    "topic, payload, stream_id, version, event_id, precision, actor, command_id,"
    " correlation_id, causation_id, source, source_id"
)
"""The columns that are packed, in this order; whoever reads selects them first."""
OF_OCCURRED, OF_RECORDED = 3, 5
PLACE_IN_SQL: Final = (
    f"{{position}} + {OF_OCCURRED} * {{occurred}} + {OF_RECORDED} * {{recorded}}"
)

CRC_BITS: Final = 32
KNOWN_OTHERWISE: Final = frozenset(OF_RECORDED << bit for bit in range(64))
KNOWN_THEN: Final = frozenset(of << bit for of in (1, OF_OCCURRED) for bit in range(64))
"""How far off a checksum is where one bit of `recorded` flipped, and where one of another."""


def _plain(value: object) -> object:
    """Return a value of a class of its own as what is stored of it."""
    if isinstance(value, UUID):
        return value.bytes
    if isinstance(value, bytes):
        return memoryview(value)
    assert isinstance(value, str | int), "nothing else is in an envelope"
    return str.__str__(value) if isinstance(value, str) else int(value)


_packed = Encoder(uuid_format="bytes", enc_hook=_plain).encode


class Checksums:
    """Makes the checksums of one tenant's events, and compares those stored."""

    def __init__(self, tenant: str) -> None:
        self._tenant: Final = crc32(_packed(tenant))

    def of_content(self, *content: object) -> int:
        """Return what the columns in `CONTENT` come to, before an event has its place."""
        return crc32(_packed(content), self._tenant)

    def of_event(
        self, position: int, occurred: Instant, recorded: Instant, *content: object
    ) -> int:
        """Return the checksum of an event, once it is known where it stands in the log."""
        return with_place(crc32(_packed(content), self._tenant), position, occurred, recorded)

    def of_events(
        self,
        positions: Iterable[int],
        occurred: Iterable[Instant],
        recorded: Iterable[Instant],
        *contents: Iterable[object],
    ) -> list[int]:
        """Return the checksums of many events, given column by column."""
        tenant, packed, crc = self._tenant, _packed, crc32
        rows = zip(positions, occurred, recorded, zip(*contents, strict=True), strict=True)
        return [
            crc(packed(content), tenant) + position + OF_OCCURRED * then + OF_RECORDED * now
            for position, then, now, content in rows
        ]

    def misfits(self, rows: Sequence[Sequence[Any]]) -> dict[int, int]:
        """Return by their numbers which of these rows do not fit their checksums, how far off.

        Rows begin with the columns in `CONTENT`; position, occurred, recorded and checksum
        follow.
        """
        tenant, packed, crc = self._tenant, _packed, crc32
        try:
            off = [
                row[15]
                - crc(packed(row[:12]), tenant)
                - row[12]
                - OF_OCCURRED * row[13]
                - OF_RECORDED * row[14]
                for row in rows
            ]
        except TypeError:
            off = [self._off(row) for row in rows]
        if not any(off):
            return {}
        return {n: by if isinstance(by, int) else 1 for n, by in enumerate(off) if by}

    def _off(self, row: Sequence[Any]) -> int:
        """Return how far a row is off its checksum, of a row of anything."""
        *_, position, occurred, recorded, checksum = row
        numbers = (position, occurred, recorded, checksum)
        if not all(isinstance(each, int) for each in numbers):
            return 1
        return int(checksum - self.of_event(position, occurred, recorded, *row[:12]))


def with_place(content: int, position: int, occurred: Instant, recorded: Instant) -> int:
    """Return the checksum of an event of what its content comes to."""
    return content + position + OF_OCCURRED * occurred + OF_RECORDED * recorded


def may_be_known_otherwise(off: int) -> bool:
    """Return whether it may be `recorded` that changed, where a checksum is off by so much.

    A change of the content alone is off by less than the CRC-32 holds.
    """
    size = abs(off)
    return size in KNOWN_OTHERWISE or (bool(size >> CRC_BITS) and size not in KNOWN_THEN)

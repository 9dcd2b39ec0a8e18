"""Rows of the log: what their checksums are made of, and how they become events.

Both databases give the same columns in the same order, so that an event is built from a row
in one step. `StoredEvent` is the same without decoding the payload, for whoever wants bytes or
envelopes only (proofs, exports, the `eventsourcing` library).

A checksum is one number of 64 bits over all columns of a row. What its writer knows is packed
as MessagePack: the tenant, behind it an array of the columns in `CONTENT`, ids as 16 bytes; of
that the CRC-32 is taken. To it is added what the log gives an event at last, on PostgreSQL
within the statement: position + 3 · occurred + 5 · recorded. So it is another number where any
one bit of a row has changed, or all of one column. It finds accidents, and nobody who works it
out anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple
from uuid import UUID
from zlib import crc32

from msgspec.msgpack import Encoder

from salesflow.adapters.database.connections import Row
from salesflow.adapters.database.schema import read_uuid
from salesflow.domain.catalogue import UNREADABLE, FactCatalogue
from salesflow.domain.event import Event, Fact, Precision, UnreadableFact
from salesflow.domain.ids import uuids_by_bytes
from salesflow.domain.time import Instant
from salesflow.domain.values import shown
from salesflow.errors import HistoryError

__all__ = [
    "BACKUP",
    "CONTENT",
    "PLACE_IN_SQL",
    "Checksums",
    "RowReader",
    "StoredEvent",
    "with_place",
]


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

    def of_contents(self, *columns: Iterable[object]) -> list[int]:
        """Return what `of_content` does of many events, given column by column."""
        tenant, packed, crc = self._tenant, _packed, crc32
        return [crc(packed(content), tenant) for content in zip(*columns, strict=True)]

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


# Reading them.

BACKUP: Final = "`salesflow check` names all that is wrong; put the log back from a backup"
MISFIT: Final = (
    "it does not fit its checksum, so something of it was changed since it was recorded, by a"
    " failing disk or by hand"
)
UUID_BYTES = 16
STORED_LENGTH_MAX = 100
"""So much of what an unreadable event was stored as is repeated."""

STREAM_ID, EVENT_ID = itemgetter(2), itemgetter(4)
"""Ids of a row, by their places among the columns."""
POSITION: Final = 12
"""The place of the position among the columns of a row."""

_new = tuple.__new__


class StoredEvent(NamedTuple):
    """An event as it is stored: its topic and the bytes of its fact, not decoded."""

    topic: str
    payload: bytes
    stream_id: UUID
    version: int
    position: int
    occurred: Instant
    recorded: Instant
    event_id: UUID
    precision: Precision
    actor: str | None
    command_id: str | None
    correlation_id: str | None
    causation_id: str | None
    source: str | None
    source_id: str | None


class RowReader:
    """Builds events of rows that were selected as `reading` does."""

    def __init__(self, tenant: str, catalogue: FactCatalogue, *, dialect: str) -> None:
        self._catalogue: Final = catalogue
        self._checksums: Final = Checksums(tenant)
        self._sqlite: Final = dialect == "sqlite"

    def events(self, rows: list[Row], *, as_it_is: bool = False) -> list[Event]:
        """Build events of rows that fit their checksums; others cannot be read.

        Raises:
            HistoryError: where it may have changed when one was recorded, which tells from when
                on its stream cannot be read, not when all is to be listed as it is; and for a
                row that has lost its place in the log.
        """
        if not rows:
            return []
        misfits = self._checksums.misfits(rows)
        if misfits:
            facts = self._facts_that_fit(rows, misfits, as_it_is=as_it_is)
        else:
            try:
                facts = self._catalogue.read_all(rows)
            except UNREADABLE:
                facts = [self._fact(row) for row in rows]
        if not self._sqlite:
            return [
                _new(Event, (fact, *row[2:4], *row[12:15], *row[4:12]))
                for fact, row in zip(facts, rows, strict=True)
            ]
        ids = uuids_by_bytes([*set(map(STREAM_ID, rows)), *map(EVENT_ID, rows)])
        # fmt: off
        return [
            _new(Event, (
                fact, ids[stream], version, position, occurred, recorded,
                ids[event], precision, actor, command, correlation, causation,
                source, source_id,
            ))
            for fact, (
                _, _, stream, version, event, precision, actor, command, correlation, causation,
                source, source_id, position, occurred, recorded, _,
            ) in zip(facts, rows, strict=True)
        ]
        # fmt: on

    def _facts_that_fit(
        self, rows: list[Row], misfits: Mapping[int, int], *, as_it_is: bool
    ) -> list[Fact]:
        """Read the facts of rows that fit their checksums, and say what the others are."""
        for number, off in misfits.items():
            row = rows[number]
            if not _has_a_place(row) or (may_be_known_otherwise(off) and not as_it_is):
                raise _misfit_error(row)
        return [
            UnreadableFact(stored=_named(row), reason=MISFIT)
            if number in misfits
            else self._fact(row)
            for number, row in enumerate(rows)
        ]

    def _fact(self, row: Row) -> Fact:
        """Read one fact, or say in its place why it cannot be read."""
        try:
            return self._catalogue.decode(row[0], row[1], where="")
        except HistoryError as error:
            reason = str(error).partition(" cannot be read: ")[2]
            return UnreadableFact(stored=_named(row), reason=reason)

    def stored(self, rows: Sequence[Row]) -> list[StoredEvent]:
        """Return rows as they are stored.

        Raises:
            HistoryError: for one that does not fit its checksum.
        """
        for number in self._checksums.misfits(rows):
            raise _misfit_error(rows[number])
        return self.as_stored(rows)

    def as_stored(self, rows: Iterable[Row]) -> list[StoredEvent]:
        """Return rows as they are stored, whatever was changed."""
        return [
            StoredEvent._make(
                (*r[:2], read_uuid(r[2]), r[3], *r[12:15], read_uuid(r[4]), *r[5:12])
            )
            for r in rows
        ]


def _has_a_place(row: Row) -> bool:
    """Return whether ids, version, position and times of a row are some."""
    ids, numbers = (row[2], row[4]), (row[3], *row[12:15])
    return all(isinstance(each, int) for each in numbers) and all(
        isinstance(id, UUID) or (isinstance(id, bytes) and len(id) == UUID_BYTES) for id in ids
    )


def _named(row: Row) -> str:
    """Return the kind and version of a row that cannot be read, as far as they are repeated."""
    return str(row[0])[:STORED_LENGTH_MAX]


def _misfit_error(row: Row) -> HistoryError:
    """Return the error of a row whose times are not to be relied on, or nothing of it is."""
    if _has_a_place(row):
        where = f"stream {read_uuid(row[2])}, version {row[3]}, position {row[12]:,}"
    else:
        where = f"position {shown(row[12])}, whose row holds what no event has"
    return HistoryError(f"{_named(row)} at {where} cannot be read: {MISFIT}. {BACKUP}")

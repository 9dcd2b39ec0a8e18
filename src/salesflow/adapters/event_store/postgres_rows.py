"""The statements by which an append gets into PostgreSQL; see `postgres_append`.

They name their parameters here, and number them as the server does once and for all, so that
the driver has nothing to read in them each time.

It is a module of its own, so that the way of an append can be read without its SQL.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from struct import Struct
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import pq
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper

from salesflow.adapters.database.postgres import CHANNEL
from salesflow.adapters.event_store.append import SKEW
from salesflow.adapters.event_store.rows import PLACE_IN_SQL

__all__ = [
    "ANSWER",
    "ANSWER_AND_FREE",
    "APPEND",
    "APPEND_COMMANDS",
    "APPEND_ONE",
    "APPEND_ONE_COMMAND",
    "COPY",
    "COPY_END",
    "COPY_START",
    "INSERT_COMMAND",
    "INSERT_COMMANDS",
    "INSERT_EVENT",
    "INSERT_EVENTS",
    "LIMITS",
    "LIMIT_TO",
    "LOCK_HEAD",
    "LOOK",
    "MOVE_HEAD",
    "NEW_HEAD",
    "NOW",
    "RESERVE",
    "RESERVE_COMMANDS",
    "SET_LIMITS",
    "Bigints",
    "Blobs",
    "Integers",
    "Statement",
    "Texts",
    "Uuids",
    "field",
    "register",
]


# Rows in PostgreSQL's binary format: arrays for one statement, COPY for many rows.
#
# psycopg can dump lists too, element by element in Python; these functions write the same bytes
# several times faster. Formats: https://www.postgresql.org/docs/current/sql-copy.html (binary)
# and `array_send` (dimensions, null flag, element type, length, lower bound, elements).

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


NOW = "coalesce(%(now)s::int8, (extract(epoch FROM clock_timestamp()) * 1000000)::int8)"

MOVE_HEAD = f"""
    UPDATE salesflow_head SET
        position = position + %(count)s::int8,
        recorded = greatest({NOW}, recorded + 1) + %(appends)s::int8 - 1,
        clock_accepted = CASE WHEN (%(accept)s OR clock_accepted = 1) AND {NOW} <= recorded
            THEN 1 ELSE 0 END
    WHERE tenant = %(tenant)s
        AND (%(accept)s OR clock_accepted = 1 OR {NOW} >= recorded - {SKEW})
        AND coalesce(%(latest)s::int8 <= greatest({NOW}, recorded + 1) + {SKEW}, true)
    RETURNING position - %(count)s::int8 AS base,
        recorded - %(appends)s::int8 + 1 AS first_recorded"""

_MANY = PLACE_IN_SQL.format(
    position="(h.base + u.number)",
    occurred="least(u.occurred, h.first_recorded + u.append)",
    recorded="(h.first_recorded + u.append)",
)
INSERT_EVENTS = f"""
    INSERT INTO salesflow_events
    SELECT %(tenant)s, h.base + u.number, u.stream_id, u.version, u.event_id, u.topic,
        u.payload, least(u.occurred, h.first_recorded + u.append),
        h.first_recorded + u.append, u.precision, u.actor, u.command_id,
        u.correlation_id, u.causation_id, u.source, u.source_id, u.content + {_MANY}
    FROM h, unnest(%(stream_id)s::uuid[], %(version)s::int4[], %(event_id)s::uuid[],
        %(topic)s::text[], %(payload)s::bytea[], %(occurred)s::int8[], %(append)s::int4[],
        %(precision)s::text[], %(actor)s::text[], %(command_id)s::text[],
        %(correlation_id)s::text[], %(causation_id)s::text[], %(source)s::text[],
        %(source_id)s::text[], %(content)s::int8[]) WITH ORDINALITY
        AS u (stream_id, version, event_id, topic, payload, occurred, append, precision,
        actor, command_id, correlation_id, causation_id, source, source_id, content,
        number)"""

_ONE = PLACE_IN_SQL.format(
    position="(h.base + 1)",
    occurred="least(%(occurred)s::int8, h.first_recorded)",
    recorded="h.first_recorded",
)
INSERT_EVENT = f"""
    INSERT INTO salesflow_events
    SELECT %(tenant)s, h.base + 1, %(stream_id)s, %(version)s::int4, %(event_id)s,
        %(topic)s::text, %(payload)s, least(%(occurred)s::int8, h.first_recorded),
        h.first_recorded, %(precision)s::text, %(actor)s::text, %(command_id)s::text,
        %(correlation_id)s::text, %(causation_id)s::text, %(source)s::text,
        %(source_id)s::text, %(content)s::int8 + {_ONE}
    FROM h"""

INSERT_COMMAND = """
    INSERT INTO salesflow_commands
    SELECT %(tenant)s, %(command_id)s::text, h.base + 1, h.base + 1, h.first_recorded,
        %(fingerprint)s::text
    FROM h"""

INSERT_COMMANDS = """
    INSERT INTO salesflow_commands
    SELECT %(tenant)s, u.command_id, h.base + u.first, h.base + u.last,
        h.first_recorded + u.append, u.fingerprint
    FROM h, unnest(%(names)s::text[], %(firsts)s::int8[], %(lasts)s::int8[],
        %(offsets)s::int4[], %(prints)s::text[])
        AS u (command_id, first, last, append, fingerprint)"""

ANSWER = f"SELECT base, first_recorded, pg_notify('{CHANNEL}', %(tenant)s) FROM h"
ANSWER_AND_FREE = (
    f"SELECT base, first_recorded, pg_notify('{CHANNEL}', %(tenant)s),"
    " set_config('statement_timeout', %(limit)s::text, true) FROM h"
)
"""From there on the transaction waits for nobody, and is held to the server's limit alone."""


class Statement(NamedTuple):
    """A statement whose two or more parameters are numbered, and what takes their values."""

    query: bytes
    values: Callable[[Mapping[str, object]], tuple[Any, ...]]


def _numbered(text: str) -> Statement:
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", text)))
    for number, name in enumerate(names, 1):
        text = text.replace(f"%({name})s", f"${number}")
    return Statement(text.encode(), itemgetter(*names))


APPEND = _numbered(f"WITH h AS ({MOVE_HEAD}), e AS ({INSERT_EVENTS}) {ANSWER}")
APPEND_COMMANDS = _numbered(
    f"WITH h AS ({MOVE_HEAD}), e AS ({INSERT_EVENTS}), c AS ({INSERT_COMMANDS}) {ANSWER}"
)
APPEND_ONE = _numbered(f"WITH h AS ({MOVE_HEAD}), e AS ({INSERT_EVENT}) {ANSWER}")
APPEND_ONE_COMMAND = _numbered(
    f"WITH h AS ({MOVE_HEAD}), e AS ({INSERT_EVENT}), c AS ({INSERT_COMMAND}) {ANSWER}"
)
RESERVE = _numbered(f"WITH h AS ({MOVE_HEAD}) {ANSWER_AND_FREE}")
RESERVE_COMMANDS = _numbered(
    f"WITH h AS ({MOVE_HEAD}), c AS ({INSERT_COMMANDS}) {ANSWER_AND_FREE}"
)


def _milliseconds(setting: str) -> str:
    return f"(extract(epoch FROM current_setting('{setting}')::interval) * 1000)::int8"


LIMITS = f"SELECT {_milliseconds('statement_timeout')}, {_milliseconds('lock_timeout')}"
SET_LIMITS = (
    "SELECT set_config('lock_timeout', $1, l), set_config('statement_timeout', $2, l)"
    " FROM (SELECT $3::bool) AS v (l)"
)
LIMIT_TO = (
    f"WITH v (theirs, locks) AS MATERIALIZED ({LIMITS}) SELECT theirs, locks,"
    " set_config('lock_timeout', o::text, true), set_config('statement_timeout',"
    " (CASE WHEN theirs > 0 AND theirs <= o THEN theirs ELSE o END)::text, true)"
    " FROM v, (SELECT $1::int8) AS w (o)"
)
"""Sets the limits of this transaction, unless shorter ones stand, and gives those before."""
COPY = "COPY salesflow_events FROM STDIN (FORMAT BINARY)"
LOOK = _numbered(
    f"SELECT recorded, clock_accepted, {NOW} FROM salesflow_head WHERE tenant = %(tenant)s"
)
LOCK_HEAD = "SELECT 1 FROM salesflow_head WHERE tenant = $1 FOR UPDATE"
NEW_HEAD = "INSERT INTO salesflow_head VALUES ($1, 0, 0, 0) ON CONFLICT (tenant) DO NOTHING"

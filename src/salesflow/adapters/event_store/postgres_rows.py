"""The statements by which an append gets into PostgreSQL; see `postgres_append`.

They name their parameters here, and number them as the server does once and for all, so that
the driver has nothing to read in them each time.

It is a module of its own, so that the way of an append can be read without its SQL.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from struct import Struct
from typing import Any, ClassVar, Final, NamedTuple, Self

from psycopg import pq
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper

from salesflow.adapters.database.postgres import CHANNEL
from salesflow.adapters.event_store.append import SKEW
from salesflow.adapters.event_store.rows import PLACE_IN_SQL

__all__ = [
    "ANSWER",
    "APPEND",
    "APPEND_COMMANDS",
    "APPEND_ONE",
    "APPEND_ONE_COMMAND",
    "EACH",
    "FREE",
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
    "OFTEN_ALIKE",
    "SET_LIMITS",
    "Bigints",
    "Blobs",
    "Integers",
    "SqlStatement",
    "Texts",
    "Uuids",
    "register",
]


# Arrays in PostgreSQL's binary format.
#
# psycopg can dump lists too, element by element in Python; these functions write the same bytes
# several times faster. The format is that of PostgreSQL's `array_send`: dimensions, null flag,
# element type, length, lower bound, elements.

_HEADER = Struct("!iiIii").pack
_LENGTH = Struct("!i").pack
_BIGINT = Struct("!iq").pack
_INTEGER = Struct("!ii").pack
_NULL = b"\xff\xff\xff\xff"
_SIXTEEN = _LENGTH(16)

Bytes = bytes | bytearray


class _Array(bytes):
    """An array in binary; its class says of what."""

    __slots__ = ()
    element: ClassVar[int]
    oid: ClassVar[int]
    sql: ClassVar[str]
    """The type of its elements."""

    @classmethod
    def of(cls, items: Sequence[Any]) -> Self:
        """Write an array."""
        raise NotImplementedError

    @classmethod
    def _of(cls, elements: Sequence[bytes]) -> Self:
        """Put elements together, each with its length before it."""
        return cls(_HEADER(1, 1, cls.element, len(elements), 1) + b"".join(elements))


class Uuids(_Array):
    """uuid[]."""

    element, oid, sql = 2950, 2951, "uuid"

    @classmethod
    def of(cls, items: Sequence[Bytes]) -> Self:
        """Write an array of UUIDs, each given as its 16 bytes."""
        return cls(_HEADER(1, 1, cls.element, len(items), 1) + _SIXTEEN.join([b"", *items]))


class Bigints(_Array):
    """int8[], with nulls."""

    element, oid, sql = 20, 1016, "int8"

    @classmethod
    def of(cls, items: Sequence[int | None]) -> Self:
        """Write an array of whole numbers of 64 bits."""
        return cls._of([_NULL if item is None else _BIGINT(8, item) for item in items])


class Integers(_Array):
    """int4[]."""

    element, oid, sql = 23, 1007, "int4"

    @classmethod
    def of(cls, items: Sequence[int]) -> Self:
        """Write an array of whole numbers of 32 bits."""
        return cls._of([_INTEGER(4, item) for item in items])


class Texts(_Array):
    """text[], with nulls."""

    element, oid, sql = 25, 1009, "text"

    @classmethod
    def of(cls, items: Sequence[str | None]) -> Self:
        """Write an array of texts; those that are told again and again are written once."""
        fields = {item: _text(item) for item in {*items}}
        return cls._of([fields[item] for item in items])


class Blobs(_Array):
    """bytea[]."""

    element, oid, sql = 17, 1001, "bytea"

    @classmethod
    def of(cls, items: Sequence[Bytes]) -> Self:
        """Write an array of byte strings."""
        return cls._of([_LENGTH(len(item)) + item for item in items])


def _text(text: str | None) -> bytes:
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

EACH: Final[Mapping[str, type[_Array]]] = {
    "stream_id": Uuids,
    "version": Integers,
    "topic": Texts,
    "payload": Blobs,
    "event_id": Uuids,
    "occurred": Bigints,
    "precision": Texts,
    "actor": Texts,
    "correlation_id": Texts,
    "causation_id": Texts,
    "source": Texts,
    "source_id": Texts,
    "command_id": Texts,
    "append": Integers,
    "content": Bigints,
}
"""What is said of each of many events, in the order of `Columns`, and what comes to them."""
OFTEN_ALIKE: Final = frozenset(EACH) - {
    *("stream_id", "version", "payload", "event_id", "content")
}
"""What is often the same of all of them: then it is one value, and its array is left out."""

_OF = {
    name: f"coalesce(u.{name}, %({name})s::{array.sql})" if name in OFTEN_ALIKE else f"u.{name}"
    for name, array in EACH.items()
}
_POSITION, _RECORDED = "(u.base + u.number)", f"(u.first_recorded + {_OF['append']})"
_OCCURRED = f"least({_OF['occurred']}, {_RECORDED})"
_PLACE = PLACE_IN_SQL.format(position=_POSITION, occurred=_OCCURRED, recorded=_RECORDED)
_ARRAYS = ", ".join(
    f"unnest(%(each_{name})s::{array.sql}[]) AS {name}" for name, array in EACH.items()
)
INSERT_EVENTS = f"""
    INSERT INTO salesflow_events
    SELECT %(tenant)s, {_POSITION}, u.stream_id, u.version, u.event_id, {_OF["topic"]},
        u.payload, {_OCCURRED}, {_RECORDED}, {_OF["precision"]}, {_OF["actor"]},
        {_OF["command_id"]}, {_OF["correlation_id"]}, {_OF["causation_id"]},
        {_OF["source"]}, {_OF["source_id"]}, u.content + {_PLACE}
    FROM (SELECT base, first_recorded, generate_series(1, %(count)s::int8) AS number,
        {_ARRAYS} FROM h) AS u"""
"""Arrays side by side in a list of what is selected are read event by event, and kept nowhere;
as tables, each would be copied first."""

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


class SqlStatement(NamedTuple):
    """A statement whose two or more parameters are numbered, and what takes their values."""

    query: bytes
    values: Callable[[Mapping[str, object]], tuple[Any, ...]]


def _numbered(text: str) -> SqlStatement:
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", text)))
    for number, name in enumerate(names, 1):
        text = text.replace(f"%({name})s", f"${number}")
    return SqlStatement(text.encode(), itemgetter(*names))


APPEND = _numbered(f"WITH h AS ({MOVE_HEAD}), e AS ({INSERT_EVENTS}) {ANSWER}")
APPEND_COMMANDS = _numbered(
    f"WITH h AS ({MOVE_HEAD}), e AS ({INSERT_EVENTS}), c AS ({INSERT_COMMANDS}) {ANSWER}"
)
APPEND_ONE = _numbered(f"WITH h AS ({MOVE_HEAD}), e AS ({INSERT_EVENT}) {ANSWER}")
APPEND_ONE_COMMAND = _numbered(
    f"WITH h AS ({MOVE_HEAD}), e AS ({INSERT_EVENT}), c AS ({INSERT_COMMAND}) {ANSWER}"
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
FREE = "SELECT set_config('statement_timeout', $1, true)"
"""From there on this transaction waits for nobody, and is held to the server's limit alone."""
LOOK = _numbered(
    f"SELECT recorded, clock_accepted, {NOW} FROM salesflow_head WHERE tenant = %(tenant)s"
)
LOCK_HEAD = "SELECT 1 FROM salesflow_head WHERE tenant = $1 FOR UPDATE"
NEW_HEAD = "INSERT INTO salesflow_head VALUES ($1, 0, 0, 0) ON CONFLICT (tenant) DO NOTHING"
